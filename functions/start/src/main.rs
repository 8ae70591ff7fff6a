//! The Lambda function `start`: starts executions for API Gateway, EventBridge and direct invocations.
//!
//! It reads its configuration, builds the ports and hands over; nothing is decided here. The ports are not built yet,
//! so it says so and fails.

use std::process::ExitCode;

use stepwell_aws::{Config, NotBuilt};

fn main() -> ExitCode {
    let error = match stepwell_aws::ports(&Config::from_env()) {
        Ok(_ports) => NotBuilt::Handler("start"),
        Err(error) => error,
    };
    eprintln!("stepwell-function-start: {error}");
    ExitCode::FAILURE
}
