//! The Queue on SQS.
//!
//! A message's body is its stored form in Base64. Whoever sends while another sends waits, and then sends for all who have
//! gathered, up to ten in one request. Nothing is spawned, and nobody waits for company longer than it takes to look round.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt, TryStreamExt, stream};
use stepwell_engine::message::Message;
use stepwell_engine::port::{BoxError, Clock, Queue, QueueError, Refused};
use stepwell_engine::stored::{StoredError, decode_message, encode_message};
use stepwell_interpreter::Timestamp;
use tokio::sync::oneshot;

use crate::retry::is_passing;
use crate::services::ServiceError;
use crate::services::sqs::{BatchResultError, Client, SendEntry};

/// SQS's longest `DelaySeconds`.
const DELAY_SECONDS_MAX: i64 = 900;

/// SQS's longest `VisibilityTimeout`.
const VISIBILITY_SECONDS_MAX: u64 = 12 * 60 * 60;

/// Messages in one request at most.
const BATCH: usize = 10;

/// The request that sends.
const SEND: &str = "SendMessageBatch";

/// Bytes of a message, and of all in one request.
const BYTES_MAX: usize = 1024 * 1024;

/// Wake-ups in a queue.
pub struct SqsQueue {
    client: Client,
    url: String,
    clock: Arc<dyn Clock>,
    waiting: Mutex<VecDeque<Waiting>>,
    turn: tokio::sync::Mutex<()>,
    /// The receipts of messages that this process holds, by message id.
    receipts: Mutex<HashMap<Arc<str>, String>>,
}

/// Requests that [`SqsQueue::send_all`] makes at once.
const REQUESTS_AT_ONCE: usize = 16;

type Answered = oneshot::Receiver<Result<(), SendError>>;

struct Waiting {
    body: String,
    delay_seconds: i32,
    answer: oneshot::Sender<Result<(), SendError>>,
}

