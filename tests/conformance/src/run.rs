//! Drives one execution through its script.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use stepwell_asl::{Definition, StateKind};
use stepwell_engine::meta::{PayloadPlace, RunId};
use stepwell_engine::port::{Seq, Writer};
use stepwell_engine::stored::{Packing, PagePlace, PayloadIndex, decode_page, encode_packed};
use stepwell_expr::Payload;
use stepwell_interpreter::{
    AttemptId, Claimant, Decision, Effect, Event, Execution, ExecutionInfo, Now, Outcome, Phase, Record,
    Resource, TimerId, TimerPurpose, Timestamp, Trigger, advance, advance_without, apply, child_inputs,
    evolve,
};
use stepwell_test_support::execution;

use crate::script::{Step, TaskEvent, TaskName};

/// When every execution starts: 2026-01-01T00:00:00Z.
pub(crate) const STARTED_AT: Timestamp = Timestamp(1_767_225_600_000);

/// The ARN of every execution.
pub(crate) const EXECUTION_ARN: &str = "arn:aws:states:us-east-1:123456789012:execution:Machine:run";

/// The only activity that does not exist.
pub(crate) const GONE: &str = "arn:aws:states:us-east-1:123456789012:activity:gone";

/// How many of the latest triggers are tried again after each decision.
const VOID_MAX: usize = 16;

/// One execution, driven through a script in virtual time.
///
/// It stands in for the engine: it makes decisions, keeps their records, and remembers the calls and timers they ask
/// for. It also gives a call up at its `TimeoutSeconds`, as a driver does. After each decision it holds that
///
/// - the same decision made again is the same;
/// - all records folded from the beginning give the execution that the decision gave;
/// - the trigger that was just taken in means nothing a second time, nor do those before it;
/// - the page that is stored of it reads as the same records, however it is packed;
/// - each event's `previousEventId` is that of an event before it, and ids have no gaps;
/// - every open timer was asked for, as was the call of every attempt that is answered, and the offer of every activity's;
/// - what was cancelled is gone; and once the execution has ended, nothing is open.
pub struct Run<'a> {
    definition: &'a Definition,
    execution: Execution,
    records: Vec<Record>,
    time: Timestamp,
    decisions: u64,
    drivers: u64,
    attempts: BTreeMap<AttemptId, Attempt>,
    /// The Map state that waits or waited for each Map Run.
    map_runs: BTreeMap<AttemptId, Arc<str>>,
    timers_asked: BTreeMap<TimerId, Timestamp>,
    /// Triggers that have had their effect, of this epoch.
    void: Vec<Trigger>,
    stored: Stored,
}

/// The pages so far, as far as later ones refer to them.
#[derive(Default)]
struct Stored {
    pages: u64,
    index: PayloadIndex,
    payloads: HashMap<PayloadPlace, Payload>,
}

/// What is remembered of an attempt.
struct Attempt {
    state: Arc<str>,
    index: Option<u32>,
    nonce: u128,
    outlives_call: bool,
    /// Calls that were asked for it: one by each driver that claimed it.
    calls: u64,
    /// Whether an activity's workers were offered it.
    is_offered: bool,
    /// When its driver gives the call up.
    deadline: Option<Timestamp>,
}

/// Something that is due.
enum Due {
    Timer(TimerId),
    Deadline(AttemptId),
}

impl<'a> Run<'a> {
    /// Starts an execution, and lets it do what is ready.
    ///
    /// # Errors
    ///
    /// What does not hold.
    pub fn start(definition: &'a Definition, input: Payload) -> Result<Self> {
        let info = ExecutionInfo { started_at: STARTED_AT, ..execution("Machine", "run") };
        let mut run = Run {
            definition,
            execution: Execution::default(),
            records: vec![],
            time: STARTED_AT,
            decisions: 0,
            drivers: 1,
            attempts: BTreeMap::new(),
            map_runs: BTreeMap::new(),
            timers_asked: BTreeMap::new(),
            void: vec![],
            stored: Stored::default(),
        };
        run.tell(&Trigger::Start { info: Arc::new(info), input })?;
        Ok(run)
    }

    /// The records so far.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The execution as it stands.
    pub fn execution(&self) -> &Execution {
        &self.execution
    }

