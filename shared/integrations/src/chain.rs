//! Keys as every AWS tool finds them: environment, profiles, SSO, web identity, container, instance.

use async_trait::async_trait;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use std::sync::Arc;
use stepwell_engine::port::BoxError;

use crate::credentials::{Credentials, KeySource};
use crate::{Aws, Endpoints, Keys};

impl Aws {
    /// Calls of `region`, with the keys that the SDKs' chain finds. It is asked when the first are needed.
    pub async fn load(region: impl Into<String>, endpoints: Endpoints) -> Self {
        let region = region.into();
        let config = chain().region(Region::new(region.clone())).load().await;
        Aws::new(region, endpoints, keys_of(&config))
    }

    /// The same with the keys and settings of a profile in the user's files. The region is `region`, else what the
    /// environment or the profile says; `None` where nothing does.
    pub async fn load_profile(
        profile: Option<&str>,
        region: Option<&str>,
        endpoints: Endpoints,
    ) -> Option<Self> {
        let mut chain = chain();
        if let Some(profile) = profile {
            chain = chain.profile_name(profile);
        }
        if let Some(region) = region {
            chain = chain.region(Region::new(region.to_owned()));
        }
        let config = chain.load().await;
        let region = config.region()?.to_string();
        Some(Aws::new(region, endpoints, keys_of(&config)))
    }
}

/// The chain with its defaults as of a day, over TLS by rustls with ring.
fn chain() -> ConfigLoader {
    let client = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(client.build_https())
}

fn keys_of(config: &SdkConfig) -> Keys {
    config.credentials_provider().map_or_else(Keys::none, |chain| Keys::from_source(Arc::new(Chain(chain))))
}

#[derive(Debug)]
struct Chain(SharedCredentialsProvider);

#[async_trait]
impl KeySource for Chain {
    async fn keys(&self) -> Result<Credentials, BoxError> {
        let found = self.0.provide_credentials().await?;
        let token = found.session_token().map(str::to_owned);
        let keys = Credentials::new(found.access_key_id(), found.secret_access_key(), token);
        Ok(match found.expiry() {
            Some(expires) => keys.until(expires),
            None => keys,
        })
    }
}
