//! The host of the user's Lambda functions.
//!
//! Functions run as child processes that speak the Lambda Runtime API to us, as they do on AWS: Python and Node.js
//! handlers through a small bootstrap of ours, and any executable `bootstrap`. A process takes one call at a time and is
//! used again; one that crashes or runs into its timeout is replaced at the next call, and one whose code has changed
//! meanwhile too. The host never makes a call twice: that is for the state machine's Retry to say.
//!
//! None of the processes outlives the host, or this program however it ends.

mod code;
mod environment;
mod launch;
mod logs;
mod outcome;
mod pool;
mod runtime_api;
mod undertaker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::header::HeaderValue;
use tokio::sync::watch;
use uuid::Uuid;

pub use self::logs::{LogLine, LogSink, Stream};
pub use self::outcome::{InvokeError, Outcome};
pub use self::runtime_api::RESPONSE_BYTES_MAX;

use self::environment::StartFailure;
use self::launch::Interpreters;
use self::outcome::{error_json, sandbox_error};
use self::pool::{Lease, Pool};
use self::runtime_api::{Ended, Invocation};
use self::undertaker::Undertaker;
use crate::config::{
    ACCOUNT_DEFAULT, FunctionConfig, REGION_DEFAULT, Variables, function_name, function_qualifier,
};

/// How often a call is offered to another process because one ended before it took the call.
const OFFERS_MAX: usize = 3;

/// How the host runs functions.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The account in function ARNs.
    pub account: String,
    /// The region in function ARNs and in `AWS_REGION`.
    pub region: String,
    /// Variables for every function, such as `AWS_ENDPOINT_URL_SFN`. A function's own go before them.
    pub environment: Variables,
    /// The most environments of one function, unless it says itself. Further calls wait.
    pub concurrency_max: usize,
    /// How long an unused environment is kept.
    pub idle_timeout: Duration,
    /// How long a process may take to come up; a function's own timeout, if that is longer.
    pub init_timeout: Duration,
    /// How often to look, when a function is called, whether its code has changed. If so, new processes are started.
    pub code_interval: Duration,
    /// Where the functions' output goes.
    pub log: LogSink,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            account: ACCOUNT_DEFAULT.to_owned(),
            region: REGION_DEFAULT.to_owned(),
            environment: Variables::default(),
            concurrency_max: 100,
            idle_timeout: Duration::from_secs(300),
            init_timeout: Duration::from_secs(10),
            code_interval: Duration::from_secs(1),
            log: LogSink::default(),
        }
    }
}

/// What goes with a call beside its payload. (API: Lambda Invoke.)
#[derive(Debug, Clone, Default)]
pub struct InvokeOptions {
    /// The id of the request; a new UUID if `None`.
    pub request_id: Option<String>,
    /// The JSON text of the client context, decoded.
    pub client_context: Option<String>,
    /// The ARN the caller used; the function's own, with the qualifier it is called by, if `None`.
    pub invoked_function_arn: Option<String>,
    /// The X-Ray trace header; a new one if `None`.
    pub trace_id: Option<String>,
}

/// The functions of a project. Clones share the processes; they end with the last clone.
#[derive(Debug, Clone)]
pub struct Functions {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// By name and by alias.
    pools: BTreeMap<String, Arc<Pool>>,
    /// Dropped with the last clone, which ends every process.
    _open: watch::Sender<()>,
}

/// What all environments share.
#[derive(Debug)]
struct Host {
    options: HostOptions,
    interpreters: Interpreters,
    undertaker: Arc<Undertaker>,
    closing: watch::Receiver<()>,
}

impl Functions {
    /// A host for these functions. No process is started before the first call.
    #[must_use]
    pub fn new(functions: Vec<FunctionConfig>, options: HostOptions) -> Self {
        let (open, closing) = watch::channel(());
        let host = Arc::new(Host {
            options,
            interpreters: Interpreters::default(),
            undertaker: Arc::default(),
            closing,
        });
        let mut pools = BTreeMap::new();
        let mut aliases = Vec::new();
        for function in functions {
            let arn = function_arn(&host.options, &function.name);
            // A name with characters that no name has: the ARN is told to the function only.
            let arn = HeaderValue::from_str(&arn).unwrap_or(HeaderValue::from_static("arn:aws:lambda"));
            let pool = Pool::new(function, arn, Arc::clone(&host));
            aliases.extend(pool.function.alias.clone().map(|alias| (alias, Arc::clone(&pool))));
            pools.insert(pool.function.name.clone(), pool);
        }
        for (alias, pool) in aliases {
            pools.entry(alias).or_insert(pool);
        }
        Self { inner: Arc::new(Inner { pools, _open: open }) }
    }

    /// The function of this name or ARN, with or without a qualifier.
    #[must_use]
    pub fn find(&self, name_or_arn: &str) -> Option<&FunctionConfig> {
        self.inner.pools.get(function_name(name_or_arn)).map(|pool| &pool.function)
    }

