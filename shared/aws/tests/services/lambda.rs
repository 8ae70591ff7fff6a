//! Lambda and STS, as the client of tasks sees them: an echo on loopback, which any role may call, but for the one `refused`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use stepwell_test_support::SimClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a call does to the time, and whether it is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    /// How long it takes.
    pub(crate) seconds: u64,
    pub(crate) is_answered: bool,
}

/// The id of the next asynchronous invocation, and what it is of.
type Events = Vec<(String, String)>;

/// Every call is answered with its payload, and every event is taken.
pub(crate) struct Lambda {
    pub(crate) endpoint: String,
    state: Arc<State>,
}

struct State {
    clock: Arc<SimClock>,
    next: Mutex<Call>,
    payloads: Mutex<Vec<String>>,
    /// The functions' configured timeout, in seconds.
    timeout: AtomicU32,
    events: Mutex<Events>,
}

impl Lambda {
    pub(crate) async fn new(clock: Arc<SimClock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let next = Mutex::new(Call { seconds: 0, is_answered: true });
        let (payloads, events, timeout) = (Mutex::default(), Mutex::default(), AtomicU32::new(3));
        let state = Arc::new(State { clock, next, payloads, timeout, events });
        let serving = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, serving.clone()));
            }
        });
        Lambda { endpoint, state }
    }

    /// What calls do from now on.
    pub(crate) fn set(&self, call: Call) {
        *self.state.next.lock().unwrap_or_else(PoisonError::into_inner) = call;
    }

    /// How long functions may take from now on, in seconds.
    pub(crate) fn set_timeout(&self, seconds: u32) {
        self.state.timeout.store(seconds, Ordering::Relaxed);
    }

    /// The ids and payloads of the events that were taken since this was last called.
    pub(crate) fn take_events(&self) -> Events {
        std::mem::take(&mut *self.state.events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The payloads of all calls.
    pub(crate) fn payloads(&self) -> Vec<String> {
        self.state.payloads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let mut read = vec![];
    loop {
        let Some((head, body)) = request(&read) else {
            match stream.read_buf(&mut read).await {
                Ok(1..) => continue,
                _ => return,
            }
        };
        let told = String::from_utf8_lossy(&read[..head]).to_ascii_lowercase();
        read.drain(..head + body.len());
        if let Some(answer) = state.besides(&told, &body) {
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
            continue;
        }
        let call = *state.next.lock().unwrap_or_else(PoisonError::into_inner);
        state.payloads.lock().unwrap_or_else(PoisonError::into_inner).push(body.clone());
        state.clock.advance(std::time::Duration::from_secs(call.seconds));
        if !call.is_answered {
            std::future::pending::<()>().await;
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if stream.write_all((head + &body).as_bytes()).await.is_err() {
            return;
        }
    }
}

impl State {
    /// The answer to anything but a synchronous call.
    fn besides(&self, head: &str, body: &str) -> Option<String> {
        let answer = |status: &str, headers: &str, body: &str| {
            Some(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
        };
        if body.starts_with("Action=AssumeRole&") && body.contains("role%2Frefused&") {
            let error = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
            return answer("403 Forbidden", "", error);
        }
        if body.starts_with("Action=AssumeRole&") {
            let keys = "<AccessKeyId>ASSUMED</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
                        <Expiration>2099-01-01T00:00:00Z</Expiration>";
            return answer("200 OK", "", keys);
        }
        if head.starts_with("get ") && head.contains("/configuration") {
            let timeout = self.timeout.load(Ordering::Relaxed);
            return answer("200 OK", "", &format!("{{\"Timeout\":{timeout}}}"));
        }
        if head.starts_with("get ") {
            let told = r#"{"DestinationConfig":{"OnSuccess":{"Destination":"callback"},"OnFailure":{"Destination":"callback"}},
                "MaximumRetryAttempts":0,"MaximumEventAgeInSeconds":600}"#;
            return answer("200 OK", "", told);
        }
        if head.contains("x-amz-invocation-type: event") {
            let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            static EVENTS: AtomicU32 = AtomicU32::new(0);
            let id = format!("event-{}", EVENTS.fetch_add(1, Ordering::Relaxed));
            events.push((id.clone(), body.to_owned()));
            return answer("202 Accepted", &format!("x-amzn-requestid: {id}\r\n"), "");
        }
        None
    }
}

/// How long a whole request's head is, and its body.
fn request(bytes: &[u8]) -> Option<(usize, String)> {
    let text = String::from_utf8_lossy(bytes);
    let head = text.find("\r\n\r\n")? + 4;
    let length = text[..head].to_ascii_lowercase();
    let length = match length.split("content-length: ").nth(1) {
        Some(length) => length.split("\r\n").next()?.parse::<usize>().ok()?,
        None => 0,
    };
    let body = bytes.get(head..head + length)?;
    Some((head, String::from_utf8_lossy(body).into_owned()))
}
