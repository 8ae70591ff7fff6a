//! The driver of a Map Run: takes in what a message says, and then does what shows from the Map Run alone.
//!
//! Its messages are those of the queue. Each is taken in by one conditional change, so a second delivery takes nothing
//! in and may drive all the same. Executions are started before the cursor moves, by names that their
//! indexes give them, so that a driver that dies between the two starts the same ones again. Whoever started
//! executions of a Map Run whose end was decided meanwhile finds that out when the cursor does not move, and stops them.

use std::sync::Arc;
use std::time::Duration;

use stepwell_asl::{ErrorName, StateKind};
use stepwell_interpreter::{AttemptId, ErrorOutput, MapRunLimits};

use super::children::{map_state, transformation};
use super::results::result_of;
use super::{Change, Claims, Count, Cursor, Ended, Ending, LimitsUpdate, MapRun, Outcome};
use crate::Engine;
use crate::driver::DriveError;
use crate::engine::{Driven, UpdateMapRunError};
use crate::message::{Callback, MapRunMessage, Message, MessageBody};
use crate::meta::{Meta, RunId};
use crate::port::{Changed, ListedMapRuns, MapRunsError, MapRunsQuery};
use crate::run::Run;

/// What a message waits for whose Map Run has not ended yet that it is to redrive.
const REDRIVE_WAIT: Duration = Duration::from_millis(500);

/// Executions that may have been started behind the cursor when an end was decided, at the most.
const LATE: usize = 10_000;

impl Engine {
    /// A Map Run (API: DescribeMapRun).
    ///
    /// # Errors
    /// [`MapRunsError`].
    pub async fn map_run(&self, arn: &str) -> Result<Option<Arc<MapRun>>, MapRunsError> {
        self.inner.ports.map_runs.map_run(arn).await
    }

    /// Map Runs of an execution, newest first (API: ListMapRuns).
    ///
    /// # Errors
    /// [`MapRunsError`].
    pub async fn list_map_runs(&self, query: MapRunsQuery) -> Result<ListedMapRuns, MapRunsError> {
        self.inner.ports.map_runs.list(query).await
    }

    /// Changes what a Map Run keeps to from now on (API: UpdateMapRun).
    ///
    /// # Errors
    /// [`UpdateMapRunError`].
    pub async fn update_map_run(&self, arn: &str, update: LimitsUpdate) -> Result<(), UpdateMapRunError> {
        let unavailable = |error: DriveError| UpdateMapRunError::Unavailable(error.into());
        let known = self.map_run(arn).await.map_err(|error| unavailable(error.into()))?;
        let mut map_run = known.ok_or_else(|| UpdateMapRunError::DoesNotExist(arn.into()))?;
        loop {
            if map_run.ending.is_some() || map_run.closed_at.is_some() {
                return Err(UpdateMapRunError::Completed(arn.into()));
            }
            // The message makes room that there is now be used, whatever becomes of this handler.
            let after = map_run.updates;
            let body = MapRunMessage::Update { after, update };
            self.send_to_map_run(&map_run.arn, body).await.map_err(unavailable)?;
            let changed = self.change(arn, Change::Limits { after, update }).await.map_err(unavailable)?;
            let Some(Changed { map_run: now, applied }) = changed else {
                return Err(UpdateMapRunError::DoesNotExist(arn.into()));
            };
            // The message may have come first.
            let by_message = now.updates > after && update.holds(&now.limits);
            if applied || by_message {
                return Ok(());
            }
            map_run = now;
        }
    }

    pub(super) async fn change(&self, arn: &str, change: Change) -> Result<Option<Changed>, DriveError> {
        let map_runs = &self.inner.ports.map_runs;
        Ok(self.patiently(|| map_runs.change(arn, change.clone())).await?)
    }

    /// Changes a Map Run, unless it was redriven since `map_run` was read.
    pub(super) async fn change_this(
        &self,
        map_run: &MapRun,
        change: Change,
    ) -> Result<Option<Changed>, DriveError> {
        self.change(&map_run.arn, Change::In(map_run.redrives, Box::new(change))).await
    }