/// Why a message was not sent, or may not have been.
#[derive(Debug, Clone, thiserror::Error)]
enum SendError {
    #[error("a message of {0} bytes is more than SQS takes ({BYTES_MAX})")]
    TooLarge(usize),
    #[error("a delay of {0} seconds is more than SQS has ({DELAY_SECONDS_MAX}): it is the scheduler's")]
    TooFar(i64),
    #[error("SQS refuses {operation}: {code}: {message}")]
    Refused { operation: &'static str, code: String, message: String },
    #[error("SQS does not answer {operation}: {why}")]
    NoAnswer { operation: &'static str, why: String },
    #[error("message {0} is not held by this process")]
    NotHeld(String),
}

impl SendError {
    /// For the port, whose asker is patient with what may pass.
    fn boxed(self) -> BoxError {
        match &self {
            SendError::NoAnswer { .. } => Box::new(self),
            SendError::Refused { code, .. } if is_passing(0, code) => Box::new(self),
            _ => Box::new(Refused(Box::new(self))),
        }
    }
}

/// A body that is no message of ours.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is no Base64.
    #[error("a message's body is not Base64")]
    Encoding(#[from] base64::DecodeError),
    /// It is no stored form.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

/// The body of a message.
pub(crate) fn body(message: &Message) -> String {
    STANDARD.encode(encode_message(message))
}

/// Reads a message's body.
///
/// # Errors
/// [`BodyError`].
pub fn read_body(body: &str) -> Result<Message, BodyError> {
    Ok(decode_message(&STANDARD.decode(body)?)?)
}

impl SqsQueue {
    /// The queue of this URL. The client may try a request again: a message that is sent twice is a copy, and a no-op.
    pub fn new(client: Client, url: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        let (waiting, turn, receipts) = Default::default();
        SqsQueue { client, url: url.into(), clock, waiting, turn, receipts }
    }

    /// Notes a delivery, so that [`Queue::set_visibility`] can name it.
    pub fn received(&self, message: &str, receipt: &str) {
        self.receipts().insert(message.into(), receipt.to_owned());
    }

    /// Forgets a delivery whose handler is done with it.
    pub fn dismissed(&self, message: &str) {
        self.receipts().remove(message);
    }

    /// Deletes messages that this process holds, up to ten, and says which are gone. Those that are not come again.
    pub async fn delete(&self, messages: &[&str]) -> Vec<bool> {
        let receipts: Vec<_> =
            messages.iter().map(|message| self.receipts().get(*message).cloned()).collect();
        let held = receipts.into_iter().enumerate().filter_map(|(n, receipt)| Some((n, receipt?)));
        let held: Vec<_> = held.take(BATCH).collect();
        let mut deleted = vec![false; messages.len()];
        if held.is_empty() {
            return deleted;
        }
        match self.client.delete_message_batch(&self.url, &held).await {
            Ok(gone) => {
                gone.into_iter()
                    .for_each(|n| deleted.get_mut(n).into_iter().for_each(|deleted| *deleted = true));
            }
            Err(error) => {
                tracing::warn!(error = %failed("DeleteMessageBatch", error), "messages that are done with were not deleted")
            }
        }
        deleted
    }

    fn receipts(&self) -> MutexGuard<'_, HashMap<Arc<str>, String>> {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first of those that wait, as many as one request takes.
    fn next_batch(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting();
        let mut batch = vec![];
        let mut bytes = 0;
        while let Some(first) = waiting.front() {
            bytes += first.body.len();
            if batch.len() == BATCH || (bytes > BYTES_MAX && !batch.is_empty()) {
                break;
            }
            batch.extend(waiting.pop_front());
        }
        batch
    }

    async fn send_batch(&self, batch: Vec<Waiting>) {
        let entries = batch
            .iter()
            .map(|waiting| SendEntry { message_body: &waiting.body, delay_seconds: waiting.delay_seconds });
        let answer = self.client.send_message_batch(&self.url, &entries.collect::<Vec<_>>()).await;
        let results: Vec<Result<(), SendError>> = match answer {
            Err(error) => {
                let error = failed(SEND, error);
                batch.iter().map(|_| Err(error.clone())).collect()
            }
            Ok(refused) => {
                let mut results = vec![Ok(()); batch.len()];
                for BatchResultError { id, code, message } in refused {
                    if let Some(result) = results.get_mut(id) {
                        *result = Err(SendError::Refused { operation: SEND, code, message });
                    }
                }
                results
            }
        };
        for (waiting, result) in batch.into_iter().zip(results) {
            // Who no longer waits has been dropped, and asks no more.
            let _ = waiting.answer.send(result);
        }
    }

    /// A message as it is sent, and where its answer comes.
    fn entry(&self, message: &Message, due: Option<Timestamp>) -> Result<(Waiting, Answered), SendError> {
        let left = due.map_or(0, |due| due.0.saturating_sub(self.clock.now().0).max(0));
        let delay_seconds = left.saturating_add(999) / 1000;
        if delay_seconds > DELAY_SECONDS_MAX {
            return Err(SendError::TooFar(delay_seconds));
        }
        let body = body(message);
        if body.len() > BYTES_MAX {
            return Err(SendError::TooLarge(body.len()));
        }
        let (answer, answered) = oneshot::channel();
        Ok((Waiting { body, delay_seconds: delay_seconds as i32, answer }, answered))
    }

    /// Sends many small messages at once, in as few requests as can be.
    ///
    /// # Errors
    /// [`QueueError`] where one of them was not sent; others may be.
    pub(crate) async fn send_all(&self, messages: Vec<(Message, Timestamp)>) -> Result<(), QueueError> {
        let mut messages = messages.into_iter().peekable();
        let batches = std::iter::from_fn(|| {
            messages.peek()?;
            Some(messages.by_ref().take(BATCH).collect::<Vec<_>>())
        });
        let batches: Vec<_> = batches.collect();
        let sent =
            stream::iter(batches).map(|batch| self.send_some(batch)).buffer_unordered(REQUESTS_AT_ONCE);
        sent.try_collect::<()>().await.map_err(|error| QueueError(error.boxed()))
    }

    /// One request's worth of messages.
    async fn send_some(&self, messages: Vec<(Message, Timestamp)>) -> Result<(), SendError> {
        let entries = messages.iter().map(|(message, due)| self.entry(message, Some(*due)));
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let (waiting, answers): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        self.send_batch(waiting).await;
        for answered in answers {
            let nobody = || SendError::NoAnswer { operation: SEND, why: "nobody sent it".to_owned() };
            answered.await.unwrap_or_else(|_| Err(nobody()))?;
        }
        Ok(())
    }

    async fn try_send(&self, message: &Message, due: Option<Timestamp>) -> Result<(), SendError> {
        let (waiting, mut answered) = self.entry(message, due)?;
        self.waiting().push_back(waiting);
        gather().await;
        let turn = self.turn.lock().await;
        loop {
            match answered.try_recv() {
                Ok(result) => return result,
                Err(oneshot::error::TryRecvError::Empty) => self.send_batch(self.next_batch()).await,
                Err(oneshot::error::TryRecvError::Closed) => {
                    drop(turn);
                    let why = "whoever sent it was dropped meanwhile".to_owned();
                    return Err(SendError::NoAnswer { operation: SEND, why });
                }
            }
        }
    }

    async fn try_set_visibility(&self, message: &str, visibility: Duration) -> Result<(), SendError> {
        let receipt = self.receipts().get(message).cloned();
        let receipt = receipt.ok_or_else(|| SendError::NotHeld(message.to_owned()))?;
        let seconds = visibility.as_millis().div_ceil(1000).min(VISIBILITY_SECONDS_MAX.into());
        let seconds = u64::try_from(seconds).unwrap_or(VISIBILITY_SECONDS_MAX);
        let changed = self.client.change_message_visibility(&self.url, &receipt, seconds).await;
        changed.map_err(|error| failed("ChangeMessageVisibility", error))
    }
}

/// Lets whoever is ready to send do so.
pub(crate) async fn gather() {
    let mut has_waited = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What a request that failed comes to.
fn failed(operation: &'static str, error: ServiceError) -> SendError {
    match error {
        ServiceError::Refused(exception) if !is_passing(exception.status, &exception.code) => {
            let (code, message) = (exception.code, exception.message.unwrap_or_default());
            SendError::Refused { operation, code, message }
        }
        error => SendError::NoAnswer { operation, why: error.to_string() },
    }
}

#[async_trait]
impl Queue for SqsQueue {
    async fn send(&self, message: Message, due: Option<Timestamp>) -> Result<(), QueueError> {
        self.try_send(&message, due).await.map_err(|error| QueueError(error.boxed()))
    }

    async fn set_visibility(&self, message: &str, visibility: Duration) -> Result<(), QueueError> {
        self.try_set_visibility(message, visibility).await.map_err(|error| QueueError(error.boxed()))
    }
}
