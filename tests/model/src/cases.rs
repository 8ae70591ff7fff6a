//! What is searched of the protocol as it is meant.

use crate::shapes::Shape::{
    self, Accepted, Callback, Parallel, Redrive, Retry, RetryAtOnce, Sequence, TokenThenCall,
};
use crate::{Case, Faults};

/// Searches that the tests run: all of them in half a minute.
pub const QUICK: &[Case] = &[
    case(Sequence, [1, 1, 1, 1, 0]),
    case(Sequence, [2, 2, 0, 0, 0]),
    case(Sequence, [1, 0, 0, 1, 2]),
    stopped(Sequence, [1, 1, 0, 0, 0]),
    case(Retry, [1, 1, 1, 0, 0]),
    case(Retry, [1, 1, 0, 1, 0]),
    case(RetryAtOnce, [1, 1, 1, 0, 0]),
    case(RetryAtOnce, [1, 1, 0, 1, 0]),
    case(Callback, [0, 0, 1, 1, 0]),
    case(TokenThenCall, [1, 1, 0, 0, 0]),
    case(TokenThenCall, [0, 1, 1, 1, 0]),
    case(Parallel, [1, 0, 1, 1, 0]),
    case(Parallel, [1, 1, 0, 0, 0]),
    case(Redrive, [1, 1, 0, 0, 0]),
    case(Redrive, [0, 1, 1, 1, 0]),
    stopped(Redrive, [1, 0, 0, 0, 0]),
    stopped(Redrive, [0, 1, 0, 0, 0]),
    case(Accepted, [1, 0, 0, 0, 0]),
    case(Accepted, [0, 1, 0, 0, 0]),
    case(Accepted, [0, 0, 1, 1, 0]),
];

/// Searches for when the protocol changes: minutes.
pub const MORE: &[Case] = &[
    case(Retry, [1, 1, 1, 1, 0]),
    case(Retry, [1, 2, 0, 0, 0]),
    case(RetryAtOnce, [1, 1, 1, 1, 0]),
    case(RetryAtOnce, [2, 2, 0, 0, 0]),
    case(RetryAtOnce, [1, 0, 0, 1, 2]),
    case(Callback, [1, 0, 0, 0, 0]),
    case(Callback, [0, 1, 0, 0, 0]),
    case(TokenThenCall, [2, 1, 0, 0, 0]),
    case(TokenThenCall, [1, 1, 0, 1, 0]),
    stopped(Parallel, [1, 0, 0, 0, 0]),
    stopped(Redrive, [0, 0, 1, 1, 0]),
    case(Accepted, [1, 0, 0, 1, 0]),
];

/// Searches that want some ten gigabytes.
pub const LARGE: &[Case] = &[
    case(Callback, [1, 1, 0, 0, 0]),
    stopped(Callback, [0, 1, 0, 0, 0]),
    case(Retry, [2, 2, 0, 0, 0]),
    case(Parallel, [2, 1, 0, 0, 0]),
    case(TokenThenCall, [1, 1, 1, 1, 0]),
    case(Accepted, [1, 1, 0, 0, 0]),
];

/// Crashes, lapses, lost replies, ends of slices, repeated receipts.
const fn case(shape: Shape, [crashes, lapses, lost_replies, slices, repeats]: [u8; 5]) -> Case {
    Case::of(shape, Faults { crashes, lapses, lost_replies, slices, repeats }, false)
}

const fn stopped(shape: Shape, faults: [u8; 5]) -> Case {
    Case { stop: true, ..case(shape, faults) }
}
