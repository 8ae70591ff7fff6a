//! `sns:publish`

use async_trait::async_trait;
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use aws_smithy_types::Blob;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use stepwell_engine::port::TaskCall;
use stepwell_expr::{Payload, Value};
use stepwell_interpreter::{ErrorOutput, Pattern};

use crate::error::SNS;
use crate::metadata::Spelling;
use crate::parameters::Parameters;
use crate::sdk::{Clients, Exchange, failed};
use crate::{Aws, Integration, Service};

/// Publishes messages to topics, endpoints and phones. (API: SNS Publish.)
#[derive(Debug)]
pub struct Sns {
    clients: Clients<Client>,
}

impl Sns {
    /// Publishes them where `aws` says.
    pub fn new(aws: &Aws) -> Self {
        Sns { clients: Clients::new(aws, Service::Sns, Client::new) }
    }
}

const PARAMETERS: [&str; 9] = [
    "Message",
    "MessageAttributes",
    "MessageDeduplicationId",
    "MessageGroupId",
    "MessageStructure",
    "PhoneNumber",
    "Subject",
    "TargetArn",
    "TopicArn",
];

#[async_trait]
impl Integration for Sns {
    async fn call(&self, task: &TaskCall) -> Result<Payload, ErrorOutput> {
        let parameters = Parameters::new(&task.call.parameters, &PARAMETERS)?;
        let text = |name| parameters.text(name).map(|text| text.map(str::to_owned));
        let client = self.clients.of(task).await?;
        let exchange = Exchange::default();
        let request = client
            .publish()
            .set_message(parameters.message("Message"))
            .set_message_attributes(parameters.members("MessageAttributes", attribute)?)
            .set_message_deduplication_id(text("MessageDeduplicationId")?)
            .set_message_group_id(text("MessageGroupId")?)
            .set_message_structure(text("MessageStructure")?)
            .set_phone_number(text("PhoneNumber")?)
            .set_subject(text("Subject")?)
            .set_target_arn(text("TargetArn")?)
            .set_topic_arn(text("TopicArn")?);
        let output = request.customize().interceptor(exchange.clone()).send().await;
        let output = output.map_err(|error| failed(&SNS, &error))?;
        let members = [("MessageId", output.message_id), ("SequenceNumber", output.sequence_number)];
        Ok(exchange
            .result(members.map(|(name, text)| (name, text.map(Value::from))), Spelling::LowerConnection))
    }

    fn offers(&self, action: &str, pattern: Pattern) -> bool {
        action == "publish" && matches!(pattern, Pattern::RequestResponse | Pattern::WaitForTaskToken)
    }
}

/// `{"DataType", "StringValue" or "BinaryValue"}`
fn attribute(value: &Value) -> Option<MessageAttributeValue> {
    let mut builder = MessageAttributeValue::builder();
    for (name, value) in value.as_object()?.iter() {
        builder = match &**name {
            "DataType" => builder.data_type(value.as_str()?),
            "StringValue" => {
                builder.string_value(value.as_str().map_or_else(|| value.to_json(), str::to_owned))
            }
            "BinaryValue" => builder.binary_value(Blob::new(BASE64_STANDARD.decode(value.as_str()?).ok()?)),
            _ => return None,
        };
    }
    builder.build().ok()
}
