//! What functions print.

use std::fmt;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// The longest line passed on in one piece, in bytes; a longer one is passed on in several.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// One line that a function printed.
#[derive(Debug, Clone, Copy)]
pub struct LogLine<'a> {
    /// The function's name.
    pub function: &'a str,
    /// Where it printed the line.
    pub stream: Stream,
    /// The line, without its end.
    pub text: &'a str,
}

/// Standard output or standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Where the lines go. It is called from the tasks that read the functions' output, so it must not block for long.
#[derive(Clone)]
pub struct LogSink(Arc<dyn Fn(LogLine<'_>) + Send + Sync>);

impl LogSink {
    /// A sink that calls `write` for each line.
    pub fn new(write: impl Fn(LogLine<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// Takes a line.
    pub fn write(&self, line: LogLine<'_>) {
        (self.0)(line);
    }
}

impl Default for LogSink {
    /// Prints each line on standard error, with the function's name before it.
    fn default() -> Self {
        Self::new(|line| eprintln!("{} | {}", line.function, line.text))
    }
}

impl fmt::Debug for LogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogSink")
    }
}

/// Passes on every line of `from` until it ends.
pub(super) async fn pass_on(from: impl AsyncRead + Unpin, function: Arc<str>, stream: Stream, sink: LogSink) {
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        let ended = match reader.fill_buf().await {
            Ok([]) | Err(_) => true,
            Ok(available) => {
                let end = available.iter().position(|byte| *byte == b'\n');
                let taken = end.map_or(available.len(), |end| end + 1);
                line.extend_from_slice(&available[..taken]);
                reader.consume(taken);
                false
            }
        };
        if line.ends_with(b"\n") || line.len() >= LINE_BYTES_MAX || (ended && !line.is_empty()) {
            let text = String::from_utf8_lossy(&line);
            sink.write(LogLine { function: &function, stream, text: text.trim_end_matches(['\n', '\r']) });
            line.clear();
        }
        if ended {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn lines_are_passed_on_whole_and_very_long_ones_in_pieces() {
        let long = "x".repeat(LINE_BYTES_MAX + 10);
        let text = format!("one\r\n\n{long}\nlast");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = {
            let seen = Arc::clone(&seen);
            LogSink::new(move |line| seen.lock().unwrap().push(line.text.len()))
        };
        pass_on(text.as_bytes(), "f".into(), Stream::Stdout, sink).await;
        let seen = seen.lock().unwrap();
        assert_eq!(seen[..2], [3, 0]);
        assert_eq!(seen[seen.len() - 1], 4);
        assert_eq!(seen.iter().sum::<usize>(), 3 + long.len() + 4);
    }
}
