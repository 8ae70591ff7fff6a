//! The services together.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use stepwell_aws::SystemClock;
use stepwell_aws::services::dynamodb::Client;
use stepwell_integrations::{Aws, Endpoints, Keys, Service};

use crate::http::Server;
use crate::queue::Services;

/// The account that everything is in.
pub const ACCOUNT: &str = "123456789012";

/// The region that everything is in.
pub const REGION: &str = "us-east-1";

const TABLE: &str = "stepwell";

/// A table, a queue, schedules, and functions that answer with their payload. They end with this.
pub struct Cloud {
    dynamodb: DynamoDb,
    services: Arc<Services>,
    server: Server,
}

/// The emulator in `tests/emulator`.
struct DynamoDb {
    process: Child,
    _lifeline: ChildStdin,
    endpoint: String,
}

impl DynamoDb {
    /// Builds it in cargo's folder `target`, where that is yet to be done.
    fn start(target: &Path) -> Result<Self> {
        let target = target.join("emulator");
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../emulator/Cargo.toml");
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(&manifest);
        build.arg("--target-dir").arg(&target).env_remove("CARGO_BUILD_TARGET");
        ensure!(build.status()?.success(), "the emulator in tests/emulator is not built");
        let mut process = Command::new(target.join("debug/stepwell-emulator"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the emulator")?;
        let _lifeline = process.stdin.take().context("its input is piped")?;
        let mut output = BufReader::new(process.stdout.take().context("its output is piped")?);
        let mut endpoint = String::new();
        output.read_line(&mut endpoint)?;
        Ok(DynamoDb { process, _lifeline, endpoint: endpoint.trim().to_owned() })
    }
}

impl Drop for DynamoDb {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Cloud {
    /// Everything, with an empty table. `target` is cargo's folder.
    ///
    /// # Errors
    /// What keeps the emulator from running.
    pub async fn start(target: &Path) -> Result<Self> {
        let dynamodb = DynamoDb::start(target)?;
        let endpoints = Endpoints::aws().with(Service::DynamoDb, &*dynamodb.endpoint);
        let aws = Aws::new(REGION, endpoints, Keys::fixed(ACCOUNT, "test", None));
        let client = Client::new(&aws, Arc::new(SystemClock::default()));
        stepwell_aws::table::create_table(&client, TABLE).await?;
        let services = Arc::new(Services::default());
        let server = Server::start(services.clone()).await?;
        Ok(Cloud { dynamodb, services, server })
    }

    /// What Lambda and the template put into a function's environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let others = format!("http://{}", self.server.address);
        let arn = |service: &str, rest: &str| format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}");
        vec![
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", ACCOUNT.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.endpoint.clone()),
            ("AWS_ENDPOINT_URL", others.clone()),
            ("STEPWELL_ACCOUNT_ID", ACCOUNT.to_owned()),
            ("STEPWELL_TABLE", TABLE.to_owned()),
            ("STEPWELL_QUEUE_URL", format!("{others}/{ACCOUNT}/transitions")),
            ("STEPWELL_SCHEDULE_GROUP", "stepwell".to_owned()),
            ("STEPWELL_SCHEDULE_ROLE_ARN", format!("arn:aws:iam::{ACCOUNT}:role/schedules")),
            ("STEPWELL_TIMER_ARN", arn("lambda", "function:timer")),
            ("STEPWELL_ASSUME_ROLES", "credentials".to_owned()),
        ]
    }

    /// An API over the same services, in this process.
    ///
    /// # Errors
    /// None: the environment is whole.
    pub fn assembly(&self) -> Result<stepwell_aws::Assembly> {
        let environment = self.environment();
        let find = |name: &str| environment.iter().find(|(known, _)| *known == name);
        let config = stepwell_aws::Config::from_variables(|name| find(name).map(|(_, value)| value.clone()))?;
        Ok(stepwell_aws::Assembly::new(config))
    }

    /// Delivers up to `most` messages that can be received, as an event source mapping hands them over.
    pub fn receive(&self, most: usize) -> Vec<Value> {
        self.services.receive(most)
    }

    /// Removes those of `records` that `answer` does not name as failed, as an event source mapping does, and counts the others.
    pub fn settle(&self, records: &[Value], answer: &Value) -> usize {
        let failed = answer["batchItemFailures"].as_array().cloned().unwrap_or_default();
        for record in records {
            let id = &record["messageId"];
            if !failed.iter().any(|failed| failed["itemIdentifier"] == *id) {
                self.services.delete(id.as_str().unwrap_or_default());
            }
        }
        failed.len()
    }

    /// How often functions of the user's were called.
    pub fn calls(&self) -> u64 {
        self.services.calls()
    }

    /// How long they take from now on.
    pub fn set_call_time(&self, time: Duration) {
        self.services.set_call_time(time);
    }

    /// The inputs of the schedules that were set.
    pub fn schedules(&self) -> Vec<Value> {
        self.services.schedules()
    }
}
