//! What becomes of a function's event. Each function tells its events apart by their shape.
//!
//! The five functions' mains hand over what Lambda gives them, and give back what is answered here. Nothing that comes in is
//! trusted to be what it seems: what cannot be read is a [`Failure`], or where others came with it, fails alone.

mod callers;
mod cloudformation;
mod destination;
mod direct;
mod eventbridge;
mod http;
mod macros;
mod objects;
mod scheduler;
mod shape;
mod sqs;
mod stream;
mod time;

use futures::FutureExt;
use stepwell_expr::Value;
use stepwell_integrations::Service;
use stepwell_interpreter::Timestamp;
use stepwell_wire::{Api, Call, Reply};

use self::cloudformation::Answers;
use self::macros::Names;
use self::objects::S3Objects;
use self::shape::Shape;
use self::time::Time;
use crate::Assembly;

/// An event, as Lambda hands it to a function. What it says is not shown.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    /// Its JSON, as it came.
    pub payload: &'a str,
    /// The id of this invocation, which Lambda's own repetitions bear too.
    pub request_id: &'a str,
    /// When Lambda cuts the function off.
    pub deadline: Timestamp,
}

impl std::fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Event({}, {} bytes)", self.request_id, self.payload.len())
    }
}

/// Why an event has no answer. Lambda shows it to a caller that waits, and repeats what nobody waits for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error_type}: {message}")]
pub struct Failure {
    /// The name of AWS's exception, such as `StateMachineDoesNotExist`.
    pub error_type: String,
    /// What happened.
    pub message: String,
}

impl<'a> Event<'a> {
    /// An event that has to be answered by `deadline`, in milliseconds since 1970.
    pub fn new(payload: &'a str, request_id: &'a str, deadline: i64) -> Self {
        Event { payload, request_id, deadline: Timestamp(deadline) }
    }
}

impl Failure {
    /// What should not happen.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        Failure::new("InternalFailure", error)
    }

    fn new(error_type: &str, message: impl ToString) -> Self {
        Failure { error_type: error_type.to_owned(), message: message.to_string() }
    }
}

/// The function `start`: StartExecution and StartSyncExecution by HTTP, events of EventBridge, direct invocations.
///
/// # Errors
/// [`Failure`]
pub async fn start(assembly: &Assembly, event: Event<'_>) -> Result<String, Failure> {
    let (value, time) = read(assembly, &event)?;
    match Shape::of(&value) {
        Shape::Http(request) => http::answer(assembly, &request, http::STARTS, time).await,
        Shape::EventBridge => eventbridge::start(assembly, &value, event.payload, time).await,
        Shape::Other => direct::start(assembly, &value, event.request_id, time).await,
        shape => Err(unknown("start", &shape)),
    }
}

/// The function `step`: drives the executions whose messages the queue hands it, and names those that have to come again.
///
/// # Errors
/// [`Failure`] where the event is no batch of a queue.
pub async fn step(assembly: &Assembly, event: Event<'_>) -> Result<String, Failure> {
    let (value, time) = read(assembly, &event)?;
    match Shape::of(&value) {
        Shape::Queue(records) => Ok(sqs::drive(assembly, records, time).await),
        shape => Err(unknown("step", &shape)),
    }
}

/// The function `timer`: what EventBridge Scheduler sends, and records of the table's stream.
///
/// # Errors
/// [`Failure`]; whoever sent it tries again.
pub async fn timer(assembly: &Assembly, event: Event<'_>) -> Result<String, Failure> {
    let (value, time) = read(assembly, &event)?;
    match Shape::of(&value) {
        // Boxed, since its type is too deep for a function's main.
        Shape::Stream => Ok(stream::removed(assembly, &value, time).boxed().await),
        Shape::Schedule => scheduler::fired(assembly, event.payload).await,
        Shape::Minute(minute) => scheduler::minute_came(assembly, minute).await,
        shape => Err(unknown("timer", &shape)),
    }
}

/// The function `callback`: SendTaskSuccess, SendTaskFailure and SendTaskHeartbeat, by HTTP or directly; the ends of functions that
/// tasks have invoked asynchronously; what services tell of jobs.
///
/// # Errors
/// [`Failure`]
pub async fn callback(assembly: &Assembly, event: Event<'_>) -> Result<String, Failure> {
    let (value, time) = read(assembly, &event)?;
    match Shape::of(&value) {
        Shape::Http(request) => http::answer(assembly, &request, http::CALLBACKS, time).await,
        Shape::Destination => destination::ended(assembly, &value, time).await,
        Shape::EventBridge => Ok(eventbridge::job_changed(&value)),
        Shape::Other => direct::callback(assembly, &value, time).await,
        shape => Err(unknown("callback", &shape)),
    }
}

/// The function `api`: every operation, by HTTP or directly; custom resources and the macro of CloudFormation.
///
/// # Errors
/// [`Failure`]
pub async fn api(assembly: &Assembly, event: Event<'_>) -> Result<String, Failure> {
    let (value, time) = read(assembly, &event)?;
    match Shape::of(&value) {
        Shape::Http(request) => http::answer(assembly, &request, http::ALL, time).await,
        Shape::CustomResource => {
            let api = &assembly.api.until(time.deadline);
            let (objects, answers) = (&S3Objects(&assembly.aws), &Answers::new(is_emulated(assembly)));
            cloudformation::World { api, objects, answers }.handle(&value).await
        }
        Shape::Macro => Ok(macros::answer(&Names::of(&assembly.config)?, &value)),
        Shape::Other => match Box::pin(callers::manage(assembly, &value)).await {
            Some(answer) => answer,
            None => direct::call_any(assembly, &value, time).await,
        },
        shape => Err(unknown("api", &shape)),
    }
}

/// Whether something stands in for AWS: it may be anywhere.
fn is_emulated(assembly: &Assembly) -> bool {
    assembly.config.endpoints.is_emulated(Service::S3)
}

fn read(assembly: &Assembly, event: &Event<'_>) -> Result<(Value, Time), Failure> {
    let value = stepwell_expr::json::parse(event.payload);
    let value = value.map_err(|error| Failure::new("InvalidRequestContentException", error.message))?;
    Ok((value, Time::until(event.deadline, assembly.config.call_max, &*assembly.clock)))
}

fn unknown(function: &str, shape: &Shape<'_>) -> Failure {
    let message = format!("the function {function} has no use for {}", shape.name());
    Failure::new("UnknownEvent", message)
}

/// Answers a call of an operation.
async fn call(api: &Api, operation: &str, body: &[u8]) -> Reply {
    let target = format!("{}{operation}", Api::TARGET_PREFIX);
    api.answer(Call { target: &target, body, trace_header: None, parent: None }).await
}

/// What a call was answered, where that is a success.
fn succeeded(reply: Reply) -> Result<String, Failure> {
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    let Some(error_type) = reply.error_type else { return Ok(text) };
    let body = stepwell_expr::json::parse(&text).unwrap_or_default();
    let message = ["message", "Message"].iter().find_map(|name| body.get(name)?.as_str());
    Err(Failure::new(error_type, message.unwrap_or_default()))
}
