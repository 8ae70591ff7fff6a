//! Express executions: in the caller's task, in memory, and journaled.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use stepwell_asl::MachineType;
use stepwell_engine::port::{Clock, StateMachine};
use stepwell_engine::{Deadline, Driven, Engine, Settings};
use stepwell_interpreter::Claimant;
use stepwell_simulation::Sim;
use stepwell_test_support::{Answer, Rates, machine};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:f";

#[test]
fn express_runs_in_the_callers_task() {
    let mut sim = Sim::new(19, Settings::default());
    let definition = format!(
        r#"{{"StartAt":"T","States":{{
            "T":{{"Type":"Task","Resource":"{FUNCTION}","Retry":[{{"ErrorEquals":["Busy"],"IntervalSeconds":2}}],"Next":"W"}},
            "W":{{"Type":"Wait","Seconds":5,"End":true}}}}}}"#
    );
    let machine = Arc::new(StateMachine { machine_type: MachineType::Express, ..machine("X", &definition) });
    sim.world.tasks.script(|call| match call.call.retry_count {
        0 => Answer::fail("Busy", Duration::from_millis(5)),
        _ => Answer::echo(call, Duration::from_millis(5)),
    });
    let run = sim.start_sync(&machine, r#"{"a":1}"#).unwrap();
    assert_eq!(run.execution.status().name(), "SUCCEEDED");
    assert_eq!(run.stopped_at.0 - run.started_at.0, 7_010);
    assert_eq!(sim.world.journal.appends(), 0);
    let logged = logged(&sim);
    assert_eq!((logged.len(), logged.last().copied()), (12, Some((12, "ExecutionSucceeded"))), "{logged:?}");

    let forever = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":301,"End":true}}}"#;
    let machine =
        Arc::new(StateMachine { definition: forever.into(), revision: "2".into(), ..(*machine).clone() });
    let run = sim.start_sync(&machine, "{}").unwrap();
    assert_eq!(run.execution.status().name(), "TIMED_OUT");
    assert_eq!(run.stopped_at.0 - run.started_at.0, 300_000);
    assert!(sim.world.journal.metas().is_empty());
}

/// A world whose Express executions run in memory, and a machine of it whose task takes a second.
fn in_memory(seed: u64, settings: Settings) -> (Sim, Arc<StateMachine>) {
    let sim = Sim::new(seed, Settings { express_in_memory: true, ..settings });
    sim.world.tasks.script(|call| Answer::echo(call, Duration::from_secs(1)));
    let definition = format!(
        r#"{{"StartAt":"T","States":{{"T":{{"Type":"Task","Resource":"{FUNCTION}","Next":"W"}},"W":{{"Type":"Wait","Seconds":5,"End":true}}}}}}"#
    );
    let machine = StateMachine { machine_type: MachineType::Express, ..machine("X", &definition) };
    (sim, Arc::new(machine))
}

/// The ids and types of the events that were logged, in their order.
fn logged(sim: &Sim) -> Vec<(u64, &'static str)> {
    let logged = sim.world.logs.logged();
    logged.iter().flat_map(|logged| &logged.events).map(|(_, event)| (event.id.0, event.event_type)).collect()
}

const EXPRESS_EVENTS: [&str; 8] = [
    "ExecutionStarted",
    "TaskStateEntered",
    "LambdaFunctionScheduled",
    "LambdaFunctionStarted",
    "LambdaFunctionSucceeded",
    "TaskStateExited",
    "WaitStateEntered",
    "WaitStateExited",
];

#[test]
fn express_in_memory_is_one_message_and_its_log() {
    let (mut sim, machine) = in_memory(21, Settings::default());
    sim.start(&machine, "e", r#"{"a":1}"#);
    sim.run().unwrap();
    let expected = EXPRESS_EVENTS.into_iter().chain(["ExecutionSucceeded"]);
    assert_eq!(logged(&sim), (1..).zip(expected).collect::<Vec<_>>());
    assert_eq!((sim.world.journal.appends(), sim.world.journal.metas().len()), (0, 0));
    assert!(sim.world.events.changes().is_empty(), "Express executions have no status events");
}

#[test]
fn express_in_memory_runs_again_wherever_its_driver_dies() {
    let (mut died, mut twice) = (0, 0);
    for seed in 0..200 {
        let (mut sim, machine) = in_memory(seed, Settings::default());
        sim.world.faults.set(Rates { crash: 100, duplicate: 100, ..Rates::default() });
        sim.start(&machine, "e", "{}");
        for _ in 0..60 {
            sim.step().unwrap();
        }
        sim.world.faults.set(Rates::default());
        sim.run().unwrap();
        let ends = logged(&sim).iter().filter(|(_, name)| *name == "ExecutionSucceeded").count();
        let starts = logged(&sim).iter().filter(|(_, name)| *name == "ExecutionStarted").count();
        assert!(ends >= sim.started().len(), "seed {seed}: {:?}", logged(&sim));
        died += usize::from(starts > ends);
        twice += usize::from(ends > 1);
        assert_eq!((sim.world.journal.appends(), sim.world.journal.metas().len()), (0, 0));
    }
    assert!(died > 5 && twice > 5, "{died} died, {twice} ran twice");
}

#[test]
fn express_in_memory_ends_after_five_minutes() {
    let (mut sim, machine) = in_memory(22, Settings::default());
    let forever = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":301,"End":true}}}"#;
    let machine = StateMachine { definition: forever.into(), revision: "2".into(), ..(*machine).clone() };
    let began = sim.world.clock.now();
    sim.start(&Arc::new(machine), "e", "{}");
    sim.run().unwrap();
    let last = logged(&sim).last().copied();
    assert_eq!(last, Some((3, "ExecutionTimedOut")));
    let logs = sim.world.logs.logged();
    let (_, event) = logs.last().unwrap().events.last().unwrap();
    assert_eq!(event.at.0 - began.0, 300_000);
}

/// What a function has no time for is another's, from the beginning; at the last, that is its end.
#[test]
fn express_in_memory_is_not_cut_off() {
    let settings = Settings { receives_max: Some(2), ..Settings::default() };
    for (receives, expected) in [(1, Driven::Again { after: Duration::ZERO }), (2, Driven::Done)] {
        let (mut sim, machine) = in_memory(23, settings.clone());
        sim.start(&machine, "e", "{}");
        while sim.world.queue.is_empty() {
            assert!(sim.step().unwrap());
        }
        let (_, message) = sim.world.queue.messages().remove(0);
        let now = sim.world.clock.monotonic();
        let deadline = Deadline { hands_over: now, gives_up: now + Duration::from_secs(3) };
        let engine = Engine::new(sim.world.ports(), Settings { express_in_memory: true, ..settings.clone() });
        let claimant = Claimant { message: "m".into(), delivery: 1 };
        let driven =
            sim.block_on(async move { engine.until(deadline).drive(message, claimant, receives).await });
        assert_eq!(driven, expected);
        assert_eq!(logged(&sim).last().unwrap().1 == "ExecutionTimedOut", receives == 2);
    }
}
