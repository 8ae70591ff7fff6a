//! Stores whose writes and reads fail, and whose process dies between any two of them: the ports pass their suites all the same, and
//! executions go on.
//!
//! `STEPWELL_SEEDS=10` tries ten times as many places for a fault; every one of them, from some number on. `STEPWELL_PLACE=323` tries
//! that one.

use std::sync::Arc;
use std::time::Duration;

use stepwell_engine::message::Callback;
use stepwell_engine::{Settings, StartRequest};
use stepwell_expr::Payload;
use stepwell_interpreter::{ErrorOutput, Timestamp};
use stepwell_test_support::{Answer, World, machine, suite};
use tempfile::TempDir;

use crate::Options;
use crate::faults::{Fault, Faults};
use support::{DISTRIBUTED, Life, WAIT, arn};

#[path = "../tests/ports.rs"]
mod ports;
#[path = "../tests/support/mod.rs"]
mod support;

/// Places for each kind of fault that are tried, where nobody says otherwise.
const PLACES: u64 = 24;

fn places() -> u64 {
    std::env::var("STEPWELL_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(1) * PLACES
}

/// A directory where syncing costs nothing, where there is one.
fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary directory")
}

/// Runs a port's suite on so many stores of which many statements, commits and reads fail at first.
async fn suites(seeds: u64, run: impl AsyncFn(ports::Fixture)) {
    let mut met = 0;
    for seed in 0..seeds {
        let faults = Faults::drawn(seed, if seeds > 1 { 300 } else { 20 });
        run(ports::fixture_with(Options { faults: faults.clone(), ..Options::default() })).await;
        met += faults.met();
    }
    println!("{met} faults");
    assert!(met > 50, "{met} faults");
}

#[tokio::test]
async fn journal() {
    suites(4, async |fixture| suite::journal(&*fixture.ports.journal).await).await;
}

#[tokio::test]
async fn map_runs() {
    suites(4, async |fixture| suite::map_runs(&*fixture.ports.map_runs).await).await;
}

#[tokio::test]
async fn registry() {
    suites(1, async |fixture| suite::registry(&*fixture.ports.registry).await).await;
}

#[tokio::test]
async fn activities() {
    suites(4, async |fixture| suite::activities(&*fixture.ports.activities).await).await;
}

#[tokio::test]
async fn queue() {
    suites(4, ports::queue_of).await;
}

