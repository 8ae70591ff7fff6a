//! The commands of the program, one file each: what they take, and what they print.

pub mod graph;
pub mod validate;

mod source;
