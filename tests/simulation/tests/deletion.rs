//! A state machine is deleted in a world where everything goes wrong for a while.
//!
//! A failure prints its seed; `STEPWELL_SEED=<seed> cargo test -p stepwell-simulation --test deletion` runs it alone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use stepwell_engine::Settings;
use stepwell_engine::port::{MachineStatus, Registry, StateMachine};
use stepwell_simulation::{Broken, Sim};
use stepwell_test_support::{Answer, Random, Rates, machine};

const DEFINITION: &str = r#"{"StartAt":"A","States":{
    "A":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Next":"B"},
    "B":{"Type":"Wait","Seconds":5,"Next":"P"},
    "P":{"Type":"Parallel","Next":"C","Branches":[
        {"StartAt":"D","States":{"D":{"Type":"Wait","Seconds":20,"Next":"E"},"E":{"Type":"Pass","End":true}}},
        {"StartAt":"F","States":{"F":{"Type":"Wait","Seconds":40,"End":true}}}]},
    "C":{"Type":"Wait","Seconds":600,"End":true}}}"#;

fn settings() -> Settings {
    Settings {
        slice: Duration::from_secs(5),
        former_deliveries_are_dead: false,
        patience: Duration::from_secs(10),
        ..Settings::default()
    }
}

fn newest(sim: &mut Sim, arn: &Arc<str>) -> Option<Arc<StateMachine>> {
    let (registry, arn) = (sim.world.registry.clone(), arn.clone());
    sim.block_on(async move { registry.machine(&arn).await.expect("nothing goes wrong any more") })
}

/// Deletes a machine at any moment of its executions; then all of them end, and it is gone.
fn simulate(seed: u64, rates: Rates) -> Result<(), Broken> {
    let mut random = Random::new(seed ^ 0xDE1E);
    let mut sim = Sim::new(seed, settings());
    sim.world.tasks.script(|call| Answer::echo(call, Duration::from_millis(300)));
    sim.world.faults.set(rates);
    sim.redeliver = 5;
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
        if random.chance(3) {
            sim.crash_process();
        }
    }
    sim.world.faults.set(Rates::default());
    sim.redeliver = 0;
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
            "FAILED" => matches!(error, Some("States.Runtime" | "Lambda.Unknown")),
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
        Some(next) if next.status == MachineStatus::Active => Ok(()),
        other => Err(Broken(format!("the next machine is {other:?}"))),
    }
}

#[track_caller]
fn check(seeds: std::ops::Range<u64>, rates: Rates) {
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let more = number("STEPWELL_SEEDS").unwrap_or(1);
    let seeds = seeds.start * more..seeds.end * more;
    for seed in number("STEPWELL_SEED").map_or(seeds, |seed| seed..seed + 1) {
        if let Err(Broken(what)) = simulate(seed, rates) {
            panic!("{what}\n\nagain: STEPWELL_SEED={seed} cargo test -p stepwell-simulation --test deletion");
        }
    }
}

const SLOW: Rates = Rates {
    delay: 300,
    delay_max: Duration::from_millis(300),
    refuse: 0,
    lose_reply: 0,
    crash: 0,
    duplicate: 0,
};

#[test]
fn in_a_slow_world() {
    check(0..40, SLOW);
}

#[test]
fn when_everything_goes_wrong() {
    check(100..200, Rates { refuse: 30, lose_reply: 30, crash: 15, duplicate: 100, ..SLOW });
}
