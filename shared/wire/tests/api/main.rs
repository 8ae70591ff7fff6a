//! The API over an engine whose ports are in memory: every operation, and every exception that it documents.

mod accounts;
mod activities;
mod aliases;
mod deletion;
mod executions;
mod histories;
mod hostile;
mod machines;
mod map_runs;
mod model;
mod redrives;
mod site;
mod tasks;
mod test_state;
mod tokens;
mod versions;
