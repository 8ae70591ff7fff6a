//! The function as it is deployed: its binary, under a Runtime API.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use stepwell_aws::Assembly;
use stepwell_test_lambda::{Cloud, Function};

const BINARY: &str = env!("CARGO_BIN_EXE_stepwell-function-step");

const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:orders";

async fn call(assembly: &Assembly, operation: &str, request: Value) -> Result<Value> {
    let target = format!("AWSStepFunctions.{operation}");
    let reply = assembly.api.call(&target, request.to_string().as_bytes()).await;
    Ok(serde_json::from_slice(&reply.body)?)
}

/// A cloud with a machine of `count` tasks.
async fn cloud(count: usize) -> Result<(Cloud, Assembly)> {
    let target = Path::new(BINARY).ancestors().nth(2).context("it is in cargo's folder")?;
    let cloud = Cloud::start(target).await?;
    let assembly = cloud.assembly()?;
    let mut states = serde_json::Map::new();
    for n in 1..=count {
        let mut task =
            json!({ "Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:f" });
        match n == count {
            true => task["End"] = json!(true),
            false => task["Next"] = json!(format!("T{}", n + 1)),
        }
        states.insert(format!("T{n}"), task);
    }
    let definition = json!({ "StartAt": "T1", "States": states }).to_string();
    let role = "arn:aws:iam::123456789012:role/r";
    let request = json!({ "name": "orders", "definition": definition, "roleArn": role });
    assert_eq!(call(&assembly, "CreateStateMachine", request).await?["stateMachineArn"], MACHINE);
    Ok((cloud, assembly))
}

async fn start(assembly: &Assembly, name: &str) -> Result<()> {
    let request = json!({ "stateMachineArn": MACHINE, "name": name, "input": r#"{"n":1.10}"# });
    let started = call(assembly, "StartExecution", request).await?;
    assert!(started["executionArn"].is_string(), "{started}");
    Ok(())
}

async fn describe(assembly: &Assembly, name: &str) -> Result<Value> {
    let arn = MACHINE.replace(":stateMachine:", ":execution:") + ":" + name;
    call(assembly, "DescribeExecution", json!({ "executionArn": arn })).await
}

#[tokio::test]
async fn it_drives_what_the_queue_hands_it() -> Result<()> {
    let (cloud, assembly) = cloud(3).await?;
    let mut step = Function::start(Path::new(BINARY), &cloud.environment()).await?;
    let names: Vec<_> = (0..10).map(|n| format!("e{n}")).collect();
    for name in &names {
        start(&assembly, name).await?;
    }
    let mut records = cloud.receive(10);
    assert_eq!(records.len(), 10);
    records
        .push(json!({ "messageId": "poison", "receiptHandle": "r", "body": "?", "eventSource": "aws:sqs" }));
    let answer = step.invoke(&json!({ "Records": records }), Duration::from_secs(60)).await?;
    let answer = answer.expect("it answers");
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "poison" }] }));
    assert_eq!(cloud.settle(&records, &answer), 1);
    for name in &names {
        let described = describe(&assembly, name).await?;
        assert_eq!(
            (&described["status"], &described["output"]),
            (&json!("SUCCEEDED"), &json!(r#"{"n":1.10}"#))
        );
    }
    assert_eq!(cloud.calls(), 30);
    assert!(cloud.receive(10).is_empty());
    // What is none of its business fails, and costs nothing else.
    let error =
        step.invoke(&json!({ "hello": 1 }), Duration::from_secs(60)).await?.expect_err("it is no batch");
    assert_eq!(error.0["errorType"], "UnknownEvent");
    assert!(step.invoke(&json!({ "Records": [] }), Duration::from_secs(60)).await?.is_err());
    Ok(())
}

#[tokio::test]
async fn it_hands_over_before_its_deadline() -> Result<()> {
    let (cloud, assembly) = cloud(3).await?;
    let mut step = Function::start(Path::new(BINARY), &cloud.environment()).await?;
    start(&assembly, "a").await?;
    // Of 4 s, work is begun in 0.8 s: a call that takes longer than that is the last.
    cloud.set_call_time(Duration::from_millis(900));
    for calls in 1..=3 {
        let records = cloud.receive(10);
        assert_eq!(records.len(), 1, "a Continue for the next");
        let answer = step.invoke(&json!({ "Records": records }), Duration::from_secs(4)).await?;
        assert_eq!(cloud.settle(&records, &answer.expect("it answers")), 0);
        assert_eq!(cloud.calls(), calls);
    }
    // Nothing is begun any more, so the end is left to the next driver too.
    let records = cloud.receive(10);
    let answer = step.invoke(&json!({ "Records": records }), Duration::from_secs(60)).await?;
    assert_eq!(cloud.settle(&records, &answer.expect("it answers")), 0);
    assert_eq!(describe(&assembly, "a").await?["status"], "SUCCEEDED");
    Ok(())
}

#[tokio::test]
async fn it_says_what_its_environment_lacks() -> Result<()> {
    let output = tokio::process::Command::new(BINARY).env_clear().output().await?;
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("the environment variable STEPWELL_ACCOUNT_ID is not set"), "{text}");
    Ok(())
}
