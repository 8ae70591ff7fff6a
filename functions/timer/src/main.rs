//! The Lambda function `timer`: sends messages on whose time has nearly come.

use std::error::Error;

use stepwell_aws::{lambda, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    serve("timer", lambda::timer).await
}
