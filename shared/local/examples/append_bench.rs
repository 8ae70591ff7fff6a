//! How many small writes the store makes durable in a second, and what one costs.
//!
//!     cargo run -p stepwell-local --profile fast --example append_bench -- [DIRECTORY] [SECONDS]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stepwell_engine::Driven;
use stepwell_engine::message::{Message, MessageBody};
use stepwell_engine::meta::{End, Meta};
use stepwell_engine::port::{Page, Ports, Seq, Writer};
use stepwell_expr::Payload;
use stepwell_interpreter::{Claimant, ErrorOutput, ExecutionInfo, TimerId, Timestamp};
use stepwell_local::{Drive, LocalStore, Options};
use stepwell_test_support::{NoTasks, execution};

/// A driver with nothing to do.
#[derive(Clone)]
struct Nothing;

impl Drive for Nothing {
    async fn drive(&self, _: Message, _: Claimant, _: u32) -> Driven {
        Driven::Done
    }
}

#[derive(Clone, Copy)]
enum Work {
    /// One page after another.
    Append,
    /// Message, META, page, end.
    Execution,
    /// Message, META, page, timer: what parks.
    Park,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = arguments.next().map_or(Ok(2.0), |text| text.parse())?;
    let head = ["writers", "per s", "p50 ms", "p99 ms", "CPU µs", "RSS MiB"];
    println!("{:>10} {}", "work", head.map(|column| format!("{column:>9}")).join(" "));
    for (name, work) in [("append", Work::Append), ("execution", Work::Execution), ("park", Work::Park)] {
        for writers in [1, 16, 64] {
            let path = directory.join(format!("append-bench-{}-{writers}-{name}", std::process::id()));
            let store = LocalStore::open(&path, Options::default())?;
            let ports = store.ports(Arc::new(NoTasks));
            let dispatching = store.run(Nothing).ok_or("dispatched once")?;
            measure(name, work, writers, Duration::from_secs_f64(seconds), &ports).await;
            dispatching.stop(Duration::from_secs(5)).await;
            drop(ports);
            store.close();
            std::fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

async fn measure(name: &str, work: Work, writers: u64, length: Duration, ports: &Ports) {
    let stop = Arc::new(AtomicBool::new(false));
    let ids = Arc::new(AtomicU64::new(0));
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let tasks: Vec<_> = (0..writers)
        .map(|_| tokio::spawn(one_writer(work, ports.clone(), ids.clone(), stop.clone())))
        .collect();
    tokio::time::sleep(length).await;
    stop.store(true, Ordering::Relaxed);
    let mut latencies = vec![];
    for task in tasks {
        latencies.extend(task.await.unwrap_or_default());
    }
    let (elapsed, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    latencies.sort_unstable();
    let count = latencies.len().max(1) as f64;
    let at = |part: f64| {
        let latency = latencies.get((latencies.len() as f64 * part) as usize);
        latency.map_or(0.0, |latency: &Duration| latency.as_secs_f64() * 1e3)
    };
    let (p50, p99, cpu) = (at(0.5), at(0.99), cpu * 1e6 / count);
    let (rate, resident) = (count / elapsed, resident_mib());
    println!("{name:>10} {writers:>9} {rate:>9.0} {p50:>9.3} {p99:>9.3} {cpu:>9.1} {resident:>9.1}");
}

async fn one_writer(work: Work, ports: Ports, ids: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> Vec<Duration> {
    let mut latencies = vec![];
    let next = || ids.fetch_add(1, Ordering::Relaxed);
    let mut current = start(&ports, next()).await;
    let mut seq = 0;
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        match work {
            Work::Append => {
                seq += 1;
                append(&ports, &current, seq).await;
            }
            Work::Execution => {
                current = start(&ports, next()).await;
                append(&ports, &current, 1).await;
                finish(&ports, &current).await;
            }
            Work::Park => {
                current = start(&ports, next()).await;
                append(&ports, &current, 1).await;
                park(&ports, &current).await;
            }
        }
        latencies.push(began.elapsed());
    }
    latencies
}

async fn start(ports: &Ports, id: u64) -> Arc<Meta> {
    let name = format!("{id:08}-0000-4000-8000-{:012x}", ports.clock.random() >> 16);
    let info = ExecutionInfo { started_at: ports.clock.now(), ..execution("bench", &name) };
    let input = Payload::trusted("{\"n\": 7, \"text\": \"small\"}");
    let meta = Arc::new(stepwell_test_support::meta(info, id.into(), input));
    let body = MessageBody::Start(Some(meta.clone()));
    ports.queue.send(message(ports, &meta, body), None).await.expect("sent");
    ports.journal.put_meta(meta.clone()).await.expect("put");
    meta
}

fn message(ports: &Ports, meta: &Meta, body: MessageBody) -> Message {
    let execution = meta.execution_arn.clone();
    Message { execution, run: meta.run, epoch: 0, sent_at: ports.clock.now(), body }
}

async fn append(ports: &Ports, meta: &Meta, seq: u64) {
    let claimant = Claimant { message: "1099511627776".into(), delivery: 7 };
    let page = Page { writer: Writer::Driver(claimant), bytes: vec![b'x'; 200].into() };
    ports.journal.append(&meta.execution_arn, meta.run, Seq(seq), page).await.expect("appended");
}

async fn finish(ports: &Ports, meta: &Meta) {
    let end = End {
        status: "SUCCEEDED",
        output: Some(Payload::trusted("{}")),
        output_at: None,
        error: ErrorOutput::default(),
        at: ports.clock.now(),
        events: 7,
    };
    ports.journal.finish(&meta.execution_arn, meta.run, 0, end).await.expect("finished");
}

async fn park(ports: &Ports, meta: &Meta) {
    let due = Timestamp(ports.clock.now().0 + 86_400_000);
    let body = MessageBody::TimerFired { timer: TimerId(1), due };
    ports.scheduler.schedule(message(ports, meta, body), due).await.expect("scheduled");
}

/// CPU seconds of this process; 0 where the system does not say.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Resident memory of this process; 0 where the system does not say.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}
