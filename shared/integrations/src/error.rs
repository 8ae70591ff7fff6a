//! Failed calls in the words of Step Functions, which are those of the AWS SDK for Java 1.

use std::sync::Arc;

use stepwell_asl::ErrorName;
use stepwell_interpreter::ErrorOutput;

#[cfg(feature = "http-client")]
use crate::client::CallError;
#[cfg(feature = "http-client")]
use crate::exception::Exception;
#[cfg(feature = "http-client")]
use crate::http::HttpError;

/// How a service's errors are named.
#[derive(Debug)]
pub(crate) struct Errors {
    /// Before the dot of an error's name.
    pub(crate) prefix: &'static str,
    /// `Service:` in a cause.
    pub(crate) service: &'static str,
    /// The name of errors that have no class of their own.
    pub(crate) other: &'static str,
    /// Codes that have one. Sorted.
    pub(crate) named: &'static [&'static str],
}

/// What a service answered instead of a result.
#[derive(Debug, Default)]
pub(crate) struct Refusal<'a> {
    pub(crate) status: u16,
    pub(crate) code: &'a str,
    pub(crate) message: Option<&'a str>,
    pub(crate) request_id: Option<&'a str>,
}

impl Errors {
    /// The error of a call that the service refused.
    pub(crate) fn refused(&self, refusal: &Refusal<'_>) -> ErrorOutput {
        let Refusal { status, code, message, request_id } = *refusal;
        let message = message.unwrap_or("null");
        let service = self.service;
        let request_id = request_id.unwrap_or("null");
        let cause = format!(
            "{message} (Service: {service}; Status Code: {status}; Error Code: {code}; Request ID: {request_id}; Proxy: null)"
        );
        ErrorOutput::new(format!("{}.{}", self.prefix, self.class(code)), cause)
    }

    /// Codes without `Exception` at their end get it, such as SNS's `NotFound`.
    fn class(&self, code: &str) -> Arc<str> {
        let code = OLD_CODES.iter().find(|(old, _)| *old == code).map_or(code, |(_, code)| code);
        let class = if code.ends_with("Exception") { code.to_owned() } else { format!("{code}Exception") };
        for name in [code, &class] {
            if self.named.binary_search(&name).is_ok() {
                return name.into();
            }
        }
        self.other.into()
    }

    /// The error of a call that had no answer.
    #[cfg(feature = "http-client")]
    pub(crate) fn not_called(&self, error: &CallError) -> ErrorOutput {
        match error {
            CallError::NoKeys(why) => self
                .client(format!("Unable to load credentials from any of the providers in the chain: {why}")),
            CallError::Http(HttpError::Unknown(why)) => {
                self.client(format!("Unable to execute HTTP request: {why}"))
            }
            error => self.client(error),
        }
    }

    /// The error of a call that did not reach the service, or whose answer did not reach us.
    pub(crate) fn client(&self, why: impl std::fmt::Display) -> ErrorOutput {
        ErrorOutput::new(format!("{}.SdkClientException", self.prefix), why.to_string())
    }
}

#[cfg(feature = "http-client")]
impl Exception {
    pub(crate) fn as_refusal(&self) -> Refusal<'_> {
        let Exception { status, code, message, request_id, .. } = self;
        Refusal { status: *status, code, message: message.as_deref(), request_id: request_id.as_deref() }
    }
}

/// Codes that services have kept from a protocol of old.
const OLD_CODES: [(&str, &str); 3] = [
    ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"),
    ("AWS.SimpleQueueService.UnsupportedOperation", "UnsupportedOperation"),
    ("ParameterValueInvalid", "InvalidParameterValue"),
];

