//! Wait.

use std::sync::Arc;

use stepwell_asl::{Dynamic, State, Wait, WaitUntil};
use stepwell_expr::{PathExpression, Payload, Value, timestamp};

use super::Target;
use crate::choice::unexpected_type;
use crate::context::Scope;
use crate::decision::Decider;
use crate::execution::TimerPurpose;
use crate::failure::Fault;
use crate::record::{BranchId, Timestamp};

/// The longest wait: a recorded one of 24,855 days passes, one of 24,856 fails (seconds in 32 bits).
const SECONDS_MAX: i64 = i32::MAX as i64;

impl Decider<'_> {
    pub(super) fn wait(
        &mut self,
        branch: BranchId,
        state: &State,
        wait: &Wait,
        input: &Payload,
    ) -> Result<(), Fault> {
        let selected = self.shown_input(branch, &wait.io, input)?;
        let due = {
            let (entropy, now) = (self.entropy(), self.now.time);
            let scope = self.scope(branch, entropy, selected.value());
            due(&wait.until, &scope, now)?
        };
        if due.0.saturating_sub(self.now.time.0) / 1000 > SECONDS_MAX {
            return Err(Fault::runtime("Wait state delay is too long."));
        }
        if due <= self.now.time {
            return self.wait_over(branch, state, wait, input);
        }
        self.set_timer(branch, due, TimerPurpose::Wait);
        Ok(())
    }

    pub(super) fn wait_over(
        &mut self,
        branch: BranchId,
        state: &State,
        wait: &Wait,
        input: &Payload,
    ) -> Result<(), Fault> {
        let leaving = self.leaving_unchanged(branch, &wait.io, wait.assign.as_ref(), input)?;
        self.exit(branch, state, leaving, wait.transition.target());
        Ok(())
    }
}

fn due(until: &WaitUntil, scope: &Scope<'_>, now: Timestamp) -> Result<Timestamp, Fault> {
    match until {
        WaitUntil::Seconds(seconds) => Ok(now.plus_seconds(self::seconds(seconds, scope)?)),
        WaitUntil::Timestamp(text) => moment(text, scope),
    }
}

fn seconds(seconds: &Dynamic<u64>, scope: &Scope<'_>) -> Result<u64, Fault> {
    match seconds {
        Dynamic::Fixed(seconds) => Ok(*seconds),
        Dynamic::Path(path) => {
            let absent = || no_value("SecondsPath", path);
            let value = path.select(scope).map_err(|_| absent())?;
            if value == Value::Null {
                return Err(absent());
            }
            // A long is parsed: digits in a text are one, as recorded of MaxItemsPerBatchPath.
            let number = value.as_number().and_then(|number| number.as_integral());
            let number = number.or_else(|| value.as_str().and_then(|text| text.parse().ok()));
            let Some(seconds) = number else {
                return Err(Fault::runtime(format!(
                    "The SecondsPath parameter cannot be parsed as a long value: {} == {}",
                    path.text(),
                    shown(&value)
                )));
            };
            u64::try_from(seconds).map_err(|_| absent())
        }
        Dynamic::Expression(expression) => {
            let value = expression.evaluate(scope, "Seconds")?;
            let Some(number) = value.as_number() else {
                return Err(unexpected_type(expression.text(), "Seconds", "number", &value));
            };
            let seconds = number.as_integral().and_then(|seconds| u64::try_from(seconds).ok());
            seconds.ok_or_else(|| super::not_a_count("Seconds", &value))
        }
    }
}

fn moment(text: &Dynamic<Arc<str>>, scope: &Scope<'_>) -> Result<Timestamp, Fault> {
    match text {
        Dynamic::Fixed(text) => parsed(text).ok_or_else(|| {
            Fault::runtime(format!(
                "The Timestamp parameter does not reference a valid ISO-8601 extended offset date-time format string: {text}"
            ))
        }),
        Dynamic::Path(path) => {
            // As recorded of SecondsPath.
            let value = path.select(scope).map_err(|_| no_value("TimestampPath", path))?;
            value.as_str().and_then(parsed).ok_or_else(|| {
                Fault::runtime(format!(
                    "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format \
                     string: {} == {}",
                    path.text(),
                    shown(&value)
                ))
            })
        }
        Dynamic::Expression(expression) => {
            let value = expression.evaluate(scope, "Timestamp")?;
            let Some(text) = value.as_str() else {
                return Err(unexpected_type(expression.text(), "Timestamp", "string", &value));
            };
            parsed(text).ok_or_else(|| {
                Fault::query(
                    format!(
                        "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: {text}"
                    ),
                    "Timestamp",
                )
            })
        }
    }
}

/// A path leads nowhere.
fn no_value(field: &str, path: &PathExpression) -> Fault {
    Fault::runtime(format!("The {field} parameter does not reference an input value: {}", path.text()))
}

fn parsed(text: &str) -> Option<Timestamp> {
    let nanoseconds = timestamp::parse(text)?;
    i64::try_from(nanoseconds.div_euclid(1_000_000)).ok().map(Timestamp)
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.shown(), str::to_owned)
}
