//! Calls that a test answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stepwell_engine::meta::Parent;
use stepwell_engine::port::{Accepted, Clock, TaskAnswer, TaskCall, Tasks};
use stepwell_expr::{Payload, Value};
use stepwell_interpreter::{AttemptId, ErrorOutput, Outcome, Pattern, Resource};

use crate::faults::At;
use crate::{Fault, Faults, Place, SimClock, lock};

/// How a call is answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// After this long.
    pub after: Duration,
    /// With this; `None` panics.
    pub with: Option<TaskAnswer>,
}

impl Answer {
    /// The call's parameters come back as its result.
    pub fn echo(call: &TaskCall, after: Duration) -> Self {
        let output = Outcome::Succeeded(call.call.parameters.clone());
        Answer { after, with: Some(TaskAnswer::Ended(output)) }
    }

    /// The call fails.
    pub fn fail(error: &str, after: Duration) -> Self {
        Answer {
            after,
            with: Some(TaskAnswer::Ended(Outcome::Failed(ErrorOutput::new(error, "as scripted")))),
        }
    }

    /// The call is accepted; its task ends by a callback.
    pub fn submit(after: Duration) -> Self {
        Answer { after, with: Some(TaskAnswer::Submitted(Payload::of(Value::empty_object()))) }
    }

    /// The call is accepted under this name and goes on by itself; its service tells of its end.
    pub fn accept(id: &str, within: Duration, after: Duration) -> Self {
        let accepted = Accepted { id: id.into(), trace: None, within, submitted: None };
        Answer { after, with: Some(TaskAnswer::Accepted(accepted)) }
    }
}

/// For what is tested without any call: one that comes all the same ends at once.
pub struct NoTasks;

#[async_trait]
impl Tasks for NoTasks {
    async fn call(&self, _: TaskCall) -> TaskAnswer {
        TaskAnswer::Ended(Outcome::Succeeded(Payload::default()))
    }

    fn is_idempotent(&self, _: &Resource) -> bool {
        false
    }
}

type Script = Box<dyn FnMut(&TaskCall) -> Answer + Send>;

/// Answers calls as its script says, and counts them.
pub struct ScriptedTasks {
    clock: Arc<SimClock>,
    inner: Mutex<Inner>,
    faults: At,
}

struct Inner {
    script: Script,
    calls: BTreeMap<(Arc<str>, AttemptId), u32>,
    /// The highest number of calls of an attempt that may be called once.
    most_calls: u32,
    tokens: Vec<Arc<str>>,
    jobs: Vec<Parent>,
    asked: Vec<TaskCall>,
    accepted: Vec<Arc<str>>,
}

impl ScriptedTasks {
    /// Calls that are echoed after 10 ms.
    pub(crate) fn new(clock: Arc<SimClock>, faults: Arc<Faults>) -> Self {
        let script = Box::new(|call: &TaskCall| Answer::echo(call, Duration::from_millis(10)));
        ScriptedTasks {
            clock,
            faults: faults.at(Place::Tasks),
            inner: Mutex::new(Inner {
                script,
                calls: BTreeMap::new(),
                most_calls: 0,
                tokens: vec![],
                jobs: vec![],
                asked: vec![],
                accepted: vec![],
            }),
        }
    }

    /// Answers as `script` says from now on.
    pub fn script(&self, script: impl FnMut(&TaskCall) -> Answer + Send + 'static) {
        lock(&self.inner).script = Box::new(script);
    }

    /// How often each attempt of each execution was called.
    pub fn calls(&self) -> BTreeMap<(Arc<str>, AttemptId), u32> {
        lock(&self.inner).calls.clone()
    }

    /// The highest number of calls that any attempt saw that may be called once: one of a Standard execution that is not idempotent.
    pub fn most_calls(&self) -> u32 {
        lock(&self.inner).most_calls
    }

    /// The calls that began something outside, such as an execution or what ends by a callback, and that nobody took before.
    pub fn take_asked(&self) -> Vec<TaskCall> {
        std::mem::take(&mut lock(&self.inner).asked)
    }

    /// The parents of the executions that `.sync` calls have asked for and that nobody took before.
    pub fn take_jobs(&self) -> Vec<Parent> {
        std::mem::take(&mut lock(&self.inner).jobs)
    }

    /// The names of the calls that go on by themselves and that nobody took before. One is there before its call is answered.
    pub fn take_accepted(&self) -> Vec<Arc<str>> {
        std::mem::take(&mut lock(&self.inner).accepted)
    }

    /// The tokens that were given out, in the order of their calls.
    pub fn tokens(&self) -> Vec<Arc<str>> {
        lock(&self.inner).tokens.clone()
    }
}

/// What an integration says of a call whose service did not answer.
fn unavailable(why: &str) -> TaskAnswer {
    TaskAnswer::Ended(Outcome::Failed(ErrorOutput::new("Lambda.SdkClientException", why)))
}

fn is_of_step_functions(resource: &Resource) -> bool {
    matches!(resource, Resource::Service { service, .. } if ["states", "aws-sdk:sfn"].contains(&&**service))
}

#[async_trait]
impl Tasks for ScriptedTasks {
    async fn call(&self, call: TaskCall) -> TaskAnswer {
        self.faults.maybe_die(Fault::DiedBefore).await;
        if self.faults.draw(Fault::Refused, |rates| rates.task) {
            return unavailable("refused");
        }
        let answer = {
            let mut inner = lock(&self.inner);
            let calls = inner.calls.entry((call.info.execution_arn.clone(), call.call.attempt)).or_default();
            *calls += 1;
            let calls = *calls;
            if !call.info.express && !self.is_idempotent(&call.call.resource) {
                inner.most_calls = inner.most_calls.max(calls);
            }
            if call.call.resource.outlives_call() || is_of_step_functions(&call.call.resource) {
                inner.asked.push(call.clone());
            }
            inner.tokens.extend(call.token.clone());
            if matches!(&*call.call.resource, Resource::Service { pattern: Pattern::Sync, .. }) {
                inner.jobs.extend(call.parent.clone());
            }
            let answer = (inner.script)(&call);
            if let Some(TaskAnswer::Accepted(accepted)) = &answer.with {
                inner.accepted.push(accepted.id.clone());
            }
            answer
        };
        if !answer.after.is_zero() {
            self.faults.faults.count(Place::Tasks, Fault::Delayed);
        }
        self.clock.sleep(answer.after).await;
        self.faults.maybe_die(Fault::DiedAfter).await;
        if self.faults.draw(Fault::ReplyLost, |rates| rates.task) {
            return unavailable("the reply was lost");
        }
        if answer.with.is_none() {
            self.faults.faults.count(Place::Tasks, Fault::Panicked);
        }
        answer.with.expect("the script asks for a panic")
    }

    fn is_idempotent(&self, resource: &Resource) -> bool {
        matches!(resource, Resource::Service { service, .. } if &**service == "dynamodb")
    }
}
