//! AWS Systems Manager Parameter Store.

use std::future::Future;
use std::pin::Pin;

use aws_sdk_ssm::types::ParameterType;
use aws_sdk_ssm::{Client, config};

use super::{FreshConnections, settings, store_error};
use crate::keys::{SecretStore, StoreError, StoredSecret};

/// One parameter of the type `SecureString`.
pub struct ParameterStore {
    client: Client,
    name: String,
}

impl ParameterStore {
    /// A client with the region, credentials and endpoint of the AWS variables. `name` is the parameter's name or ARN. With
    /// `:VERSION` or `:LABEL` after the name, that version is read instead of the newest.
    pub async fn from_environment(name: String) -> Self {
        let config = config::Builder::from(&settings().await).interceptor(FreshConnections).build();
        Self { client: Client::from_conf(config), name }
    }

    async fn get(&self) -> Result<StoredSecret, StoreError> {
        let response = self.client.get_parameter().name(&self.name).with_decryption(true).send().await;
        let parameter = response.map_err(|error| store_error(&error, &MISSING, &DENIED))?.parameter;
        let parameter = parameter.ok_or_else(|| StoreError::Missing("it has no value".into()))?;
        if parameter.r#type != Some(ParameterType::SecureString) {
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
