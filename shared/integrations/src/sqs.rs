//! `sqs:sendMessage`

use async_trait::async_trait;
use stepwell_engine::port::TaskCall;
use stepwell_expr::{Payload, Value};
use stepwell_interpreter::{ErrorOutput, Pattern};

use crate::error::SQS;
use crate::exchange::Caller;
use crate::message_attribute::message_attribute;
use crate::metadata::Spelling;
use crate::parameters::Parameters;
use crate::{Aws, Integration, Service};

/// Sends messages to queues. (API: SQS SendMessage.)
#[derive(Debug)]
pub struct Sqs {
    caller: Caller,
}

impl Sqs {
    /// Sends them where `aws` says.
    pub fn new(aws: &Aws) -> Self {
        Sqs { caller: Caller::new(aws, Service::Sqs, &SQS) }
    }
}

/// The guide's table says `MessageAttribute`, its examples `MessageAttributes`.
const PARAMETERS: [&str; 8] = [
    "DelaySeconds",
    "MessageAttribute",
    "MessageAttributes",
    "MessageBody",
    "MessageDeduplicationId",
    "MessageGroupId",
    "MessageSystemAttributes",
    "QueueUrl",
];

/// The members of an answer that are shown.
const SHOWN: [&str; 5] = [
    "MD5OfMessageAttributes",
    "MD5OfMessageBody",
    "MD5OfMessageSystemAttributes",
    "MessageId",
    "SequenceNumber",
];

#[async_trait]
impl Integration for Sqs {
    async fn call(&self, task: &TaskCall) -> Result<Payload, ErrorOutput> {
        let parameters = Parameters::new(&task.call.parameters, &PARAMETERS)?;
        let attributes = match parameters.members("MessageAttributes", message_attribute)? {
            None => parameters.members("MessageAttribute", message_attribute)?,
            attributes => attributes,
        };
        let text = |name| parameters.text(name).map(|text| text.map(Value::from));
        let request = [
            ("QueueUrl", Some(parameters.required_text("QueueUrl")?.into())),
            ("MessageBody", parameters.message("MessageBody").map(Value::from)),
            ("DelaySeconds", parameters.integer("DelaySeconds")?.map(|seconds| i64::from(seconds).into())),
            ("MessageAttributes", attributes.map(Value::object)),
            (
                "MessageSystemAttributes",
                parameters.members("MessageSystemAttributes", message_attribute)?.map(Value::object),
            ),
            ("MessageDeduplicationId", text("MessageDeduplicationId")?),
            ("MessageGroupId", text("MessageGroupId")?),
        ];
        let request = request.into_iter().filter_map(|(name, value)| Some((name.into(), value?)));
        let exchange = self.caller.json(task, "AmazonSQS.SendMessage", request.collect()).await?;
        let answer = exchange.members()?;
        let shown =
            SHOWN.map(|name| (name, answer.get(name).filter(|value| value.as_str().is_some()).cloned()));
        Ok(exchange.result(shown, Spelling::LowerConnection))
    }

    fn offers(&self, action: &str, pattern: Pattern) -> bool {
        action == "sendMessage" && matches!(pattern, Pattern::RequestResponse | Pattern::WaitForTaskToken)
    }
}
