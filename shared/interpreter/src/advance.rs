//! Does everything that is ready.

use stepwell_asl::Definition;

use crate::{Claimant, Decision, Execution, Now};

/// Decides everything that is ready, and claims its calls for `claimant`.
///
/// Stops when nothing is ready or the page is full; [`Execution::is_ready`] tells which.
pub fn advance(definition: &Definition, execution: &Execution, claimant: &Claimant, now: Now) -> Decision {
    let _ = (definition, execution, claimant, now);
    todo!()
}
