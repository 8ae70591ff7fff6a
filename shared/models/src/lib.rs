//! What the operations of AWS's services answer: their names, and the types and constraints of their outputs.
//!
//! The facts are AWS's own, from the public service models that botocore 1.41.2 carries (Apache License 2.0), of the month
//! in which TestState learned to check mocks; what was recorded then contradicts later models. `cargo xtask models` draws
//! them out into `data/outputs.bin`, one compressed table for each service, which is unpacked when it is first asked for.
//! This crate knows services by the names that Step Functions has for them, and how Step Functions spells members. It
//! knows no inputs, no protocols, no values and no errors' texts.

#![deny(clippy::disallowed_methods)]

mod bytes;
mod names;
mod shape;
mod table;

pub use names::{Casing, polling_operation, service_of_integration};
pub use shape::{
    Bounds, Builder, Kind, List, Map, Member, Operation, Service, ServiceBuilder, ShapeId, Structure, Type,
};
pub use table::{pack, service, services};
