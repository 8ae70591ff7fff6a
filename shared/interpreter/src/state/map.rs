//! Map, with its iterations in this execution's history. With a Map Run: `map_run.rs`.

use stepwell_asl::{Dynamic, ErrorName, Items, Map, ProcessorMode, State, StateKind};
use stepwell_expr::{PathExpression, Payload, QueryLanguage, Template, Value};

use super::fork::are_joined;
use crate::choice::unexpected_type;
use crate::decision::Decider;
use crate::execution::{Phase, Step};
use crate::failure::Fault;
use crate::io::handed_on;
use crate::record::{BranchId, EventBody, EventId, MapItem};

/// Iterations of an inline Map that run at once, at the most; also what `MaxConcurrency: 0` means.
const CONCURRENCY_MAX: u64 = 40;

impl Decider<'_> {
    pub(super) fn map(
        &mut self,
        branch: BranchId,
        state: &State,
        map: &Map,
        input: &Payload,
    ) -> Result<(), Fault> {
        if self.test.is_some() {
            return self.map_under_test(branch, state, map, input);
        }
        let selected = self.selected_input(branch, &map.io, input)?;
        if matches!(map.mode, ProcessorMode::Distributed { .. }) {
            return self.distributed(branch, state, map, &selected);
        }
        let items = self.items(branch, map, &selected)?;
        let length = count(state, map, &items)?;
        let concurrency = match self.max_concurrency(branch, map, &selected)? {
            0 => CONCURRENCY_MAX as u32,
            asked => asked.min(CONCURRENCY_MAX) as u32,
        };
        let body = EventBody::MapStateStarted { length: length as u32, items, concurrency };
        let started = self.event(branch, body);
        if length == 0 {
            self.event(branch, EventBody::MapStateSucceeded);
            return Ok(());
        }
        for _ in 0..u32::min(concurrency, length as u32) {
            self.begin_iteration(branch, state, map, started)?;
        }
        Ok(())
    }

    /// Begins another iteration where a redrive found room for one.
    pub(crate) fn resume(&mut self, branch: BranchId, state: &State) {
        let Phase::In { step: Step::Forked(fork), .. } = &self.execution.branch(branch).phase else { return };
        let (StateKind::Map(map), started) = (&state.kind, fork.started) else { return };
        if let Err(fault) = self.begin_iteration(branch, state, map, started) {
            self.fault(branch, state, fault);
        }
    }

    /// Begins the next iteration behind the event `previous`, if one is left.
    fn begin_iteration(
        &mut self,
        branch: BranchId,
        state: &State,
        map: &Map,
        previous: EventId,
    ) -> Result<(), Fault> {
        let Phase::In { step: Step::Forked(fork), input: state_input, .. } =
            &self.execution.branch(branch).phase
        else {
            return Ok(());
        };
        if fork.begun >= fork.length || self.has_ended() {
            return Ok(());
        }
        let (items, index, state_input) = (fork.items.clone(), fork.begun, state_input.clone());
        let item = nth(items.value(), index);
        let input = match &map.item_selector {
            None => item.value.clone(),
            Some(selector) => {
                let selected = self.selected_input(branch, &map.io, &state_input)?;
                self.item_selected(branch, map, selector, &item, &selected)?
            }
        };
        let start_at = self.definition.block(map.processor).start_at.clone();
        let name = state.name.clone();
        self.event_after(branch, previous, EventBody::MapIterationStarted { name, item, input, start_at });
        Ok(())
    }

    /// What `ItemSelector` makes of `item`.
    pub(crate) fn item_selected(
        &mut self,
        branch: BranchId,
        map: &Map,
        selector: &Template,
        item: &MapItem,
        selected: &Payload,
    ) -> Result<Payload, Fault> {
        let entropy = self.entropy();
        let scope = self.scope(branch, entropy, selected.value()).with_item(item);
        handed_on(Payload::of(selector.evaluate(&scope, map.item_selector_field)?), selected)
    }

    pub(super) fn iteration_ended(
        &mut self,
        branch: BranchId,
        state: &State,
        map: &Map,
        child: BranchId,
        index: u32,
    ) {
        // Recorded: the next iteration follows the last event inside the one before, not its end.
        let last = self.execution.branch(child).previous;
        self.event(child, EventBody::MapIterationSucceeded { name: state.name.clone(), index });
        let Phase::In { step: Step::Forked(fork), .. } = &self.execution.branch(branch).phase else { return };
        // Now and then, not each time: there may be hundreds of thousands.
        let is_looked_at = fork.ended == fork.length || fork.ended.is_power_of_two();
        if is_looked_at && !are_joined(fork.results.iter().flatten()) {
            self.abort_begun(branch);
            self.too_large(branch, state);
        } else if fork.ended == fork.length {
            self.event(branch, EventBody::MapStateSucceeded);
        } else if let Err(fault) = self.begin_iteration(branch, state, map, last) {
            self.fault(branch, state, fault);
        }
    }

    pub(super) fn items(
        &mut self,
        branch: BranchId,
        map: &Map,
        selected: &Payload,
    ) -> Result<Payload, Fault> {
        let entropy = self.entropy();
        let scope = self.scope(branch, entropy, selected.value());
        match &map.items {
            Items::Input => Ok(selected.clone()),
            Items::Path(path) => match path.select(&scope) {
                Ok(value) => Ok(Payload::of(value)),
                Err(missing) => Err(match path.conflict(&scope) {
                    Some(conflict) => Fault::of(ErrorName::REFERENCE_PATH_CONFLICT, conflict),
                    None => missing.into(),
                }),
            },
            Items::Template(template) => {
                let value = template.evaluate(&scope, "Items")?;
                let is_iterable = match &value {
                    Value::Array(_) => true,
                    Value::Object(_) => map.mode != ProcessorMode::Inline,
                    _ => false,
                };
                match template.expression() {
                    Some(expression) if !is_iterable => {
                        Err(unexpected_type(expression, "Items", "array", &value))
                    }
                    _ => Ok(Payload::of(value)),
                }
            }
        }
    }

    /// `MaxConcurrency`; 0 where it is not given.
    pub(super) fn max_concurrency(
        &mut self,
        branch: BranchId,
        map: &Map,
        selected: &Payload,
    ) -> Result<u64, Fault> {
        let asked = self.map_number(branch, map.max_concurrency.as_ref(), "MaxConcurrency", selected)?;
        Ok(asked.unwrap_or(0))
    }

    /// A Map's `MaxConcurrency`, or another of its fields that hold a whole number.
    pub(super) fn map_number(
        &mut self,
        branch: BranchId,
        number: Option<&Dynamic<u64>>,
        field: &str,
        selected: &Payload,
    ) -> Result<Option<u64>, Fault> {
        let Some(number) = number else { return Ok(None) };
        let entropy = self.entropy();
        let scope = self.scope(branch, entropy, selected.value());
        match number {
            Dynamic::Fixed(number) => Ok(Some(*number)),
            Dynamic::Path(path) => {
                path_integer(path, &format!("{field}Path"), &path.select(&scope)?).map(Some)
            }
            Dynamic::Expression(expression) => {
                let value = expression.evaluate(&scope, field)?;
                let Some(number) = value.as_number() else {
                    return Err(unexpected_type(expression.text(), field, "number", &value));
                };
                let number = number.as_integral().and_then(|number| u64::try_from(number).ok());
                number.map(Some).ok_or_else(|| super::not_a_count(field, &value))
            }
        }
    }
}

