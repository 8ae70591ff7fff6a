//! The public history, as GetExecutionHistory shows it.

use std::sync::Arc;

use stepwell_expr::Payload;

use crate::record::{ErrorOutput, Event, EventBody, EventId, Family, Record, StateType, Timestamp};

/// One event of the public history (API: HistoryEvent).
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEvent {
    /// `id`
    pub id: EventId,
    /// `previousEventId`
    pub previous: EventId,
    /// `timestamp`
    pub at: Timestamp,
    /// `type`
    pub event_type: &'static str,
    /// The member that holds the details, such as `taskScheduledEventDetails`; `None` where the type has none.
    pub details_name: Option<&'static str>,
    /// The details, in the API's spelling.
    pub details: Vec<(&'static str, Detail)>,
}

/// The value of a detail.
#[derive(Debug, Clone, PartialEq)]
pub enum Detail {
    /// A text.
    Text(Arc<str>),
    /// A number.
    Number(u64),
    /// JSON that is shown as text, and is left out with `includeExecutionData=false`.
    Data(Payload),
    /// `parameters` of a task: JSON text that is shown even with `includeExecutionData=false`.
    Parameters(Payload),
    /// `assignedVariables`: names with JSON texts.
    Variables(Vec<(Arc<str>, Payload)>),
    /// `{"truncated": false}`, the companion of data.
    Included,
    /// `taskCredentials`
    Credentials(Arc<str>),
}

/// The public history in `records`, whose first event has the id `first`.
pub fn history<'a>(records: impl IntoIterator<Item = &'a Record>, first: EventId) -> Vec<HistoryEvent> {
    let events = records.into_iter().filter_map(|record| match record {
        Record::Event(event) => Some(event),
        _ => None,
    });
    (first.0..).zip(events).map(|(id, event)| event.shown(EventId(id))).collect()
}

impl Event {
    fn shown(&self, id: EventId) -> HistoryEvent {
        let (event_type, details_name, details) = self.body.shown();
        HistoryEvent { id, previous: self.previous, at: self.at, event_type, details_name, details }
    }
}

