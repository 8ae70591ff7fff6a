//! A client in one life of the program, and what clients know in the end.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};
use stepwell_test_support::Random;

use crate::function::Function;
use crate::support::post;

/// Executions that one client starts in one life at most.
const STARTS: usize = 8;

/// What was asked for, and what of it was acknowledged.
#[derive(Default)]
pub(crate) struct Known {
    /// By machine and name.
    pub(crate) starts: BTreeMap<(&'static str, String), Start>,
    /// The outputs that acknowledged callbacks gave, by execution.
    pub(crate) called_back: BTreeMap<String, String>,
    /// Requests without an answer, or with one that leaves open what was done.
    pub(crate) unknown: BTreeMap<&'static str, u64>,
    /// Repeated starts that were answered.
    pub(crate) repeated: u64,
    callbacks: u64,
}

/// A start.
#[derive(Default, Clone)]
pub(crate) struct Start {
    /// ARN and date, where the start was acknowledged.
    pub(crate) acknowledged: Option<(String, Value)>,
    /// Whether a stop was asked for.
    pub(crate) stopped: bool,
    /// The date of a stop that was acknowledged.
    pub(crate) stop_date: Option<Value>,
}

/// What came of a request.
enum Answer {
    Done(Value),
    Refused(Value),
    /// Perhaps it was done, perhaps not.
    Unknown,
}

struct Client<'a> {
    address: &'a str,
    arns: &'a BTreeMap<&'static str, String>,
    known: &'a Mutex<Known>,
}

/// Uses the program until its work is done or the program is dead.
pub(crate) fn run(
    (life, number, seed): (u64, u64, u64),
    address: &str,
    arns: &BTreeMap<&'static str, String>,
    known: &Mutex<Known>,
    function: &Function,
) {
    let client = Client { address, arns, known };
    let mut random = Random::new(seed);
    let machines: Vec<_> = arns.keys().copied().collect();
    for n in 0..STARTS {
        let machine = machines[random.below(machines.len())];
        let name = format!("e{life}-{number}-{n}");
        let mut alive = client.start(machine, &name);
        if machine == "stop" {
            alive &= client.stop(&name);
        }
        if random.chance(250) {
            alive &= client.start(machine, &name);
        }
        if let Some((machine, name)) = client.earlier(&mut random) {
            alive &= client.start(machine, &name);
        }
        if number == 0 {
            alive &= client.call_back(function);
        }
        if !alive {
            return;
        }
    }
}

/// Ends what waits for a callback, for as long as there is something.
pub(crate) fn call_back(address: &str, known: &Mutex<Known>, function: &Function) {
    let arns = BTreeMap::new();
    Client { address, arns: &arns, known }.call_back(function);
}

impl Client<'_> {
    fn ask(&self, operation: &'static str, request: &Value) -> Answer {
        match post(self.address, operation, request) {
            Some((200, answer)) => Answer::Done(answer),
            Some((400..500, answer)) => Answer::Refused(answer),
            _ => {
                *self.known.lock().unwrap().unknown.entry(operation).or_default() += 1;
                Answer::Unknown
            }
        }
    }

    /// Starts an execution, perhaps again; `false` where there was no answer.
    fn start(&self, machine: &'static str, name: &str) -> bool {
        let key = (machine, name.to_owned());
        let before = self.known.lock().unwrap().starts.entry(key.clone()).or_default().clone();
        let request = json!({"stateMachineArn": self.arns[machine], "name": name, "input": "{}"});
        let answer = match self.ask("StartExecution", &request) {
            Answer::Unknown => return false,
            Answer::Done(answer) => Some(answer),
            Answer::Refused(error) => {
                // One that has ended keeps its name. Nobody else has this one.
                let exists =
                    error["__type"].as_str().is_some_and(|name| name.ends_with("ExecutionAlreadyExists"));
                assert!(exists, "{machine} {name}: {error}");
                assert!(machine != "stop" || before.stopped, "{name} has ended, and nobody stopped it");
                None
            }
        };
        let mut known = self.known.lock().unwrap();
        known.repeated += u64::from(before.acknowledged.is_some());
        let start = known.starts.get_mut(&key).expect("it was noted");
        let Some(answer) = answer else { return true };
        let said =
            (answer["executionArn"].as_str().unwrap_or_default().to_owned(), answer["startDate"].clone());
        assert!(!said.0.is_empty(), "{answer}");
        // The names of Express executions are free again at once: theirs are others.
        if machine != "express"
            && let Some(first) = &start.acknowledged
        {
            assert_eq!(*first, said, "the same start, answered otherwise");
        }
        start.acknowledged.get_or_insert(said);
        true
    }

    fn stop(&self, name: &str) -> bool {
        let key = ("stop", name.to_owned());
        let arn = {
            let mut known = self.known.lock().unwrap();
            let start = known.starts.get_mut(&key).expect("it was noted");
            let Some((arn, _)) = start.acknowledged.clone() else { return true };
            start.stopped = true;
            arn
        };
        match self.ask("StopExecution", &json!({"executionArn": arn, "error": "Enough", "cause": name})) {
            Answer::Unknown => return false,
            Answer::Refused(error) => panic!("{name} was acknowledged, and cannot be stopped: {error}"),
            Answer::Done(answer) => {
                let mut known = self.known.lock().unwrap();
                let start = known.starts.get_mut(&key).expect("it was noted");
                start.stop_date = Some(answer["stopDate"].clone());
            }
        }
        true
    }

    /// Some execution that was asked for before.
    fn earlier(&self, random: &mut Random) -> Option<(&'static str, String)> {
        let known = self.known.lock().unwrap();
        if known.starts.is_empty() || !random.chance(300) {
            return None;
        }
        let at = random.below(known.starts.len());
        let ((machine, name), _) = known.starts.iter().nth(at)?;
        (*machine != "express").then(|| (*machine, name.clone()))
    }

    fn call_back(&self, function: &Function) -> bool {
        while let Some((token, execution)) = function.take_token() {
            let output = {
                let mut known = self.known.lock().unwrap();
                known.callbacks += 1;
                // Told again, it is the same.
                format!(r#"{{"to":"{}"}}"#, &token[token.len() - 12..])
            };
            match self.ask("SendTaskSuccess", &json!({"taskToken": token, "output": output})) {
                Answer::Unknown => {
                    function.give_back((token, execution));
                    return false;
                }
                Answer::Done(_) => {
                    self.known.lock().unwrap().called_back.insert(execution, output);
                }
                Answer::Refused(error) => {
                    // Its call was under way when the program was killed, so it was given up.
                    let over = error["__type"].as_str().is_some_and(|name| name.ends_with("TaskTimedOut"));
                    let early =
                        error["__type"].as_str().is_some_and(|name| name.ends_with("TaskDoesNotExist"));
                    assert!(over || early, "{execution}: {error}");
                }
            }
        }
        true
    }
}
