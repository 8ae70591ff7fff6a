//! `cargo xtask bench cost`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stepwell_bench::Args;
use stepwell_cost::clock::JumpingClock;
use stepwell_cost::emulator::Emulator;
use stepwell_cost::functions::deploy;
use stepwell_cost::prices::Prices;
use stepwell_cost::report::{Bill, table};
use stepwell_cost::run::{Front, Setting, World};
use stepwell_cost::services::{Latencies, Services, Tasks};
use stepwell_cost::workload::{ALL, workload};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args = Args::from_command_line();
    let target = PathBuf::from(args.get("--emulator-target").expect("--emulator-target FOLDER"));
    let asked = args.get("--workloads").unwrap_or_else(|| ALL.join(","));
    let (many, few) = (args.num("--executions", 100), args.num("--alone", 10));
    let setting = Setting {
        memory_mb: args.num("--memory", 256),
        arm: !args.has("--x86"),
        front: match args.get("--front").as_deref() {
            None | Some("function-url") => Front::FunctionUrl,
            Some("http-api") => Front::HttpApi,
            Some("rest-api") => Front::RestApi,
            Some(other) => panic!("--front: function-url, http-api or rest-api, not {other}"),
        },
    };
    let tasks = Tasks { time: Duration::from_millis(args.num("--task-ms", 100)) };
    let prices = match args.get("--prices") {
        Some(file) => {
            Prices::read(&std::fs::read_to_string(file).expect("--prices FILE")).expect("a price file")
        }
        None => Prices::ours(),
    };
    let mut bills = vec![];
    for name in asked.split(',') {
        let workload = workload(name).unwrap_or_else(|| panic!("no workload {name}"));
        for (executions, batch) in [(many, 10), (few, 1)] {
            let emulator = Emulator::build_and_start(&target);
            let clock = Arc::new(JumpingClock::default());
            let services = Services::serve(&emulator.endpoint, Latencies::default(), tasks, clock.clone());
            deploy(&services).await;
            let outcome = World::new(services, clock).run(&workload, executions, batch, setting).await;
            let bill = Bill::new(workload.clone(), outcome, &prices);
            println!("{}", bill.json(setting, &prices));
            bills.push(bill);
        }
    }
    eprintln!("{}", table(&bills));
}
