//! Executions in a world where everything goes wrong for a while.
//!
//! A failure prints its seed; `STEPWELL_SEED=<seed> cargo test -p stepwell-simulation --test faults` runs it alone.
//! `STEPWELL_SEEDS=100` tries a hundred times as many seeds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use stepwell_asl::MachineType;
use stepwell_engine::Settings;
use stepwell_engine::message::Callback;
use stepwell_engine::meta::Parent;
use stepwell_engine::port::StateMachine;
use stepwell_expr::Payload;
use stepwell_interpreter::{ErrorOutput, Event, EventBody, Record};
use stepwell_simulation::{Broken, Sim};
use stepwell_test_support::{Answer, Random, Rates, machine};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:f";
const JOB: &str = "arn:aws:states:::states:startExecution.sync";
const TOKEN: &str = "arn:aws:states:::sqs:sendMessage.waitForTaskToken";

/// Every shape that the protocol treats in its own way.
fn machines() -> Vec<Arc<StateMachine>> {
    let definitions = [
        (
            "Pure",
            r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Pass","End":true}}}"#
                .to_owned(),
        ),
        ("Chain", chain("T", 4)),
        (
            "Retry",
            format!(
                r#"{{"StartAt":"T","States":{{
            "T":{{"Type":"Task","Resource":"{FUNCTION}","Next":"U",
                "Retry":[{{"ErrorEquals":["Busy"],"MaxAttempts":3,"IntervalSeconds":1,"JitterStrategy":"FULL"}},{{"ErrorEquals":["Lambda.Unknown"],"MaxAttempts":1}}],
                "Catch":[{{"ErrorEquals":["States.ALL"],"Next":"W"}}]}},
            "U":{{"Type":"Task","Resource":"{FUNCTION}","TimeoutSeconds":1,"Catch":[{{"ErrorEquals":["States.ALL"],"Next":"W"}}],"Next":"W"}},
            "W":{{"Type":"Wait","Seconds":1,"End":true}}}}}}"#
            ),
        ),
        (
            "Wait",
            r#"{"StartAt":"A","TimeoutSeconds":4000,"States":{"A":{"Type":"Wait","Seconds":7,"Next":"B"},
            "B":{"Type":"Wait","Seconds":2000,"Next":"C"},"C":{"Type":"Wait","Seconds":3600,"End":true}}}"#
                .to_owned(),
        ),
        (
            "Parallel",
            format!(
                r#"{{"StartAt":"P","States":{{"P":{{"Type":"Parallel","End":true,
            "Catch":[{{"ErrorEquals":["States.ALL"],"Next":"F"}}],"Branches":[
                {},{},{{"StartAt":"W","States":{{"W":{{"Type":"Wait","Seconds":3,"End":true}}}}}}]}},
            "F":{{"Type":"Pass","End":true}}}}}}"#,
                chain("A", 2),
                chain("B", 3)
            ),
        ),
        (
            "Map",
            format!(
                r#"{{"StartAt":"M","States":{{"M":{{"Type":"Map","End":true,"ItemsPath":"$.items","MaxConcurrency":2,
            "Retry":[{{"ErrorEquals":["Lambda.Unknown"],"MaxAttempts":1}}],
            "ItemProcessor":{}}}}}}}"#,
                chain("A", 2)
            ),
        ),
        (
            "Callback",
            format!(
                r#"{{"StartAt":"T","States":{{"T":{{"Type":"Task","Resource":"{TOKEN}","End":true,
            "TimeoutSeconds":100,"HeartbeatSeconds":20,"Retry":[{{"ErrorEquals":["States.Timeout","Lambda.Unknown"],"MaxAttempts":1}}],
            "Parameters":{{"QueueUrl":"q","MessageBody":{{"token.$":"$$.Task.Token"}}}}}}}}}}"#
            ),
        ),
        (
            "Two",
            format!(
                r#"{{"StartAt":"P","States":{{"P":{{"Type":"Parallel","End":true,"Branches":[{},
            {{"StartAt":"T","States":{{"T":{{"Type":"Task","Resource":"{TOKEN}","TimeoutSeconds":50,"Next":"U",
                "Parameters":{{"QueueUrl":"q","MessageBody":{{"token.$":"$$.Task.Token"}}}}}},
                "U":{{"Type":"Task","Resource":"{FUNCTION}","End":true}}}}}}]}}}}}}"#,
                chain("A", 2)
            ),
        ),
        (
            "Job",
            format!(
                r#"{{"StartAt":"P","States":{{"P":{{"Type":"Parallel","End":true,"Branches":[{},
            {{"StartAt":"J","States":{{"J":{{"Type":"Task","Resource":"{JOB}","TimeoutSeconds":900,"Next":"K",
                "Retry":[{{"ErrorEquals":["Lambda.Unknown"],"MaxAttempts":1}}]}},
                "K":{{"Type":"Task","Resource":"{JOB}","End":true}}}}}}]}}}}}}"#,
                chain("A", 2)
            ),
        ),
        ("Distributed", distributed("D", &chain("A", 2), r#""MaxConcurrency":2,"ToleratedFailureCount":1"#)),
        (
            "Batches",
            format!(
                r#"{{"StartAt":"P","States":{{"P":{{"Type":"Parallel","End":true,
            "Catch":[{{"ErrorEquals":["States.ALL"],"Next":"F"}}],"Branches":[{},{}]}},
            "F":{{"Type":"Wait","Seconds":1,"End":true}}}}}}"#,
                distributed(
                    "D",
                    &chain("A", 1),
                    r#""ItemBatcher":{"MaxItemsPerBatch":2},"Retry":[{"ErrorEquals":["States.ALL"],"MaxAttempts":1}]"#
                ),
                chain("B", 3)
            ),
        ),
        (
            "Nested",
            distributed(
                "D",
                &distributed("E", &chain("A", 1), r#""ToleratedFailurePercentage":50"#),
                r#""ItemSelector":{"items.$":"$.items"},"ToleratedFailureCount":2"#,
            ),
        ),
        (
            "Loop",
            format!(
                r#"{{"StartAt":"T","States":{{
            "T":{{"Type":"Task","Resource":"{FUNCTION}","Parameters":{{"n.$":"States.MathAdd($.n, 1)"}},"Next":"C"}},
            "C":{{"Type":"Choice","Choices":[{{"Variable":"$.n","NumericLessThan":4,"Next":"W"}}],"Default":"S"}},
            "W":{{"Type":"Wait","Seconds":1,"Next":"T"}},"S":{{"Type":"Succeed"}}}}}}"#
            ),
        ),
    ];
    definitions.into_iter().map(|(name, definition)| Arc::new(machine(name, &definition))).collect()
}

