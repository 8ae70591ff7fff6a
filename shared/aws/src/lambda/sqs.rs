//! Batches of the queue: each message drives its execution, and is named in the answer where it has to come again.
//!
//! Messages of different executions are driven at the same time, those of one execution one behind the other (PROTOCOL §4). One that
//! panics, cannot be read, or is not done in time, fails alone.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, join, join_all, select};
use stepwell_engine::message::Message;
use stepwell_engine::port::Queue;
use stepwell_engine::{Driven, Engine};
use stepwell_expr::Value;
use stepwell_expr::json::write_string;
use stepwell_interpreter::Claimant;

use super::Time;
use crate::Assembly;
use crate::queue::read_body;
use crate::scheduler::{read_fired, read_fired_minute};

/// How often messages that are done with are deleted while others of their batch are not: their drivers have stopped hiding them.
const SWEEP: Duration = Duration::from_secs(20);

/// How soon a message that cannot be read comes again: the queue is to give it up within a minute, and somebody to be told.
const UNREADABLE_AGAIN: Duration = Duration::from_secs(5);

/// Messages deleted in one request at most.
const DELETED_AT_ONCE: usize = 10;

/// One message of a batch.
struct Record<'a> {
    id: &'a str,
    message: Message,
    receives: u32,
}

/// What became of the messages of a batch so far.
#[derive(Default)]
struct Ends<'a> {
    /// Done with, and still in the queue.
    done: Vec<&'a str>,
    /// To come again.
    failed: Vec<&'a str>,
}

/// One batch under way.
struct Batch<'a> {
    assembly: &'a Assembly,
    engine: Engine,
    time: Time,
    ends: Mutex<Ends<'a>>,
}

/// Drives what the records say; the answer names those that failed (Lambda: `batchItemFailures`).
pub(super) async fn drive(assembly: &Assembly, records: &[Value], time: Time) -> String {
    let engine = assembly.engine.until(time.deadline);
    let batch = Batch { assembly, engine, time, ends: Mutex::default() };
    let mut lanes: Vec<Vec<Record<'_>>> = vec![];
    let mut minutes = vec![];
    let mut unreadable = vec![];
    for value in records {
        if let Some(minute) = minute(value) {
            minutes.push(batch.minute_came(minute));
            continue;
        }
        let Some(record) = batch.read(value) else {
            unreadable.extend(id(value));
            continue;
        };
        let same = |lane: &&mut Vec<Record<'_>>| lane[0].message.execution == record.message.execution;
        match lanes.iter_mut().find(same) {
            Some(lane) => lane.push(record),
            None => lanes.push(vec![record]),
        }
    }
    let put_off = join_all(unreadable.iter().map(|id| assembly.queue.set_visibility(id, UNREADABLE_AGAIN)));
    let driven = join_all(lanes.into_iter().map(|lane| batch.drive_in_turn(lane)));
    let all = join(driven, join_all(minutes));
    // Where it cannot be said that they are put off, they come again when the queue shows them.
    batch.sweep_during(join(put_off, all)).await;
    for id in records.iter().filter_map(id) {
        assembly.queue.dismissed(id);
    }
    answer(&batch.ends().failed)
}

fn id(record: &Value) -> Option<&str> {
    record.get("messageId")?.as_str()
}

/// A minute that the timer function was told of in vain, with the id of the message that says so.
fn minute(record: &Value) -> Option<(&str, i64)> {
    Some((id(record)?, read_fired_minute(record.get("body")?.as_str()?)?))
}

