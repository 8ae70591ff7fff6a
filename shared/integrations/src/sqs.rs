//! `sqs:sendMessage`

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
};
use aws_smithy_types::Blob;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use stepwell_engine::port::TaskCall;
use stepwell_expr::{Payload, Value};
use stepwell_interpreter::{ErrorOutput, Pattern};

use crate::error::SQS;
use crate::metadata::Spelling;
use crate::parameters::Parameters;
use crate::sdk::{Clients, Exchange, failed};
use crate::{Aws, Integration, Service};

/// Sends messages to queues. (API: SQS SendMessage.)
#[derive(Debug)]
pub struct Sqs {
    clients: Clients<Client>,
}

impl Sqs {
    /// Sends them where `aws` says.
    pub fn new(aws: &Aws) -> Self {
        Sqs { clients: Clients::new(aws, Service::Sqs, Client::new) }
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

#[async_trait]
impl Integration for Sqs {
    async fn call(&self, task: &TaskCall) -> Result<Payload, ErrorOutput> {
        let parameters = Parameters::new(&task.call.parameters, &PARAMETERS)?;
        let attributes = match parameters.members("MessageAttributes", attribute)? {
            None => parameters.members("MessageAttribute", attribute)?,
            attributes => attributes,
        };
        let system = parameters.members("MessageSystemAttributes", system_attribute)?.map(|attributes| {
            let name = |name: String| MessageSystemAttributeNameForSends::from(name.as_str());
            attributes.into_iter().map(|(key, value)| (name(key), value)).collect()
        });
        let client = self.clients.of(task).await?;
        let exchange = Exchange::default();
        let request = client
            .send_message()
            .queue_url(parameters.required_text("QueueUrl")?)
            .set_message_body(parameters.message("MessageBody"))
            .set_delay_seconds(parameters.integer("DelaySeconds")?)
            .set_message_attributes(attributes)
            .set_message_system_attributes(system)
            .set_message_deduplication_id(parameters.text("MessageDeduplicationId")?.map(str::to_owned))
            .set_message_group_id(parameters.text("MessageGroupId")?.map(str::to_owned));
        let output = request.customize().interceptor(exchange.clone()).send().await;
        let output = output.map_err(|error| failed(&SQS, &error))?;
        let members = [
            ("MD5OfMessageAttributes", output.md5_of_message_attributes),
            ("MD5OfMessageBody", output.md5_of_message_body),
            ("MD5OfMessageSystemAttributes", output.md5_of_message_system_attributes),
            ("MessageId", output.message_id),
            ("SequenceNumber", output.sequence_number),
        ];
        Ok(exchange
            .result(members.map(|(name, text)| (name, text.map(Value::from))), Spelling::LowerConnection))
    }

    fn offers(&self, action: &str, pattern: Pattern) -> bool {
        action == "sendMessage" && matches!(pattern, Pattern::RequestResponse | Pattern::WaitForTaskToken)
    }
}

fn attribute(value: &Value) -> Option<MessageAttributeValue> {
    let (data_type, string, binary) = attribute_parts(value)?;
    let builder = MessageAttributeValue::builder().data_type(data_type).set_string_value(string);
    builder.set_binary_value(binary).build().ok()
}

fn system_attribute(value: &Value) -> Option<MessageSystemAttributeValue> {
    let (data_type, string, binary) = attribute_parts(value)?;
    let builder = MessageSystemAttributeValue::builder().data_type(data_type).set_string_value(string);
    builder.set_binary_value(binary).build().ok()
}

/// `{"DataType", "StringValue" or "BinaryValue"}`
fn attribute_parts(value: &Value) -> Option<(String, Option<String>, Option<Blob>)> {
    let mut parts = (None, None, None);
    for (name, value) in value.as_object()?.iter() {
        match &**name {
            "DataType" => parts.0 = Some(value.as_str()?.to_owned()),
            "StringValue" => parts.1 = Some(value.as_str().map_or_else(|| value.to_json(), str::to_owned)),
            "BinaryValue" => parts.2 = Some(Blob::new(BASE64_STANDARD.decode(value.as_str()?).ok()?)),
            _ => return None,
        }
    }
    Some((parts.0?, parts.1, parts.2))
}
