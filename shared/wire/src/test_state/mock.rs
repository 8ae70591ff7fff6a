//! `mock`: which states have one, and what it may be.

use std::sync::Arc;

use stepwell_asl::{Map, Parallel, State, StateKind};
use stepwell_expr::{Payload, Value};
use stepwell_interpreter::{ErrorOutput, Outcome, Pattern, Resource};

use super::resource;
use super::schema::{self, FieldValidationMode};
use crate::Error;
use crate::request::{Members, Text};

/// `mock`
pub(super) struct Mock {
    result: Option<Arc<str>>,
    error_output: Option<ErrorOutput>,
    mode: FieldValidationMode,
}

impl Mock {
    pub(super) fn read(members: &mut Members<'_>) -> Result<Self, Error> {
        let error_output = members.structure("errorOutput", |error| {
            let (name, cause) = (error.text("error", &Text::ERROR)?, error.text("cause", &Text::CAUSE)?);
            Ok(ErrorOutput { error: name, cause })
        })?;
        let mode = members.one_of("fieldValidationMode", &["STRICT", "PRESENT", "NONE"])?;
        Ok(Mock {
            result: members.text("result", &Text::DATA)?,
            error_output,
            mode: match mode {
                Some("NONE") => FieldValidationMode::None,
                Some("PRESENT") => FieldValidationMode::Present,
                _ => FieldValidationMode::Strict,
            },
        })
    }

    /// What cannot stand together, whatever the state is.
    pub(super) fn check(&self) -> Result<(), Error> {
        match (&self.result, &self.error_output) {
            (Some(_), Some(_)) => {
                Err(Error::validation("A mock must not have both a result and an errorOutput"))
            }
            (None, None) => Err(Error::validation("A mock must have a result or an errorOutput")),
            (_, Some(ErrorOutput { error: None, .. })) => {
                Err(Error::validation("A mocked errorOutput must have an error"))
            }
            _ => Ok(()),
        }
    }

    /// What the state's work comes to.
    ///
    /// # Errors
    /// [`Error::Validation`] where the result is none that the state could have.
    pub(super) fn outcome(&self, state: &State) -> Result<Outcome, Error> {
        let Some(text) = &self.result else {
            return Ok(Outcome::Failed(self.error_output.clone().unwrap_or_default()));
        };
        let result = Payload::parse(text.clone())
            .map_err(|_| Error::validation("Mocked result must be valid JSON"))?;
        match &state.kind {
            StateKind::Map(map) => check_map(map, result.value())?,
            StateKind::Parallel(parallel) => check_parallel(parallel, result.value())?,
            _ => {
                if let Some(resource) = resource(state) {
                    schema::check(&resource, result.value(), self.mode)?;
                }
            }
        }
        Ok(Outcome::Succeeded(result))
    }
}

fn check_map(map: &Map, result: &Value) -> Result<(), Error> {
    // With a ResultWriter, a Map's result says where its results were written.
    match (&map.result_writer, result) {
        (None, Value::Array(_)) | (Some(_), Value::Object(_)) => Ok(()),
        (None, _) => Err(Error::validation("Mocked result must be an array.")),
        (Some(_), _) => Err(Error::validation("Mocked result must be an object.")),
    }
}

fn check_parallel(parallel: &Parallel, result: &Value) -> Result<(), Error> {
    match result {
        Value::Array(results) if results.len() == parallel.branches.len() => Ok(()),
        Value::Array(_) => Err(Error::validation(
            "Mocked result must contain the same number of items as number of Parallel branches.",
        )),
        _ => Err(Error::validation("Mocked result must be an array.")),
    }
}

/// # Errors
/// [`Error::Validation`] where the state has no work that could be mocked.
pub(super) fn check_mocked(state: &State) -> Result<(), Error> {
    let type_name = match &state.kind {
        StateKind::Task(_) | StateKind::Map(_) | StateKind::Parallel(_) => return Ok(()),
        StateKind::Pass(_) => "Pass",
        StateKind::Choice(_) => "Choice",
        StateKind::Wait(_) => "Wait",
        StateKind::Succeed(_) => "Succeed",
        StateKind::Fail(_) => "Fail",
    };
    let message = format!("State type '{type_name}' is not supported when a mock is specified");
    Err(Error::validation(message))
}

/// # Errors
/// [`Error::InvalidDefinition`] where the state is tested with a mock only.
pub(super) fn check_unmocked(state: &State) -> Result<(), Error> {
    let message = match (&state.kind, resource(state)) {
        (StateKind::Map(_) | StateKind::Parallel(_), _) => {
            "TestState API does not support Map or Parallel states. Supported state types include: [Task, Wait, Pass, Succeed, Fail, Choice]"
        }
        (_, Some(Resource::Activity { .. })) => {
            "TestState API does not support Activity tasks without a mock"
        }
        (_, Some(Resource::Service { pattern: Pattern::Sync | Pattern::Sync2, .. })) => {
            "TestState API does not support the '.sync' service integration pattern without a mock"
        }
        (_, Some(Resource::Service { pattern: Pattern::WaitForTaskToken, .. })) => {
            "TestState API does not support the '.waitForTaskToken' service integration pattern without a mock"
        }
        _ => return Ok(()),
    };
    Err(Error::InvalidDefinition(message.into()))
}
