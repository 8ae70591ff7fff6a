//! The access keys of a deployment: its function issues them, and is asked by invocation. So neither the root of their secrets nor
//! the table is for the user's machine to read.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use hyper::Request;
use serde_json::{Value, json};
use stepwell_access::AccessKey;
use stepwell_integrations::{Aws, Endpoints, Service, ServiceClient, escaped};

use crate::proxy::stack_outputs;

/// The outputs of infra/template.yaml that are about keys.
const FUNCTION: &str = "KeysFunctionArn";
const URL: &str = "KeysUrl";

/// Bytes of an answer at most.
const BYTES_MAX: usize = 1 << 20;

/// How long the function is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The function that issues a deployment's keys.
pub struct DeployedKeys {
    lambda: ServiceClient,
    function: String,
    url: Option<String>,
}

impl DeployedKeys {
    /// The keys that `function` issues.
    ///
    /// # Errors
    /// No region, an endpoint variable that is no URL.
    pub async fn of_function(function: &str, profile: Option<&str>, region: Option<&str>) -> Result<Self> {
        // An ARN says where it is.
        let by_arn = function.strip_prefix("arn:").and_then(|rest| rest.split(':').nth(2));
        let aws = load(profile, region.or(by_arn)).await?;
        let lambda = ServiceClient::new(&aws, Service::Lambda);
        Ok(DeployedKeys { lambda, function: function.to_owned(), url: None })
    }

    /// The keys of the deployment that `stack` made.
    ///
    /// # Errors
    /// As above; a stack that issues no keys.
    pub async fn of_stack(stack: &str, profile: Option<&str>, region: Option<&str>) -> Result<Self> {
        let aws = load(profile, region).await?;
        let outputs = stack_outputs(&aws, stack).await?;
        let output =
            |key: &str| outputs.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone());
        let function = output(FUNCTION).with_context(|| {
            format!(
                "stack {stack} has no output {FUNCTION}: it issues keys with the parameter IssueKeys=true"
            )
        })?;
        Ok(DeployedKeys { lambda: ServiceClient::new(&aws, Service::Lambda), function, url: output(URL) })
    }

    /// Where requests signed with the keys go, where that is known.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Creates a key: `{"AccessKey": {…, "SecretAccessKey"}}`.
    ///
    /// # Errors
    /// What the function or Lambda says.
    pub async fn create(&self, description: Option<&str>) -> Result<Value> {
        let mut event = json!({"operation": "CreateAccessKey"});
        if let Some(description) = description {
            event["description"] = description.into();
        }
        self.invoke(&event).await
    }

    /// All keys.
    ///
    /// # Errors
    /// What the function or Lambda says.
    pub async fn list(&self) -> Result<Vec<AccessKey>> {
        let answer = self.invoke(&json!({"operation": "ListAccessKeys"})).await?;
        let keys = answer["AccessKeys"].as_array().context("the function answered no list of keys")?;
        Ok(keys.iter().filter_map(read).collect())
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// What the function or Lambda says, also where there is none.
    pub async fn delete(&self, id: &str) -> Result<()> {
        self.invoke(&json!({"operation": "DeleteAccessKey", "accessKeyId": id})).await.map(drop)
    }

    async fn invoke(&self, event: &Value) -> Result<Value> {
        let endpoint = self.lambda.endpoint();
        let uri = format!("{endpoint}/2015-03-31/functions/{}/invocations", escaped(&self.function, b""));
        let request = Request::post(uri).header("content-type", "application/json");
        let request =
            request.body(event.to_string().into()).context("the function's name makes no address")?;
        let answer = self.lambda.send(request, BYTES_MAX, PATIENCE).await?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let said = |names: [&str; 3]| {
            names.iter().find_map(|name| body[*name].as_str()).unwrap_or_default().to_owned()
        };
        let message = said(["errorMessage", "Message", "message"]);
        if answer.headers.contains_key("x-amz-function-error") {
            bail!("{message}");
        }
        if !(200..300).contains(&answer.status) {
            bail!("Lambda did not invoke {}: {} {message}", self.function, answer.status);
        }
        Ok(body)
    }
}

async fn load(profile: Option<&str>, region: Option<&str>) -> Result<Aws> {
    let endpoints = Endpoints::from_variables(|name| std::env::var(name).ok())?;
    let aws = Aws::load_profile(profile, region, endpoints).await;
    aws.context("nothing says which region this is: say --region, or set AWS_REGION")
}

fn read(shown: &Value) -> Option<AccessKey> {
    let text = |name: &str| shown[name].as_str().map(str::to_owned);
    let created: jiff::Timestamp = shown["CreateDate"].as_str()?.parse().ok()?;
    Some(AccessKey {
        id: text("AccessKeyId")?,
        account: text("Account")?,
        created_at: created.as_millisecond(),
        description: text("Description"),
    })
}
