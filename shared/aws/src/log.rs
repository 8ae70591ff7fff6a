//! What a function writes into its log.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

/// Lets everything of this process be logged as `filter` says, such as `info` or `warn,stepwell_engine=debug`; what cannot be
/// understood, and nothing, count as `warn`. Times are the log's own. The first to be called counts.
pub(crate) fn log_as(filter: Option<&str>) {
    let filter = filter.and_then(|filter| filter.parse().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN));
    let lines = fmt::layer().without_time().with_ansi(false).with_writer(std::io::stderr);
    // Another call came first.
    let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
}
