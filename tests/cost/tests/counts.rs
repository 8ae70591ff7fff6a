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
    // Beside cargo's folders for this workspace, so that it is built once and in nobody's way.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("emulator");
    let emulator = Emulator::build_and_start(&target);
    let clock = Arc::new(JumpingClock::default());
    let tasks = Tasks { time: Duration::ZERO };
    let services = Services::serve(&emulator.endpoint, Latencies::none(), tasks, clock.clone());
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
    println!("{:?}", outcome.usage);
    assert_eq!(outcome.transitions, 100);
    // META and one page; the end.
    assert_eq!(each(&outcome, "dynamodb.PutItem"), 2.0);
    assert_eq!(each(&outcome, "dynamodb.UpdateItem"), 1.0);
    assert_eq!(meter(&outcome, "dynamodb.index_write_units"), 3.0);
}

#[tokio::test]
async fn a_task_costs_one_write_of_one_unit_and_no_read() {
    let (few, many) = (run("W2", 10, 10).await, run("W3", 2, 1).await);
    println!("{:?}\n{:?}", few.usage, many.usage);
    // META, eleven pages, the end.
    assert_eq!(each(&few, "dynamodb.PutItem"), 12.0);
    assert_eq!(meter(&few, "dynamodb.write_units"), 13.0);
    assert_eq!(each(&few, "lambda.Invoke"), 10.0);
    assert_eq!(each(&many, "lambda.Invoke"), 100.0);
    assert!(each(&many, "dynamodb.PutItem") <= 102.0, "{:?}", many.usage);
}

#[tokio::test]
async fn a_wait_of_a_day_is_one_schedule_and_one_read() {
    let outcome = run("W7", 10, 10).await;
    println!("{:?}", outcome.usage);
    assert_eq!(each(&outcome, "dynamodb.UpdateItem"), 1.0);
}

#[tokio::test]
async fn a_large_payload_is_no_matter_of_write_units() {
    let outcome = run("W6", 2, 1).await;
    println!("{:?}", outcome.usage);
    assert!(meter(&outcome, "dynamodb.write_units") < 10.0, "{:?}", outcome.usage);
}

#[tokio::test]
async fn the_order_example_succeeds() {
    let outcome = run("order", 2, 1).await;
    println!("{:?} {}", outcome.usage, outcome.transitions);
    assert_eq!(outcome.transitions, 12);
}
