//! API: ValidateStateMachineDefinition

use stepwell_asl::{Diagnostic, Format, Severity};
use stepwell_expr::Value;

use crate::Error;
use crate::answer::Answer;
use crate::create_state_machine::{machine_type, read_type};
use crate::request::{Members, Text, Violations};

/// Diagnostics that are returned at most (API: `maxResults`).
const DIAGNOSTICS_MAX: i64 = 100;

pub(crate) fn answer(body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let definition = request.required("definition", &Text::DEFINITION)?;
    let type_name = read_type(&mut request)?;
    let severity = request.one_of("severity", &["ERROR", "WARNING"])?;
    let limit = request.integer("maxResults", 0, DIAGNOSTICS_MAX)?.filter(|limit| *limit > 0);
    violations.check()?;

    let parsed = stepwell_asl::parse(&definition, Format::Json, machine_type(type_name));
    let has_errors = parsed.diagnostics.iter().any(|found| found.severity == Severity::Error);
    let is_shown = |found: &&Diagnostic| found.severity == Severity::Error || severity == Some("WARNING");
    let shown: Vec<_> = parsed.diagnostics.iter().filter(is_shown).collect();
    let limit = usize::try_from(limit.unwrap_or(DIAGNOSTICS_MAX)).unwrap_or_default().min(shown.len());

    let mut answer = Answer::with_capacity(256 * (limit + 1));
    answer.text("result", if has_errors { "FAIL" } else { "OK" });
    answer.list("diagnostics", &shown[..limit], |item, found| {
        item.text("severity", if found.severity == Severity::Error { "ERROR" } else { "WARNING" })
            .text("code", found.code.0)
            .text("message", &found.message)
            .text_if("location", (!found.location.is_empty()).then_some(&found.location));
    });
    answer.flag("truncated", limit < shown.len());
    Ok(answer)
}
