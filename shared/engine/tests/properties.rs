//! What holds for every execution, whatever happens to it: its journal is the execution.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::sync::Arc;

use stepwell_asl::{Definition, Format, MachineType, parse};
use stepwell_engine::meta::{PayloadPlace, RunId};
use stepwell_engine::port::{Seq, Writer};
use stepwell_engine::stored::{PagePlace, PayloadIndex, decode_page, encode_page};
use stepwell_expr::{Entropy, Payload};
use stepwell_interpreter::{
    AttemptId, Claimant, Decision, ErrorOutput, Execution, ExecutionInfo, Now, Outcome, Record, TimerId,
    Timestamp, Trigger, advance, apply, evolve,
};

const DEFINITIONS: [&str; 4] = [
    r#"{"StartAt":"A","States":{
        "A":{"Type":"Pass","Result":{"a":[1,2,3]},"ResultPath":"$.a","Assign":{"x.$":"$.a","y":1},"Next":"M"},
        "M":{"Type":"Map","ItemsPath":"$.a.a","MaxConcurrency":2,"ResultPath":"$.m","Retry":[{"ErrorEquals":["Busy"]}],"Next":"C",
            "ItemProcessor":{"StartAt":"I","States":{
                "I":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Next":"J"},
                "J":{"Type":"Wait","Seconds":1,"End":true}}}},
        "C":{"Type":"Choice","Choices":[{"Variable":"$.a.a[0]","NumericEquals":1,"Next":"S"}],"Default":"F"},
        "S":{"Type":"Succeed"},"F":{"Type":"Fail","Error":"E"}}}"#,
    r#"{"StartAt":"P","TimeoutSeconds":50,"States":{"P":{"Type":"Parallel","ResultPath":"$.p","Next":"Z",
        "Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"Z"}],"Branches":[
            {"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                "TimeoutSeconds":20,"HeartbeatSeconds":5,"End":true,
                "Parameters":{"QueueUrl":"q","MessageBody":{"t.$":"$$.Task.Token"}}}}},
            {"StartAt":"U","States":{"U":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true,
                "Retry":[{"ErrorEquals":["States.ALL"],"MaxAttempts":2,"BackoffRate":1.5,"JitterStrategy":"FULL"}]}}}]},
        "Z":{"Type":"Pass","End":true}}}"#,
    r#"{"StartAt":"L","States":{
        "L":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultPath":"$.r","Next":"W",
            "Catch":[{"ErrorEquals":["Busy"],"ResultPath":"$.e","Next":"W"},{"ErrorEquals":["Lambda.Unknown"],"Next":"S"}]},"S":{"Type":"Succeed"},
        "W":{"Type":"Wait","Seconds":2,"Next":"L"}}}"#,
    r#"{"QueryLanguage":"JSONata","StartAt":"A","States":{
        "A":{"Type":"Pass","Assign":{"n":"{% $states.input.text %}"},"Output":{"id":"{% $uuid() %}"},"Next":"T"},
        "T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","End":true,
            "Arguments":{"FunctionName":"f","Payload":"{% $states.input %}"},
            "Retry":[{"ErrorEquals":["Busy"],"IntervalSeconds":1}]}}}"#,
];

struct Random(Entropy);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        (self.0.bits() % end.max(1) as u64) as usize
    }
}

fn definition(text: &str) -> Definition {
    let parsed = parse(text, Format::Json, MachineType::Standard);
    parsed.definition.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics))
}