/// Functions: what `Invoke` can answer.
pub(crate) const LAMBDA: Errors = Errors {
    prefix: "Lambda",
    service: "AWSLambda",
    other: "AWSLambdaException",
    named: &[
        "EC2AccessDeniedException",
        "EC2ThrottledException",
        "EC2UnexpectedException",
        "EFSIOException",
        "EFSMountConnectivityException",
        "EFSMountFailureException",
        "EFSMountTimeoutException",
        "ENILimitReachedException",
        "InvalidParameterValueException",
        "InvalidRequestContentException",
        "InvalidRuntimeException",
        "InvalidSecurityGroupIDException",
        "InvalidSubnetIDException",
        "InvalidZipFileException",
        "KMSAccessDeniedException",
        "KMSDisabledException",
        "KMSInvalidStateException",
        "KMSNotFoundException",
        "RecursiveInvocationException",
        "RequestTooLargeException",
        "ResourceConflictException",
        "ResourceNotFoundException",
        "ResourceNotReadyException",
        "ServiceException",
        "SnapStartException",
        "SnapStartNotReadyException",
        "SnapStartTimeoutException",
        "SubnetIPAddressLimitReachedException",
        "TooManyRequestsException",
        "UnsupportedMediaTypeException",
    ],
};

/// Items: what the four operations on one item can answer.
#[cfg(feature = "dynamodb")]
pub(crate) const DYNAMODB: Errors = Errors {
    prefix: "DynamoDB",
    service: "AmazonDynamoDBv2",
    other: "AmazonDynamoDBException",
    named: &[
        "ConditionalCheckFailedException",
        "InternalServerErrorException",
        "ItemCollectionSizeLimitExceededException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",
        "RequestLimitExceededException",
        "ResourceInUseException",
        "ResourceNotFoundException",
        "TransactionConflictException",
    ],
};

/// Topics: what `Publish` can answer.
#[cfg(feature = "sns")]
pub(crate) const SNS: Errors = Errors {
    prefix: "SNS",
    service: "AmazonSNS",
    other: "AmazonSNSException",
    named: &[
        "AuthorizationErrorException",
        "EndpointDisabledException",
        "InternalErrorException",
        "InvalidParameterException",
        "InvalidParameterValueException",
        "InvalidSecurityException",
        "KMSAccessDeniedException",
        "KMSDisabledException",
        "KMSInvalidStateException",
        "KMSNotFoundException",
        "KMSOptInRequiredException",
        "KMSThrottlingException",
        "NotFoundException",
        "PlatformApplicationDisabledException",
        "ValidationException",
    ],
};

/// Queues: what `SendMessage` can answer.
#[cfg(feature = "sqs")]
pub(crate) const SQS: Errors = Errors {
    prefix: "SQS",
    service: "AmazonSQS",
    other: "AmazonSQSException",
    named: &[
        "InvalidAddressException",
        "InvalidMessageContentsException",
        "InvalidSecurityException",
        "KmsAccessDeniedException",
        "KmsDisabledException",
        "KmsInvalidKeyUsageException",
        "KmsInvalidStateException",
        "KmsNotFoundException",
        "KmsOptInRequiredException",
        "KmsThrottledException",
        "QueueDoesNotExistException",
        "RequestThrottledException",
        "UnsupportedOperationException",
    ],
};

/// Nested executions: what `StartExecution` can answer.
pub(crate) const STATES: Errors = Errors {
    prefix: "StepFunctions",
    service: "AWSStepFunctions",
    other: "AWSStepFunctionsException",
    named: &[
        "ExecutionAlreadyExistsException",
        "ExecutionLimitExceededException",
        "InvalidArnException",
        "InvalidExecutionInputException",
        "InvalidNameException",
        "KmsAccessDeniedException",
        "KmsInvalidStateException",
        "KmsThrottlingException",
        "StateMachineDeletingException",
        "StateMachineDoesNotExistException",
        "ValidationException",
    ],
};

/// The error of a call that the AWS SDK for Java 2 makes: `aws-sdk:…`. `service` is what it calls the service.
pub(crate) fn sdk_refused(service: &str, refusal: &Refusal<'_>) -> ErrorOutput {
    let Refusal { status, code, message, request_id } = *refusal;
    let message = message.unwrap_or("null");
    let request_id = request_id.unwrap_or("null");
    let class = if code.ends_with("Exception") { code.to_owned() } else { format!("{code}Exception") };
    let cause = format!(
        "{message} (Service: {service}, Status Code: {status}, Request ID: {request_id}) (SDK Attempt Count: 1)"
    );
    ErrorOutput::new(format!("{service}.{class}"), cause)
}

