//! The store on an emulator of DynamoDB (`tests/emulator`), one for each test, on loopback; queue and
//! scheduler on a stub.

mod engine;
mod journal;
mod others;
mod ports;
mod queue;
mod stub;
mod support;
