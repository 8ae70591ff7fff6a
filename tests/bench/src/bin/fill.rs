//! Fills a store with executions that have ended, through the engine's ports: what months of work leave behind.
//!
//!     fill --data-dir DIR --machine-arn ARN [--version-arn ARN] [--alias-arn ARN] [--count 1000000]
//!
//! No server may have the store open. Every second one was started by the version, every tenth by the alias; one in 20
//! FAILED, one in 50 ABORTED, one in 100,000 TIMED_OUT.
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use stepwell_bench::Args;
use stepwell_engine::meta::{End, Meta, RunId};
use stepwell_engine::port::Journal;
use stepwell_expr::Payload;
use stepwell_interpreter::{ErrorOutput, ExecutionInfo, Timestamp};
use stepwell_local::{LocalStore, Options};
use stepwell_test_support::NoTasks;

/// Written at once: they share a sync.
const AT_ONCE: usize = 4096;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::from_command_line();
    let directory = args.get("--data-dir").ok_or("--data-dir")?;
    let arn: Arc<str> = args.get("--machine-arn").ok_or("--machine-arn")?.into();
    let count: u64 = args.num("--count", 1_000_000);
    let text = |name| args.get(name).map(Arc::<str>::from);
    let (version, alias) = (text("--version-arn"), text("--alias-arn"));
    let store = LocalStore::open(directory.as_ref(), Options::default())?;
    let ports = store.ports(Arc::new(NoTasks));
    let machine = ports.registry.machine(&arn).await?.ok_or("there is no such state machine")?;
    let newest = ports.clock.now().0;
    let began = Instant::now();
    let written = futures::stream::iter(0..count).map(|n| {
        let info = ExecutionInfo {
            execution_arn: format!("{}:e-{n:08}", arn.replace(":stateMachine:", ":execution:")).into(),
            name: format!("e-{n:08}").into(),
            state_machine_arn: arn.clone(),
            state_machine_name: machine.name.clone(),
            role_arn: machine.role_arn.clone(),
            version_arn: version.clone().filter(|_| n.is_multiple_of(2)),
            alias_arn: alias.clone().filter(|_| n.is_multiple_of(10)),
            started_at: Timestamp(newest - (count - n) as i64),
            express: false,
        };
        execution(&*ports.journal, info, n, machine.revision.clone())
    });
    let mut written = written.buffer_unordered(AT_ONCE);
    let mut done = 0_u64;
    while let Some(result) = written.next().await {
        result?;
        done += 1;
        if done.is_multiple_of(100_000) {
            eprintln!("{done} in {:.1} s", began.elapsed().as_secs_f64());
        }
    }
    drop(written);
    drop(ports);
    store.close();
    println!("{done} executions in {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Starts and ends one.
async fn execution(
    journal: &dyn Journal,
    info: ExecutionInfo,
    n: u64,
    revision: Arc<str>,
) -> Result<(), Box<dyn std::error::Error>> {
    let input = Payload::trusted(format!("{{\"order\":{n}}}"));
    let at = Timestamp(info.started_at.0 + 40);
    let meta = Meta {
        execution_arn: info.execution_arn.clone(),
        run: RunId(u128::from(n) + 1),
        epoch: 0,
        info: Arc::new(info),
        input: input.clone(),
        revision,
        trace_header: None,
        end: None,
        parked: None,
        parent: None,
        redriven_at: None,
    };
    let (arn, run) = (meta.execution_arn.clone(), meta.run);
    journal.put_meta(Arc::new(meta)).await?;
    let status = status(n);
    let output = (status == "SUCCEEDED").then_some(input);
    let end = End { status, output, output_at: None, error: ErrorOutput::default(), at, events: 4 };
    Ok(journal.finish(&arn, run, 0, end).await?)
}

fn status(n: u64) -> &'static str {
    match n {
        _ if n % 100_000 == 7 => "TIMED_OUT",
        _ if n.is_multiple_of(20) => "FAILED",
        _ if n % 50 == 1 => "ABORTED",
        _ => "SUCCEEDED",
    }
}
