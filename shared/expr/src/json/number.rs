//! Numbers that remember how they were written.

use std::sync::Arc;

/// A JSON number.
///
/// Integers of 64 bits and doubles in their shortest spelling are kept as such; everything else (an integer of 30
/// digits, `1.50`, `1e400`) keeps its text, so that a value passes through a state machine unchanged.
#[derive(Clone, Debug)]
pub enum Number {
    /// Written without fraction or exponent.
    Int(i64),
    /// A finite double, written in its shortest form.
    Float(f64),
    /// Any other spelling, verbatim.
    Text(Arc<str>),
}

impl Number {
    /// Reads a number that the JSON grammar has already accepted.
    pub fn from_json(text: &str) -> Self {
        let integral = !text.bytes().any(|b| matches!(b, b'.' | b'e' | b'E'));
        if integral
            && text != "-0"
            && let Ok(value) = text.parse::<i64>()
        {
            return Number::Int(value);
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() && !integral && float_text(value) == text => Number::Float(value),
            _ => Number::Text(text.into()),
        }
    }

    /// The value of an integer that fits 64 bits and was written as one.
    pub fn as_i64(&self) -> Option<i64> {
        if let Number::Int(value) = self { Some(*value) } else { None }
    }

    /// The nearest double; infinite where the number is out of a double's range.
    pub fn as_f64(&self) -> f64 {
        match self {
            Number::Int(value) => *value as f64,
            Number::Float(value) => *value,
            Number::Text(text) => text.parse().unwrap_or(f64::NAN),
        }
    }

    /// The integer this number equals, however it is written: 3 for `3`, `3.0` and `3e0`.
    pub fn as_integral(&self) -> Option<i64> {
        match self {
            Number::Int(value) => Some(*value),
            other => {
                let value = other.as_f64();
                let exact = value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
                exact.then_some(value as i64)
            }
        }
    }

    /// Appends the JSON spelling to `out`.
    pub fn write(&self, out: &mut String) {
        use std::fmt::Write;
        match self {
            Number::Int(value) => {
                let _ = write!(out, "{value}");
            }
            Number::Float(value) => out.push_str(&float_text(*value)),
            Number::Text(text) => out.push_str(text),
        }
    }
}

/// The shortest text that reads back as `value`, with `.0` where it would look like an integer and Java's exponent
/// outside 10⁻³…10⁷ (`Double.toString`, which the service's JSON library prints with).
fn float_text(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0E{exponent}"),
        _ => text,
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => a == b,
            (Number::Text(a), Number::Text(b)) if a == b => true,
            _ => self.as_f64() == other.as_f64(),
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        f.write_str(&text)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Number::Int(value)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Number::Float(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_survives() {
        for text in [
            "0",
            "-1",
            "9223372036854775807",
            "9223372036854775808",
            "-0",
            "-0.0",
            "1.5",
            "1.50",
            "1.0",
            "1e3",
            "1E400",
            "0.1",
            "123456789012345678901234567890",
            "1.0E10",
            "1.0E-5",
            "12345678.9",
        ] {
            assert_eq!(Number::from_json(text).to_string(), text);
        }
    }

    #[test]
    fn equality_is_numeric() {
        assert_eq!(Number::from_json("1"), Number::from_json("1.0"));
        assert_eq!(Number::from_json("1.50"), Number::from_json("1.5"));
        assert_ne!(Number::from_json("1"), Number::from_json("2"));
        assert_eq!(Number::from_json("3e0").as_integral(), Some(3));
        assert_eq!(Number::from_json("3.5").as_integral(), None);
    }
}
