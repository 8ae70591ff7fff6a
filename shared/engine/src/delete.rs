//! DeleteStateMachine, in the manner of PROTOCOL §5: the message first, then the fact, which is the status DELETING.
//!
//! The machine is removed when none of its executions runs any more. They end at their next transition: whoever drives one asks
//! [`Registry::is_deleting`](crate::port::Registry::is_deleting) before it enters a state. An execution whose start was under way
//! meanwhile may outlive the machine, on the revision that it started with.

use std::sync::Arc;
use std::time::Duration;

use crate::Engine;
use crate::engine::Driven;
use crate::message::{Message, MessageBody};
use crate::meta::{Meta, RunId};
use crate::port::{ListQuery, MachineStatus, RegistryError};

/// How often a machine is read again that changes meanwhile.
const TRIES_MAX: usize = 10;

/// How long the message rests at most between two looks whether executions still run.
const REST_MAX: Duration = Duration::from_secs(60);

/// Receipts after which a fresh message takes this one's place, so that no queue gives it up.
const RECEIVES_MAX: u32 = 5;

impl Engine {
    /// Deletes a state machine (API: DeleteStateMachine), with its versions and aliases: at once where none of its executions
    /// runs, else when they have ended. One that is not there is deleted already.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`]; the machine may be deleted all the same, and the same request may be made again.
    pub async fn delete_machine(&self, arn: &str) -> Result<(), RegistryError> {
        let ports = &self.inner.ports;
        for _ in 0..TRIES_MAX {
            let Some(machine) = self.patiently(|| ports.registry.machine(arn)).await? else { return Ok(()) };
            let revision = &machine.revision;
            if machine.status == MachineStatus::Active {
                self.send_deletion(&machine.arn, revision, Duration::ZERO).await?;
            }
            if self.begin_deletion(arn, revision).await? {
                // The message sees to what this cannot do.
                if let Err(error) = self.finish_deletion(&machine.arn, revision).await {
                    tracing::debug!(arn, %error, "the deletion goes on later");
                }
                return Ok(());
            }
        }
        Err(RegistryError::Unavailable("other changes came first, again and again".into()))
    }

    /// What a delivery of the message does. It names a revision, so that a later machine of this name is none of its business.
    pub(crate) async fn drive_deletion(&self, arn: &Arc<str>, revision: &Arc<str>, receives: u32) -> Driven {
        match self.go_on_deleting(arn, revision, receives).await {
            Ok(driven) => driven,
            Err(error) => {
                tracing::warn!(%arn, receives, %error, "a state machine could not be deleted");
                Driven::Again { after: rest(receives) }
            }
        }
    }

    async fn go_on_deleting(
        &self,
        arn: &Arc<str>,
        revision: &Arc<str>,
        receives: u32,
    ) -> Result<Driven, RegistryError> {
        if !self.begin_deletion(arn, revision).await? || self.finish_deletion(arn, revision).await? {
            return Ok(Driven::Done);
        }
        if receives < RECEIVES_MAX {
            return Ok(Driven::Again { after: rest(receives) });
        }
        self.send_deletion(arn, revision, REST_MAX).await?;
        Ok(Driven::Done)
    }

    async fn send_deletion(
        &self,
        arn: &Arc<str>,
        revision: &Arc<str>,
        after: Duration,
    ) -> Result<(), RegistryError> {
        let ports = &self.inner.ports;
        let (sent_at, body) = (ports.clock.now(), MessageBody::DeleteMachine { revision: revision.clone() });
        let message = Message { execution: arn.clone(), run: RunId::default(), epoch: 0, sent_at, body };
        let due = (!after.is_zero()).then(|| sent_at.plus_seconds(after.as_secs()));
        let sent = self.patiently(|| ports.queue.send(message.clone(), due)).await;
        sent.map_err(|error| RegistryError::Unavailable(error.into()))
    }

    /// Notes that the machine is being deleted; `false` where there is none of this revision.
    async fn begin_deletion(&self, arn: &str, revision: &str) -> Result<bool, RegistryError> {
        let registry = &self.inner.ports.registry;
        self.patiently(async || match registry.begin_delete(arn, revision).await {
            Ok(()) => Ok(true),
            Err(RegistryError::Missing(_) | RegistryError::Exists(_)) => Ok(false),
            Err(error) => Err(error),
        })
        .await
    }

    /// Removes a machine that is being deleted; `false` where executions of it still run.
    async fn finish_deletion(&self, arn: &Arc<str>, revision: &str) -> Result<bool, RegistryError> {
        let ports = &self.inner.ports;
        let query = ListQuery::running(arn.clone(), 1);
        let running = self.patiently(|| ports.journal.list(query.clone())).await;
        let running = running.map_err(|error| RegistryError::Unavailable(error.into()))?;
        if !running.metas.is_empty() || running.next.is_some() {
            return Ok(false);
        }
        self.patiently(|| ports.registry.delete(arn, revision)).await?;
        Ok(true)
    }

    /// Whether the execution's machine is being deleted.
    pub(crate) async fn is_deleting(&self, meta: &Meta) -> Result<bool, RegistryError> {
        let registry = &self.inner.ports.registry;
        // Those of a Map Run are its machine's, whose ARN a label follows.
        let arn = &*meta.info.state_machine_arn;
        let arn = arn.split_once('/').map_or(arn, |(machine, _)| machine);
        self.patiently(|| registry.is_deleting(arn)).await
    }
}

/// How long a message rests that was received this often.
fn rest(receives: u32) -> Duration {
    Duration::from_secs(1 << receives.min(6)).min(REST_MAX)
}