/// A call of a function whose outcome nobody knows.
pub(crate) fn lambda_unknown(why: impl std::fmt::Display) -> ErrorOutput {
    ErrorOutput::new(ErrorName::LAMBDA_UNKNOWN, format!("The outcome of the call is unknown: {why}"))
}

/// A result that is over the limit before it was read to its end; `resource` is the function's ARN or the service.
pub(crate) fn result_too_large(resource: &str) -> ErrorOutput {
    let cause = format!(
        "The state/task '{resource}' returned a result with a size exceeding the maximum number of bytes service limit."
    );
    ErrorOutput::new(ErrorName::DATA_LIMIT_EXCEEDED, cause)
}

/// An integration that nobody registered.
pub(crate) fn not_available(resource: &str) -> ErrorOutput {
    let cause = format!("The integration '{resource}' is not available in this build of stepwell.");
    ErrorOutput::new(ErrorName::RUNTIME, cause)
}

/// A task with `Credentials`, where no role can be assumed.
#[cfg(all(feature = "keys", not(feature = "http-client")))]
pub(crate) fn roles_not_available(role: &str) -> ErrorOutput {
    let cause = format!(
        "The role {role} cannot be assumed: Credentials are not available in this build of stepwell."
    );
    ErrorOutput::new(ErrorName::RUNTIME, cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_names() {
        let check = |errors: &Errors, code: &str, expected: &str| {
            let error = errors.refused(&Refusal { status: 400, code, ..Refusal::default() });
            assert_eq!(error.error.as_deref(), Some(expected), "{code}");
        };
        check(&LAMBDA, "ResourceNotFoundException", "Lambda.ResourceNotFoundException");
        check(&LAMBDA, "AccessDeniedException", "Lambda.AWSLambdaException");
        check(&LAMBDA, "", "Lambda.AWSLambdaException");
        check(&STATES, "StateMachineDoesNotExist", "StepFunctions.StateMachineDoesNotExistException");
        check(&STATES, "ThrottlingException", "StepFunctions.AWSStepFunctionsException");
        #[cfg(feature = "dynamodb")]
        {
            check(&DYNAMODB, "ResourceNotFoundException", "DynamoDB.ResourceNotFoundException");
            check(&DYNAMODB, "InternalServerError", "DynamoDB.InternalServerErrorException");
            check(&DYNAMODB, "ValidationException", "DynamoDB.AmazonDynamoDBException");
        }
        #[cfg(feature = "sns")]
        {
            check(&SNS, "NotFound", "SNS.NotFoundException");
            check(&SNS, "Throttling", "SNS.AmazonSNSException");
        }
        #[cfg(feature = "sqs")]
        {
            check(&SQS, "AWS.SimpleQueueService.NonExistentQueue", "SQS.QueueDoesNotExistException");
            check(&SQS, "QueueDoesNotExist", "SQS.QueueDoesNotExistException");
            check(&SQS, "InvalidParameterValue", "SQS.AmazonSQSException");
        }
    }

    #[test]
    fn the_tables_are_sorted() {
        let tables = [
            &LAMBDA,
            &STATES,
            #[cfg(feature = "dynamodb")]
            &DYNAMODB,
            #[cfg(feature = "sns")]
            &SNS,
            #[cfg(feature = "sqs")]
            &SQS,
        ];
        assert!(tables.iter().all(|errors| errors.named.is_sorted()));
    }

    #[test]
    fn causes_are_those_of_the_java_sdk() {
        let refusal = Refusal {
            status: 404,
            code: "ResourceNotFoundException",
            message: Some("Function not found: f"),
            request_id: Some("1-2"),
        };
        assert_eq!(
            LAMBDA.refused(&refusal).cause.as_deref(),
            Some(
                "Function not found: f (Service: AWSLambda; Status Code: 404; Error Code: \
                 ResourceNotFoundException; Request ID: 1-2; Proxy: null)"
            )
        );
    }
}
