//! What it costs: a line of JSON for each workload, and a table.

use serde_json::{Value, json};

use crate::prices::Prices;
use crate::run::{Outcome, Setting};
use crate::workload::{Bar, Workload};

/// How long what an execution leaves is kept, in months: 90 days.
const KEPT_MONTHS: f64 = 3.0;
const GB: f64 = 1_073_741_824.0;

/// What a workload costs, in dollars for a million executions.
#[derive(Debug, Clone)]
pub struct Bill {
    /// The workload.
    pub workload: Workload,
    /// What was counted.
    pub outcome: Outcome,
    /// What stands before `start`; Lambda's requests; its GB-seconds; writes; reads; SQS; Scheduler; S3; all else.
    pub parts: [f64; 9],
    /// All of it.
    pub total: f64,
    /// Keeping what an execution leaves for 90 days: on top.
    pub storage: f64,
    /// Removing it then: on top.
    pub removal: f64,
    /// Step Functions Standard.
    pub standard: f64,
    /// Step Functions Express, where it runs that long.
    pub express: Option<f64>,
}

const PARTS: [(&str, &[&str]); 9] = [
    ("front", &["function_url.", "http_api.", "rest_api."]),
    ("requests", &["lambda.requests"]),
    ("GB-s", &["lambda.gb_seconds"]),
    ("writes", &["dynamodb.write_units", "dynamodb.index_write_units"]),
    ("reads", &["dynamodb.read_units"]),
    ("SQS", &["sqs."]),
    ("Scheduler", &["scheduler."]),
    ("S3", &["s3."]),
    ("other", &["sts.", "logs.", "events."]),
];

impl Bill {
    /// Prices an outcome.
    pub fn new(workload: Workload, outcome: Outcome, prices: &Prices) -> Self {
        let executions = outcome.executions as f64;
        let million = 1e6 / executions;
        let parts = PARTS.map(|(_, prefixes)| prices.sum(&outcome.usage, prefixes) * million);
        let total = prices.sum(&outcome.usage, &[""]) * million;
        let months = KEPT_MONTHS / GB;
        let storage = outcome.table_bytes as f64 * months * prices.unit("dynamodb.storage_gb_months")
            + outcome.object_bytes as f64 * months * prices.unit("s3.storage_gb_months");
        let storage = storage * million;
        let removal = prices.sum(&outcome.removal, &[""]) * million;
        let standard = outcome.transitions as f64 * prices.unit("step_functions.transitions") * 1e6;
        let seconds = (outcome.shortest.as_secs_f64() * 10.0).ceil().max(1.0) / 10.0;
        let express = (seconds <= 300.0).then(|| {
            let duration = seconds * 64.0 / 1024.0 * prices.unit("step_functions.express_gb_seconds");
            (prices.unit("step_functions.express_requests") + duration) * 1e6
        });
        Bill { workload, outcome, parts, total, storage, removal, standard, express }
    }

    /// Dollars for a thousand transitions.
    pub fn per_thousand(&self) -> f64 {
        self.total / 1e3 / self.outcome.transitions.max(1) as f64
    }

    /// Whether it is under its bar, where it has one.
    pub fn meets(&self) -> Option<bool> {
        self.workload.bar.map(|bar| match bar {
            Bar::Transitions(most) => self.per_thousand() < most,
            Bar::Executions(most) => self.total < most,
        })
    }

    /// One line.
    pub fn json(&self, setting: Setting, prices: &Prices) -> Value {
        let outcome = &self.outcome;
        let each = |units: f64| (units / outcome.executions as f64 * 1e6).round() / 1e6;
        let meters: serde_json::Map<_, _> = outcome
            .usage
            .meters
            .iter()
            .map(|(meter, units)| ((*meter).to_owned(), each(*units).into()))
            .collect();
        let requests: serde_json::Map<_, _> =
            outcome.usage.requests.iter().map(|(name, n)| (name.clone(), each(*n as f64).into())).collect();
        let [start, step, timer] = outcome.invocations.map(|(count, time)| {
            let ms = time.as_secs_f64() * 1e3 / f64::from(count.max(1) as u32);
            json!({ "invocations": each(count as f64), "wall_ms": (ms * 10.0).round() / 10.0 })
        });
        let round = |value: f64| (value * 1e6).round() / 1e6;
        json!({
            "workload": self.workload.name,
            "executions": outcome.executions,
            "batch": outcome.batch,
            "memory_mb": setting.memory_mb,
            "architecture": if setting.arm { "arm64" } else { "x86_64" },
            "front": setting.front.meter(),
            "prices": prices.date,
            "transitions": outcome.transitions,
            "events": outcome.events,
            "cpu_ms": each(outcome.cpu.as_secs_f64() * 1e3),
            "per_execution": meters,
            "requests_per_execution": requests,
            "functions": { "start": start, "step": step, "timer": timer },
            "usd_per_million": round(self.total),
            "usd_per_million_by_part": PARTS.iter().zip(self.parts).map(|((name, _), usd)| ((*name).to_owned(), round(usd).into())).collect::<serde_json::Map<_, _>>(),
            "usd_per_million_stored_90_days": round(self.storage),
            "usd_per_million_removed_then": round(self.removal),
            "usd_per_1000_transitions": self.per_thousand(),
            "step_functions_standard_usd_per_million": self.standard,
            "step_functions_express_usd_per_million": self.express.map(round),
            "meets_its_bar": self.meets(),
        })
    }
}

/// The table.
pub fn table(bills: &[Bill]) -> String {
    let mut rows = vec![["workload", "batch", "transitions"].map(str::to_owned).to_vec()];
    rows[0].extend(PARTS.iter().map(|(name, _)| (*name).to_owned()));
    rows[0].extend(
        ["total", "per 1,000", "bar", "", "Standard", "times", "Express", "90 days", "removal"]
            .map(str::to_owned),
    );
    for bill in bills {
        let mut row = vec![
            bill.workload.name.clone(),
            bill.outcome.batch.to_string(),
            bill.outcome.transitions.to_string(),
        ];
        row.extend(
            bill.parts.iter().map(|usd| if *usd == 0.0 { "-".to_owned() } else { format!("{usd:.2}") }),
        );
        row.push(format!("{:.2}", bill.total));
        row.push(format!("{:.6}", bill.per_thousand()));
        row.push(match bill.workload.bar {
            Some(Bar::Transitions(most)) => format!("{most:.4}"),
            Some(Bar::Executions(most)) => format!("{most:.2}/M"),
            None => String::new(),
        });
        row.push(bill.meets().map_or("", |meets| if meets { "ok" } else { "OVER" }).to_owned());
        row.push(format!("{:.0}", bill.standard));
        row.push(format!("{:.0}x", bill.standard / bill.total));
        row.push(bill.express.map_or("-".to_owned(), |usd| format!("{usd:.2}")));
        row.push(format!("+{:.2}", bill.storage));
        row.push(format!("+{:.2}", bill.removal));
        rows.push(row);
    }
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|n| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(n, (cell, width))| {
            if n == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
