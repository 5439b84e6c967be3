//! The keys that sign, and what callers' own keys are known by, from wherever the secret is kept. Knows nothing of
//! requests.

mod agora;
pub mod api_key;
mod livekit;
mod secret;
#[cfg(feature = "lambda")]
mod secrets_manager;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;

pub use agora::AgoraKeys;
pub(crate) use agora::{APP_CERTIFICATE, APP_ID};
pub(crate) use livekit::{API_KEY, API_SECRET, URL};
pub use livekit::{LiveKitKeys, ServerUrl};
pub(crate) use secret::API_KEYS;
pub use secret::{MalformedSecret, NotConfigured, SigningKeys};
#[cfg(feature = "lambda")]
pub use secrets_manager::SecretsManager;

/// A place where the one secret is kept.
pub trait SecretStore: Send + Sync {
    /// The secret's current text, within a bounded time.
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<SecretString, StoreError>> + Send + '_>>;
}

/// Why a store gives no secret. What each says is for the log alone.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such secret, or it has no current value.
    #[error("the secret is missing: {0}")]
    Missing(String),
    /// The store doesn't let us read it.
    #[error("the secret may not be read: {0}")]
    Denied(String),
    /// The store doesn't answer, or not in time, or asks us to wait.
    #[error("the secret store is unavailable: {0}")]
    Unavailable(String),
}

/// Why there are no keys to sign with. What it says is for the log alone.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The store gave no secret.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store gave a secret that can't be used.
    #[error("the secret is malformed: {0}")]
    Malformed(#[from] MalformedSecret),
}

/// The keys of this process: fetched once, on the first need. A failure is told and not kept: the next request that
/// needs keys tries again, and only one tries at a time.
pub struct Keys {
    current: OnceCell<Arc<SigningKeys>>,
    store: Option<Box<dyn SecretStore>>,
    server: Option<ServerUrl>,
}

impl Keys {
    /// Keys that were given to the process and never change.
    #[must_use]
    pub fn given(keys: SigningKeys) -> Self {
        Self { current: OnceCell::new_with(Some(Arc::new(keys))), store: None, server: None }
    }

    /// Keys from a store. `server`, where given, stands in place of the secret's own `LIVEKIT_URL`.
    #[must_use]
    pub fn kept_in(store: Box<dyn SecretStore>, server: Option<ServerUrl>) -> Self {
        Self { current: OnceCell::new(), store: Some(store), server }
    }

    /// The keys to sign with now.
    ///
    /// # Errors
    /// Where the store gives no secret, or one that can't be used.
    pub async fn current(&self) -> Result<Arc<SigningKeys>, KeysError> {
        self.current.get_or_try_init(|| self.fetch()).await.cloned()
    }

    async fn fetch(&self) -> Result<Arc<SigningKeys>, KeysError> {
        let Some(store) = &self.store else {
            return Err(StoreError::Missing("no store is configured".into()).into());
        };
        let secret = store.fetch().await?;
        Ok(Arc::new(SigningKeys::from_secret(secret.expose_secret(), self.server.clone())?))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Gives each of its answers once, the last one first, and panics when it's asked again.
    struct Answers(Mutex<Vec<Result<&'static str, StoreError>>>);

    impl SecretStore for Answers {
        fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<SecretString, StoreError>> + Send + '_>> {
            let next = self.0.lock().unwrap().pop().expect("asked once too often");
            Box::pin(async move { next.map(SecretString::from) })
        }
    }

    const GOOD: &str =
        r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s"}"#;

    #[tokio::test]
    async fn a_secret_is_fetched_once() {
        let keys = Keys::kept_in(Box::new(Answers(vec![Ok(GOOD)].into())), None);
        assert_eq!(keys.current().await.unwrap().livekit().unwrap().server.as_str(), "wss://a.example");
        assert_eq!(keys.current().await.unwrap().livekit().unwrap().api_key, "k");
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let answers = vec![Ok(GOOD), Ok("{}"), Err(StoreError::Unavailable("timed out".into()))];
        let keys = Keys::kept_in(Box::new(Answers(answers.into())), None);
        assert!(matches!(keys.current().await, Err(KeysError::Store(StoreError::Unavailable(_)))));
        assert!(matches!(keys.current().await, Err(KeysError::Malformed(_))));
        assert!(keys.current().await.is_ok());
    }

    #[tokio::test]
    async fn the_environments_server_wins() {
        let server = ServerUrl::parse("wss://b.example").unwrap();
        let keys = Keys::kept_in(Box::new(Answers(vec![Ok(GOOD)].into())), Some(server));
        assert_eq!(keys.current().await.unwrap().livekit().unwrap().server.as_str(), "wss://b.example");
    }
}
