//! A state machine is deleted at any moment of its executions.

use std::sync::Arc;
use std::time::Duration;

use stepwell_engine::port::{MachineStatus, Registry, StateMachine};
use stepwell_test_support::{Answer, Random, machine};

use super::{Plan, Seen, sim};
use crate::{Broken, Sim};

const DEFINITION: &str = r#"{"StartAt":"A","States":{
    "A":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Next":"B"},
    "B":{"Type":"Wait","Seconds":5,"Next":"P"},
    "P":{"Type":"Parallel","Next":"C","Branches":[
        {"StartAt":"D","States":{"D":{"Type":"Wait","Seconds":20,"Next":"E"},"E":{"Type":"Pass","End":true}}},
        {"StartAt":"F","States":{"F":{"Type":"Wait","Seconds":40,"End":true}}}]},
    "C":{"Type":"Wait","Seconds":600,"End":true}}}"#;

fn newest(sim: &mut Sim, arn: &Arc<str>) -> Option<Arc<StateMachine>> {
    let (registry, arn) = (sim.world.registry.clone(), arn.clone());
    sim.block_on(async move { registry.machine(&arn).await.expect("nothing goes wrong any more") })
}

/// Deletes a machine at any moment of its executions; then all of them end, and it is gone.
pub(super) fn simulate(seed: u64, plan: Plan) -> Result<Seen, Broken> {
    let mut random = Random::new(seed ^ 0xDE1E);
    let mut sim = sim(seed, plan);
    sim.world.tasks.script(|call| Answer::echo(call, Duration::from_millis(300)));
    let machine = Arc::new(machine("Doomed", DEFINITION));
    for n in 0..3 {
        sim.start(&machine, &format!("e{n}"), "{}");
    }
    for _ in 0..random.below(600) {
        sim.step()?;
    }
    sim.delete_machine(&machine.arn);
    for _ in 0..1_000 {
        sim.step()?;
        if random.chance(plan.crash_process) {
            sim.crash_process();
        }
    }
    sim.calm();
    sim.delete_machine(&machine.arn);
    sim.run()?;

    let there = newest(&mut sim, &machine.arn);
    if there.is_some() {
        return Err(Broken(format!("the machine is still there: {there:?}")));
    }
    for meta in sim.world.journal.metas() {
        let end = meta.end.clone().ok_or_else(|| Broken(format!("{} runs", meta.execution_arn)))?;
        let error = end.error.error.as_deref();
        let is_right = match end.status {
            "SUCCEEDED" => true,
            "FAILED" => {
                matches!(error, Some("States.Runtime" | "Lambda.Unknown" | "Lambda.SdkClientException"))
            }
            _ => false,
        };
        if !is_right {
            return Err(Broken(format!("{} ended as {end:?}", meta.execution_arn)));
        }
    }

    // What is still about of the deletion leaves the next machine of its name alone.
    let next = Arc::new(StateMachine { revision: "next".into(), ..StateMachine::clone(&machine) });
    sim.world.registry.put(next);
    sim.run()?;
    match newest(&mut sim, &machine.arn) {
        Some(next) if next.status == MachineStatus::Active => Ok(Seen::of(&sim)),
        other => Err(Broken(format!("the next machine is {other:?}"))),
    }
}
