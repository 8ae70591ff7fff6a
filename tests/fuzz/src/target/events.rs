//! What the Lambda functions do with their events: `event ---- answer ---- answer …`. Each of the five is given the event. Whatever they
//! ask of AWS gets the answers in turn, each perhaps with its status before it (`400 {…}`), and then `{}`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request};
use stepwell_aws::lambda::{self, Event, Failure};
use stepwell_aws::{Assembly, Config};
use stepwell_engine::port::Clock;
use stepwell_expr::Value;
use stepwell_expr::json::parse;
use stepwell_integrations::{Aws, Http, HttpAnswer, HttpError, Keys};
use stepwell_test_support::{Executor, Random, SimClock};
use tokio::runtime::Runtime;

use super::Target;
use crate::parts;

pub(super) const TARGET: Target = Target {
    name: "events",
    run,
    words: &[
        "\"Records\":",
        "\"eventSource\":\"aws:sqs\"",
        "\"eventSource\":\"aws:dynamodb\"",
        "\"messageId\":\"m\"",
        "\"body\":",
        "\"requestContext\":",
        "\"http\":{\"method\":\"POST\"}",
        "\"rawPath\":\"/\"",
        "\"headers\":{\"x-amz-target\":\"AWSStepFunctions.StartExecution\"}",
        "\"isBase64Encoded\":true",
        "\"httpMethod\":\"POST\"",
        "\"path\":\"/StartExecution\"",
        "\"LogicalResourceId\":",
        "\"ResourceProperties\":",
        "\"transformId\":",
        "\"fragment\":{\"Resources\":{}}",
        "\"detail-type\":",
        "\"requestPayload\":",
        "\"due\":1",
        "\"message\":",
        "{\"minute\":29454180}",
        "\"operation\":\"ListStateMachines\"",
        "\"NewImage\":",
        "\"OldImage\":",
        "{\"S\":\"x\"}",
        "{\"B\":\"BQA=\"}",
        "\"AWS::StepFunctions::StateMachine\"",
        "\"Fn::Sub\":",
        "\"Fn::GetAtt\":",
        "\"Ref\":",
        "\"Item\":",
        "\"Items\":[]",
        "\n----\n",
        "\n----\n400 ",
        "{\"__type\":\"ConditionalCheckFailedException\"}",
    ],
    mutations: 500,
    bytes_max: 16_384,
    milliseconds_max: 4_000,
};

/// Steps after which an event is given up.
const STEPS_MAX: usize = 100_000;

/// Milliseconds that a function has.
const TIMEOUT_MS: i64 = 60_000;

fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let event = parts(text).next().unwrap_or_default();
    // A custom resource is answered at an address of its own, over connections of its own: nothing here leaves the process.
    if parse(event).is_ok_and(|event| event.get("ResponseURL").is_some()) {
        return;
    }
    for function in FUNCTIONS {
        let (first, again) = (answered(function, text), answered(function, text));
        assert_eq!(first, again, "{function}: twice gives two");
        match first {
            Ok(answer) => checked(function, event, &answer),
            Err(failure) => assert!(!failure.error_type.is_empty(), "{function}: {failure:?}"),
        }
    }
}

const FUNCTIONS: [&str; 5] = ["start", "step", "timer", "callback", "api"];

/// What an answer has to be, by the shape of what was asked.
fn checked(function: &str, event: &str, answer: &str) {
    let answer = parse(answer).unwrap_or_else(|error| panic!("{function} answers {answer:?}: {error}"));
    let event = parse(event).unwrap_or_default();
    if let Some(status) = answer.get("statusCode") {
        assert!(status.as_i64().is_some_and(|status| (200..600).contains(&status)), "{function}: {answer}");
    }
    let Some(failures) = answer.get("batchItemFailures").and_then(Value::as_array) else { return };
    let records = event.get("Records").and_then(Value::as_array).unwrap_or_default();
    if function == "step" {
        for failure in failures {
            let id = failure.get("itemIdentifier").and_then(Value::as_str);
            let is_there = records.iter().any(|record| record.get("messageId").and_then(Value::as_str) == id);
            assert!(id.is_some() && is_there, "{failure} names no message of the batch");
        }
    }
}

