//! StartExecution (PROTOCOL §5, s1–s4).

use std::sync::Arc;
use std::time::Duration;

use stepwell_asl::MachineType;
use stepwell_interpreter::{ExecutionInfo, Timestamp};

use crate::Engine;
use crate::engine::{StartError, StartRequest, Started};
use crate::message::{Message, MessageBody};
use crate::meta::{Meta, RunId};
use crate::planted::{Bug, planted};
use crate::port::PutMetaError;

/// The META follows its message within this time or not at all.
const META_AFTER_MAX: Duration = Duration::from_secs(60);

impl Engine {
    /// Starts an execution (API: StartExecution).
    ///
    /// The same request made again while the execution runs is answered as the first was.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(&self, request: StartRequest) -> Result<Started, StartError> {
        let is_express = request.machine.machine_type == MachineType::Express;
        // Whoever is a part of something is looked for when that goes on.
        if is_express && request.parent.is_none() && self.inner.settings.express_in_memory {
            return self.start_in_memory(request).await;
        }
        let ports = &self.inner.ports;
        let run = RunId(u128::from(ports.clock.random()) << 64 | u128::from(ports.clock.random()));
        let (sent_at, began) = (ports.clock.now(), ports.clock.monotonic());
        let meta = Arc::new(request.meta(run, sent_at));
        let body = MessageBody::Start(Some(meta.clone()));
        let message = Message { execution: meta.execution_arn.clone(), run, epoch: 0, sent_at, body };
        let send =
            async || self.patiently(|| ports.queue.send(message.clone(), None)).await.map_err(unavailable);
        if !planted(Bug::StartMessageLast) {
            send().await?;
        }
        let in_time = || ports.clock.monotonic().saturating_sub(began) < META_AFTER_MAX;
        let put = async || match in_time().then(|| ports.journal.put_meta(meta.clone())) {
            None => Err(StartError::Unavailable("the start took too long".into())),
            Some(put) => match put.await {
                Ok(()) => Ok(None),
                Err(PutMetaError::Exists(other)) => Ok(Some(other)),
                Err(PutMetaError::Unknown(error)) => Err(unavailable(error)),
            },
        };
        let started = |started_at| Started { execution_arn: meta.execution_arn.clone(), started_at };
        let there = self.patiently(put).await?;
        if planted(Bug::StartMessageLast) {
            send().await?;
        }
        match there {
            None => Ok(started(sent_at)),
            Some(other) if other.run == run => Ok(started(sent_at)),
            Some(other) if is_same_start(&other, &meta) => Ok(started(other.info.started_at)),
            Some(other) => Err(StartError::AlreadyExists { arn: other.execution_arn.clone() }),
        }
    }
}

impl StartRequest {
    /// The META of this start.
    pub(crate) fn meta(self, run: RunId, started_at: Timestamp) -> Meta {
        let StartRequest {
            machine,
            execution_arn,
            name,
            input,
            trace_header,
            version_arn,
            alias_arn,
            parent,
        } = self;
        let info = Arc::new(ExecutionInfo {
            execution_arn: execution_arn.clone(),
            name,
            state_machine_arn: machine.arn.clone(),
            state_machine_name: machine.name.clone(),
            role_arn: machine.role_arn.clone(),
            version_arn,
            alias_arn,
            started_at,
            express: machine.machine_type == MachineType::Express,
        });
        let revision = machine.revision.clone();
        Meta {
            execution_arn,
            run,
            epoch: 0,
            info,
            input,
            revision,
            trace_header,
            end: None,
            parked: None,
            parent,
            redriven_at: None,
        }
    }
}

/// Whether a start that finds `other` asked for just that, and it still runs; or whether it is the same attempt's,
/// which has lost its answer.
fn is_same_start(other: &Meta, mine: &Meta) -> bool {
    let is_again = mine.parent.is_some() && other.parent == mine.parent;
    (is_again || other.end.is_none())
        && other.input == mine.input
        && other.info.state_machine_arn == mine.info.state_machine_arn
}

fn unavailable(error: impl Into<crate::port::BoxError>) -> StartError {
    StartError::Unavailable(error.into())
}
