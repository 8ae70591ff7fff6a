//! `stepwell local`: the Step Functions API on this machine.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;

use crate::assembly::{Assembly, Parts};
use crate::config::{CapacityConfig, Project};
use crate::host::LogSink;
use crate::keys::AccessKeys;
use crate::machines;
use crate::server::{Options, Server, stop_signal};

/// Serves the Step Functions API on this machine, until it is told to stop (Ctrl-C or SIGTERM).
///
/// Point clients at it with AWS_ENDPOINT_URL_SFN=http://127.0.0.1:8083. Every acknowledged start and result is on disk;
/// killed at any instant and started again, executions go on where their journal ends. State machines that the project
/// declares are created, or updated where they changed; its functions run as child processes. Other calls go where
/// `stepwell run` says.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The address to listen on [default: 127.0.0.1]
    #[arg(long)]
    host: Option<String>,
    /// The port to listen on; 0 takes one that is free [default: 8083]
    #[arg(long)]
    port: Option<u16>,
    /// Where executions and state machines are kept [default: .stepwell]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The folder with the stepwell.toml or SAM template of the functions
    #[arg(long, value_name = "DIR", default_value = ".")]
    project: PathBuf,
    /// Answer under this name too; may be said more than once. Needed where signatures are not checked: a web page could
    /// let a name of its own lead here
    #[arg(long, value_name = "HOST")]
    name: Vec<String>,
    /// Answer signed requests only, on loopback too; keys are made by `stepwell keys create`
    #[arg(long, conflicts_with = "allow_unauthenticated_network")]
    require_signatures: bool,
    /// Serve other machines though nobody's signature is checked
    #[arg(long)]
    allow_unauthenticated_network: bool,
    /// Refuse requests beyond AWS's quotas (ThrottlingException), to try a client's back-off
    #[arg(long)]
    throttle: bool,
    /// Executions that are worked on at once [default: 1000]. One that waits is none of them
    #[arg(long, value_name = "COUNT")]
    drivers: Option<NonZeroUsize>,
    /// Executions that may wait to begin; further starts are refused (ThrottlingException) [default: 10000]
    #[arg(long, value_name = "COUNT")]
    backlog: Option<NonZeroUsize>,
    /// MiB of requests and unwritten commits, and of inputs of executions that begin, before starts are refused [default: 32]
    #[arg(long, value_name = "MIB")]
    backlog_mib: Option<NonZeroUsize>,
}

impl Args {
    /// Serves until told to stop.
    ///
    /// # Errors
    /// A project that cannot be read, a store that cannot be opened, an address that cannot be listened on.
    pub async fn run(self) -> Result<ExitCode> {
        let project = Project::load(&self.project)?;
        let local = &project.local;
        let data_dir = self
            .data_dir
            .clone()
            .or_else(|| local.data_dir.clone())
            .unwrap_or_else(|| Path::new(".stepwell").to_owned());
        let options = Options {
            host: self.host.clone().or_else(|| local.host.clone()).unwrap_or_else(|| "127.0.0.1".to_owned()),
            port: self.port.or(local.port).unwrap_or(8083),
            names: self.name.iter().chain(&local.names).cloned().collect(),
            keys: Some(Arc::new(AccessKeys::of(&data_dir))),
            require_signatures: self.require_signatures || local.require_signatures,
            allow_unauthenticated_network: self.allow_unauthenticated_network,
            ..Options::default()
        };
        let capacity = CapacityConfig {
            drivers: self.drivers.or(local.capacity.drivers),
            backlog: self.backlog.or(local.capacity.backlog),
            mib: self.backlog_mib.or(local.capacity.mib),
        };
        let listener = Server::bind(options).await?;
        let parts = Parts {
            project: &project,
            data_dir: &data_dir,
            mocks: None,
            api_url: listener.url(),
            keys: listener.keys().map(|keys| &**keys),
            log: LogSink::default(),
            limits: capacity.limits(),
        };
        let assembly = Assembly::start(parts).await?;
        for arn in machines::register_all(&assembly.engine, &project).await? {
            println!("{arn}");
        }
        listener.announce();
        if let Some(keys) = listener.keys()
            && keys.check()? == 0
        {
            eprintln!(
                "no request is answered before there is a key: stepwell keys create --data-dir {}",
                data_dir.display()
            );
        }
        let api = match local.throttle(self.throttle) {
            Some(throttle) => assembly.api().throttled(throttle),
            None => assembly.api(),
        };
        listener
            .run(api, async {
                if let Err(error) = stop_signal().await {
                    tracing::error!(%error, "signals cannot be listened for: stop with SIGKILL, which loses nothing");
                    std::future::pending().await
                }
            })
            .await;
        assembly.stop().await;
        Ok(ExitCode::SUCCESS)
    }
}