fn answered(function: &str, text: &str) -> Result<String, Failure> {
    let mut parts = parts(text);
    let event = parts.next().unwrap_or_default().to_owned();
    let clock = Arc::new(SimClock::new(3));
    let assembly = assembly(clock.clone(), parts.map(str::to_owned).collect());
    let deadline = clock.now().0 + TIMEOUT_MS;
    let slot = Rc::new(RefCell::new(None));
    let (filled, name) = (slot.clone(), function.to_owned());
    let mut executor = Executor::default();
    executor.spawn(async move {
        let event = Event::new(&event, "request", deadline);
        let answer = match &*name {
            "start" => lambda::start(&assembly, event).await,
            "step" => lambda::step(&assembly, event).await,
            "timer" => lambda::timer(&assembly, event).await,
            "callback" => lambda::callback(&assembly, event).await,
            _ => lambda::api(&assembly, event).await,
        };
        *filled.borrow_mut() = Some(answer);
    });
    // Requests have time limits of the process's clock; every answer is there at once.
    let _entered = runtime().enter();
    let mut random = Random::new(1);
    for _ in 0..STEPS_MAX {
        if let Some(answer) = slot.borrow_mut().take() {
            return answer;
        }
        if executor.step(&mut random).is_none() {
            let next = clock.next_wake().unwrap_or_else(|| panic!("{function} waits for nothing"));
            clock.advance_to(next);
        }
    }
    panic!("{function} has no end")
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().build().expect("a runtime without drivers asks nothing of the system")
    })
}

fn assembly(clock: Arc<SimClock>, answers: VecDeque<String>) -> Assembly {
    let variables = |name: &str| {
        let value = match name {
            "AWS_REGION" => "us-east-1",
            "STEPWELL_ACCOUNT_ID" => "123456789012",
            "AWS_ACCESS_KEY_ID"
            | "AWS_SECRET_ACCESS_KEY"
            | "STEPWELL_TABLE"
            | "STEPWELL_BUCKET"
            | "STEPWELL_SCHEDULE_GROUP" => "stepwell",
            "STEPWELL_QUEUE_URL" => "https://sqs.us-east-1.amazonaws.com/123456789012/transitions",
            "STEPWELL_SCHEDULE_ROLE_ARN" | "STEPWELL_ROLE_ARNS" => "arn:aws:iam::123456789012:role/r",
            "STEPWELL_TIMER_ARN" | "STEPWELL_START_ARN" | "STEPWELL_API_ARN" => {
                "arn:aws:lambda:us-east-1:123456789012:function:f"
            }
            "STEPWELL_STATE_MACHINE_ARN" => "arn:aws:states:us-east-1:123456789012:stateMachine:m",
            "STEPWELL_STATUS_EVENTS" => "on",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let config = Config::from_variables(variables).expect("it is whole");
    let keys = Keys::of(config.credentials.clone());
    let aws = Aws::new("us-east-1", config.endpoints.clone(), keys).over(Answers(Mutex::new(answers)));
    Assembly::with(config, aws, clock)
}

/// All of AWS: it gives these answers in turn, whatever is asked.
#[derive(Debug)]
struct Answers(Mutex<VecDeque<String>>);

#[async_trait]
impl Http for Answers {
    async fn send(&self, _: Request<Bytes>, bytes_max: usize) -> Result<HttpAnswer, HttpError> {
        let answer = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let answer = answer.unwrap_or_else(|| "{}".to_owned());
        if answer.is_empty() || answer.len() > bytes_max {
            return Err(HttpError::Unknown("no answer".to_owned()));
        }
        let status = answer
            .get(..3)
            .and_then(|status| status.parse().ok())
            .filter(|status| (200..600).contains(status));
        let body = if status.is_some() { answer[3..].trim_start().to_owned() } else { answer };
        Ok(HttpAnswer { status: status.unwrap_or(200), headers: HeaderMap::new(), body: body.into() })
    }
}
