//! The clients: each starts executions as fast as it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;

use super::machines::Machine;
use super::{Plan, Started};
use crate::client::Conn;

/// What the clients were told.
#[derive(Default)]
pub struct Load {
    /// Starts that were acknowledged.
    pub acknowledged: Vec<Started>,
    /// Starts whose reply was lost: they may have begun.
    pub lost: Vec<Started>,
    /// Starts that were refused to the last: they must not have begun.
    pub refused: Vec<Started>,
    /// Requests sent.
    pub requests: u64,
    /// Answers that said `ThrottlingException`.
    pub throttled: u64,
    /// Answers that said there is no room (503).
    pub unavailable: u64,
    /// How long each acknowledged request took, in microseconds.
    pub latencies: Vec<u32>,
    /// Answers that should not be.
    pub faults: Vec<String>,
}

/// Faults that are told at most.
const FAULTS_MAX: usize = 20;

/// What a refused client waits at first, and at most: as SDKs do, all of it drawn.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// What all clients share.
struct Shared {
    next: AtomicU64,
    executions: u64,
    until: Instant,
    /// Machines in the order in which they are started, again and again.
    order: Vec<u16>,
    bodies: Vec<Vec<u8>>,
}

/// Starts executions until the plan's time or number is over.
pub async fn start_all(plan: &Plan, endpoint: &str, machines: &[Machine]) -> Load {
    let bodies = machines
        .iter()
        .map(|machine| {
            json!({"stateMachineArn": machine.arn, "input": machine.input}).to_string().into_bytes()
        })
        .collect();
    let shared = Arc::new(Shared {
        next: AtomicU64::new(0),
        executions: plan.executions,
        until: Instant::now() + plan.duration,
        order: order(machines),
        bodies,
    });
    let clients: Vec<_> = (0..plan.clients)
        .map(|seed| tokio::spawn(client(Conn::new(endpoint), shared.clone(), seed as u64 + 1)))
        .collect();
    let mut all = Load::default();
    for client in clients {
        match client.await {
            Ok(load) => all.add(load),
            Err(error) => all.faults.push(format!("a client ended early: {error}")),
        }
    }
    all
}

impl Load {
    fn add(&mut self, other: Load) {
        self.acknowledged.extend(other.acknowledged);
        self.lost.extend(other.lost);
        self.refused.extend(other.refused);
        self.requests += other.requests;
        self.throttled += other.throttled;
        self.unavailable += other.unavailable;
        self.latencies.extend(other.latencies);
        self.faults.extend(other.faults);
        self.faults.truncate(FAULTS_MAX);
    }
}

/// The machines spread evenly by their weights.
fn order(machines: &[Machine]) -> Vec<u16> {
    let total: u32 = machines.iter().map(|machine| machine.weight).sum();
    let mut credit = vec![0i64; machines.len()];
    (0..total.max(1))
        .map(|_| {
            for (credit, machine) in credit.iter_mut().zip(machines) {
                *credit += i64::from(machine.weight);
            }
            let richest = (0..machines.len()).max_by_key(|at| credit[*at]).unwrap_or(0);
            credit[richest] -= i64::from(total);
            richest as u16
        })
        .collect()
}

async fn client(mut connection: Conn, shared: Arc<Shared>, seed: u64) -> Load {
    let (mut load, mut random) = (Load::default(), seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    while Instant::now() < shared.until && load.faults.len() < FAULTS_MAX {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        if number >= shared.executions {
            break;
        }
        let machine = shared.order[(number % shared.order.len() as u64) as usize];
        let started = Started { machine, number };
        let body = body(&shared.bodies[usize::from(machine)], number);
        let mut tries = 0;
        loop {
            load.requests += 1;
            let began = Instant::now();
            let answer = connection.send("POST", "/", Some("StartExecution"), body.clone()).await;
            match answer {
                Ok((200, _)) => {
                    load.latencies.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
                    load.acknowledged.push(started);
                    break;
                }
                Ok((status, text)) if is_refusal(status, &text) => {
                    if status == 503 {
                        load.unavailable += 1;
                    } else {
                        load.throttled += 1;
                    }
                    if Instant::now() >= shared.until {
                        load.refused.push(started);
                        break;
                    }
                    tokio::time::sleep(backoff(tries, &mut random)).await;
                    tries += 1;
                }
                Ok((status, text)) => {
                    let text = String::from_utf8_lossy(&text).chars().take(300).collect::<String>();
                    load.faults.push(format!("a start was answered {status}: {text}"));
                    load.lost.push(started);
                    break;
                }
                Err(_) => {
                    connection.sender = None;
                    load.lost.push(started);
                    break;
                }
            }
        }
    }
    load
}

/// Whether the answer says that nothing was begun, and that the request may come again.
fn is_refusal(status: u16, body: &[u8]) -> bool {
    const THROTTLED: &str =
        r#"{"__type":"com.amazon.coral.availability#ThrottlingException","message":"Rate exceeded"}"#;
    status == 503 || (status == 400 && body == THROTTLED.as_bytes())
}

fn backoff(tries: u32, random: &mut u64) -> Duration {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    let most = BACKOFF.0.saturating_mul(1 << tries.min(10)).min(BACKOFF.1);
    most.mul_f64((*random % 1000) as f64 / 1000.0)
}

/// A request's body with the name in the place of its closing brace: the input is written once.
fn body(common: &[u8], number: u64) -> Bytes {
    let name = format!(",\"name\":\"{}\"}}", Load::name(number));
    let mut body = Vec::with_capacity(common.len() + name.len());
    body.extend_from_slice(&common[..common.len() - 1]);
    body.extend_from_slice(name.as_bytes());
    Bytes::from(body)
}
