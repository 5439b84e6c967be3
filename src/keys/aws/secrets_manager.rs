//! AWS Secrets Manager.

use std::future::Future;
use std::pin::Pin;

use aws_sdk_secretsmanager::Client;
use aws_types::SdkConfig;

use super::store_error;
use crate::keys::{SecretStore, StoreError, StoredSecret};

/// One secret in AWS Secrets Manager: its value with the stage `AWSCURRENT`.
#[derive(Debug, Clone)]
pub struct SecretsManager {
    client: Client,
    id: String,
}

impl SecretsManager {
    pub(super) fn new(settings: &SdkConfig, id: String) -> Self {
        Self { client: Client::new(settings), id }
    }

    async fn get(&self) -> Result<StoredSecret, StoreError> {
        let response = self.client.get_secret_value().secret_id(&self.id).version_stage(CURRENT).send().await;
        let value = response.map_err(|error| store_error(&error, &MISSING, &DENIED))?;
        let (text, is_binary) = match (value.secret_string, value.secret_binary) {
            (Some(text), _) => (text, false),
            (None, Some(bytes)) => match String::from_utf8(bytes.into_inner()) {
                Ok(text) => (text, true),
                Err(_) => return Err(StoreError::Unusable(NOT_UTF8)),
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

/// For example UTF-16, or an archive.
const NOT_UTF8: &str = "it is stored as binary data that is not UTF-8 text: store a JSON object as a string";

/// The stage of the current version. The other stages are for rotation, and may have no value.
const CURRENT: &str = "AWSCURRENT";

/// The codes for a secret that doesn't exist or is marked for deletion.
const MISSING: [&str; 2] = ["ResourceNotFoundException", "InvalidRequestException"];
/// The code for a KMS key that can't be used.
const DENIED: [&str; 1] = ["DecryptionFailure"];
