//! The commands of the program, one file each: what they take, and what they print.

pub mod graph;
pub mod keys;
pub mod proxy;
pub mod run;
pub mod serve;
pub mod validate;

mod progress;
mod source;
mod view;
