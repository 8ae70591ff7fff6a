//! What the program `stepwell` is made of.
//!
//! It knows one machine: the project a user has on it ([`config`]) and the Lambda functions that run on it ([`host`]).
//! It does not know what a state machine means; the engine and the integrations do, and reach functions through
//! [`host::Functions`].

pub mod config;
pub mod host;
