//! SendTaskSuccess, SendTaskFailure and SendTaskHeartbeat (PROTOCOL §5, c1–c5).

use stepwell_interpreter::{Trigger, apply, token};

use crate::Engine;
use crate::commit::Append;
use crate::driver::DriveError;
use crate::engine::CallbackError;
use crate::message::{Callback, MessageBody};
use crate::planted::{Bug, planted};
use crate::port::{Invocation, Writer};
use crate::run::{Run, Token};

/// How often a fact is tried while other commits come first.
pub(crate) const FACT_TRIES_MAX: usize = 100;

impl Engine {
    /// Ends the attempt that `token` names (API: SendTaskSuccess, SendTaskFailure). The same callback made again is answered
    /// as the first was.
    ///
    /// # Errors
    /// [`CallbackError`].
    pub async fn send_task_result(&self, token: &str, result: Callback) -> Result<(), CallbackError> {
        let token = token::decode(token).ok_or(CallbackError::InvalidToken)?;
        let trigger = result.trigger(token.attempt, token.nonce);
        self.callback(&token, &trigger, Some(&result)).await
    }

    /// The attempt that a call belongs to that went on by itself, by what its service calls it. Where there is none, the call
    /// may have been made just now: who tells of its end is to tell again, a minute later.
    ///
    /// Its end is told by [`Engine::send_task_result`] and [`Invocation::token`]; told again it is refused
    /// ([`CallbackError::TaskDoesNotExist`]), as it is once nobody waits for it.
    ///
    /// # Errors
    /// [`CallbackError::Unavailable`].
    pub async fn invocation(&self, id: &str) -> Result<Option<Invocation>, CallbackError> {
        let journal = &self.inner.ports.journal;
        let found = self.patiently(|| journal.invocation(id)).await;
        found.map_err(|error| CallbackError::Unavailable(error.into()))
    }

    /// A sign of life of the attempt that `token` names (API: SendTaskHeartbeat).
    ///
    /// # Errors
    /// [`CallbackError`].
    pub async fn send_task_heartbeat(&self, token: &str) -> Result<(), CallbackError> {
        let token = token::decode(token).ok_or(CallbackError::InvalidToken)?;
        let trigger = Trigger::TaskHeartbeat { attempt: token.attempt, nonce: token.nonce };
        // A fact without a message: the heartbeat's timer reads it when it fires.
        self.callback(&token, &trigger, None).await
    }

    async fn callback(
        &self,
        token: &token::Token,
        trigger: &Trigger,
        result: Option<&Callback>,
    ) -> Result<(), CallbackError> {
        let mut run = self.load(&token.execution_arn).await?.ok_or(CallbackError::TaskDoesNotExist)?;
        let writer = Writer::Request(self.inner.ports.clock.random());
        let mut unsent = result;
        for _ in 0..FACT_TRIES_MAX {
            let answer = match run.token(token.attempt, token.nonce, result) {
                Token::Open => None,
                Token::Ended { same } if same || planted(Bug::TokenReusable) => Some(Ok(())),
                Token::Unknown if planted(Bug::AcceptedTwice) => Some(Ok(())),
                Token::Ended { .. } => Some(Err(CallbackError::TaskTimedOut)),
                Token::Unknown => Some(Err(CallbackError::TaskDoesNotExist)),
            };
            if let Some(answer) = answer {
                self.keep(run);
                return answer;
            }
            if let Some(result) = unsent.take().filter(|_| !planted(Bug::FactWithoutMessage)) {
                self.send_callback(&run, token, result).await?;
                if planted(Bug::AnsweredByMessage) {
                    return Ok(());
                }
            }
            if self.fact(&mut run, &writer, &[trigger]).await? {
                self.keep(run);
                return Ok(());
            }
            self.refresh(&mut run).await?;
        }
        Err(CallbackError::Unavailable("other commits came first, again and again".into()))
    }

    /// The message that drives the execution on, whatever becomes of this handler.
    async fn send_callback(
        &self,
        run: &Run,
        token: &token::Token,
        result: &Callback,
    ) -> Result<(), DriveError> {
        let (attempt, nonce, result) = (token.attempt, token.nonce, result.clone());
        let message = self.message(run, MessageBody::TaskResult { attempt, nonce, result });
        let queue = &self.inner.ports.queue;
        Ok(self.patiently(|| queue.send(message.clone(), None)).await?)
    }

    /// Appends what `triggers` mean, one behind the other, and nothing else; `false` where another page came first, or it means nothing.
    pub(crate) async fn fact(
        &self,
        run: &mut Run,
        writer: &Writer,
        triggers: &[&Trigger],
    ) -> Result<bool, DriveError> {
        let definition = self.definition_of(&run.meta).await?;
        let mut proposal = crate::commit::Proposal::default();
        for trigger in triggers {
            let now = self.inner.ports.clock.decision();
            let decision = apply(&definition, proposal.execution_or(&run.execution), trigger, now);
            proposal.add(decision);
        }
        if proposal.records.is_empty() {
            return Ok(false);
        }
        match self.append(run, writer, &proposal).await? {
            Append::Conflict => Ok(false),
            Append::Done(appended) => {
                let Some(execution) = proposal.execution else { return Ok(false) };
                run.committed(writer, appended, &proposal.records, execution);
                self.announce(run, proposal.records);
                Ok(true)
            }
        }
    }
}

impl From<DriveError> for CallbackError {
    fn from(error: DriveError) -> Self {
        match error {
            DriveError::Gone => CallbackError::TaskDoesNotExist,
            error => CallbackError::Unavailable(error.into()),
        }
    }
}
