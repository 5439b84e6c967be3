//! AWS's two stores for secrets, through the AWS SDK: Secrets Manager, and Parameter Store.

mod parameter_store;
mod secrets_manager;

use std::error::Error;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_secretsmanager::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_secretsmanager::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_secretsmanager::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;

pub use parameter_store::ParameterStore;
pub use secrets_manager::SecretsManager;

use super::StoreError;
use crate::log::with_causes;

/// The region, credentials and endpoint of the AWS variables, and this service's timeouts.
#[derive(Debug, Clone)]
pub struct Aws(SdkConfig);

impl Aws {
    /// Reads the AWS variables.
    pub async fn from_environment() -> Self {
        Self(settings().await)
    }

    /// A secret in Secrets Manager, by its name or ARN.
    #[must_use]
    pub fn secret(&self, id: String) -> SecretsManager {
        SecretsManager::new(&self.0, id)
    }

    /// A parameter in Parameter Store, by its name or ARN. With `:VERSION` or `:LABEL` after the name, that version is read
    /// instead of the newest.
    #[must_use]
    pub fn parameter(&self, name: String) -> ParameterStore {
        ParameterStore::new(&self.0, name)
    }
}

async fn settings() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(ATTEMPT)
                .operation_attempt_timeout(ATTEMPT)
                .operation_timeout(OPERATION)
                .build(),
        )
        .retry_config(RetryConfig::standard().with_max_attempts(2).with_initial_backoff(BACKOFF))
        .load()
        .await
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

/// Prevents the reuse of connections: those of a frozen process are closed when it continues, and the pool's clock may have
/// stopped.
#[derive(Debug)]
struct FreshConnections;

impl Intercept for FreshConnections {
    fn name(&self) -> &'static str {
        "FreshConnections"
    }

    fn read_after_deserialization(
        &self,
        _: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let connection = bag.load::<CaptureSmithyConnection>().and_then(CaptureSmithyConnection::get);
        if let Some(connection) = connection {
            connection.poison();
        }
        Ok(())
    }
}

/// The SDK has no default timeouts. Two attempts take less than a request's timeout for keys.
const ATTEMPT: Duration = Duration::from_millis(600);
const OPERATION: Duration = Duration::from_millis(1_150);
const BACKOFF: Duration = Duration::from_millis(50);
