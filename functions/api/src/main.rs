//! The Lambda function `api`: answers the API of Step Functions.
//!
//! It reads its configuration, puts the engine together and hands over; nothing is decided here.

use std::sync::Arc;

use lambda_runtime::{Context, Diagnostic, Error, LambdaEvent, run, service_fn};
use serde_json::value::RawValue;
use stepwell_aws::lambda::{self, Event, Failure};
use stepwell_aws::{Assembly, Config};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_env().inspect_err(|error| eprintln!("stepwell-function-api: {error}"))?;
    stepwell_aws::log_as(config.log.as_deref());
    let assembly = Arc::new(Assembly::new(config));
    let handler = move |event| handle(assembly.clone(), event);
    run(service_fn(handler)).await
}

async fn handle(
    assembly: Arc<Assembly>,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Box<RawValue>, Diagnostic> {
    let (payload, context) = event.into_parts();
    let answer = lambda::api(&assembly, event_of(&payload, &context)).await.map_err(failed)?;
    RawValue::from_string(answer).map_err(|error| failed(Failure::internal(error)))
}

fn event_of<'a>(payload: &'a RawValue, context: &'a Context) -> Event<'a> {
    let deadline = i64::try_from(context.deadline).unwrap_or(i64::MAX);
    Event::new(payload.get(), &context.request_id, deadline)
}

fn failed(failure: Failure) -> Diagnostic {
    Diagnostic { error_type: failure.error_type, error_message: failure.message }
}
