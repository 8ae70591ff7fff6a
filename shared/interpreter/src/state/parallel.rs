//! Parallel.

use stepwell_asl::Parallel;
use stepwell_expr::Payload;

use crate::decision::Decider;
use crate::failure::Fault;
use crate::io::handed_on;
use crate::record::{BranchId, EventBody};

impl Decider<'_> {
    pub(super) fn parallel(
        &mut self,
        branch: BranchId,
        parallel: &Parallel,
        input: &Payload,
    ) -> Result<(), Fault> {
        let selected = self.selected_input(branch, &parallel.io, input)?;
        let input = handed_on(self.arguments(branch, &parallel.io, &selected, None)?, &selected)?;
        let definition = self.definition;
        let branches =
            parallel.branches.iter().map(|block| definition.block(*block).start_at.clone()).collect();
        self.event(branch, EventBody::ParallelStateStarted { branches, input });
        Ok(())
    }
}
