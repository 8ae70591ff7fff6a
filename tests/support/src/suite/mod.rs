//! The suites that every adapter of a port must pass. They panic where it does not.
//!
//! Each runs against ports over an empty store. What only a broken store brings about (`Unknown`, `Unavailable`) an adapter's own
//! tests provoke.

mod activities;
mod journal;
mod map_runs;
mod queue;
mod registry;

use std::sync::Arc;

use stepwell_engine::meta::{End, Meta};
use stepwell_expr::Payload;
use stepwell_interpreter::{ErrorOutput, ExecutionInfo, Timestamp};

pub use activities::{activities, waiting_tasks};
pub use journal::{invocations, journal};
pub use map_runs::map_runs;
pub use queue::{Consumer, queue};
pub use registry::registry;

const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:Suite";

fn arn(name: &str) -> String {
    format!("arn:aws:states:us-east-1:123456789012:execution:Suite:{name}")
}

fn meta(name: &str, run: u128, started_at: i64) -> Arc<Meta> {
    let info = ExecutionInfo {
        version_arn: Some(format!("{MACHINE}:3").into()),
        started_at: Timestamp(started_at),
        ..crate::execution("Suite", name)
    };
    let input = Payload::parse(r#"{ "spaces" : "stay",  "ö": 1.0 }"#).expect("this is JSON");
    Arc::new(Meta { trace_header: Some("Root=1".into()), ..crate::meta(info, run, input) })
}

fn end(status: &'static str, output: Option<&str>) -> End {
    let output = output.map(|text| Payload::parse(text).expect("the suite's output is JSON"));
    let error = if output.is_some() { ErrorOutput::default() } else { ErrorOutput::new("Error", "cause") };
    End { status, output, output_at: None, error, at: Timestamp(9_000), events: 12 }
}

/// Awaits both at once.
async fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (std::pin::pin!(a), std::pin::pin!(b));
    let (mut ready_a, mut ready_b) = (None, None);
    std::future::poll_fn(|cx| {
        if ready_a.is_none()
            && let std::task::Poll::Ready(value) = a.as_mut().poll(cx)
        {
            ready_a = Some(value);
        }
        if ready_b.is_none()
            && let std::task::Poll::Ready(value) = b.as_mut().poll(cx)
        {
            ready_b = Some(value);
        }
        match (ready_a.take(), ready_b.take()) {
            (Some(a), Some(b)) => std::task::Poll::Ready((a, b)),
            (a, b) => {
                (ready_a, ready_b) = (a, b);
                std::task::Poll::Pending
            }
        }
    })
    .await
}
