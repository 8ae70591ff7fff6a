//! A workload's executions, one behind the other or as many as a batch holds.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use stepwell_engine::port::Clock;

use crate::clock::JumpingClock;
use crate::functions::{Processor, Sandbox, VISIBILITY, timed};
use crate::services::Services;
use crate::usage::Usage;
use crate::workload::{Workload, transitions};

/// Warm sandboxes of each function, which take turns: whoever drives an execution on has mostly not seen it before.
const SANDBOXES: usize = 4;

/// What stands before function `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// Its Function URL.
    FunctionUrl,
    /// The HTTP API.
    HttpApi,
    /// A REST API.
    RestApi,
}

impl Front {
    /// The meter of its requests.
    pub fn meter(self) -> &'static str {
        match self {
            Front::FunctionUrl => "function_url.requests",
            Front::HttpApi => "http_api.requests",
            Front::RestApi => "rest_api.requests",
        }
    }
}

/// How the functions are configured.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Megabytes of memory of each function.
    pub memory_mb: u32,
    /// Arm; else x86.
    pub arm: bool,
    /// What callers call.
    pub front: Front,
}

/// Megabytes at which a function has a whole processor.
const WHOLE_PROCESSOR_MB: f64 = 1769.0;

/// What became of a workload.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How many executions.
    pub executions: usize,
    /// Messages of a batch at the most.
    pub batch: usize,
    /// Everything that was used.
    pub usage: Usage,
    /// Transitions of one execution, as AWS counts.
    pub transitions: u64,
    /// Events of one execution.
    pub events: usize,
    /// Processor time of all functions.
    pub cpu: Duration,
    /// From the start to the end of the execution that took least, and so waited least for its turn.
    pub shortest: Duration,
    /// Bytes that stay in the table, its indexes included.
    pub table_bytes: usize,
    /// Bytes that stay in objects.
    pub object_bytes: usize,
    /// What is used to remove all of that, when it has been kept long enough.
    pub removal: Usage,
    /// Invocations of `start`, `step` and `timer`, and their time.
    pub invocations: [(u64, Duration); 3],
}

/// Where workloads run.
pub struct World {
    services: Services,
    clock: Arc<JumpingClock>,
    /// Of `start`, `step` and `timer`, and whose turn it is.
    sandboxes: [(Vec<Sandbox>, usize); 3],
    invocations: [(u64, Duration); 3],
}

/// Records of the table's stream come in batches of a hundred where messages come in tens, as the template says, else alone.
const STREAM_FACTOR: usize = 10;

/// Functions, as `World::invocations` has them.
const START: usize = 0;
const STEP: usize = 1;
const TIMER: usize = 2;

impl World {
    /// Functions over these services.
    pub fn new(services: Services, clock: Arc<JumpingClock>) -> Self {
        let some = || (0..SANDBOXES).map(|_| Sandbox::new(&services, clock.clone())).collect();
        let sandboxes = [(some(), 0), (some(), 0), (some(), 0)];
        World { services, clock, sandboxes, invocations: Default::default() }
    }

    /// The sandbox of a function whose turn it is.
    fn next(&mut self, function: usize) -> &Sandbox {
        let (sandboxes, turn) = &mut self.sandboxes[function];
        *turn = (*turn + 1) % sandboxes.len();
        &sandboxes[*turn]
    }

    fn invoked(&mut self, function: usize, time: Duration) {
        self.invocations[function].0 += 1;
        self.invocations[function].1 += time;
    }

    async fn start(&mut self, machine: &Value, name: &str, input: &str) -> String {
        let request = json!({ "stateMachineArn": machine, "name": name, "input": input });
        let (started, time) = timed(self.next(START).start(&request)).await;
        self.invoked(START, time);
        started["executionArn"].as_str().expect("it is an ARN").to_owned()
    }

    /// Drives everything until nothing is left to come.
    async fn drain(&mut self, batch: usize) {
        loop {
            let messages = self.services.receive(batch, VISIBILITY);
            if !messages.is_empty() {
                let (done, time) = timed(self.next(STEP).step(messages)).await;
                self.invoked(STEP, time);
                self.services.delete(&done);
                continue;
            }
            if let Some(input) = self.services.fire(self.clock.now()) {
                let ((), time) = timed(self.next(TIMER).timer(&input)).await;
                self.invoked(TIMER, time);
                continue;
            }
            let next = self.services.next_visible().into_iter().chain(self.services.next_schedule());
            let Some(next) = next.min_by_key(|at| at.0) else { return };
            self.clock.jump_to(next);
        }
    }

