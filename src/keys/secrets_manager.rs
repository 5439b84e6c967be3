//! AWS Secrets Manager, through the AWS SDK.

use std::error::Error;
use std::future::Future;
use std::iter::successors;
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

/// One secret in AWS Secrets Manager: its value with the stage `AWSCURRENT`.
pub struct SecretsManager {
    client: Client,
    id: String,
}

impl SecretsManager {
    /// Region, credentials and endpoint come from the AWS variables. `id` is the secret's name or ARN.
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
        let answer = self.client.get_secret_value().secret_id(&self.id).version_stage(CURRENT).send().await;
        let value = answer.map_err(|error| {
            let reason = reason(&error);
            match error.code() {
                Some("ResourceNotFoundException" | "InvalidRequestException") => StoreError::Missing(reason),
                Some(code) if code.contains("AccessDenied") || code == "DecryptionFailure" => {
                    StoreError::Denied(reason)
                }
                _ => StoreError::Unavailable(reason),
            }
        })?;
        let text =
            value.secret_string.ok_or_else(|| StoreError::Missing("it holds bytes, not text".into()))?;
        Ok(StoredSecret { text: text.into(), version: value.version_id })
    }
}

impl SecretStore for SecretsManager {
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<StoredSecret, StoreError>> + Send + '_>> {
        Box::pin(self.get())
    }
}

/// What went wrong, without the answer itself: the SDK's own texts for an answer that it can't read quote from it, and
/// the secret may be in there.
fn reason(error: &SdkError<GetSecretValueError>) -> String {
    if let Some(code) = error.code() {
        return format!("{code}: {}", error.message().unwrap_or("no reason given"));
    }
    match error {
        SdkError::ServiceError(_) | SdkError::ResponseError(_) => "its answer can't be read".to_owned(),
        _ => successors(Some(error as &dyn Error), |&cause| cause.source())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": "),
    }
}

/// Lets no connection be used twice: one that a process kept while it was frozen is dead when it wakes, and the pool's
/// own clock may have stood still.
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

/// The stage that signs. Others are on their way in (`AWSPENDING`, which may be empty) or out.
const CURRENT: &str = "AWSCURRENT";

/// The SDK has no time-outs of its own. Two attempts are within the time that a request waits for keys.
const ATTEMPT: Duration = Duration::from_millis(600);
const OPERATION: Duration = Duration::from_millis(1_150);
const BACKOFF: Duration = Duration::from_millis(50);
