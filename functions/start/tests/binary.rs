//! The function as it is deployed: its binary, under a Runtime API.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use stepwell_aws::lambda::{self, Event};
use stepwell_test_lambda::{Cloud, Function};

const BINARY: &str = env!("CARGO_BIN_EXE_stepwell-function-start");

const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:orders";

const TIME: Duration = Duration::from_secs(60);

#[tokio::test]
async fn it_starts_what_events_ask_for() -> Result<()> {
    let target = Path::new(BINARY).ancestors().nth(2).context("it is in cargo's folder")?;
    let cloud = Cloud::start(target).await?;
    let assembly = cloud.assembly()?;
    for (name, kind) in [("orders", "STANDARD"), ("quick", "EXPRESS")] {
        let definition = r#"{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}"#;
        let role = "arn:aws:iam::123456789012:role/r";
        let request =
            json!({ "name": name, "definition": definition, "roleArn": role, "type": kind }).to_string();
        let reply = assembly.api.call("AWSStepFunctions.CreateStateMachine", request.as_bytes()).await;
        assert_eq!(reply.status, 200);
    }
    let mut environment = cloud.environment();
    environment.push(("STEPWELL_STATE_MACHINE_ARN", MACHINE.to_owned()));
    let mut start = Function::start(Path::new(BINARY), &environment).await?;

    let mut http = async |path: &str, body: Value| -> Result<Value> {
        let event = json!({
            "version": "2.0",
            "rawPath": path,
            "headers": { "content-type": "application/json" },
            "requestContext": {
                "domainName": "id.lambda-url.us-east-1.on.aws",
                "authorizer": { "iam": { "accessKey": "AKIDEXAMPLE", "accountId": "123456789012" } },
                "http": { "method": "POST", "path": path },
            },
            "body": body.to_string(),
            "isBase64Encoded": false,
        });
        Ok(start.invoke(&event, TIME).await?.expect("it answers"))
    };
    let body = json!({ "stateMachineArn": MACHINE, "name": "http", "input": r#"{"n":1.10}"# });
    let answer = http("/StartExecution", body).await?;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let quick = json!({ "stateMachineArn": MACHINE.replace("orders", "quick"), "input": "[1.0]" });
    let answer = http("/StartSyncExecution", quick).await?;
    let run: Value = serde_json::from_str(answer["body"].as_str().context("it has a body")?)?;
    assert_eq!((&run["status"], &run["output"]), (&json!("SUCCEEDED"), &json!("[1.0]")), "{answer}");

    let event = json!({ "version": "0", "id": "e1", "detail-type": "t", "source": "s", "detail": {} });
    for _ in 0..2 {
        start.invoke(&event, TIME).await?.expect("it starts, or has started");
    }
    let missing = json!({ "stateMachineArn": format!("{MACHINE}x"), "input": {} });
    let error = start.invoke(&missing, TIME).await?.expect_err("there is none");
    assert_eq!(error.0["errorType"], "StateMachineDoesNotExist");

    let records = cloud.receive(10);
    let event = json!({ "Records": records }).to_string();
    let deadline = i64::MAX / 2;
    let answer = lambda::step(&assembly, Event::new(&event, "r", deadline)).await?;
    assert_eq!(answer, r#"{"batchItemFailures":[]}"#);
    for name in ["http", "e1"] {
        let arn = MACHINE.replace(":stateMachine:", ":execution:") + ":" + name;
        let request = json!({ "executionArn": arn }).to_string();
        let reply = assembly.api.call("AWSStepFunctions.DescribeExecution", request.as_bytes()).await;
        let described: Value = serde_json::from_slice(&reply.body)?;
        assert_eq!(described["status"], "SUCCEEDED", "{described}");
    }
    Ok(())
}
