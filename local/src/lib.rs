//! What the program `stepwell` is made of.
//!
//! It knows one machine: the project a user has on it ([`config`]), the Lambda functions that run on it ([`host`]), and
//! the API as it is served there ([`server`]), with the [`keys`] that requests may be signed with. [`deployed_keys`] are those of a deployment, and [`proxy`] serves another's API, one that is deployed, in its place. [`services`] says where other calls go, the [`assembly`] puts an engine
//! together over them, and [`cli`] has the commands.
//! It does not know what a state machine means; the engine and the integrations do, and reach functions through
//! [`host::Functions`].

pub mod assembly;
mod capacity;
pub mod cli;
pub mod config;
pub mod deployed_keys;
pub mod host;
pub mod keys;
pub mod machines;
mod notices;
pub mod proxy;
pub mod server;
pub mod services;