impl<'a> Batch<'a> {
    fn ends(&self) -> MutexGuard<'_, Ends<'a>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a record in. One that is no message of ours fails.
    fn read(&self, record: &'a Value) -> Option<Record<'a>> {
        let id = id(record)?;
        let text = |name| record.get(name).and_then(Value::as_str).unwrap_or_default();
        let body = text("body");
        // What the timer function could not send on, Lambda has put into the queue as it was.
        let message = read_body(body).or_else(|error| read_fired(body).ok_or(error));
        self.assembly.queue.received(id, text("receiptHandle"));
        match message {
            Ok(message) => {
                let received = record.get("attributes").and_then(|all| all.get("ApproximateReceiveCount"));
                let receives = received.and_then(|count| count.as_str()?.parse().ok()).unwrap_or(1);
                Some(Record { id, message, receives })
            }
            Err(error) => {
                tracing::error!(message = id, %error, "a message cannot be read");
                self.ends().failed.push(id);
                None
            }
        }
    }

    /// Sends the timers of a minute on.
    async fn minute_came(&self, (id, minute): (&'a str, i64)) {
        let sent = self.assembly.timers.fire(&self.assembly.queue, minute).await;
        if let Err(error) = &sent {
            tracing::warn!(message = id, %error, "the timers of a minute are sent later than they should");
        }
        let mut ends = self.ends();
        if sent.is_ok() { ends.done.push(id) } else { ends.failed.push(id) }
    }

    /// Drives messages of one execution.
    async fn drive_in_turn(&self, lane: Vec<Record<'a>>) {
        for (at, record) in lane.into_iter().enumerate() {
            let id = record.id;
            let is_late = self.assembly.clock.monotonic() >= self.time.deadline.hands_over;
            let is_done =
                if at > 0 && is_late { self.put_back(record).await } else { self.drive(record).await };
            let mut ends = self.ends();
            if is_done { ends.done.push(id) } else { ends.failed.push(id) }
        }
    }

    /// Drives one message; `false` where it has to come again.
    async fn drive(&self, record: Record<'a>) -> bool {
        let Assembly { queue, clock, .. } = self.assembly;
        let Record { id, message, receives } = record;
        let execution = message.execution.clone();
        let claimant = Claimant { message: id.into(), delivery: clock.random() };
        let driven = AssertUnwindSafe(self.engine.drive(message, claimant, receives)).catch_unwind();
        let left = self.time.ends.saturating_sub(clock.monotonic());
        match select(pin!(driven), clock.sleep(left)).await {
            Either::Left((Ok(Driven::Done), _)) => true,
            Either::Left((Ok(Driven::Again { after }), _)) => {
                if let Err(error) = queue.set_visibility(id, after).await {
                    tracing::warn!(%execution, %error, "a message comes again later than it should");
                }
                false
            }
            Either::Left((Err(_panic), _)) => {
                tracing::error!(%execution, message = id, receives, "driving the execution ended in a panic");
                false
            }
            Either::Right(_) => {
                tracing::warn!(%execution, message = id, receives, "the execution was not handed over in time");
                false
            }
        }
    }

    /// Leaves a message whose turn came too late to somebody with more time. One that nobody has driven yet goes as a copy, so
    /// that it is not counted as one that failed.
    async fn put_back(&self, record: Record<'a>) -> bool {
        let queue = &self.assembly.queue;
        if record.receives == 1 {
            return queue.send(record.message, None).await.is_ok();
        }
        if let Err(error) = queue.set_visibility(record.id, Duration::ZERO).await {
            tracing::warn!(message = record.id, %error, "a message comes again later than it should");
        }
        false
    }

    /// Awaits `all`, and deletes meanwhile what is done with: once its driver has left, nobody hides a message any more.
    async fn sweep_during(&self, all: impl Future) {
        let mut all = pin!(all);
        while let Either::Right(_) = select(&mut all, self.assembly.clock.sleep(SWEEP)).await {
            let done = std::mem::take(&mut self.ends().done);
            let delete = async {
                for some in done.chunks(DELETED_AT_ONCE) {
                    let gone = self.assembly.queue.delete(some).await;
                    let kept = some.iter().zip(gone).filter(|(_, gone)| !gone).map(|(id, _)| *id);
                    self.ends().done.extend(kept);
                }
            };
            if let Either::Left(_) = select(&mut all, pin!(delete)).await {
                return;
            }
        }
    }
}

fn answer(failed: &[&str]) -> String {
    let mut out = r#"{"batchItemFailures":["#.to_owned();
    for (at, id) in failed.iter().enumerate() {
        out.push_str(if at > 0 { r#",{"itemIdentifier":"# } else { r#"{"itemIdentifier":"# });
        write_string(id, &mut out);
        out.push('}');
    }
    out.push_str("]}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_names_what_failed() {
        assert_eq!(answer(&[]), r#"{"batchItemFailures":[]}"#);
        let expected = r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"b"}]}"#;
        assert_eq!(answer(&["a", "b"]), expected);
    }
}
