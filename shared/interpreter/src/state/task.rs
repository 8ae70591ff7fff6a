//! Task: an attempt is scheduled and claimed here; the call itself is an effect.

use std::sync::Arc;

use stepwell_asl::{Dynamic, Io, State, Task};
use stepwell_expr::{Payload, Template, Value};

use crate::choice::unexpected_type;
use crate::decision::Decider;
use crate::execution::{Call, Phase, Progress, Step, TimerPurpose};
use crate::failure::Fault;
use crate::io::handed_on;
use crate::record::{AttemptId, BranchId, EventBody};
use crate::{Effect, Resource, token};

impl Decider<'_> {
    pub(super) fn task(
        &mut self,
        branch: BranchId,
        state: &State,
        task: &Task,
        input: &Payload,
    ) -> Result<(), Fault> {
        let resource = Resource::parse(&task.resource)
            .ok_or_else(|| Fault::runtime(format!("The resource {} is not supported.", task.resource)))?;
        let attempt = AttemptId(self.execution.attempts_made);
        let nonce = self.entropy().bits_128();
        let info = self.execution.info().cloned();
        let token = match &info {
            Some(info) if resource.has_token() => Some(token::encode(&info.execution_arn, attempt, nonce)),
            _ => None,
        };
        let selected = self.shown_input(branch, &task.io, input)?;
        let timeout_seconds =
            self.seconds(branch, task.timeout_seconds.as_ref(), "TimeoutSeconds", &selected)?;
        let heartbeat_seconds =
            self.seconds(branch, task.heartbeat_seconds.as_ref(), "HeartbeatSeconds", &selected)?;
        let parameters = self.arguments(branch, &task.io, &selected, token.as_deref())?;
        self.note(|seen| match &task.io {
            Io::JsonPath(_) => seen.after_parameters = Some(parameters.clone()),
            Io::Jsonata(_) => seen.after_arguments = Some(parameters.clone()),
        });
        let parameters = handed_on(parameters, &selected)?;
        let credentials = self.credentials(branch, task.credentials.as_ref(), &selected)?;

        if let Resource::Activity { arn } = &resource
            && self.missing_activities.contains(arn)
        {
            return Err(Fault::runtime(format!("The activity {arn} does not exist.")));
        }
        let family = resource.family(info.as_ref().map_or("", |info| info.region()));
        self.event(
            branch,
            EventBody::Scheduled {
                family: family.clone(),
                attempt,
                nonce,
                parameters,
                timeout_seconds,
                heartbeat_seconds,
                credentials,
            },
        );
        if let Resource::Activity { arn: activity } = resource {
            // Both clocks start when a worker takes the task: an unclaimed one waits without limit.
            self.effect(Effect::OfferTask { attempt, activity });
            return Ok(());
        }
        let claimant = self.claimant.cloned();
        self.event(branch, EventBody::Started { family, attempt, claimant, worker: None });
        if let Phase::In { step: Step::Calling(call), .. } = &self.execution.branch(branch).phase {
            let call = call.clone();
            if resource.outlives_call() {
                self.set_task_timers(branch, &call);
            }
            self.call_task(branch, state, &call);
        }
        Ok(())
    }

    /// The timers of an attempt that ends by a callback or with its job.
    pub(crate) fn set_task_timers(&mut self, branch: BranchId, call: &Call) {
        debug_assert!(call.progress != Progress::Submitted);
        let now = self.now.time;
        if let Some(seconds) = call.timeout_seconds {
            self.set_timer(branch, now.plus_seconds(seconds), TimerPurpose::Timeout(call.attempt));
        }
        if let Some(seconds) = call.heartbeat_seconds {
            self.set_timer(branch, now.plus_seconds(seconds), TimerPurpose::Heartbeat(call.attempt));
        }
    }

    fn seconds(
        &mut self,
        branch: BranchId,
        seconds: Option<&Dynamic<u64>>,
        field: &str,
        selected: &Payload,
    ) -> Result<Option<u64>, Fault> {
        let Some(seconds) = seconds else { return Ok(None) };
        let entropy = self.entropy();
        let scope = self.scope(branch, entropy, selected.value());
        let positive = |number: Option<i64>| number.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
        let integral = |value: &Value| value.as_number().and_then(|number| number.as_integral());
        match seconds {
            Dynamic::Fixed(seconds) => Ok(Some(*seconds)),
            Dynamic::Path(path) => {
                let value = path.select(&scope)?;
                // Digits in a text are a number, too, as recorded of MaxItemsPerBatchPath.
                let number = integral(&value).or_else(|| value.as_str().and_then(|text| text.parse().ok()));
                positive(number).map(Some).ok_or_else(|| {
                    super::not_an_integer(&format!("{field}Path"), path.text(), &value, "positive integer")
                })
            }
            Dynamic::Expression(expression) => {
                let value = expression.evaluate(&scope, field)?;
                if value.as_number().is_none() {
                    return Err(unexpected_type(expression.text(), field, "number", &value));
                }
                positive(integral(&value)).map(Some).ok_or_else(|| {
                    Fault::query(
                        format!("The {field} field must be a positive integer: {}", value.shown()),
                        field,
                    )
                })
            }
        }
    }

    fn credentials(
        &mut self,
        branch: BranchId,
        credentials: Option<&Template>,
        selected: &Payload,
    ) -> Result<Option<Arc<str>>, Fault> {
        let Some(credentials) = credentials else { return Ok(None) };
        let entropy = self.entropy();
        let scope = self.scope(branch, entropy, selected.value());
        let value = credentials.evaluate(&scope, "Credentials")?;
        match value.get("RoleArn") {
            Some(Value::String(role)) => Ok(Some(role.clone())),
            _ => Err(Fault::runtime("The Credentials field must hold a RoleArn that is a string.")),
        }
    }
}
