//! The clients that people already have, against a server of our own: nothing is changed but the endpoint.
//!
//! Each suite is a process of its own, and all run at once. What the server's log says was answered is counted: an
//! operation of the API that no client called with success is an error, so that none is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::shell::{self, output, root, target};
use crate::{python, server};

/// Which clients.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Only these suites: boto3, terraform, cli, cli-v2, javascript; operations are then not counted
    suites: Vec<String>,
    /// Only the tests whose name holds this
    #[arg(long)]
    only: Option<String>,
}

/// A process that calls the server.
struct Suite {
    name: &'static str,
    command: Command,
}

/// One under way: its log, and who waits for it.
struct Started {
    name: &'static str,
    log: PathBuf,
    end: JoinHandle<std::io::Result<(ExitStatus, Duration)>>,
}

pub(crate) fn run(args: &Args, program: &Path) -> Result<()> {
    let python = python::python()?;
    let scratch = target().join("clients");
    let _ = std::fs::remove_dir_all(&scratch);
    std::fs::create_dir_all(&scratch)?;
    let log = scratch.join("server.log");
    let mut local = server::local(program, &scratch);
    local
        .current_dir(&scratch)
        .env("STEPWELL_LOG", "warn,stepwell::server=debug")
        .stderr(File::create(&log)?);
    let (_server, endpoint) = server::serve(&mut local)?;
    let operations = operations(&python)?;
    let served = served(&python, &endpoint, &operations)?;
    let missing: Vec<_> = operations.difference(&served).map(String::as_str).collect();
    if !missing.is_empty() {
        println!("clients: NOT SERVED: {}", missing.join(" "));
    }
    let mut failed = vec![];
    let mut started = vec![];
    for mut suite in suites(&python, args)? {
        environment(&mut suite, &endpoint, &missing);
        started.push(start(suite, &scratch)?);
    }
    for suite in started {
        let name = suite.name;
        if !ended(suite)? {
            failed.push(name);
        }
    }
    let calls = calls(&std::fs::read_to_string(&log)?);
    ensure!(failed.is_empty(), "these clients' tests failed: {} ({})", failed.join(", "), log.display());
    if !args.suites.is_empty() || args.only.is_some() {
        return Ok(());
    }
    judge(&operations, &calls)
}

fn suites(python: &Path, args: &Args) -> Result<Vec<Suite>> {
    let folder = root().join("tests/clients");
    let unittest = |name, tests: &str| {
        let mut command = Command::new(python);
        command.args(["-m", "unittest", "discover", "--top-level-directory", ".", "--start-directory", "."]);
        command.current_dir(folder.join(tests)).env("PYTHONPATH", folder.join("python"));
        if let Some(only) = &args.only {
            command.args(["-k", only]);
        }
        Suite { name, command }
    };
    let mut suites =
        vec![unittest("boto3", "python"), unittest("terraform", "terraform"), unittest("cli", "cli")];
    suites[2].command.env("STEPWELL_AWS", python.with_file_name("aws"));
    if aws_v2() {
        let mut second = unittest("cli-v2", "cli");
        second.command.env("STEPWELL_AWS", "aws");
        suites.push(second);
    } else {
        println!(
            "clients: there is no AWS CLI v2 on the PATH (it is in no package registry): v1 alone is run"
        );
    }
    if args.suites.is_empty() || args.suites.iter().any(|name| name == "javascript") {
        suites.push(javascript(&folder.join("javascript"), args)?);
    }
    if !args.suites.is_empty() {
        suites.retain(|suite| args.suites.iter().any(|name| name == suite.name));
    }
    Ok(suites)
}

fn aws_v2() -> bool {
    let said = Command::new("aws").arg("--version").stderr(Stdio::null()).output();
    said.is_ok_and(|said| said.stdout.starts_with(b"aws-cli/2"))
}

/// The tests in JavaScript. They lie beside the packages, since that is where Node.js looks for those.
fn javascript(source: &Path, args: &Args) -> Result<Suite> {
    let folder = target().join("node");
    std::fs::create_dir_all(&folder)?;
    let (lock, stamp) = (source.join("package-lock.json"), folder.join("installed-lock.json"));
    let wanted = std::fs::read(&lock).with_context(|| lock.display().to_string())?;
    let is_installed = std::fs::read(&stamp).is_ok_and(|installed| installed == wanted);
    let mut command = Command::new("node");
    command.current_dir(&folder).args(["--test", "--test-reporter", "spec"]);
    for file in std::fs::read_dir(source)? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        if file.file_type()?.is_file() {
            std::fs::copy(file.path(), folder.join(&name))?;
        }
        if name.ends_with(".test.mjs") {
            command.arg(name);
        }
    }
    if let Some(only) = &args.only {
        command.args(["--test-name-pattern", only]);
    }
    if !is_installed {
        let mut npm = Command::new("npm");
        npm.current_dir(&folder).args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel",
            "error",
        ]);
        shell::run(&mut npm).context(
            "the AWS SDK for JavaScript could not be installed: can npm reach a package registry?",
        )?;
        std::fs::write(&stamp, wanted)?;
    }
    Ok(Suite { name: "javascript", command })
}

/// What a client finds around it: an endpoint, and nothing of this machine's own settings.
fn environment(suite: &mut Suite, endpoint: &str, missing: &[&str]) {
    let ours = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_"));
    for (name, _) in ours {
        suite.command.env_remove(name);
    }
    suite
        .command
        .env("AWS_ENDPOINT_URL_SFN", endpoint)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        // SDKs send this along, and so the server's log tells the suites apart.
        .env("AWS_SDK_UA_APP_ID", suite.name)
        .env("NO_PROXY", "*")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("STEPWELL_NOT_SERVED", missing.join(" "));
}