    /// Sends a message to a Map Run.
    pub(crate) async fn send_to_map_run(
        &self,
        arn: &Arc<str>,
        body: MapRunMessage,
    ) -> Result<(), DriveError> {
        let (queue, message) = (&self.inner.ports.queue, self.map_run_message(arn, body));
        Ok(self.patiently(|| queue.send(message.clone(), None)).await?)
    }

    fn map_run_message(&self, arn: &Arc<str>, body: MapRunMessage) -> Message {
        let (sent_at, run) = (self.inner.ports.clock.now(), RunId::default());
        Message { execution: arn.clone(), run, epoch: 0, sent_at, body: MessageBody::MapRun(body) }
    }

    /// Drives the Map Run that a message is for.
    pub(crate) async fn drive_map_run(
        &self,
        arn: &Arc<str>,
        message: &MapRunMessage,
    ) -> Result<Driven, DriveError> {
        match message {
            MapRunMessage::Begin { execution, run, attempt } => {
                self.begin(arn, execution, *run, *attempt).await?;
            }
            MapRunMessage::ChildFinished { index, items, child } => {
                self.take_outcome(arn, (*index, *items), child, None).await?;
            }
            MapRunMessage::RedrivenChildFinished { index, items, redrives, child } => {
                self.take_outcome(arn, (*index, *items), child, Some(*redrives)).await?;
            }
            MapRunMessage::Update { after, update } => {
                self.change(arn, Change::Limits { after: *after, update: *update }).await?;
            }
            MapRunMessage::Stop => self.stop_map_run(arn).await?,
            MapRunMessage::Redrive { execution, run, attempt, redrives } => {
                self.redrive_map_run(arn, execution, *run, (*attempt, *redrives)).await?;
            }
            MapRunMessage::Continue => {}
        }
        // Looked at before what there is to do is done: another delivery of this message may begin the redrive behind that, and die.
        let comes_again = match message {
            MapRunMessage::Redrive { redrives, .. } => !self.has_begun_redrive(arn, *redrives).await?,
            _ => false,
        };
        let driven = self.drive_on(arn).await?;
        if comes_again {
            return self.too_early(&self.map_run_message(arn, message.clone()), REDRIVE_WAIT).await;
        }
        Ok(driven)
    }

    /// Does for a Map Run what there is to do.
    async fn drive_on(&self, arn: &Arc<str>) -> Result<Driven, DriveError> {
        // Only where no other process may have taken that driver's message in meanwhile.
        let takes_turns = self.inner.settings.former_deliveries_are_dead;
        let mut turn = takes_turns.then(|| self.inner.turns.take(arn));
        if let Some(None) = turn {
            return Ok(Driven::Done);
        }
        let slice_ends = self.slice_ends();
        loop {
            if self.advance_map_run(arn).await? {
                if self.inner.ports.clock.monotonic() >= slice_ends {
                    self.send_to_map_run(arn, MapRunMessage::Continue).await?;
                    return Ok(Driven::Done);
                }
            } else if !turn.as_mut().and_then(Option::as_mut).is_some_and(|turn| turn.goes_on()) {
                return Ok(Driven::Done);
            }
        }
    }

    /// Puts the Map Run that an attempt of `execution` waits for.
    async fn begin(
        &self,
        arn: &Arc<str>,
        execution: &Arc<str>,
        run: RunId,
        attempt: AttemptId,
    ) -> Result<(), DriveError> {
        let map_runs = &self.inner.ports.map_runs;
        if self.patiently(|| map_runs.map_run(arn)).await?.is_some() {
            return Ok(());
        }
        let Some(parent) = self.load(execution).await?.filter(|parent| parent.meta.run == run) else {
            return Ok(());
        };
        let map_run = Arc::new(self.new_map_run(arn, &parent, attempt).await?);
        self.keep(parent);
        // Whoever stops a Map Run sends the message after its execution's page. Where it came before there was anything
        // to stop, that page is there when `plan` looks whether something waits, which is after this.
        self.patiently(|| map_runs.create(map_run.clone())).await?;
        Ok(())
    }

