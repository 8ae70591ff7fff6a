//! What a load came to: one line of JSON, and a table.

use std::time::Duration;

use serde_json::{Value, json};

use super::audit::Figures;
use super::machines::Machine;
use super::{Load, Plan};

/// What a load came to.
pub struct Report {
    /// Figures by name.
    pub figures: Value,
    /// What is not as it must be; empty where all is well.
    pub differences: Vec<String>,
}

/// How long it took.
pub struct Times {
    /// From the first start to the last.
    pub offered_for: Duration,
    /// From the first start until nothing ran any more.
    pub elapsed: Duration,
    /// The audit.
    pub audit: Duration,
    /// The server's processor time until then, in seconds.
    pub cpu: f64,
}

impl Report {
    pub(super) fn of(
        plan: &Plan,
        machines: &[Machine],
        mut load: Load,
        audit: Figures,
        memory: Vec<f64>,
        times: Times,
        mut differences: Vec<String>,
    ) -> Self {
        let acknowledged = load.acknowledged.len() as u64;
        let begun = acknowledged + audit.lost_but_begun;
        if [audit.listed, audit.ended, audit.histories].iter().any(|count| *count != begun) {
            differences.push(format!(
                "{begun} begun, {} listed, {} ended, {} histories",
                audit.listed, audit.ended, audit.histories
            ));
        }
        let by_machine: serde_json::Map<_, _> = machines
            .iter()
            .enumerate()
            .map(|(at, machine)| {
                let count =
                    load.acknowledged.iter().filter(|started| usize::from(started.machine) == at).count();
                (machine.name.clone(), json!(count))
            })
            .collect();
        let transitions: u64 =
            load.acknowledged.iter().map(|started| machines[usize::from(started.machine)].transitions).sum();
        load.latencies.sort_unstable();
        let elapsed = times.elapsed.as_secs_f64().max(0.001);
        let rounded = |value: f64| (value * 10.0).round() / 10.0;
        let figures = json!({
            "clients": plan.clients,
            "seconds": rounded(times.offered_for.as_secs_f64()),
            "requests": load.requests,
            "acknowledged": acknowledged,
            "ended": audit.ended,
            "histories": audit.histories,
            "listed": audit.listed,
            "events": audit.events,
            "calls": audit.calls,
            "called_twice": audit.called_twice,
            "throttled": load.throttled,
            "unavailable": load.unavailable,
            "refused_to_the_last": load.refused.len(),
            "replies_lost": load.lost.len(),
            "executions_per_s": rounded(acknowledged as f64 / elapsed),
            "transitions_per_s": rounded(transitions as f64 / elapsed),
            "start_p50_ms": quantile(&load.latencies, 0.5),
            "start_p99_ms": quantile(&load.latencies, 0.99),
            "drain_s": rounded((times.elapsed - times.offered_for).as_secs_f64()),
            "audit_s": rounded(times.audit.as_secs_f64()),
            "server_cpu_s": rounded(times.cpu),
            "rss_peak_mib": memory.iter().copied().fold(0.0, f64::max),
            "rss_mib": memory,
            "load_average": load_average(),
            "by_machine": by_machine,
            "differences": differences.len(),
        });
        Report { figures, differences }
    }

    /// The figures as a table for people, and the differences.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.figures.as_object().into_iter().flatten() {
            let value = match value {
                Value::Array(samples) if name == "rss_mib" => spread(samples),
                Value::String(text) => text.clone(),
                value => value.to_string(),
            };
            text.push_str(&format!("{name:>20}  {value}\n"));
        }
        for difference in &self.differences {
            text.push_str(&format!("DIFFERENCE: {difference}\n"));
        }
        text
    }
}

/// At most twenty of the samples, evenly spread.
fn spread(samples: &[Value]) -> String {
    let step = samples.len().div_ceil(20).max(1);
    let shown: Vec<_> =
        samples.iter().step_by(step).map(|value| format!("{:.0}", value.as_f64().unwrap_or(0.0))).collect();
    format!("{} (every {step} s)", shown.join(" "))
}

/// Milliseconds, of sorted microseconds.
fn quantile(sorted: &[u32], part: f64) -> Value {
    let at = ((sorted.len() as f64 * part) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(Value::Null, |us| json!(f64::from(*us) / 1000.0))
}

/// The machine's own, over one minute.
fn load_average() -> Value {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace()
        .next()
        .and_then(|first| first.parse::<f64>().ok())
        .map_or(Value::Null, |load| json!(load))
}
