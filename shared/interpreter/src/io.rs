//! How data flows into and out of a state (ASL: Input and Output Processing).

use std::sync::Arc;

use stepwell_asl::{Io, PathIo, ResultPath, Selection};
use stepwell_expr::json::DEPTH_MAX;
use stepwell_expr::{Payload, Template, Value};

use crate::context::Scope;
use crate::decision::Decider;
use crate::failure::Fault;
use crate::record::BranchId;
use crate::{PAYLOAD_BYTES_MAX, VARIABLES_BYTES_MAX};

/// What a state leaves behind: its output, and the variables it assigns.
pub(crate) struct Leaving {
    pub(crate) output: Payload,
    pub(crate) assigned: Vec<(Arc<str>, Payload)>,
}

impl Decider<'_> {
    /// A scope for `branch` in which `$` is `input`.
    pub(crate) fn scope<'s>(
        &'s self,
        branch: BranchId,
        entropy: stepwell_expr::Entropy,
        input: &'s Value,
    ) -> Scope<'s> {
        Scope::new(&self.execution, branch, entropy, input).with_test(self.test).counting(&self.effort)
    }

    /// What `InputPath` selects of the state's input (JSONPath); the input itself in JSONata.
    pub(crate) fn selected_input(
        &mut self,
        branch: BranchId,
        io: &Io,
        input: &Payload,
    ) -> Result<Payload, Fault> {
        match io {
            Io::JsonPath(io) => self.select(branch, &io.input_path, input),
            Io::Jsonata(_) => Ok(input.clone()),
        }
    }

    /// What a state that shows it to a test has for its input: [`Decider::selected_input`].
    pub(crate) fn shown_input(
        &mut self,
        branch: BranchId,
        io: &Io,
        input: &Payload,
    ) -> Result<Payload, Fault> {
        let selected = self.selected_input(branch, io, input)?;
        if matches!(io, Io::JsonPath(_)) {
            self.note(|seen| seen.after_input_path = Some(selected.clone()));
        }
        Ok(selected)
    }

    /// What the work is done with: `Parameters` of the selected input, or `Arguments`.
    pub(crate) fn arguments(
        &mut self,
        branch: BranchId,
        io: &Io,
        selected: &Payload,
        token: Option<&str>,
    ) -> Result<Payload, Fault> {
        let (template, field) = match io {
            Io::JsonPath(io) => (io.parameters.as_ref(), "Parameters"),
            Io::Jsonata(io) => (io.arguments.as_ref(), "Arguments"),
        };
        let Some(template) = template else { return Ok(selected.clone()) };
        let entropy = self.entropy();
        let scope = self.scope(branch, entropy, selected.value()).with_token(token);
        Ok(Payload::of(template.evaluate(&scope, field)?))
    }

    /// What a state that did its work leaves: `result` came of it, and `input` is what the state was entered with.
    pub(crate) fn leaving(
        &mut self,
        branch: BranchId,
        io: &Io,
        assign: Option<&Template>,
        input: &Payload,
        result: &Payload,
    ) -> Result<Leaving, Fault> {
        match io {
            Io::JsonPath(io) => self.leaving_by_paths(branch, io, assign, input, result),
            Io::Jsonata(io) => {
                // Assign and Output see the same snapshot: what is assigned shows from the next state on.
                let assigned =
                    self.assigned(branch, assign, |scope| scope.with_result(result.value()), input)?;
                let output = self.output(branch, io.output.as_ref(), "Output", input, Some(result))?;
                Ok(Leaving { output: output.unwrap_or_else(|| result.clone()), assigned })
            }
        }
    }

    /// What a state without a result of its own (Choice, Wait, Succeed; Pass in JSONata) leaves.
    pub(crate) fn leaving_unchanged(
        &mut self,
        branch: BranchId,
        io: &Io,
        assign: Option<&Template>,
        input: &Payload,
    ) -> Result<Leaving, Fault> {
        match io {
            Io::JsonPath(io) => {
                let selected = self.select(branch, &io.input_path, input)?;
                self.note(|seen| seen.after_input_path = Some(selected.clone()));
                let assigned = self.assigned(branch, assign, |scope| scope, &selected)?;
                let output = self.select(branch, &io.output_path, &selected)?;
                Ok(Leaving { output, assigned })
            }
            Io::Jsonata(io) => {
                let assigned = self.assigned(branch, assign, |scope| scope, input)?;
                let output = self.output(branch, io.output.as_ref(), "Output", input, None)?;
                Ok(Leaving { output: output.unwrap_or_else(|| input.clone()), assigned })
            }
        }
    }

    fn leaving_by_paths(
        &mut self,
        branch: BranchId,
        io: &PathIo,
        assign: Option<&Template>,
        input: &Payload,
        result: &Payload,
    ) -> Result<Leaving, Fault> {
        let result = match &io.result_selector {
            Some(template) => {
                let entropy = self.entropy();
                let scope = self.scope(branch, entropy, result.value());
                Payload::of(template.evaluate(&scope, "ResultSelector")?)
            }
            None => result.clone(),
        };
        self.note(|seen| seen.after_result_selector = Some(result.clone()));
        let assigned = self.assigned(branch, assign, |scope| scope, &result)?;
        // The result goes into the state's raw input: InputPath has no part in it (recorded).
        let placed = place(&io.result_path, input, &result)?;
        self.note(|seen| seen.after_result_path = Some(placed.clone()));
        let output = self.select(branch, &io.output_path, &placed)?;
        Ok(Leaving { output, assigned })
    }

    /// A JSONata `Output`.
    pub(crate) fn output(
        &mut self,
        branch: BranchId,
        template: Option<&Template>,
        field: &str,
        input: &Payload,
        result: Option<&Payload>,
    ) -> Result<Option<Payload>, Fault> {
        let Some(template) = template else { return Ok(None) };
        let entropy = self.entropy();
        let mut scope = self.scope(branch, entropy, input.value());
        if let Some(result) = result {
            scope = scope.with_result(result.value());
        }
        Ok(Some(Payload::of(template.evaluate(&scope, field)?)))
    }

    /// The variables that an `Assign` gives, in the order of its result.
    pub(crate) fn assigned<'v>(
        &'v mut self,
        branch: BranchId,
        assign: Option<&Template>,
        dress: impl FnOnce(Scope<'v>) -> Scope<'v>,
        root: &'v Payload,
    ) -> Result<Vec<(Arc<str>, Payload)>, Fault> {
        self.assigned_for(branch, assign, "Assign", dress, root)
    }

    /// [`Decider::assigned`] for the field `field`, such as `Catch[0]/Assign`.
    pub(crate) fn assigned_for<'v>(
        &'v mut self,
        branch: BranchId,
        assign: Option<&Template>,
        field: &str,
        dress: impl FnOnce(Scope<'v>) -> Scope<'v>,
        root: &'v Payload,
    ) -> Result<Vec<(Arc<str>, Payload)>, Fault> {
        let Some(assign) = assign else { return Ok(Vec::new()) };
        let entropy = self.entropy();
        let scope = dress(self.scope(branch, entropy, root.value()));
        let value = assign.evaluate(&scope, field)?;
        let variables: Vec<_> = value
            .as_object()
            .map(|map| map.iter().map(|(name, value)| (name.clone(), Payload::of(value.clone()))).collect())
            .unwrap_or_default();
        let bytes: usize = variables.iter().map(|(_, value)| value.bytes()).sum();
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(Fault::runtime("The variables assigned exceed the maximum size of 262144 bytes."));
        }
        if bytes + self.execution.variables_bytes_but(branch, &variables) > VARIABLES_BYTES_MAX {
            return Err(Fault::runtime(
                "The variables of the execution exceed the maximum size of 10485760 bytes.",
            ));
        }
        Ok(variables)
    }

    /// An `InputPath` or `OutputPath` applied to `whole`.
    pub(crate) fn select(
        &mut self,
        branch: BranchId,
        selection: &Selection,
        whole: &Payload,
    ) -> Result<Payload, Fault> {
        match selection {
            Selection::All => Ok(whole.clone()),
            Selection::Nothing => Ok(Payload::of(Value::empty_object())),
            Selection::Path(path) => {
                let entropy = self.entropy();
                let scope = self.scope(branch, entropy, whole.value());
                Ok(Payload::of(path.select(&scope)?))
            }
        }
    }
}