    /// The texts of all task tokens so far.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = String> + '_ {
        self.attempts
            .iter()
            .map(|(id, attempt)| stepwell_interpreter::token::encode(EXECUTION_ARN, *id, attempt.nonce))
    }

    /// Takes one step of a script.
    pub(crate) fn step(&mut self, step: &Step) -> Result<()> {
        ensure!(
            !self.has_ended()
                || matches!(step, Step::Task { late: true, .. } | Step::After(_) | Step::Redrive),
            "the execution has ended"
        );
        match step {
            Step::Task { task, late: false, event } => self.task(task, event),
            Step::Task { task, late: true, event } => self.late(task, event),
            Step::After(milliseconds) => {
                let until = Timestamp(self.time.0 + milliseconds);
                while let Some((due, what)) = self.next_due().filter(|(due, _)| *due <= until) {
                    self.fire(due, what)?;
                }
                self.time = until;
                Ok(())
            }
            Step::Timer => {
                let (due, what) = self.next_due().context("no timer is set")?;
                self.fire(due, what)
            }
            Step::Stop(error) => self.tell(&Trigger::Stop(error.clone())),
            Step::Redrive => {
                let before = self.records.len();
                let count = self.execution.redrive_count() + 1;
                self.tell(&Trigger::Redrive { count, request: self.decisions, token: None })?;
                ensure!(self.records.len() > before, "the execution cannot be redriven");
                Ok(())
            }
            Step::DriverLost { released } => {
                let lost = self.claimant();
                self.drivers += 1;
                let callable_again =
                    if *released { self.execution.claims(&lost).collect() } else { Vec::new() };
                self.tell(&Trigger::DriverLost { claimant: lost, callable_again })
            }
        }
    }

    /// Holds that an execution that has ended has nothing open.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.has_ended() {
            ensure!(self.execution.timers().next().is_none(), "the execution has ended with a timer set");
            ensure!(self.execution.calls().next().is_none(), "the execution has ended with a call open");
            ensure!(
                self.execution.branches().next().is_none(),
                "the execution has ended with a branch alive"
            );
        }
        Ok(())
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.execution.status().is_terminal()
    }

    /// Whether something is due at some time.
    pub(crate) fn awaits_time(&self) -> bool {
        self.next_due().is_some()
    }

    fn claimant(&self) -> Claimant {
        Claimant { message: "message".into(), delivery: self.drivers }
    }

    fn task(&mut self, name: &TaskName, event: &TaskEvent) -> Result<()> {
        let mut map_runs = self.execution.map_runs().map(|(_, map_run)| map_run.attempt);
        let map_run = map_runs.find(|attempt| *self.map_runs[attempt] == *name.state);
        drop(map_runs);
        if let Some(attempt) = map_run {
            return self.map_run(attempt, event);
        }
        let open: Vec<_> = self.execution.calls().map(|(_, call)| call.attempt).collect();
        let attempt = open.into_iter().find(|attempt| self.attempts[attempt].is(name));
        let attempt = attempt.with_context(|| format!("no task of {} is open", name.state))?;
        self.hear(attempt, event)
    }

    fn map_run(&mut self, attempt: AttemptId, event: &TaskEvent) -> Result<()> {
        let outcome = match event {
            TaskEvent::Starts(inputs) => return self.starts(attempt, inputs),
            TaskEvent::Succeeds(output) => Outcome::Succeeded(output.clone()),
            TaskEvent::Fails(error) => Outcome::Failed(error.clone()),
            _ => bail!("a map run starts executions, and succeeds or fails"),
        };
        self.map_run_ended(attempt, outcome)
    }

    /// Holds that the executions of a Map Run are started with `inputs`, however many of them are asked for at once.
    fn starts(&self, attempt: AttemptId, inputs: &Payload) -> Result<()> {
        let (mut found, mut at) = (vec![], 0);
        loop {
            let next = (at, 1 + found.len());
            let made = child_inputs(self.definition, &self.execution, attempt, next, self.now());
            let made = made.map_err(|error| anyhow::anyhow!("the items cannot be made: {error:?}"))?;
            if made.is_empty() {
                break;
            }
            for child in made {
                at += child.items;
                found.push(child.input.text().to_string());
            }
        }
        let found = format!("[{}]", found.join(","));
        ensure!(found == **inputs.text(), "the map run starts {found}");
        Ok(())
    }

    /// The Map Run of an open attempt has ended.
    pub(crate) fn map_run_ended(&mut self, attempt: AttemptId, outcome: Outcome) -> Result<()> {
        let before = self.records.len();
        self.tell(&Trigger::ChildFinished { attempt, outcome })?;
        ensure!(self.records.len() > before, "the execution takes no notice of it");
        Ok(())
    }

    /// Whether the attempt's job is under way.
    pub(crate) fn awaits_child(&self, attempt: AttemptId) -> bool {
        self.execution.awaits_child(attempt)
    }

    /// The call of an open attempt was accepted, and goes on without its driver for at most this long.
    pub(crate) fn accepted(&mut self, attempt: AttemptId, seconds: u64) -> Result<()> {
        self.tell(&Trigger::TaskAccepted { attempt, until: self.time.plus_seconds(seconds) })
    }

    /// Holds that what is said of a closed attempt, or under a nonce that is not its own, means nothing.
    pub(crate) fn hear_nonsense(&self, outcome: &Outcome) -> Result<()> {
        for (id, known) in &self.attempts {
            let nonce = known.nonce ^ u128::from(self.execution.call(*id).is_some());
            let said = [
                Trigger::TaskResult { attempt: *id, nonce, outcome: outcome.clone() },
                Trigger::TaskHeartbeat { attempt: *id, nonce },
            ];
            said.iter().try_for_each(|trigger| self.means_nothing_again(trigger))?;
        }
        Ok(())
    }

    /// An open attempt hears something.
    pub(crate) fn hear(&mut self, attempt: AttemptId, event: &TaskEvent) -> Result<()> {
        if matches!(event, TaskEvent::Returns(_)) {
            let known = &self.attempts[&attempt];
            ensure!(known.calls > 0, "nobody was asked to call {}", known.state);
        }
        let trigger = self.trigger(attempt, event);
        let before = self.records.len();
        self.tell(&trigger)?;
        ensure!(self.records.len() > before, "the execution takes no notice of it");
        Ok(())
    }

    fn late(&mut self, name: &TaskName, event: &TaskEvent) -> Result<()> {
        let map_run = self.map_runs.iter().rev().find(|(_, state)| ***state == *name.state);
        if let (Some((attempt, _)), TaskEvent::Succeeds(output)) = (map_run, event) {
            let outcome = Outcome::Succeeded(output.clone());
            return self.means_nothing_again(&Trigger::ChildFinished { attempt: *attempt, outcome });
        }
        let is_closed = |attempt: &AttemptId| self.execution.call(*attempt).is_none();
        let attempt = self
            .attempts
            .iter()
            .rev()
            .find(|(id, attempt)| attempt.is(name) && is_closed(id))
            .map(|(id, _)| *id);
        let attempt = attempt.with_context(|| format!("no attempt of {} is closed", name.state))?;
        let trigger = self.trigger(attempt, event);
        let decision = apply(self.definition, &self.execution, &trigger, self.now());
        ensure!(decision.records.is_empty(), "the execution takes notice of it: {:?}", decision.records);
        Ok(())
    }

    fn trigger(&self, attempt: AttemptId, event: &TaskEvent) -> Trigger {
        let known = &self.attempts[&attempt];
        let nonce = known.nonce;
        match event {
            TaskEvent::Returns(output) if known.outlives_call => {
                Trigger::TaskSubmitted { attempt, output: output.clone() }
            }
            TaskEvent::Returns(output) | TaskEvent::Succeeds(output) => {
                Trigger::TaskResult { attempt, nonce, outcome: Outcome::Succeeded(output.clone()) }
            }
            TaskEvent::Fails(error) => {
                Trigger::TaskResult { attempt, nonce, outcome: Outcome::Failed(error.clone()) }
            }
            // Map Runs alone start executions: that names no attempt of a task.
            TaskEvent::Starts(_) | TaskEvent::Heartbeat => Trigger::TaskHeartbeat { attempt, nonce },
            TaskEvent::Taken(worker) => {
                Trigger::ActivityStarted { attempt, worker: Some(worker.as_str().into()) }
            }
        }
    }

    /// What is due next, and when.
    fn next_due(&self) -> Option<(Timestamp, Due)> {
        let timers = self.execution.timers().map(|(id, timer)| (timer.due, id.0, Due::Timer(id)));
        let timed = |attempt: AttemptId| {
            self.execution.timers().any(|(_, timer)| timer.purpose == TimerPurpose::Timeout(attempt))
        };
        let deadlines = self.execution.calls().filter_map(|(_, call)| {
            let due = self.attempts.get(&call.attempt)?.deadline?;
            (!timed(call.attempt)).then_some((due, call.attempt.0, Due::Deadline(call.attempt)))
        });
        timers
            .chain(deadlines)
            .min_by_key(|(due, number, _)| (*due, *number))
            .map(|(due, _, what)| (due, what))
    }

    fn fire(&mut self, due: Timestamp, what: Due) -> Result<()> {
        self.time = self.time.max(due);
        match what {
            Due::Timer(timer) => self.tell(&Trigger::TimerFired { timer }),
            Due::Deadline(attempt) => {
                let nonce = self.attempts[&attempt].nonce;
                self.tell(&Trigger::TaskResult { attempt, nonce, outcome: Outcome::TimedOut })
            }
        }
    }

    /// Takes a trigger in, and does what is ready then.
    pub(crate) fn tell(&mut self, trigger: &Trigger) -> Result<()> {
        let definition = self.definition;
        self.decide(|execution, now| apply(definition, execution, trigger, now))?;
        if matches!(trigger, Trigger::Redrive { .. }) {
            // Messages bear their epoch: what is of an earlier one is told to nobody any more.
            self.void.clear();
        }
        // A heartbeat is a sign of life whenever it comes.
        if !matches!(trigger, Trigger::TaskHeartbeat { .. }) {
            self.void.push(trigger.clone());
        }
        self.all_mean_nothing_again()?;
        self.go_on()?;
        self.all_mean_nothing_again()
    }

    fn all_mean_nothing_again(&self) -> Result<()> {
        self.void.iter().rev().take(VOID_MAX).try_for_each(|trigger| self.means_nothing_again(trigger))
    }

    fn means_nothing_again(&self, trigger: &Trigger) -> Result<()> {
        let again = apply(self.definition, &self.execution, trigger, self.now());
        ensure!(again.records.is_empty(), "{trigger:?} means something again: {:?}", again.records);
        Ok(())
    }

    fn go_on(&mut self) -> Result<()> {
        let (definition, claimant) = (self.definition, self.claimant());
        while self.execution.is_ready() {
            let before = self.records.len();
            let gone = [Arc::from(GONE)];
            self.decide(|execution, now| advance_without(definition, execution, &claimant, now, &gone))?;
            ensure!(self.records.len() > before, "the execution is ready, and nothing is done");
        }
        let idle = advance(definition, &self.execution, &claimant, self.now());
        ensure!(idle.records.is_empty(), "nothing is ready, and something is done: {:?}", idle.records);
        Ok(())
    }

    fn now(&self) -> Now {
        Now { time: self.time, seed: u128::from(self.decisions) }
    }

    fn decide(&mut self, decide: impl Fn(&Execution, Now) -> Decision) -> Result<()> {
        self.decisions += 1;
        let decision = decide(&self.execution, self.now());
        ensure!(decision == decide(&self.execution, self.now()), "decided twice, it is decided otherwise");
        if decision.records.is_empty() {
            ensure!(decision.execution == self.execution, "nothing is recorded, and something changed");
            ensure!(decision.effects.is_empty(), "nothing is recorded, and something is to be done");
            return Ok(());
        }
        self.stored.keep(&decision.records)?;
        self.records.extend(decision.records);
        let mut told = Execution::default();
        self.records.iter().for_each(|record| evolve(&mut told, record));
        ensure!(told == decision.execution, "the records tell of another execution");
        self.execution = decision.execution;
        self.chained()?;
        self.perform(&decision.effects)
    }

    fn chained(&self) -> Result<()> {
        let events = || {
            self.records.iter().filter_map(|record| match record {
                Record::Event(event) => Some(event),
                _ => None,
            })
        };
        for (id, Event { previous, .. }) in (1..).zip(events()) {
            ensure!(previous.0 < id, "event {id} has the previousEventId {}", previous.0);
        }
        let (last, count) = (self.execution.last_event().0, events().count() as u64);
        ensure!(last == count, "the last event is number {last} of {count}");
        Ok(())
    }

    fn perform(&mut self, effects: &[Effect]) -> Result<()> {
        self.remember_attempts()?;
        for effect in effects {
            match effect {
                Effect::CallTask(call) => {
                    let deadline = call.timeout_seconds.map(|seconds| self.time.plus_seconds(seconds));
                    // What was begun and aborted in one decision is called all the same.
                    let Some(attempt) = self.attempts.get_mut(&call.attempt) else { continue };
                    attempt.calls += 1;
                    attempt.deadline = deadline;
                    ensure!(attempt.calls <= self.drivers, "a call is made twice by one driver");
                }
                Effect::OfferTask { attempt, .. } => {
                    let Some(attempt) = self.attempts.get_mut(attempt) else { continue };
                    attempt.is_offered = true;
                }
                Effect::StartMapRun { attempt } => {
                    // What was begun and given up in one decision is begun by nobody.
                    let is_left = self.has_ended() || !self.execution.abandoned_map_runs().is_empty();
                    let is_open = self.execution.map_run(*attempt).is_some();
                    ensure!(is_open || is_left, "a map run is begun that nobody waits for");
                }
                Effect::SetTimer { timer, due } => {
                    self.timers_asked.insert(*timer, *due);
                }
                Effect::CancelTimer { timer } => {
                    let gone = self.execution.timers().all(|(id, _)| id != *timer);
                    ensure!(gone, "a timer is cancelled and still set");
                }
                Effect::CancelTask { attempt, .. } => {
                    ensure!(self.execution.call(*attempt).is_none(), "a task is cancelled and still open");
                }
            }
        }
        for (_, call) in self.execution.calls().filter(|(_, call)| call.untaken_activity().is_some()) {
            ensure!(self.attempts[&call.attempt].is_offered, "a task waits for a worker that nobody offered");
        }
        for (id, timer) in self.execution.timers() {
            ensure!(
                self.timers_asked.get(&id) == Some(&timer.due),
                "a timer is set that nobody was asked for"
            );
        }
        Ok(())
    }

    fn remember_attempts(&mut self) -> Result<()> {
        for (_, branch) in self.execution.branches() {
            if let (Some(map_run), Phase::In { state, .. }) = (branch.map_run(), &branch.phase) {
                self.map_runs.insert(map_run.attempt, state.clone());
            }
            let (Some(call), Phase::In { state, .. }) = (branch.call(), &branch.phase) else { continue };
            let Some(StateKind::Task(task)) = self.definition.state(state).map(|state| &state.kind) else {
                bail!("a call is open in the state {state}, which is no Task");
            };
            let resource = Resource::parse(&task.resource).context("a call of no resource is open")?;
            self.attempts.entry(call.attempt).or_insert_with(|| Attempt {
                state: state.clone(),
                index: branch.parent.map(|(_, index)| index),
                nonce: call.nonce,
                outlives_call: resource.outlives_call(),
                calls: 0,
                is_offered: false,
                deadline: None,
            });
        }
        Ok(())
    }
}

impl Stored {
    /// Stores the records of a decision as a page, and holds that they are read as they were.
    fn keep(&mut self, records: &[Record]) -> Result<()> {
        self.pages += 1;
        let place = PagePlace { run: RunId(7), seq: Seq(self.pages), writer: &Writer::Request(self.pages) };
        for packing in [Packing::Small, Packing::Quick] {
            let page = encode_packed(place, STARTED_AT, records, &self.index, packing);
            let read = decode_page(place, &page.bytes, |place| self.payloads.get(&place).cloned())
                .with_context(|| format!("page {} cannot be read, packed as {packing:?}", self.pages))?;
            ensure!(read.records == records, "page {} has other records when it is read", self.pages);
            if packing == Packing::Quick {
                page.stored.into_iter().for_each(|(payload, place)| self.index.add(&payload, place));
                self.payloads.extend(read.stored.into_iter().map(|(payload, place)| (place, payload)));
            }
        }
        Ok(())
    }
}

impl Attempt {
    fn is(&self, name: &TaskName) -> bool {
        *self.state == *name.state && (name.index.is_none() || name.index == self.index)
    }
}
