//! The executions of a Map Run: they are started and stopped here.

use std::sync::Arc;

use futures::stream::{StreamExt, TryStreamExt, iter};
use stepwell_asl::{Definition, MachineType, State, StateKind};
use stepwell_expr::uuid_of;
use stepwell_interpreter::{ErrorOutput, Execution, child_inputs};

use super::{Change, Cursor, Ending, MapRun, Transformation};
use crate::Engine;
use crate::driver::DriveError;
use crate::engine::{StartError, StartRequest, StopError};
use crate::meta::{Meta, Parent};
use crate::planted::{Bug, planted};
use crate::port::{ListQuery, StateMachine};

/// Executions that are started behind one cursor's move.
const STARTED_MAX: u64 = 200;
/// Executions that are started or stopped at once.
pub(super) const AT_ONCE: usize = 64;
/// Executions of one page of those that run.
const LISTED: usize = 200;

/// What a Map Run's executions are made from: the state that waits, as it stands in its execution.
pub(crate) struct Plan {
    definition: Arc<Definition>,
    execution: Execution,
    machine: Arc<StateMachine>,
}

impl Engine {
    /// What the executions of `map_run` are made from; `None` where nothing waits for it any more.
    pub(super) async fn plan(&self, map_run: &MapRun) -> Result<Option<Arc<Plan>>, DriveError> {
        let known = self.inner.plans.copy(&map_run.arn);
        // A redrive has another attempt wait.
        if let Some(plan) = known.filter(|plan| plan.execution.map_run(map_run.attempt).is_some()) {
            return Ok(Some(plan));
        }
        let Some(run) = self.load(&map_run.execution_arn).await? else { return Ok(None) };
        let waits = run.meta.run == map_run.run && run.execution.map_run(map_run.attempt).is_some();
        if !waits {
            self.keep(run);
            return Ok(None);
        }
        let definition = self.definition_of(&run.meta).await?;
        let machine = Arc::new(child_machine(&run.meta, &map_run.state_machine_arn, map_run.express));
        let plan = Arc::new(Plan { definition, execution: run.execution.clone(), machine });
        self.keep(run);
        self.inner.plans.put(map_run.arn.clone(), plan.clone(), |_, _| false);
        Ok(Some(plan))
    }

    /// Starts executions behind the cursor, as many as there is room for; whether the Map Run is then to be looked at
    /// again.
    pub(super) async fn start_children(&self, map_run: &MapRun, plan: &Plan) -> Result<bool, DriveError> {
        let room = self.room(map_run);
        if room == 0 || map_run.cursor.items >= map_run.items {
            return Ok(false);
        }
        let (clock, from) = (&self.inner.ports.clock, map_run.cursor);
        let next = (from.items, room as usize);
        let inputs = child_inputs(&plan.definition, &plan.execution, map_run.attempt, next, clock.decision());
        let inputs = match inputs {
            Ok(inputs) => inputs,
            Err(error) => {
                self.change_this(map_run, Change::End(Ending::Failed(error))).await?;
                return Ok(true);
            }
        };
        let mut to = from;
        let mut requests = Vec::with_capacity(inputs.len());
        for input in inputs {
            requests.push(plan.request(map_run, to.children, input));
            to = Cursor {
                items: to.items + requests.last().map_or(0, |(_, items)| *items),
                children: to.children + 1,
            };
        }
        if to == from {
            return Ok(false);
        }
        let start = async |request: StartRequest| match self.start(request).await {
            // It was started before the cursor could be moved.
            Ok(_) | Err(StartError::AlreadyExists { .. }) => Ok(()),
            Err(StartError::Unavailable(error)) => Err(DriveError::Child(error)),
        };
        if planted(Bug::CursorMovesFirst) {
            self.change_this(map_run, Change::Advance { from, to }).await?;
        }
        iter(requests)
            .map(|(request, _)| start(request))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        self.change_this(map_run, Change::Advance { from, to }).await?;
        Ok(true)
    }

    /// How many executions of a Map Run may begin or go on now.
    pub(super) fn room(&self, map_run: &MapRun) -> u64 {
        let most = match map_run.limits.max_concurrency {
            0 => self.inner.settings.map_run_children_max,
            asked => u64::from(asked).min(self.inner.settings.map_run_children_max),
        };
        most.saturating_sub(map_run.running().children).min(STARTED_MAX)
    }

