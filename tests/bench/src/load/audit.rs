//! The account of every execution, by what the API says of it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::machines::Machine;
use super::{Load, Started, Stub};
use crate::client::{Conn, Err};

/// What was found.
#[derive(Default)]
pub struct Audit {
    /// What was counted.
    pub figures: Figures,
    /// What is not as it must be.
    pub differences: Vec<String>,
}

/// What was counted.
#[derive(Default, Debug, Clone)]
pub struct Figures {
    /// Executions that are listed.
    pub listed: u64,
    /// Executions that ended as they must, with the right output.
    pub ended: u64,
    /// Histories that are complete and without a gap.
    pub histories: u64,
    /// Events of all histories.
    pub events: u64,
    /// Calls that the stub counted.
    pub calls: u64,
    /// Attempts that were called more than once.
    pub called_twice: u64,
    /// Starts whose reply was lost and that began all the same.
    pub lost_but_begun: u64,
}

/// Differences that are told at most.
const DIFFERENCES_MAX: usize = 50;

/// Connections that ask at once.
const AUDITORS: usize = 8;

/// Looks at every execution that the clients know of, and at every one that the server lists.
///
/// # Errors
/// A server that does not answer.
pub async fn audit(endpoint: &str, machines: &[Machine], load: &Load, stub: &Stub) -> Result<Audit, Err> {
    let mut audit = Audit::default();
    let listed = listings(endpoint, machines, load, &mut audit).await?;
    let lost: HashSet<u64> = load.lost.iter().map(|started| started.number).collect();
    let begun = load.lost.iter().filter(|started| listed.contains_key(&started.number));
    let due: Vec<Started> = load.acknowledged.iter().chain(begun).cloned().collect();
    audit.figures.lost_but_begun = due.len() as u64 - load.acknowledged.len() as u64;

    let machines: Arc<[Expected]> = machines.iter().map(Expected::of).collect();
    let (due, next): (Arc<[Started]>, _) = (due.into(), Arc::new(AtomicUsize::new(0)));
    let auditors: Vec<_> = (0..AUDITORS)
        .map(|_| {
            let auditor = Auditor {
                connection: Conn::new(endpoint),
                machines: machines.clone(),
                found: Audit::default(),
            };
            tokio::spawn(auditor.run(due.clone(), next.clone()))
        })
        .collect();
    for auditor in auditors {
        let found = auditor.await??;
        audit.figures.ended += found.figures.ended;
        audit.figures.histories += found.figures.histories;
        audit.figures.events += found.figures.events;
        audit.differences.extend(found.differences);
    }
    for started in due.iter() {
        let (calls, expected) = (stub.calls_of(started.number), machines[usize::from(started.machine)].calls);
        // A call of an execution whose start's reply was lost may be any that it should make.
        if u64::from(calls) != expected {
            audit.differ(|| format!("{} called {calls} times, not {expected}", Load::name(started.number)));
        }
    }
    let (calls, twice, foreign) = stub.totals();
    (audit.figures.calls, audit.figures.called_twice) = (calls, twice);
    let expected: u64 = due.iter().map(|started| machines[usize::from(started.machine)].calls).sum();
    if calls != expected || twice != 0 || foreign != 0 {
        let text =
            format!("{calls} calls, of {expected}; {twice} attempts called again; {foreign} calls of nobody");
        audit.differ(|| text);
    }
    for started in &load.refused {
        if listed.contains_key(&started.number) && !lost.contains(&started.number) {
            audit.differ(|| format!("{} was refused, and began", Load::name(started.number)));
        }
    }
    Ok(audit)
}

impl Audit {
    fn differ(&mut self, difference: impl FnOnce() -> String) {
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(difference());
        }
    }
}

