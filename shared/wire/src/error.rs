//! The one table from what goes wrong to AWS's exceptions: name, message and HTTP status.

use stepwell_engine::port::{
    ActivitiesError, BoxError, JournalError, MapRunsError, NoSuchPlace, Refused, RegistryError, Throttled,
};
use stepwell_engine::{ActivityTaskError, CallbackError, StartError, StopError, UpdateMapRunError};

use crate::answer::Answer;

/// Why a request was refused. The messages are AWS's own, as recorded, where it is known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The target names no operation of the API.
    #[error("{0}")]
    UnknownOperation(String),
    /// The body is no JSON object, or a member has another type than the API's.
    #[error("{0}")]
    Serialization(String),
    /// The request is over [`crate::REQUEST_BYTES_MAX`].
    #[error("HTTP content length exceeded {} bytes.", crate::REQUEST_BYTES_MAX)]
    RequestTooLarge,
    /// Members break constraints of the API's model; each is named.
    #[error("{}", violations(.0))]
    Constraints(Vec<String>),
    /// The request makes no sense, though each member may.
    #[error("{message}")]
    Validation {
        /// What is wrong.
        message: String,
        /// `reason`, where the API has one.
        reason: Option<&'static str>,
    },
    /// `UpdateStateMachine` with nothing to update.
    #[error("{0}")]
    MissingRequiredParameter(&'static str),
    /// No ARN, or one of another kind of resource.
    #[error("Invalid Arn: '{0}'")]
    InvalidArn(String),
    /// A name with characters that names must not have.
    #[error("Invalid Name: '{0}'")]
    InvalidName(String),
    /// A definition with errors; the text is [`stepwell_asl::invalid_definition`]'s.
    #[error("{0}")]
    InvalidDefinition(String),
    /// An execution's input that is no JSON.
    #[error("Invalid State Machine Execution Input: '{0}'")]
    InvalidExecutionInput(String),
    /// A task's output that is no JSON.
    #[error("Invalid Output: '{0}'")]
    InvalidOutput(String),
    /// A page token or task token that was not issued here, or for another request.
    #[error("Invalid Token: 'Invalid token'")]
    InvalidToken,
    /// `loggingConfiguration` that cannot be.
    #[error("Invalid Logging Configuration: {0}")]
    InvalidLoggingConfiguration(&'static str),
    /// `encryptionConfiguration` that cannot be.
    #[error("Invalid Encryption Configuration: {0}")]
    InvalidEncryptionConfiguration(&'static str),
    /// There is no such state machine.
    #[error("State Machine Does Not Exist: '{0}'")]
    StateMachineDoesNotExist(String),
    /// Another state machine has the name.
    #[error("State Machine Already Exists: '{0}'")]
    StateMachineAlreadyExists(String),
    /// The state machine is being deleted.
    #[error("State Machine Deleting: '{0}'")]
    StateMachineDeleting(String),
    /// The operation is for the other type of state machine.
    #[error("This operation is not supported by this type of state machine")]
    StateMachineTypeNotSupported,
    /// There is no such activity.
    #[error("Activity Does Not Exist: '{0}'")]
    ActivityDoesNotExist(String),
    /// The activity is there with another encryption.
    #[error("Activity Already Exists: '{0}'")]
    ActivityAlreadyExists(String),
    /// As many workers as may poll an activity do so already.
    #[error("Activity Worker Limit Exceeded: '{0}'")]
    ActivityWorkerLimitExceeded(String),
    /// There is no such execution.
    #[error("Execution Does Not Exist: '{0}'")]
    ExecutionDoesNotExist(String),
    /// The execution cannot go on.
    #[error("Execution {arn} invalid for redrive as: {why}")]
    ExecutionNotRedrivable {
        /// The execution's ARN.
        arn: String,
        /// Why, as `redriveStatusReason` says it.
        why: String,
    },
    /// Another execution has the name.
    #[error("Execution Already Exists: '{0}'")]
    ExecutionAlreadyExists(String),
    /// The task is over, or its execution is.
    #[error("Task Timed Out: 'Provided task does not exist anymore'")]
    TaskTimedOut,
    /// There is no such task.
    #[error("Task Does Not Exist: 'Provided task does not exist'")]
    TaskDoesNotExist,
    /// The resource was changed by somebody else meanwhile, or is in use, or is not what the request says.
    #[error("{0}")]
    Conflict(String),
    /// There is no such resource.
    #[error("Resource not found: '{0}'")]
    ResourceNotFound(String),
    /// What the request names, an alias or a version, is not there.
    #[error("Request references a resource that does not exist.")]
    ReferenceNotFound {
        /// Its ARN.
        resource: String,
    },
    /// There are as many as there may be.
    #[error("{0}")]
    ServiceQuotaExceeded(String),
    /// More tags than a resource may have.
    #[error("Too many tags: a resource has at most {} tags", crate::TAGS_MAX)]
    TooManyTags {
        /// The resource's ARN.
        resource: String,
    },
    /// Nothing says who asks.
    #[error("Missing Authentication Token")]
    MissingAuthenticationToken,
    /// What says who asks cannot be read, or leaves something out.
    #[error("{0}")]
    IncompleteSignature(String),
    /// The request is not what the owner of the key signed, or not for this place and time.
    #[error("{0}")]
    InvalidSignature(String),
    /// There is no such key.
    #[error("The security token included in the request is invalid.")]
    UnrecognizedClient,
    /// The caller may not do that.
    #[error("{0}")]
    AccessDenied(String),
    /// The request may be made again, a little later.
    #[error("{0}")]
    Throttling(&'static str),
    /// There is no room for the request now.
    #[error("Service is unable to handle request.")]
    ServiceUnavailable,
    /// The store or the engine did not answer; whether something was done is not known.
    #[error("{}", unanswered(&**.0))]
    Internal(#[source] BoxError),
}

fn unanswered(cause: &(dyn std::error::Error + 'static)) -> &'static str {
    if Refused::is_in(cause) {
        "the request cannot be answered, and trying it again will not help: the log says why"
    } else {
        "the request could not be answered; it may be tried again"
    }
}

/// Where AWS's exceptions are declared: the part of `__type` before `#`.
#[derive(Clone, Copy)]
enum Namespace {
    /// The service's own model.
    StepFunctions,
    /// The framework's checks of the model's constraints.
    Validate,
    /// The framework.
    Service,
    /// The framework, where it asks who calls; it spells `message` like the service.
    Caller,
    /// The framework, where there is too much to do.
    Availability,
}

impl Namespace {
    fn text(self) -> &'static str {
        match self {
            Namespace::StepFunctions => "com.amazonaws.swf.service.v2.model",
            Namespace::Validate => "com.amazon.coral.validate",
            Namespace::Service | Namespace::Caller => "com.amazon.coral.service",
            Namespace::Availability => "com.amazon.coral.availability",
        }
    }
}

impl Error {
    /// What AWS says of a request that is one too many.
    pub const RATE_EXCEEDED: &str = "Rate exceeded";

    /// What a port did not answer. Where that has more to do than it may, the caller is told to come again later.
    pub(crate) fn unavailable(cause: BoxError) -> Self {
        if Throttled::is_in(&*cause) {
            Error::Throttling(Error::RATE_EXCEEDED)
        } else {
            Error::Internal(cause)
        }
    }

    /// A [`Error::Validation`].
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Error::Validation { message: message.into(), reason: None }
    }

    /// A [`Error::Validation`] with its `reason`.
    pub(crate) fn validation_for(reason: &'static str, message: impl Into<String>) -> Self {
        Error::Validation { message: message.into(), reason: Some(reason) }
    }

    /// The table.
    fn row(&self) -> (Namespace, &'static str, u16) {
        use Namespace::{Availability, Caller, Service, StepFunctions, Validate};
        match self {
            Error::UnknownOperation(_) => (Service, "UnknownOperationException", 400),
            Error::Serialization(_) => (Service, "SerializationException", 400),
            Error::RequestTooLarge => (Service, "RequestEntityTooLargeException", 413),
            Error::Constraints(_) => (Validate, "ValidationException", 400),
            Error::Validation { .. } => (StepFunctions, "ValidationException", 400),
            Error::MissingRequiredParameter(_) => (StepFunctions, "MissingRequiredParameter", 400),
            Error::InvalidArn(_) => (StepFunctions, "InvalidArn", 400),
            Error::InvalidName(_) => (StepFunctions, "InvalidName", 400),
            Error::InvalidDefinition(_) => (StepFunctions, "InvalidDefinition", 400),
            Error::InvalidExecutionInput(_) => (StepFunctions, "InvalidExecutionInput", 400),
            Error::InvalidOutput(_) => (StepFunctions, "InvalidOutput", 400),
            Error::InvalidToken => (StepFunctions, "InvalidToken", 400),
            Error::InvalidLoggingConfiguration(_) => (StepFunctions, "InvalidLoggingConfiguration", 400),
            Error::InvalidEncryptionConfiguration(_) => {
                (StepFunctions, "InvalidEncryptionConfiguration", 400)
            }
            Error::StateMachineDoesNotExist(_) => (StepFunctions, "StateMachineDoesNotExist", 400),
            Error::StateMachineAlreadyExists(_) => (StepFunctions, "StateMachineAlreadyExists", 400),
            Error::StateMachineDeleting(_) => (StepFunctions, "StateMachineDeleting", 400),
            Error::StateMachineTypeNotSupported => (StepFunctions, "StateMachineTypeNotSupported", 400),
            Error::ActivityDoesNotExist(_) => (StepFunctions, "ActivityDoesNotExist", 400),
            Error::ActivityAlreadyExists(_) => (StepFunctions, "ActivityAlreadyExists", 400),
            Error::ActivityWorkerLimitExceeded(_) => (StepFunctions, "ActivityWorkerLimitExceeded", 400),
            Error::ExecutionDoesNotExist(_) => (StepFunctions, "ExecutionDoesNotExist", 400),
            Error::ExecutionAlreadyExists(_) => (StepFunctions, "ExecutionAlreadyExists", 400),
            Error::ExecutionNotRedrivable { .. } => (StepFunctions, "ExecutionNotRedrivable", 400),
            Error::TaskTimedOut => (StepFunctions, "TaskTimedOut", 400),
            Error::TaskDoesNotExist => (StepFunctions, "TaskDoesNotExist", 400),
            Error::Conflict(_) => (StepFunctions, "ConflictException", 400),
            Error::ResourceNotFound(_) | Error::ReferenceNotFound { .. } => {
                (StepFunctions, "ResourceNotFound", 400)
            }
            Error::ServiceQuotaExceeded(_) => (StepFunctions, "ServiceQuotaExceededException", 400),
            Error::TooManyTags { .. } => (StepFunctions, "TooManyTags", 400),
            Error::MissingAuthenticationToken => (Caller, "MissingAuthenticationTokenException", 400),
            Error::IncompleteSignature(_) => (Caller, "IncompleteSignatureException", 400),
            Error::InvalidSignature(_) => (Caller, "InvalidSignatureException", 400),
            Error::UnrecognizedClient => (Caller, "UnrecognizedClientException", 400),
            Error::AccessDenied(_) => (Caller, "AccessDeniedException", 400),
            Error::Throttling(_) => (Availability, "ThrottlingException", 400),
            Error::ServiceUnavailable => (Availability, "ServiceUnavailableException", 503),
            Error::Internal(_) => (Service, "InternalFailure", 500),
        }
    }

    /// AWS's name of the exception, such as `ExecutionDoesNotExist`.
    pub fn name(&self) -> &'static str {
        self.row().1
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.row().2
    }

    /// The body of the answer.
    pub fn body(&self) -> String {
        let (namespace, name, _) = self.row();
        let mut answer = Answer::new();
        answer.text("__type", &format!("{}#{name}", namespace.text()));
        let message = self.to_string();
        match namespace {
            Namespace::Service => answer.text("Message", &message),
            _ => answer.text("message", &message),
        };
        match self {
            Error::ResourceNotFound(resource)
            | Error::ReferenceNotFound { resource }
            | Error::TooManyTags { resource } => {
                answer.text("resourceName", resource);
            }
            Error::Validation { reason, .. } => {
                answer.text_if("reason", *reason);
            }
            _ => {}
        }
        answer.finish()
    }
}

fn violations(violations: &[String]) -> String {
    let noun = if violations.len() == 1 { "error" } else { "errors" };
    format!("{} validation {noun} detected: {}", violations.len(), violations.join("; "))
}

impl From<JournalError> for Error {
    fn from(error: JournalError) -> Self {
        if NoSuchPlace::is_in(&error) { Error::InvalidToken } else { Error::unavailable(Box::new(error)) }
    }
}

impl From<RegistryError> for Error {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Missing(arn) => Error::StateMachineDoesNotExist(arn),
            RegistryError::Exists(machine) => Error::StateMachineAlreadyExists(machine.arn.to_string()),
            RegistryError::Deleting(arn) => Error::StateMachineDeleting(arn),
            RegistryError::AliasMissing(name) => Error::ReferenceNotFound { resource: name },
            RegistryError::VersionMissing(number) => {
                Error::ReferenceNotFound { resource: number.to_string() }
            }
            RegistryError::AliasExists(alias) => Error::Conflict(format!(
                "The alias {} was changed by another request at the same time. Try again",
                alias.name
            )),
            RegistryError::VersionInUse(aliases) => Error::Conflict(format!(
                "Version to be deleted must not be referenced by an alias. Current list of aliases referencing this \
                 version: [{}]",
                aliases.join(", ")
            )),
            RegistryError::Full(limit) => Error::ServiceQuotaExceeded(format!(
                "A state machine has at most {limit} of these. Delete some that are no longer used"
            )),
            RegistryError::TooLarge { bytes, most, why } => Error::ServiceQuotaExceeded(format!(
                "The definition has {bytes} bytes, and the store of this account holds {most}: {why}"
            )),
            RegistryError::Unavailable(cause) => Error::unavailable(cause),
        }
    }
}

impl From<ActivitiesError> for Error {
    fn from(error: ActivitiesError) -> Self {
        Error::unavailable(Box::new(error))
    }
}

impl From<ActivityTaskError> for Error {
    fn from(error: ActivityTaskError) -> Self {
        match error {
            ActivityTaskError::DoesNotExist(arn) => Error::ActivityDoesNotExist(arn.to_string()),
            ActivityTaskError::WorkerLimitExceeded(arn) => {
                Error::ActivityWorkerLimitExceeded(arn.to_string())
            }
            ActivityTaskError::Unavailable(cause) => Error::unavailable(cause),
        }
    }
}

impl From<MapRunsError> for Error {
    fn from(error: MapRunsError) -> Self {
        if NoSuchPlace::is_in(&error) { Error::InvalidToken } else { Error::unavailable(Box::new(error)) }
    }
}

impl From<UpdateMapRunError> for Error {
    fn from(error: UpdateMapRunError) -> Self {
        match error {
            UpdateMapRunError::DoesNotExist(arn) => Error::ResourceNotFound(arn.to_string()),
            UpdateMapRunError::Completed(arn) => Error::validation_for(
                "CANNOT_UPDATE_COMPLETED_MAP_RUN",
                format!("The Map Run '{arn}' is completed and cannot be updated"),
            ),
            UpdateMapRunError::Unavailable(cause) => Error::unavailable(cause),
        }
    }
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        match error {
            StartError::AlreadyExists { arn } => Error::ExecutionAlreadyExists(arn.to_string()),
            StartError::Unavailable(cause) => Error::unavailable(cause),
        }
    }
}

