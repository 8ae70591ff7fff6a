//! What the tests of this crate share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stepwell_engine::message::{Message, MessageBody};
use stepwell_engine::meta::{End, Meta, RunId};
use stepwell_engine::port::{Clock, Page, Ports, Writer};
use stepwell_expr::Payload;
use stepwell_interpreter::{Claimant, ErrorOutput, ExecutionInfo, Timestamp};
use stepwell_test_support::{NoTasks, execution};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::{Limits, LocalStore, Options};

/// A clock that stands still until it is told the time.
pub(crate) struct ManualClock {
    now: watch::Sender<i64>,
    random: AtomicU64,
}

impl ManualClock {
    pub(crate) fn advance(&self, milliseconds: i64) {
        self.now.send_modify(|now| *now += milliseconds);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(*self.now.borrow())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.now().0 as u64)
    }

    fn random(&self) -> u64 {
        self.random.fetch_add(1, Ordering::Relaxed)
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.now().0 + duration.as_millis() as i64;
        let mut now = self.now.subscribe();
        now.wait_for(|now| *now >= until).await.expect("the clock is held by the store");
    }
}

/// A store in a directory of its own.
pub(crate) struct Fixture {
    pub(crate) directory: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: LocalStore,
    pub(crate) ports: Ports,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Fixture::within(tempfile::tempdir().expect("a temporary directory"), None)
    }

    pub(crate) fn within(directory: TempDir, bytes_max: Option<u64>) -> Self {
        Fixture::limited(directory, bytes_max, Limits::default())
    }

    pub(crate) fn limited(directory: TempDir, bytes_max: Option<u64>, limits: Limits) -> Self {
        let clock = Arc::new(ManualClock { now: watch::Sender::new(1_000), random: AtomicU64::new(1) });
        let options = Options { clock: clock.clone(), bytes_max, limits, ..Options::default() };
        let store = LocalStore::open(directory.path(), options).expect("the store opens");
        let ports = store.ports(Arc::new(NoTasks));
        Fixture { directory, clock, store, ports }
    }

    /// The store after its process ended and began again.
    pub(crate) fn reopened(self) -> Self {
        let Fixture { directory, store, ports, .. } = self;
        drop(ports);
        store.close();
        Fixture::within(directory, None)
    }
}

pub(crate) const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:orders";

pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:states:us-east-1:123456789012:execution:orders:{name}")
}

pub(crate) fn meta(name: &str, run: u128, started_at: i64, input: &str) -> Arc<Meta> {
    let info = ExecutionInfo { started_at: Timestamp(started_at), ..execution("orders", name) };
    Arc::new(stepwell_test_support::meta(info, run, Payload::trusted(input)))
}

pub(crate) fn end(status: &'static str, output: Option<&str>) -> End {
    let output = output.map(Payload::trusted);
    End { status, output, output_at: None, error: ErrorOutput::default(), at: Timestamp(9_000), events: 12 }
}

pub(crate) fn page(writer: u64, bytes: &str) -> Page {
    let claimant = Claimant { message: "m".into(), delivery: writer };
    Page { writer: Writer::Driver(claimant), bytes: bytes::Bytes::copy_from_slice(bytes.as_bytes()) }
}

pub(crate) fn message(name: &str, run: u128, body: MessageBody) -> Message {
    Message { execution: arn(name).into(), run: RunId(run), epoch: 0, sent_at: Timestamp(1_000), body }
}