    /// Stops the executions of a Map Run that run, and gives how many those were.
    pub(super) async fn stop_children(&self, arn: &Arc<str>) -> Result<usize, DriveError> {
        let (journal, mut stopped) = (&self.inner.ports.journal, 0);
        let mut after = None;
        loop {
            let query = ListQuery { after, ..ListQuery::running(arn.clone(), LISTED) };
            let listed = self.patiently(|| journal.list(query.clone())).await?;
            stopped += listed.metas.len();
            let stop =
                async |meta: Arc<Meta>| match self.stop(&meta.execution_arn, ErrorOutput::default()).await {
                    Ok(_) | Err(StopError::DoesNotExist(_)) => Ok(()),
                    Err(StopError::Unavailable(error)) => Err(DriveError::Child(error)),
                };
            iter(listed.metas).map(stop).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
            after = listed.next;
            if after.is_none() {
                return Ok(stopped);
            }
        }
    }
}

impl Plan {
    /// The start of execution number `index`, and how many items it has.
    fn request(
        &self,
        map_run: &MapRun,
        index: u64,
        child: stepwell_interpreter::ChildInput,
    ) -> (StartRequest, u64) {
        let (name, execution_arn) = map_run.child(index, map_run.redrives);
        let items = child.items;
        let parent = Parent::MapRun { map_run_arn: map_run.arn.clone(), index, items };
        let request = StartRequest {
            machine: self.machine.clone(),
            execution_arn,
            name,
            input: child.input,
            trace_header: None,
            version_arn: None,
            alias_arn: None,
            parent: Some(parent),
        };
        (request, items)
    }

    /// The Map state that waits.
    pub(super) fn state(&self, map_run: &MapRun) -> Option<&State> {
        map_state(&self.definition, &self.execution, map_run.attempt)
    }
}

impl MapRun {
    /// The name and the ARN of execution number `index`, if it was first started in redrive number `begun`.
    pub(super) fn child(&self, index: u64, begun: u32) -> (Arc<str>, Arc<str>) {
        let name: Arc<str> = match begun {
            0 => uuid_of(&format!("{}:{index}", self.arn)).into(),
            begun => uuid_of(&format!("{}:{index}:{begun}", self.arn)).into(),
        };
        let kind = if self.express { ":express:" } else { ":execution:" };
        let mut arn = format!("{}:{name}", self.state_machine_arn.replacen(":stateMachine:", kind, 1));
        if self.express {
            arn.push_str(&format!(":{}", uuid_of(&arn)));
        }
        (name, arn.into())
    }

    /// In which redrive the execution of this index and ARN was first started.
    pub(super) fn begun(&self, index: u64, arn: &str) -> Option<u32> {
        (0..=self.redrives).find(|begun| *self.child(index, *begun).1 == *arn)
    }
}

/// The Map state that waits for a Map Run with `attempt`.
pub(super) fn map_state<'d>(
    definition: &'d Definition,
    execution: &Execution,
    attempt: stepwell_interpreter::AttemptId,
) -> Option<&'d State> {
    let (branch, _) = execution.map_run(attempt)?;
    let (_, branch) = execution.branches().find(|(id, _)| *id == branch)?;
    match &branch.phase {
        stepwell_interpreter::Phase::In { state, .. } => definition.state(state),
        _ => None,
    }
}

/// The `Transformation` of a Map state's results.
pub(super) fn transformation(state: Option<&State>) -> Transformation {
    let Some(StateKind::Map(map)) = state.map(|state| &state.kind) else { return Transformation::default() };
    let config = map.result_writer.as_ref().and_then(|writer| writer.config.as_ref());
    match config.and_then(|config| config.get("Transformation")).and_then(|name| name.as_str()) {
        Some("NONE") => Transformation::None,
        Some("FLATTEN") => Transformation::Flatten,
        _ => Transformation::Compact,
    }
}

/// The machine that a Map Run's executions are of, which `parent` began. Its definition is in the parent's.
pub(super) fn child_machine(parent: &Meta, arn: &Arc<str>, express: bool) -> StateMachine {
    let name = arn.rsplit(':').next().unwrap_or_default();
    StateMachine {
        arn: arn.clone(),
        name: name.into(),
        machine_type: if express { MachineType::Express } else { MachineType::Standard },
        definition: "".into(),
        role_arn: parent.info.role_arn.clone(),
        revision: parent.revision.clone(),
        is_updated: false,
        created_at: parent.info.started_at,
        updated_at: parent.info.started_at,
        status: crate::port::MachineStatus::Active,
        logging: None,
        tracing: None,
        encryption: None,
        tags: vec![],
        edition: 0,
    }
}
