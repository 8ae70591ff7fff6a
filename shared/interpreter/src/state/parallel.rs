//! Parallel.

use stepwell_asl::{Parallel, State};
use stepwell_expr::Payload;

use crate::decision::Decider;
use crate::failure::Fault;
use crate::io::handed_on;
use crate::record::{BranchId, EventBody};

impl Decider<'_> {
    pub(super) fn parallel(
        &mut self,
        branch: BranchId,
        state: &State,
        parallel: &Parallel,
        input: &Payload,
    ) -> Result<(), Fault> {
        let selected = self.selected_input(branch, &parallel.io, input)?;
        let handed = handed_on(self.arguments(branch, &parallel.io, &selected, None)?, &selected)?;
        if let Some(mock) = self.mock().cloned() {
            self.mocked(branch, state, input, mock);
            return Ok(());
        }
        let definition = self.definition;
        let branches =
            parallel.branches.iter().map(|block| definition.block(*block).start_at.clone()).collect();
        self.event(branch, EventBody::ParallelStateStarted { branches, input: handed });
        Ok(())
    }
}
