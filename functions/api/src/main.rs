//! The Lambda function `api`: answers the API of Step Functions.

use std::error::Error;

use stepwell_aws::{lambda, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    serve("api", lambda::api).await
}
