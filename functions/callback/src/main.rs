//! The Lambda function `callback`: takes in what became of tasks.

use std::error::Error;

use stepwell_aws::{lambda, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    serve("callback", lambda::callback).await
}
