//! `stepwell run`: one execution of one state machine, with its progress and its result.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use stepwell_engine::meta::Meta;
use stepwell_engine::{Engine, StartRequest};
use stepwell_expr::Payload;
use stepwell_integrations::Mocks;
use stepwell_interpreter::{ErrorOutput, PAYLOAD_BYTES_MAX, Record};
use tokio::sync::broadcast::error::RecvError;

use super::progress::shown;
use super::source::{Source, Type};
use super::validate;
use super::view::View;
use crate::assembly::{Assembly, Parts};
use crate::config::{self, Project};
use crate::host::LogSink;
use crate::machines::{self, Machine, Text};
use crate::server::{Options, Server, stop_signal};

/// Runs one state machine, shows how it goes on, and prints its output as JSON on standard output.
///
/// Functions that the project declares (stepwell.toml, or a SAM template) run as child processes. All others, and the
/// other services, are called at AWS_ENDPOINT_URL_LAMBDA, AWS_ENDPOINT_URL_DYNAMODB … or AWS_ENDPOINT_URL, and where none
/// is set in AWS itself. Exits with 0 only if the execution SUCCEEDED, with 1 if it ended otherwise.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A definition (.asl.json, .asl.yaml), or the folder of a project
    #[arg(value_name = "FILE_OR_DIR")]
    what: PathBuf,
    /// The input: JSON, or a file that holds it; `-` reads standard input [default: the project's, else {}]
    #[arg(short, long, value_name = "FILE|JSON")]
    input: Option<String>,
    /// Which of the project's state machines to run
    #[arg(long)]
    name: Option<String>,
    /// Answer calls from a MockConfigFile.json of Step Functions Local, by this test case
    #[arg(long, value_name = "FILE#CASE", conflicts_with = "no_mock")]
    mock: Option<String>,
    /// Make real calls though the project names a mock file (so does any AWS_ENDPOINT_URL variable)
    #[arg(long)]
    no_mock: bool,
    /// Keep the execution and its history here [default: a folder that is removed at the end]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The type of a definition that no project declares
    #[arg(long = "type", value_enum, default_value_t, value_name = "TYPE")]
    machine_type: Type,
    /// A line for each event instead of the live view, also on a terminal
    #[arg(long)]
    plain: bool,
    /// Do not show what the functions print
    #[arg(short, long)]
    quiet: bool,
}

/// What is to be run.
struct Job {
    project: Project,
    machine: Machine,
    input: Payload,
    mocks: Option<Arc<Mocks>>,
}

impl Args {
    /// Runs the machine.
    ///
    /// # Errors
    /// A definition or input that cannot be read, or a store that fails.
    pub async fn run(self) -> Result<ExitCode> {
        let Some(job) = self.job()? else { return Ok(ExitCode::FAILURE) };
        let scratch = Scratch::new(self.data_dir.as_deref())?;
        let mut view = View::new(self.plain);
        let lines = view.lines();
        let quiet = self.quiet;
        let log = LogSink::new(move |line| {
            if !quiet {
                lines.write(&format!("           | {}: {}", line.function, line.text));
            }
        });
        let listener = Server::bind(Options { port: 0, ..Options::default() }).await?;
        let parts = Parts {
            project: &job.project,
            data_dir: scratch.path(),
            mocks: job.mocks.clone(),
            api_url: listener.url(),
            keys: None,
            log,
            limits: job.project.local.capacity.limits(),
        };
        let assembly = Assembly::start(parts).await?;
        let (stop_serving, stopped) = tokio::sync::oneshot::channel::<()>();
        // Functions answer callbacks here: it is the API on a port of this run's own.
        let served = tokio::spawn(listener.run(assembly.api(), async {
            let _ = stopped.await;
        }));
        let end = execute(&assembly.engine, &job, &mut view).await;
        view.finish();
        drop(stop_serving);
        let _ = served.await;
        assembly.stop().await;
        let end = end?;
        report(&end)
    }

