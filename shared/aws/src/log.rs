//! What a function writes into its log.

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

/// Lets everything of this process be logged as `filter` says, such as `info` or `warn,stepwell_engine=debug`; what cannot be
/// understood, and nothing, count as `warn`. Times are the log's own. The first to be called counts.
pub(crate) fn log_as(filter: Option<&str>) {
    let filter = filter.and_then(|filter| filter.parse().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN));
    let lines = fmt::layer().without_time().with_ansi(false).with_writer(std::io::stderr);
    // Another call came first.
    let _ =
        tracing_subscriber::registry().with(lines).with(filter).with(filter_fn(says_no_secrets)).try_init();
}

/// AWS's libraries, and Lambda's runtime, write whole requests and answers at their finer levels: whatever is asked for, those
/// stay out.
fn says_no_secrets(metadata: &Metadata<'_>) -> bool {
    let is_theirs = ["aws_", "lambda_runtime"].iter().any(|prefix| metadata.target().starts_with(prefix));
    *metadata.level() <= Level::INFO || !is_theirs
}
