//! Drawn machines: whatever goes wrong, each execution ends as where nothing does.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stepwell_engine::message::Callback;
use stepwell_engine::port::{StateMachine, TaskAnswer, TaskCall};
use stepwell_expr::Payload;
use stepwell_interpreter::{ErrorOutput, Outcome, Pattern, Resource, Status};
use stepwell_test_support::definitions::{ACTIVITY, Wanted};
use stepwell_test_support::{Answer, Choices, Random, Rates, activity, machine};

use super::{Plan, Seen, sim};
use crate::steady::{CHILD, TELLER, TELLER_DEFINITION, steady};
use crate::{Broken, Sim};

/// What child executions are started with.
const CHILD_INPUT: &str = r#"{"n":1,"items":[0,1],"text":"a text"}"#;

/// What is run: machines with an input for each, and those that they start.
struct Cast {
    mains: Vec<(Arc<StateMachine>, Payload)>,
    child: Arc<StateMachine>,
    teller: Arc<StateMachine>,
    /// Whether the end depends on nothing but the definitions and what tasks answer.
    is_steady: bool,
}

impl Cast {
    /// The machines of a seed. Where executions are stopped anyhow, they may also time out and fail.
    fn draw(seed: u64, plan: Plan) -> Self {
        let is_steady = !plan.stop;
        let wanted =
            Wanted { errors: plan.stop, timeouts: plan.stop, depth_max: 2, states_max: 4, ..Wanted::ALL };
        let small = Wanted { jobs: false, map_runs: false, depth_max: 1, states_max: 3, ..wanted };
        let draw = |name: &str, wanted: Wanted, seed: u64| {
            let begins = name != "Child";
            let drawn = wanted.draw(&mut Choices::seeded(seed));
            let definition = if is_steady { steady(&drawn.definition, begins) } else { drawn.definition };
            let input = Payload::parse(drawn.input).expect("an input is JSON");
            (Arc::new(machine(name, &definition)), input)
        };
        let mains = (0..2).map(|at| draw(&format!("Drawn{at}"), wanted, 2 * seed + at)).collect();
        let (child, _) = draw("Child", small, seed);
        let teller = Arc::new(machine("Teller", &steady(TELLER_DEFINITION, false)));
        Cast { mains, child, teller, is_steady }
    }
}

