//! JSON: the shared [`Value`], its reader and writer, and the [`Payload`] that keeps text and value together.

mod map;
mod number;
mod payload;
mod read;
mod value;
mod write;

pub use map::Map;
pub use number::Number;
pub use payload::Payload;
pub use read::{
    Build, DEPTH_MAX, JsonError, JsonErrorKind, Options, Values, check, parse, parse_with, source_location,
};
pub use value::{Kind, Value};
pub(crate) use write::{Notation, write_as};
pub use write::{write_string, write_value, write_value_within};
