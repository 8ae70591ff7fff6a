//! An engine on a store, with a clock and tasks of the test's own, and the machines that tests of stores run.
#![allow(dead_code, reason = "each test uses its part")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stepwell_engine::message::Callback;
use stepwell_engine::meta::Meta;
use stepwell_engine::port::{Activity, Clock, Ports, RegistryError};
use stepwell_engine::{Engine, Settings, StartRequest};
use stepwell_expr::Payload;
use stepwell_interpreter::{EventBody, EventId, Record, history, token};
use stepwell_local::{Dispatching, LocalStore, Options};
use stepwell_test_support::{World, machine};

/// Whose tasks wait for a worker.
pub(crate) const ACTIVITY: &str = "arn:aws:states:us-east-1:123456789012:activity:Worker";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:f";
const TOKEN: &str = "arn:aws:states:::sqs:sendMessage.waitForTaskToken";

/// One life of a store's process.
pub(crate) struct Life {
    /// The engine.
    pub(crate) engine: Engine,
    /// The clock and the tasks, which outlive it.
    pub(crate) world: World,
    store: LocalStore,
    dispatching: Dispatching,
}

impl Life {
    /// Opens the store in `directory`, and drives what is there.
    pub(crate) fn open(directory: &Path, world: &World) -> Self {
        let options = Options { clock: world.clock.clone(), ..Options::default() };
        Life::with(directory, world, options, Settings::default())
    }

    /// The same in another way than usual.
    pub(crate) fn with(directory: &Path, world: &World, options: Options, settings: Settings) -> Self {
        let store = LocalStore::open(directory, options).expect("the store opens");
        let engine = Engine::new(store.ports(world.tasks.clone()), settings);
        let dispatching = store.run(engine.clone()).expect("the first dispatcher");
        Life { engine, world: world.clone(), store, dispatching }
    }

    /// Its ports.
    pub(crate) fn ports(&self) -> &Ports {
        self.engine.ports()
    }

    /// Ends it, with whatever is under way.
    pub(crate) async fn close(self) {
        self.dispatching.stop(Duration::ZERO).await;
        self.store.close();
    }

    /// Makes the machine `name` of `definition`, where it is not there, and starts the execution `execution` of it.
    pub(crate) async fn start(
        &self,
        (name, definition): (&str, &str),
        execution: &str,
        input: &str,
    ) -> Arc<str> {
        let machine = Arc::new(machine(name, definition));
        match self.ports().registry.create(machine.clone(), None).await {
            Ok(()) | Err(RegistryError::Exists(_)) => {}
            Err(error) => panic!("{error}"),
        }
        let request = StartRequest {
            execution_arn: arn(name, execution),
            name: execution.into(),
            input: Payload::parse(input).expect("it is JSON"),
            machine,
            trace_header: None,
            version_arn: None,
            alias_arn: None,
            parent: None,
        };
        self.engine.start(request).await.expect("started").execution_arn
    }

    /// Makes the activity.
    pub(crate) async fn create_activity(&self) {
        let (created_at, arn) = (self.world.clock.now(), ACTIVITY.into());
        let activity = Activity { arn, name: "Worker".into(), created_at, encryption: None, tags: vec![] };
        self.ports().activities.create(Arc::new(activity)).await.expect("created");
    }

    /// The execution's META.
    pub(crate) async fn meta(&self, arn: &str) -> Arc<Meta> {
        self.engine.describe(arn).await.expect("read").unwrap_or_else(|| panic!("{arn} is not there"))
    }

    /// Returns when nothing moves any more without the clock: the runtime has one thread, the writer answers in order, and reads
    /// that are made aside are begun in order.
    pub(crate) async fn settle(&self) {
        for _ in 0..3 {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            tokio::task::spawn_blocking(|| ()).await.expect("it does nothing");
            // A store that fails has answered, too.
            let _ = self.ports().registry.delete("none", "").await;
        }
    }

    /// Returns when so many events of an execution are there.
    pub(crate) async fn until_events(&self, arn: &str, events: usize) {
        let began = Instant::now();
        while self.events(arn).await.len() < events {
            assert!(began.elapsed() < Duration::from_secs(60), "{arn} does not begin");
            self.settle().await;
        }
    }

    /// Lets time go by in steps until all of these have ended.
    pub(crate) async fn until_ended(&self, arns: &[Arc<str>]) {
        let began = Instant::now();
        for arn in arns {
            while self.meta(arn).await.end.is_none() {
                assert!(began.elapsed() < Duration::from_secs(60), "{arn} does not end");
                self.settle().await;
                if self.meta(arn).await.end.is_none() {
                    self.pass().await;
                }
            }
        }
    }

