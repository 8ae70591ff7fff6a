//! The examples, run as a reader of the README would run them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::shell::{output, root};

/// An example, and a part of its output that shows it did its work.
const EXAMPLES: &[(&str, &str, &str)] = &[
    ("order-processing", "/status", "SHIPPED"),
    ("job-poller", "/status", "SUCCEEDED"),
    ("card-payment", "/status", "COMPLETED"),
    ("approval", "/status", "APPROVED"),
];

/// Runs every example with `program`.
pub(crate) fn run(program: &Path) -> Result<()> {
    for (name, pointer, expected) in EXAMPLES {
        let folder = root().join("examples").join(name);
        eprintln!("$ stepwell run examples/{name}");
        let text = output(Command::new(program).arg("run").arg(&folder).current_dir(root()))?;
        let printed: Value =
            serde_json::from_str(&text).with_context(|| format!("{name} printed no JSON: {text}"))?;
        let found = printed.pointer(pointer).and_then(Value::as_str);
        ensure!(found == Some(expected), "{name}: {pointer} is {found:?}, not {expected:?}: {text}");
    }
    println!("examples: {} ran", EXAMPLES.len());
    Ok(())
}
