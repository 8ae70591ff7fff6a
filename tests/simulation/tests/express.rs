//! Express executions: in the caller's task, in memory, and journaled.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use stepwell_asl::MachineType;
use stepwell_engine::message::MessageBody;
use stepwell_engine::port::{Clock, StateMachine};
use stepwell_engine::{Deadline, Driven, Engine, Settings};
use stepwell_interpreter::{Claimant, EventId, HistoryEvent, Record};
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

/// A machine of type `machine_type` of this definition.
fn of_type(machine_type: MachineType, definition: &str) -> Arc<StateMachine> {
    Arc::new(StateMachine { machine_type, ..machine("X", definition) })
}

/// A journaled world whose tasks take as long as their input says, in milliseconds; and an execution of `definition` that has begun.
fn journaled(seed: u64, machine_type: MachineType, definition: &str, input: &str) -> Sim {
    let settings = Settings { former_deliveries_are_dead: false, ..Settings::default() };
    let mut sim = Sim::new(seed, settings);
    sim.world.tasks.script(|call| {
        let after = call.call.parameters.text().parse().unwrap_or(3_600_000);
        Answer::echo(call, Duration::from_millis(after))
    });
    sim.start(&of_type(machine_type, definition), "e", input);
    sim
}

/// How an execution has ended, and how long after its first event, in milliseconds.
fn end(sim: &Sim) -> (&'static str, i64) {
    let meta = sim.world.journal.metas().remove(0);
    let events = sim.records(&meta.execution_arn).unwrap();
    let Record::Event(first) = &events[0] else { panic!("{events:?}") };
    (meta.status(), meta.end.as_ref().map_or(0, |end| end.at.0 - first.at.0))
}

