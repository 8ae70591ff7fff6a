//! Lambda, as the client of tasks sees it: an echo on loopback.

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

/// Every call is answered with its payload.
pub(crate) struct Lambda {
    pub(crate) endpoint: String,
    state: Arc<State>,
}

struct State {
    clock: Arc<SimClock>,
    next: Mutex<Call>,
    payloads: Mutex<Vec<String>>,
}

impl Lambda {
    pub(crate) async fn new(clock: Arc<SimClock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let next = Mutex::new(Call { seconds: 0, is_answered: true });
        let state = Arc::new(State { clock, next, payloads: Mutex::default() });
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
        read.drain(..head + body.len());
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

/// How long a whole request's head is, and its body.
fn request(bytes: &[u8]) -> Option<(usize, String)> {
    let text = String::from_utf8_lossy(bytes);
    let head = text.find("\r\n\r\n")? + 4;
    let length = text[..head].to_ascii_lowercase();
    let length = length.split("content-length: ").nth(1)?.split("\r\n").next()?.parse::<usize>().ok()?;
    let body = bytes.get(head..head + length)?;
    Some((head, String::from_utf8_lossy(body).into_owned()))
}
