//! Whatever the function logs, nothing of it is a secret: its binary at its most talkative, with marked secrets everywhere.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use stepwell_aws::Assembly;
use stepwell_test_lambda::{Cloud, Function};

const BINARY: &str = env!("CARGO_BIN_EXE_stepwell-function-step");

/// What every secret and payload begins with here; the keys of roles too.
const MARK: &str = "MARK-";

const TIME: Duration = Duration::from_secs(60);

async fn call(assembly: &Assembly, operation: &str, request: Value) -> Result<Value> {
    let target = format!("AWSStepFunctions.{operation}");
    let reply = assembly.api.call(&target, request.to_string().as_bytes()).await;
    Ok(serde_json::from_slice(&reply.body)?)
}

/// A machine whose first task waits for its token, which its second gets with everything else.
async fn machine(assembly: &Assembly) -> Result<Value> {
    let definition = json!({
        "StartAt": "Asked",
        "States": {
            "Asked": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
                "Parameters": {"FunctionName": "f", "Payload": {"token.$": "$$.Task.Token", "order.$": "$"}},
                "Next": "Told"
            },
            "Told": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": "f", "Payload.$": "$"},
                "OutputPath": "$.Payload",
                "End": true
            }
        }
    });
    let request = json!({
        "name": "orders",
        "definition": definition.to_string(),
        "roleArn": "arn:aws:iam::123456789012:role/r"
    });
    Ok(call(assembly, "CreateStateMachine", request).await?["stateMachineArn"].clone())
}

/// Lets `step` handle all that can be received.
async fn drive(cloud: &Cloud, step: &mut Function) -> Result<()> {
    let records = cloud.receive(10);
    let answer = step.invoke(&json!({ "Records": records }), TIME).await?;
    cloud.settle(&records, &answer.map_err(|error| anyhow::anyhow!("{}", error.0))?);
    Ok(())
}

#[tokio::test]
async fn nothing_secret_is_logged() -> Result<()> {
    let target = Path::new(BINARY).ancestors().nth(2).context("it is in cargo's folder")?;
    let cloud = Cloud::start(target).await?;
    let assembly = cloud.assembly()?;
    let mut environment = cloud.environment();
    environment.extend([
        ("AWS_SECRET_ACCESS_KEY", format!("{MARK}secret-access-key")),
        ("AWS_SESSION_TOKEN", format!("{MARK}session-token")),
        ("STEPWELL_ASSUME_ROLES", "machine".to_owned()),
        ("STEPWELL_LOG", "trace".to_owned()),
        ("RUST_BACKTRACE", "full".to_owned()),
    ]);
    let log = target.join(format!("secrets-{}.txt", std::process::id()));
    let machine = machine(&assembly).await?;
    let mut tokens = vec![];
    // Of each process the first token: none of them can follow from another's.
    for name in ["a", "b"] {
        let mut step = Function::start_logging(Path::new(BINARY), &environment, &log).await?;
        let input = json!({ "order": format!("{MARK}payload") }).to_string();
        let request = json!({ "stateMachineArn": machine, "name": name, "input": input });
        let started = call(&assembly, "StartExecution", request).await?;
        drive(&cloud, &mut step).await?;
        let execution = json!({ "executionArn": started["executionArn"] });
        let history = call(&assembly, "GetExecutionHistory", execution.clone()).await?.to_string();
        let token = history.split_once(r#"token\":\""#).context("it is in the parameters")?.1;
        let token = token.split('\\').next().unwrap_or_default().to_owned();
        let request = json!({ "taskToken": token, "output": format!("\"{MARK}output\"") });
        assert_eq!(call(&assembly, "SendTaskSuccess", request).await?, json!({}), "{history}");
        drive(&cloud, &mut step).await?;
        let described = call(&assembly, "DescribeExecution", execution).await?;
        assert_eq!(described["output"], format!("\"{MARK}output\""), "{described}");
        tokens.push(token);
        // What cannot be read is not shown either.
        for event in [
            json!({ "hello": format!("{MARK}event") }),
            json!({ "Records": [{ "messageId": "m", "receiptHandle": format!("{MARK}receipt"),
                "body": format!("{MARK}body"), "eventSource": "aws:sqs" }] }),
        ] {
            let _ = step.invoke(&event, TIME).await?;
        }
    }
    let said = std::fs::read_to_string(&log)?;
    std::fs::remove_file(&log)?;
    assert!(said.contains("TRACE"), "it says little: {said}");
    for secret in tokens.iter().map(String::as_str).chain([MARK]) {
        let lines: Vec<_> = said.lines().filter(|line| line.contains(secret)).take(5).collect();
        assert!(lines.is_empty(), "{secret} is in the log:\n{}", lines.join("\n"));
    }
    Ok(())
}
