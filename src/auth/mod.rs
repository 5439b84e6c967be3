//! Who is asking: the head of a request to a [`Caller`]. Knows nothing of bodies and rooms.
//!
//! Callers are tried in the order they're written. A credential that is presented and wrong ends it at once, and one that
//! no configured caller can use is refused at the end: neither makes its bearer a weaker kind of caller.

mod caller;
mod config;
mod credentials;
mod fetch;
mod gateway;
mod issuer;
mod jwks;
mod jwt;
mod via;

use std::sync::Arc;

use axum::http::request::Parts;
use jsonwebtoken::DecodingKey;
use lambda_http::request::RequestContext;
use tokio::sync::OnceCell;

pub use caller::Caller;
pub use config::{Authority, CallerConfig, CallerKind};
pub(crate) use config::{InvalidCaller, WrittenCaller, mistake};
pub use issuer::{Algorithm, Issuer, KeyPlace};
pub use via::Via;

use credentials::Credential;
use fetch::Fetcher;
use gateway::{Authorizer, Vouched};
use jwks::{KeySet, NoKey};
use jwt::Unverified;

use crate::keys::{Keys, KeysError, Presented};

/// Why a request's caller isn't let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The configuration lists no callers, so every request is refused.
    #[error(
        "no caller is configured: add a [[caller]] and a [[rule]] to roompass.toml, or give them in ROOMPASS_CONFIG"
    )]
    NoCallers,
    /// Nothing was presented, and nobody is let in without.
    #[error("no credential was presented")]
    NoCredential,
    /// More than one was presented.
    #[error("more than one credential was presented")]
    SeveralCredentials,
    /// What was presented is wrong. Why is for the log alone.
    #[error("{0}")]
    Refused(String),
    /// Whether it's right can't be said now. Why is for the log alone.
    #[error("{0}")]
    Unavailable(String),
}

impl AuthError {
    fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }
}

