//! The live view of a run: a line for each state on a terminal, a plain log elsewhere. Both on standard error.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use console::{Style, style};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use stepwell_interpreter::Record;

use super::progress::{Note, Progress, Row, Waiting};

/// Shows how a run goes on.
pub(crate) enum View {
    /// A line for each state, redrawn.
    Live(Live),
    /// A line for each thing that happens.
    Plain(Progress),
}

impl View {
    /// Live on a terminal, plain elsewhere.
    pub(crate) fn new(plain: bool) -> Self {
        if plain || !std::io::stderr().is_terminal() {
            View::Plain(Progress::default())
        } else {
            View::Live(Live::new())
        }
    }

    /// Where lines of others, such as a function's output, can be written without breaking the view.
    pub(crate) fn lines(&self) -> Lines {
        match self {
            View::Live(live) => Lines(Some(live.bars.clone())),
            View::Plain(_) => Lines(None),
        }
    }

    /// Shows what was just committed.
    pub(crate) fn take(&mut self, records: &[Record]) {
        match self {
            View::Live(live) => {
                for record in records {
                    live.progress.take(record);
                }
                live.draw();
            }
            View::Plain(progress) => {
                for note in records.iter().filter_map(|record| progress.take(record)) {
                    // Nobody has to read this.
                    let _ = writeln!(std::io::stderr(), "{}", plain(&note));
                }
            }
        }
    }

    /// Leaves the view as it is.
    pub(crate) fn finish(&mut self) {
        if let View::Live(live) = self {
            live.finish();
        }
    }
}

/// Writes lines above the view.
#[derive(Clone)]
pub(crate) struct Lines(Option<MultiProgress>);

impl Lines {
    pub(crate) fn write(&self, line: &str) {
        match &self.0 {
            Some(bars) => {
                let _ = bars.println(line);
            }
            None => {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
    }
}

fn plain(note: &Note) -> String {
    let seconds = note.elapsed_ms as f64 / 1000.0;
    match &note.state {
        Some(state) => format!("{seconds:>9.3}  {state}: {}", note.text),
        None => format!("{seconds:>9.3}  {}", note.text),
    }
}

/// The view on a terminal.
pub(crate) struct Live {
    progress: Progress,
    bars: MultiProgress,
    rows: BTreeMap<Arc<str>, ProgressBar>,
}

impl Live {
    fn new() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(20));
        Live { progress: Progress::default(), bars, rows: BTreeMap::new() }
    }

    /// Brings every state's line up to date.
    fn draw(&mut self) {
        let width =
            self.progress.rows().iter().map(|row| row.name.chars().count()).max().unwrap_or(0).min(40);
        for row in self.progress.rows() {
            let bar = self.rows.entry(row.name.clone()).or_insert_with(|| {
                let bar = self.bars.add(ProgressBar::new_spinner());
                bar.enable_steady_tick(Duration::from_millis(100));
                bar
            });
            show(bar, row, width);
        }
    }

    /// Leaves the lines as they are.
    fn finish(&mut self) {
        self.rows.values().for_each(ProgressBar::abandon);
    }
}

fn show(bar: &ProgressBar, row: &Row, width: usize) {
    let (mark, colour) = look(row);
    let template = if mark.is_empty() { "{spinner:.cyan} {msg}" } else { "{prefix} {msg}" };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(colour.apply_to(mark).to_string());
    bar.set_message(format!("{:width$}  {}", row.name, style(told(row)).dim()));
}

/// The mark and colour of a state; no mark while it runs.
fn look(row: &Row) -> (&'static str, Style) {
    if row.running > 0 {
        ("", Style::new().cyan())
    } else if row.failed > 0 {
        ("✗", Style::new().red())
    } else if row.aborted > 0 {
        ("–", Style::new().yellow())
    } else if row.error.is_some() {
        ("!", Style::new().yellow())
    } else {
        ("✓", Style::new().green())
    }
}

fn told(row: &Row) -> String {
    let mut parts = vec![format!("{:.2} s", (row.to.0 - row.from.0) as f64 / 1000.0)];
    let visits = row.running + row.succeeded + row.failed + row.aborted;
    if visits > 1 {
        parts.push(format!("{} of {visits} done", row.succeeded));
    }
    if row.attempts > visits {
        parts.push(format!("{} attempts", row.attempts));
    }
    match row.waiting {
        Some(Waiting::Until(_)) => parts.push("waiting".into()),
        Some(Waiting::Retry(_)) => parts.push("will retry".into()),
        Some(Waiting::Callback) => parts.push("waiting for a callback".into()),
        None => {}
    }
    if let Some(error) = &row.error {
        parts.push(error.to_string());
    }
    parts.join(", ")
}
