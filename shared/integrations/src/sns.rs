//! `sns:publish`

use async_trait::async_trait;
use stepwell_engine::port::TaskCall;
use stepwell_expr::{Payload, Value};
use stepwell_interpreter::{ErrorOutput, Pattern};

use crate::client::escaped;
use crate::error::SNS;
use crate::exchange::Caller;
use crate::message_attribute::message_attribute;
use crate::metadata::Spelling;
use crate::parameters::Parameters;
use crate::xml::{element, elements};
use crate::{Aws, Integration, Service};

/// Publishes messages to topics, endpoints and phones. (API: SNS Publish.)
#[derive(Debug)]
pub struct Sns {
    caller: Caller,
}

impl Sns {
    /// Publishes them where `aws` says.
    pub fn new(aws: &Aws) -> Self {
        Sns { caller: Caller::new(aws, Service::Sns, &SNS) }
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

/// Those that are texts.
const TEXTS: [&str; 7] = [
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
        let exchange = self.caller.query(task, body(&parameters)?).await?;
        let text = exchange.text();
        let Some(result) = elements(&text, "PublishResult").next() else {
            return Err(exchange.unreadable("it has no PublishResult"));
        };
        let shown =
            ["MessageId", "SequenceNumber"].map(|name| (name, element(result, name).map(Value::from)));
        Ok(exchange.result(shown, Spelling::LowerConnection))
    }

    fn offers(&self, action: &str, pattern: Pattern) -> bool {
        action == "publish" && matches!(pattern, Pattern::RequestResponse | Pattern::WaitForTaskToken)
    }
}

/// The request, in the Query protocol.
fn body(parameters: &Parameters<'_>) -> Result<String, ErrorOutput> {
    let mut body = "Action=Publish&Version=2010-03-31".to_owned();
    let mut put = |name: &str, value: &str| {
        body.push('&');
        body.push_str(name);
        body.push('=');
        body.push_str(&escaped(value, b""));
    };
    if let Some(message) = parameters.message("Message") {
        put("Message", &message);
    }
    for name in TEXTS {
        if let Some(text) = parameters.text(name)? {
            put(name, text);
        }
    }
    let attributes = parameters.members("MessageAttributes", message_attribute)?.unwrap_or_default();
    for (n, (name, attribute)) in (1..).zip(attributes.iter()) {
        put(&format!("MessageAttributes.entry.{n}.Name"), name);
        for (member, value) in attribute.as_object().into_iter().flat_map(|members| members.iter()) {
            let member = format!("MessageAttributes.entry.{n}.Value.{member}");
            put(&member, value.as_str().unwrap_or_default());
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_numbered() {
        let parameters = r#"{"Message":"a b","TopicArn":"t","MessageAttributes":{
            "k":{"DataType":"Number","StringValue":1},"b":{"DataType":"Binary","BinaryValue":"AA=="}}}"#;
        let payload = Payload::parse(parameters).unwrap();
        let expected = "Action=Publish&Version=2010-03-31&Message=a%20b&TopicArn=t\
                        &MessageAttributes.entry.1.Name=k&MessageAttributes.entry.1.Value.DataType=Number\
                        &MessageAttributes.entry.1.Value.StringValue=1&MessageAttributes.entry.2.Name=b\
                        &MessageAttributes.entry.2.Value.DataType=Binary\
                        &MessageAttributes.entry.2.Value.BinaryValue=AA%3D%3D";
        assert_eq!(body(&Parameters::new(&payload, &PARAMETERS).unwrap()).unwrap(), expected);
    }
}
