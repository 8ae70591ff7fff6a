//! Records of the table's stream: METAs that were removed, or replaced by another run's.
//!
//! A shard's records come in order, and Lambda gives them again from the first that failed. So they are taken one behind the other,
//! and the first failure ends the batch.

use std::pin::pin;

use futures::future::{Either, select};
use stepwell_expr::Value;
use stepwell_expr::json::write_string;

use super::Time;
use crate::Assembly;
use crate::remains::Gone;
use crate::services::read_item;

/// Removes what the records' runs left; the answer names the first that has to come again (Lambda: `batchItemFailures`).
pub(super) async fn removed(assembly: &Assembly, event: &Value, time: Time) -> String {
    let records = event.get("Records").and_then(Value::as_array).unwrap_or_default();
    for record in records {
        let left = time.ends.saturating_sub(assembly.clock.monotonic());
        let done = match select(pin!(remove(assembly, record)), assembly.clock.sleep(left)).await {
            Either::Left((done, _)) => done,
            Either::Right(_) => Err("it takes longer than this function has time".to_owned()),
        };
        if let Err(error) = done {
            let number = member(record, &["dynamodb", "SequenceNumber"]).unwrap_or_default();
            tracing::warn!(record = number, %error, "a record of the table's stream has to come again");
            let mut answer = r#"{"batchItemFailures":[{"itemIdentifier":"#.to_owned();
            write_string(number, &mut answer);
            answer.push_str("}]}");
            return answer;
        }
    }
    r#"{"batchItemFailures":[]}"#.to_owned()
}

async fn remove(assembly: &Assembly, record: &Value) -> Result<(), String> {
    let Some(gone) = gone(record)? else { return Ok(()) };
    assembly.store.remains.remove(&gone).await.map_err(|error| error.to_string())
}

/// What a record says; `None` where it is of no use here: another item, or one that was put for the first time.
fn gone(record: &Value) -> Result<Option<Gone>, String> {
    let Some(image) = record.get("dynamodb").and_then(|change| change.get("OldImage")) else {
        return Ok(None);
    };
    Gone::read(&read_item(image)).map_err(|error| error.to_string())
}

fn member<'v>(value: &'v Value, path: &[&str]) -> Option<&'v str> {
    path.iter().try_fold(value, |value, name| value.get(name))?.as_str()
}

#[cfg(test)]
mod tests {
    use stepwell_engine::meta::RunId;
    use stepwell_expr::json::parse;

    use super::*;

    #[test]
    fn a_record_says_which_run_is_gone() {
        let check = |record: &str, expected: Result<Option<Gone>, &str>| {
            let read = gone(&parse(record).unwrap());
            match expected {
                Ok(expected) => assert_eq!(read, Ok(expected), "{record}"),
                Err(part) => assert!(read.as_ref().is_err_and(|why| why.contains(part)), "{read:?}"),
            }
        };
        let hash = "ab".repeat(32);
        let of = |objects: Vec<String>| Some(Gone { execution: "e".into(), run: RunId(31), objects });
        let image = |attributes: &str| format!(r#"{{"dynamodb":{{"OldImage":{{{attributes}}}}}}}"#);
        let keys = r#""pk":{"S":"e"},"sk":{"S":"META"}"#;
        let run = r#""run_id":{"S":"0000000000000000000000000000001f"}"#;
        check(
            &image(&format!(r#"{keys},{run},"input_body":{{"B":"e30="}},"epoch":{{"N":"0"}}"#)),
            Ok(of(vec![])),
        );
        check(&image(&format!(r#"{keys},{run},"input_body":{{"S":"{hash}"}}"#)), Ok(of(vec![hash.clone()])));
        check(&image(r#""pk":{"S":"e"},"sk":{"S":"PAGE#1#2"}"#), Ok(None));
        check(r#"{"dynamodb":{"NewImage":{}}}"#, Ok(None));
        check("{}", Ok(None));
        check(&image(keys), Err("run_id"));
        check(&image(&format!(r#"{keys},"run_id":{{"S":"x"}}"#)), Err("run_id"));
        check(&image(r#""pk":{"S":"e"}"#), Err("sk"));
    }
}
