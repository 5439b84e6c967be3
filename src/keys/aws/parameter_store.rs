//! AWS Systems Manager Parameter Store.

use std::future::Future;
use std::pin::Pin;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::ParameterType;
use aws_types::SdkConfig;

use super::store_error;
use crate::keys::{SecretStore, StoreError, StoredSecret};

/// One parameter, of the type `SecureString` unless it isn't confidential.
#[derive(Debug, Clone)]
pub struct ParameterStore {
    client: Client,
    name: String,
    must_be_encrypted: bool,
}

impl ParameterStore {
    pub(super) fn new(settings: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(settings), name, must_be_encrypted: true }
    }

    /// The same parameter, which may also have the type `String`, because it isn't confidential.
    #[must_use]
    pub fn of_any_type(self) -> Self {
        Self { must_be_encrypted: false, ..self }
    }

    async fn get(&self) -> Result<StoredSecret, StoreError> {
        let response = self.client.get_parameter().name(&self.name).with_decryption(true).send().await;
        let parameter = response.map_err(|error| store_error(&error, &MISSING, &DENIED))?.parameter;
        let parameter = parameter.ok_or_else(|| StoreError::Missing("it has no value".into()))?;
        if self.must_be_encrypted && parameter.r#type != Some(ParameterType::SecureString) {
            return Err(StoreError::Unusable(NOT_ENCRYPTED));
        }
        let text = parameter.value.ok_or_else(|| StoreError::Missing("it has no value".into()))?;
        let version = Some(parameter.version.to_string());
        Ok(StoredSecret { text: text.into(), version, is_binary: false })
    }
}

impl SecretStore for ParameterStore {
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<StoredSecret, StoreError>> + Send + '_>> {
        Box::pin(self.get())
    }
}

/// Everyone who may list parameters with their values could read the keys.
const NOT_ENCRYPTED: &str = "it is a parameter that is not encrypted: store it with the type SecureString";

const MISSING: [&str; 2] = ["ParameterNotFound", "ParameterVersionNotFound"];
/// The code for a KMS key that can't be used.
const DENIED: [&str; 1] = ["InvalidKeyId"];
