//! A Map state under test: everything that its fields say is evaluated, and a mock stands for the iterations.

use stepwell_asl::{ErrorName, Io, Map, State};
use stepwell_expr::{Payload, Value};

use super::map::{count, nth};
use crate::Outcome;
use crate::decision::Decider;
use crate::execution::MapRun;
use crate::failure::Fault;
use crate::item_reader::{self, limited, pointer_into};
use crate::record::{AttemptId, BranchId, ErrorOutput, MapRunLimits};
use crate::tested::shown;

impl Decider<'_> {
    pub(super) fn map_under_test(
        &mut self,
        branch: BranchId,
        state: &State,
        map: &Map,
        input: &Payload,
    ) -> Result<(), Fault> {
        let selected = self.shown_input(branch, &map.io, input)?;
        let items = match &map.item_reader {
            None => Some(self.items(branch, map, &selected)?),
            Some(_) => self.read_items(map)?,
        };
        let length = items.as_ref().map(|items| count(state, map, items)).transpose()?;
        if let (Some(items), Io::JsonPath(_), None) = (&items, &map.io, &map.item_reader) {
            self.note(|seen| seen.after_items_path = Some(spaced(items)));
        }
        self.note(|seen| seen.iterations = length);
        let limits = self.noted_limits(branch, map, &selected)?;
        if let Some(items) = items {
            self.select_items(branch, map, &limits, items, &selected)?;
        }
        let exceeded = length.is_some_and(|length| self.is_exceeded(&limits, length));
        match self.mock().cloned() {
            Some(Outcome::Succeeded(_)) if exceeded => {
                let cause = "The specified tolerated failure threshold was exceeded";
                let error = ErrorOutput::new(ErrorName::EXCEED_TOLERATED_FAILURE_THRESHOLD, cause);
                self.mocked(branch, state, input, Outcome::Failed(error));
                Ok(())
            }
            Some(mock) => {
                self.mocked(branch, state, input, mock);
                Ok(())
            }
            None => Err(Fault::runtime("A Map state is tested with a mock only.")),
        }
    }

    /// What the test says that the ItemReader read, as items; `None` where that is not known.
    fn read_items(&mut self, map: &Map) -> Result<Option<Payload>, Fault> {
        let Some(text) = self.test.and_then(|test| test.setup.reader_data.as_ref()) else { return Ok(None) };
        let config = map.item_reader.as_ref().and_then(|reader| reader.config.as_ref());
        let unreadable = |message: String| Fault::of(ErrorName::ITEM_READER_FAILED, message);
        let Some(read) = item_reader::items(text, config).map_err(unreadable)? else { return Ok(None) };
        let pointer = config.and_then(|config| config.get("ItemsPointer")).and_then(Value::as_str);
        let Some(pointer) = pointer else { return Ok(Some(Payload::of(limited(read, config)))) };
        let found = pointer_into(&read, pointer).cloned();
        let found =
            found.ok_or_else(|| unreadable(format!("The ItemsPointer {pointer} points to nothing.")))?;
        let found = Payload::of(limited(found, config));
        self.note(|seen| seen.after_items_pointer = Some(spaced(&found)));
        Ok(Some(found))
    }

    /// What goes into the iterations, where that is not the items as they are.
    fn select_items(
        &mut self,
        branch: BranchId,
        map: &Map,
        limits: &MapRunLimits,
        items: Payload,
        selected: &Payload,
    ) -> Result<(), Fault> {
        let batch_input = self.batch_input(branch, map, selected)?;
        let (attempt, arn, limits) = (AttemptId(0), "".into(), *limits);
        let map_run = MapRun { attempt, arn, limits, items, batch_input, redrives: 0 };
        if let Some(selector) = &map.item_selector {
            let mut made = vec![];
            for index in 0..map_run.length() as u32 {
                let item = nth(map_run.items.value(), index);
                made.push(self.item_selected(branch, map, selector, &item, selected)?);
            }
            self.note(|seen| seen.after_item_selector = Some(shown(made.iter())));
        }
        if map.item_batcher.is_some() {
            let batches = self.all_inputs(branch, map, &map_run)?;
            let batches = shown(batches.iter().map(|batch| &batch.input));
            self.note(|seen| seen.after_item_batcher = Some(batches));
        }
        Ok(())
    }

    /// The limits, which are noted.
    fn noted_limits(
        &mut self,
        branch: BranchId,
        map: &Map,
        selected: &Payload,
    ) -> Result<MapRunLimits, Fault> {
        let concurrency = self.max_concurrency(branch, map, selected)?;
        self.note(|seen| seen.max_concurrency = Some(concurrency));
        let concurrency = u32::try_from(concurrency).unwrap_or(u32::MAX);
        let limits = self.map_run_limits(branch, map, concurrency, selected)?;
        self.note(|seen| {
            seen.tolerated_failure_count = limits.tolerated_failure_count;
            seen.tolerated_failure_percentage = limits.tolerated_failure_percentage;
        });
        Ok(limits)
    }

    /// Whether the test says that more iterations failed than may. Recorded: without a threshold, any number may.
    fn is_exceeded(&self, limits: &MapRunLimits, length: usize) -> bool {
        let Some(failed) = self.test.and_then(|test| test.setup.failed_iterations) else { return false };
        let percentage = f64::from(failed) * 100.0 / length.max(1) as f64;
        limits.tolerated_failure_count.is_some_and(|count| u64::from(failed) > count)
            || limits.tolerated_failure_percentage.is_some_and(|tolerated| percentage > tolerated)
    }
}

/// Items as a test shows them.
fn spaced(items: &Payload) -> Payload {
    match items.value() {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| Payload::of(item.clone())).collect();
            shown(items.iter())
        }
        _ => items.clone(),
    }
}
