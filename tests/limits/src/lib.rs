//! The worst definitions and inputs that we know of.
//!
//! [`run`] takes one through the pure interpreter, as a driver would, and says what became of it and how much was decided at
//! once. `attacks` has them, by name; the program `attack` runs each in a process of its own and says what it cost in time
//! and memory; `tests/table.rs` holds each limit of `LIMITS.md` against its error.
//!
//! Nothing here knows a port, a socket or a clock that decisions see: time is virtual, and a call is answered at once.

pub mod attacks;

use std::sync::Arc;
use std::time::{Duration, Instant};

use stepwell_asl::{Format, MachineType, parse};
use stepwell_expr::Payload;
use stepwell_interpreter::{
    Claimant, Decision, Effect, Execution, ExecutionInfo, Now, Outcome, Status, TimerPurpose, Timestamp,
    Trigger, advance_while, apply,
};

/// A definition, its input, and what its calls answer.
#[derive(Debug, Clone)]
pub struct Attack {
    /// What it is called.
    pub name: String,
    /// The definition.
    pub definition: String,
    /// The execution's input.
    pub input: String,
    /// What each call answers.
    pub answer: String,
    /// Whether the machine is an Express one.
    pub express: bool,
}

/// What became of an execution.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// `SUCCEEDED`, `FAILED` …; `INVALID` where the definition was refused, and `CUT OFF` after [`DECISIONS_MAX`] decisions.
    pub status: String,
    /// The error's name.
    pub error: String,
    /// The cause; where the definition was refused, its diagnostics.
    pub cause: String,
    /// The output's text.
    pub output: String,
    /// Decisions made.
    pub decisions: u64,
    /// Events written.
    pub events: u64,
    /// Most records of one decision.
    pub records_max: usize,
    /// How long reading the definition took.
    pub parsing: Duration,
    /// The longest decision, in time on the CPU: others may use the machine meanwhile.
    pub longest: Duration,
    /// All of it.
    pub whole: Duration,
}

/// Decisions after which an execution is left to itself.
pub const DECISIONS_MAX: u64 = 20_000;

/// How long one decision goes on to the next state, as the engine has it.
const DECISION_MAX: Duration = Duration::from_millis(100);

/// Runs `attack` until it has ended, nothing can happen any more, [`DECISIONS_MAX`] decisions are made, or `limit` is over.
#[allow(clippy::disallowed_methods, reason = "measures; no decision sees this clock")]
pub fn run(attack: &Attack, limit: Duration) -> Report {
    let mut report = Report::default();
    let began = Instant::now();
    let machine_type = if attack.express { MachineType::Express } else { MachineType::Standard };
    let parsed = parse(&attack.definition, Format::Json, machine_type);
    report.parsing = began.elapsed();
    let Some(definition) = parsed.definition else {
        let said: Vec<String> = parsed.diagnostics.iter().take(3).map(|d| d.message.to_string()).collect();
        (report.status, report.cause, report.whole) = ("INVALID".into(), said.join("; "), began.elapsed());
        return report;
    };
    let input = match Payload::parse(&*attack.input) {
        Ok(input) => input,
        Err(error) => {
            (report.status, report.cause) = ("BAD INPUT".into(), error.to_string());
            return report;
        }
    };
    let answer = Payload::parse(&*attack.answer).unwrap_or_default();
    let claimant = Claimant { message: "m".into(), delivery: 1 };
    let mut now = Now { time: Timestamp(1_800_000_000_000), seed: 7 };
    let mut execution = Execution::default();
    let info = Arc::new(info(attack.express, now.time));
    let mut triggers = vec![Trigger::Start { info, input }];
    while !execution.status().is_terminal() && report.decisions < DECISIONS_MAX && began.elapsed() < limit {
        let mut effects = vec![];
        let mut take = |decide: &dyn Fn(&Execution, Now) -> Decision, execution: &mut Execution, seed| {
            let began = on_cpu();
            let decision = decide(execution, Now { seed, ..now });
            report.longest = report.longest.max(on_cpu().saturating_sub(began));
            report.decisions += 1;
            report.records_max = report.records_max.max(decision.records.len());
            effects.extend(decision.effects);
            *execution = decision.execution;
        };
        for trigger in std::mem::take(&mut triggers) {
            take(&|e, now| apply(&definition, e, &trigger, now), &mut execution, now.seed);
            now.seed += 1;
        }
        if execution.is_ready() {
            let began = Instant::now();
            let advance = |e: &Execution, now| {
                let mut goes_on = || began.elapsed() < DECISION_MAX;
                advance_while(&definition, e, &claimant, now, &[], &mut goes_on)
            };
            take(&advance, &mut execution, now.seed);
            now.seed += 1;
        }
        let mut due = None;
        for effect in effects {
            match effect {
                Effect::CallTask(call) => triggers.push(Trigger::TaskResult {
                    attempt: call.attempt,
                    nonce: call.nonce,
                    outcome: Outcome::Succeeded(answer.clone()),
                }),
                Effect::StartMapRun { attempt } => triggers
                    .push(Trigger::ChildFinished { attempt, outcome: Outcome::Succeeded(answer.clone()) }),
                _ => {}
            }
        }
        if triggers.is_empty() && !execution.is_ready() {
            due = execution
                .timers()
                .filter(|(_, timer)| timer.purpose != TimerPurpose::Execution)
                .min_by_key(|(_, timer)| timer.due)
                .map(|(id, timer)| (id, timer.due));
            if due.is_none() {
                break;
            }
        }
        if let Some((timer, due)) = due {
            now.time = Timestamp(now.time.0.max(due.0));
            triggers.push(Trigger::TimerFired { timer });
        }
    }
    report.whole = began.elapsed();
    report.events = execution.last_event().0;
    report.status = execution.status().name().to_owned();
    match execution.status() {
        Status::Failed { error, .. } => {
            report.error = error.error.as_deref().unwrap_or_default().to_owned();
            report.cause = error.cause.as_deref().unwrap_or_default().to_owned();
        }
        Status::Succeeded { output, .. } => report.output = output.text().to_string(),
        Status::Running if report.decisions >= DECISIONS_MAX || report.whole >= limit => {
            report.status = "CUT OFF".into()
        }
        _ => {}
    }
    report
}

/// How long this thread has been on a CPU; where the system does not say, how long it has lived.
#[allow(clippy::disallowed_methods, reason = "measures; no decision sees this clock")]
fn on_cpu() -> Duration {
    static BORN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    nanos.map_or_else(|| BORN.elapsed(), Duration::from_nanos)
}

/// What is fixed at the start of each execution here.
pub fn info(express: bool, started_at: Timestamp) -> ExecutionInfo {
    ExecutionInfo {
        execution_arn: "arn:aws:states:us-east-1:123456789012:execution:m:e".into(),
        name: "e".into(),
        state_machine_arn: "arn:aws:states:us-east-1:123456789012:stateMachine:m".into(),
        state_machine_name: "m".into(),
        role_arn: "arn:aws:iam::123456789012:role/r".into(),
        version_arn: None,
        alias_arn: None,
        started_at,
        express,
    }
}
