//! The store on an emulator of DynamoDB (`tests/emulator`), one for each test, on loopback; queue and
//! scheduler on a stub.

mod bucket;
mod engine;
mod failures;
mod functions;
mod journal;
mod keys;
mod lambda;
mod live;
mod others;
mod ports;
mod queue;
mod remains;
mod s3;
mod stub;
mod support;
mod tasks;
mod timers;
