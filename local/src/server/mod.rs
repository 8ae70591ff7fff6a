//! The HTTP server of `stepwell local`: the Step Functions API, as AWS's SDKs speak it, on this machine.
//!
//! It knows HTTP/1.1, who may call, and how much of everything a caller may take up. What an operation means is
//! [`stepwell_wire`]'s business.

mod access;
mod address;
mod hosts;
mod replay;
mod respond;
mod served;
mod signal;

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use stepwell_wire::Api;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::keys::AccessKeys;
use access::Access;
pub use address::BindError;
use hosts::Hosts;
use respond::Site;
pub use served::{Request, Served};
pub use signal::stop_signal;

/// Where to listen, and what a caller may take up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address or name to listen on.
    pub host: String,
    /// The port; 0 for any that is free.
    pub port: u16,
    /// The keys that requests may be signed with.
    pub keys: Option<Arc<AccessKeys>>,
    /// Whether requests have to be signed on loopback too. Where other machines are served they have to be anyway.
    pub require_signatures: bool,
    /// Whether other machines may be served, though nobody's signature is checked.
    pub allow_unauthenticated_network: bool,
    /// Names, besides those of this machine's loopback, under which callers may know this server.
    pub names: Vec<String>,
    /// Connections served at once; further ones wait to be accepted.
    pub connections_max: usize,
    /// How long a connection may take over the head of a request, and stay idle before one.
    pub head_timeout: Duration,
    /// How long a connection may take over the body of a request.
    pub body_timeout: Duration,
    /// How long requests under way may go on after the signal to stop.
    pub grace: Duration,
}

impl Default for Options {
    /// This machine's loopback, at the port of Step Functions Local.
    fn default() -> Self {
        Options {
            host: "127.0.0.1".into(),
            port: 8083,
            keys: None,
            require_signatures: false,
            allow_unauthenticated_network: false,
            names: Vec::new(),
            connections_max: 4096,
            head_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(5),
        }
    }
}

/// A server that listens, and has no API to serve yet: what the API stands on may want to know the address.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    options: Options,
    /// What signatures are checked against, where they are.
    keys: Option<Arc<AccessKeys>>,
}

/// Bytes of a connection's read buffer at most. A request's head must fit; a body comes in pieces.
const BUFFER_BYTES_MAX: usize = 128 * 1024;

/// Pause after an `accept` that failed, as it does while no file descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Server {
    /// Listens, so that connections are taken in from now on; [`Server::run`] serves them.
    ///
    /// # Errors
    /// [`BindError`], also for an address that other machines reach, where `options` do not allow that.
    pub async fn bind(options: Options) -> Result<Self, BindError> {
        let (listener, verifies) = address::listen(&options).await?;
        let keys = options.keys.clone().filter(|_| verifies);
        let address = listener.local_addr().map_err(|source| BindError::of(&options, source))?;
        Ok(Server { listener, address, options, keys })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The keys that requests have to be signed with, where they have to be.
    pub fn keys(&self) -> Option<&Arc<AccessKeys>> {
        self.keys.as_ref()
    }

    /// Where callers find it, such as `http://127.0.0.1:8083`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Says on standard output that it listens.
    pub fn announce(&self) {
        // Nobody has to read this.
        let _ = writeln!(std::io::stdout(), "listening on {}", self.url());
    }

    /// Serves `api` until `shutdown` is ready, then lets what is under way end within [`Options::grace`].
    pub async fn run(self, api: Api, shutdown: impl Future<Output = ()>) {
        let signed = |keys| Access::signed(keys, &api.settings().region);
        let access = self.keys.clone().map_or(Access::Loopback, signed);
        self.listen(Arc::new(api), access, shutdown).await;
    }

    /// Serves everybody who reaches it whatever `served` answers, in the same way.
    pub async fn serve(self, served: Arc<dyn Served>, shutdown: impl Future<Output = ()>) {
        self.listen(served, Access::Loopback, shutdown).await;
    }

    async fn listen(self, served: Arc<dyn Served>, access: Access, shutdown: impl Future<Output = ()>) {
        let hosts = Hosts::new(self.options.names.iter().chain([&self.options.host]));
        let site = Arc::new(Site::new(served, hosts, access, self.options.body_timeout));
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(self.options.connections_max.min(connections_max())));
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                // Signals are listened for once this is polled: before anybody is answered.
                biased;
                () = &mut shutdown => break,
                accepted = accept(&self.listener, &places) => accepted,
            };
            match accepted {
                Ok((stream, place)) => self.connect(&site, stream, place, &graceful),
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        site.dismiss_workers();
        if tokio::time::timeout(self.options.grace, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests under way were cut off");
        }
    }

    fn connect(
        &self,
        site: &Arc<Site>,
        stream: TcpStream,
        place: OwnedSemaphorePermit,
        graceful: &GracefulShutdown,
    ) {
        // Answers are small and awaited; without this the kernel would hold some of them back.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was not set");
        }
        static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
        let (site, number) = (site.clone(), CONNECTIONS.fetch_add(1, Ordering::Relaxed));
        let service = service_fn(move |request| {
            let site = site.clone();
            async move { Ok::<_, std::convert::Infallible>(site.respond(request, number).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.options.head_timeout)
            .max_buf_size(BUFFER_BYTES_MAX)
            .pipeline_flush(true)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
}

/// Connections that leave file descriptors for the store and for functions: half of what the system gives.
fn connections_max() -> usize {
    #[cfg(unix)]
    {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        limit.current.map_or(usize::MAX, |files| usize::try_from(files / 2).unwrap_or(usize::MAX).max(1))
    }
    #[cfg(not(unix))]
    usize::MAX
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}
