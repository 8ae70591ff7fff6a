//! Pass and Succeed.

use stepwell_asl::{Io, Pass, State, Succeed};
use stepwell_expr::Payload;

use super::Target;
use crate::decision::Decider;
use crate::failure::Fault;
use crate::record::BranchId;

impl Decider<'_> {
    pub(super) fn pass(
        &mut self,
        branch: BranchId,
        state: &State,
        pass: &Pass,
        input: &Payload,
    ) -> Result<(), Fault> {
        let leaving = match &pass.io {
            Io::Jsonata(_) => self.leaving_unchanged(branch, &pass.io, pass.assign.as_ref(), input)?,
            Io::JsonPath(_) => {
                let result = match &pass.result {
                    // What Parameters computes is dropped for a Result, but must compute.
                    Some(result) => {
                        let selected = self.selected_input(branch, &pass.io, input)?;
                        self.arguments(branch, &pass.io, &selected, None)?;
                        let result = Payload::of(result.clone());
                        self.note(|seen| seen.result = Some(result.clone()));
                        result
                    }
                    None => {
                        let selected = self.shown_input(branch, &pass.io, input)?;
                        let result = self.arguments(branch, &pass.io, &selected, None)?;
                        self.note(|seen| seen.after_parameters = Some(result.clone()));
                        result
                    }
                };
                self.leaving(branch, &pass.io, pass.assign.as_ref(), input, &result)?
            }
        };
        self.exit(branch, state, leaving, pass.transition.target());
        Ok(())
    }

    pub(super) fn succeed(
        &mut self,
        branch: BranchId,
        state: &State,
        succeed: &Succeed,
        input: &Payload,
    ) -> Result<(), Fault> {
        let leaving = self.leaving_unchanged(branch, &succeed.io, None, input)?;
        self.exit(branch, state, leaving, None);
        Ok(())
    }
}