/// What clients ask for, and what of it was acknowledged.
#[derive(Default)]
struct Asked {
    started: Vec<(Arc<str>, &'static str)>,
    called_back: bool,
    stopped: Option<Timestamp>,
}

/// How often, and after how long, clients ask again.
const TRIES: usize = 40;

async fn asked_again<T, E: std::fmt::Display>(life: &Life, ask: impl AsyncFn() -> Result<T, E>) -> Option<T> {
    for _ in 0..TRIES {
        let mut answer = std::pin::pin!(ask());
        loop {
            // Time goes by while a port is patient.
            tokio::select! {
                biased;
                answer = &mut answer => match answer {
                    Ok(answer) => return Some(answer),
                    Err(_) => break,
                },
                () = life.settle() => life.pass().await,
            }
        }
    }
    None
}

async fn start(life: &Life, name: &str, definition: &str, execution: &str, input: &str) -> Option<Arc<str>> {
    let machine = Arc::new(machine(name, definition));
    let request = StartRequest {
        execution_arn: arn(name, execution),
        name: execution.into(),
        input: Payload::parse(input).expect("it is JSON"),
        machine: machine.clone(),
        trace_header: None,
        version_arn: None,
        alias_arn: None,
        parent: None,
    };
    asked_again(life, async || match life.ports().registry.create(machine.clone(), None).await {
        Err(stepwell_engine::port::RegistryError::Exists(_)) => Ok(()),
        created => created,
    })
    .await?;
    Some(asked_again(life, async || life.engine.start(request.clone()).await).await?.execution_arn)
}

/// Everything that clients do; what they ask after the process died is not answered.
async fn clients(life: &Life, asked: &mut Asked) {
    let (chain, callback, retry) = (support::chain(), support::callback(), support::retry());
    for (name, definition, input, output) in [
        (chain.0, &*chain.1, r#"{"n":1}"#, r#"{"n":1}"#),
        (callback.0, &callback.1, "{}", r#"{"called":true}"#),
        (retry.0, &retry.1, "{}", "[{},{}]"),
        (WAIT.0, WAIT.1, "{}", r#""waited""#),
        (DISTRIBUTED.0, DISTRIBUTED.1, "[1,2,3]", "[1,2,3]"),
        ("Stopped", WAIT.1, "{}", ""),
    ] {
        asked.started.extend(start(life, name, definition, "e", input).await.map(|arn| (arn, output)));
    }
    life.settle().await;
    let stopped = arn("Stopped", "e");
    asked.stopped =
        asked_again(life, async || life.engine.stop(&stopped, ErrorOutput::default()).await).await;
    call_back(life, asked).await;
}

async fn call_back(life: &Life, asked: &mut Asked) {
    for token in life.world.tasks.tokens() {
        let output = Callback::Success(Payload::parse(r#"{"called":true}"#).expect("it is JSON"));
        asked.called_back |=
            asked_again(life, async || life.engine.send_task_result(&token, output.clone()).await)
                .await
                .is_some();
    }
}

fn world(seed: u64) -> World {
    let world = World::new(seed);
    let mut busy = true;
    world.tasks.script(move |call| match &*call.info.state_machine_name {
        "Retry" if std::mem::take(&mut busy) => Answer::fail("Busy", Duration::from_millis(1)),
        _ if call.token.is_some() => Answer::submit(Duration::from_millis(1)),
        _ => Answer::echo(call, Duration::from_millis(1)),
    });
    world
}

fn open(directory: &TempDir, world: &World, faults: &Faults) -> Life {
    let options = Options { clock: world.clock.clone(), faults: faults.clone(), ..Options::default() };
    Life::with(directory.path(), world, options, Settings::default())
}

/// One run with a fault; `true` where the process died.
async fn run(seed: u64, faults: &Faults, what: &str) -> bool {
    let (here, there) = (directory(), directory());
    faults.leave(here.path(), there.path());
    let world = world(seed);
    let mut asked = Asked::default();
    let mut life = open(&here, &world, faults);
    asked_of(&life, &mut asked, faults).await;
    if !faults.is_dead() {
        assert!(asked.started.len() == 6 && asked.stopped.is_some(), "{what}: no answer");
        until_ended(&life, &mut asked, faults, what).await;
    }
    // What is looked at from now on is not what fails.
    faults.end();
    let died = faults.is_dead();
    if died {
        life.close().await;
        life = open(&there, &world, &Faults::default());
        call_back(&life, &mut asked).await;
        until_ended(&life, &mut asked, &Faults::default(), what).await;
    }
    for (arn, output) in &asked.started {
        let meta = life.meta(arn).await;
        let end = meta.end.as_ref().expect("it has ended");
        let said = end.output.as_ref().map_or("", |output| &**output.text());
        // Who was calling when the process died cannot know what came of it.
        let unknown = died && &*end.error.error.clone().unwrap_or_default() == "Lambda.Unknown";
        let stopped = asked.stopped.is_some() && arn.contains(":Stopped:");
        match end.status {
            "SUCCEEDED" if !stopped => assert!(*output == said || output.is_empty(), "{what}: {arn}: {said}"),
            "ABORTED" if arn.contains(":Stopped:") => {}
            "FAILED" if unknown => {}
            other => panic!("{what}: {arn}: {other} {end:?}"),
        }
        let events = life.events(arn).await;
        assert!(events.last().is_some_and(|last| last.starts_with("Execution")), "{what}: {arn}: {events:?}");
    }
    assert!(world.tasks.most_calls() <= 1, "{what}: {:?}", world.tasks.calls());
    life.close().await;
    died
}

/// Lets clients ask, as long as the process lives.
async fn asked_of(life: &Life, asked: &mut Asked, faults: &Faults) {
    let mut clients = std::pin::pin!(clients(life, asked));
    loop {
        tokio::select! {
            biased;
            () = &mut clients => return,
            () = tokio::task::yield_now() => if faults.is_dead() { return },
        }
    }
}

/// Lets time go by until everything has ended, or the process.
async fn until_ended(life: &Life, asked: &mut Asked, faults: &Faults, what: &str) {
    let arns: Vec<_> = asked.started.iter().map(|(arn, _)| arn.clone()).collect();
    for round in 0.. {
        let mut open = vec![];
        for arn in &arns {
            // A read may fail, too.
            if !matches!(life.engine.describe(arn).await, Ok(Some(meta)) if meta.end.is_some()) {
                open.push(arn);
            }
        }
        if open.is_empty() || faults.is_dead() {
            return;
        }
        assert!(round < 1_000, "{what}: executions do not end: {open:?}");
        if round % 20 == 10 {
            call_back(life, asked).await;
        }
        life.settle().await;
        life.pass().await;
    }
}

/// Tries a fault at some of all places.
async fn everywhere(fault: Fault, times: u64) {
    let healthy = Faults::default();
    run(1, &healthy, "no fault").await;
    let places = places().min(healthy.seen());
    let (mut met, mut died) = (0, 0);
    let alone = std::env::var("STEPWELL_PLACE").ok().and_then(|place| place.parse().ok());
    for place in 0..places {
        let at = alone.unwrap_or(place * healthy.seen() / places);
        let faults = Faults::at(at, times, fault);
        died += u64::from(run(at, &faults, &format!("{fault:?} from {at} on, {times} times")).await);
        met += faults.met();
    }
    println!("{fault:?}: {places} of {} places, {met} faults met, {died} deaths", healthy.seen());
    assert!(met >= places / 2, "{met} faults");
}

#[tokio::test]
async fn no_room_for_a_moment() {
    everywhere(Fault::Full, 1).await;
}

#[tokio::test]
async fn no_room_for_a_while() {
    everywhere(Fault::Full, 25).await;
}

#[tokio::test]
async fn a_disk_that_fails() {
    everywhere(Fault::Io, 3).await;
}

#[tokio::test]
async fn a_file_that_is_busy() {
    everywhere(Fault::Busy, 2).await;
}

#[tokio::test]
async fn a_process_that_dies() {
    everywhere(Fault::Die, 1).await;
}
