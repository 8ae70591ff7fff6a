//! One file for each type of state.
