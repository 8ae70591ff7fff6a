//! What becomes of branches and iterations that end.

use stepwell_asl::StateKind;

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

    fn branch_ended(&mut self, parent: BranchId, child: BranchId) {
        let Phase::In { step: Step::Forked(fork), .. } = &self.execution.branch(parent).phase else { return };
        let done = |id: &BranchId| matches!(self.execution.branch(*id).phase, Phase::Done { .. });
        if fork.running.keys().all(done) {
            // Recorded: Succeeded and Exited both follow the last event of the branch that ended last.
            let last = self.execution.branch(child).previous;
            self.event_after(parent, last, EventBody::ParallelStateSucceeded);
        }
    }
}
