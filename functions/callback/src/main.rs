//! The Lambda function `callback`: takes in what task tokens and finished jobs report.
//!
//! It reads its configuration, builds the ports and hands over; nothing is decided here. The ports are not built yet,
//! so it says so and fails.

use std::process::ExitCode;

use stepwell_aws::{Config, NotBuilt};

fn main() -> ExitCode {
    let error = match stepwell_aws::ports(&Config::from_env()) {
        Ok(_ports) => NotBuilt::Handler("callback"),
        Err(error) => error,
    };
    eprintln!("stepwell-function-callback: {error}");
    ExitCode::FAILURE
}