/// How an execution ended: its status, the text of its output, and why it failed.
type End = (&'static str, String, ErrorOutput);

/// What came of a cast.
struct Played {
    seen: Seen,
    ends: BTreeMap<Arc<str>, End>,
    /// Whether an Express execution's five minutes were over before its end: where things go wrong they are sooner.
    is_late: bool,
}

pub(super) fn simulate(seed: u64, plan: Plan) -> Result<Seen, Broken> {
    let cast = Cast::draw(seed, plan);
    if !cast.is_steady {
        return play(seed, plan, &cast).map(|played| played.seen);
    }
    let calm =
        Plan { rates: Rates::NONE, redeliver: 0, crash_process: 0, stop: false, redrive: 0, race: 0, ..plan };
    let expected = play(seed, calm, &cast)?.ends;
    let Played { mut seen, ends, is_late } = play(seed, plan, &cast)?;
    for (arn, end) in &expected {
        if ends.get(arn) == Some(end) {
            seen.compared += 1;
            continue;
        }
        // Branches may fail each in its own way, and which comes first is nobody's to say.
        let is_race = || {
            (1..40).any(|other| {
                let slow = Plan { rates: super::SLOW, ..calm };
                play(seed ^ (other << 40), slow, &cast).is_ok_and(|played| played.ends.get(arn) != Some(end))
            })
        };
        if !is_late && !is_race() {
            let found = ends.get(arn);
            return Err(Broken(format!("{arn} ended as {found:?}; where nothing goes wrong, as {end:?}")));
        }
        seen.raced += 1;
    }
    Ok(seen)
}

/// Runs the cast to its end.
fn play(seed: u64, plan: Plan, cast: &Cast) -> Result<Played, Broken> {
    let mut random = Random::new(seed ^ 0xD2A3);
    let mut sim = sim(seed, plan);
    let work = Outside { accepted: script(&sim, seed, plan, cast), plan, cast };
    sim.world.activities.put(activity(ACTIVITY.rsplit(':').next().unwrap_or_default()));
    for machine in [&cast.child, &cast.teller] {
        sim.world.registry.put(machine.clone());
    }
    for (machine, input) in &cast.mains {
        sim.insist(machine, "e", input, None);
    }
    for _ in 0..3_000 {
        let goes_on = sim.step()?;
        if !work.serve(&mut sim, &mut random, true) && !goes_on {
            break;
        }
        if random.chance(plan.crash_process) {
            sim.crash_process();
        }
        work.disturb(&mut sim, &mut random);
    }
    sim.calm();
    while sim.step()? | work.serve(&mut sim, &mut random, false) {}
    sim.run()?;
    let (mut ends, mut is_late) = (BTreeMap::new(), false);
    for meta in sim.world.journal.metas() {
        is_late |= meta.info.express && meta.status() == "TIMED_OUT";
        let end = match sim.folded(&meta)?.status() {
            Status::New | Status::Running if cast.is_steady => {
                return Err(Broken(format!("5: {} has not ended", meta.execution_arn)));
            }
            Status::New | Status::Running => continue,
            Status::Succeeded { output, .. } => {
                ("SUCCEEDED", of_no_event(output.text()), ErrorOutput::default())
            }
            Status::Failed { error, .. } => {
                let cause = error.cause.as_deref().map(|cause| of_no_event(cause).into());
                ("FAILED", String::new(), ErrorOutput { cause, ..error.clone() })
            }
            Status::Aborted { error, .. } => ("ABORTED", String::new(), error.clone()),
            Status::TimedOut { .. } => ("TIMED_OUT", String::new(), ErrorOutput::default()),
        };
        if meta.execution_arn.contains(":execution:Drawn") && meta.parent.is_none() {
            ends.insert(meta.execution_arn.clone(), end);
        }
    }
    Ok(Played { seen: Seen::of(&sim), ends, is_late })
}

/// `text` without the ids of events that causes name: how many came before depends on what was tried again.
fn of_no_event(text: &str) -> String {
    let mut parts = text.split("event id #");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start_matches(|digit: char| digit.is_ascii_digit()))
}

/// The calls that go on by themselves, and how each ends.
type Accepted = Arc<Mutex<Vec<(Arc<str>, Callback)>>>;

/// Tasks answer by what they are asked, and take as long as a seed says.
fn script(sim: &Sim, seed: u64, plan: Plan, cast: &Cast) -> Accepted {
    let accepted = Accepted::default();
    let (mut random, kept) = (Random::new(seed ^ 0x5C21), accepted.clone());
    // A Map Run that fails and a task that fails are two ways to fail.
    let may_fail = !cast.mains.iter().any(|(machine, _)| machine.definition.contains("DISTRIBUTED"));
    sim.world.tasks.script(move |call| {
        let after = Duration::from_millis([1, 30, 400, 1500, 70_000][random.below(5)]);
        if call.call.resource.outlives_call() {
            return Answer::submit(after.min(Duration::from_secs(2)));
        }
        let outcome = outcome(call, may_fail);
        if call.wait_max.is_some_and(|wait_max| after > wait_max) {
            let id: Arc<str> = format!("{:x}", random.bits()).into();
            let told = match outcome {
                Outcome::Succeeded(output) => Callback::Success(output),
                Outcome::Failed(error) => Callback::Failure(error),
                Outcome::TimedOut => Callback::Failure(ErrorOutput::default()),
            };
            kept.lock().unwrap_or_else(PoisonError::into_inner).push((id.clone(), told));
            return Answer::accept(&id, Duration::from_secs(1_000), after.min(Duration::from_secs(2)));
        }
        let panics = plan.rates.task > 0 && random.chance(10);
        Answer { after, with: (!panics).then_some(TaskAnswer::Ended(outcome)) }
    });
    accepted
}