impl From<KeysError> for AuthError {
    fn from(error: KeysError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// The configured callers, in their order, each with what is cached for it. Callers whose tokens are signed with the same
/// keys have one key set.
#[derive(Debug)]
pub struct Callers {
    configured: Vec<(CallerConfig, Arc<KeySet>)>,
    fetcher: OnceCell<Fetcher>,
    /// Who everybody is, for a developer.
    everybody: Option<Caller>,
}

impl Callers {
    /// As configured.
    #[must_use]
    pub fn new(configured: Vec<CallerConfig>) -> Self {
        let mut with_sets: Vec<(CallerConfig, Arc<KeySet>)> = Vec::new();
        for caller in configured {
            let same = with_sets.iter().find(|(other, _)| have_one_key_set(other, &caller));
            let key_set = same.map_or_else(Arc::default, |(_, key_set)| key_set.clone());
            with_sets.push((caller, key_set));
        }
        Self { configured: with_sets, fetcher: OnceCell::new(), everybody: None }
    }

    /// Everybody is this caller, whatever they show: for a developer who tries a policy on their own machine.
    #[must_use]
    pub fn everybody_is(caller: Caller) -> Self {
        Self { everybody: Some(caller), ..Self::new(Vec::new()) }
    }

    /// The caller that this request's head shows. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// Where it shows none, or a wrong one.
    pub async fn identify(&self, head: &Parts, keys: &Keys, now: u64) -> Result<Caller, AuthError> {
        if let Some(caller) = &self.everybody {
            return Ok(caller.clone());
        }
        if self.configured.is_empty() {
            return Err(AuthError::NoCallers);
        }
        let authorizer = head.extensions.get::<RequestContext>().and_then(Authorizer::of);
        let authorizer = authorizer.filter(|_| self.has_gateway_caller());
        let credential = credentials::presented(&head.headers)?;
        for (caller, _) in &self.configured {
            match (&caller.kind, &credential) {
                (CallerKind::Gateway(via), _) => {
                    if let Some(authorizer) =
                        authorizer.as_ref().filter(|authorizer| authorizer.via() == *via)
                    {
                        let vouched = authorizer.vouched(now);
                        let vouched = vouched.map_err(|error| AuthError::refused(error.to_string()))?;
                        return Ok(by_gateway(&caller.name, vouched));
                    }
                }
                (CallerKind::Jwt(_), Some(Credential::Jwt(token))) => {
                    return self.by_token(token, keys, now).await;
                }
                (CallerKind::ApiKey, Some(Credential::ApiKey(key) | Credential::Bearer(key))) => {
                    let keys = keys.callers(now).await?;
                    return match keys.api_key(key, now) {
                        Presented::Known { name, expires } => Ok(Caller {
                            subject: Some(name.to_owned()),
                            expires,
                            ..Caller::anonymous(&caller.name)
                        }),
                        Presented::Unknown => Err(AuthError::refused("unknown or expired API key")),
                        Presented::Unreadable(mistake) => Err(KeysError::from(mistake.clone()).into()),
                    };
                }
                (CallerKind::Anonymous, None) if authorizer.is_none() => {
                    return Ok(Caller::anonymous(&caller.name));
                }
                _ => {}
            }
        }
        Err(unusable(authorizer.as_ref(), credential.as_ref()))
    }

    fn has_gateway_caller(&self) -> bool {
        self.configured.iter().any(|(caller, _)| matches!(caller.kind, CallerKind::Gateway(_)))
    }

    /// The caller whose issuer the token names. Where several callers have one issuer, the first that it's good for.
    async fn by_token(&self, token: &str, keys: &Keys, now: u64) -> Result<Caller, AuthError> {
        let mut refused = AuthError::refused("the token's iss is no configured issuer");
        for (caller, key_set) in &self.configured {
            let CallerKind::Jwt(issuer) = &caller.kind else { continue };
            let token = Unverified::parse(token).map_err(|bad| AuthError::Refused(bad.to_string()))?;
            if token.issuer() != Some(issuer.issuer.as_str()) {
                continue;
            }
            match self.verify(token, caller, issuer, key_set, keys, now).await {
                Err(AuthError::Refused(why)) => refused = AuthError::Refused(why),
                decided => return decided,
            }
        }
        Err(refused)
    }

    async fn verify(
        &self,
        token: Unverified<'_>,
        caller: &CallerConfig,
        issuer: &Issuer,
        key_set: &KeySet,
        keys: &Keys,
        now: u64,
    ) -> Result<Caller, AuthError> {
        let bad = |bad: jwt::BadToken| AuthError::Refused(bad.to_string());
        let algorithm = token.algorithm(issuer).map_err(bad)?;
        let fitting = token.fits(issuer, now).map_err(bad)?;
        let key = match &issuer.keys {
            KeyPlace::Shared(name) => {
                let keys = keys.callers(now).await?;
                DecodingKey::from_secret(keys.shared_secret(name).map_err(KeysError::from)?)
            }
            KeyPlace::Discovered(_) | KeyPlace::At(_) => {
                let fetcher = self.fetcher.get_or_try_init(async || Fetcher::new()).await;
                let fetcher = fetcher.map_err(|error| AuthError::Unavailable(error.to_string()))?;
                key_set.key(issuer, token.key_id(), algorithm, fetcher, now).await.map_err(|error| {
                    match error {
                        NoKey::Unknown => AuthError::Refused(error.to_string()),
                        NoKey::Unavailable(_) => AuthError::Unavailable(error.to_string()),
                    }
                })?
            }
        };
        token.verified(fitting, &caller.name, issuer, algorithm, &key).map_err(bad)
    }
}

fn have_one_key_set(one: &CallerConfig, other: &CallerConfig) -> bool {
    match (&one.kind, &other.kind) {
        (CallerKind::Jwt(one), CallerKind::Jwt(other)) => {
            (&one.issuer, &one.keys, &one.algorithms) == (&other.issuer, &other.keys, &other.algorithms)
        }
        _ => false,
    }
}

/// Why no configured caller is taken for this.
fn unusable(authorizer: Option<&Authorizer<'_>>, credential: Option<&Credential<'_>>) -> AuthError {
    match (authorizer, credential) {
        (Some(authorizer), _) => AuthError::Refused(format!(
            "no configured caller accepts the gateway's {} authorizer",
            authorizer.via()
        )),
        (None, Some(Credential::Bearer("") | Credential::ApiKey(""))) => {
            AuthError::refused("the credential is empty")
        }
        (None, Some(Credential::ApiKey(_))) => {
            AuthError::refused("an API key was presented, and no api-key caller is configured")
        }
        (None, Some(_)) => AuthError::refused("no configured caller accepts this credential type"),
        (None, None) => AuthError::NoCredential,
    }
}

fn by_gateway(name: &str, Vouched { issuer, subject, claims, expires }: Vouched) -> Caller {
    Caller { name: name.to_owned(), issuer, subject: Some(subject), claims, expires }
}
