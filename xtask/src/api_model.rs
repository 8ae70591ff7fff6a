//! Draws the members and errors of the Step Functions API out of botocore's service model, for a test of `wire`.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell::root;

/// Structures inside one another at most.
const DEPTH_MAX: usize = 12;

/// Writes `shared/wire/tests/model.txt`: a line for each operation, member and error.
pub(crate) fn write(model: &Value, botocore: &Path) -> Result<()> {
    let mut text = format!("botocore {}\n", version(botocore)?);
    for (name, operation) in model["operations"].as_object().context("the model has no operations")? {
        writeln!(text, "operation {name}")?;
        for (side, direction) in [("input", "in"), ("output", "out")] {
            if let Some(shape) = operation[side]["shape"].as_str() {
                members(&mut text, &model["shapes"], direction, shape, "", 0)?;
            }
        }
        for error in operation["errors"].as_array().into_iter().flatten() {
            writeln!(text, "error {}", error["shape"].as_str().context("an error has no shape")?)?;
        }
    }
    let path = root().join("shared/wire/tests/model.txt");
    std::fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}: {} lines", path.display(), text.lines().count());
    Ok(())
}

/// The lines of a shape's members: where, type, and what the model says of it.
fn members(
    text: &mut String,
    shapes: &Value,
    direction: &str,
    shape: &str,
    path: &str,
    depth: usize,
) -> Result<()> {
    let shape = &shapes[shape];
    let kind = shape["type"].as_str().context("a shape has no type")?;
    let within = |of: &Value| of["shape"].as_str().map(str::to_owned).context("a shape holds nothing");
    if depth > DEPTH_MAX {
        return Ok(());
    }
    match kind {
        "structure" => {
            let required: Vec<_> = shape["required"].as_array().into_iter().flatten().collect();
            for (name, of) in shape["members"].as_object().into_iter().flatten() {
                let inner = within(of)?;
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let is_required = required.iter().any(|required| *required == name);
                line(text, direction, &path, &shapes[&inner], is_required)?;
                members(text, shapes, direction, &inner, &path, depth + 1)?;
            }
            Ok(())
        }
        "list" => {
            let inner = within(&shape["member"])?;
            let path = format!("{path}[]");
            if shapes[&inner]["type"] != "structure" {
                line(text, direction, &path, &shapes[&inner], false)?;
            }
            members(text, shapes, direction, &inner, &path, depth + 1)
        }
        _ => Ok(()),
    }
}

fn line(text: &mut String, direction: &str, path: &str, shape: &Value, is_required: bool) -> Result<()> {
    write!(text, "{direction} {path} {}", shape["type"].as_str().context("a shape has no type")?)?;
    if is_required {
        write!(text, " required")?;
    }
    for bound in ["min", "max"] {
        if let Some(value) = shape[bound].as_i64() {
            write!(text, " {bound}={value}")?;
        }
    }
    let values: Vec<_> = shape["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !values.is_empty() {
        write!(text, " enum={}", values.join("|"))?;
    }
    text.push('\n');
    Ok(())
}

fn version(botocore: &Path) -> Result<String> {
    let path = botocore.join("__init__.py");
    let source = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let line = source.lines().find_map(|line| line.strip_prefix("__version__ = "));
    Ok(line.context("botocore has no version")?.trim_matches(['\'', '"']).to_owned())
}