    pub(super) async fn new_map_run(
        &self,
        arn: &Arc<str>,
        parent: &Run,
        attempt: AttemptId,
    ) -> Result<MapRun, DriveError> {
        let definition = self.definition_of(&parent.meta).await?;
        let open = parent.execution.map_run(attempt).map(|(_, map_run)| map_run);
        let state = map_state(&definition, &parent.execution, attempt);
        let map = state.and_then(|state| match &state.kind {
            StateKind::Map(map) => Some(&**map),
            _ => None,
        });
        let machine = arn.replacen(":mapRun:", ":stateMachine:", 1);
        let machine = machine.rsplit_once(':').map_or(&*machine, |(machine, _)| machine);
        let express = map.is_some_and(|map| {
            matches!(map.mode, stepwell_asl::ProcessorMode::Distributed { express: true })
        });
        Ok(MapRun {
            arn: arn.clone(),
            execution_arn: parent.meta.execution_arn.clone(),
            run: parent.meta.run,
            epoch: parent.epoch(),
            attempt,
            state_machine_arn: machine.into(),
            express,
            started_at: self.inner.ports.clock.now(),
            items: open.map_or(0, |open| open.length()),
            limits: open.map_or_else(MapRunLimits::default, |open| open.limits),
            updates: 0,
            transformation: transformation(state),
            cursor: Cursor::default(),
            ended: Ended::default(),
            result_bytes: 0,
            ending: map.and_then(unsupported).map(Ending::Failed),
            closed_at: None,
            redrives: 0,
            redriven_at: None,
            unsuccessful: Ended::default(),
            not_redrivable: Count::default(),
            claims: Claims::default(),
            failure_bytes: 0,
        })
    }

    async fn take_outcome(
        &self,
        arn: &Arc<str>,
        (index, items): (u64, u64),
        child: &Meta,
        redriven: Option<u32>,
    ) -> Result<(), DriveError> {
        let map_runs = &self.inner.ports.map_runs;
        let Some(map_run) = self.patiently(|| map_runs.map_run(arn)).await? else { return Ok(()) };
        let result = result_of(child, map_run.transformation);
        let Some(begun) = map_run.begun(index, &child.execution_arn) else { return Ok(()) };
        let (status, redrives) = (child.status(), redriven.unwrap_or(begun));
        let outcome = Outcome { index, items, status, result, begun, redrives, not_redrivable: false };
        self.change(arn, Change::Outcome(outcome)).await?;
        Ok(())
    }

    /// Does the next thing for a Map Run; `false` where nothing is left to do before something happens to it.
    async fn advance_map_run(&self, arn: &Arc<str>) -> Result<bool, DriveError> {
        let map_runs = &self.inner.ports.map_runs;
        let Some(map_run) = self.patiently(|| map_runs.map_run(arn)).await? else { return Ok(false) };
        match &map_run.ending {
            Some(Ending::Succeeded) => Ok(false),
            Some(ending) => self.wind_up(&map_run, ending).await,
            None if map_run.fails() => {
                let cause = "The specified tolerated failure threshold was exceeded";
                let error = ErrorOutput::new(ErrorName::EXCEED_TOLERATED_FAILURE_THRESHOLD, cause);
                self.change_this(&map_run, Change::End(Ending::Failed(error))).await?;
                Ok(true)
            }
            None => match self.plan(&map_run).await? {
                // It was told of this end, by a driver that died before it wrote it.
                None if map_run.is_done() && !self.was_given_up(&map_run).await? => {
                    self.close(&map_run, Ending::Succeeded, None).await
                }
                None => {
                    self.change_this(&map_run, Change::End(Ending::Aborted)).await?;
                    Ok(true)
                }
                Some(plan) if map_run.is_done() => {
                    let state = plan.state(&map_run).map(|state| state.name.clone()).unwrap_or_default();
                    match self.gather(&map_run, &state).await? {
                        Callback::Failure(error) => {
                            self.change_this(&map_run, Change::End(Ending::Failed(error))).await?;
                            Ok(true)
                        }
                        success => self.close(&map_run, Ending::Succeeded, Some(success)).await,
                    }
                }
                Some(_) if map_run.claims.done < map_run.claims.claimed => {
                    self.redrive_claimed(&map_run).await
                }
                Some(_) if map_run.unsuccessful.all().children > 0 => self.claim(&map_run).await,
                Some(plan) => self.start_children(&map_run, &plan).await,
            },
        }
    }

