//! AWS Secrets Manager, through the AWS SDK.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_secretsmanager::config::{self, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_secretsmanager::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;

use super::{SecretStore, StoreError, StoredSecret};
use crate::log::with_causes;

/// One secret in AWS Secrets Manager: its value with the stage `AWSCURRENT`.
pub struct SecretsManager {
    client: Client,
    id: String,
}

impl SecretsManager {
    /// A client with the region, credentials and endpoint of the AWS variables. `id` is the secret's name or ARN.
    pub async fn from_environment(id: String) -> Self {
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(ATTEMPT)
                    .operation_attempt_timeout(ATTEMPT)
                    .operation_timeout(OPERATION)
                    .build(),
            )
            .retry_config(RetryConfig::standard().with_max_attempts(2).with_initial_backoff(BACKOFF))
            .load()
            .await;
        let config = config::Builder::from(&config).interceptor(FreshConnections).build();
        Self { client: Client::from_conf(config), id }
    }

    async fn get(&self) -> Result<StoredSecret, StoreError> {
        let response = self.client.get_secret_value().secret_id(&self.id).version_stage(CURRENT).send().await;
        let value = response.map_err(|error| {
            let reason = reason(&error);
            match error.code() {
                Some("ResourceNotFoundException" | "InvalidRequestException") => StoreError::Missing(reason),
                Some(code) if code.contains("AccessDenied") || code == "DecryptionFailure" => {
                    StoreError::Denied(reason)
                }
                _ => StoreError::Unavailable(reason),
            }
        })?;
        let (text, is_binary) = match (value.secret_string, value.secret_binary) {
            (Some(text), _) => (text, false),
            (None, Some(bytes)) => match String::from_utf8(bytes.into_inner()) {
                Ok(text) => (text, true),
                Err(_) => return Err(StoreError::NotText(NOT_UTF8.into())),
            },
            (None, None) => return Err(StoreError::Missing("it has no value".into())),
        };
        Ok(StoredSecret { text: text.into(), version: value.version_id, is_binary })
    }
}

impl SecretStore for SecretsManager {
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<StoredSecret, StoreError>> + Send + '_>> {
        Box::pin(self.get())
    }
}

/// The error's text. For an unreadable response the SDK's text quotes it, and it may contain the secret, so that text isn't
/// used.
fn reason(error: &SdkError<GetSecretValueError>) -> String {
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

/// For example UTF-16, or an archive.
const NOT_UTF8: &str = "it is stored as binary data that is not UTF-8 text: store a JSON object as a string";

/// The stage of the current version. The other stages are for rotation, and may have no value.
const CURRENT: &str = "AWSCURRENT";

/// The SDK has no default timeouts. Two attempts take less than a request's timeout for keys.
const ATTEMPT: Duration = Duration::from_millis(600);
const OPERATION: Duration = Duration::from_millis(1_150);
const BACKOFF: Duration = Duration::from_millis(50);
