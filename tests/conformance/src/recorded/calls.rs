//! A case of a row of calls: each is made in turn, and what is compared is put together from their answers.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::case::{Call, Case, Expectation, Step};
use super::client::{CallError, Client, iso_second};
use super::compare::{Comparer, Likeness};
use super::fill::{self, Places};
use super::run::{Stop, comparer, missing};
use super::wait::WaitError;
use super::world::{ACCOUNT, REGION};

/// How long a case may take: in virtual time.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_WITH_SLOW: Duration = Duration::from_secs(90);

/// How long a call is made again and again, and how long after the last time.
const POLL: Duration = Duration::from_secs(20);
const POLL_GAP: Duration = Duration::from_millis(500);

/// A case being run.
pub(crate) struct Calls {
    pub(crate) case: Rc<Case>,
    pub(crate) client: Client,
    deadline: Duration,
    pieces: HashMap<String, String>,
    answers: BTreeMap<usize, Value>,
    errors: BTreeMap<usize, CallError>,
}

/// Makes the calls, and compares what came of them.
pub(crate) async fn run(
    calls: &mut Calls,
    steps: &[Step],
    expect: &[Expectation],
) -> Result<Vec<Likeness>, Stop> {
    for (at, step) in steps.iter().enumerate() {
        calls.check_time()?;
        match step {
            Step::Wait { wait, params } => calls.wait_step(at, wait, params).await?,
            Step::Call(call) => calls.call_step(at, call, expect).await?,
        }
    }
    let mut comparer = comparer(&calls.case);
    Ok(expect.iter().map(|expectation| calls.compare(expectation, &mut comparer)).collect())
}

impl Calls {
    pub(crate) fn new(case: &Case, client: Client) -> Self {
        let patience = if case.slow { PATIENCE_WITH_SLOW } else { PATIENCE };
        Calls {
            deadline: client.clock().monotonic() + patience,
            case: Rc::new(case.clone()),
            client,
            pieces: HashMap::new(),
            answers: BTreeMap::new(),
            errors: BTreeMap::new(),
        }
    }

    pub(crate) fn fill_text(&mut self, text: &str) -> Result<String, String> {
        fill::fill_text(text, self)
    }

    /// Whether there is time left.
    pub(crate) fn check_time(&self) -> Result<(), Stop> {
        let is_over = self.client.clock().monotonic() >= self.deadline;
        if is_over { Err(Stop::TimedOut) } else { Ok(()) }
    }

    async fn wait_step(&mut self, at: usize, wait: &str, params: &Map<String, Value>) -> Result<(), Stop> {
        let params = fill::fill(&Value::Object(params.clone()), self)?;
        match self.wait(wait, params.as_object().unwrap_or(&Map::new())).await {
            Ok(value) => drop(self.answers.insert(at, value)),
            Err(WaitError::Refused(error)) => drop(self.errors.insert(at, error)),
            Err(WaitError::Stop(stop)) => return Err(stop),
        }
        Ok(())
    }

    async fn call_step(&mut self, at: usize, call: &Call, expect: &[Expectation]) -> Result<(), Stop> {
        let params = fill::fill(&call.params, self)?;
        let until = self.deadline.min(self.client.clock().monotonic() + POLL);
        loop {
            self.answers.remove(&at);
            self.errors.remove(&at);
            match self.client.call_service(call, &params).await {
                Some(Ok(answer)) => drop(self.answers.insert(at, answer)),
                Some(Err(error)) => drop(self.errors.insert(at, error)),
                None if call.optional => return Ok(()),
                None => return Err(Stop::Skipped(call.service.clone())),
            }
            let is_over = !call.poll || self.client.clock().monotonic() >= until;
            if is_over || self.is_right(at, call, expect) {
                return Ok(());
            }
            self.sleep(POLL_GAP).await;
        }
    }

    /// Whether a call went well, and everything that is made of its answer is as recorded.
    fn is_right(&self, at: usize, call: &Call, expect: &[Expectation]) -> bool {
        let Some(answer) = self.answers.get(&at) else { return false };
        let made_of_it: Vec<_> = expect.iter().filter(|it| refers_to(&it.of, at)).collect();
        if made_of_it.is_empty() && call.op == "ReceiveMessage" {
            return answer.get("Messages").is_some();
        }
        let mut trial = comparer(&self.case);
        made_of_it.iter().all(|it| !matches!(self.compare(it, &mut trial), Likeness::Different(_)))
    }

