//! Where the calls of Task states go: a mock, a function hosted here, an endpoint the environment names, AWS.

use std::sync::Arc;

use anyhow::Result;
use stepwell_engine::StepFunctions;
use stepwell_engine::port::Tasks;
use stepwell_integrations::{
    Aws, DynamoDb, Endpoints, FunctionHost, Integrations, Lambda, LambdaClient, Mocks, Sfn, Sns, Sqs, States,
};

/// The integrations of this program.
///
/// # Errors
/// An endpoint variable (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_LAMBDA` …) that is no URL.
pub async fn tasks(
    region: &str,
    functions: Arc<dyn FunctionHost>,
    step_functions: Arc<dyn StepFunctions>,
    mocks: Option<Arc<Mocks>>,
) -> Result<Arc<dyn Tasks>> {
    let endpoints = Endpoints::from_variables(|name| std::env::var(name).ok())?;
    let aws = Aws::load(region, endpoints).await;
    let lambda = Lambda::new().hosted_by(functions).called_by(LambdaClient::new(&aws));
    let mut integrations = Integrations::builder()
        .register("lambda", Arc::new(lambda))
        .register("states", Arc::new(States::new(step_functions.clone())))
        .register("aws-sdk:sfn", Arc::new(Sfn::new(step_functions)))
        .register("dynamodb", Arc::new(DynamoDb::new(&aws)))
        .register("sns", Arc::new(Sns::new(&aws)))
        .register("sqs", Arc::new(Sqs::new(&aws)));
    if let Some(mocks) = mocks {
        integrations = integrations.mocked_by(mocks);
    }
    Ok(Arc::new(integrations.build()))
}
