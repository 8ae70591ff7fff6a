//! The store on an emulator of DynamoDB (`tests/emulator`), one for each test, on loopback.

mod journal;
mod others;
mod ports;
mod support;
