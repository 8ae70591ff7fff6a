//! StopExecution (PROTOCOL §5, c1–c5).

use stepwell_interpreter::{ErrorOutput, Timestamp, Trigger};

use crate::Engine;
use crate::callback::FACT_TRIES_MAX;
use crate::driver::DriveError;
use crate::engine::StopError;
use crate::message::MessageBody;
use crate::planted::{Bug, planted};
use crate::port::Writer;

impl Engine {
    /// Stops an execution (API: StopExecution) and gives its stop date; one that has ended keeps its own.
    ///
    /// # Errors
    /// [`StopError`].
    pub async fn stop(&self, execution_arn: &str, error: ErrorOutput) -> Result<Timestamp, StopError> {
        let missing = || StopError::DoesNotExist(execution_arn.into());
        let failed = |error| match error {
            DriveError::Gone => missing(),
            error => StopError::Unavailable(error.into()),
        };
        let mut run = self.load(execution_arn).await.map_err(failed)?.ok_or_else(missing)?;
        let request = self.inner.ports.clock.random();
        let mut sent = None;
        for _ in 0..FACT_TRIES_MAX {
            if let Some(end) = run.end() {
                self.finish(&mut run).await.map_err(failed)?;
                return Ok(end.at);
            }
            // A message that comes before the first page is void, or in the epoch before, and it is the message that tells others of this
            // fact and ends META.
            let epoch = if planted(Bug::StopOfAnotherEpoch) { 0 } else { run.epoch() };
            let stands_for = (run.seq.0 > 0, epoch);
            if sent.is_none_or(|sent| sent < stands_for) {
                sent = Some(stands_for);
                let message = self.message(&run, MessageBody::Stop { request, error: error.clone() });
                let queue = &self.inner.ports.queue;
                let sent = self.patiently(|| queue.send(message.clone(), None)).await;
                sent.map_err(|error| failed(error.into()))?;
            }
            let start = Trigger::Start { info: run.meta.info.clone(), input: run.meta.input.clone() };
            let stop = Trigger::Stop(error.clone());
            // Before the first page there is nothing to abort yet: the start comes with it.
            let triggers: &[&Trigger] = if run.seq.0 == 0 { &[&start, &stop] } else { &[&stop] };
            let written = self.fact(&mut run, &Writer::Request(request), triggers).await.map_err(failed)?;
            if !written {
                self.refresh(&mut run).await.map_err(failed)?;
            }
        }
        Err(StopError::Unavailable("other commits came first, again and again".into()))
    }
}
