//! A function's life: what Lambda's runtime hands over goes to a handler, again and again.

use futures::FutureExt;
use lambda_runtime::{Context, Diagnostic, Error, LambdaEvent, run, service_fn};
use serde_json::value::RawValue;

use crate::lambda::{Event, Failure};
use crate::log::log_as;
use crate::{Assembly, Config};

/// Is the function `name`, whose events `handler` answers: reads the environment, puts the engine together, and takes events
/// in until Lambda is done with the process.
///
/// # Errors
/// An environment that lacks something; Lambda's runtime does not answer.
pub async fn serve(
    name: &str,
    handler: impl AsyncFn(&Assembly, Event<'_>) -> Result<String, Failure>,
) -> Result<(), Error> {
    let config = Config::from_env().inspect_err(|error| eprintln!("stepwell-function-{name}: {error}"))?;
    log_as(config.log.as_deref());
    let (assembly, handler) = (&Assembly::new(config), &handler);
    let answer = async move |event: LambdaEvent<Box<RawValue>>| {
        let (payload, context) = event.into_parts();
        // On the heap, since the compiler bounds how deep futures may lie in one another.
        let answer = handler(assembly, event_of(&payload, &context)).boxed_local().await.map_err(failed)?;
        RawValue::from_string(answer).map_err(|error| failed(Failure::internal(error)))
    };
    run(service_fn(answer)).await
}

fn event_of<'a>(payload: &'a RawValue, context: &'a Context) -> Event<'a> {
    let deadline = i64::try_from(context.deadline).unwrap_or(i64::MAX);
    Event::new(payload.get(), &context.request_id, deadline)
}

fn failed(failure: Failure) -> Diagnostic {
    Diagnostic { error_type: failure.error_type, error_message: failure.message }
}