/// `ResultPath`: where `result` goes in `input`.
pub(crate) fn place(path: &ResultPath, input: &Payload, result: &Payload) -> Result<Payload, Fault> {
    match path {
        ResultPath::Replace => Ok(result.clone()),
        ResultPath::Discard => Ok(input.clone()),
        ResultPath::Insert(path) => match path.insert(input.value(), result.value().clone()) {
            Ok(value) => Ok(Payload::of(value)),
            Err(message) => Err(Fault::of(stepwell_asl::ErrorName::REFERENCE_PATH_CONFLICT, message)),
        },
    }
}

/// What was made of `input` for a task, branches or an iteration, where it is not more than they may get.
pub(crate) fn handed_on(made: Payload, input: &Payload) -> Result<Payload, Fault> {
    if is_within_limits(&made, !made.same(input)) { Ok(made) } else { Err(Fault::too_large()) }
}

/// Whether a document is one that a state may pass on: not too large, and not nested without end.
pub(crate) fn is_within_limits(payload: &Payload, is_new: bool) -> bool {
    // Only what an expression built can be deeper than what was read.
    let shallow = !is_new || payload.value().depth(DEPTH_MAX + 1) <= DEPTH_MAX;
    shallow && payload.fits(PAYLOAD_BYTES_MAX)
}