    /// Lets time go by to the next moment at which somebody waits.
    pub(crate) async fn pass(&self) {
        let clock = &self.world.clock;
        match clock.next_wake() {
            Some(next) if next > clock.now() => clock.advance_to(next),
            // Nobody waits, or somebody who is not looked at any more: of a process that died.
            _ => clock.advance(Duration::from_secs(1)),
        }
        self.settle().await;
    }

    /// The types of an execution's events, whose history must be whole.
    pub(crate) async fn events(&self, arn: &str) -> Vec<&'static str> {
        let (_, records) = self.engine.history(arn).await.expect("read").expect("it is there");
        let events = history(&records, EventId(1));
        for (at, event) in (1..).zip(&events) {
            assert_eq!(event.id.0, at, "{arn}");
            assert!(event.previous.0 < at, "{arn}: {event:?}");
        }
        events.iter().map(|event| event.event_type).collect()
    }

    /// The tokens of the tasks that have been scheduled in an execution so far, in their order.
    pub(crate) async fn tokens(&self, arn: &str) -> Vec<String> {
        let (_, records) = self.engine.history(arn).await.expect("read").expect("it is there");
        let scheduled = records.iter().filter_map(|record| match record {
            Record::Event(event) => match &event.body {
                EventBody::Scheduled { attempt, nonce, .. } => Some(token::encode(arn, *attempt, *nonce)),
                _ => None,
            },
            _ => None,
        });
        scheduled.collect()
    }

    /// Ends a task well.
    pub(crate) async fn succeed(&self, token: &str, output: &str) {
        let output = Payload::parse(output).expect("it is JSON");
        self.engine.send_task_result(token, Callback::Success(output)).await.expect("taken");
    }
}

/// An execution's ARN.
pub(crate) fn arn(machine: &str, execution: &str) -> Arc<str> {
    format!("arn:aws:states:us-east-1:123456789012:execution:{machine}:{execution}").into()
}

/// A Wait of an hour, a Pass.
pub(crate) const WAIT: (&str, &str) = (
    "Wait",
    r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":3600,"Next":"P"},
        "P":{"Type":"Pass","Result":"waited","End":true}}}"#,
);

/// Two tasks in a row.
pub(crate) fn chain() -> (&'static str, String) {
    let task = |next: &str| format!(r#"{{"Type":"Task","Resource":"{FUNCTION}",{next}}}"#);
    let (a, b) = (task(r#""Next":"B""#), task(r#""End":true"#));
    ("Chain", format!(r#"{{"StartAt":"A","States":{{"A":{a},"B":{b}}}}}"#))
}

/// A task whose end comes by a callback.
pub(crate) fn callback() -> (&'static str, String) {
    let definition = format!(
        r#"{{"StartAt":"T","States":{{"T":{{"Type":"Task","Resource":"{TOKEN}","End":true,"TimeoutSeconds":86400,
            "Parameters":{{"QueueUrl":"q","MessageBody":{{"token.$":"$$.Task.Token"}}}}}}}}}}"#
    );
    ("Callback", definition)
}

/// A task that an activity's worker does.
pub(crate) fn activity() -> (&'static str, String) {
    (
        "Activity",
        format!(r#"{{"StartAt":"A","States":{{"A":{{"Type":"Task","Resource":"{ACTIVITY}","End":true}}}}}}"#),
    )
}

/// A task that fails and is tried again after ten minutes, beside a Wait.
pub(crate) fn retry() -> (&'static str, String) {
    let definition = format!(
        r#"{{"StartAt":"P","States":{{"P":{{"Type":"Parallel","End":true,"Branches":[
            {{"StartAt":"T","States":{{"T":{{"Type":"Task","Resource":"{FUNCTION}","End":true,
                "Retry":[{{"ErrorEquals":["Busy"],"IntervalSeconds":600}}]}}}}}},
            {{"StartAt":"W","States":{{"W":{{"Type":"Wait","Seconds":60,"End":true}}}}}}]}}}}}}"#
    );
    ("Retry", definition)
}

/// A distributed Map of executions that wait for an hour each, two at a time.
pub(crate) const DISTRIBUTED: (&str, &str) = (
    "Distributed",
    r#"{"StartAt":"M","States":{"M":{"Type":"Map","End":true,"MaxConcurrency":2,"ItemProcessor":{
        "ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},
        "StartAt":"W","States":{"W":{"Type":"Wait","Seconds":3600,"End":true}}}}}}"#,
);

/// A task whose call's outcome may be unknown, which is caught.
pub(crate) fn caught() -> (&'static str, String) {
    let definition = format!(
        r#"{{"StartAt":"T","States":{{"T":{{"Type":"Task","Resource":"{FUNCTION}","End":true,
            "Catch":[{{"ErrorEquals":["Lambda.Unknown"],"Next":"P"}}]}},
            "P":{{"Type":"Pass","Result":"caught","End":true}}}}}}"#
    );
    ("Caught", definition)
}
