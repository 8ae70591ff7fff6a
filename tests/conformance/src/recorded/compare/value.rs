//! Values that are no history.

use serde_json::{Map, Value};

use super::{Compared, Comparer, differ};

/// Members whose differences tell more than those of others.
const TELLING: [&str; 4] = ["type", "Error", "error", "name"];

impl Comparer {
    /// Compares two values. `in_json` says that they stand in a JSON text, where the order of members is seen.
    pub(super) fn value(&mut self, expected: &Value, actual: &Value, path: &str, in_json: bool) -> Compared {
        match (expected, actual) {
            (Value::Object(_) | Value::Array(_), Value::String(text)) => match serde_json::from_str(text) {
                Ok(Value::String(_)) => differ(path, "type", expected, actual),
                Ok(actual) => self.value(expected, &actual, path, true),
                Err(_) => differ(path, "not a JSON text", expected, actual),
            },
            (Value::Object(expected), Value::Object(actual)) => self.object(expected, actual, path, in_json),
            (Value::Array(expected), Value::Array(actual)) => self.array(expected, actual, path, in_json),
            (Value::String(text), _) => self.text(text, expected, actual, path),
            // A few recordings hold an output or input parsed whatever it was.
            (Value::Bool(_) | Value::Number(_), Value::String(text)) => match serde_json::from_str(text) {
                Ok(Value::String(_)) | Err(_) => differ(path, "type", expected, actual),
                Ok(actual) => self.value(expected, &actual, path, in_json),
            },
            (Value::Number(e), Value::Number(a)) => {
                let is_whole = |number: &serde_json::Number| !number.is_f64();
                if e != a && (is_whole(e) && is_whole(a) || e.as_f64() != a.as_f64()) {
                    return differ(path, "number", expected, actual);
                }
                if e.is_f64() != a.is_f64() {
                    self.note(path, format_args!("number {a} instead of {e}"));
                }
                Ok(())
            }
            _ if expected == actual => Ok(()),
            _ => differ(path, "value", expected, actual),
        }
    }

    fn array(&mut self, expected: &[Value], actual: &[Value], path: &str, in_json: bool) -> Compared {
        if path.rsplit('.').next() == Some("events")
            && expected.first().is_some_and(|e| e.get("type").is_some())
        {
            return self.events(expected, actual, path);
        }
        let (mut expected, mut actual) = (expected.to_vec(), actual.to_vec());
        if path.contains(".variableReferences.") && expected.len() == actual.len() {
            // A set, whose order recordings do not keep.
            expected.sort_by_key(Value::to_string);
            actual.sort_by_key(Value::to_string);
        }
        for (at, (e, a)) in expected.iter().zip(&actual).enumerate() {
            self.value(e, a, &format!("{path}[{at}]"), in_json)?;
        }
        let both = expected.len().min(actual.len());
        if expected.len() != actual.len() {
            let why = format!("length {} instead of {}", actual.len(), expected.len());
            let rest = |values: &[Value]| Value::Array(values[both..].to_vec());
            return differ(path, why, &rest(&expected), &rest(&actual));
        }
        Ok(())
    }

    fn text(&mut self, text: &str, expected: &Value, actual: &Value, path: &str) -> Compared {
        if self.wild_values.contains(text) {
            return if actual.is_null() { differ(path, "value", expected, actual) } else { Ok(()) };
        }
        let Value::String(came) = actual else {
            let stands_for_it = !actual.is_null() && self.patterns.is_placeholder(text);
            return if stands_for_it { Ok(()) } else { differ(path, "type", expected, actual) };
        };
        if text == came || self.matches(text, came, path) {
            return Ok(());
        }
        // JSON texts may differ in how they are written alone.
        let read = |text: &str| {
            let value = serde_json::from_str::<Value>(text).ok()?;
            (text.starts_with(['[', '{']) && !value.is_string()).then_some(value)
        };
        let (Some(e), Some(a)) = (read(text), read(came)) else {
            return differ(path, "text", expected, actual);
        };
        self.value(&e, &a, path, true)?;
        self.note(path, "JSON text written differently");
        Ok(())
    }

    /// Whether a text that has places stands for what came.
    fn matches(&mut self, text: &str, came: &str, path: &str) -> bool {
        let Some(pattern) = self.patterns.of(text) else { return false };
        let Some(pieces) = pattern.pieces(came) else { return false };
        for (name, piece) in pieces {
            if !(name.starts_with('<') && name.contains(':')) {
                continue;
            }
            let bound = self.bound.entry(name.to_owned()).or_insert_with(|| piece.to_owned()).clone();
            if bound != piece {
                self.note(path, format_args!("{name} stood for {bound:?} and for {piece:?}"));
            }
        }
        true
    }

    fn object(
        &mut self,
        expected: &Map<String, Value>,
        actual: &Map<String, Value>,
        path: &str,
        in_json: bool,
    ) -> Compared {
        if path.ends_with("ResponseMetadata") {
            let status =
                |object: &Map<String, Value>| object.get("HTTPStatusCode").cloned().unwrap_or_default();
            let (e, a) = (status(expected), status(actual));
            let same = e.is_null() || e == a;
            return if same { Ok(()) } else { differ(&format!("{path}.HTTPStatusCode"), "value", &e, &a) };
        }
        let (pairs, rest) = self.pair(expected, actual, path)?;
        let rank = |name: &str| !TELLING.contains(&name);
        let mut ordered = pairs.clone();
        ordered.sort_by_key(|(name, _)| rank(name));
        for (name, came_as) in ordered {
            self.value(&expected[name], &actual[came_as], &format!("{path}.{name}"), in_json)?;
        }
        if let Some(name) = rest.first() {
            return differ(&format!("{path}.{name}"), "unexpected", &Value::Null, &actual[*name]);
        }
        if in_json && !path.contains("HttpHeaders") {
            let came: Vec<_> =
                actual.keys().filter_map(|a| pairs.iter().find(|(_, name)| *name == a)).collect();
            if came.iter().map(|(name, _)| name).ne(pairs.iter().map(|(name, _)| name)) {
                let came: Vec<_> = came.iter().map(|(name, _)| *name).collect();
                let keys: Vec<_> = expected.keys().collect();
                self.note(path, format_args!("key order {came:?} instead of {keys:?}"));
            }
        }
        Ok(())
    }

    /// Each expected member with the name it came under, and the members that nobody expects.
    fn pair<'e, 'a>(
        &mut self,
        expected: &'e Map<String, Value>,
        actual: &'a Map<String, Value>,
        path: &str,
    ) -> Result<Paired<'e, 'a>, Box<super::Difference>> {
        let mut rest: Vec<&String> = actual.keys().filter(|name| !expected.contains_key(*name)).collect();
        let mut pairs = vec![];
        for (name, value) in expected {
            if let Some((came_as, _)) = actual.get_key_value(name) {
                pairs.push((name.as_str(), came_as.as_str()));
                continue;
            }
            let pattern = self.patterns.of(name);
            let hit =
                rest.iter().position(|rest| pattern.as_ref().is_some_and(|pattern| pattern.matches(rest)));
            match hit {
                Some(at) => pairs.push((name.as_str(), rest.remove(at).as_str())),
                None if name == "ResponseMetadata" => {}
                None => differ(&format!("{path}.{name}"), "missing", value, &Value::Null)?,
            }
        }
        let is_extra = |name: &&String| *name != "ResponseMetadata" && !self.later.contains(name.as_str());
        Ok((pairs, rest.into_iter().filter(is_extra).map(String::as_str).collect()))
    }
}

type Paired<'e, 'a> = (Vec<(&'e str, &'a str)>, Vec<&'a str>);
