//! One case's own world: the engine and the API over ports in memory, functions, and a clock that jumps.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use stepwell_engine::port::{Clock, Tasks};
use stepwell_engine::{Engine, Ports, Settings, StepFunctions};
use stepwell_integrations::{Integrations, Lambda, Sfn, States};
use stepwell_interpreter::Timestamp;
use stepwell_test_support::{Executor, Random, Rates, TaskId};
use stepwell_wire::{Api, TaskCalls};

use super::client::Client;
use super::functions::Functions;
use super::logs::LogGroups;
use super::queues::{QueueTasks, Queues};

/// Whose state machines a case's are.
pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const REGION: &str = "us-east-1";

/// When a world begins: 2030-01-01T00:00:00Z. Recordings hold times that were to have gone by when they were made.
const BEGINNING: Timestamp = Timestamp(1_893_456_000_000);

/// In all worlds but the first, some calls of ports take their time.
const SLOW_PORTS: Rates = Rates { delay: 200, delay_max: Duration::from_millis(20), ..Rates::NONE };

/// How often a driver dies, in a thousand steps of a world where they do.
const DEATHS: u32 = 100;

/// Steps after which a world is given up.
const STEPS_MAX: u64 = 5_000_000;

/// Why something did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stuck {
    /// Everything waits, and nothing is due.
    #[error("nothing can happen any more")]
    AtRest,
    /// It goes on and on.
    #[error("no end in {STEPS_MAX} steps")]
    Endless,
}

/// A process that answers calls and drives messages, in a world where no time goes by but what is waited for.
pub(crate) struct World {
    ports: stepwell_test_support::World,
    engine: Engine,
    api: Api,
    functions: Arc<Functions>,
    queues: Arc<Queues>,
    executor: Executor,
    random: Random,
    /// The message that each driver is at.
    drivers: BTreeMap<TaskId, Arc<str>>,
    drivers_die: bool,
    /// For what is called as an event, which the integrations spawn.
    runtime: tokio::runtime::Runtime,
}

impl World {
    /// A world in which the order of what happens at once, and how long calls take, follow from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let ports = stepwell_test_support::World::new(seed);
        ports.clock.advance_to(BEGINNING);
        if seed > 0 {
            ports.faults.set(SLOW_PORTS);
        }
        let functions = Arc::new(Functions::new(ports.clock.clone(), ACCOUNT.into(), REGION.into()));
        let task_calls = Arc::new(TaskCalls::default());
        let queues = Arc::new(Queues::new(ports.clock.clone()));
        let tasks = integrations(functions.clone(), queues.clone(), task_calls.clone());
        // In every second world as in AWS.
        let settings = Settings { express_in_memory: seed % 2 == 1, ..Settings::default() };
        let engine = Engine::new(Ports { tasks, ..ports.ports() }, settings);
        let settings = stepwell_wire::Settings { account: ACCOUNT.into(), region: REGION.into() };
        let api = Api::new(engine.clone(), settings);
        task_calls.serve(&api);
        let runtime = tokio::runtime::Builder::new_current_thread();
        World {
            ports,
            engine,
            api,
            functions,
            queues,
            executor: Executor::default(),
            random: Random::new(seed ^ 0xCA5E),
            drivers: BTreeMap::new(),
            drivers_die: false,
            runtime: { runtime }.build().expect("a runtime without drivers asks nothing of the system"),
        }
    }

    /// From now on drivers die at any point, and their messages come again at once.
    pub(crate) fn let_drivers_die(&mut self) {
        self.drivers_die = true;
    }

    /// The functions that may be called.
    pub(crate) fn functions(&self) -> &Functions {
        &self.functions
    }

    /// A client of the API.
    pub(crate) fn client(&mut self) -> Client {
        let logs = LogGroups(self.ports.logs.clone());
        Client::new(self.api.clone(), self.queues.clone(), logs, Random::new(self.random.bits()))
    }

    /// Runs a future to its end, and the world with it.
    ///
    /// # Errors
    ///
    /// It does not come to its end.
    pub(crate) fn block_on<T: 'static>(
        &mut self,
        future: impl Future<Output = T> + 'static,
    ) -> Result<T, Stuck> {
        let slot = Rc::new(RefCell::new(None));
        let value = slot.clone();
        self.executor.spawn(async move {
            let ended = future.await;
            *slot.borrow_mut() = Some(ended);
        });
        for _ in 0..STEPS_MAX {
            if let Some(value) = value.borrow_mut().take() {
                return Ok(value);
            }
            if !self.step() {
                return Err(Stuck::AtRest);
            }
        }
        Err(Stuck::Endless)
    }

    /// Lets one thing happen; `false` where nothing can.
    fn step(&mut self) -> bool {
        self.deliver();
        let _entered = self.runtime.enter();
        if self.executor.step(&mut self.random).is_some() {
            self.let_one_die();
            return true;
        }
        self.runtime.block_on(tokio::task::yield_now());
        self.pass_time()
    }

    /// Hands every message that is due to a driver.
    fn deliver(&mut self) {
        while let Some(delivery) = self.ports.queue.receive(&mut self.random) {
            let message = delivery.claimant.message.clone();
            let queue = self.ports.queue.clone();
            let driver = self.executor.spawn(queue.drive(self.engine.clone(), delivery));
            if self.drivers_die {
                self.drivers.insert(driver, message);
            }
        }
    }

    /// Forgets drivers that are done, and now and then lets one die.
    fn let_one_die(&mut self) {
        if self.drivers.is_empty() {
            return;
        }
        let alive = self.executor.ids();
        self.drivers.retain(|driver, _| alive.binary_search(driver).is_ok());
        if self.random.chance(DEATHS)
            && let Some((driver, message)) = self.drivers.pop_first()
        {
            self.executor.kill(driver);
            self.ports.queue.put_back(&message, Duration::ZERO);
        }
    }

    /// Lets the next thing come that waits for its time.
    fn pass_time(&mut self) -> bool {
        let clock = &self.ports.clock;
        let next = clock.next_wake().into_iter().chain(self.ports.queue.next_visible()).min();
        if let Some(next) = next {
            clock.advance_to(next.max(Timestamp(clock.now().0 + 1)));
        }
        next.is_some()
    }
}

