//! The engine on all ports of AWS: what an execution costs in requests, and what a crash at any of them leaves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stepwell_aws::Store;
use stepwell_engine::meta::Meta;
use stepwell_engine::port::{Ports, StateMachine, TaskAnswer, TaskCall, Tasks};
use stepwell_engine::stored::Packing;
use stepwell_engine::{Driven, Engine, Settings, StartRequest};
use stepwell_expr::Payload;
use stepwell_interpreter::{AttemptId, Outcome, Resource};
use stepwell_test_support::machine;
use stepwell_test_support::suite::Consumer;

use crate::journal::item_bytes;
use crate::queue::Functions;
use crate::support::World;

pub(crate) const EXECUTION: &str = "arn:aws:states:us-east-1:123456789012:execution:orders:one";

/// Calls, which succeed at once and are counted.
#[derive(Default)]
pub(crate) struct Calls(pub(crate) Mutex<BTreeMap<AttemptId, u32>>, pub(crate) Payload);

#[async_trait]
impl Tasks for Calls {
    async fn call(&self, call: TaskCall) -> TaskAnswer {
        *self.0.lock().expect("nobody panics with it").entry(call.call.attempt).or_default() += 1;
        TaskAnswer::Ended(Outcome::Succeeded(self.1.clone()))
    }

    fn is_idempotent(&self, _: &Resource) -> bool {
        false
    }
}

/// The services, and processes that come and go.
pub(crate) struct Account {
    pub(crate) world: World,
    pub(crate) calls: Arc<Calls>,
    pub(crate) functions: Functions,
    pub(crate) machine: Arc<StateMachine>,
}

impl Account {
    pub(crate) async fn new(definition: &str) -> Self {
        let world = World::new().await;
        let functions = Functions::with(world.clock.clone());
        let machine = Arc::new(machine("orders", definition));
        world.store().registry.create(machine.clone(), None).await.expect("created");
        world.wire.take();
        Account { world, calls: Arc::default(), functions, machine }
    }

    /// A process that has just begun.
    pub(crate) fn process(&self) -> Engine {
        self.process_on(self.world.store())
    }

    pub(crate) fn process_on(&self, store: Store) -> Engine {
        let ports = Ports {
            journal: store.journal,
            map_runs: store.map_runs,
            queue: self.functions.queue.clone(),
            scheduler: Arc::new(self.functions.schedules()),
            tasks: self.calls.clone(),
            registry: store.registry,
            activities: store.activities,
            logs: None,
            events: None,
            clock: self.world.clock.clone(),
        };
        Engine::new(
            ports,
            Settings { former_deliveries_are_dead: false, packing: Packing::Small, ..Settings::default() },
        )
    }

    pub(crate) async fn start(&self, process: &Engine) {
        let request = StartRequest {
            machine: self.machine.clone(),
            execution_arn: EXECUTION.into(),
            name: "one".into(),
            input: Payload::parse("{}").expect("it is JSON"),
            trace_header: None,
            version_arn: None,
            alias_arn: None,
            parent: None,
        };
        process.start(request).await.expect("started");
    }

    /// Drives what can be received; `false` where the process died.
    pub(crate) async fn drive(&self, process: &Engine) -> bool {
        while let Some(delivery) = self.functions.receive().await {
            let claimant = delivery.claimant.clone();
            let driven = process.drive(delivery.message.clone(), claimant, delivery.receives);
            tokio::select! {
                () = self.world.wire.death() => return false,
                driven = driven => match driven {
                    Driven::Done => self.functions.done(&delivery).await,
                    Driven::Again { after } => self.functions.again(&delivery, after).await,
                },
            }
        }
        true
    }

    pub(crate) async fn meta(&self) -> Arc<Meta> {
        let meta = self.world.store().journal.meta(EXECUTION).await;
        meta.expect("the store answers").expect("it was started")
    }

    /// Lets time go by until the execution has ended.
    pub(crate) async fn finish(&self) -> Arc<Meta> {
        let process = self.process();
        for _ in 0..100 {
            assert!(self.drive(&process).await);
            let meta = self.meta().await;
            if meta.end.is_some() {
                return meta;
            }
            self.functions.pass(Duration::from_secs(61)).await;
        }
        panic!("it does not come to its end: {:?}", self.meta().await);
    }
}