fn wait(seconds: u64) -> String {
    format!(r#"{{"StartAt":"W","States":{{"W":{{"Type":"Wait","Seconds":{seconds},"End":true}}}}}}"#)
}

fn call() -> String {
    format!(r#"{{"StartAt":"T","States":{{"T":{{"Type":"Task","Resource":"{FUNCTION}","End":true}}}}}}"#)
}

/// `definition` with the `TimeoutSeconds` that it declares.
fn declaring(seconds: u64, definition: &str) -> String {
    definition.replacen('{', &format!(r#"{{"TimeoutSeconds":{seconds},"#), 1)
}

#[test]
fn express_journaled_ends_after_five_minutes() {
    const NEVER: &str = r#""never""#;
    let parallel = format!(
        r#"{{"StartAt":"P","States":{{"P":{{"Type":"Parallel","End":true,"Branches":[{},{},{}]}}}}}}"#,
        wait(1),
        wait(301).replace(r#""W""#, r#""V""#),
        call()
    );
    let map = format!(
        r#"{{"StartAt":"M","States":{{"M":{{"Type":"Map","End":true,"ItemsPath":"$","ItemProcessor":{}}}}}}}"#,
        call()
    );
    let again = r#","Retry":[{"ErrorEquals":["States.ALL"],"IntervalSeconds":200,"BackoffRate":1}],"TimeoutSeconds":10"#;
    let again = call().replacen(r#","End""#, &format!(r#"{again},"End""#), 1);
    let cases = [
        (wait(301), "{}", "TIMED_OUT", 300_000),
        (wait(299), "{}", "SUCCEEDED", 299_000),
        (call(), NEVER, "TIMED_OUT", 300_000),
        (call(), "299000", "SUCCEEDED", 299_000),
        (parallel, NEVER, "TIMED_OUT", 300_000),
        (map.clone(), r#"[1,299000]"#, "SUCCEEDED", 299_000),
        (map, r#"[1,"never"]"#, "TIMED_OUT", 300_000),
        (again, NEVER, "TIMED_OUT", 300_000),
        (declaring(10, &wait(301)), "{}", "TIMED_OUT", 10_000),
        (declaring(400, &wait(301)), "{}", "TIMED_OUT", 300_000),
    ];
    for (definition, input, status, lasted) in cases {
        let mut sim = journaled(31, MachineType::Express, &definition, input);
        sim.run().unwrap();
        assert_eq!(end(&sim), (status, lasted), "{definition} {input}");
        assert!(sim.world.events.changes().is_empty(), "Express executions have no status events");
    }
    for definition in [wait(301), call()] {
        let mut sim = journaled(31, MachineType::Standard, &definition, "301000");
        sim.run().unwrap();
        assert_eq!(end(&sim), ("SUCCEEDED", 301_000), "a Standard one goes on: {definition}");
    }
}

/// What is said of an execution's end is the same wherever it runs.
#[test]
fn express_times_out_alike_in_memory_and_journaled() {
    let told = [true, false].map(|express_in_memory| {
        let mut sim = Sim::new(32, Settings { express_in_memory, ..Settings::default() });
        sim.start(&of_type(MachineType::Express, &wait(301)), "e", "{}");
        sim.run().unwrap();
        let logged = sim.world.logs.logged();
        let began = logged[0].events[0].1.at.0;
        let event = |(_, event): &(_, HistoryEvent)| {
            (event.id, event.previous, event.event_type, event.details.clone(), event.at.0 - began)
        };
        logged.iter().flat_map(|logged| &logged.events).map(event).collect::<Vec<_>>()
    });
    assert_eq!(told[0], told[1]);
    let last = told[0].last().unwrap();
    assert_eq!((last.1, last.2, last.4), (EventId(0), "ExecutionTimedOut", 300_000));
}

/// Whoever dies at whatever step: it ends after its five minutes, and not before.
#[test]
fn express_journaled_ends_in_time_wherever_its_driver_dies() {
    let states = format!(
        r#"{{"StartAt":"T","States":{{"T":{{"Type":"Task","Resource":"{FUNCTION}","ResultPath":null,"Next":"W"}},"W":{{"Type":"Wait","Seconds":3000,"End":true}}}}}}"#
    );
    for (definition, input) in [(states, "1000"), (call(), r#""never""#)] {
        for steps in 0..40 {
            let mut sim = journaled(steps, MachineType::Express, &definition, input);
            for _ in 0..steps {
                sim.step().unwrap();
            }
            for _ in 0..20 {
                sim.crash_process();
            }
            sim.run().unwrap();
            let (status, lasted) = end(&sim);
            assert_eq!(status, "TIMED_OUT", "{steps} steps");
            // A driver that holds the timer may die late: its message comes again after its lease.
            assert!((300_000..=365_000).contains(&lasted), "{steps} steps: {lasted} ms, {definition}");
        }
        for seed in 0..100 {
            let mut sim = journaled(seed, MachineType::Express, &definition, input);
            sim.world.faults.set(Rates { crash: 100, duplicate: 100, ..Rates::default() });
            for _ in 0..100 {
                sim.step().unwrap();
            }
            sim.world.faults.set(Rates::default());
            sim.run().unwrap();
            if !sim.world.journal.metas().is_empty() {
                let (status, lasted) = end(&sim);
                assert!(status == "TIMED_OUT" && lasted >= 300_000, "seed {seed}: {status}, {lasted} ms");
            }
        }
    }
}

/// The timer of the whole is its driver's for as long as that has something to do: no message is sent for it, and no driver stays for it.
#[test]
fn express_journaled_needs_no_message_for_its_five_minutes_while_it_is_driven() {
    let is_timers = |sim: &Sim| {
        let messages = sim.world.queue.messages();
        messages.iter().filter(|(_, m)| matches!(m.body, MessageBody::TimerFired { .. })).count()
    };
    let mut sim = journaled(33, MachineType::Express, &call(), "20000");
    while sim.step().unwrap() {
        assert_eq!(is_timers(&sim), 0);
    }
    assert_eq!(end(&sim), ("SUCCEEDED", 20_000));
    let mut sim = journaled(33, MachineType::Express, &wait(20), "{}");
    let began = sim.world.clock.now().0;
    let mut most = 0;
    while sim.world.clock.now().0 < began + 10_000 && sim.step().unwrap() {
        most = most.max(is_timers(&sim));
    }
    assert_eq!(most, 2, "the Wait's and the whole's, once there is nothing else to do");
}

/// Executions of a Map Run are journaled everywhere.
#[test]
fn express_executions_of_a_map_run_end_after_five_minutes() {
    let processor =
        call().replacen('{', r#"{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},"#, 1);
    let definition = format!(
        r#"{{"StartAt":"D","States":{{"D":{{"Type":"Map","End":true,"ItemsPath":"$","ToleratedFailureCount":1,"ItemProcessor":{processor}}}}}}}"#
    );
    let mut sim = journaled(34, MachineType::Standard, &definition, r#"[1000,"never"]"#);
    sim.run().unwrap();
    let ended = sim.world.map_runs.all()[0].ended;
    assert_eq!((ended.succeeded.children, ended.timed_out.children), (1, 1), "{ended:?}");
    let mut ends: Vec<_> = sim.world.journal.metas().iter().map(|meta| meta.status()).collect();
    ends.sort_unstable();
    assert_eq!(ends, ["SUCCEEDED", "SUCCEEDED", "TIMED_OUT"]);
    assert_eq!(end(&sim).0, "SUCCEEDED");
}

/// Somebody who receives it a second time goes on with what was ready.
#[test]
fn express_in_memory_goes_on_when_its_message_is_hidden_anew() {
    let (mut sim, machine) = in_memory(35, Settings::default());
    let counting = r#"{"StartAt":"A","States":{
        "A":{"Type":"Pass","Parameters":{"n.$":"States.MathAdd($.n,1)"},"Next":"B"},
        "B":{"Type":"Choice","Choices":[{"Variable":"$.n","NumericLessThan":5000,"Next":"A"}],"Default":"C"},
        "C":{"Type":"Succeed"}}}"#;
    let machine = StateMachine { definition: counting.into(), revision: "2".into(), ..(*machine).clone() };
    sim.start(&Arc::new(machine), "e", r#"{"n":0}"#);
    while logged(&sim).is_empty() {
        assert!(sim.step().unwrap());
    }
    sim.world.clock.advance(Duration::from_secs(21));
    sim.run().unwrap();
    assert_eq!(logged(&sim).last().unwrap().1, "ExecutionSucceeded");
}
