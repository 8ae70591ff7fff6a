//! What the functions ask of the services for an execution: counted, never timed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stepwell_cost::clock::JumpingClock;
use stepwell_cost::emulator::Emulator;
use stepwell_cost::functions::deploy;
use stepwell_cost::run::{Front, Outcome, Setting, World};
use stepwell_cost::services::{Latencies, Services, Tasks};
use stepwell_cost::workload::workload;

const SETTING: Setting = Setting { memory_mb: 256, arm: true, front: Front::FunctionUrl };

async fn run(name: &str, executions: usize, batch: usize) -> Outcome {
    run_with(Latencies::none(), name, executions, batch).await
}

async fn run_with(latencies: Latencies, name: &str, executions: usize, batch: usize) -> Outcome {
    // Beside cargo's folders for this workspace, so that it is built once and in nobody's way.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("emulator");
    let emulator = Emulator::build_and_start(&target);
    let clock = Arc::new(JumpingClock::default());
    let tasks = Tasks { time: Duration::ZERO };
    let services = Services::serve(&emulator.endpoint, latencies, tasks, clock.clone());
    deploy(&services).await;
    let workload = workload(name).expect("it is one of them");
    World::new(services, clock).run(&workload, executions, batch, SETTING).await
}

/// Requests of each execution, by their names; what is not whole is rounded.
fn each(outcome: &Outcome, request: &str) -> f64 {
    outcome.usage.requested(request) as f64 / outcome.executions as f64
}

fn meter(outcome: &Outcome, meter: &str) -> f64 {
    outcome.usage.meter(meter) / outcome.executions as f64
}

#[tokio::test]
async fn pure_states_cost_no_write_of_their_own() {
    let outcome = run("W1", 10, 10).await;
    assert_eq!(outcome.transitions, 100);
    // META, one page with all hundred states, the end.
    assert_eq!(each(&outcome, "dynamodb.PutItem"), 2.0);
    assert_eq!(each(&outcome, "dynamodb.UpdateItem"), 1.0);
    assert_eq!(meter(&outcome, "dynamodb.index_write_units"), 3.0);
    assert!(meter(&outcome, "dynamodb.write_units") <= 5.0, "{:?}", outcome.usage);
    reads_are_those_of_a_message(&outcome, 1.0);
    // The message, a share of the batch's receive and of its deletion.
    assert_eq!(meter(&outcome, "sqs.requests"), 1.2);
    assert_eq!(meter(&outcome, "lambda.requests"), 1.1);
}

/// The machine at the start; for each message that wakes an execution META with its pages; and for a batch once
/// whether the machine is being deleted.
fn reads_are_those_of_a_message(outcome: &Outcome, messages: f64) {
    assert_eq!(each(outcome, "dynamodb.Query"), messages, "{:?}", outcome.usage);
    assert!(each(outcome, "dynamodb.GetItem") <= 1.0 + 0.1 * messages, "{:?}", outcome.usage);
}

#[tokio::test]
async fn a_task_costs_one_write_of_one_unit_and_no_read() {
    let outcome = run("W2", 10, 10).await;
    // META, eleven pages, the end.
    assert_eq!(each(&outcome, "dynamodb.PutItem"), 12.0);
    assert_eq!(meter(&outcome, "dynamodb.write_units"), 13.0);
    assert_eq!(each(&outcome, "lambda.Invoke"), 10.0);
    reads_are_those_of_a_message(&outcome, 1.0);
}

#[tokio::test]
async fn results_that_come_together_share_a_write() {
    let outcome = run("W3", 2, 1).await;
    assert_eq!(each(&outcome, "lambda.Invoke"), 100.0);
    assert!(each(&outcome, "dynamodb.PutItem") <= 102.0, "{:?}", outcome.usage);
    assert_eq!(each(&outcome, "dynamodb.Query"), 1.0);
}

#[tokio::test]
async fn waits_that_end_together_share_a_schedule() {
    // Timers meet while one of them is being set, which takes its time.
    let outcome = run_with(Latencies::default(), "W7", 10, 10).await;
    // META, a page before the wait and one behind it, the end; a share of the minute's items.
    assert!(each(&outcome, "dynamodb.PutItem") < 4.0, "{:?}", outcome.usage);
    assert_eq!(each(&outcome, "dynamodb.UpdateItem"), 1.0);
    // One that met no other has its own.
    assert!(outcome.usage.requested("scheduler.invocation") < 10, "{:?}", outcome.usage);
    let alone = run("W7", 2, 1).await;
    assert_eq!(each(&alone, "scheduler.invocation"), 1.0);
    assert_eq!(each(&alone, "dynamodb.PutItem"), 3.0);
    assert_eq!(each(&alone, "dynamodb.Query"), 2.0);
}

#[tokio::test]
async fn a_large_payload_is_no_matter_of_write_units() {
    let outcome = run("W6", 2, 1).await;
    // META, the page, the end: the input is an object, which the page and the end refer to.
    assert_eq!(meter(&outcome, "dynamodb.write_units"), 3.0);
    assert_eq!(each(&outcome, "s3.PutObject"), 1.0);
}

#[tokio::test]
async fn the_order_example_is_twelve_transitions() {
    let outcome = run("order", 2, 1).await;
    assert_eq!(outcome.transitions, 12);
    assert_eq!(each(&outcome, "lambda.Invoke"), 7.0);
    assert_eq!(each(&outcome, "dynamodb.Query"), each(&outcome, "sqs.ReceiveMessage"));
}
