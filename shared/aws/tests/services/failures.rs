//! What failure of the services gets: patience, then the message again; and what is too large an error of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stepwell_aws::{Options, Store};
use stepwell_engine::port::Clock;
use stepwell_engine::{Driven, Engine};
use stepwell_expr::Payload;
use stepwell_test_support::Delivery;
use stepwell_test_support::suite::Consumer;

use crate::engine::{Account, Calls, EXECUTION, tasks};

const THROTTLED: &str = "ProvisionedThroughputExceededException";

/// Longer than anybody waits before trying again, and shorter than from one sign of life to the next.
const SOON: Duration = Duration::from_secs(3);

impl Account {
    /// Drives one message, while time goes by wherever somebody waits before trying again.
    async fn drive_one(&self, process: &Engine) -> (Delivery, Driven) {
        let delivery = self.functions.receive().await.expect("a message is there");
        let driving = process.drive(delivery.message.clone(), delivery.claimant.clone(), delivery.receives);
        let passing = async {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let (clock, soon) = (&self.world.clock, self.world.clock.now().0 + SOON.as_millis() as i64);
                if let Some(next) = clock.next_wake().filter(|next| next.0 <= soon) {
                    clock.advance_to(next);
                }
            }
        };
        let driven = tokio::select! {
            driven = driving => driven,
            () = passing => unreachable!("time has no end"),
        };
        (delivery, driven)
    }

    fn calls_made(&self) -> BTreeMap<stepwell_interpreter::AttemptId, u32> {
        self.calls.0.lock().expect("nobody panics with it").clone()
    }
}

#[tokio::test]
async fn a_throttled_table_is_waited_for() {
    let account = Account::new(&tasks(2)).await;
    let process = account.process();
    account.start(&process).await;
    for operation in ["PutItem", "Query", "UpdateItem", "GetItem"] {
        account.world.wire.refuse(operation, 10, THROTTLED);
    }
    let began = account.world.clock.monotonic();
    let (delivery, driven) = account.drive_one(&process).await;
    assert_eq!(driven, Driven::Done);
    account.functions.done(&delivery).await;
    let waited = account.world.clock.monotonic() - began;
    assert!(waited > Duration::from_millis(100) && waited < Duration::from_secs(10), "{waited:?}");
    assert_eq!(account.meta().await.status(), "SUCCEEDED");
    assert!(account.calls_made().values().all(|count| *count == 1));
}

#[tokio::test]
async fn what_stays_throttled_goes_back_to_the_queue_and_nothing_is_lost() {
    for operation in ["PutItem", "Query", "UpdateItem", "GetItem"] {
        let account = Account::new(&tasks(2)).await;
        let process = account.process();
        account.start(&process).await;
        account.world.wire.refuse(operation, u32::MAX, THROTTLED);
        let began = account.world.clock.monotonic();
        let (delivery, driven) = account.drive_one(&process).await;
        assert!(matches!(driven, Driven::Again { after } if !after.is_zero()), "{operation}: {driven:?}");
        let waited = account.world.clock.monotonic() - began;
        assert!(
            waited > Duration::from_secs(20) && waited < Duration::from_secs(60),
            "{operation}: {waited:?}"
        );
        account.functions.again(&delivery, Duration::from_secs(1)).await;
        account.world.wire.refuse(operation, 0, THROTTLED);
        let meta = account.finish().await;
        // What was called and could not be recorded is settled as everything is that a dead driver leaves.
        let error = meta.end.as_ref().and_then(|end| end.error.error.as_deref());
        assert!(meta.status() == "SUCCEEDED" || error == Some("Lambda.Unknown"), "{operation}: {meta:?}");
        assert!(account.calls_made().values().all(|count| *count == 1), "{operation}");
    }
}

#[tokio::test]
async fn nobody_is_patient_with_a_refusal() {
    let account = Account::new(&tasks(1)).await;
    let process = account.process();
    account.start(&process).await;
    account.world.wire.take();
    account.world.wire.refuse("PutItem", u32::MAX, "AccessDeniedException");
    let began = account.world.clock.monotonic();
    let (delivery, driven) = account.drive_one(&process).await;
    assert!(matches!(driven, Driven::Again { .. }), "{driven:?}");
    assert_eq!(account.world.clock.monotonic(), began);
    let puts = account.world.wire.take().into_iter().filter(|operation| operation == "PutItem").count();
    assert_eq!(puts, 1);
    account.functions.again(&delivery, Duration::from_secs(1)).await;
    account.world.wire.refuse("PutItem", 0, "AccessDeniedException");
    assert_eq!(account.finish().await.status(), "SUCCEEDED");
}

/// Text that cannot be compressed.
fn noise(length: usize, clock: &dyn Clock) -> String {
    let mut text = String::with_capacity(length + 16);
    while text.len() < length {
        text.push_str(&format!("{:016x}", clock.random()));
    }
    text.truncate(length);
    text
}

#[tokio::test]
async fn without_a_bucket_an_execution_fails_that_records_too_much_at_once() {
    let definition = tasks(1).replace(r#""End": true"#, r#""ResultPath": "$.r", "End": true"#);
    let mut account = Account::new(&definition).await;
    let result =
        Payload::parse(format!("\"{}\"", noise(220_000, &*account.world.clock))).expect("it is JSON");
    account.calls = Arc::new(Calls(Mutex::default(), result));
    let process = account.process_on(Store::new(Options { blobs: None, ..account.world.options() }));
    account.start(&process).await;
    let (delivery, driven) = account.drive_one(&process).await;
    assert_eq!(driven, Driven::Done);
    account.functions.done(&delivery).await;
    let end = account.meta().await.end.clone().expect("it has ended");
    assert_eq!((end.status, end.error.error.as_deref()), ("FAILED", Some("States.DataLimitExceeded")));
    let cause = end.error.cause.as_deref().unwrap_or_default();
    assert!(cause.contains("no bucket is configured"), "{cause}");
    let (_, records) = process.history(EXECUTION).await.expect("the store answers").expect("it is there");
    let last = format!("{:?}", records.last());
    assert!(last.contains("ExecutionFailed"), "{last}");

    // With a bucket there is no such limit.
    let mut account = Account::new(&definition).await;
    let result =
        Payload::parse(format!("\"{}\"", noise(220_000, &*account.world.clock))).expect("it is JSON");
    account.calls = Arc::new(Calls(Mutex::default(), result));
    let process = account.process();
    account.start(&process).await;
    assert_eq!(account.drive_one(&process).await.1, Driven::Done);
    assert_eq!(account.meta().await.status(), "SUCCEEDED");
}