/// A chain of tasks.
pub(crate) fn tasks(count: usize) -> String {
    let task = |n: usize| {
        let next = if n == count { r#""End": true"#.to_owned() } else { format!(r#""Next": "T{}""#, n + 1) };
        let resource = "arn:aws:lambda:us-east-1:123456789012:function:f";
        format!(r#""T{n}": {{ "Type": "Task", "Resource": "{resource}", {next} }}"#)
    };
    let states: Vec<_> = (1..=count).map(task).collect();
    format!(r#"{{ "StartAt": "T1", "States": {{ {} }} }}"#, states.join(", "))
}

fn counted(requests: &[String]) -> Vec<(&str, usize)> {
    let mut counted: Vec<(&str, usize)> = vec![];
    for request in requests {
        match counted.iter_mut().find(|(name, _)| name == request) {
            Some((_, count)) => *count += 1,
            None => counted.push((request, 1)),
        }
    }
    counted.sort_unstable();
    counted
}

#[tokio::test]
async fn ten_tasks_are_eleven_commits() {
    let account = Account::new(&tasks(10)).await;
    let (start, step) = (account.process(), account.process());
    account.start(&start).await;
    assert_eq!(account.world.wire.take(), ["PutItem"]);
    assert!(account.drive(&step).await);
    let requests = account.world.wire.take();
    // The definition, and whether it is being deleted; META and what is behind; the pages; the end.
    let expected = [("GetItem", 2), ("PutItem", 11), ("Query", 1), ("UpdateItem", 1)];
    assert_eq!(counted(&requests), expected, "{requests:?}");
    let queue: Vec<_> = account.functions.stub.take().into_iter().map(|(name, _)| name).collect();
    assert_eq!(queue, ["SendMessageBatch", "ChangeMessageVisibility"]);
    assert_eq!(account.meta().await.status(), "SUCCEEDED");
    // A write unit is a kilobyte.
    let mut sizes = vec![item_bytes(&account.world, EXECUTION, "META").await];
    let loaded = account.world.store().journal.load(EXECUTION, None).await.expect("the store answers");
    let loaded = loaded.expect("it was started");
    for (seq, _) in &loaded.pages {
        let sort = format!("PAGE#{:032x}#{:010}", loaded.meta.run.0, seq.0);
        sizes.push(item_bytes(&account.world, EXECUTION, &sort).await);
    }
    assert!(sizes.iter().all(|bytes| *bytes <= 1024), "{sizes:?}");
}

const EVERYTHING: &str = r#"{ "StartAt": "Work", "States": {
        "Work": { "Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:f",
                  "Retry": [{ "ErrorEquals": ["States.ALL"], "IntervalSeconds": 2 }], "Next": "Nap" },
        "Nap": { "Type": "Wait", "Seconds": 5, "Next": "Sleep" },
        "Sleep": { "Type": "Wait", "Seconds": 2000, "Next": "Both" },
        "Both": { "Type": "Parallel", "End": true, "Branches": [
            { "StartAt": "A", "States": { "A": { "Type": "Wait", "Seconds": 1, "End": true } } },
            { "StartAt": "B", "States": { "B": { "Type": "Pass", "End": true } } } ] } } }"#;

#[tokio::test]
async fn a_process_may_die_at_any_request() {
    let mut deaths = 0;
    for (requests, done) in (0..24).flat_map(|requests| [(requests, false), (requests, true)]) {
        let account = Account::new(EVERYTHING).await;
        account.start(&account.process()).await;
        let process = account.process();
        account.world.wire.die_after(Some((requests, done)));
        let mut lived = true;
        for _ in 0..40 {
            lived = account.drive(&process).await;
            if !lived {
                break;
            }
            account.functions.pass(Duration::from_secs(61)).await;
        }
        account.world.wire.die_after(None);
        deaths += u32::from(!lived);
        let meta = account.finish().await;
        assert_eq!(meta.status(), "SUCCEEDED", "died at request {requests}, done: {done}; {meta:?}");
        let calls = account.calls.0.lock().expect("nobody panics with it");
        assert!(
            calls.values().all(|count| *count == 1),
            "died at request {requests}, done: {done}: {calls:?}"
        );
    }
    assert!((20..48).contains(&deaths), "{deaths}: at every request, and not always");
}

/// The table throttles, fails and loses replies all the while.
#[tokio::test]
async fn an_execution_ends_whatever_trouble_there_is() {
    let mut met = 0;
    for seed in 0..12 {
        let account = Account::new(EVERYTHING).await;
        account.world.wire.trouble(seed, 400, true);
        account.start(&account.process()).await;
        let process = account.process();
        for _ in 0..40 {
            assert!(account.drive(&process).await, "seed {seed}: nobody dies");
            account.functions.pass(Duration::from_secs(61)).await;
        }
        met += account.world.wire.end_trouble().values().sum::<u32>();
        let meta = account.meta().await;
        assert_eq!(meta.status(), "SUCCEEDED", "seed {seed}: {meta:?}");
        let calls = account.calls.0.lock().expect("nobody panics with it");
        assert!(calls.values().all(|count| *count == 1), "seed {seed}: {calls:?}");
    }
    println!("{met} requests in trouble");
    assert!(met > 50, "{met}");
}
