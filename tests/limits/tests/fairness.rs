//! One execution that never rests leaves others their turn. Counted in turns of the scheduler, not in time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use stepwell_asl::MachineType;
use stepwell_engine::Settings;
use stepwell_engine::port::StateMachine;
use stepwell_expr::json::parse;
use stepwell_interpreter::{Claimant, Execution, Now, Timestamp, Trigger, advance_while, apply};
use stepwell_simulation::Sim;
use stepwell_test_support::machine;

/// Goes round without end: Standard until its history is full, Express for its five minutes.
const LOOP: &str = r#"{"StartAt":"A","States":{
    "A":{"Type":"Pass","Next":"B"},
    "B":{"Type":"Choice","Choices":[{"Variable":"$.stop","IsPresent":true,"Next":"Z"}],"Default":"A"},
    "Z":{"Type":"Succeed"}}}"#;

const THREE: &str = r#"{"StartAt":"A","States":{
    "A":{"Type":"Pass","Next":"B"},"B":{"Type":"Pass","Next":"C"},"C":{"Type":"Pass","End":true}}}"#;

/// Turns of the scheduler within which the quiet execution has to be done, beside so many that loop.
fn turns_of_the_quiet(noisy: usize, express: bool, seed: u64) -> (u64, usize) {
    let settings = Settings { express_in_memory: express, ..Settings::default() };
    let mut sim = Sim::new(seed, settings);
    let of = |name: &str, definition: &str| {
        let machine_type = if express { MachineType::Express } else { MachineType::Standard };
        Arc::new(StateMachine { machine_type, ..machine(name, definition) })
    };
    let (looping, three) = (of("Noisy", LOOP), of("Quiet", THREE));
    (0..noisy).for_each(|number| sim.start(&looping, &format!("n{number}"), "{}"));
    // They are well under way.
    (0..10).for_each(|_| assert!(sim.step().unwrap()));
    sim.start(&three, "q", "{}");
    let ended = |sim: &Sim, name: &str| match express {
        true => {
            let logged = sim.world.logs.logged();
            let is_end = |event: &&str| {
                event.starts_with("ExecutionSucceeded") || event.starts_with("ExecutionFailed")
            };
            let of = logged.iter().filter(|logged| logged.info.execution_arn.ends_with(name));
            of.flat_map(|logged| logged.events.iter().map(|(_, event)| event.event_type))
                .any(|event| is_end(&event))
        }
        false => sim
            .world
            .journal
            .metas()
            .iter()
            .any(|meta| meta.execution_arn.ends_with(name) && meta.end.is_some()),
    };
    let mut turns = 0;
    while !ended(&sim, ":q") {
        assert!(sim.step().unwrap(), "the quiet one has not ended");
        turns += 1;
    }
    let still = (0..noisy).filter(|number| !ended(&sim, &format!(":n{number}"))).count();
    (turns, still)
}

#[test]
fn a_quiet_execution_ends_while_noisy_ones_loop() {
    for seed in 1..=2 {
        let (turns, still) = turns_of_the_quiet(3, false, seed);
        println!("standard, seed {seed}: the quiet one took {turns} turns; {still} of 3 loops went on");
        assert!(turns <= 60, "seed {seed}: {turns} turns");
    }
}

#[test]
fn express_executions_in_memory_give_way() {
    for seed in 1..=2 {
        let (turns, still) = turns_of_the_quiet(3, true, seed);
        println!("express, seed {seed}: the quiet one took {turns} turns; {still} of 3 loops went on");
        assert!(turns <= 60, "seed {seed}: {turns} turns");
        assert_eq!(still, 3, "seed {seed}: they have five minutes");
    }
}

#[test]
fn a_decision_ends_where_it_is_told_to() {
    let definition =
        stepwell_asl::parse(LOOP, stepwell_asl::Format::Json, MachineType::Standard).definition.unwrap();
    let info = Arc::new(stepwell_limits::info(false, Timestamp(0)));
    let now = Now { time: Timestamp(0), seed: 1 };
    let input = parse("{}").unwrap().into();
    let started = apply(&definition, &Execution::default(), &Trigger::Start { info, input }, now);
    let claimant = Claimant { message: "m".into(), delivery: 1 };
    for (asked, records) in [(0, 2), (1, 4), (9, 20), (usize::MAX, stepwell_interpreter::RECORDS_MAX)] {
        let mut left = asked;
        let mut goes_on = || left.checked_sub(1).map(|rest| left = rest).is_some();
        let decision = advance_while(&definition, &started.execution, &claimant, now, &[], &mut goes_on);
        assert_eq!(decision.records.len(), records, "{asked} states after the first");
        assert!(decision.execution.is_ready());
    }
}
