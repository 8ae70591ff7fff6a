//! Load: many clients at full rate against a server of our own, and afterwards an account of every execution.
//!
//! [`run`] starts the program, lets clients start executions of a mix of machines for a while, waits until all have ended, and then
//! asks the server what became of each ([`audit`]) and the store whether it is whole ([`store`]). A stand-in for Lambda in this
//! process counts each attempt that it is called for ([`stub`]). Nothing here judges a timing.

pub mod audit;
pub mod clients;
pub mod machines;
pub mod process;
pub mod report;
pub mod store;
pub mod stub;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Conn, Err};
use clients::Load;
use machines::Machine;
use process::{Memory, Server};
pub use report::Report;
use stub::Stub;

/// What load, for how long, on what.
pub struct Plan {
    /// The program `stepwell`.
    pub program: PathBuf,
    /// A folder of its own for the run: the server's data go there.
    pub folder: PathBuf,
    /// Arguments of `stepwell local` besides.
    pub server_args: Vec<String>,
    /// Clients that start executions, each as fast as it is answered.
    pub clients: usize,
    /// How long they do so.
    pub duration: Duration,
    /// How many executions they start at most.
    pub executions: u64,
    /// Machines by name, each with its weight.
    pub mix: Vec<(String, u32)>,
    /// How long the function `slow` takes.
    pub slow: Duration,
    /// How long executions may go on once no more are started.
    pub drain_max: Duration,
}

/// The mix of W1–W5: in 100 executions so many of each.
pub const MIX: &str = "W1:30,W2:30,W3:2,W4:1,W4J:1,W5:36";

/// Reads a mix such as [`MIX`].
///
/// # Errors
/// A machine that there is not, a weight that is no number.
pub fn mix(text: &str) -> Result<Vec<(String, u32)>, Err> {
    text.split(',')
        .map(|part| {
            let (name, weight) = part.split_once(':').unwrap_or((part, "1"));
            machines::machine(name).ok_or_else(|| format!("there is no machine {name}"))?;
            Ok((name.to_owned(), weight.parse()?))
        })
        .collect()
}

/// How often it is looked whether all executions have ended.
const LOOK: Duration = Duration::from_millis(100);

/// Runs `plan`, and gives what came of it: figures, and each difference from what must be.
///
/// # Errors
/// What keeps it from being run at all.
pub async fn run(plan: &Plan) -> Result<Report, Err> {
    let stub = Stub::start(plan.slow)?;
    let server = Server::start(plan, stub.port)?;
    let memory = Memory::watch(server.pid());
    let mut control = Conn::new(&server.endpoint);
    let mut machines = vec![];
    for (number, (name, weight)) in plan.mix.iter().enumerate() {
        let machine = machines::machine(name).ok_or_else(|| format!("there is no machine {name}"))?;
        let created = control
            .sfn(
                "CreateStateMachine",
                &json!({"name": format!("load-{number}-{name}"), "definition": machine.definition.to_string(),
                        "roleArn": "arn:aws:iam::000000000000:role/load"}),
            )
            .await?;
        let arn = created["stateMachineArn"].as_str().unwrap_or_default().to_owned();
        machines.push(Machine { arn, weight: *weight, ..machine });
    }
    let began = Instant::now();
    let load = clients::start_all(plan, &server.endpoint, &machines).await;
    let offered_for = began.elapsed();
    let drained = drain(plan, &mut control, &machines).await;
    let elapsed = began.elapsed();
    let cpu = crate::tree(&[server.pid()]).0;

    let audited_from = Instant::now();
    let audit = audit::audit(&server.endpoint, &machines, &load, &stub).await?;
    let audit_time = audited_from.elapsed();
    let memory = memory.end();
    let mut differences = audit.differences;
    differences.extend(load.faults.iter().cloned());
    if !drained {
        differences.push(format!("executions still run {} s after the last start", plan.drain_max.as_secs()));
    }
    let file = server.stop()?;
    differences.extend(store::differences(&file, drained)?);
    let times = report::Times { offered_for, elapsed, audit: audit_time, cpu };
    Ok(Report::of(plan, &machines, load, audit.figures, memory, times, differences))
}

/// Waits until nothing runs any more; `false` where that takes too long.
async fn drain(plan: &Plan, control: &mut Conn, machines: &[Machine]) -> bool {
    let until = Instant::now() + plan.drain_max;
    for machine in machines {
        let query = json!({"stateMachineArn": machine.arn, "statusFilter": "RUNNING", "maxResults": 1});
        loop {
            let listed = control.sfn("ListExecutions", &query).await;
            let none = listed.is_ok_and(|listed| listed["executions"].as_array().is_some_and(Vec::is_empty));
            if none {
                break;
            }
            if Instant::now() > until {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    true
}

/// What [`clients::start_all`] and [`audit::audit`] share: which machine, and the execution's name.
#[derive(Debug, Clone)]
pub struct Started {
    /// Which of the machines.
    pub machine: u16,
    /// The execution's name is made of it: [`Load::name`].
    pub number: u64,
}

impl Load {
    /// The name of execution `number`.
    pub fn name(number: u64) -> String {
        format!("load-{number}")
    }
}