/// The services that tasks may call here, as `local/src/services.rs` has them for the program.
fn integrations(
    functions: Arc<Functions>,
    queues: Arc<Queues>,
    step_functions: Arc<dyn StepFunctions>,
) -> Arc<dyn Tasks> {
    let queues = Arc::new(QueueTasks(queues));
    let integrations = Integrations::builder()
        .register("lambda", Arc::new(Lambda::new().hosted_by(functions)))
        .register("sqs", queues.clone())
        .register("aws-sdk:sqs", queues)
        .register("states", Arc::new(States::new(step_functions.clone())))
        .register("aws-sdk:sfn", Arc::new(Sfn::new(step_functions)))
        .build();
    Arc::new(integrations)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;

    /// The status and the last event of a nested execution that waits an hour, when its parent has come to its end:
    /// the parent is of `states` and starts it in the state `Job`. Stopped from outside where it would wait as long.
    fn nested(states: &Value, stopped: bool) -> (String, String) {
        let mut world = World::new(0);
        let (client, states) = (world.client(), states.clone());
        let ended = world.block_on(async move {
            let machine = async |name: &str, definition: Value| {
                let role = format!("arn:aws:iam::{ACCOUNT}:role/r");
                let request = json!({"name": name, "definition": definition.to_string(), "roleArn": role});
                client.call("CreateStateMachine", &request).await.unwrap()["stateMachineArn"].clone()
            };
            let hour =
                json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": true}}});
            let child = machine("child", hour).await;
            let parent = machine("parent", json!({"StartAt": "Job", "States": states})).await;
            let input = json!({"child": child}).to_string();
            let request = json!({"stateMachineArn": parent, "input": input});
            let started = client.call("StartExecution", &request).await.unwrap();
            let parent = json!({"executionArn": started["executionArn"]});
            client.clock().sleep(Duration::from_secs(60)).await;
            if stopped {
                client.call("StopExecution", &parent).await.unwrap();
            }
            let described = client.call("DescribeExecution", &parent).await.unwrap();
            assert_ne!(described["status"], "RUNNING");
            client.clock().sleep(Duration::from_secs(1)).await;
            let listed = client.call("ListExecutions", &json!({"stateMachineArn": child})).await.unwrap();
            let arn = &listed["executions"][0]["executionArn"];
            let request = json!({"executionArn": arn, "reverseOrder": true});
            let history = client.call("GetExecutionHistory", &request).await.unwrap();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&listed["executions"][0]["status"]), text(&history["events"][0]["type"]))
        });
        ended.unwrap()
    }

    fn job(more: &Value) -> Value {
        let mut state = json!({
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution.sync",
            "Parameters": {"StateMachineArn.$": "$.child"},
            "End": true,
        });
        state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        state
    }

    #[test]
    fn a_nested_execution_that_nobody_waits_for_is_stopped() {
        let aborted = ("ABORTED".to_owned(), "ExecutionAborted".to_owned());
        assert_eq!(nested(&json!({"Job": job(&json!({}))}), true), aborted);
        assert_eq!(nested(&json!({"Job": job(&json!({"TimeoutSeconds": 10}))}), false), aborted);
        let sibling = json!({
            "Job": {
                "Type": "Parallel",
                "End": true,
                "Branches": [
                    {"StartAt": "J", "States": {"J": job(&json!({}))}},
                    {"StartAt": "W", "States": {
                        "W": {"Type": "Wait", "Seconds": 10, "Next": "F"},
                        "F": {"Type": "Fail"}
                    }}
                ]
            }
        });
        assert_eq!(nested(&sibling, false), aborted);
    }
}