/// Recorded: digits in a text are a number, too.
fn path_integer(path: &PathExpression, field: &str, value: &Value) -> Result<u64, Fault> {
    let number = value.as_number().and_then(|number| number.as_integral());
    let number = number.or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    let number = number.and_then(|number| u64::try_from(number).ok());
    number.ok_or_else(|| super::not_an_integer(field, path.text(), value, "integer"))
}

/// How many items there are.
pub(super) fn count(state: &State, map: &Map, items: &Payload) -> Result<usize, Fault> {
    match items.value() {
        Value::Array(items) => Ok(items.len()),
        // The guide: Inline mode accepts only a JSON array; recorded of a path and of a JSONata expression.
        Value::Object(members) if map.mode != ProcessorMode::Inline => Ok(members.len()),
        other => Err(not_iterable(state, &map.items, other)),
    }
}

fn not_iterable(state: &State, items: &Items, value: &Value) -> Fault {
    if state.language == QueryLanguage::Jsonata {
        let message = format!("Map state input must be an array but was: {}", value.shown());
        return Fault::of(ErrorName::QUERY_EVALUATION_ERROR, message);
    }
    let path = match items {
        Items::Path(path) => path.text(),
        // ASL: the default of ItemsPath.
        _ => "$",
    };
    // Recorded: a path into the Context object is shown with one `$`.
    let path = if path.starts_with("$$") { &path[1..] } else { path };
    Fault::runtime(format!("Reference path \"{path}\" must point to array."))
}

/// Item number `index` of an array or of an object's members.
pub(crate) fn nth(items: &Value, index: u32) -> MapItem {
    let at = index as usize;
    let (key, value) = match items {
        Value::Object(map) => map.member(at).map(|(key, value)| (Some(key.clone()), value.clone())),
        other => other.as_array().and_then(|items| items.get(at)).map(|value| (None, value.clone())),
    }
    .unwrap_or((None, Value::Null));
    MapItem { index, key, value: Payload::of(value) }
}
