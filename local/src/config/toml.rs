//! `stepwell.toml`.
//!
//! ```toml
//! [local]
//! port = 8083
//!
//! [functions.ValidateOrder]
//! runtime = "python3.11"
//! handler = "validate.handler"
//! code = "functions/validate-order"
//!
//! [state_machines.OrderProcessing]
//! definition = "order-processing.asl.json"
//! input = "input.json"
//! ```

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::{
    CapacityConfig, ConfigError, DefinitionSource, FunctionConfig, LocalConfig, MachineType, Project,
    RateConfig, Runtime, StateMachineConfig, read, sam,
};

/// The longest timeout of a function, in seconds. (API: CreateFunction.)
const TIMEOUT_SECONDS_MAX: f64 = 900.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// A SAM template that declares more functions and state machines.
    template: Option<PathBuf>,
    #[serde(default)]
    local: Local,
    #[serde(default)]
    functions: BTreeMap<String, Function>,
    #[serde(default)]
    state_machines: BTreeMap<String, StateMachine>,
    mock: Option<Mock>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Local {
    host: Option<String>,
    port: Option<u16>,
    data_dir: Option<PathBuf>,
    account: Option<String>,
    region: Option<String>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    require_signatures: bool,
    #[serde(default)]
    throttle: bool,
    #[serde(default)]
    rates: BTreeMap<String, Rate>,
    #[serde(default)]
    capacity: Capacity,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Capacity {
    drivers: Option<NonZeroUsize>,
    backlog: Option<NonZeroUsize>,
    mib: Option<NonZeroUsize>,
}

impl From<Capacity> for CapacityConfig {
    fn from(capacity: Capacity) -> Self {
        let Capacity { drivers, backlog, mib } = capacity;
        CapacityConfig { drivers, backlog, mib }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rate {
    bucket: u32,
    refill: u32,
}

impl From<Rate> for RateConfig {
    fn from(rate: Rate) -> Self {
        RateConfig { bucket: rate.bucket, refill: rate.refill }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Function {
    runtime: Option<String>,
    handler: Option<String>,
    code: PathBuf,
    timeout: Option<f64>,
    memory: Option<u32>,
    concurrency: Option<usize>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateMachine {
    definition: PathBuf,
    input: Option<PathBuf>,
    #[serde(rename = "type")]
    machine_type: Option<String>,
    role: Option<String>,
    #[serde(default)]
    substitutions: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mock {
    file: PathBuf,
}

/// Reads a `stepwell.toml`, whose text this is, and the template it names.
pub(super) fn of_text(path: &Path, text: &str) -> Result<Project, ConfigError> {
    let root = path.parent().unwrap_or(Path::new("")).to_owned();
    let (mut project, template) = parse(path, root, text)?;
    if let Some(template) = template {
        let found = sam::of_text(&template, &read(&template)?, &project.local)?;
        project.add(found);
    }
    Ok(project)
}

fn parse(path: &Path, root: PathBuf, text: &str) -> Result<(Project, Option<PathBuf>), ConfigError> {
    let file: File = toml::from_str(text)
        .map_err(|error| ConfigError::Syntax { path: path.to_owned(), message: error.to_string() })?;
    let reader = Reader { path, root: &root };
    let functions = file
        .functions
        .into_iter()
        .map(|(name, function)| reader.function(name, function))
        .collect::<Result<_, _>>()?;
    let state_machines = file
        .state_machines
        .into_iter()
        .map(|(name, machine)| reader.state_machine(name, machine))
        .collect::<Result<_, _>>()?;
    let project = Project {
        sources: vec![path.to_owned()],
        local: LocalConfig {
            host: file.local.host,
            port: file.local.port,
            data_dir: file.local.data_dir.map(|folder| root.join(folder)),
            account: file.local.account,
            region: file.local.region,
            names: file.local.names,
            require_signatures: file.local.require_signatures,
            throttle: file.local.throttle,
            capacity: file.local.capacity.into(),
            rates: file.local.rates.into_iter().map(|(name, rate)| (name, rate.into())).collect(),
        },
        functions,
        state_machines,
        mock: file.mock.map(|mock| root.join(mock.file)),
        root: root.clone(),
    };
    Ok((project, file.template.map(|template| root.join(template))))
}

fn timeout(seconds: Option<f64>) -> Result<Duration, String> {
    match seconds {
        None => Ok(FunctionConfig::TIMEOUT_DEFAULT),
        Some(seconds) if seconds > 0.0 && seconds <= TIMEOUT_SECONDS_MAX => {
            Ok(Duration::from_secs_f64(seconds))
        }
        Some(seconds) => {
            Err(format!("{seconds} seconds; it has to be more than 0 and at most {TIMEOUT_SECONDS_MAX}"))
        }
    }
}

struct Reader<'a> {
    path: &'a Path,
    root: &'a Path,
}

impl Reader<'_> {
    fn function(&self, name: String, function: Function) -> Result<FunctionConfig, ConfigError> {
        let refuse = |field: &str, message: String| {
            Err(ConfigError::Value {
                path: self.path.to_owned(),
                at: format!("functions.{name}.{field}"),
                message,
            })
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            return refuse("name", "a function's name is of letters, digits, `-` and `_`".to_owned());
        }
        let runtime = match function.runtime {
            None => Runtime::Provided("provided.al2023".to_owned()),
            Some(identifier) => match Runtime::new(&identifier) {
                Runtime::Other(other) => {
                    let hosted = "hosted are `python3.x`, `nodejsN.x` and `provided.al2023`";
                    return refuse("runtime", format!("`{other}` is not hosted; {hosted}"));
                }
                hosted => hosted,
            },
        };
        let handler = function.handler.unwrap_or_default();
        if handler.is_empty() && !matches!(runtime, Runtime::Provided(_)) {
            return refuse("handler", format!("a `{runtime}` function needs one, such as `app.handler`"));
        }
        let code = self.root.join(function.code);
        if !matches!(runtime, Runtime::Provided(_)) && !code.is_dir() {
            return refuse("code", format!("`{}` is not a folder", code.display()));
        }
        let timeout = match timeout(function.timeout) {
            Ok(timeout) => timeout,
            Err(message) => return refuse("timeout", message),
        };
        if function.concurrency == Some(0) {
            return refuse("concurrency", "0 would let no call through".to_owned());
        }
        Ok(FunctionConfig {
            timeout,
            memory_mb: function.memory.unwrap_or(FunctionConfig::MEMORY_MB_DEFAULT),
            concurrency: function.concurrency,
            environment: function.environment.into(),
            ..FunctionConfig::new(&name, runtime, &handler, code)
        })
    }

    fn state_machine(&self, name: String, machine: StateMachine) -> Result<StateMachineConfig, ConfigError> {
        let machine_type = match machine.machine_type.as_deref() {
            None | Some("STANDARD") => MachineType::Standard,
            Some("EXPRESS") => MachineType::Express,
            Some(other) => {
                return Err(ConfigError::Value {
                    path: self.path.to_owned(),
                    at: format!("state_machines.{name}.type"),
                    message: format!("`{other}` is neither STANDARD nor EXPRESS"),
                });
            }
        };
        Ok(StateMachineConfig {
            name,
            alias: None,
            definition: DefinitionSource::File(self.root.join(machine.definition)),
            substitutions: machine.substitutions,
            input: machine.input.map(|input| self.root.join(input)),
            machine_type,
            role_arn: machine.role,
        })
    }
}

#[cfg(test)]
mod tests {
    use stepwell_local::Limits;

    use super::*;

    fn parsed(text: &str) -> Result<Project, ConfigError> {
        parse(Path::new("p/stepwell.toml"), PathBuf::from(env!("CARGO_MANIFEST_DIR")), text)
            .map(|(project, _)| project)
    }

    #[test]
    fn a_whole_file() {
        let project = parsed(
            r#"
            [local]
            port = 9000
            data_dir = "data"
            region = "eu-west-1"
            require_signatures = true
            [local.rates]
            StartExecution = { bucket = 2, refill = 1 }
            [local.capacity]
            backlog = 20
            mib = 3

            [functions.Pay]
            runtime = "python3.11"
            handler = "pay.handler"
            code = "src"
            timeout = 1.5
            memory = 256
            [functions.Pay.environment]
            KEY = "value"

            [functions.Ship]
            code = "target/lambda/ship"

            [state_machines.Order]
            definition = "order.asl.json"
            type = "EXPRESS"
            [state_machines.Order.substitutions]
            A = "b"

            [mock]
            file = "mock.json"
            "#,
        )
        .unwrap();
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(project.local.region(), "eu-west-1");
        assert_eq!(project.local.account(), "123456789012");
        assert_eq!(project.local.data_dir, Some(root.join("data")));
        assert!(project.local.require_signatures && !project.local.throttle);
        assert_eq!(project.local.rates["StartExecution"], RateConfig { bucket: 2, refill: 1 });
        let limits = Limits { backlog: 20, bytes: 3 << 20, ..Limits::default() };
        assert_eq!(project.local.capacity.limits(), limits);
        assert!(project.local.throttle(false).is_some() && LocalConfig::default().throttle(false).is_none());
        let pay = project.function("arn:aws:lambda:us-east-1:123456789012:function:Pay:1").unwrap();
        assert_eq!(pay.runtime, Runtime::Python("python3.11".to_owned()));
        assert_eq!(pay.timeout, Duration::from_millis(1500));
        assert_eq!(pay.environment["KEY"], "value");
        let ship = project.function("Ship").unwrap();
        assert_eq!(ship.runtime.identifier(), "provided.al2023");
        assert_eq!((ship.timeout, ship.memory_mb), (Duration::from_secs(3), 128));
        let order = project.state_machine("Order").unwrap();
        assert_eq!(order.machine_type.as_str(), "EXPRESS");
        assert_eq!(order.definition, DefinitionSource::File(root.join("order.asl.json")));
        assert_eq!(project.mock, Some(root.join("mock.json")));
    }

    #[test]
    fn an_error_names_file_function_and_field() {
        let function = |field: &str| {
            format!("[functions.Pay]\nruntime = \"python3.11\"\nhandler = \"a.b\"\ncode = \"src\"\n{field}")
        };
        for (text, want) in [
            (function("timeout = 0"), "p/stepwell.toml: functions.Pay.timeout: 0 seconds"),
            (function("timeout = 901"), "functions.Pay.timeout: 901 seconds"),
            (function("timeout = nan"), "functions.Pay.timeout: NaN seconds"),
            (function("concurrency = 0"), "functions.Pay.concurrency: 0 would"),
            (function("memmory = 1"), "p/stepwell.toml: TOML parse error at line 5, column 1"),
            (function("memmory = 1"), "unknown field `memmory`"),
            ("[functions.Pay]\nruntime='java21'\ncode='src'".to_owned(), "functions.Pay.runtime: `java21`"),
            (
                "[functions.Pay]\nruntime='nodejs20.x'\ncode='src'".to_owned(),
                "functions.Pay.handler: a `nodejs20.x`",
            ),
            (
                "[functions.Pay]\nruntime='nodejs20.x'\nhandler='a.b'\ncode='no'".to_owned(),
                "functions.Pay.code: `",
            ),
            ("[functions.'a b']\ncode='src'".to_owned(), "functions.a b.name: "),
            ("[functions.Pay]\nruntime='python3.11'".to_owned(), "missing field `code`"),
            (
                "[state_machines.A]\ndefinition='a'\ntype='standard'".to_owned(),
                "state_machines.A.type: `standard`",
            ),
        ] {
            let error = parsed(&text).unwrap_err().to_string();
            assert!(error.contains(want), "{text}\n{error}\nhas no {want}");
        }
    }
}
