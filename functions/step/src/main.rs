//! The Lambda function `step`: drives the executions whose messages the queue hands it.
//!
//! It reads its configuration, builds the ports and hands over; nothing is decided here. The ports are not built yet,
//! so it says so and fails.

use std::process::ExitCode;

use stepwell_aws::{Config, NotBuilt};

fn main() -> ExitCode {
    let error = match stepwell_aws::ports(&Config::from_env()) {
        Ok(_ports) => NotBuilt::Handler("step"),
        Err(error) => error,
    };
    eprintln!("stepwell-function-step: {error}");
    ExitCode::FAILURE
}