    /// Everything that is read before anything is started; `None` where the definition is refused, and that was said.
    fn job(&self) -> Result<Option<Job>> {
        let is_folder = self.what.is_dir();
        let folder = if is_folder { &self.what } else { self.what.parent().unwrap_or(Path::new(".")) };
        let project = Project::load(folder)?;
        let declared = if is_folder { Some(self.declared(&project)?) } else { None };
        let (name, text, machine_type, role_arn, input) = match declared {
            Some(machine) => {
                let kind = machines::machine_type(machine.machine_type);
                (
                    machine.name.clone(),
                    Text::declared(machine)?,
                    kind,
                    machine.role_arn.clone(),
                    machine.input.clone(),
                )
            }
            None => {
                let Source { text, format, .. } = Source::read(&self.what)?;
                (machine_name(&self.what), Text { text, format }, self.machine_type.into(), None, None)
            }
        };
        let definition = match text.check(machine_type) {
            Ok(definition) => definition.text().clone(),
            Err(diagnostics) => {
                let Text { text, format } = text;
                validate::write_text(&Source { path: self.what.clone(), text, format }, &diagnostics)?;
                return Ok(None);
            }
        };
        let role_arn = role_arn.unwrap_or_else(|| machines::role_arn(&project.local));
        let input = self.input(input.as_deref())?;
        let mocks = self.mocks(&project, &name)?;
        let machine = Machine { name, definition, machine_type, role_arn };
        Ok(Some(Job { project, machine, input, mocks }))
    }

    fn declared<'p>(&self, project: &'p Project) -> Result<&'p config::StateMachineConfig> {
        match (&self.name, project.state_machines.as_slice()) {
            (Some(name), _) => {
                project.state_machine(name).with_context(|| format!("no state machine is named {name}"))
            }
            (None, [only]) => Ok(only),
            (None, []) => bail!(
                "{} declares no state machine: name a definition file, or write a stepwell.toml there",
                self.what.display()
            ),
            (None, several) => {
                let names: Vec<_> = several.iter().map(|machine| machine.name.as_str()).collect();
                bail!(
                    "{} declares several state machines: choose one with --name ({})",
                    self.what.display(),
                    names.join(", ")
                )
            }
        }
    }

    fn input(&self, declared: Option<&Path>) -> Result<Payload> {
        let (text, from) = match (&self.input, declared) {
            (Some(given), _) if given == "-" => (
                std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?,
                "standard input".into(),
            ),
            (Some(given), _) if given.trim_start().starts_with(['{', '[', '"']) => {
                (given.clone(), "--input".to_owned())
            }
            (Some(given), _) if Path::new(given).exists() => (read(Path::new(given))?, given.clone()),
            (Some(given), _) => (given.clone(), "--input (there is no such file)".to_owned()),
            (None, Some(path)) => (read(path)?, path.display().to_string()),
            (None, None) => ("{}".to_owned(), "the default".to_owned()),
        };
        let payload = Payload::parse(text.trim()).map_err(|error| {
            anyhow::anyhow!("{from}, line {}, column {}: {error}", error.line, error.column)
        })?;
        if payload.bytes() > PAYLOAD_BYTES_MAX {
            bail!("{from}: the input has {} bytes, which is more than {PAYLOAD_BYTES_MAX}", payload.bytes());
        }
        Ok(payload)
    }

    fn mocks(&self, project: &Project, machine: &str) -> Result<Option<Arc<Mocks>>> {
        let endpoints_are_given =
            || std::env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with("AWS_ENDPOINT_URL"));
        let spec = match (&self.mock, &project.mock) {
            (Some(spec), _) => spec.clone(),
            (None, Some(path)) if !self.no_mock && !endpoints_are_given() => path.display().to_string(),
            _ => return Ok(None),
        };
        let (file, case) =
            spec.rsplit_once('#').with_context(|| format!("{spec}: say which case, as in FILE#CASE"))?;
        let mocks = Mocks::parse(&read(Path::new(file))?).with_context(|| file.to_owned())?;
        let mocks = mocks.select(machine, case).with_context(|| spec.clone())?;
        Ok(Some(Arc::new(mocks)))
    }
}

