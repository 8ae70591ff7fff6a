//! An API to call, in a world of its own.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use stepwell_engine::port::Clock;
use stepwell_expr::Value;
use stepwell_expr::json::parse;
use stepwell_interpreter::Timestamp;
use stepwell_test_support::{Process, World};
use stepwell_wire::{Api, Settings};

/// What every ARN of a machine begins with.
pub(crate) const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:";
/// What every ARN of an execution begins with.
pub(crate) const EXECUTION: &str = "arn:aws:states:us-east-1:123456789012:execution:";
/// What every ARN of an activity begins with.
pub(crate) const ACTIVITY: &str = "arn:aws:states:us-east-1:123456789012:activity:";
/// A machine of one Pass state.
pub(crate) const PASS: &str =
    r#"{"StartAt":"P","States":{"P":{"Type":"Pass","Result":{"done":true},"End":true}}}"#;
/// A machine that fails.
pub(crate) const FAIL: &str = r#"{"StartAt":"F","States":{"F":{"Type":"Fail","Error":"E","Cause":"C"}}}"#;
/// A machine that waits for a day.
pub(crate) const WAIT: &str = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":86400,"End":true}}}"#;

pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) api: Api,
    process: Process,
}

impl Site {
    pub(crate) fn new() -> Self {
        let process = Process::new(1);
        let settings = Settings { account: "123456789012".into(), region: "us-east-1".into() };
        let api = Api::new(process.engine().clone(), settings);
        Site { world: process.world.clone(), api, process }
    }

    /// Calls `operation` and gives status and body.
    pub(crate) fn call(&mut self, operation: &str, body: impl AsRef<[u8]>) -> (u16, Value) {
        let (api, body) = (self.api.clone(), body.as_ref().to_vec());
        let target = format!("AWSStepFunctions.{operation}");
        let reply = self.wait_for(async move { api.call(&target, &body).await });
        let text = std::str::from_utf8(&reply.body).expect("a body is UTF-8");
        (reply.status, parse(text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// Begins to call `operation`; the answer comes while [`Site::settle`] lets things happen.
    pub(crate) fn begin(&mut self, operation: &str, body: impl AsRef<[u8]>) -> Rc<RefCell<Option<Value>>> {
        let (api, body) = (self.api.clone(), body.as_ref().to_vec());
        let target = format!("AWSStepFunctions.{operation}");
        self.process.begin(async move {
            let reply = api.call(&target, &body).await;
            let text = std::str::from_utf8(&reply.body).expect("a body is UTF-8");
            parse(text).expect("a body is JSON")
        })
    }

    /// Calls `operation`, which succeeds.
    #[track_caller]
    pub(crate) fn ask(&mut self, operation: &str, body: impl AsRef<[u8]>) -> Value {
        let (status, answer) = self.call(operation, body);
        assert_eq!(status, 200, "{operation}: {answer}");
        answer
    }

    /// Calls `operation`, which is refused with `name: message`.
    #[track_caller]
    pub(crate) fn refused(&mut self, operation: &str, body: &str, expected: &str) {
        let (status, answer) = self.call(operation, body);
        let member = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let kind = member("__type");
        let name = kind.rsplit('#').next().unwrap_or_default();
        let message = member("message") + &member("Message");
        assert_eq!(format!("{name}: {message}"), expected, "{operation} {body}");
        assert_eq!(status, 400);
    }

    /// Creates a machine of this definition.
    #[track_caller]
    pub(crate) fn create(&mut self, name: &str, definition: &str) -> String {
        self.create_with(name, definition, "")
    }

    /// Creates a machine, with further members.
    #[track_caller]
    pub(crate) fn create_with(&mut self, name: &str, definition: &str, members: &str) -> String {
        let answer = self.ask("CreateStateMachine", create(name, definition, members));
        text(&answer, "stateMachineArn")
    }

    /// Starts an execution and gives its ARN.
    #[track_caller]
    pub(crate) fn start(&mut self, machine: &str, name: &str, input: &str) -> String {
        text(&self.ask("StartExecution", start(machine, name, input)), "executionArn")
    }

    /// Lets everything happen that happens within `duration`.
    pub(crate) fn settle(&mut self, duration: Duration) {
        let until = Timestamp(self.world.clock.now().0 + duration.as_millis() as i64);
        while self.process.step(until) {}
        self.world.clock.advance_to(until);
    }

    /// Runs a future to its end.
    pub(crate) fn wait_for<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
        let slot = self.process.begin(future);
        let until = Timestamp(self.world.clock.now().0 + 600_000);
        loop {
            if let Some(value) = slot.borrow_mut().take() {
                return value;
            }
            assert!(self.process.step_deaf(until), "the call does not end");
        }
    }
}

/// The member `name`, a string.
#[track_caller]
pub(crate) fn text(value: &Value, name: &str) -> String {
    let member = value.get(name).and_then(Value::as_str);
    member.unwrap_or_else(|| panic!("no string '{name}' in {value}")).to_owned()
}

/// `text` as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    Value::string(text).to_json()
}

/// The body of CreateStateMachine; `members` begins with a comma.
pub(crate) fn create(name: &str, definition: &str, members: &str) -> String {
    let (name, definition) = (quoted(name), quoted(definition));
    format!(r#"{{"name":{name},"definition":{definition},"roleArn":"arn:aws:iam::1:role/r"{members}}}"#)
}

/// The body of StartExecution.
pub(crate) fn start(machine: &str, name: &str, input: &str) -> String {
    let (machine, name, input) = (quoted(machine), quoted(name), quoted(input));
    format!(r#"{{"stateMachineArn":{machine},"name":{name},"input":{input}}}"#)
}

/// A body of one member, a string.
pub(crate) fn body(name: &str, value: &str) -> String {
    format!("{{{}:{}}}", quoted(name), quoted(value))
}

/// `value` with every time in it replaced by 0.
pub(crate) fn timeless(value: &Value) -> Value {
    const TIMES: [&str; 6] =
        ["creationDate", "updateDate", "startDate", "stopDate", "redriveDate", "timestamp"];
    match value {
        Value::Array(items) => Value::array(items.iter().map(timeless).collect()),
        Value::Object(map) => Value::object(
            map.iter()
                .map(|(key, member)| {
                    let is_time = TIMES.contains(&&**key);
                    (key.clone(), if is_time { 0.into() } else { timeless(member) })
                })
                .collect(),
        ),
        other => other.clone(),
    }
}

/// Checks an answer, times apart.
#[track_caller]
pub(crate) fn check(answer: &Value, expected: &str) {
    let expected = parse(expected).unwrap_or_else(|error| panic!("{error}: {expected}"));
    assert_eq!(timeless(answer), expected, "\n{}", timeless(answer));
}
