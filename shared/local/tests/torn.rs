//! A store whose last write was torn, whose checkpoint was, or whose disk has changed a bit since: what was acknowledged is there, or
//! an error says what is not, and nothing is ever misread.
//!
//! `STEPWELL_SEEDS=10` tries ten times as many places.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stepwell_engine::meta::Meta;
use stepwell_engine::{Engine, Settings};
use stepwell_interpreter::Record;
use stepwell_local::{LocalStore, Options};
use stepwell_test_support::{Answer, NoTasks, Random, World};
use support::{Life, WAIT};
use tempfile::TempDir;

const FILE: &str = "stepwell.db";
const WAL: &str = "stepwell.db-wal";
/// Of a WAL, and of each of its frames; a frame has a page behind it.
const HEAD_BYTES: (usize, usize) = (32, 24);
const PAGE_BYTES: usize = 8192;

fn times() -> usize {
    std::env::var("STEPWELL_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(1)
}

/// A directory where syncing costs nothing, where there is one.
fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// All that is known of an execution.
#[derive(Clone, PartialEq)]
struct Known {
    meta: Meta,
    records: Vec<Record>,
}

/// Something that was acknowledged when the WAL had so many bytes.
struct Fact {
    wal_bytes: usize,
    arn: Arc<str>,
    known: Known,
}

/// The files of a store, and what it was asked for.
struct Written {
    file: Vec<u8>,
    wal: Vec<u8>,
    facts: Vec<Fact>,
}

async fn known(engine: &Engine, arn: &str) -> Result<Option<Known>, String> {
    let meta = engine.describe(arn).await.map_err(|error| error.to_string())?;
    let history = engine.history(arn).await.map_err(|error| error.to_string())?;
    Ok(meta.zip(history).map(|(meta, (_, records))| Known { meta: (*meta).clone(), records }))
}

/// Executions that end one behind the other, and some that go on.
async fn write(executions: usize) -> Written {
    let (directory, world) = (directory(), World::new(1));
    world.tasks.script(|call| Answer::echo(call, Duration::ZERO));
    let life = Life::open(directory.path(), &world);
    let (chain, mut facts) = (support::chain(), vec![]);
    for n in 0..executions {
        let input = format!(r#"{{"n":{n},"text":"{}"}}"#, "text ".repeat(n * 60));
        let machine = if n % 4 == 3 { WAIT } else { (chain.0, &*chain.1) };
        let arn = life.start(machine, &format!("e{n}"), &input).await;
        life.settle().await;
        if n % 4 != 3 {
            life.until_ended(std::slice::from_ref(&arn)).await;
        }
        let known = known(&life.engine, &arn).await.unwrap().unwrap();
        let wal_bytes = std::fs::metadata(directory.path().join(WAL)).unwrap().len() as usize;
        facts.push(Fact { wal_bytes, arn, known });
    }
    life.settle().await;
    // As a process leaves it that is killed now.
    let [file, wal] = [FILE, WAL].map(|name| std::fs::read(directory.path().join(name)).unwrap());
    life.close().await;
    Written { file, wal, facts }
}

/// Opens a store of these files, and gives what it knows, or why it does not.
async fn read(
    file: &[u8],
    wal: Option<&[u8]>,
    facts: &[Fact],
) -> Result<Vec<Result<Option<Known>, String>>, String> {
    let directory = directory();
    std::fs::write(directory.path().join(FILE), file).unwrap();
    if let Some(wal) = wal {
        std::fs::write(directory.path().join(WAL), wal).unwrap();
    }
    let (engine, _store) = engine(directory.path())?;
    let mut found = vec![];
    for fact in facts {
        found.push(known(&engine, &fact.arn).await);
    }
    Ok(found)
}

fn engine(directory: &Path) -> Result<(Engine, LocalStore), String> {
    let store = LocalStore::open(directory, Options::default()).map_err(|error| error.to_string())?;
    Ok((Engine::new(store.ports(Arc::new(NoTasks)), Settings::default()), store))
}

/// A WAL whose end is another from `at` on: what was acknowledged before that is there.
async fn check_tail((file, facts): (&[u8], &[Fact]), wal: &[u8], at: usize, what: &str) {
    let found = read(file, Some(wal), facts).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    for (fact, found) in facts.iter().zip(found) {
        let found = found.unwrap_or_else(|error| panic!("{what}: {}: {error}", fact.arn));
        if fact.wal_bytes <= at {
            assert!(found.as_ref() == Some(&fact.known), "{what}: {} is not as it was", fact.arn);
        } else if let Some(found) = found {
            // A part of it, as it was then.
            let all = &fact.known.records;
            assert!(all.starts_with(&found.records), "{what}: {}", fact.arn);
        }
    }
}

#[tokio::test]
async fn a_torn_last_write_is_dropped() {
    let written = write(8).await;
    let frame = HEAD_BYTES.1 + PAGE_BYTES;
    let frames = (written.wal.len() - HEAD_BYTES.0) / frame;
    let mut places = BTreeSet::from([0, 1, HEAD_BYTES.0 - 1, HEAD_BYTES.0, written.wal.len()]);
    let mut random = Random::new(1);
    let step = (frames / (12 * times())).max(1);
    for start in (0..frames).step_by(step).map(|n| HEAD_BYTES.0 + n * frame) {
        places.extend([0, 1, 4, 8, 16, 23, 24, 25, 24 + 4096, frame - 1].map(|within| start + within));
        places.insert(start + random.below(frame));
    }
    let mut tried = 0;
    for at in places.into_iter().filter(|at| *at <= written.wal.len()) {
        check_tail((&written.file, &written.facts), &written.wal[..at], at, &format!("cut at {at}")).await;
        tried += 1;
        // Of the last frame only a part is there; or all of its sectors but one are, or one is another's.
        let mut torn = written.wal.clone();
        let end = (at + 512).min(torn.len());
        match tried % 3 {
            0 => torn[at..end].fill(0),
            1 => torn[at..end].iter_mut().for_each(|byte| *byte = random.bits() as u8),
            _ => torn.truncate(end),
        }
        if tried % 3 == 1 && at < end {
            torn[at] = !written.wal[at];
        }
        check_tail((&written.file, &written.facts), &torn, at, &format!("torn at {at}")).await;
        tried += 1;
    }
    println!("{tried} torn ends of a WAL of {frames} frames");
}

/// What a checkpoint writes is in the WAL until it is done and synced.
#[tokio::test]
async fn a_torn_checkpoint_is_made_again() {
    let written = write(8).await;
    let frames = written.wal[HEAD_BYTES.0..].chunks_exact(HEAD_BYTES.1 + PAGE_BYTES);
    let pages: Vec<_> =
        frames.map(|frame| u32::from_be_bytes(*frame.first_chunk::<4>().unwrap()) as usize - 1).collect();
    let mut random = Random::new(2);
    let (tries, mut torn) = (20 * times(), 0);
    for n in 0..tries {
        let mut file = written.file.clone();
        let room = (pages.iter().max().unwrap() + 1) * PAGE_BYTES;
        file.resize(room.max(file.len()), 0);
        for page in &pages {
            // The first page's head says that the file is a database with a WAL, and is never other in this.
            let from = page * PAGE_BYTES + if *page == 0 { 100 } else { 0 };
            if random.chance(if n == 0 { 1000 } else { 400 }) {
                let (from, to) = (from + random.below(PAGE_BYTES / 2), (page + 1) * PAGE_BYTES);
                file[from..to].iter_mut().for_each(|byte| *byte = random.bits() as u8);
                torn += 1;
            }
        }
        check_tail((&file, &written.facts), &written.wal, written.wal.len(), "checkpoint").await;
    }
    println!("{tries} torn checkpoints, {torn} torn pages");
}

/// One bit in a file that was closed well.
#[tokio::test]
async fn a_flipped_bit_is_found_or_harmless() {
    let written = write(8).await;
    // Closed well: the WAL is in the file.
    let directory = directory();
    std::fs::write(directory.path().join(FILE), &written.file).unwrap();
    std::fs::write(directory.path().join(WAL), &written.wal).unwrap();
    drop(engine(directory.path()).unwrap());
    let file = std::fs::read(directory.path().join(FILE)).unwrap();
    assert!(!directory.path().join(WAL).exists());

    let used: Vec<_> = (0..file.len()).filter(|at| file[*at] != 0).collect();
    let mut random = Random::new(3);
    let (mut harmless, mut refused, mut reported) = (0, 0, 0);
    let mut misread = vec![];
    for _ in 0..300 * times() {
        let at = used[random.below(used.len())];
        let mut bad = file.clone();
        bad[at] ^= 1 << random.below(8);
        match read(&bad, None, &written.facts).await {
            Err(why) => {
                assert!(why.contains(FILE) || why.contains("schema version"), "{why}");
                refused += 1;
            }
            Ok(found) => {
                let wrong =
                    written.facts.iter().zip(&found).find(
                        |(fact, found)| matches!(found, Ok(found) if found.as_ref() != Some(&fact.known)),
                    );
                if let Some((fact, _)) = wrong {
                    misread.push((at, fact.arn.clone()));
                } else if found.iter().any(Result::is_err) {
                    reported += 1;
                } else {
                    harmless += 1;
                }
            }
        }
    }
    println!(
        "{harmless} bits harmless, {refused} refused at the start, {reported} reported, {} misread",
        misread.len()
    );
    for (at, arn) in &misread {
        let from = at.saturating_sub(24);
        println!(
            "  page {} at {}: {arn}: {:?}",
            at / PAGE_BYTES + 1,
            at % PAGE_BYTES,
            String::from_utf8_lossy(&file[from..at + 24])
        );
    }
    assert!(misread.is_empty(), "{} misread", misread.len());
}
