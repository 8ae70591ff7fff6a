//! The program is killed with SIGKILL again and again while clients use it, and in the end nothing is lost and nothing was done twice.
//!
//! `cargo xtask kills --kills 200` runs it for long. What is drawn comes from a seed, which is printed: `STEPWELL_SEED`. When a kill
//! falls into what is done is up to the machine, so the same seed does not give the same run.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod client;
mod function;
mod machines;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stepwell_test_support::Random;

use client::Known;
use function::Function;
use support::{Folder, Program};

/// How often the program is killed, where nobody says otherwise.
const KILLS: u64 = 12;
/// Clients in each of its lives.
const CLIENTS: u64 = 5;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// A server, which may not listen yet.
fn spawn(folder: &Path, lambda: &str) -> Program {
    let log = File::options().append(true).create(true).open(folder.join("log.txt")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepwell"));
    command
        .args(["local", "--port", "0", "--data-dir"])
        .arg(folder.join("data"))
        .current_dir(folder)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_ENDPOINT_URL_LAMBDA", lambda)
        .stdout(Stdio::piped())
        .stderr(log);
    Program::start(&mut command)
}

fn rest(duration: Duration) {
    let until = Instant::now() + duration;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

#[test]
fn nothing_is_lost_and_nothing_is_done_twice() {
    let kills = setting("STEPWELL_KILLS").unwrap_or(KILLS);
    let seed = setting("STEPWELL_SEED").unwrap_or_else(|| uuid::Uuid::new_v4().as_u128() as u64 % 1_000_000);
    println!("STEPWELL_SEED={seed} STEPWELL_KILLS={kills}");
    let mut random = Random::new(seed);
    let folder = Folder::new("kills");
    let function = Function::serve(seed);
    let known = Mutex::new(Known::default());
    let mut arns = BTreeMap::new();
    let mut early = 0;
    for life in 0..kills {
        let mut server = spawn(folder.path(), function.url());
        if life > 0 && random.chance(100) {
            // Before it listens: while it opens the store, or reads what is there.
            rest(Duration::from_micros(random.below(120_000) as u64));
            early += 1;
            server.kill();
            continue;
        }
        let address = server.address();
        if arns.is_empty() {
            arns = create(&address);
        }
        // As often soon as late.
        let instant = Duration::from_micros(20_000 << random.below(6))
            + Duration::from_micros(random.below(30_000) as u64);
        let seeds: Vec<u64> = (0..CLIENTS).map(|_| random.bits()).collect();
        std::thread::scope(|scope| {
            for (client, seed) in (0..).zip(seeds) {
                let (known, function, arns, address) = (&known, &function, &arns, &address);
                scope.spawn(move || client::run((life, client, seed), address, arns, known, function));
            }
            rest(instant);
            server.kill();
        });
    }
    let mut server = spawn(folder.path(), function.url());
    let known = known.into_inner().unwrap();
    let figures = audit::check(&server.address(), &arns, known, &function);
    println!("{kills} kills, {early} of them before the program listened; {figures}");
}

/// Creates the machines, and gives their ARNs.
fn create(address: &str) -> BTreeMap<&'static str, String> {
    let created = machines::all().into_iter().map(|(name, machine_type, definition)| {
        let request = json!({
            "name": name,
            "type": machine_type,
            "definition": definition.to_string(),
            "roleArn": "arn:aws:iam::123456789012:role/r"
        });
        let (status, answer): (u16, Value) =
            support::post(address, "CreateStateMachine", &request).expect("nobody kills it yet");
        let arn = answer["stateMachineArn"].as_str().unwrap_or_else(|| panic!("{status} {answer}"));
        (name, arn.to_owned())
    });
    created.collect()
}
