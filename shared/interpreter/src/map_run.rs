//! What the executions of a Map Run are started with.
//!
//! Each input is evaluated when its execution is about to be started, in the scope of the state that waits for the Map
//! Run: nothing is stored for items whose turn has not come.

use stepwell_asl::{Definition, Map, State, StateKind};
use stepwell_expr::Payload;

use crate::decision::Decider;
use crate::execution::{MapRun, Phase};
use crate::failure::{Fault, data_limit_exceeded};
use crate::io::is_within_limits;
use crate::record::{AttemptId, BranchId, ErrorOutput, MapItem};
use crate::state::map::nth;
use crate::{Execution, Now};

/// Bytes of inputs after which [`child_inputs`] gives no more of them at once.
const INPUT_BYTES_STOP: usize = 1 << 20;

/// What one execution of a Map Run is started with.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildInput {
    /// Its input.
    pub input: Payload,
    /// How many items it has: more than one where they come in batches.
    pub items: u64,
}

/// The inputs of the executions that begin with item `from`, one at least and `max` at the most; none where there is no
/// such item, or `attempt` does not wait for a Map Run.
///
/// # Errors
/// Why the Map Run fails: an `ItemSelector` that cannot be evaluated, or an input that is too large.
pub fn child_inputs(
    definition: &Definition,
    execution: &Execution,
    attempt: AttemptId,
    (from, max): (u64, usize),
    now: Now,
) -> Result<Vec<ChildInput>, ErrorOutput> {
    let Some((branch, map_run)) = execution.map_run(attempt) else { return Ok(vec![]) };
    let map_run = map_run.clone();
    let mut decider = Decider::new(definition, execution, now, None);
    let Some(state) = decider.state_of(branch) else { return Ok(vec![]) };
    let StateKind::Map(map) = &state.kind else { return Ok(vec![]) };
    let inputs = Inputs { branch, map, map_run: &map_run }.from(&mut decider, from, max);
    inputs.map_err(|fault| decider.map_run_error(branch, state, &fault))
}

impl Decider<'_> {
    /// The inputs of all executions that `map_run`, which needs not have begun, would start.
    pub(crate) fn all_inputs(
        &mut self,
        branch: BranchId,
        map: &Map,
        map_run: &MapRun,
    ) -> Result<Vec<ChildInput>, Fault> {
        let (inputs, mut all, mut from) = (Inputs { branch, map, map_run }, vec![], 0);
        while from < map_run.length() {
            let some = inputs.from(self, from, usize::MAX)?;
            from += some.iter().map(|input| input.items).sum::<u64>().max(1);
            all.extend(some);
        }
        Ok(all)
    }
}

struct Inputs<'a> {
    branch: BranchId,
    map: &'a Map,
    map_run: &'a MapRun,
}

impl Inputs<'_> {
    fn from(&self, decider: &mut Decider<'_>, from: u64, max: usize) -> Result<Vec<ChildInput>, Fault> {
        let selected = self.selected(decider)?;
        let length = self.map_run.length();
        let (mut inputs, mut at, mut bytes) = (vec![], from, 0);
        // An item that the batch before had no room for is the first of the next one.
        let mut left: Option<Payload> = None;
        while at < length && inputs.len() < max && bytes < INPUT_BYTES_STOP {
            let input = match self.map.item_batcher {
                None => ChildInput { input: self.item(decider, at, &selected)?, items: 1 },
                Some(_) => self.batch(decider, at..length, &selected, &mut left)?,
            };
            if !is_within_limits(&input.input, true) {
                return Err(Fault::too_large());
            }
            at += input.items;
            bytes += input.input.bytes();
            inputs.push(input);
        }
        Ok(inputs)
    }

    fn selected(&self, decider: &mut Decider<'_>) -> Result<Payload, Fault> {
        let Phase::In { input, .. } = &decider.execution.branch(self.branch).phase else {
            return Ok(Payload::default());
        };
        let input = input.clone();
        decider.selected_input(self.branch, &self.map.io, &input)
    }

    fn item(&self, decider: &mut Decider<'_>, at: u64, selected: &Payload) -> Result<Payload, Fault> {
        let item: MapItem = nth(self.map_run.items.value(), u32::try_from(at).unwrap_or(u32::MAX));
        let Some(selector) = &self.map.item_selector else { return Ok(item.value) };
        decider.item_selected(self.branch, self.map, selector, &item, selected)
    }

    /// As many of the items `at` as the limits let, one at least.
    fn batch(
        &self,
        decider: &mut Decider<'_>,
        at: std::ops::Range<u64>,
        selected: &Payload,
        left: &mut Option<Payload>,
    ) -> Result<ChildInput, Fault> {
        let limits = &self.map_run.limits;
        let bytes_max = limits.max_input_bytes_per_batch.unwrap_or(crate::PAYLOAD_BYTES_MAX as u64);
        let head = match &self.map_run.batch_input {
            Some(input) => format!(r#"{{"BatchInput":{},"Items":["#, input.text()),
            None => r#"{"Items":["#.to_owned(),
        };
        let (mut text, mut items) = (head, 0);
        for at in at {
            if limits.max_items_per_batch.is_some_and(|max| items >= max) {
                break;
            }
            let item = match left.take() {
                Some(item) => item,
                None => self.item(decider, at, selected)?,
            };
            let bytes = text.len() + usize::from(items > 0) + item.bytes() + "]}".len();
            if items > 0 && bytes as u64 > bytes_max {
                *left = Some(item);
                break;
            }
            if items > 0 {
                text.push(',');
            }
            text.push_str(item.text());
            items += 1;
        }
        text.push_str("]}");
        Ok(ChildInput { input: Payload::trusted(text), items })
    }
}

impl Decider<'_> {
    /// What a Map Run fails with whose items cannot be made.
    fn map_run_error(&self, branch: BranchId, state: &State, fault: &Fault) -> ErrorOutput {
        if fault.is_too_large() {
            return data_limit_exceeded(&state.name);
        }
        self.error_output(branch, state, fault)
    }
}
