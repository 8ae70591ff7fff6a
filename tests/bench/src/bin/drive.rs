//! The engine over its store on one machine, without HTTP: starts executions and waits for their ends.
//!
//!     drive --data-dir DIR [--workload W1] [--executions 2000] [--clients 32]
//!
//! Prints milliseconds of CPU time and of wall time for each execution. Only figures of the same minute compare.
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use stepwell_bench::{Args, workload};
use stepwell_engine::port::Registry;
use stepwell_engine::{Engine, Settings, StartRequest};
use stepwell_expr::Payload;
use stepwell_interpreter::{Event, EventBody, Record};
use stepwell_local::{LocalStore, Options};
use stepwell_test_support::{NoTasks, machine};

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::from_command_line();
    let directory = args.get("--data-dir").ok_or("--data-dir")?;
    let name = args.get("--workload").unwrap_or("W1".into());
    let (count, clients): (u64, usize) = (args.num("--executions", 2000), args.num("--clients", 32));
    let w = workload(&name).ok_or("no such workload")?;
    let store = LocalStore::open(directory.as_ref(), Options::default())?;
    let engine = Engine::new(store.ports(Arc::new(NoTasks)), Settings::default());
    let machine = Arc::new(machine("m", &w.definition.to_string()));
    let registry: &dyn Registry = &*engine.ports().registry;
    registry.create(machine.clone(), None).await.map_err(|error| error.to_string())?;
    let dispatching = store.run(engine.clone()).ok_or("one dispatcher")?;
    let mut ends = engine.watch();
    let (began, cpu) = (Instant::now(), cpu_ms());
    let starts = futures::stream::iter(0..count).map(|n| {
        let request = StartRequest {
            machine: machine.clone(),
            execution_arn: format!("arn:aws:states:us-east-1:123456789012:execution:m:{n}").into(),
            name: n.to_string().into(),
            input: Payload::parse(w.input.as_str()).expect("the workload's input is JSON"),
            trace_header: None,
            version_arn: None,
            alias_arn: None,
            parent: None,
        };
        engine.start(request)
    });
    let mut starts = starts.buffer_unordered(clients);
    let (mut started, mut ended) = (0_u64, 0_u64);
    while ended < count {
        tokio::select! {
            Some(one) = starts.next(), if started < count => {
                one?;
                started += 1;
            }
            committed = ends.recv() => {
                let is_end = |record: &Record| matches!(record, Record::Event(Event { body: EventBody::ExecutionSucceeded { .. }, .. }));
                ended += committed?.records.iter().filter(|record| is_end(record)).count() as u64;
            }
        }
    }
    let each = |ms: f64| ms / count as f64;
    println!(
        "{name}: {:.4} ms of CPU and {:.4} ms for each of {count} executions",
        each(cpu_ms() - cpu),
        each(began.elapsed().as_secs_f64() * 1000.0)
    );
    drop(starts);
    dispatching.stop(std::time::Duration::from_secs(5)).await;
    std::process::exit(0);
}

/// CPU time that the process has taken, in milliseconds, to ten.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) * 10.0
}