    /// Whether the execution that waited for a Map Run gave it up.
    async fn was_given_up(&self, map_run: &MapRun) -> Result<bool, DriveError> {
        let Some(run) = self.load(&map_run.execution_arn).await? else { return Ok(true) };
        let gave_up =
            run.meta.run != map_run.run || run.execution.abandoned_map_runs().contains(&map_run.arn);
        self.keep(run);
        Ok(gave_up)
    }

    /// Stops what still runs of a Map Run whose end is decided, and closes it when nothing does.
    async fn wind_up(&self, map_run: &MapRun, ending: &Ending) -> Result<bool, DriveError> {
        if map_run.closed_at.is_none() && map_run.claims.done < map_run.claims.claimed {
            // Each of them has an outcome to come, which only its redrive brings.
            return self.redrive_claimed(map_run).await;
        }
        if self.stop_children(&map_run.arn).await? > 0 {
            // They have told of their ends by now, or did so long ago: it shows in the Map Run as it is now.
            return Ok(true);
        }
        let ended = map_run.ended.all().children + map_run.unsuccessful.all().children;
        // Those behind the cursor were started by one who was late, and are counted, too.
        let (map_runs, behind) = (&self.inner.ports.map_runs, map_run.cursor.children);
        let late = self.patiently(|| map_runs.outcomes(&map_run.arn, behind, LATE, false)).await?;
        let late = late.iter().filter(|one| one.redrives == map_run.redrives).count() as u64;
        let all_known = ended >= map_run.cursor.children + late;
        if !all_known || map_run.closed_at.is_some() {
            // What has been told comes.
            return Ok(false);
        }
        let outcome = match ending {
            Ending::Failed(error) => Some(Callback::Failure(error.clone())),
            Ending::Succeeded | Ending::Aborted => None,
        };
        self.close(map_run, ending.clone(), outcome).await
    }

    /// Tells the execution that waits of the Map Run's end, and then writes that it is over.
    async fn close(
        &self,
        map_run: &MapRun,
        ending: Ending,
        outcome: Option<Callback>,
    ) -> Result<bool, DriveError> {
        let (ports, at) = (&self.inner.ports, self.inner.ports.clock.now());
        if let Some(outcome) = outcome {
            let body = MessageBody::ChildFinished { attempt: map_run.attempt, outcome };
            let (run, epoch) = (map_run.run, map_run.epoch);
            let message = Message { execution: map_run.execution_arn.clone(), run, epoch, sent_at: at, body };
            self.patiently(|| ports.queue.send(message.clone(), None)).await?;
        }
        self.change_this(map_run, Change::Close { ending, at }).await?;
        self.inner.plans.take(&map_run.arn);
        Ok(true)
    }
}

/// Why a Map Run cannot be done, where it cannot.
fn unsupported(map: &stepwell_asl::Map) -> Option<ErrorOutput> {
    if let Some(reader) = &map.item_reader {
        let cause = format!("Stepwell does not read items with {} yet.", reader.resource);
        return Some(ErrorOutput::new(ErrorName::ITEM_READER_FAILED, cause));
    }
    let resource = map.result_writer.as_ref().and_then(|writer| writer.resource.as_ref())?;
    let cause = format!("Stepwell does not write results with {resource} yet.");
    Some(ErrorOutput::new(ErrorName::RESULT_WRITER_FAILED, cause))
}

impl LimitsUpdate {
    /// Whether `limits` have it already.
    fn holds(&self, limits: &MapRunLimits) -> bool {
        let mut updated = *limits;
        self.apply(&mut updated);
        updated == *limits
    }
}