/// What the server lists, by the executions' numbers; each must be known to a client, under its machine, and SUCCEEDED.
async fn listings(
    endpoint: &str,
    machines: &[Machine],
    load: &Load,
    audit: &mut Audit,
) -> Result<HashMap<u64, u16>, Err> {
    let known: HashMap<u64, u16> =
        load.acknowledged.iter().chain(&load.lost).map(|started| (started.number, started.machine)).collect();
    let mut connection = Conn::new(endpoint);
    let mut listed = HashMap::new();
    for (at, machine) in machines.iter().enumerate() {
        let mut query = json!({"stateMachineArn": machine.arn, "maxResults": 1000});
        loop {
            let page = connection.sfn("ListExecutions", &query).await?;
            for execution in page["executions"].as_array().into_iter().flatten() {
                let name = execution["name"].as_str().unwrap_or_default();
                let number = name.strip_prefix("load-").and_then(|number| number.parse::<u64>().ok());
                let is_known = number.is_some_and(|number| known.get(&number) == Some(&(at as u16)));
                if !is_known {
                    audit
                        .differ(|| format!("{name} is listed under {}, and nobody started it", machine.name));
                }
                if execution["status"] != "SUCCEEDED" {
                    audit.differ(|| format!("{name} is listed as {}", execution["status"]));
                }
                if number.is_some_and(|number| listed.insert(number, at as u16).is_some()) {
                    audit.differ(|| format!("{name} is listed twice"));
                }
            }
            match page.get("nextToken").filter(|token| token.is_string()) {
                Some(token) => query["nextToken"] = token.clone(),
                None => break,
            }
        }
    }
    for started in load.acknowledged.iter().filter(|started| !listed.contains_key(&started.number)) {
        audit.differ(|| format!("{} was acknowledged, and is not listed", Load::name(started.number)));
    }
    audit.figures.listed = listed.len() as u64;
    Ok(listed)
}

/// What is expected of a machine's executions.
struct Expected {
    arn_prefix: String,
    output: Value,
    events: u64,
    calls: u64,
    linear: bool,
}

impl Expected {
    fn of(machine: &Machine) -> Self {
        let arn_prefix = format!("{}:", machine.arn.replacen(":stateMachine:", ":execution:", 1));
        let Machine { output, events, calls, linear, .. } = machine;
        Expected { arn_prefix, output: output.clone(), events: *events, calls: *calls, linear: *linear }
    }
}