fn start(mut suite: Suite, scratch: &Path) -> Result<Started> {
    let log = scratch.join(format!("{}.log", suite.name));
    let file = File::create(&log)?;
    suite.command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let mut child =
        suite.command.spawn().with_context(|| format!("cannot start the tests of {}", suite.name))?;
    let at = Instant::now();
    let end = std::thread::spawn(move || Ok((child.wait()?, at.elapsed())));
    Ok(Started { name: suite.name, log, end })
}

/// Waits for a suite, and says what came of it.
fn ended(suite: Started) -> Result<bool> {
    let (status, took) = suite.end.join().expect("waiting does not panic")?;
    let said = std::fs::read_to_string(&suite.log)?;
    let (name, seconds) = (suite.name, took.as_secs());
    if status.success() {
        println!("clients: {name}: {} ({seconds} s)", summary(&said));
    } else {
        println!("clients: {name}: FAILED after {seconds} s\n{said}");
    }
    Ok(status.success())
}

/// How many tests there were, in the words of unittest or of node.
fn summary(said: &str) -> String {
    let ran = said.lines().rev().find(|line| line.starts_with("Ran "));
    let result = said.lines().rev().find(|line| line.starts_with("OK"));
    if let (Some(ran), Some(result)) = (ran, result) {
        return format!("{ran}, {result}");
    }
    let counts = ["pass ", "skipped "].map(|count| {
        let line = said.lines().rev().find(|line| line.trim_start_matches("ℹ ").starts_with(count));
        line.unwrap_or_default().trim_start_matches("ℹ ").to_owned()
    });
    counts.join(", ")
}

/// The operations of the API, by its public model.
fn operations(python: &Path) -> Result<BTreeSet<String>> {
    const LIST: &str = "import botocore.session as s\n\
        print(*s.get_session().get_service_model('stepfunctions').operation_names)";
    Ok(output(Command::new(python).args(["-c", LIST]))?.split_whitespace().map(str::to_owned).collect())
}

/// Those that the server knows.
fn served(python: &Path, endpoint: &str, operations: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    const ASK: &str = "import sys, urllib.request, urllib.error\n\
        for operation in sys.argv[2:]:\n\
        \x20   head = {'X-Amz-Target': 'AWSStepFunctions.' + operation, 'Content-Type': 'application/x-amz-json-1.0'}\n\
        \x20   request = urllib.request.Request(sys.argv[1], b'{}', head)\n\
        \x20   try: said = urllib.request.urlopen(request).read()\n\
        \x20   except urllib.error.HTTPError as error: said = error.read()\n\
        \x20   if b'UnknownOperationException' not in said: print(operation)\n";
    let mut ask = Command::new(python);
    ask.env("NO_PROXY", "*").args(["-c", ASK, endpoint]).args(operations);
    Ok(output(&mut ask)?.split_whitespace().map(str::to_owned).collect())
}

/// How often each client called each operation with success, by the server's log.
fn calls(log: &str) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut calls = BTreeMap::<String, BTreeMap<String, usize>>::new();
    for line in log.lines().filter(|line| line.contains(" status=200 ")) {
        let between = |from: &str, to: &[char]| {
            let (_, rest) = line.split_once(from)?;
            rest.split(to).next().map(str::to_owned)
        };
        let operation = between("call=\"AWSStepFunctions.", &['"']);
        let (Some(operation), Some(client)) = (operation, between(" app/", &[' '])) else { continue };
        *calls.entry(operation).or_default().entry(client).or_default() += 1;
    }
    calls
}

fn judge(operations: &BTreeSet<String>, calls: &BTreeMap<String, BTreeMap<String, usize>>) -> Result<()> {
    let mut forgotten = vec![];
    println!("clients: answered calls of each operation");
    for operation in operations {
        let clients = calls.get(operation).into_iter().flatten();
        let clients: Vec<_> = clients.map(|(client, count)| format!("{client} {count}")).collect();
        println!("  {operation}: {}", clients.join(", "));
        if clients.is_empty() {
            forgotten.push(operation.as_str());
        }
    }
    println!("clients: {} of {} operations", operations.len() - forgotten.len(), operations.len());
    if !forgotten.is_empty() {
        bail!("no client has called these with success: {}", forgotten.join(" "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successful_calls_are_counted_by_client() {
        let log = "t DEBUG m: answered call=\"AWSStepFunctions.TagResource\" status=200 agent=Boto3/1 app/boto3 x\n\
            t DEBUG m: answered call=\"AWSStepFunctions.TagResource\" status=400 error=\"X\" agent=Boto3/1 app/cli\n\
            t DEBUG m: answered call=\"AWSStepFunctions.TagResource\" status=200 agent=curl/8\n\
            something else status=200 ";
        let calls = calls(log);
        assert_eq!(calls["TagResource"], BTreeMap::from([("boto3".to_owned(), 1)]));
        assert_eq!(calls.len(), 1);
    }

    #[test]
    fn a_summary_is_what_the_runner_counted() {
        assert_eq!(
            summary("...\nRan 3 tests in 1s\n\nOK (skipped=1)\n"),
            "Ran 3 tests in 1s, OK (skipped=1)"
        );
        assert_eq!(summary("ok\nℹ tests 4\nℹ pass 3\nℹ skipped 1\n"), "pass 3, skipped 1");
    }
}
