//! Takes in what happened outside.

use stepwell_asl::Definition;

use crate::{Decision, Execution, Now, Trigger};

/// Decides what `trigger` means for `execution`; changes nothing.
///
/// A trigger that does not apply, or no longer, gives no records: it is a no-op for ever, because it names what it is
/// about. The decision has no effects but the cancelling of what the trigger ended: a fact owes nothing.
pub fn apply(definition: &Definition, execution: &Execution, trigger: &Trigger, now: Now) -> Decision {
    let _ = (definition, execution, trigger, now);
    todo!()
}
