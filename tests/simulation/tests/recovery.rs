//! What a crash leaves, and what becomes of it (PROTOCOL §6–8), case by case.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use stepwell_asl::MachineType;
use stepwell_engine::message::{Callback, MapRunMessage, Message, MessageBody};
use stepwell_engine::port::{Clock, Queue, Seq, StateMachine};
use stepwell_engine::{Driven, Settings};
use stepwell_expr::Payload;
use stepwell_interpreter::{AttemptId, Claimant, ErrorOutput, Event, EventBody, Record};
use stepwell_simulation::Sim;
use stepwell_test_support::{Answer, Rates, machine};

fn task(resource: &str, more: &str) -> StateMachine {
    let definition = format!(
        r#"{{"StartAt":"T","States":{{"T":{{"Type":"Task","Resource":"{resource}","End":true{more}}}}}}}"#
    );
    machine("M", &definition)
}

const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:f";

/// Starts `machine`, lets the process die while its call is open, and goes on with a new one.
fn crash_in_call(machine: StateMachine) -> Sim {
    let mut sim = Sim::new(1, Settings::default());
    sim.world.tasks.script(|call| Answer::echo(call, Duration::from_secs(30)));
    sim.start(&Arc::new(machine), "e", "{}");
    while sim.world.tasks.calls().is_empty() {
        assert!(sim.step().unwrap());
    }
    // One of the two processes drives; both die.
    for _ in 0..20 {
        sim.crash_process();
    }
    sim.run().unwrap();
    sim
}

fn status(sim: &Sim) -> (&'static str, Option<String>) {
    let meta = sim.world.journal.metas().remove(0);
    let error = meta.end.as_ref().and_then(|end| end.error.error.as_ref().map(ToString::to_string));
    (meta.status(), error)
}

#[test]
fn a_call_of_unknown_outcome_fails_and_is_not_made_again() {
    let sim = crash_in_call(task(FUNCTION, ""));
    assert_eq!(status(&sim), ("FAILED", Some("Lambda.Unknown".into())));
    assert_eq!(sim.world.tasks.calls().len(), 1);
}