fn start(random: &mut Random) -> Trigger {
    let info = ExecutionInfo {
        execution_arn: "arn:aws:states:us-east-1:123456789012:execution:M:e".into(),
        name: "e".into(),
        state_machine_arn: "arn:aws:states:us-east-1:123456789012:stateMachine:M".into(),
        state_machine_name: "M".into(),
        role_arn: "arn:aws:iam::123456789012:role/r".into(),
        version_arn: None,
        alias_arn: None,
        started_at: Timestamp(1_000),
        express: false,
    };
    let text = "a text that may be long ".repeat(random.below(30));
    Trigger::Start { info: Arc::new(info), input: Payload::parse(format!(r#"{{"text":"{text}"}}"#)).unwrap() }
}

/// An execution as it lives, and the same as its pages tell it.
struct Both {
    live: Execution,
    told: Execution,
    index: PayloadIndex,
    known: HashMap<PayloadPlace, Payload>,
    seq: u64,
}

impl Both {
    /// Commits a decision, reads it back, and compares.
    #[track_caller]
    fn commit(&mut self, decision: Decision) {
        if decision.records.is_empty() {
            assert_eq!(decision.execution, self.live, "nothing recorded, and something changed");
            return;
        }
        self.seq += 1;
        let page = encode_page(place(self.seq), Timestamp(0), &decision.records, &self.index);
        for (payload, place) in page.stored {
            self.index.add(&payload, place);
        }
        let decoded =
            decode_page(place(self.seq), &page.bytes, |place| self.known.get(&place).cloned()).unwrap();
        self.known.extend(decoded.stored.into_iter().map(|(payload, place)| (place, payload)));
        assert_eq!(decoded.records, decision.records);
        decoded.records.iter().for_each(|record: &Record| evolve(&mut self.told, record));
        self.live = decision.execution;
        assert_eq!(self.told, self.live);
    }
}

/// Something that may happen to `execution` next, or happened long ago.
fn happening(execution: &Execution, random: &mut Random, claimant: &Claimant) -> Trigger {
    let calls: Vec<_> = execution.calls().map(|(_, call)| (call.attempt, call.nonce)).collect();
    let timers: Vec<_> = execution.timers().map(|(timer, _)| timer).collect();
    let some_timer = timers.get(random.below(timers.len() + 1)).copied();
    let (attempt, nonce) = calls.get(random.below(calls.len() + 1)).copied().unwrap_or((AttemptId(0), 0));
    let text = "result ".repeat(random.below(60));
    match random.below(12) {
        0..=3 => {
            let output = Payload::parse(format!(r#"{{"a":{{"a":[1]}},"text":"{text}"}}"#)).unwrap();
            Trigger::TaskResult { attempt, nonce, outcome: Outcome::Succeeded(output) }
        }
        4 => Trigger::TaskResult { attempt, nonce, outcome: Outcome::Failed(ErrorOutput::new("Busy", text)) },
        5 => Trigger::TaskResult { attempt, nonce, outcome: Outcome::TimedOut },
        6 => Trigger::TaskSubmitted { attempt, output: Payload::default() },
        7 => Trigger::TaskHeartbeat { attempt, nonce },
        8 if random.below(4) == 0 => {
            let callable_again = if random.below(2) == 0 { vec![attempt] } else { vec![] };
            Trigger::DriverLost { claimant: claimant.clone(), callable_again }
        }
        9 if random.below(20) == 0 => Trigger::Stop(ErrorOutput::default()),
        _ => Trigger::TimerFired { timer: some_timer.unwrap_or(TimerId(0)) },
    }
}

/// Whether `trigger` may mean something a second time: a heartbeat always does.
fn is_repeatable(trigger: &Trigger) -> bool {
    matches!(trigger, Trigger::TaskHeartbeat { .. })
}

fn live(text: &str, seed: u64) -> u64 {
    let definition = definition(text);
    let mut random = Random(Entropy::new(seed.into(), 0));
    let mut time = 1_000;
    let mut both = Both {
        live: Execution::default(),
        told: Execution::default(),
        index: PayloadIndex::default(),
        known: HashMap::new(),
        seq: 0,
    };
    let mut trigger = start(&mut random);
    for step in 0..60 {
        let claimant = Claimant { message: format!("m{}", step / 7).into(), delivery: 1 };
        time += random.below(3_000) as i64;
        let now = Now { time: Timestamp(time), seed: random.0.bits_128() };
        let decision = apply(&definition, &both.live, &trigger, now);
        assert_eq!(decision, apply(&definition, &both.live, &trigger, now), "one decision, twice asked");
        both.commit(decision);
        if !is_repeatable(&trigger) {
            let again = apply(&definition, &both.live, &trigger, now);
            assert!(again.records.is_empty(), "{trigger:?} twice: {:?}", again.records);
        }
        if random.below(4) > 0 && both.live.is_ready() {
            both.commit(advance(&definition, &both.live, &claimant, now));
        }
        if both.live.status().is_terminal() {
            break;
        }
        trigger = happening(&both.live, &mut random, &claimant);
    }
    both.seq
}

#[test]
fn the_journal_is_the_execution() {
    for (at, text) in DEFINITIONS.iter().enumerate() {
        let pages: u64 = (0..150).map(|seed| live(text, seed)).sum();
        assert!(pages > 500, "definition {at} hardly lived: {pages} pages");
    }
}

fn place(seq: u64) -> PagePlace<'static> {
    PagePlace { run: RunId(7), seq: Seq(seq), writer: &Writer::Request(7) }
}
