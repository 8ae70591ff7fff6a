//! What must be true in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{self, Known, Start};
use crate::function::Function;
use crate::support::post;

/// How long what is under way may go on when nobody kills any more.
const PATIENCE: Duration = Duration::from_secs(180);

struct Audit<'a> {
    address: &'a str,
    known: Mutex<Known>,
    function: &'a Function,
    deadline: Instant,
}

/// Checks everything, and gives the figures.
pub(crate) fn check(
    address: &str,
    arns: &BTreeMap<&'static str, String>,
    known: Known,
    function: &Function,
) -> String {
    let starts = known.starts.clone();
    let audit = Audit { address, known: Mutex::new(known), function, deadline: Instant::now() + PATIENCE };
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    let mut outputs: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let (mut acknowledged, mut unheard, mut never, mut events, mut kept) = (0, 0, 0, 0, vec![]);
    for ((machine, name), start) in &starts {
        acknowledged += u64::from(start.acknowledged.is_some());
        let arn = execution_arn(&arns[machine], name);
        if *machine == "express" {
            kept.extend(start.acknowledged.clone().map(|(arn, _)| arn));
            continue;
        }
        let Some(execution) = audit.ended(machine, &arn, start) else {
            assert!(start.acknowledged.is_none(), "{arn} was acknowledged, and is not there");
            never += 1;
            continue;
        };
        unheard += u64::from(start.acknowledged.is_none());
        let status = execution["status"].as_str().unwrap_or_default().to_owned();
        if let Some((_, date)) = &start.acknowledged {
            assert_eq!(execution["startDate"], *date, "{arn}");
        }
        audit.judge(machine, start, &execution);
        if status == "SUCCEEDED" && *machine != "callback" {
            outputs.entry(machine).or_default().insert(execution["output"].to_string());
        }
        events += audit.history(&arn, &status);
        *ends.entry(status).or_default() += 1;
    }
    for (machine, outputs) in &outputs {
        assert_eq!(outputs.len(), 1, "{machine} ends in more than one way: {outputs:?}");
    }
    let calls = audit.calls(&starts, arns);
    audit.called_back();
    audit.all_at_rest(arns);
    let known = audit.known.into_inner().unwrap();
    format!(
        "{acknowledged} starts acknowledged, all there and ended; {unheard} ended whose start was not answered, {never} of these \
         never began; {ends:?}; {} of Express; {events} events, no gap; {calls} attempts called, none twice; {} callbacks and {} \
         stops acknowledged, all in effect; {} starts repeated, answered alike; requests of unknown outcome: {:?}",
        kept.len(),
        known.called_back.len(),
        starts.values().filter(|start| start.stop_date.is_some()).count(),
        known.repeated,
        known.unknown
    )
}

fn execution_arn(machine_arn: &str, name: &str) -> String {
    format!("{}:{name}", machine_arn.replacen(":stateMachine:", ":execution:", 1))
}

