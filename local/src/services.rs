//! Where the calls of Task states go: a mock, a function hosted here, an endpoint the environment names, AWS.

use std::sync::Arc;

use anyhow::Result;
use stepwell_engine::StepFunctions;
use stepwell_engine::port::Tasks;
use stepwell_integrations::{
    Aws, DynamoDb, Endpoints, FunctionHost, Integrations, Lambda, LambdaClient, Mocks, Sfn, Sns, Sqs, States,
};

/// Where AWS's services are, or what stands in for them, and the keys for them.
///
/// # Errors
/// An endpoint variable (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_LAMBDA` …) that is no URL.
pub async fn aws(region: &str) -> Result<Aws> {
    let endpoints = Endpoints::from_variables(|name| std::env::var(name).ok())?;
    Ok(Aws::load(region, endpoints).await)
}

/// The integrations of this program.
pub fn tasks(
    aws: &Aws,
    functions: Arc<dyn FunctionHost>,
    step_functions: Arc<dyn StepFunctions>,
    mocks: Option<Arc<Mocks>>,
) -> Arc<dyn Tasks> {
    let lambda = Lambda::new().hosted_by(functions).called_by(LambdaClient::new(aws));
    let mut integrations = Integrations::builder()
        .register("lambda", Arc::new(lambda))
        .register("states", Arc::new(States::new(step_functions.clone())))
        .register("aws-sdk:sfn", Arc::new(Sfn::new(step_functions)))
        .register("dynamodb", Arc::new(DynamoDb::new(aws)))
        .register("sns", Arc::new(Sns::new(aws)))
        .register("sqs", Arc::new(Sqs::new(aws)));
    if let Some(mocks) = mocks {
        integrations = integrations.mocked_by(mocks);
    }
    Arc::new(integrations.build())
}
