//! Choice.

use stepwell_asl::{Choice, ChoiceRule, Io, State};
use stepwell_expr::Payload;

use crate::choice::matches;
use crate::decision::Decider;
use crate::failure::Fault;
use crate::io::Leaving;
use crate::record::BranchId;

impl Decider<'_> {
    pub(super) fn choice(
        &mut self,
        branch: BranchId,
        state: &State,
        choice: &Choice,
        input: &Payload,
    ) -> Result<(), Fault> {
        let selected = self.shown_input(branch, &choice.io, input)?;
        let chosen = {
            let entropy = self.entropy();
            let scope = self.scope(branch, entropy, selected.value());
            let mut chosen = None;
            for (at, rule) in choice.rules.iter().enumerate() {
                if matches(rule, at, &scope)? {
                    chosen = Some((at, rule));
                    break;
                }
            }
            chosen
        };
        match (chosen, &choice.default) {
            (Some((at, rule)), _) => {
                let leaving = self.leaving_by_rule(branch, choice, (at, rule), input, &selected)?;
                self.exit(branch, state, leaving, Some(rule.next.clone()));
            }
            (None, Some(default)) => {
                let leaving = self.leaving_unchanged(branch, &choice.io, choice.assign.as_ref(), input)?;
                self.exit(branch, state, leaving, Some(default.clone()));
            }
            (None, None) => {
                return Err(Fault::runtime(
                    "Failed to transition out of the state. The state does not point to a next state.",
                ));
            }
        }
        Ok(())
    }

    /// A rule's own `Assign` and `Output` stand in for the state's.
    fn leaving_by_rule(
        &mut self,
        branch: BranchId,
        choice: &Choice,
        (at, rule): (usize, &ChoiceRule),
        input: &Payload,
        selected: &Payload,
    ) -> Result<Leaving, Fault> {
        let field = |name: &str| format!("Choices[{at}]/{name}");
        let assigned =
            self.assigned_for(branch, rule.assign.as_ref(), &field("Assign"), |scope| scope, selected)?;
        let output = match &choice.io {
            Io::JsonPath(io) => self.select(branch, &io.output_path, selected)?,
            Io::Jsonata(io) => {
                let ruled = self.output(branch, rule.output.as_ref(), &field("Output"), input, None)?;
                let given = match ruled {
                    None => self.output(branch, io.output.as_ref(), "Output", input, None)?,
                    ruled => ruled,
                };
                given.unwrap_or_else(|| input.clone())
            }
        };
        Ok(Leaving { output, assigned })
    }
}
