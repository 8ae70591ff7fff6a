//! What the function `step` weighs: `stepwell-test-lambda BINARY TARGET`, where TARGET is cargo's folder. One line of JSON.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use stepwell_aws::Assembly;
use stepwell_test_lambda::{Cloud, Function};

/// Starts whose median is taken.
const STARTS: usize = 25;

/// Executions that are driven at once, and the tasks of each.
const EXECUTIONS: usize = 10;
const TASKS: usize = 10;

/// How long a task takes.
const TASK_TIME: Duration = Duration::from_millis(100);

const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:chain";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let usage = "stepwell-test-lambda BINARY TARGET";
    let (binary, target) = (args.next().context(usage)?, args.next().context(usage)?);
    let cloud = Cloud::start(&target).await?;
    let environment = cloud.environment();
    let mut inits = vec![];
    for _ in 0..STARTS {
        inits.push(Function::start(&binary, &environment).await?.init);
    }
    inits.sort_unstable();

    let mut step = Function::start(&binary, &environment).await?;
    let idle_kib = step.peak_kib()?;
    let assembly = cloud.assembly()?;
    cloud.set_call_time(TASK_TIME);
    start_executions(&assembly).await?;
    let records = cloud.receive(EXECUTIONS);
    ensure!(records.len() == EXECUTIONS, "{} messages", records.len());
    let began = Instant::now();
    let answer = step.invoke(&json!({ "Records": records }), Duration::from_secs(900)).await?;
    let driven = began.elapsed();
    let answer = answer.map_err(|error| anyhow::anyhow!("{}", error.0))?;
    ensure!(cloud.settle(&records, &answer) == 0 && cloud.calls() == (EXECUTIONS * TASKS) as u64, "{answer}");
    let figures = json!({
        "binary_bytes": std::fs::metadata(&binary)?.len(),
        "init_ms_median": milliseconds(inits[STARTS / 2]),
        "init_ms_least": milliseconds(inits[0]),
        "idle_rss_mb": idle_kib as f64 / 1024.0,
        "peak_rss_mb": step.peak_kib()? as f64 / 1024.0,
        "executions": EXECUTIONS,
        "driven_ms": milliseconds(driven),
    });
    println!("{figures}");
    Ok(())
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

async fn start_executions(assembly: &Assembly) -> Result<()> {
    let mut states = serde_json::Map::new();
    for n in 1..=TASKS {
        let mut task =
            json!({ "Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:f" });
        match n == TASKS {
            true => task["End"] = json!(true),
            false => task["Next"] = json!(format!("T{}", n + 1)),
        }
        states.insert(format!("T{n}"), task);
    }
    let definition = json!({ "StartAt": "T1", "States": states }).to_string();
    let role = "arn:aws:iam::123456789012:role/r";
    call(
        assembly,
        "CreateStateMachine",
        json!({ "name": "chain", "definition": definition, "roleArn": role }),
    )
    .await?;
    let input = json!({ "order": "x".repeat(1000) }).to_string();
    for _ in 0..EXECUTIONS {
        call(assembly, "StartExecution", json!({ "stateMachineArn": MACHINE, "input": input })).await?;
    }
    Ok(())
}

async fn call(assembly: &Assembly, operation: &str, request: Value) -> Result<()> {
    let target = format!("AWSStepFunctions.{operation}");
    let reply = assembly.api.call(&target, request.to_string().as_bytes()).await;
    ensure!(reply.status == 200, "{operation}: {}", String::from_utf8_lossy(&reply.body));
    Ok(())
}