#[test]
fn what_a_call_came_to_outlasts_a_store_that_takes_nothing() {
    let down = Rates { refuse: 1_000, ..Rates::default() };
    for (minutes, machine) in [(1, task(FUNCTION, "")), (60, task(FUNCTION, r#","TimeoutSeconds":90000"#))] {
        let mut sim = Sim::new(2, Settings::default());
        sim.one_process = true;
        sim.world.tasks.script(|call| Answer::echo(call, Duration::from_secs(5)));
        sim.start(&Arc::new(machine), "e", "{}");
        while sim.world.tasks.calls().is_empty() {
            assert!(sim.step().unwrap());
        }
        sim.world.faults.set(down);
        let until = sim.world.clock.now().0 + minutes * 60_000;
        while sim.world.clock.now().0 < until {
            sim.step().unwrap();
        }
        sim.calm();
        sim.run().unwrap();
        assert_eq!((status(&sim), sim.world.tasks.calls().len()), (("SUCCEEDED", None), 1));
    }
}

#[test]
fn a_retrier_may_take_it_up() {
    let retry = r#","Retry":[{"ErrorEquals":["Lambda.Unknown"],"IntervalSeconds":1}]"#;
    let sim = crash_in_call(task(FUNCTION, retry));
    assert_eq!(status(&sim), ("SUCCEEDED", None));
    assert_eq!(sim.world.tasks.calls().len(), 2, "two attempts, each called once");
}

#[test]
fn an_idempotent_call_is_made_again_as_the_same_attempt() {
    for machine in [
        task("arn:aws:states:::dynamodb:getItem", r#","Parameters":{"TableName":"t","Key":{}}"#),
        StateMachine { machine_type: MachineType::Express, ..task(FUNCTION, "") },
    ] {
        let sim = crash_in_call(machine);
        assert_eq!(status(&sim), ("SUCCEEDED", None));
        assert_eq!(sim.world.tasks.calls().into_values().collect::<Vec<_>>(), [2]);
    }
}

#[test]
fn a_wait_that_a_dead_driver_held_is_set_again() {
    let wait = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":60,"End":true}}}"#;
    for crash_at in 1..12 {
        let mut sim = Sim::new(crash_at, Settings::default());
        sim.start(&Arc::new(machine("M", wait)), "e", "{}");
        for _ in 0..crash_at * 3 {
            sim.step().unwrap();
        }
        for _ in 0..20 {
            sim.crash_process();
        }
        sim.run().unwrap();
        assert_eq!(status(&sim), ("SUCCEEDED", None), "crash {crash_at}");
    }
}

/// A callback machine that has been called, and its token.
fn waiting() -> (Sim, Arc<str>) {
    let mut sim = Sim::new(3, Settings::default());
    sim.world.tasks.script(|_| Answer::submit(Duration::from_millis(5)));
    let resource = "arn:aws:states:::sqs:sendMessage.waitForTaskToken";
    let parameters = r#","Parameters":{"QueueUrl":"q","MessageBody":{"token.$":"$$.Task.Token"}}"#;
    sim.start(&Arc::new(task(resource, parameters)), "e", "{}");
    sim.run().unwrap();
    let token = sim.world.tasks.tokens().remove(0);
    (sim, token)
}

#[test]
fn the_first_callback_counts_and_its_repeat_is_answered_as_it_was() {
    let (mut sim, token) = waiting();
    let ok = Callback::Success(Payload::parse(r#"{"ok": 1}"#).unwrap());
    let other = Callback::Success(Payload::parse(r#"{"ok": 2}"#).unwrap());
    for callback in [&ok, &ok, &other] {
        sim.callback(&token, callback.clone());
        sim.run().unwrap();
    }
    let answers: Vec<_> = sim.callbacks().into_iter().map(|(_, answer)| answer).collect();
    assert_eq!(answers, [Ok(()), Ok(()), Err("the task has ended".into())]);
    assert_eq!(status(&sim), ("SUCCEEDED", None));
}

#[test]
fn tokens_that_are_none_are_refused() {
    let (mut sim, token) = waiting();
    let (arn, attempt, nonce) = {
        let token = stepwell_interpreter::token::decode(&token).unwrap();
        (token.execution_arn, token.attempt, token.nonce)
    };
    let wrong = [
        "nonsense".to_owned(),
        stepwell_interpreter::token::encode(&arn, attempt, nonce ^ 1),
        stepwell_interpreter::token::encode("arn:of:nothing", attempt, nonce),
    ];
    for token in wrong {
        sim.callback(&token.into(), Callback::Success(Payload::default()));
    }
    sim.run().unwrap();
    let mut answers: Vec<_> = sim.callbacks().into_iter().map(|(_, answer)| answer.unwrap_err()).collect();
    answers.sort();
    assert_eq!(answers, ["invalid token", "the task does not exist", "the task does not exist"]);
}

#[test]
fn a_stop_is_final_and_says_when() {
    let (mut sim, token) = waiting();
    let arn = sim.started().remove(0);
    sim.stop(&arn);
    sim.stop(&arn);
    sim.run().unwrap();
    assert_eq!(status(&sim), ("ABORTED", Some("Stopped".into())));
    sim.callback(&token, Callback::Success(Payload::default()));
    sim.run().unwrap();
    assert!(sim.callbacks().remove(0).1.is_err());
}

#[test]
fn a_name_is_taken_while_its_execution_runs_with_another_input() {
    let machine = Arc::new(task("arn:aws:states:::sqs:sendMessage.waitForTaskToken", ""));
    let mut sim = Sim::new(5, Settings::default());
    sim.world.tasks.script(|_| Answer::submit(Duration::ZERO));
    for input in ["1", "1", "2"] {
        sim.start(&machine, "e", input);
        sim.run().unwrap();
    }
    assert_eq!((sim.started().len(), sim.refused().len()), (2, 1));
    sim.stop("arn:aws:states:us-east-1:123456789012:execution:M:e");
    sim.run().unwrap();
    sim.start(&machine, "e", "1");
    sim.run().unwrap();
    assert_eq!((sim.started().len(), sim.refused().len()), (2, 2), "it has ended: the name stays taken");
}

#[test]
fn a_call_is_given_up_at_its_timeout() {
    let mut sim = Sim::new(7, Settings::default());
    sim.world.tasks.script(|call| Answer::echo(call, Duration::from_secs(500)));
    sim.start(&Arc::new(task(FUNCTION, r#","TimeoutSeconds":9"#)), "e", "{}");
    sim.run().unwrap();
    assert_eq!(status(&sim), ("FAILED", Some("States.Timeout".into())));
    assert!(sim.world.clock.monotonic() < Duration::from_secs(20));
}

#[test]
fn a_panic_in_a_call_fails_that_call() {
    let mut sim = Sim::new(7, Settings::default());
    sim.world.tasks.script(|_| Answer { after: Duration::ZERO, with: None });
    sim.start(&Arc::new(task(FUNCTION, "")), "e", "{}");
    sim.run().unwrap();
    assert_eq!(status(&sim), ("FAILED", Some("Lambda.Unknown".into())));
}

/// Ten tasks of 30 ms under slices of this length; gives how many drivers it took.
fn drivers_of(slice: Duration) -> usize {
    let mut sim = Sim::new(11, Settings { slice, ..Settings::default() });
    sim.world.tasks.script(|call| Answer::echo(call, Duration::from_millis(30)));
    let states: Vec<_> = (0..10)
        .map(|i| {
            let next = if i < 9 { format!(r#""Next":"T{}""#, i + 1) } else { r#""End":true"#.into() };
            format!(r#""T{i}":{{"Type":"Task","Resource":"{FUNCTION}",{next}}}"#)
        })
        .collect();
    let definition = format!(r#"{{"StartAt":"T0","States":{{{}}}}}"#, states.join(","));
    sim.start(&Arc::new(machine("M", &definition)), "e", "{}");
    sim.run().unwrap();
    assert_eq!(status(&sim), ("SUCCEEDED", None));
    let claimant = |record| match record {
        Record::Event(Event { body: EventBody::Started { claimant, .. }, .. }) => claimant,
        _ => None,
    };
    let records = sim.records("arn:aws:states:us-east-1:123456789012:execution:M:e").unwrap();
    records.into_iter().filter_map(claimant).collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn a_slice_that_is_over_hands_on() {
    assert_eq!(drivers_of(Duration::from_secs(60)), 1);
    assert_eq!(drivers_of(Duration::from_millis(50)), 5);
    assert_eq!(drivers_of(Duration::ZERO), 10, "each does one thing at least");
}

#[test]
fn a_large_output_is_stored_once_and_described_whole() {
    let text = "x".repeat(100_000);
    let mut sim = Sim::new(13, Settings::default());
    let large = Payload::parse(format!(r#"{{"text":"{text}"}}"#)).unwrap();
    let answer = large.clone();
    sim.world.tasks.script(move |_| {
        let outcome = stepwell_interpreter::Outcome::Succeeded(answer.clone());
        Answer { after: Duration::ZERO, with: Some(stepwell_engine::port::TaskAnswer::Ended(outcome)) }
    });
    sim.start(&Arc::new(task(FUNCTION, "")), "e", "{}");
    sim.run().unwrap();
    let arn = sim.started().remove(0);
    let stored = sim.world.journal.metas().remove(0);
    assert_eq!(stored.end.as_ref().unwrap().output, None);
    let engine = sim.engine();
    let described = sim.block_on(async move { engine.describe(&arn).await.unwrap().unwrap() });
    assert_eq!(described.end.as_ref().unwrap().output.as_ref(), Some(&large));
    let pages = sim.world.journal.loaded(&described.execution_arn).unwrap().pages;
    assert!(pages.iter().map(|(_, page)| page.bytes.len()).sum::<usize>() < 3_000, "compressed, and once");
}

#[test]
fn an_execution_that_fails_again_and_again_is_parked() {
    let settings = Settings { receives_max: Some(4), ..Settings::default() };
    let mut sim = Sim::new(17, settings);
    let machine = Arc::new(task(FUNCTION, ""));
    sim.start(&machine, "e", "{}");
    sim.world.registry.put(Arc::new(StateMachine { definition: "{}".into(), ..(*machine).clone() }));
    for _ in 0..2 {
        sim.crash_process();
    }
    for _ in 0..2_000 {
        sim.step().unwrap();
    }
    let meta = sim.world.journal.metas().remove(0);
    assert!(meta.parked.as_ref().is_some_and(|parked| parked.message == "m1"), "{meta:?}");
    assert_eq!(meta.status(), "RUNNING");
}

/// The end of a nested execution, told before the answer to the call that started it is recorded, does not use up its receipts.
#[test]
fn an_end_that_is_told_early_is_not_given_up() {
    let mut sim = Sim::new(19, Settings { receives_max: Some(5), ..Settings::default() });
    sim.world.tasks.script(|_| Answer::submit(Duration::from_secs(30)));
    let call =
        r#","Parameters":{"StateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:Child"}"#;
    sim.start(&Arc::new(task("arn:aws:states:::states:startExecution.sync:2", call)), "e", "{}");
    while sim.world.tasks.calls().is_empty() {
        assert!(sim.step().unwrap());
    }
    let (meta, sent_at) = (sim.world.journal.metas().remove(0), sim.world.clock.now());
    let outcome = Callback::Success(Payload::parse(r#"{"n":1}"#).unwrap());
    let body = MessageBody::ChildFinished { attempt: AttemptId(0), outcome };
    let message = Message { execution: meta.execution_arn.clone(), run: meta.run, epoch: 0, sent_at, body };
    let queue = sim.world.queue.clone();
    sim.block_on(async move { queue.send(message, None).await.unwrap() });
    sim.run().unwrap();
    let meta = sim.world.journal.metas().remove(0);
    assert_eq!((meta.status(), &meta.parked), ("SUCCEEDED", &None), "{:?}", meta.end);
}

#[test]
fn an_execution_whose_page_is_damaged_is_given_up_soon_where_the_queue_gives_up() {
    const MAX: u32 = 5;
    let check = |receives_max, seconds: u64| {
        let mut sim = Sim::new(18, Settings { receives_max, ..Settings::default() });
        let wait = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":60,"End":true}}}"#;
        sim.start(&Arc::new(machine("M", wait)), "e", "{}");
        while sim.world.journal.appends() == 0 {
            assert!(sim.step().unwrap());
        }
        let meta = sim.world.journal.metas().remove(0);
        sim.world.journal.damage(meta.run, Seq(1), b"\xff\xff\xff\xff");
        let (id, message) = sim.world.queue.messages().remove(0);
        let mut rests = Duration::ZERO;
        for receives in 1..=MAX {
            // Whoever has driven it would remember.
            for _ in 0..20 {
                sim.crash_process();
            }
            let claimant = Claimant { message: id.clone(), delivery: receives.into() };
            let (engine, message) = (sim.engine(), message.clone());
            match sim.block_on(async move { engine.drive(message, claimant, receives).await }) {
                Driven::Again { after } => rests += after,
                driven => panic!("{driven:?}"),
            }
        }
        assert_eq!(rests, Duration::from_secs(seconds), "{receives_max:?}");
        let meta = sim.world.journal.meta_of(&meta.execution_arn).unwrap();
        let why = &meta.parked.as_ref().expect("parked").why;
        assert!(why.contains("page 1: "), "what is damaged stays said: {why}");
        assert_eq!(meta.status(), "RUNNING");
    };
    // The last two receipts wait for the visibility.
    check(Some(MAX), 1 + 2 + 3 + 60 + 60);
    check(None, 5 * 600);
}

/// An execution whose task has failed is redriven while things go wrong, and its task works.
fn redriven(rates: Rates, seed: u64) -> Sim {
    let mut sim = Sim::new(seed, Settings::default());
    sim.world.tasks.script(|call| match call.call.attempt {
        AttemptId(0) => Answer::fail("Busy", Duration::from_millis(5)),
        _ => Answer::echo(call, Duration::from_millis(5)),
    });
    sim.start(&Arc::new(task(FUNCTION, "")), "e", r#"{"n":1}"#);
    sim.run().unwrap();
    assert_eq!(status(&sim), ("FAILED", Some("Busy".into())));
    sim.world.faults.set(rates);
    let arn = sim.started().remove(0);
    sim.redrive(&arn);
    for _ in 0..200 {
        sim.step().unwrap();
    }
    sim.world.faults.set(Rates::default());
    sim.run().unwrap();
    sim
}

#[test]
fn a_redrive_is_one_whatever_dies() {
    let calm = redriven(Rates::default(), 1);
    assert_eq!(status(&calm), ("SUCCEEDED", None));
    assert_eq!(calm.redriven().len(), 2, "it was told twice: {:?}", calm.not_redriven());
    let (mut died_before, mut died_after) = (0, 0);
    for seed in 0..300 {
        let sim = redriven(Rates { crash: 150, ..Rates::default() }, seed);
        match status(&sim) {
            ("FAILED", Some(error)) if error == "Busy" => died_before += 1,
            // The message was sent, and the handler died.
            ("SUCCEEDED" | "FAILED", _) if sim.redriven().is_empty() => died_after += 1,
            ("SUCCEEDED" | "FAILED", _) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(died_before > 10 && died_after > 10, "{died_before} {died_after}");
}

/// A timer, a callback and a driver of the epoch before are void in the next one.
#[test]
fn what_belongs_to_an_earlier_epoch_is_void() {
    let (mut sim, token) = waiting();
    let arn = sim.started().remove(0);
    sim.stop(&arn);
    sim.run().unwrap();
    sim.redrive(&arn);
    sim.run().unwrap();
    let success = Callback::Success(Payload::parse("1").unwrap());
    sim.callback(&token, success.clone());
    sim.run().unwrap();
    let answers: Vec<_> = sim.callbacks().into_iter().map(|(_, answer)| answer).collect();
    assert_eq!(answers, [Err("the task has ended".into())]);
    assert_eq!(status(&sim), ("RUNNING", None));
    let token = sim.world.tasks.tokens().pop().unwrap();
    sim.callback(&token, success);
    sim.run().unwrap();
    assert_eq!(status(&sim), ("SUCCEEDED", None));
}

/// A function that was invoked asynchronously, as `f`, and its machine's state with `more`.
fn accepted(more: &str) -> Sim {
    let settings = Settings { wait_max: Some(Duration::from_secs(1)), ..Settings::default() };
    let mut sim = Sim::new(3, settings);
    sim.world.tasks.script(|call| {
        assert_eq!(call.wait_max, Some(Duration::from_secs(1)));
        Answer::accept("f", Duration::from_secs(900), Duration::from_millis(5))
    });
    sim.start(&Arc::new(task(FUNCTION, more)), "e", "{}");
    sim
}

fn lasted(sim: &Sim) -> i64 {
    let meta = sim.world.journal.metas().remove(0);
    meta.end.as_ref().map_or(0, |end| end.at.0 - meta.info.started_at.0) / 1000
}

#[test]
fn the_end_of_a_function_comes_when_its_driver_has_left() {
    let done = Callback::Success(Payload::parse(r#"{"ok":1}"#).unwrap());
    let failed = Callback::Failure(ErrorOutput::new("Busy", "said the function"));
    for (result, expected) in [(&done, ("SUCCEEDED", None)), (&failed, ("FAILED", Some("Busy".to_owned())))] {
        let mut sim = accepted("");
        for _ in 0..2 {
            sim.tell(&"f".into(), result, Duration::from_secs(300));
        }
        while sim.world.clock.now().0
            < sim.world.journal.metas().first().map_or(i64::MAX, |meta| meta.info.started_at.0 + 200_000)
        {
            assert!(sim.step().unwrap());
        }
        assert!(sim.world.queue.messages().iter().all(|(_, message)| {
            matches!(message.body, stepwell_engine::message::MessageBody::TimerFired { .. })
        }));
        sim.run().unwrap();
        assert_eq!(status(&sim), expected);
        assert_eq!(lasted(&sim), 300);
        let answers: Vec<_> = sim.callbacks().into_iter().map(|(_, answer)| answer.is_ok()).collect();
        assert_eq!(answers, [true, false], "the second is of no use");
        assert_eq!(sim.world.tasks.most_calls(), 1);
        // To the public history it is a function like any other.
        let events: Vec<_> = sim.records("arn:aws:states:us-east-1:123456789012:execution:M:e").unwrap();
        let events = events.iter().filter(|record| matches!(record, Record::Event(_))).count();
        assert_eq!(events, if expected.1.is_some() { 6 } else { 7 });
    }
}

#[test]
fn a_function_whose_end_is_never_told_ends_all_the_same() {
    let mut sim = accepted("");
    sim.run().unwrap();
    assert_eq!((status(&sim), lasted(&sim)), (("FAILED", Some("Lambda.Unknown".into())), 900));
    let mut sim = accepted(r#","TimeoutSeconds":100"#);
    sim.run().unwrap();
    assert_eq!((status(&sim), lasted(&sim)), (("FAILED", Some("States.Timeout".into())), 100));
}

#[test]
fn what_is_told_of_a_function_before_its_call_is_kept_is_told_again() {
    let mut sim = accepted("");
    sim.tell(&"f".into(), &Callback::Success(Payload::default()), Duration::ZERO);
    sim.run().unwrap();
    assert_eq!((status(&sim), lasted(&sim)), (("SUCCEEDED", None), 60));
}

/// An execution of a Map Run of two items, in a world that takes its time between two requests.
fn slow_map_run(seed: u64) -> Sim {
    let definition = r#"{"StartAt":"D","States":{"D":{"Type":"Map","End":true,"ItemProcessor":{
        "ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},
        "StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}}}}"#;
    let mut sim = Sim::new(seed, Settings::default());
    sim.world.faults.set(Rates { delay: 1_000, delay_max: Duration::from_millis(50), ..Rates::default() });
    sim.start(&Arc::new(machine("M", definition)), "e", "[1,2]");
    sim
}

/// Found by the model (`ToldMeansAbandoned`): the driver of a Map Run dies between telling its end and writing it.
#[test]
fn a_map_run_ends_as_it_was_told() {
    let mut died = 0;
    for seed in 0..20 {
        let mut sim = slow_map_run(seed);
        let is_told = |sim: &Sim| {
            let messages = sim.world.queue.messages();
            messages.iter().any(|(_, message)| matches!(message.body, MessageBody::ChildFinished { .. }))
        };
        while !is_told(&sim) {
            assert!(sim.step().unwrap());
        }
        died += usize::from(sim.world.map_runs.all()[0].closed_at.is_none());
        for _ in 0..20 {
            sim.crash_process();
        }
        sim.run().unwrap();
        assert_eq!(sim.world.map_runs.all()[0].status(), "SUCCEEDED", "seed {seed}");
    }
    assert!(died > 0, "no driver died between the two");
}

/// The execution is stopped before its Map Run is begun, which then has no items that anybody knows of.
#[test]
fn a_map_run_that_was_given_up_before_it_began_is_aborted() {
    let mut given_up = 0;
    for seed in 0..20 {
        let mut sim = slow_map_run(seed);
        let begins = |sim: &Sim| {
            let messages = sim.world.queue.messages();
            messages.iter().any(|(_, message)| matches!(message.body, MessageBody::MapRun(_)))
        };
        while !begins(&sim) {
            assert!(sim.step().unwrap());
        }
        sim.stop(&sim.world.journal.metas()[0].execution_arn.clone());
        sim.run().unwrap();
        for map_run in sim.world.map_runs.all().iter().filter(|map_run| map_run.items == 0) {
            assert_eq!(map_run.status(), "ABORTED", "seed {seed}");
            given_up += 1;
        }
    }
    assert!(given_up > 0, "every Map Run was begun before its execution was stopped");
}

/// Of two deliveries of the message that redrives a Map Run, one begins the redrive and dies; the other, which had found nothing to do
/// before that, must not take it for done. (Seed 7559 of `redrives_among_zombies`.)
#[test]
fn a_redrive_of_a_map_run_is_not_left_to_one_who_dies() {
    let redrive = |sim: &Sim| {
        let mut messages = sim.world.queue.messages().into_iter();
        let is_it = |body: &MessageBody| matches!(body, MessageBody::MapRun(MapRunMessage::Redrive { .. }));
        messages.find(|(_, message)| is_it(&message.body))
    };
    let mut left = 0;
    for (slow, steps) in (2..10).flat_map(|slow| (60..100).map(move |steps| (slow, steps))) {
        let mut sim = Sim::new(1, Settings { former_deliveries_are_dead: false, ..Settings::default() });
        sim.world.faults.set(Rates { delay: 1_000, delay_max: Duration::from_millis(2), ..Rates::default() });
        sim.world.tasks.script(|call| match call.call.attempt {
            AttemptId(0) => Answer::echo(call, Duration::from_secs(3_600)),
            _ => Answer::echo(call, Duration::from_millis(5)),
        });
        let processor = task(FUNCTION, "").definition.replacen('{', DISTRIBUTED, 1);
        let states = format!(
            r#"{{"StartAt":"D","States":{{"D":{{"Type":"Map","End":true,"ItemProcessor":{processor}}}}}}}"#
        );
        sim.start(&Arc::new(machine("M", &states)), "e", "[1]");
        while sim.world.tasks.calls().is_empty() {
            assert!(sim.step().unwrap());
        }
        let arn = sim.started().remove(0);
        sim.stop(&arn);
        while sim.world.journal.meta_of(&arn).unwrap().end.is_none() {
            assert!(sim.step().unwrap());
        }
        sim.redrive(&arn);
        while redrive(&sim).is_none() {
            assert!(sim.step().unwrap());
        }
        let (id, message) = redrive(&sim).unwrap();
        let (engine, claimant) = (sim.engine(), Claimant { message: id.clone(), delivery: 7 });
        let mut driving = Box::pin(async move { engine.drive(message, claimant, 1).await });
        let clock = sim.world.clock.clone();
        let mut go_on = || {
            let driven = driving.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            clock.advance(Duration::from_millis(2));
            driven
        };
        assert!((0..slow).all(|_| go_on().is_pending()));
        for _ in 0..steps {
            sim.step().unwrap();
        }
        for _ in 0..20 {
            sim.crash_process();
        }
        left += usize::from(sim.world.queue.holds(&id));
        match sim.block_on(driving) {
            Driven::Done => sim.world.queue.delete(&id),
            Driven::Again { after } => sim.world.queue.put_back(&id, after),
        }
        sim.calm();
        sim.run().unwrap_or_else(|broken| panic!("{slow} polls, {steps} steps: {broken:?}"));
        assert_eq!(sim.world.journal.meta_of(&arn).unwrap().status(), "SUCCEEDED");
    }
    assert!(left > 100, "{left}");
}

/// Behind the brace that a definition begins with.
const DISTRIBUTED: &str = r#"{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"#;