    /// Runs `executions` of a workload, which come in batches of up to `batch`.
    pub async fn run(
        &mut self,
        workload: &Workload,
        executions: usize,
        batch: usize,
        setting: Setting,
    ) -> Outcome {
        let role = "arn:aws:iam::123456789012:role/machine";
        let name = format!("{}-{batch}-{executions}", workload.name);
        let create = json!({ "name": name, "definition": workload.definition, "roleArn": role });
        let created = self.sandboxes[START].0[0].call("CreateStateMachine", &create).await;
        let machine = &created["stateMachineArn"];
        // Every sandbox has seen the machine before.
        for n in 0..2 * SANDBOXES {
            self.start(machine, &format!("warm-{n}"), &workload.input).await;
            self.drain(1).await;
        }
        let (before, objects) = (self.services.usage(), self.services.object_bytes());
        self.invocations = Default::default();
        let processor = Processor::now();
        let mut arns = vec![];
        // As many start as one batch holds; with whole batches, all do before the first is driven.
        let wave = if batch == 1 { 1 } else { executions };
        while arns.len() < executions {
            for _ in 0..wave.min(executions - arns.len()) {
                arns.push(
                    self.start(machine, &format!("execution-{:06}", arns.len()), &workload.input).await,
                );
            }
            self.drain(batch).await;
        }
        let processor = Processor::now().since(processor);
        let mut usage = self.services.usage().since(&before);
        self.charge(&mut usage, processor, setting);
        let invocations = self.invocations;
        usage.add(setting.front.meter(), executions as f64);
        let table_bytes = self.services.kept(|partition| arns.iter().any(|arn| arn == partition));
        let object_bytes = self.services.object_bytes() - objects;
        let (transitions, events, shortest) = self.look(&arns).await;
        let removal = self.remove(&arns, batch, setting).await;
        Outcome {
            executions,
            batch,
            usage,
            transitions,
            events,
            cpu: processor.ran,
            shortest,
            table_bytes,
            object_bytes,
            removal,
            invocations,
        }
    }

    /// Lets METAs expire, and the function `timer` remove what their runs left.
    async fn remove(&mut self, arns: &[String], batch: usize, setting: Setting) -> Usage {
        let of_ours = |partition: &str| arns.iter().any(|arn| arn == partition);
        let (before, objects) = (self.services.usage(), self.services.object_bytes());
        let records = self.services.expire(of_ours).await;
        assert_eq!(records.len(), arns.len(), "each has a META that expires");
        self.invocations = Default::default();
        let processor = Processor::now();
        for records in records.chunks(batch * STREAM_FACTOR) {
            let event = json!({ "Records": records }).to_string();
            let ((), time) = timed(self.next(TIMER).timer(&event)).await;
            self.invoked(TIMER, time);
        }
        let mut usage = self.services.usage().since(&before);
        self.charge(&mut usage, Processor::now().since(processor), setting);
        assert_eq!(self.services.items(of_ours), 0, "nothing is left");
        assert!(objects == 0 || self.services.object_bytes() < objects, "nor any object");
        usage
    }

    /// What Lambda charges: requests, and the time of each invocation, where the processor is a part of one. What it waited for
    /// others on this machine is none of it.
    fn charge(&self, usage: &mut Usage, processor: Processor, setting: Setting) {
        let (count, wall) = self
            .invocations
            .iter()
            .fold((0, Duration::ZERO), |(n, sum), (count, time)| (n + count, sum + *time));
        let part = (f64::from(setting.memory_mb) / WHOLE_PROCESSOR_MB).min(1.0);
        let wall = wall.saturating_sub(processor.waited);
        let seconds = wall.as_secs_f64() + processor.ran.as_secs_f64() * (1.0 / part - 1.0);
        let meter = if setting.arm { "lambda.gb_seconds.arm64" } else { "lambda.gb_seconds.x86_64" };
        usage.add("lambda.requests", f64::from(count as u32));
        usage.add(meter, seconds * f64::from(setting.memory_mb) / 1024.0);
    }

    /// Looks at all executions: each must have succeeded.
    async fn look(&self, arns: &[String]) -> (u64, usize, Duration) {
        let api = &self.sandboxes[START].0[0];
        let mut shortest = f64::MAX;
        for arn in arns {
            let described = api.call("DescribeExecution", &json!({ "executionArn": arn })).await;
            assert_eq!(described["status"], "SUCCEEDED", "{described}");
            let date = |name: &str| described[name].as_f64().unwrap_or(0.0);
            shortest = shortest.min(date("stopDate") - date("startDate"));
        }
        let mut events = vec![];
        let mut request =
            json!({ "executionArn": arns[0], "maxResults": 1000, "includeExecutionData": false });
        loop {
            let page = api.call("GetExecutionHistory", &request).await;
            events.extend(page["events"].as_array().into_iter().flatten().cloned());
            match page.get("nextToken") {
                Some(token) => request["nextToken"] = token.clone(),
                None => break,
            }
        }
        (transitions(&events), events.len(), Duration::from_secs_f64(shortest))
    }
}
