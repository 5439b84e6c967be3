//! AWS's two stores for secrets, through the AWS SDK: Secrets Manager, and Parameter Store.

mod connector;
mod parameter_store;
mod secrets_manager;

use std::error::Error;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_secretsmanager::config::retry::RetryConfig;
use aws_sdk_secretsmanager::config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Region};
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use aws_types::SdkConfig;

pub use parameter_store::ParameterStore;
pub use secrets_manager::SecretsManager;

use connector::Connector;

use super::StoreError;
use crate::log::with_causes;

/// The region, credentials and endpoint of the AWS variables, and this service's timeouts.
///
/// Lambda sets these variables, so none of the SDK's other sources is needed: no profile, and no metadata service.
#[derive(Debug, Clone)]
pub struct Aws {
    secrets_manager: SdkConfig,
    parameter_store: SdkConfig,
}

impl Aws {
    /// Reads the AWS variables. `variable` returns their values.
    #[must_use]
    pub fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let is_true = |name: &str| set(name).map(|value| value.eq_ignore_ascii_case("true"));
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")).map(Region::new))
            .credentials_provider(SharedCredentialsProvider::new(Environment(credentials(&set))))
            .http_client(http_client_fn(|_, _| SharedHttpConnector::new(Connector)))
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_attempt_timeout(ATTEMPT)
                    .operation_timeout(OPERATION)
                    .build(),
            )
            .retry_config(RetryConfig::standard().with_max_attempts(2).with_initial_backoff(BACKOFF));
        let config = config.build();
        let with_endpoint = |name: &str| {
            let mut config = config.to_builder();
            config.set_endpoint_url(set(name).or_else(|| set("AWS_ENDPOINT_URL")));
            config.set_use_fips(is_true("AWS_USE_FIPS_ENDPOINT"));
            config.set_use_dual_stack(is_true("AWS_USE_DUALSTACK_ENDPOINT"));
            config.build()
        };
        Self {
            secrets_manager: with_endpoint("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
            parameter_store: with_endpoint("AWS_ENDPOINT_URL_SSM"),
        }
    }

    /// A secret in Secrets Manager, by its name or ARN.
    #[must_use]
    pub fn secret(&self, id: String) -> SecretsManager {
        SecretsManager::new(&self.secrets_manager, id)
    }

    /// A parameter in Parameter Store, by its name or ARN. With `:VERSION` or `:LABEL` after the name, that version is read
    /// instead of the newest.
    #[must_use]
    pub fn parameter(&self, name: String) -> ParameterStore {
        ParameterStore::new(&self.parameter_store, name)
    }
}

/// The credentials of the variables, or none. They don't change while a process runs.
#[derive(Debug)]
struct Environment(Option<Credentials>);

impl ProvideCredentials for Environment {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let missing =
            || CredentialsError::not_loaded("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set");
        future::ProvideCredentials::ready(self.0.clone().ok_or_else(missing))
    }
}

fn credentials(set: &impl Fn(&str) -> Option<String>) -> Option<Credentials> {
    let (id, secret) = (set("AWS_ACCESS_KEY_ID")?, set("AWS_SECRET_ACCESS_KEY")?);
    Some(Credentials::new(id, secret, set("AWS_SESSION_TOKEN"), None, "environment"))
}

/// Why a store has not returned the secret. `missing` and `denied` are the store's codes for that.
fn store_error<E>(error: &SdkError<E>, missing: &[&str], denied: &[&str]) -> StoreError
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let reason = reason(error);
    match error.code() {
        Some(code) if missing.contains(&code) => StoreError::Missing(reason),
        Some(code) if denied.contains(&code) || code.contains("AccessDenied") => StoreError::Denied(reason),
        _ => StoreError::Unavailable(reason),
    }
}

/// The error's text. For an unreadable response the SDK's text quotes it, and it may contain the secret, so that text isn't
/// used.
fn reason<E>(error: &SdkError<E>) -> String
where
    E: Error + ProvideErrorMetadata + 'static,
{
    if let Some(code) = error.code() {
        return format!("{code}: {}", error.message().unwrap_or("no reason given"));
    }
    match error {
        SdkError::ServiceError(_) | SdkError::ResponseError(_) => "unreadable response".to_owned(),
        _ => with_causes(error),
    }
}

/// The SDK has no default timeouts. Two attempts take less than a request's timeout for keys.
const ATTEMPT: Duration = Duration::from_millis(600);
const OPERATION: Duration = Duration::from_millis(1_150);
const BACKOFF: Duration = Duration::from_millis(50);
