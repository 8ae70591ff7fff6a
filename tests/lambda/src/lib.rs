//! Lambda and the services that the functions stand on, on loopback: the functions' binaries run here as they do in AWS.
//!
//! [`Cloud`] is a table (`tests/emulator`), a queue, schedules and functions of the user's, which answer with their payload.
//! [`Function`] is one sandbox: a binary as a child process, with a Runtime API of its own. Permissions, event source mappings and
//! several sandboxes at once are for `tests/deployment`.

mod cloud;
mod function;
mod http;
mod queue;

pub use cloud::{ACCOUNT, Cloud, REGION};
pub use function::{Function, FunctionError};
