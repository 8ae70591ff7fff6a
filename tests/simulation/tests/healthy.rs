//! Executions in a world where nothing goes wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use stepwell_engine::Settings;
use stepwell_simulation::Sim;
use stepwell_test_support::{Answer, machine};

const PURE: &str = r#"{"StartAt":"A","States":{
    "A":{"Type":"Pass","Result":{"n":1},"ResultPath":"$.a","Next":"B"},
    "B":{"Type":"Pass","Next":"C"},
    "C":{"Type":"Choice","Choices":[{"Variable":"$.a.n","NumericEquals":1,"Next":"D"}],"Default":"E"},
    "D":{"Type":"Succeed"},
    "E":{"Type":"Fail","Error":"Wrong"}}}"#;

/// Runs a machine to its end, which must be `status` after so many `pages`.
#[track_caller]
fn check(definition: &str, input: &str, status: &str, pages: usize) -> Sim {
    let mut sim = Sim::new(1, Settings::default());
    sim.world.tasks.script(|call| match call.call.parameters.text().as_ref() {
        text if text.contains("busy") && call.call.retry_count == 0 => {
            Answer::fail("Busy", Duration::from_millis(5))
        }
        _ => Answer::echo(call, Duration::from_millis(20)),
    });
    sim.start(&Arc::new(machine("M", definition)), "e", input);
    sim.run().unwrap();
    let meta = sim.world.journal.metas().remove(0);
    assert_eq!(meta.status(), status, "{:?}", meta.end);
    let loaded = sim.world.journal.loaded(&meta.execution_arn).unwrap();
    assert_eq!(loaded.pages.len(), pages, "{:?}", sim.records(&meta.execution_arn));
    sim
}

#[test]
fn a_pure_stretch_is_one_commit() {
    check(PURE, r#"{"x":1}"#, "SUCCEEDED", 1);
}

#[test]
fn a_large_input_that_only_passes_through_is_one_commit() {
    let input = format!(r#"{{"n":"{}"}}"#, "x".repeat(200_000));
    let states: Vec<_> = (0..10)
        .map(|i| match i {
            9 => r#""P9":{"Type":"Pass","End":true}"#.to_owned(),
            i => format!(r#""P{i}":{{"Type":"Pass","Next":"P{}"}}"#, i + 1),
        })
        .collect();
    let definition = format!(r#"{{"StartAt":"P0","States":{{{}}}}}"#, states.join(","));
    check(&definition, &input, "SUCCEEDED", 1);
}

fn task_chain(tasks: usize) -> String {
    let states: Vec<_> = (0..tasks)
        .map(|i| {
            let next = if i + 1 < tasks { format!(r#""Next":"T{}""#, i + 1) } else { r#""End":true"#.into() };
            format!(r#""T{i}":{{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f",{next}}}"#)
        })
        .collect();
    format!(r#"{{"StartAt":"T0","States":{{{}}}}}"#, states.join(","))
}

#[test]
fn a_chain_of_tasks_is_a_commit_for_each_and_one_more() {
    check(&task_chain(10), r#"{"x":1}"#, "SUCCEEDED", 11);
}

#[test]
fn a_retry_waits_for_its_delay() {
    let definition = r#"{"StartAt":"T","States":{"T":{"Type":"Task","End":true,
        "Resource":"arn:aws:lambda:us-east-1:123456789012:function:f",
        "Retry":[{"ErrorEquals":["Busy"],"IntervalSeconds":3}]}}}"#;
    let sim = check(definition, r#""busy""#, "SUCCEEDED", 4);
    assert!(stepwell_engine::port::Clock::monotonic(&*sim.world.clock) >= Duration::from_secs(3));
}

#[test]
fn waits_of_any_length_end() {
    for seconds in [1, 899, 901, 90_000] {
        let definition =
            format!(r#"{{"StartAt":"W","States":{{"W":{{"Type":"Wait","Seconds":{seconds},"End":true}}}}}}"#);
        let sim = check(&definition, "{}", "SUCCEEDED", 2);
        assert!(stepwell_engine::port::Clock::monotonic(&*sim.world.clock) >= Duration::from_secs(seconds));
    }
}
