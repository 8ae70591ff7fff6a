//! `stepwell proxy`: the API that is deployed in an AWS account, at an address of this machine.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use stepwell_integrations::{Aws, Endpoints};

use crate::proxy::{Door, LASTING, Proxy, Routes, Upstream, stack_outputs};
use crate::server::{Options, Server, stop_signal};

/// Serves the API of a Stepwell that is deployed in an AWS account, at an address of this machine.
///
/// SDKs sign requests for Step Functions itself, and API Gateway asks for a signature of its own. This takes requests as SDKs
/// make them (AWS_ENDPOINT_URL_SFN=http://127.0.0.1:8083, with any credentials) and passes each on once, signed with your
/// AWS credentials, which are found as every AWS tool finds them. Whoever may connect to this machine's loopback calls as you.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The deployment's HTTP API, such as `https://abc123.execute-api.eu-west-1.amazonaws.com`
    #[arg(long, value_name = "URL", required_unless_present_any = ["stack", "url"])]
    endpoint: Option<String>,
    /// A Function URL of the deployment, for calls that may last over the 30 seconds of API Gateway (StartSyncExecution,
    /// TestState, GetActivityTask), or for one operation by its name; may be said more than once
    #[arg(long, value_name = "[OPERATION=]URL")]
    url: Vec<String>,
    /// Read the addresses from the outputs of this CloudFormation stack
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,
    /// The port to listen on; 0 takes one that is free
    #[arg(long, default_value_t = 8083)]
    port: u16,
    /// The profile in your AWS files [default: AWS_PROFILE, or default]
    #[arg(long)]
    profile: Option<String>,
    /// The region, where an address does not say it [default: AWS_REGION, or the profile's]
    #[arg(long)]
    region: Option<String>,
}

/// The outputs of infra/template.yaml that name addresses.
const ENDPOINT: &str = "Endpoint";
const API_URL: &str = "ApiUrl";
const START_URL: &str = "StartUrl";

impl Args {
    /// Serves until told to stop.
    ///
    /// # Errors
    /// Addresses that are none or cannot be found out, a region that nothing says, a port that is taken.
    pub async fn run(self) -> Result<ExitCode> {
        let endpoints = Endpoints::from_variables(|name| std::env::var(name).ok())?;
        let said = self.routes(vec![])?;
        // Where an address says its region, nobody else has to be asked.
        let by_address = said.as_ref().and_then(|routes| routes.endpoint.region.clone());
        let region = self.region.clone().or(by_address);
        let aws = Aws::load_profile(self.profile.as_deref(), region.as_deref(), endpoints).await;
        let aws = aws.context("nothing says which region this is: say --region, or set AWS_REGION")?;
        let routes = match (&self.stack, said) {
            (Some(stack), _) => {
                let outputs = stack_outputs(&aws, stack).await?;
                self.routes(outputs)?.with_context(|| {
                    format!(
                        "stack {stack} has no output {ENDPOINT} or {API_URL}: is it a deployment of Stepwell?"
                    )
                })?
            }
            (None, Some(said)) => said,
            (None, None) => bail!("no --endpoint, --url or --stack"),
        };
        let server = Server::bind(Options { port: self.port, ..Options::default() }).await?;
        for upstream in routes.all() {
            println!("passing on to {upstream}");
        }
        server.announce();
        let stopped = async {
            if let Err(error) = stop_signal().await {
                tracing::error!(%error, "signals cannot be listened for");
                std::future::pending().await
            }
        };
        server.serve(Arc::new(Proxy::new(routes, aws)), stopped).await;
        Ok(ExitCode::SUCCESS)
    }

    /// The addresses that were said, before those in a stack's outputs.
    fn routes(&self, outputs: Vec<(String, String)>) -> Result<Option<Routes>> {
        let output =
            |key: &str| outputs.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
        let upstream = |url: Option<&str>, door| url.map(|url| Upstream::parse(url, door)).transpose();
        let mut lasting = upstream(output(API_URL), Door::FunctionUrl)?;
        let mut named = vec![];
        if let Some(start) = upstream(output(START_URL), Door::FunctionUrl)? {
            named.push(("StartSyncExecution".to_owned(), start));
        }
        for said in &self.url {
            match named_url(said) {
                Some((operation, url)) => {
                    ensure!(
                        !operation.is_empty() && operation.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                        "--url {said}: `{operation}` is no operation"
                    );
                    named.insert(0, (operation.to_owned(), Upstream::parse(url, Door::FunctionUrl)?));
                }
                None => {
                    lasting = Some(Upstream::parse(said, Door::FunctionUrl)?);
                    named.retain(|(operation, _)| !LASTING.contains(&&**operation));
                }
            }
        }
        let endpoint = upstream(self.endpoint.as_deref().or_else(|| output(ENDPOINT)), Door::ApiGateway)?;
        let Some(endpoint) = endpoint.or_else(|| lasting.clone()) else { return Ok(None) };
        Ok(Some(Routes { endpoint, lasting, named }))
    }
}

/// An operation and its address, where an operation is said.
fn named_url(said: &str) -> Option<(&str, &str)> {
    said.split_once('=').filter(|(operation, _)| !operation.contains([':', '/']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(endpoint: Option<&str>, urls: &[&str]) -> Args {
        Args {
            endpoint: endpoint.map(str::to_owned),
            url: urls.iter().map(|url| (*url).to_owned()).collect(),
            stack: None,
            port: 0,
            profile: None,
            region: None,
        }
    }

    #[test]
    fn addresses_are_said_or_put_out_by_the_stack() {
        let outputs = || {
            [
                (ENDPOINT, "https://o.example/"),
                (API_URL, "https://api.example/"),
                (START_URL, "https://start.example/"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec()
        };
        let check = |args: Args, outputs: Vec<_>, expected: [&str; 4]| {
            let routes = args.routes(outputs).unwrap().unwrap();
            let of = |operation: &str| routes.of(operation).to_string();
            assert_eq!(
                ["ListExecutions", "TestState", "StartSyncExecution", "StopExecution"].map(of),
                expected
            );
        };
        let (o, api, start) = ("https://o.example", "https://api.example", "https://start.example");
        check(args(None, &[]), outputs(), [o, api, start, o]);
        check(args(Some("https://e"), &[]), outputs(), ["https://e", api, start, "https://e"]);
        check(args(None, &["https://u"]), outputs(), [o, "https://u", "https://u", o]);
        check(args(None, &["https://u"]), vec![], ["https://u"; 4]);
        check(args(Some("https://e"), &[]), vec![], ["https://e"; 4]);
        let named = ["https://u", "StartSyncExecution=https://s", "StopExecution=https://t"];
        check(args(Some("https://e"), &named), vec![], ["https://e", "https://u", "https://s", "https://t"]);
        assert!(args(None, &[]).routes(vec![]).unwrap().is_none());
        for wrong in ["Stop Execution=https://t", "x", "=https://t?"] {
            assert!(args(Some("https://e"), &[wrong]).routes(vec![]).is_err(), "{wrong}");
        }
    }
}
