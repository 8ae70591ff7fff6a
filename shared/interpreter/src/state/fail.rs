//! Fail.

use std::sync::Arc;

use stepwell_asl::{Dynamic, Fail, State};
use stepwell_expr::{Payload, QueryLanguage, Value};

use crate::choice::unexpected_type;
use crate::decision::Decider;
use crate::failure::{Failure, Fault};
use crate::record::{BranchId, ErrorOutput};

impl Decider<'_> {
    pub(super) fn fail_state(
        &mut self,
        branch: BranchId,
        state: &State,
        fail: &Fail,
        input: &Payload,
    ) -> Result<(), Fault> {
        if state.language == QueryLanguage::JsonPath {
            self.note(|seen| seen.after_input_path = Some(input.clone()));
        }
        let error = self.fail_text(branch, fail.error.as_ref(), "Error", input)?;
        let cause = self.fail_text(branch, fail.cause.as_ref(), "Cause", input)?;
        self.fail(branch, state, Failure::new(ErrorOutput { error, cause }.cut()));
        Ok(())
    }

    fn fail_text(
        &mut self,
        branch: BranchId,
        text: Option<&Dynamic<Arc<str>>>,
        field: &str,
        input: &Payload,
    ) -> Result<Option<Arc<str>>, Fault> {
        let Some(text) = text else { return Ok(None) };
        let entropy = self.entropy();
        let scope = self.scope(branch, entropy, input.value());
        match text {
            Dynamic::Fixed(text) => Ok(Some(text.clone())),
            Dynamic::Path(path) => {
                let field = format!("{field}Path");
                match path.evaluate(&scope, &field)? {
                    Value::String(text) => Ok(Some(text)),
                    other => Err(Fault::runtime(format!(
                        "The {field} field refers to value {other} which is not a valid string: {}",
                        path.text()
                    ))),
                }
            }
            Dynamic::Expression(expression) => match expression.evaluate(&scope, field)? {
                Value::String(text) => Ok(Some(text)),
                other => Err(unexpected_type(expression.text(), field, "string", &other)),
            },
        }
    }
}
