//! The Lambda function `step`: drives the executions whose messages the queue hands it.

use std::error::Error;

use stepwell_aws::{lambda, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    serve("step", lambda::step).await
}
