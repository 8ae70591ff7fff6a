//! Where the server may listen.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, lookup_host};

use super::Options;

/// Why the server does not listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Other machines would be served, and there are no keys to check signatures against.
    #[error(
        "{host} can be reached from other machines, and whoever reaches this server may start, read and stop everything \
         in it: listen on 127.0.0.1, or say --allow-unauthenticated-network if the network is yours alone"
    )]
    Network {
        /// What was asked for.
        host: String,
    },
    /// The address is taken, or is not this machine's.
    #[error("cannot listen on {host}:{port}: {source}")]
    Unavailable {
        /// What was asked for.
        host: String,
        /// What was asked for.
        port: u16,
        /// Why.
        source: io::Error,
    },
}

impl BindError {
    pub(super) fn of(options: &Options, source: io::Error) -> Self {
        BindError::Unavailable { host: options.host.clone(), port: options.port, source }
    }
}

/// Listens where `options` say, and says whether each request's signature has to be verified.
///
/// # Errors
/// [`BindError`]
pub(super) async fn listen(options: &Options) -> Result<(TcpListener, bool), BindError> {
    let host = options.host.trim_start_matches('[').trim_end_matches(']');
    let found = lookup_host((host, options.port)).await;
    let addresses: Vec<SocketAddr> = found.map_err(|source| BindError::of(options, source))?.collect();
    let is_open = addresses.iter().any(|address| !address.ip().is_loopback());
    let verifies = options.require_signatures || is_open && !options.allow_unauthenticated_network;
    if verifies && options.keys.is_none() {
        return Err(BindError::Network { host: options.host.clone() });
    }
    let listener =
        TcpListener::bind(&addresses[..]).await.map_err(|source| BindError::of(options, source))?;
    Ok((listener, verifies))
}
