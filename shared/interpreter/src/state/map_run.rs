//! Map whose iterations are executions of their own: a Map Run is begun here, and its end taken in.

use stepwell_asl::{Dynamic, ErrorName, Map, State};
use stepwell_expr::{Payload, QueryLanguage, Value};

use super::map::count;
use crate::choice::unexpected_type;
use crate::decision::Decider;
use crate::execution::Phase;
use crate::failure::{Fault, data_limit_exceeded};
use crate::io::handed_on;
use crate::record::{AttemptId, BranchId, ErrorOutput, EventBody, EventId, MapRunLimits};
use crate::{Effect, Outcome, PAYLOAD_BYTES_MAX};

/// Child executions of one Map Run at a time, at the most (Developer Guide, "Service quotas").
const CONCURRENCY_MAX: u64 = 10_000;

impl Decider<'_> {
    pub(super) fn distributed(
        &mut self,
        branch: BranchId,
        state: &State,
        map: &Map,
        selected: &Payload,
    ) -> Result<(), Fault> {
        if let Phase::In { map_run: Some(map_run), .. } = &self.execution.branch(branch).phase {
            let (map_run_arn, count) = (map_run.arn.clone(), map_run.redrives + 1);
            let attempt = AttemptId(self.execution.attempts_made);
            self.event(branch, EventBody::MapRunRedriven { attempt, map_run_arn, count });
            self.effect(Effect::StartMapRun { attempt });
            return Ok(());
        }
        let items = match map.item_reader {
            // The Map Run reads them.
            Some(_) => Payload::of(Value::array(vec![])),
            None => self.items(branch, map, selected)?,
        };
        let length = count(state, map, &items)?;
        let max_concurrency = self.max_concurrency(branch, map, selected)?.min(CONCURRENCY_MAX) as u32;
        let nothing = Payload::default();
        self.event(
            branch,
            EventBody::MapStateStarted { length: length as u32, items: nothing, concurrency: 0 },
        );
        // Recorded: what is wrong with the tolerances shows after that.
        let limits = self.map_run_limits(branch, map, max_concurrency, selected)?;
        let batch_input = self.batch_input(branch, map, selected)?;
        let (attempt, map_run_arn) = (AttemptId(self.execution.attempts_made), self.map_run_arn(state));
        self.event(
            branch,
            EventBody::MapRunStarted {
                attempt,
                map_run_arn,
                limits,
                items,
                has_batch_input: batch_input.is_some(),
                batch_input: batch_input.unwrap_or_default(),
            },
        );
        self.effect(Effect::StartMapRun { attempt });
        Ok(())
    }

    fn map_run_arn(&mut self, state: &State) -> std::sync::Arc<str> {
        let uuid = self.entropy().uuid();
        let machine = self.execution.info().map_or("", |info| &*info.state_machine_arn);
        // A child execution's own machine is named by its label, which its Map Runs' labels take the place of.
        let machine = machine.replacen(":stateMachine:", ":mapRun:", 1);
        let machine = machine.split_once('/').map_or(&*machine, |(machine, _)| machine);
        format!("{machine}/{}:{uuid}", state.label().unwrap_or_default()).into()
    }

    pub(super) fn map_run_limits(
        &mut self,
        branch: BranchId,
        map: &Map,
        max_concurrency: u32,
        selected: &Payload,
    ) -> Result<MapRunLimits, Fault> {
        let count = map.tolerated_failure_count.as_ref();
        let count = self.map_number(branch, count, "ToleratedFailureCount", selected)?;
        let percentage = self.map_percentage(branch, map, selected)?;
        if percentage.is_some_and(|percentage| !(0.0..=100.0).contains(&percentage)) {
            return Err(Fault::runtime("ToleratedFailurePercentage must be between 0 and 100."));
        }
        let batcher = map.item_batcher.as_ref();
        let items = batcher.and_then(|batcher| batcher.max_items_per_batch.as_ref());
        let items = self.map_number(branch, items, "MaxItemsPerBatch", selected)?;
        let bytes = batcher.and_then(|batcher| batcher.max_input_bytes_per_batch.as_ref());
        let bytes = self.map_number(branch, bytes, "MaxInputBytesPerBatch", selected)?;
        let positive = |number: Option<u64>| number.filter(|number| *number > 0);
        Ok(MapRunLimits {
            max_concurrency,
            tolerated_failure_count: count,
            tolerated_failure_percentage: percentage,
            max_items_per_batch: positive(items),
            max_input_bytes_per_batch: positive(bytes),
        })
    }

    /// `ToleratedFailurePercentage`
    pub(super) fn map_percentage(
        &mut self,
        branch: BranchId,
        map: &Map,
        selected: &Payload,
    ) -> Result<Option<f64>, Fault> {
        const FIELD: &str = "ToleratedFailurePercentage";
        let Some(percentage) = &map.tolerated_failure_percentage else { return Ok(None) };
        let entropy = self.entropy();
        let scope = self.scope(branch, entropy, selected.value());
        match percentage {
            Dynamic::Fixed(percentage) => Ok(Some(*percentage)),
            Dynamic::Path(path) => {
                let (value, field) = (path.select(&scope)?, format!("{FIELD}Path"));
                let number = float(&value);
                number.map(Some).ok_or_else(|| super::not_an_integer(&field, path.text(), &value, "float"))
            }
            Dynamic::Expression(expression) => {
                let value = expression.evaluate(&scope, FIELD)?;
                let number = value.as_number().map(|number| number.as_f64());
                number.map(Some).ok_or_else(|| unexpected_type(expression.text(), FIELD, "number", &value))
            }
        }
    }

    pub(super) fn batch_input(
        &mut self,
        branch: BranchId,
        map: &Map,
        selected: &Payload,
    ) -> Result<Option<Payload>, Fault> {
        let Some(template) = map.item_batcher.as_ref().and_then(|batcher| batcher.batch_input.as_ref())
        else {
            return Ok(None);
        };
        let entropy = self.entropy();
        let scope = self.scope(branch, entropy, selected.value());
        let value = template.evaluate(&scope, "ItemBatcher/BatchInput")?;
        handed_on(Payload::of(value), selected).map(Some)
    }

    /// The Map Run that `branch` waits for has ended.
    pub(crate) fn map_run_ended(&mut self, branch: BranchId, attempt: AttemptId, outcome: &Outcome) {
        match outcome {
            Outcome::Succeeded(output) if output.bytes() <= PAYLOAD_BYTES_MAX => {
                let (output, exits_behind_start) = (output.clone(), self.exits_behind_start(branch));
                let body = EventBody::MapRunSucceeded { attempt, output, exits_behind_start };
                let succeeded = self.event(branch, body);
                self.event_after(branch, succeeded, EventBody::MapStateSucceeded);
            }
            Outcome::Succeeded(_) => {
                let name = self.state_of(branch).map(|state| state.name.clone()).unwrap_or_default();
                self.event(branch, EventBody::MapRunFailed(attempt, data_limit_exceeded(&name)));
            }
            Outcome::Failed(error) => {
                self.event(branch, EventBody::MapRunFailed(attempt, error.cut()));
            }
            Outcome::TimedOut => {
                let error = ErrorOutput { error: Some(ErrorName::TIMEOUT.into()), cause: None };
                self.event(branch, EventBody::MapRunFailed(attempt, error));
            }
        }
    }

    /// Recorded both ways: what was recorded up to July 2024 exits behind `MapRunSucceeded`, what was recorded from November
    /// 2024 on behind `MapRunStarted`. Of the latter none is a JSONPath Map that its machine starts with, so
    /// that each follows the latest recording of its like.
    fn exits_behind_start(&self, branch: BranchId) -> bool {
        let is_first = matches!(
            self.execution.branch(branch).phase,
            Phase::In { before, .. } if before == EventId(0)
        );
        let language = self.state_of(branch).map(|state| state.language);
        !is_first || language != Some(QueryLanguage::JsonPath)
    }

    /// The execution ends, and with it every Map Run that is under way.
    pub(crate) fn abort_map_runs(&mut self) {
        let open: Vec<_> =
            self.execution.map_runs().map(|(branch, map_run)| (branch, map_run.attempt)).collect();
        for (branch, attempt) in open {
            self.event(branch, EventBody::MapRunAborted(attempt));
        }
    }
}

/// Digits in a text are a number, too (recorded of other fields).
fn float(value: &Value) -> Option<f64> {
    let number = value.as_number().map(|number| number.as_f64());
    number.or_else(|| value.as_str().and_then(|text| text.parse().ok())).filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_may_be_a_text() {
        let read = |text: &str| float(&stepwell_expr::json::parse(text).expect("it is JSON"));
        assert_eq!([read("2"), read("\"2.5\""), read("-1")], [Some(2.0), Some(2.5), Some(-1.0)]);
        for text in ["\"NoNumber\"", "null", "[1]", "\"inf\"", "\"NaN\""] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
