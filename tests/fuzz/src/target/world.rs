//! The API over an engine whose ports are in memory, with something in it to ask about.

use std::time::Duration;

use stepwell_engine::port::Clock;
use stepwell_expr::Value;
use stepwell_expr::json::{parse, write_string};
use stepwell_interpreter::Timestamp;
use stepwell_test_support::Process;
use stepwell_wire::{Api, Reply, Settings};

/// What the ARNs of everything begin with.
pub(super) const ARN: &str = "arn:aws:states:us-east-1:123456789012";

/// A machine whose executions do a bit of everything, and then wait for a worker.
const MACHINE: &str = r#"{"StartAt":"P","States":{
    "P":{"Type":"Pass","Result":{"list":[1,2]},"ResultPath":"$.r","Next":"M"},
    "M":{"Type":"Map","ItemsPath":"$.r.list","ResultPath":"$.m","ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Pass","End":true}}},"Next":"T"},
    "T":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","ResultPath":"$.t","Next":"F",
        "HeartbeatSeconds":600,"Catch":[{"ErrorEquals":["States.ALL"],"Next":"F"}]},
    "F":{"Type":"Fail","Error":"E"}}}"#;

/// Steps after which a world is given up.
const STEPS_MAX: u32 = 200_000;

/// The API of a process that answers nobody else. Two of them are the same.
pub(super) struct Site {
    process: Process,
    api: Api,
    steps: u32,
    /// The last task token that an answer had.
    task_token: String,
    /// The last page token.
    next_token: String,
}

impl Site {
    /// A world with nothing in it.
    pub(super) fn empty() -> Self {
        let process = Process::new(1);
        let settings = Settings { account: "123456789012".into(), region: "us-east-1".into() };
        Site {
            api: Api::new(process.engine().clone(), settings),
            process,
            steps: 0,
            task_token: String::new(),
            next_token: String::new(),
        }
    }

    /// A world with the activity `a`; the machine `m`, its version 1, its alias `live`, its executions `e`, which waits for a
    /// worker, and `e2`, which was stopped; and the Express machine `x`.
    pub(super) fn furnished() -> Self {
        let mut site = Site::empty();
        let role = r#""roleArn":"arn:aws:iam::123456789012:role/r""#;
        let definition = quoted(MACHINE);
        for (operation, body) in [
            ("CreateActivity", r#"{"name":"a"}"#.to_owned()),
            (
                "CreateStateMachine",
                format!(
                    r#"{{"name":"m","definition":{definition},{role},"publish":true,"tags":[{{"key":"k","value":"v"}}]}}"#
                ),
            ),
            (
                "CreateStateMachine",
                format!(
                    r#"{{"name":"x","type":"EXPRESS","definition":"{{\"StartAt\":\"P\",\"States\":{{\"P\":{{\"Type\":\"Pass\",\"End\":true}}}}}}",{role}}}"#
                ),
            ),
            (
                "CreateStateMachineAlias",
                format!(
                    r#"{{"name":"live","routingConfiguration":[{{"stateMachineVersionArn":"{ARN}:stateMachine:m:1","weight":100}}]}}"#
                ),
            ),
            (
                "StartExecution",
                format!(r#"{{"stateMachineArn":"{ARN}:stateMachine:m","name":"e","input":"{{\"in\": 1}}"}}"#),
            ),
            ("StartExecution", format!(r#"{{"stateMachineArn":"{ARN}:stateMachine:m:live","name":"e2"}}"#)),
        ] {
            let reply = self::Site::call(&mut site, operation, body.as_bytes());
            assert_eq!(reply.status, 200, "{operation}: {}", String::from_utf8_lossy(&reply.body));
        }
        site.settle(Duration::from_secs(1));
        site.call("StopExecution", format!(r#"{{"executionArn":"{ARN}:execution:m:e2"}}"#).as_bytes());
        site.settle(Duration::from_secs(1));
        site
    }

    /// Answers a request. `TOKEN` and `NEXT` in it stand for the last task token and page token.
    pub(super) fn call(&mut self, operation: &str, body: &[u8]) -> Reply {
        let mut body = body.to_vec();
        for (name, value) in [("\"TOKEN\"", &self.task_token), ("\"NEXT\"", &self.next_token)] {
            if let Some(at) = body.windows(name.len()).position(|window| window == name.as_bytes()) {
                body.splice(at..at + name.len(), quoted(value).into_bytes());
            }
        }
        let (api, target) = (self.api.clone(), format!("{}{operation}", Api::TARGET_PREFIX));
        let slot = self.process.begin(async move { api.call(&target, &body).await });
        let until = Timestamp(self.process.world.clock.now().0 + 3_600_000);
        let reply: Reply = loop {
            if let Some(reply) = slot.borrow_mut().take() {
                break reply;
            }
            assert!(self.step(until), "{operation} is never answered");
        };
        let answer =
            std::str::from_utf8(&reply.body).ok().and_then(|text| parse(text).ok()).unwrap_or_default();
        let member = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
        self.task_token = member("taskToken").unwrap_or(std::mem::take(&mut self.task_token));
        self.next_token = member("nextToken").unwrap_or(std::mem::take(&mut self.next_token));
        reply
    }

    /// Lets everything happen that happens within `duration`.
    pub(super) fn settle(&mut self, duration: Duration) {
        let until = Timestamp(self.process.world.clock.now().0.saturating_add(duration.as_millis() as i64));
        while self.step(until) {}
    }

    /// Lets one thing happen; `false` where nothing can until then.
    fn step(&mut self, until: Timestamp) -> bool {
        self.steps += 1;
        self.steps <= STEPS_MAX && self.process.step(until)
    }
}

/// `text` as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::new();
    write_string(text, &mut out);
    out
}
