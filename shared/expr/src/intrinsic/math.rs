//! `States.MathAdd` and `States.MathRandom`.

use super::{Outcome, Refusal, truncated};
use crate::{Entropy, Value, java};

/// Adds two integers of 32 bits, each rounded first as `Math.round` does: half towards plus infinity.
pub(super) fn add(left: &Value, right: &Value) -> Outcome {
    let sum = rounded(left)?.checked_add(rounded(right)?).ok_or(Refusal::Arguments)?;
    Ok(i64::from(sum).into())
}

fn rounded(value: &Value) -> Result<i32, Refusal> {
    let number = value.as_number().ok_or(Refusal::Arguments)?;
    match number.as_i64() {
        Some(value) => i32::try_from(value).map_err(|_| Refusal::Arguments),
        None => {
            let rounded = (number.as_f64() + 0.5).floor();
            let fits = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&rounded);
            if fits { Ok(rounded as i32) } else { Err(Refusal::Arguments) }
        }
    }
}

/// A random integer in `[first, end)`; with a seed, the first that `java.util.Random` draws.
pub(super) fn random(first: &Value, end: &Value, seed: Option<&Value>, entropy: &Entropy) -> Outcome {
    let (first, end) = (truncated(first)?, truncated(end)?);
    if first >= end {
        return Err(Refusal::Arguments);
    }
    let seed = match seed {
        Some(seed) => i64::from(truncated(seed)?),
        None => entropy.bits() as i64,
    };
    Ok(i64::from(java::Random::new(seed).between(first, end)).into())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, refused};
    use super::*;

    #[test]
    fn adds_after_rounding_half_up() {
        for (left, right, sum) in [
            ("-9", "3", "-6"),
            ("1.49", "1.5", "3"),
            ("-1.5", "-1.51", "-3"),
            ("-0.5", "0.5", "1"),
            ("-2.5", "0", "-2"),
            ("2147483646", "1", "2147483647"),
            ("-2147483648", "0", "-2147483648"),
        ] {
            check("States.MathAdd($.a, $.b)", &format!(r#"{{"a":{left},"b":{right}}}"#), sum);
        }
    }

    #[test]
    fn adds_integers_of_32_bits_only() {
        for arguments in
            ["2147483647, 1", "-2147483648, -1", "3000000000, 1", "'1', 1", "null, 1", "true, 1", "1e309, 1"]
        {
            refused(&format!("States.MathAdd({arguments})"), "{}");
        }
    }

    #[test]
    fn random_numbers_lie_in_the_interval() {
        let entropy = Entropy::new(1, 0);
        for _ in 0..100 {
            let value =
                random(&1.6.into(), &3.4.into(), None, &entropy).ok().and_then(|value| value.as_i64());
            assert!(matches!(value, Some(1 | 2)), "{value:?}");
        }
        check("States.MathRandom(0, 999, 3)", "{}", "239");
        check("States.MathRandom(0, 999, 3)", "{}", "239");
        for arguments in
            ["1, 1", "10, 5", "1.4, 1.6", "'a', 10", "1, 'b'", "1, 10, 'seed'", "1, 10, null", "1"]
        {
            refused(&format!("States.MathRandom({arguments})"), "{}");
        }
    }
}