    /// Calls a function and waits for its end. Once begun, a call goes on when the future is dropped, as it does on
    /// AWS when the caller hangs up; then no one hears of its outcome.
    ///
    /// # Errors
    /// [`InvokeError`] says why a call did not begin. How a call failed that did begin is an [`Outcome`].
    pub async fn invoke(
        &self,
        function: &str,
        payload: Bytes,
        options: InvokeOptions,
    ) -> Result<Outcome, InvokeError> {
        let pool = self
            .inner
            .pools
            .get(function_name(function))
            .ok_or_else(|| InvokeError::FunctionNotFound { name: function.to_owned() })?;
        let invocation = invocation(pool, function, payload, options)?;
        match pool.lease().await {
            Ok(lease) => {
                let call = tokio::spawn(call(Arc::clone(pool), lease, invocation));
                call.await.map_err(|_| InvokeError::Closing)
            }
            Err(failure) => Ok(start_outcome(failure, &request_id(&invocation))),
        }
    }
}

fn function_arn(options: &HostOptions, name: &str) -> String {
    format!("arn:aws:lambda:{}:{}:function:{name}", options.region, options.account)
}

fn invocation(
    pool: &Pool,
    function: &str,
    payload: Bytes,
    options: InvokeOptions,
) -> Result<Invocation, InvokeError> {
    let header = |what, text: Option<String>| match text.map(HeaderValue::try_from) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) => Err(InvokeError::Header { what }),
    };
    let made =
        |text: String| HeaderValue::try_from(text).expect("letters, digits and `-=;` can be in a header");
    let request_id = header("the request id", options.request_id)?;
    let trace_id = header("the trace id", options.trace_id)?;
    let invoked_arn = options.invoked_function_arn.or_else(|| {
        let qualifier = function_qualifier(function)?;
        Some(format!("{}:{qualifier}", pool.arn.to_str().ok()?))
    });
    Ok(Invocation {
        request_id: request_id.unwrap_or_else(|| made(Uuid::new_v4().to_string())),
        function_arn: header("the function's ARN", invoked_arn)?.unwrap_or_else(|| pool.arn.clone()),
        trace_id: trace_id.unwrap_or_else(|| made(new_trace_id())),
        client_context: header("the client context", options.client_context)?,
        deadline_ms: 0,
        payload,
    })
}

fn new_trace_id() -> String {
    let (root, parent) = (Uuid::new_v4().simple().to_string(), Uuid::new_v4().simple().to_string());
    let seconds = now_ms() / 1000;
    format!("Root=1-{seconds:08x}-{};Parent={};Sampled=0", &root[..24], &parent[..16])
}

fn now_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

fn request_id(invocation: &Invocation) -> String {
    String::from_utf8_lossy(invocation.request_id.as_bytes()).into_owned()
}

/// Makes one call, on another process if the first ended before it took the call.
async fn call(pool: Arc<Pool>, lease: Lease, invocation: Invocation) -> Outcome {
    let request_id = request_id(&invocation);
    let limit = pool.function.timeout;
    let (mut lease, mut invocation) = (lease, invocation);
    for _ in 0..OFFERS_MAX {
        invocation.deadline_ms = now_ms() + u64::try_from(limit.as_millis()).unwrap_or(u64::MAX / 2);
        match lease.environment().call(invocation, limit).await {
            Some(Ended::Response(payload)) => return Outcome::Success(payload),
            Some(Ended::Error(payload)) => return Outcome::FunctionError(payload),
            Some(Ended::TooLarge { bytes }) => return too_large(bytes),
            Some(Ended::Exited(reason)) => {
                lease.discard();
                return crashed(&request_id, reason);
            }
            None => {
                lease.discard();
                return timed_out(&request_id, limit);
            }
            Some(Ended::NotTaken(returned)) => {
                lease.discard();
                invocation = returned;
            }
        }
        match pool.lease().await {
            Ok(another) => lease = another,
            Err(failure) => return start_outcome(failure, &request_id),
        }
    }
    crashed(&request_id, "Runtime exited before it took the call".to_owned())
}

fn crashed(request_id: &str, reason: String) -> Outcome {
    Outcome::Crashed { payload: sandbox_error("Runtime.ExitError", request_id, &reason), reason }
}

fn timed_out(request_id: &str, limit: Duration) -> Outcome {
    let message = format!("Task timed out after {:.2} seconds", limit.as_secs_f64());
    Outcome::Timeout(sandbox_error("Sandbox.Timedout", request_id, &message))
}

fn too_large(bytes: usize) -> Outcome {
    let limit = format!("exceeded maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes).");
    let message = format!("Response payload size ({bytes} bytes) {limit}");
    Outcome::FunctionError(error_json("Function.ResponseSizeTooLarge", &message))
}

fn start_outcome(failure: StartFailure, request_id: &str) -> Outcome {
    match failure {
        StartFailure::InitError(payload) => Outcome::InitError(payload),
        StartFailure::Exited(reason) => {
            Outcome::InitError(sandbox_error("Runtime.ExitError", request_id, &reason))
        }
        StartFailure::Launch(why) => {
            Outcome::InitError(sandbox_error("Runtime.InvalidEntrypoint", request_id, &why))
        }
        StartFailure::TimedOut(limit) => timed_out(request_id, limit),
    }
}
