//! The Lambda function `start`: starts executions: by HTTP, for events of EventBridge, for whoever may invoke it.

use std::error::Error;

use stepwell_aws::{lambda, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    serve("start", lambda::start).await
}