struct Auditor {
    connection: Conn,
    machines: Arc<[Expected]>,
    found: Audit,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HistoryPage<'a> {
    #[serde(borrow)]
    events: Vec<HistoryEvent<'a>>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HistoryEvent<'a> {
    id: u64,
    previous_event_id: u64,
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

impl Auditor {
    async fn run(mut self, due: Arc<[Started]>, next: Arc<AtomicUsize>) -> Result<Audit, Err> {
        while let Some(started) = due.get(next.fetch_add(1, Ordering::Relaxed)) {
            let machines = self.machines.clone();
            let expected = &machines[usize::from(started.machine)];
            let arn = format!("{}{}", expected.arn_prefix, Load::name(started.number));
            self.end(&arn, expected).await?;
            self.history(&arn, expected).await?;
        }
        Ok(self.found)
    }

    async fn end(&mut self, arn: &str, expected: &Expected) -> Result<(), Err> {
        let described = self.connection.sfn("DescribeExecution", &json!({"executionArn": arn})).await;
        let described = match described {
            Ok(described) => described,
            Err(error) => {
                self.found.differ(|| format!("{arn}: {error}"));
                return Ok(());
            }
        };
        let output = described["output"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        if described["status"] == "SUCCEEDED" && output.as_ref() == Some(&expected.output) {
            self.found.figures.ended += 1;
        } else {
            self.found.differ(|| {
                let output = described["output"].as_str().unwrap_or_default();
                format!(
                    "{arn} is {} with {}",
                    described["status"],
                    output.chars().take(100).collect::<String>()
                )
            });
        }
        Ok(())
    }

    async fn history(&mut self, arn: &str, expected: &Expected) -> Result<(), Err> {
        let mut chain = Chain { linear: expected.linear, ..Chain::default() };
        let mut token: Option<String> = None;
        loop {
            let mut query = json!({"executionArn": arn, "maxResults": 1000, "includeExecutionData": false});
            if let Some(token) = &token {
                query["nextToken"] = json!(token);
            }
            let body = Bytes::from(query.to_string());
            let (status, body) = self.connection.send("POST", "/", Some("GetExecutionHistory"), body).await?;
            if status != 200 {
                self.found.differ(|| format!("the history of {arn} is answered with {status}"));
                return Ok(());
            }
            let page: HistoryPage<'_> = serde_json::from_slice(&body)?;
            page.events.iter().for_each(|event| chain.add(event));
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        self.found.figures.events += chain.length;
        match chain.fault(expected.events) {
            None => self.found.figures.histories += 1,
            Some(fault) => self.found.differ(|| format!("the history of {arn}: {fault}")),
        }
        Ok(())
    }
}

/// A history as far as it was read.
#[derive(Default)]
struct Chain {
    linear: bool,
    length: u64,
    ended: bool,
    fault: Option<String>,
}

impl Chain {
    fn add(&mut self, event: &HistoryEvent<'_>) {
        let HistoryEvent { id, previous_event_id: previous, kind } = event;
        self.length += 1;
        let first = self.length == 1;
        // What follows ExecutionStarted has no predecessor either.
        let follows = match *id {
            0..=2 => *previous == 0,
            id if self.linear => *previous == id - 1,
            id => (1..id).contains(previous),
        };
        let fault = if *id != self.length {
            Some(format!("{kind} has id {id} in place {}", self.length))
        } else if !follows {
            Some(format!("{kind} with id {id} has the predecessor {previous}"))
        } else if (kind == "ExecutionStarted") != first {
            Some(format!("{kind} is event {id}"))
        } else if self.ended {
            Some(format!("{kind} follows the end"))
        } else {
            None
        };
        self.fault = self.fault.take().or(fault);
        self.ended |= ["ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"]
            .contains(&&**kind);
    }

    fn fault(self, events: u64) -> Option<String> {
        let length = self.length;
        let short = (length != events).then(|| format!("{length} events, not {events}"));
        let open = (!self.ended).then(|| "it does not end".to_owned());
        self.fault.or(short).or(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_a_history_is_seen() {
        let check = |linear: bool, events: &[(u64, u64, &str)], expected: Option<&str>| {
            let mut chain = Chain { linear, ..Chain::default() };
            for (id, previous_event_id, kind) in events {
                let (id, previous_event_id) = (*id, *previous_event_id);
                chain.add(&HistoryEvent { id, previous_event_id, kind: Cow::Borrowed(*kind) });
            }
            assert_eq!(chain.fault(4).as_deref(), expected);
        };
        let (start, enter, exit, end) = (
            (1, 0, "ExecutionStarted"),
            (2, 0, "PassStateEntered"),
            (3, 2, "PassStateExited"),
            (4, 3, "ExecutionSucceeded"),
        );
        check(true, &[start, enter, exit, end], None);
        check(true, &[start, enter, exit], Some("3 events, not 4"));
        check(true, &[start, enter, exit, (4, 3, "PassStateEntered")], Some("it does not end"));
        check(true, &[start, exit, end], Some("PassStateExited has id 3 in place 2"));
        check(true, &[start, enter, enter, end], Some("PassStateEntered has id 2 in place 3"));
        check(
            true,
            &[start, enter, (3, 1, "PassStateExited"), end],
            Some("PassStateExited with id 3 has the predecessor 1"),
        );
        check(false, &[start, enter, (3, 1, "PassStateExited"), end], None);
        check(
            false,
            &[start, enter, (3, 3, "PassStateExited"), end],
            Some("PassStateExited with id 3 has the predecessor 3"),
        );
        check(
            true,
            &[start, enter, (3, 2, "ExecutionSucceeded"), end],
            Some("ExecutionSucceeded follows the end"),
        );
        check(true, &[(1, 0, "PassStateEntered"), enter, exit, end], Some("PassStateEntered is event 1"));
        check(true, &[start, enter, (3, 2, "ExecutionStarted"), end], Some("ExecutionStarted is event 3"));
    }
}