/// Starts the execution, shows it until it has ended, and gives its end.
async fn execute(engine: &Engine, job: &Job, view: &mut View) -> Result<Arc<Meta>> {
    let machine = job.machine.register(engine, &job.project.local).await?;
    let name = uuid::Uuid::new_v4().to_string();
    let execution_arn: Arc<str> =
        format!("{}:{name}", machine.arn.replacen(":stateMachine:", ":execution:", 1)).into();
    let mut committed = engine.watch();
    let started = engine.start(StartRequest {
        machine,
        execution_arn: execution_arn.clone(),
        name: name.into(),
        input: job.input.clone(),
        trace_header: None,
        version_arn: None,
        alias_arn: None,
        parent: None,
    });
    started.await?;
    let clock = engine.ports().clock.clone();
    let mut stop_pressed = pin!(stop_pressed());
    let (mut asked_to_stop, mut ends) = (false, false);
    loop {
        tokio::select! {
            received = committed.recv() => match received {
                Ok(page) if page.execution_arn == execution_arn => {
                    view.take(&page.records);
                    ends |= page.records.iter().any(is_last);
                }
                Ok(_) => continue,
                // The view has missed a part, perhaps the last.
                Err(RecvError::Lagged(_)) => ends = true,
                Err(RecvError::Closed) => bail!("the engine has stopped"),
            },
            // The last page is shown a moment before the execution's end is written.
            () = clock.sleep(LOOK), if ends => {},
            () = &mut stop_pressed, if !asked_to_stop => {
                asked_to_stop = true;
                let error = ErrorOutput { error: None, cause: Some("stopped by the user".into()) };
                engine.stop(&execution_arn, error).await?;
            }
        }
        if !ends {
            continue;
        }
        let meta = engine.describe(&execution_arn).await?.context("the execution has vanished")?;
        if meta.end.is_some() {
            while let Ok(page) = committed.try_recv() {
                if page.execution_arn == execution_arn {
                    view.take(&page.records);
                }
            }
            return Ok(meta);
        }
    }
}

fn is_last(record: &Record) -> bool {
    matches!(record, Record::Event(event) if event.body.is_terminal())
}

/// How long an execution whose last event was shown is left alone before it is asked for its end again.
const LOOK: std::time::Duration = std::time::Duration::from_millis(20);

async fn stop_pressed() {
    if stop_signal().await.is_err() {
        std::future::pending().await
    }
}

/// Prints the output, or why there is none.
fn report(meta: &Meta) -> Result<ExitCode> {
    let end = meta.end.as_ref().context("the execution has not ended")?;
    if let Some(output) = &end.output {
        println!("{}", output.text());
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{}: {}", end.status, shown(&end.error));
    Ok(ExitCode::FAILURE)
}

/// A machine's name from its file's: `order.asl.json` is `order`.
fn machine_name(path: &Path) -> String {
    let stem = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = stem.split('.').next().unwrap_or_default();
    let name: String =
        stem.chars().map(|c| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '-' }).collect();
    let name: String = name.chars().take(80).collect();
    if name.is_empty() { "StateMachine".to_owned() } else { name }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The folder of the store; one of our own is removed at the end.
struct Scratch {
    path: PathBuf,
    is_ours: bool,
}

impl Scratch {
    fn new(given: Option<&Path>) -> Result<Self> {
        if let Some(path) = given {
            return Ok(Scratch { path: path.to_owned(), is_ours: false });
        }
        let path = std::env::temp_dir().join(format!("stepwell-run-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Scratch { path, is_ours: true })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_ours {
            // A temporary folder that stays behind harms nobody.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