/// What a task answers, which depends on what it is asked alone.
fn outcome(call: &TaskCall, may_fail: bool) -> Outcome {
    let mut hasher = DefaultHasher::new();
    call.call.parameters.text().hash(&mut hasher);
    let hash = hasher.finish() % 100;
    match (&*call.call.resource, hash) {
        (Resource::Service { service, .. }, _) if service.contains("states") || service.contains("sfn") => {
            Outcome::Succeeded(ok("\"started\""))
        }
        (_, 0..10) if may_fail => Outcome::Failed(ErrorOutput::new("Busy", "as it was asked")),
        _ => Outcome::Succeeded(ok(&hash.to_string())),
    }
}

fn ok(what: &str) -> Payload {
    Payload::parse(format!(r#"{{"ok":{what}}}"#)).expect("it is JSON")
}

/// What tasks need from outside.
struct Outside<'a> {
    accepted: Accepted,
    plan: Plan,
    cast: &'a Cast,
}

impl Outside<'_> {
    /// Starts executions, calls back, works on activities' tasks; `false` where nothing was to do. Who `may_fail` sometimes falls
    /// silent.
    fn serve(&self, sim: &mut Sim, random: &mut Random, may_fail: bool) -> bool {
        let may_fail = may_fail && self.plan.rates.task > 0;
        let asked = sim.world.tasks.take_asked();
        let told = std::mem::take(&mut *self.accepted.lock().unwrap_or_else(PoisonError::into_inner));
        let mut busy = !asked.is_empty() || !told.is_empty();
        asked.iter().for_each(|call| self.answer(sim, random, call, may_fail));
        for (id, result) in told {
            let after = Duration::from_millis([0, 10, 1_000, 90_000][random.below(4)]);
            if !(may_fail && random.chance(50)) {
                sim.tell(&id, &result, after);
            }
        }
        if !sim.world.activities.tasks().is_empty() && sim.workers() < 2 {
            busy = true;
            let result = (!(may_fail && random.chance(200))).then(|| Callback::Success(ok("\"dug\"")));
            sim.poll(ACTIVITY, "worker", result);
        }
        busy
    }

    fn answer(&self, sim: &mut Sim, random: &mut Random, call: &TaskCall, may_fail: bool) {
        let Resource::Service { service, pattern, .. } = &*call.call.resource else { return };
        let parameters = call.call.parameters.clone();
        let member = |name: &str| parameters.value().get(name).cloned();
        if &**service == "states" {
            let is_told = *pattern == Pattern::WaitForTaskToken;
            let machine = if is_told { &self.cast.teller } else { &self.cast.child };
            debug_assert!([CHILD, TELLER].contains(&&*machine.arn));
            let input = match member("Input").filter(|_| is_told) {
                Some(input) => Payload::of(input),
                None => Payload::parse(CHILD_INPUT).expect("it is JSON"),
            };
            let mut hasher = DefaultHasher::new();
            call.info.execution_arn.hash(&mut hasher);
            let name = format!("{:x}-{}", hasher.finish(), call.call.attempt.0);
            return sim.insist(machine, &name, &input, call.parent.clone());
        }
        if &**service == "aws-sdk:sfn" {
            let token = member("TaskToken").and_then(|token| token.as_str().map(Arc::<str>::from));
            if let Some(token) = token {
                sim.callback(&token, Callback::Success(ok("\"told\"")));
            }
            return;
        }
        let Some(token) = &call.token else { return };
        let after = Duration::from_millis([0, 10, 1_000, 60_000, 550_000][random.below(5)]);
        if may_fail && random.chance(200) {
            return;
        }
        if may_fail && random.chance(100) {
            sim.heartbeat(token);
        }
        sim.callback_after(token, Callback::Success(ok("\"called back\"")), after);
    }

    /// Stops and redrives, where the plan says so.
    fn disturb(&self, sim: &mut Sim, random: &mut Random) {
        if random.chance(self.plan.race) {
            super::handmade::race(sim, random, self.plan);
        }
        let started = sim.started();
        let Some(arn) = started.get(random.below(started.len())) else { return };
        if self.plan.stop && random.chance(4) {
            sim.stop(arn);
        }
        if random.chance(self.plan.redrive) {
            sim.redrive(arn);
        }
    }
}