impl From<StopError> for Error {
    fn from(error: StopError) -> Self {
        match error {
            StopError::DoesNotExist(arn) => Error::ExecutionDoesNotExist(arn.to_string()),
            StopError::Unavailable(cause) => Error::unavailable(cause),
        }
    }
}

impl From<CallbackError> for Error {
    fn from(error: CallbackError) -> Self {
        match error {
            CallbackError::InvalidToken => Error::InvalidToken,
            CallbackError::TaskDoesNotExist => Error::TaskDoesNotExist,
            CallbackError::TaskTimedOut => Error::TaskTimedOut,
            CallbackError::Unavailable(cause) => Error::unavailable(cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_bear_the_full_type_and_the_message() {
        let check = |error: Error, status: u16, body: &str| {
            assert_eq!(error.status(), status, "{error}");
            assert_eq!(error.body(), body);
        };
        check(
            Error::ExecutionDoesNotExist("arn:x".into()),
            400,
            r#"{"__type":"com.amazonaws.swf.service.v2.model#ExecutionDoesNotExist","message":"Execution Does Not Exist: 'arn:x'"}"#,
        );
        check(
            Error::Constraints(vec!["a".into()]),
            400,
            r#"{"__type":"com.amazon.coral.validate#ValidationException","message":"1 validation error detected: a"}"#,
        );
        check(
            Error::Constraints(vec!["a".into(), "b".into()]),
            400,
            r#"{"__type":"com.amazon.coral.validate#ValidationException","message":"2 validation errors detected: a; b"}"#,
        );
        check(
            Error::ResourceNotFound("arn:x".into()),
            400,
            r#"{"__type":"com.amazonaws.swf.service.v2.model#ResourceNotFound","message":"Resource not found: 'arn:x'","resourceName":"arn:x"}"#,
        );
        check(
            Error::UnrecognizedClient,
            400,
            r#"{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"The security token included in the request is invalid."}"#,
        );
        check(
            Error::Throttling("Rate exceeded"),
            400,
            r#"{"__type":"com.amazon.coral.availability#ThrottlingException","message":"Rate exceeded"}"#,
        );
        check(
            Error::Internal("disk".into()),
            500,
            r#"{"__type":"com.amazon.coral.service#InternalFailure","Message":"the request could not be answered; it may be tried again"}"#,
        );
    }

    #[test]
    fn what_stands_behind_a_port_may_be_throttled() {
        let check = |error: Error, name: &str| assert_eq!(error.name(), name, "{error:?}");
        let throttled = || -> BoxError { Box::new(Throttled("the table has no capacity left".into())) };
        check(JournalError(throttled()).into(), "ThrottlingException");
        check(StartError::Unavailable(Box::new(JournalError(throttled()))).into(), "ThrottlingException");
        check(RegistryError::Unavailable(throttled()).into(), "ThrottlingException");
        check(CallbackError::Unavailable(throttled()).into(), "ThrottlingException");
        check(StartError::Unavailable("no answer".into()).into(), "InternalFailure");
    }
}
