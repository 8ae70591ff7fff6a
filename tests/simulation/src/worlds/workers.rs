//! Activities: no task is given to two workers, and every execution ends where workers go on coming.

use std::sync::Arc;

use stepwell_engine::message::Callback;
use stepwell_engine::port::StateMachine;
use stepwell_expr::Payload;
use stepwell_interpreter::ErrorOutput;
use stepwell_test_support::{Random, activity, machine};

use super::{Plan, Seen, sim};
use crate::{Broken, Sim};

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

fn success() -> Callback {
    Callback::Success(Payload::parse(r#"{"ok":true}"#).expect("it is JSON"))
}

/// Lets the world run, with faults for a while and then without, until every execution has ended.
pub(super) fn simulate(seed: u64, plan: Plan) -> Result<Seen, Broken> {
    let mut random = Random::new(seed ^ 0xAC71);
    let mut sim = sim(seed, plan);
    sim.world.activities.put(activity("dig"));
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
    sim.calm();
    for _ in 0..40 {
        sim.run()?;
        let unfinished = sim.unfinished();
        if unfinished.is_empty() {
            return Ok(Seen::of(&sim));
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
    if random.chance(plan.race) {
        let (given, started) = (sim.given(), sim.started());
        match random.below(2) {
            0 => {
                if let Some(token) = given.get(random.below(given.len())) {
                    sim.race_callback(token, success());
                }
            }
            _ => {
                if let Some(arn) = started.get(random.below(started.len())).filter(|_| plan.stop) {
                    sim.race_stop(arn);
                }
            }
        }
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