/// A distributed Map state `name` with the members `more`, which is a machine of its own.
fn distributed(name: &str, processor: &str, more: &str) -> String {
    let processor = processor.replacen(
        '{',
        r#"{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"#,
        1,
    );
    format!(
        r#"{{"StartAt":"{name}","States":{{"{name}":{{"Type":"Map","End":true,"ItemsPath":"$.items",{more},
            "ItemProcessor":{processor}}}}}}}"#
    )
}

fn chain(name: &str, tasks: usize) -> String {
    let states: Vec<_> = (0..tasks)
        .map(|i| {
            let next =
                if i + 1 < tasks { format!(r#""Next":"{name}{}""#, i + 1) } else { r#""End":true"#.into() };
            format!(r#""{name}{i}":{{"Type":"Task","Resource":"{FUNCTION}",{next}}}"#)
        })
        .collect();
    format!(r#"{{"StartAt":"{name}0","States":{{{}}}}}"#, states.join(","))
}

const INPUT: &str = r#"{"n":0,"items":[1,2,3],"text":"a text that is long enough to be referred to by the pages that follow the one it came with, which takes two hundred and fifty-six bytes at the least, so that it has to go on for a while, and a while longer, until it is long enough for that, as it is now"}"#;

/// How a simulation goes wrong.
#[derive(Clone, Copy)]
struct Plan {
    rates: Rates,
    redeliver: u32,
    crash_process: u32,
    stop: bool,
    /// How often, in a thousand steps, an execution is redriven, if it can be.
    redrive: u32,
    slice: Duration,
    /// Express workflows, whose calls may be made again.
    express: bool,
    /// One machine, where one process owns the store.
    one_process: bool,
    /// How long a driver can wait for a call.
    wait_max: Option<Duration>,
}

fn settings(plan: Plan) -> Settings {
    Settings {
        slice: plan.slice,
        former_deliveries_are_dead: plan.one_process,
        patience: Duration::from_secs(10),
        wait_max: plan.wait_max,
        ..Settings::default()
    }
}

/// Answers as its own seed says: mostly well, sometimes late or badly.
fn script(sim: &Sim, seed: u64, plan: Plan) {
    let mut random = Random::new(seed ^ 0x5C21);
    sim.world.tasks.script(move |call| {
        let slowest = if random.chance(30) { 5 } else { 4 };
        let after = Duration::from_millis([1, 30, 400, 1500, 70_000][random.below(slowest)]);
        if call.call.resource.outlives_call() {
            return Answer::submit(after.min(Duration::from_secs(2)));
        }
        if call.wait_max.is_some_and(|wait_max| after > wait_max) {
            let id = format!("{:x}", random.bits());
            return Answer::accept(&id, Duration::from_secs(1_000), after.min(Duration::from_secs(2)));
        }
        match random.below(if plan.redrive > 4 { 6 } else { 20 }) {
            0 => Answer::fail("Busy", after),
            1 => Answer { after, with: None },
            _ => Answer::echo(call, after),
        }
    });
}

/// Lets the world run, with faults for `steps` and then without.
fn simulate(seed: u64, plan: Plan) -> Result<Sim, Broken> {
    let mut random = Random::new(seed ^ 0xCA11);
    let skew = random.below(8_000) as i64 - 4_000;
    let mut sim = Sim::with_skew(seed, settings(plan), skew);
    script(&sim, seed, plan);
    sim.world.faults.set(plan.rates);
    sim.redeliver = plan.redeliver;
    sim.may_call_again = plan.express;
    sim.one_process = plan.one_process;
    sim.told_twice = 300;
    // Express workflows know no callbacks, wait for no jobs and have no Map Runs.
    let outlives_call =
        |definition: &str| [TOKEN, JOB, "DISTRIBUTED"].iter().any(|text| definition.contains(text));
    let is_wanted = |machine: &Arc<StateMachine>| !plan.express || !outlives_call(&machine.definition);
    let machines: Vec<_> =
        machines().into_iter().filter(is_wanted).map(|machine| of_type(plan, machine)).collect();
    for i in 0..3 {
        let machine = &machines[random.below(machines.len())];
        sim.start(machine, &format!("e{i}"), INPUT);
    }
    let mut rounds = if plan.redrive > 0 { 4 } else { 0 };
    for _ in 0..3_000 {
        let goes_on = sim.step()?;
        if !jobs(&mut sim, &machines) && !goes_on {
            if rounds == 0 {
                break;
            }
            rounds -= 1;
            sim.started().iter().for_each(|arn| sim.redrive(arn));
        }
        if random.chance(plan.crash_process) {
            sim.crash_process();
        }
        outside(&mut sim, &mut random, plan);
        told(&mut sim, &mut random);
    }
    sim.world.faults.set(Rates::default());
    sim.redeliver = 0;
    while sim.step()? || jobs(&mut sim, &machines) {
        jobs(&mut sim, &machines);
        told(&mut sim, &mut random);
    }
    sim.run()?;
    Ok(sim)
}

/// Functions that were invoked asynchronously come to their ends, some before their call is answered, some never.
fn told(sim: &mut Sim, random: &mut Random) {
    for id in sim.world.tasks.take_accepted() {
        let result = match random.below(4) {
            0 => Callback::Failure(ErrorOutput::new("Busy", "says the function")),
            _ => Callback::Success(Payload::parse(r#"{"told":true}"#).unwrap()),
        };
        let after = Duration::from_millis([0, 10, 1_000, 90_000][random.below(4)]);
        if !random.chance(50) {
            sim.tell(&id, &result, after);
        }
    }
}

/// Starts the executions that tasks have asked for, each with the name that its attempt gives it.
fn jobs(sim: &mut Sim, machines: &[Arc<StateMachine>]) -> bool {
    let jobs = sim.world.tasks.take_jobs();
    for parent in &jobs {
        let Parent::Task { run, attempt, .. } = parent else { continue };
        // Some succeed, some fail, and none asks for another.
        let machine = &machines[[0, 2][attempt.0 as usize % 2]];
        sim.start_child(machine, &format!("{:x}-{}", run.0, attempt.0), INPUT, Some(parent.clone()));
    }
    !jobs.is_empty()
}

fn of_type(plan: Plan, machine: Arc<StateMachine>) -> Arc<StateMachine> {
    match plan.express {
        true => {
            Arc::new(StateMachine { machine_type: MachineType::Express, ..StateMachine::clone(&machine) })
        }
        false => machine,
    }
}

/// A call that was given up because its driver died.
fn given_up(sim: &Sim) -> Result<Option<Record>, Broken> {
    let unknown =
        |error: &ErrorOutput| error.cause.as_ref().is_some_and(|cause| cause.contains("driver died"));
    for meta in sim.world.journal.metas() {
        let records = sim.records(&meta.execution_arn)?;
        let lost = |record: &Record| match record {
            Record::Event(Event { body: EventBody::Failed(_, _, error), .. }) => unknown(error),
            _ => false,
        };
        if let Some(record) = records.into_iter().find(lost) {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// Callbacks, heartbeats, changes of Map Runs and stops, at any moment.
fn outside(sim: &mut Sim, random: &mut Random, plan: Plan) {
    if random.chance(20) {
        let tokens = sim.world.tasks.tokens();
        if let Some(token) = tokens.get(random.below(tokens.len())) {
            let success = Callback::Success(Payload::parse(r#"{"ok":true}"#).unwrap());
            match random.below(4) {
                0 => sim.heartbeat(token),
                1 => sim.callback(token, Callback::Failure(ErrorOutput::new("Refused", "by the worker"))),
                _ => sim.callback(token, success),
            }
        }
    }
    if random.chance(20) {
        let map_runs = sim.world.map_runs.all();
        if let Some(map_run) = map_runs.get(random.below(map_runs.len())) {
            sim.update_map_run(&map_run.arn, random.below(4) as u32);
        }
    }
    if plan.stop && random.chance(2 + plan.redrive / 4) {
        let started = sim.started();
        if let Some(arn) = started.get(random.below(started.len())) {
            sim.stop(arn);
        }
    }
    if random.chance(plan.redrive) {
        let started = sim.started();
        if let Some(arn) = started.get(random.below(started.len())) {
            sim.redrive(arn);
        }
    }
}

#[track_caller]
fn check(seeds: std::ops::Range<u64>, plan: Plan, also: impl Fn(&Sim) -> Result<(), Broken>) {
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let more = number("STEPWELL_SEEDS").unwrap_or(1);
    let seeds = seeds.start * more..seeds.end * more;
    for seed in number("STEPWELL_SEED").map_or(seeds, |seed| seed..seed + 1) {
        let outcome = simulate(seed, plan).and_then(|sim| also(&sim));
        if let Err(Broken(what)) = outcome {
            panic!("{what}\n\nagain: STEPWELL_SEED={seed} cargo test -p stepwell-simulation --test faults");
        }
    }
}

const HEALTHY: Plan = Plan {
    rates: RATES,
    redeliver: 0,
    crash_process: 0,
    stop: false,
    redrive: 0,
    slice: Duration::from_secs(5),
    express: false,
    one_process: false,
    wait_max: None,
};
const RATES: Rates = Rates {
    delay: 300,
    delay_max: Duration::from_millis(300),
    refuse: 0,
    lose_reply: 0,
    crash: 0,
    duplicate: 0,
};

#[test]
fn slow_ports_and_any_order() {
    check(0..60, HEALTHY, |_| Ok(()));
}

#[test]
fn refusals_and_lost_replies() {
    let rates = Rates { refuse: 50, lose_reply: 50, ..RATES };
    check(100..180, Plan { rates, ..HEALTHY }, |_| Ok(()));
}

/// A message that is delivered again, or sent twice, fails no call while its driver lives.
#[test]
fn duplicates_do_no_harm() {
    let rates = Rates { duplicate: 200, ..RATES };
    let plan = Plan { rates, redeliver: 30, ..HEALTHY };
    check(200..280, plan, |sim| match given_up(sim)? {
        Some(record) => Err(Broken(format!("9: a healthy call was given up: {record:?}"))),
        None => Ok(()),
    });
}

/// An Express workflow's call whose outcome is unknown is made again, and nobody hears of it.
#[test]
fn express_calls_are_made_again() {
    let rates = Rates { crash: 30, ..RATES };
    let plan = Plan { rates, crash_process: 3, express: true, ..HEALTHY };
    check(800..880, plan, |sim| match given_up(sim)? {
        Some(record) => Err(Broken(format!("an idempotent call was given up: {record:?}"))),
        None => Ok(()),
    });
}

/// Functions that take too long for a driver are invoked asynchronously. Where their drivers live, none is given up but what is
/// never told.
#[test]
fn calls_that_go_on_by_themselves() {
    let rates = Rates { duplicate: 200, ..RATES };
    let plan = Plan { rates, redeliver: 30, wait_max: LONG, ..HEALTHY };
    let told = Cell::new(0);
    check(1400..1460, plan, |sim| {
        told.set(told.get() + sim.callbacks().iter().filter(|(_, answer)| answer.is_ok()).count());
        match given_up(sim)? {
            Some(record) => Err(Broken(format!("9: a healthy call was given up: {record:?}"))),
            None => Ok(()),
        }
    });
    assert!(told.get() > 100, "{} ends were told", told.get());
}

#[test]
fn calls_that_go_on_by_themselves_while_everything_goes_wrong() {
    let rates = Rates { crash: 20, refuse: 20, lose_reply: 20, duplicate: 50, ..RATES };
    let plan =
        Plan { rates, redeliver: 10, crash_process: 3, stop: true, redrive: 4, wait_max: LONG, ..HEALTHY };
    check(1500..1620, plan, |_| Ok(()));
}

/// Shorter than most calls take.
const LONG: Option<Duration> = Some(Duration::from_millis(20));

#[test]
fn drivers_die_at_any_call() {
    let rates = Rates { crash: 30, ..RATES };
    check(300..400, Plan { rates, ..HEALTHY }, |_| Ok(()));
}

#[test]
fn everything_at_once() {
    let rates = Rates { crash: 10, refuse: 20, lose_reply: 20, duplicate: 50, ..RATES };
    let plan = Plan { rates, redeliver: 10, crash_process: 3, stop: true, redrive: 4, ..HEALTHY };
    check(400..600, plan, |_| Ok(()));
}

/// Executions that have ended go on while all that goes wrong, again and again.
#[test]
fn redrives() {
    let redriven = Cell::new(0);
    check(900..960, Plan { stop: true, redrive: 20, ..HEALTHY }, |sim| {
        redriven.set(redriven.get() + sim.redriven().len());
        Ok(())
    });
    assert!(redriven.get() > 100, "{} redrives", redriven.get());
    let rates = Rates { crash: 20, refuse: 20, lose_reply: 20, duplicate: 50, ..RATES };
    let plan = Plan { rates, redeliver: 20, crash_process: 2, stop: true, redrive: 20, ..HEALTHY };
    check(1000..1150, plan, |_| Ok(()));
}

/// The same with handlers and drivers that stand still, of which some go on in the epoch that follows theirs.
#[test]
fn redrives_among_zombies() {
    let rates = Rates { delay: 60, delay_max: Duration::from_secs(240), crash: 10, duplicate: 50, ..RATES };
    let plan = Plan { rates, redeliver: 30, stop: true, redrive: 20, ..HEALTHY };
    check(1200..1300, plan, |_| Ok(()));
}

/// One machine: no lease is waited for, and one driver of a Map Run leaves what it finds to another.
#[test]
fn one_process_that_dies_now_and_then() {
    let rates = Rates { crash: 10, refuse: 20, lose_reply: 20, ..RATES };
    check(900..1000, Plan { rates, crash_process: 3, stop: true, one_process: true, ..HEALTHY }, |_| Ok(()));
}

/// Handlers that stand still for minutes, and go on when others have taken their place.
#[test]
fn zombies() {
    let rates = Rates { delay: 60, delay_max: Duration::from_secs(240), crash: 20, ..RATES };
    check(600..700, Plan { rates, redeliver: 30, ..HEALTHY }, |_| Ok(()));
}

/// Several deliveries of one message at once, most of them with nothing to say.
#[test]
fn crowds() {
    let rates = Rates { duplicate: 300, crash: 5, ..RATES };
    let slice = Duration::from_millis(60);
    check(700..800, Plan { rates, redeliver: 200, slice, ..HEALTHY }, |_| Ok(()));
}