impl Audit<'_> {
    fn ask(&self, operation: &str, request: &Value) -> (u16, Value) {
        post(self.address, operation, request).unwrap_or_else(|| panic!("no answer to {operation} {request}"))
    }

    /// An execution that has ended, however long that takes; `None` where there is none of this ARN.
    fn ended(&self, machine: &str, arn: &str, start: &Start) -> Option<Value> {
        loop {
            let (status, execution) = self.ask("DescribeExecution", &json!({"executionArn": arn}));
            if status == 400 {
                let why = execution["__type"].as_str().unwrap_or_default();
                assert!(why.ends_with("ExecutionDoesNotExist"), "{arn}: {execution}");
                return None;
            }
            assert_eq!(status, 200, "{arn}: {execution}");
            if execution["status"] != "RUNNING" {
                return Some(execution);
            }
            assert!(Instant::now() < self.deadline, "it does not end: {execution}");
            if machine == "stop" && start.stop_date.is_none() {
                self.ask(
                    "StopExecution",
                    &json!({"executionArn": arn, "error": "Enough", "cause": "the end"}),
                );
            }
            client::call_back(self.address, &self.known, self.function);
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn judge(&self, machine: &str, start: &Start, execution: &Value) {
        let expected = match (machine, execution["error"].as_str()) {
            ("stop", _) => "ABORTED",
            // A call that was under way when the program was killed: what came of it nobody knows, and nothing tries again.
            ("once", Some("Lambda.Unknown")) => "FAILED",
            _ => "SUCCEEDED",
        };
        assert_eq!(execution["status"], expected, "{machine}: {execution}");
        if let Some(date) = &start.stop_date {
            assert_eq!(execution["stopDate"], *date, "{execution}");
        }
    }

    /// Reads a history, which must be whole, and gives the number of its events.
    fn history(&self, arn: &str, status: &str) -> u64 {
        let (mut events, mut token) = (vec![], Value::Null);
        loop {
            let mut request = json!({"executionArn": arn, "maxResults": 1000});
            if token.is_string() {
                request["nextToken"] = token;
            }
            let (code, page) = self.ask("GetExecutionHistory", &request);
            assert_eq!(code, 200, "{arn}: {page}");
            events.extend(page["events"].as_array().cloned().unwrap_or_default());
            token = page["nextToken"].clone();
            if !token.is_string() {
                break;
            }
        }
        for (id, event) in (1_usize..).zip(&events) {
            assert_eq!(event["id"], id as u64, "{arn}: a gap");
            let previous = event["previousEventId"].as_u64().unwrap_or(u64::MAX);
            // What ends an execution from outside follows no event.
            let follows = previous > 0 || id <= 2 || id == events.len();
            assert!(previous < id as u64 && follows, "{arn}: {event}");
        }
        let kind =
            |event: Option<&Value>| event.map(|event| event["type"].as_str().unwrap_or_default().to_owned());
        assert_eq!(kind(events.first()).as_deref(), Some("ExecutionStarted"), "{arn}");
        let last = match status {
            "SUCCEEDED" => "ExecutionSucceeded",
            "FAILED" => "ExecutionFailed",
            _ => "ExecutionAborted",
        };
        assert_eq!(kind(events.last()).as_deref(), Some(last), "{arn}");
        let ends = events.iter().filter(|event| kind(Some(event)).as_deref() == Some(last)).count();
        assert_eq!(ends, 1, "{arn}");
        events.len() as u64
    }

    /// No attempt was called twice, and whatever was acknowledged was called: the number of attempts.
    fn calls(&self, starts: &BTreeMap<(&str, String), Start>, arns: &BTreeMap<&str, String>) -> u64 {
        let calls = self.function.calls();
        for ((execution, state, item, attempt), times) in &calls {
            // A call of an Express execution whose outcome is unknown is made again.
            assert!(
                *times == 1 || state == "X",
                "{execution} {state} {item} {attempt} was called {times} times"
            );
        }
        let called: BTreeSet<_> = calls.keys().map(|call| (call.0.as_str(), call.1.as_str())).collect();
        for ((machine, name), start) in starts {
            let Some((arn, _)) = &start.acknowledged else { continue };
            let states: &[&str] = match *machine {
                "chain" | "both" => &["A", "B", "C"],
                "wait" => &["A", "B"],
                "map" => &["Item"],
                "busy" => &["Busy"],
                "callback" => &["T"],
                "express" => &["X"],
                _ => &[],
            };
            assert!(*machine == "express" || *arn == execution_arn(&arns[machine], name), "{arn}");
            for state in states {
                assert!(called.contains(&(arn.as_str(), *state)), "{arn} never called {state}");
            }
        }
        calls.values().map(|times| u64::from(*times)).sum()
    }

    /// Whatever an acknowledged callback said is what its task gave.
    fn called_back(&self) {
        for (arn, output) in &self.known.lock().unwrap().called_back {
            let (_, execution) = self.ask("DescribeExecution", &json!({"executionArn": arn}));
            assert_eq!(execution["output"], *output, "{execution}");
        }
    }

    /// Nothing runs any more, of which nobody knows either.
    fn all_at_rest(&self, arns: &BTreeMap<&str, String>) {
        for (machine, arn) in arns.iter().filter(|(machine, _)| **machine != "express") {
            let request = json!({"stateMachineArn": arn, "statusFilter": "RUNNING"});
            let (_, running) = self.ask("ListExecutions", &request);
            assert_eq!(running["executions"], json!([]), "{machine}");
        }
    }
}
