//! Hand-made machines of every shape that the protocol treats in its own way, whose tasks answer as a seed says.

use std::sync::Arc;
use std::time::Duration;

use stepwell_asl::MachineType;
use stepwell_engine::message::Callback;
use stepwell_engine::meta::Parent;
use stepwell_engine::port::StateMachine;
use stepwell_expr::Payload;
use stepwell_interpreter::{ErrorOutput, Event, EventBody, Record};
use stepwell_test_support::{Answer, Random, machine};

use super::{Plan, Seen, sim};
use crate::{Broken, Sim};

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
        ("Short", short_waits(6)),
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

/// Waits that are over at once: a driver waits for them itself.
fn short_waits(waits: usize) -> String {
    let states: Vec<_> = (0..waits)
        .map(|i| {
            let next = if i + 1 < waits { format!(r#""Next":"W{}""#, i + 1) } else { r#""End":true"#.into() };
            format!(r#""W{i}":{{"Type":"Wait","TimestampPath":"$$.State.EnteredTime",{next}}}"#)
        })
        .collect();
    format!(r#"{{"StartAt":"W0","States":{{{}}}}}"#, states.join(","))
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
pub(super) fn simulate(seed: u64, plan: Plan) -> Result<Seen, Broken> {
    let mut random = Random::new(seed ^ 0xCA11);
    let mut sim = sim(seed, plan);
    script(&sim, seed, plan);
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
    sim.calm();
    while sim.step()? || jobs(&mut sim, &machines) {
        jobs(&mut sim, &machines);
        told(&mut sim, &mut random);
    }
    sim.run()?;
    if plan.healthy
        && let Some(record) = given_up(&sim)?
    {
        return Err(Broken(format!("9: a healthy call was given up: {record:?}")));
    }
    Ok(Seen::of(&sim))
}

/// Functions that were invoked asynchronously come to their ends, some before their call is answered, some never.
fn told(sim: &mut Sim, random: &mut Random) {
    for id in sim.world.tasks.take_accepted() {
        let result = match random.below(4) {
            0 => Callback::Failure(ErrorOutput::new("Busy", "says the function")),
            _ => Callback::Success(Payload::parse(r#"{"told":true}"#).expect("it is JSON")),
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
    if random.chance(plan.race) {
        race(sim, random, plan);
    }
    if random.chance(20) {
        let tokens = sim.world.tasks.tokens();
        if let Some(token) = tokens.get(random.below(tokens.len())) {
            let success = Callback::Success(Payload::parse(r#"{"ok":true}"#).expect("it is JSON"));
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

/// A callback or a stop in the very moment of a timer.
pub(super) fn race(sim: &mut Sim, random: &mut Random, plan: Plan) {
    let (tokens, started) = (sim.world.tasks.tokens(), sim.started());
    match random.below(2) {
        0 => {
            if let Some(token) = tokens.get(random.below(tokens.len())) {
                sim.race_callback(token, Callback::Success(Payload::parse("2").expect("it is JSON")));
            }
        }
        _ => {
            if let Some(arn) = started.get(random.below(started.len())).filter(|_| plan.stop) {
                sim.race_stop(arn);
            }
        }
    }
}
