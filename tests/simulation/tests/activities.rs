//! Activities in a world where everything goes wrong for a while: no task is given to two workers, and every execution ends
//! where workers go on coming.
//!
//! A failure prints its seed; `STEPWELL_SEED=<seed> cargo test -p stepwell-simulation --test activities` runs it alone.
//! `STEPWELL_SEEDS=100` tries a hundred times as many seeds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use stepwell_engine::Settings;
use stepwell_engine::message::Callback;
use stepwell_engine::port::StateMachine;
use stepwell_expr::Payload;
use stepwell_interpreter::ErrorOutput;
use stepwell_simulation::{Broken, Sim};
use stepwell_test_support::{Random, Rates, activity, machine};

const ACTIVITY: &str = "arn:aws:states:us-east-1:123456789012:activity:dig";

/// What every task retries, so that an execution ends well at last.
const RETRY: &str = r#""Retry":[{"ErrorEquals":["States.ALL"],"MaxAttempts":2,"IntervalSeconds":1}]"#;

fn machines() -> Vec<Arc<StateMachine>> {
    let dig = |name: &str, members: &str| {
        format!(r#""{name}":{{"Type":"Task","Resource":"{ACTIVITY}",{RETRY}{members}}}"#)
    };
    let timed = r#","TimeoutSeconds":100,"HeartbeatSeconds":20"#;
    let (one, two) =
        (dig("D", &format!(r#"{timed},"Next":"E""#)), dig("E", r#","TimeoutSeconds":40,"End":true"#));
    let (left, right) =
        (dig("L", &format!(r#"{timed},"End":true"#)), dig("R", r#","TimeoutSeconds":30,"End":true"#));
    let call =
        r#""F":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true}"#;
    let item = dig("I", r#","HeartbeatSeconds":15,"End":true"#);
    let definitions = [
        ("Chain", format!(r#"{{"StartAt":"D","States":{{{one},{two}}}}}"#)),
        (
            "Parallel",
            format!(
                r#"{{"StartAt":"P","States":{{"P":{{"Type":"Parallel","End":true,"Branches":[
                {{"StartAt":"L","States":{{{left}}}}},{{"StartAt":"R","States":{{{right}}}}},
                {{"StartAt":"F","States":{{{call}}}}}]}}}}}}"#
            ),
        ),
        (
            "Map",
            format!(
                r#"{{"StartAt":"M","TimeoutSeconds":2000,"States":{{"M":{{"Type":"Map","End":true,"MaxConcurrency":2,
                "ItemProcessor":{{"StartAt":"I","States":{{{item}}}}}}}}}}}"#
            ),
        ),
    ];
    definitions.into_iter().map(|(name, definition)| Arc::new(machine(name, &definition))).collect()
}

#[derive(Clone, Copy)]
struct Plan {
    rates: Rates,
    redeliver: u32,
    crash_process: u32,
    stop: bool,
}

const HEALTHY: Plan = Plan { rates: RATES, redeliver: 0, crash_process: 0, stop: false };
const RATES: Rates = Rates {
    delay: 300,
    delay_max: Duration::from_millis(300),
    refuse: 0,
    lose_reply: 0,
    crash: 0,
    duplicate: 0,
};

fn success() -> Callback {
    Callback::Success(Payload::parse(r#"{"ok":true}"#).unwrap())
}

/// Lets the world run, with faults for a while and then without, until every execution has ended.
fn simulate(seed: u64, plan: Plan) -> Result<Sim, Broken> {
    let mut random = Random::new(seed ^ 0xAC71);
    let settings = Settings {
        slice: Duration::from_secs(5),
        former_deliveries_are_dead: false,
        patience: Duration::from_secs(10),
        ..Settings::default()
    };
    let mut sim = Sim::with_skew(seed, settings, random.below(8_000) as i64 - 4_000);
    sim.world.activities.put(activity("dig"));
    sim.world.faults.set(plan.rates);
    sim.redeliver = plan.redeliver;
    let machines = machines();
    for i in 0..3 {
        sim.start(&machines[random.below(machines.len())], &format!("e{i}"), "[1,2,3]");
    }
    for _ in 0..3_000 {
        if !sim.step()? && sim.unfinished().is_empty() {
            break;
        }
        if random.chance(plan.crash_process) {
            sim.crash_process();
        }
        outside(&mut sim, &mut random, plan);
    }
    sim.world.faults.set(Rates::default());
    sim.redeliver = 0;
    for _ in 0..40 {
        sim.run()?;
        let unfinished = sim.unfinished();
        if unfinished.is_empty() {
            return Ok(sim);
        }
        (0..unfinished.len()).for_each(|_| sim.poll(ACTIVITY, "late", Some(success())));
    }
    Err(Broken(format!("workers go on coming, and these do not end: {:?}", sim.unfinished())))
}

/// Workers that come, answer, fall silent and go, and callers that stop executions and redrive them.
fn outside(sim: &mut Sim, random: &mut Random, plan: Plan) {
    if random.chance(20) {
        let failure = Callback::Failure(ErrorOutput::new("Refused", "by the worker"));
        let result = [None, Some(failure), Some(success()), Some(success())][random.below(4)].clone();
        sim.poll(ACTIVITY, "worker", result);
    }
    if random.chance(20) {
        let given = sim.given();
        if let Some(token) = given.get(random.below(given.len())) {
            match random.below(2) {
                0 => sim.heartbeat(token),
                _ => sim.callback(token, success()),
            }
        }
    }
    if plan.stop && random.chance(8) {
        let started = sim.started();
        if let Some(arn) = started.get(random.below(started.len())) {
            match random.below(4) {
                0 => sim.stop(arn),
                // Most run, and are not redriven.
                _ => sim.redrive(arn),
            }
        }
    }
}

#[track_caller]
fn check(seeds: std::ops::Range<u64>, plan: Plan) {
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let more = number("STEPWELL_SEEDS").unwrap_or(1);
    let seeds = seeds.start * more..seeds.end * more;
    let mut given = 0;
    for seed in number("STEPWELL_SEED").map_or(seeds, |seed| seed..seed + 1) {
        match simulate(seed, plan) {
            Ok(sim) => given += sim.given().len(),
            Err(Broken(what)) => panic!(
                "{what}\n\nagain: STEPWELL_SEED={seed} cargo test -p stepwell-simulation --test activities"
            ),
        }
    }
    assert!(given > 0, "no worker got a task");
}

#[test]
fn slow_ports_and_any_order() {
    check(0..40, HEALTHY);
}

#[test]
fn refusals_and_lost_replies() {
    let rates = Rates { refuse: 50, lose_reply: 50, ..RATES };
    check(100..160, Plan { rates, ..HEALTHY });
}

#[test]
fn whoever_gives_out_a_task_dies_at_any_call() {
    let rates = Rates { crash: 30, ..RATES };
    check(200..300, Plan { rates, crash_process: 3, ..HEALTHY });
}

#[test]
fn everything_at_once() {
    let rates = Rates { crash: 10, refuse: 20, lose_reply: 20, duplicate: 50, ..RATES };
    check(300..420, Plan { rates, redeliver: 10, crash_process: 3, stop: true });
}

/// Handlers that stand still for minutes between their message and their page.
#[test]
fn zombies() {
    let rates = Rates { delay: 60, delay_max: Duration::from_secs(240), crash: 20, ..RATES };
    check(500..580, Plan { rates, redeliver: 30, stop: true, ..HEALTHY });
}
