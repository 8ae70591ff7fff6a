//! Completes the short form of a definition.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use stepwell_asl::{Definition, Format, MachineType, parse};

/// Reads a definition that may be in the short form.
///
/// # Errors
///
/// Every diagnostic, where the completed definition is wrong.
pub(crate) fn read(text: &str) -> Result<Definition> {
    let braced = format!("{{{text}}}");
    let json = [text, &braced].into_iter().find_map(|text| match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    });
    let parsed = match json {
        Some(object) if object.contains_key("States") => parse(text, Format::Json, MachineType::Standard),
        Some(mut object) => {
            complete(&mut object);
            let text = serde_json::to_string(&object).context("a value can be written")?;
            parse(&text, Format::Json, MachineType::Standard)
        }
        None => parse(text, Format::Yaml, MachineType::Standard),
    };
    match parsed.definition {
        Some(definition) => Ok(definition),
        None => {
            let told: Vec<_> = parsed
                .diagnostics
                .iter()
                .map(|found| format!("{} at {}", found.message, found.location))
                .collect();
            bail!("the definition is refused: {}", told.join("; "))
        }
    }
}

/// Completes a block: a definition, a branch, or an item processor.
fn complete(block: &mut Map<String, Value>) {
    if !block.contains_key("States") {
        let names: Vec<_> = block
            .iter()
            .filter(|(_, value)| value.get("Type").is_some())
            .map(|(name, _)| name.clone())
            .collect();
        let states: Map<_, _> =
            names.iter().filter_map(|name| Some((name.clone(), block.shift_remove(name)?))).collect();
        if let Some(first) = names.first() {
            block.entry("StartAt").or_insert_with(|| first.clone().into());
        }
        block.insert("States".to_owned(), Value::Object(states));
    }
    let Some(Value::Object(states)) = block.get_mut("States") else { return };
    let names: Vec<_> = states.keys().cloned().collect();
    for (at, (name, state)) in states.iter_mut().enumerate() {
        if let Value::Object(state) = state {
            complete_state(name, state, names.get(at + 1));
        }
    }
}

fn complete_state(name: &str, state: &mut Map<String, Value>, following: Option<&String>) {
    let kind = state.get("Type").and_then(Value::as_str).unwrap_or_default();
    let goes_on = ["Pass", "Task", "Wait", "Parallel", "Map"].contains(&kind);
    if kind == "Task" {
        let resource = match state.get("Resource").and_then(Value::as_str) {
            None => format!("arn:aws:lambda:us-east-1:123456789012:function:{name}"),
            Some(arn) if arn.starts_with("arn:") => arn.to_owned(),
            Some(activity) if activity.starts_with("activity:") => {
                format!("arn:aws:states:us-east-1:123456789012:{activity}")
            }
            Some(service) => format!("arn:aws:states:::{service}"),
        };
        state.insert("Resource".to_owned(), resource.into());
    }
    if goes_on && !state.contains_key("Next") && !state.contains_key("End") {
        match following {
            Some(next) => state.insert("Next".to_owned(), next.clone().into()),
            None => state.insert("End".to_owned(), true.into()),
        };
    }
    if let Some(Value::Object(processor)) = state.get_mut("ItemProcessor") {
        complete(processor);
    }
    if let Some(Value::Array(branches)) = state.get_mut("Branches") {
        branches.iter_mut().filter_map(Value::as_object_mut).for_each(complete);
    }
}