type Shown = (&'static str, Option<&'static str>, Vec<(&'static str, Detail)>);

/// Types and detail members of a task family's events, in the order of [`Stage`].
struct Names {
    types: [&'static str; 8],
    details: [Option<&'static str>; 8],
}

#[derive(Clone, Copy)]
enum Stage {
    Scheduled,
    ScheduleFailed,
    Started,
    StartFailed,
    Submitted,
    Succeeded,
    Failed,
    TimedOut,
}

const TASK: Names = Names {
    types: [
        "TaskScheduled",
        "TaskSubmitFailed",
        "TaskStarted",
        "TaskStartFailed",
        "TaskSubmitted",
        "TaskSucceeded",
        "TaskFailed",
        "TaskTimedOut",
    ],
    details: [
        Some("taskScheduledEventDetails"),
        Some("taskSubmitFailedEventDetails"),
        Some("taskStartedEventDetails"),
        Some("taskStartFailedEventDetails"),
        Some("taskSubmittedEventDetails"),
        Some("taskSucceededEventDetails"),
        Some("taskFailedEventDetails"),
        Some("taskTimedOutEventDetails"),
    ],
};

const LAMBDA: Names = Names {
    types: [
        "LambdaFunctionScheduled",
        "LambdaFunctionScheduleFailed",
        "LambdaFunctionStarted",
        "LambdaFunctionStartFailed",
        "LambdaFunctionStarted",
        "LambdaFunctionSucceeded",
        "LambdaFunctionFailed",
        "LambdaFunctionTimedOut",
    ],
    details: [
        Some("lambdaFunctionScheduledEventDetails"),
        Some("lambdaFunctionScheduleFailedEventDetails"),
        None,
        Some("lambdaFunctionStartFailedEventDetails"),
        None,
        Some("lambdaFunctionSucceededEventDetails"),
        Some("lambdaFunctionFailedEventDetails"),
        Some("lambdaFunctionTimedOutEventDetails"),
    ],
};

const ACTIVITY: Names = Names {
    types: [
        "ActivityScheduled",
        "ActivityScheduleFailed",
        "ActivityStarted",
        "ActivityScheduleFailed",
        "ActivityStarted",
        "ActivitySucceeded",
        "ActivityFailed",
        "ActivityTimedOut",
    ],
    details: [
        Some("activityScheduledEventDetails"),
        Some("activityScheduleFailedEventDetails"),
        Some("activityStartedEventDetails"),
        Some("activityScheduleFailedEventDetails"),
        Some("activityStartedEventDetails"),
        Some("activitySucceededEventDetails"),
        Some("activityFailedEventDetails"),
        Some("activityTimedOutEventDetails"),
    ],
};

impl Family {
    fn shown(&self, stage: Stage, mut details: Vec<(&'static str, Detail)>) -> Shown {
        let names = match self {
            Family::Task { .. } => &TASK,
            Family::LambdaFunction { .. } => &LAMBDA,
            Family::Activity { .. } => &ACTIVITY,
        };
        if let Family::Task { resource_type, resource, .. } = self {
            details.push(("resourceType", Detail::Text(resource_type.clone())));
            details.push(("resource", Detail::Text(resource.clone())));
        }
        (names.types[stage as usize], names.details[stage as usize], details)
    }
}

impl EventBody {
    fn shown(&self) -> Shown {
        match self {
            EventBody::ExecutionStarted { info, input, .. } => {
                let mut details = data("input", "inputDetails", input);
                details.push(("roleArn", Detail::Text(info.role_arn.clone())));
                text(&mut details, "stateMachineAliasArn", info.alias_arn.as_ref());
                text(&mut details, "stateMachineVersionArn", info.version_arn.as_ref());
                ("ExecutionStarted", Some("executionStartedEventDetails"), details)
            }
            EventBody::ExecutionSucceeded { output } => (
                "ExecutionSucceeded",
                Some("executionSucceededEventDetails"),
                data("output", "outputDetails", output),
            ),
            EventBody::ExecutionFailed(error) => {
                ("ExecutionFailed", Some("executionFailedEventDetails"), failure(error))
            }
            EventBody::ExecutionAborted(error) => {
                ("ExecutionAborted", Some("executionAbortedEventDetails"), failure(error))
            }
            EventBody::ExecutionTimedOut(error) => {
                ("ExecutionTimedOut", Some("executionTimedOutEventDetails"), failure(error))
            }
            EventBody::StateEntered { state_type, name, input } => {
                let mut details = vec![("name", Detail::Text(name.clone()))];
                details.extend(data("input", "inputDetails", input));
                (state_type.entered(), Some("stateEnteredEventDetails"), details)
            }
            EventBody::StateExited { state_type, name, output, assigned, values, .. } => {
                let mut details = vec![("name", Detail::Text(name.clone()))];
                details.extend(data("output", "outputDetails", output));
                if !assigned.is_empty() {
                    let variables = assigned.iter().cloned().zip(values.iter().cloned()).collect();
                    details.push(("assignedVariables", Detail::Variables(variables)));
                    details.push(("assignedVariablesDetails", Detail::Included));
                }
                (state_type.exited(), Some("stateExitedEventDetails"), details)
            }
            EventBody::StateAborted { state_type } => (state_type.aborted(), None, vec![]),
            EventBody::Scheduled {
                family,
                parameters,
                timeout_seconds,
                heartbeat_seconds,
                credentials,
                ..
            } => scheduled(family, parameters, *timeout_seconds, *heartbeat_seconds, credentials.as_ref()),
            EventBody::ScheduleFailed(family, error) | EventBody::SubmitFailed(family, _, error) => {
                family.shown(Stage::ScheduleFailed, failure(error))
            }
            EventBody::Started { family, worker, .. } => {
                let mut details = vec![];
                text(&mut details, "workerName", worker.as_ref());
                family.shown(Stage::Started, details)
            }
            EventBody::StartFailed(family, error) => family.shown(Stage::StartFailed, failure(error)),
            EventBody::Submitted { family, output, .. } => {
                family.shown(Stage::Submitted, data("output", "outputDetails", output))
            }
            EventBody::Succeeded { family, output, .. } => {
                family.shown(Stage::Succeeded, data("output", "outputDetails", output))
            }
            EventBody::Failed(family, _, error) => family.shown(Stage::Failed, failure(error)),
            EventBody::TimedOut { family, error, .. } => family.shown(Stage::TimedOut, failure(error)),
            EventBody::ParallelStateStarted { .. } => ("ParallelStateStarted", None, vec![]),
            EventBody::ParallelStateSucceeded => ("ParallelStateSucceeded", None, vec![]),
            EventBody::ParallelStateFailed => ("ParallelStateFailed", None, vec![]),
            EventBody::MapStateStarted { length, .. } => (
                "MapStateStarted",
                Some("mapStateStartedEventDetails"),
                vec![("length", Detail::Number(u64::from(*length)))],
            ),
            EventBody::MapIterationStarted { name, item, .. } => {
                ("MapIterationStarted", Some("mapIterationStartedEventDetails"), iteration(name, item.index))
            }
            EventBody::MapIterationSucceeded { name, index } => {
                ("MapIterationSucceeded", Some("mapIterationSucceededEventDetails"), iteration(name, *index))
            }
            EventBody::MapIterationFailed { name, index } => {
                ("MapIterationFailed", Some("mapIterationFailedEventDetails"), iteration(name, *index))
            }
            EventBody::MapIterationAborted { name, index } => {
                ("MapIterationAborted", Some("mapIterationAbortedEventDetails"), iteration(name, *index))
            }
            EventBody::MapStateSucceeded => ("MapStateSucceeded", None, vec![]),
            EventBody::MapStateFailed => ("MapStateFailed", None, vec![]),
            EventBody::MapRunStarted { map_run_arn, .. } => (
                "MapRunStarted",
                Some("mapRunStartedEventDetails"),
                vec![("mapRunArn", Detail::Text(map_run_arn.clone()))],
            ),
            EventBody::MapRunRedriven { map_run_arn, count, .. } => (
                "MapRunRedriven",
                Some("mapRunRedrivenEventDetails"),
                vec![
                    ("mapRunArn", Detail::Text(map_run_arn.clone())),
                    ("redriveCount", Detail::Number(u64::from(*count))),
                ],
            ),
            EventBody::MapRunSucceeded { .. } => ("MapRunSucceeded", None, vec![]),
            EventBody::MapRunFailed(_, error) => {
                ("MapRunFailed", Some("mapRunFailedEventDetails"), failure(error))
            }
            EventBody::MapRunAborted(_) => ("MapRunAborted", None, vec![]),
            EventBody::ExecutionRedriven { count, .. } => (
                "ExecutionRedriven",
                Some("executionRedrivenEventDetails"),
                vec![("redriveCount", Detail::Number(u64::from(*count)))],
            ),
            EventBody::EvaluationFailed { error, location, state } => {
                let mut details = failure(error);
                text(&mut details, "location", location.as_ref());
                details.push(("state", Detail::Text(state.clone())));
                ("EvaluationFailed", Some("evaluationFailedEventDetails"), details)
            }
        }
    }
}

fn scheduled(
    family: &Family,
    parameters: &Payload,
    timeout_seconds: Option<u64>,
    heartbeat_seconds: Option<u64>,
    credentials: Option<&Arc<str>>,
) -> Shown {
    let mut details = match family {
        Family::Task { region, .. } => vec![
            ("region", Detail::Text(region.clone())),
            ("parameters", Detail::Parameters(parameters.clone())),
        ],
        Family::LambdaFunction { resource } | Family::Activity { resource } => {
            let mut details = vec![("resource", Detail::Text(resource.clone()))];
            details.extend(data("input", "inputDetails", parameters));
            details
        }
    };
    if let Some(seconds) = timeout_seconds {
        details.push(("timeoutInSeconds", Detail::Number(seconds)));
    }
    if let (Some(seconds), false) = (heartbeat_seconds, matches!(family, Family::LambdaFunction { .. })) {
        details.push(("heartbeatInSeconds", Detail::Number(seconds)));
    }
    if let Some(role) = credentials {
        details.push(("taskCredentials", Detail::Credentials(role.clone())));
    }
    family.shown(Stage::Scheduled, details)
}

fn data(name: &'static str, companion: &'static str, payload: &Payload) -> Vec<(&'static str, Detail)> {
    vec![(name, Detail::Data(payload.clone())), (companion, Detail::Included)]
}

fn text(details: &mut Vec<(&'static str, Detail)>, name: &'static str, value: Option<&Arc<str>>) {
    details.extend(value.map(|value| (name, Detail::Text(value.clone()))));
}

fn failure(error: &ErrorOutput) -> Vec<(&'static str, Detail)> {
    let mut details = vec![];
    text(&mut details, "error", error.error.as_ref());
    text(&mut details, "cause", error.cause.as_ref());
    details
}

fn iteration(name: &Arc<str>, index: u32) -> Vec<(&'static str, Detail)> {
    vec![("name", Detail::Text(name.clone())), ("index", Detail::Number(u64::from(index)))]
}

impl StateType {
    fn entered(self) -> &'static str {
        match self {
            StateType::Pass => "PassStateEntered",
            StateType::Task => "TaskStateEntered",
            StateType::Choice => "ChoiceStateEntered",
            StateType::Wait => "WaitStateEntered",
            StateType::Succeed => "SucceedStateEntered",
            StateType::Fail => "FailStateEntered",
            StateType::Parallel => "ParallelStateEntered",
            StateType::Map => "MapStateEntered",
        }
    }

    fn exited(self) -> &'static str {
        match self {
            StateType::Pass => "PassStateExited",
            StateType::Task => "TaskStateExited",
            StateType::Choice => "ChoiceStateExited",
            StateType::Wait => "WaitStateExited",
            StateType::Succeed => "SucceedStateExited",
            StateType::Fail => "FailStateExited",
            StateType::Parallel => "ParallelStateExited",
            StateType::Map => "MapStateExited",
        }
    }

    fn aborted(self) -> &'static str {
        match self {
            StateType::Wait => "WaitStateAborted",
            StateType::Parallel => "ParallelStateAborted",
            StateType::Map => "MapStateAborted",
            _ => "TaskStateAborted",
        }
    }
}
