//! What becomes of branches and iterations that end.

use stepwell_asl::StateKind;
use stepwell_expr::Payload;

use crate::JOINED_BYTES_MAX;
use crate::decision::Decider;
use crate::execution::{Phase, Step};
use crate::record::{BranchId, EventBody};

impl Decider<'_> {
    /// `child`, number `index` of what `parent` forked, has gone through its last state.
    pub(super) fn child_ended(&mut self, parent: BranchId, child: BranchId, index: u32) {
        let definition = self.definition;
        let Phase::In { state, .. } = &self.execution.branch(parent).phase else { return };
        let Some(state) = definition.state(state) else { return };
        match &state.kind {
            StateKind::Map(map) => self.iteration_ended(parent, state, map, child, index),
            StateKind::Parallel(_) => self.branch_ended(parent, child),
            _ => {}
        }
    }

    /// What the branches or iterations of `parent` gave is more than its result may be.
    pub(super) fn too_much(&mut self, parent: BranchId) {
        if let Some(state) = self.state_of(parent) {
            self.too_large(parent, state);
        }
    }

    fn branch_ended(&mut self, parent: BranchId, child: BranchId) {
        let Phase::In { step: Step::Forked(fork), .. } = &self.execution.branch(parent).phase else { return };
        let done = |id: &BranchId| matches!(self.execution.branch(*id).phase, Phase::Done { .. });
        // Branches take turns, and the last one mostly ends last.
        if fork.running.keys().next_back().is_none_or(done) && fork.running.keys().all(done) {
            let outputs = fork.running.keys().filter_map(|id| match &self.execution.branch(*id).phase {
                Phase::Done { output } => Some(output),
                _ => None,
            });
            if !are_joined(outputs) {
                return self.too_much(parent);
            }
            // Recorded: Succeeded and Exited both follow the last event of the branch that ended last.
            let last = self.execution.branch(child).previous;
            self.event_after(parent, last, EventBody::ParallelStateSucceeded);
        }
    }
}

/// Whether `outputs` make a result of at most [`JOINED_BYTES_MAX`].
pub(super) fn are_joined<'p>(outputs: impl Iterator<Item = &'p Payload>) -> bool {
    let mut left = JOINED_BYTES_MAX;
    outputs.into_iter().all(|output| {
        let rest = left.checked_sub(output.bytes() + 1);
        left = rest.unwrap_or(0);
        rest.is_some()
    })
}
