//! The wish to stop.

use std::io;

/// Ready when the process is asked to end: by SIGTERM, or SIGINT (Ctrl-C).
///
/// # Errors
/// Where signals cannot be listened for; nothing is awaited then.
pub async fn stop_signal() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            pressed = tokio::signal::ctrl_c() => pressed,
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
