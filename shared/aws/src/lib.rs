//! The engine's ports on AWS: the Journal on DynamoDB and S3, the Queue on SQS, the Scheduler on EventBridge Scheduler.
//!
//! This crate knows how a function in the user's account is configured, and its ports will know those services. None of
//! them is built: [`ports`] says so, and nothing pretends otherwise. It does not know the store of one machine, nor what
//! a message or a page says.

use stepwell_engine::Ports;

/// What a function of ours is told by its environment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {}

impl Config {
    /// Reads the environment. Ports that are not built need nothing of it, so nothing is read.
    pub fn from_env() -> Self {
        Config {}
    }
}

/// What a function of ours was asked for and does not have yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotBuilt {
    /// The ports.
    #[error(
        "stepwell does not run in AWS yet: its ports on DynamoDB, SQS and EventBridge Scheduler are not built \
         (`stepwell local` runs state machines on one machine)"
    )]
    Ports,
    /// What takes the function's events in.
    #[error("stepwell does not run in AWS yet: function {0} has no handler")]
    Handler(&'static str),
}

/// The engine's ports on AWS, as `config` says.
///
/// # Errors
/// [`NotBuilt::Ports`], always.
pub fn ports(_config: &Config) -> Result<Ports, NotBuilt> {
    Err(NotBuilt::Ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_given_ports_that_are_not_there() {
        let error = ports(&Config::from_env()).err().unwrap();
        assert_eq!(error, NotBuilt::Ports);
        assert!(error.to_string().contains("does not run in AWS yet"));
    }
}