    fn compare(&self, expectation: &Expectation, comparer: &mut Comparer) -> Likeness {
        let Expectation { key, of, value } = expectation;
        match self.evaluate(of) {
            Ok(actual) => comparer.compare(key, value, &actual),
            Err(why) => missing(key, why, value),
        }
    }

    fn answer(&self, at: usize) -> Result<&Value, String> {
        if let Some(error) = self.errors.get(&at) {
            return Err(format!("step {at} failed: {}", error.text()));
        }
        self.answers.get(&at).ok_or_else(|| format!("step {at} was not made"))
    }

    fn error(&self, at: usize) -> Result<&CallError, String> {
        self.errors.get(&at).ok_or_else(|| format!("step {at} did not fail"))
    }

    /// Puts a value together from the answers.
    fn evaluate(&self, of: &Value) -> Result<Value, String> {
        let step =
            |value: &Value| value.as_u64().map(|at| at as usize).ok_or("a step is a number".to_owned());
        let members = match of {
            Value::Object(members) => members,
            Value::Array(items) => return items.iter().map(|item| self.evaluate(item)).collect(),
            _ => return Err(format!("{of} says nothing of where it is from")),
        };
        let Some((name, value)) = members.iter().next().filter(|(name, _)| name.starts_with('$')) else {
            let evaluate = |(name, of): (&String, &Value)| Ok((name.clone(), self.evaluate(of)?));
            return members.iter().map(evaluate).collect::<Result<Map<_, _>, _>>().map(Value::Object);
        };
        match name.as_str() {
            "$ref" => {
                let path: Vec<_> = value[1].as_array().into_iter().flatten().map(path_step).collect();
                self.refer(step(&value[0])?, &path)
            }
            "$error" => Ok(self.error(step(value)?)?.text().into()),
            "$errtype" => Ok(self.error(step(value)?)?.type_name().into()),
            "$const" | "$str" => Ok(value.clone()),
            name => Err(format!("{name} is nothing known")),
        }
    }

    fn refer(&self, at: usize, path: &[String]) -> Result<Value, String> {
        if path.first().is_some_and(|first| first == "$error") {
            return match self.error(at)? {
                CallError::Refused(_, response) => fill::dig(response, path[1..].iter().map(String::as_str)),
                CallError::Parameters(_) => Err(format!("step {at} was not sent")),
            };
        }
        fill::dig(self.answer(at)?, path.iter().map(String::as_str))
    }
}

fn path_step(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether a value is made of what came of a step.
fn refers_to(of: &Value, at: usize) -> bool {
    match of {
        Value::Object(members) => members.iter().any(|(name, value)| match name.as_str() {
            "$ref" => value[0] == at,
            "$error" | "$errtype" => *value == at,
            _ => refers_to(value, at),
        }),
        Value::Array(items) => items.iter().any(|item| refers_to(item, at)),
        _ => false,
    }
}

impl Places for Calls {
    fn place(&mut self, name: &str) -> Result<Value, String> {
        match name {
            "account" => return Ok(ACCOUNT.into()),
            "account2" => return Ok("000000000002".into()),
            "region" => return Ok(REGION.into()),
            _ => {}
        }
        if let Some((at, path)) = name.strip_prefix("ref:").and_then(|rest| rest.split_once(':')) {
            let at = at.parse().map_err(|_| format!("{name} names no step"))?;
            let found = fill::dig(self.answer(at)?, path.split('/'));
            return found.map_err(|_| format!("step {at} gave no {path}"));
        }
        if let Some(days) = name.strip_prefix("now+").and_then(|rest| rest.strip_suffix('d')) {
            let days: i64 = days.parse().map_err(|_| format!("{name} is no number of days"))?;
            let now = self.client.clock().now().0;
            return Ok(iso_second(stepwell_interpreter::Timestamp(now + days * 86_400_000)).into());
        }
        let number = self.pieces.len() + 1;
        let piece = self.pieces.entry(name.to_owned()).or_insert_with(|| format!("{number:04x}face"));
        Ok(piece.clone().into())
    }
}
