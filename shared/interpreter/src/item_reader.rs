//! What an ItemReader reads, as items (ASL: ItemReader).

use stepwell_expr::json::parse;
use stepwell_expr::{Map, Value};

/// The items that `text`, an object of S3 as it stands, holds by `config`, a `ReaderConfig`; before its `ItemsPointer`.
/// `None` for the types that are no text or lead to further objects.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn items(text: &str, config: Option<&Value>) -> Result<Option<Value>, String> {
    let config = |name: &str| config.and_then(|config| config.get(name));
    match config("InputType").and_then(Value::as_str).unwrap_or("JSON") {
        "JSON" => parse(text).map(Some).map_err(|error| error.message),
        "JSONL" => {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            let items: Result<_, _> = lines.map(parse).collect();
            items.map(|items| Some(Value::array(items))).map_err(|error| error.message)
        }
        "CSV" => {
            let delimiter = match config("CSVDelimiter").and_then(Value::as_str) {
                Some("PIPE") => '|',
                Some("SEMICOLON") => ';',
                Some("SPACE") => ' ',
                Some("TAB") => '\t',
                _ => ',',
            };
            let mut rows = rows(text, delimiter).into_iter();
            let headers = match config("CSVHeaders").and_then(Value::as_array) {
                Some(given) => given.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
                None => rows.next().unwrap_or_default(),
            };
            Ok(Some(Value::array(rows.map(|row| row_object(&headers, row)).collect())))
        }
        _ => Ok(None),
    }
}

/// The first `MaxItems` of `items`, where that is a number and they are an array.
pub(crate) fn limited(items: Value, config: Option<&Value>) -> Value {
    let max = config.and_then(|config| config.get("MaxItems")).and_then(Value::as_number);
    let max = max.and_then(|max| max.as_integral()).and_then(|max| usize::try_from(max).ok());
    match (items.as_array(), max) {
        (Some(array), Some(max)) if max > 0 && array.len() > max => Value::array(array[..max].to_vec()),
        _ => items,
    }
}

/// What a JSON pointer (RFC 6901) leads to.
pub(crate) fn pointer_into<'v>(value: &'v Value, pointer: &str) -> Option<&'v Value> {
    let mut found = value;
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        found = match found {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            other => other.get(&step)?,
        };
    }
    Some(found)
}

/// A row as an object: a field that the row lacks is empty, and one that no header names is skipped.
fn row_object(headers: &[String], row: Vec<String>) -> Value {
    let mut object = Map::with_capacity(headers.len());
    let mut fields = row.into_iter();
    for header in headers {
        object.insert(header.as_str(), fields.next().unwrap_or_default().into());
    }
    object.into()
}

/// The rows of a CSV text (RFC 4180); empty lines are none.
fn rows(text: &str, delimiter: char) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field) = (vec![], vec![], String::new());
    let (mut quoted, mut was_quoted) = (false, false);
    let mut letters = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() && !was_quoted => (quoted, was_quoted) = (true, true),
            _ if quoted => field.push(letter),
            '\r' if letters.peek() == Some(&'\n') => {}
            '\n' => {
                if !row.is_empty() || !field.is_empty() || was_quoted {
                    row.push(std::mem::take(&mut field));
                    rows.push(std::mem::take(&mut row));
                }
                was_quoted = false;
            }
            _ if letter == delimiter => {
                row.push(std::mem::take(&mut field));
                was_quoted = false;
            }
            _ => field.push(letter),
        }
    }
    if !row.is_empty() || !field.is_empty() || was_quoted {
        row.push(field);
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(config: &str, text: &str, expected: &str) {
        let config = parse(config).expect("a config is JSON");
        let found = match items(text, Some(&config)) {
            Ok(Some(items)) => limited(items, Some(&config)).to_json(),
            Ok(None) => "none".into(),
            Err(message) => message,
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn texts_are_read_by_their_type() {
        let csv = "id,note\r\n1,\"a, \"\"b\"\"\nc\"\n\n2\n3,x,extra";
        for (config, text, expected) in [
            ("{}", "[1, 2]", "[1,2]"),
            (r#"{"InputType":"JSON","MaxItems":1}"#, "[1, 2]", "[1]"),
            (
                r#"{"InputType":"JSON"}"#,
                "[1",
                "Unexpected end-of-input: expected close marker for Array (start marker at [Source: (String)\"[1\"; line: 1, column: 1])",
            ),
            (r#"{"InputType":"JSONL"}"#, "{\"a\":1}\n\n2\n", r#"[{"a":1},2]"#),
            (
                r#"{"InputType":"CSV","CSVHeaderLocation":"FIRST_ROW"}"#,
                csv,
                r#"[{"id":"1","note":"a, \"b\"\nc"},{"id":"2","note":""},{"id":"3","note":"x"}]"#,
            ),
            (
                r#"{"InputType":"CSV","CSVHeaderLocation":"GIVEN","CSVHeaders":["k"],"CSVDelimiter":"TAB","MaxItems":2}"#,
                "1\tx\n\"\"\n3",
                r#"[{"k":"1"},{"k":""}]"#,
            ),
            (r#"{"InputType":"CSV"}"#, "", "[]"),
            (r#"{"InputType":"PARQUET"}"#, "PAR1", "none"),
        ] {
            check(config, text, expected);
        }
    }

    #[test]
    fn pointers_lead_into_values() {
        let value = parse(r#"{"a":{"b":[7,{"c/d":8}]}}"#).expect("it is JSON");
        let at = |pointer: &str| pointer_into(&value, pointer).map(Value::to_json);
        assert_eq!(at("/a/b/0").as_deref(), Some("7"));
        assert_eq!(at("/a/b/1/c~1d").as_deref(), Some("8"));
        assert_eq!([at("/x"), at("/a/b/9"), at("/a/b/x")], [None, None, None]);
        assert_eq!(at("").as_deref(), Some(&*value.to_json()));
    }
}
