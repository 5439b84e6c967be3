//! Authentication: identifies the [`Caller`] by the head of a request. Independent of bodies and rooms.
//!
//! | module | its one job |
//! |---|---|
//! | `credentials` | the credential in a request's headers |
//! | `jwt`, `jwks`, `jwk`, `fetch` | tokens, and the keys that verify them |
//! | `api_key`, `caller_keys` | API keys and shared secrets |
//! | `gateway` | identities that API Gateway has verified |
//! | `error` | authentication errors |
//!
//! Callers are tried in the order of the configuration. An invalid credential is refused at once, and one that no caller
//! accepts is refused at the end: neither request counts as anonymous.

mod api_key;
mod caller_keys;
mod credentials;
mod error;
mod fetch;
mod gateway;
mod jwk;
mod jwks;
mod jwt;

use std::sync::Arc;

use axum::http::HeaderName;
use axum::http::request::Parts;
use jsonwebtoken::DecodingKey;
use tokio::sync::OnceCell;

pub use api_key::{ApiKeyHash, new_key};
pub use caller_keys::{API_KEYS, ApiKeyLookup, CallerKeys, SharedSecret};
pub use credentials::CredentialHeaders;
pub use error::{AuthError, CallerKeysUnavailable, InvalidCredential, Unavailable};
pub use fetch::{FetchError, RequestFailure, Unusable};
pub use gateway::{Authorizer, BadContext};
#[cfg(feature = "local")]
pub use jwks::usable_keys;
pub use jwt::{TokenError, check_claims};
pub use roompass_core::caller::{
    Algorithm, Caller, CallerConfig, CallerKind, Issuer, IssuerNames, KeyPlace, Via,
};

use credentials::Credential;
use fetch::Fetcher;
use gateway::GatewayIdentity;
use jwks::KeySet;
use jwt::Unverified;

use crate::domain::{Context, MalformedSecret};
use crate::metrics::Metrics;
use crate::refreshing::Missing;

/// A source of the keys that verify callers.
pub trait CallerKeySource {
    /// The current API keys and shared secrets.
    fn caller_keys(
        &self,
        context: &Context,
    ) -> impl Future<Output = Result<Arc<CallerKeys>, CallerKeysUnavailable>> + Send;
}

/// The configured callers, in order, each with its issuer's key set. Callers with the same issuer and keys share one.
#[derive(Debug)]
pub struct Callers {
    configured: Vec<(CallerConfig, Arc<KeySet>)>,
    headers: CredentialHeaders,
    fetcher: OnceCell<Fetcher>,
    /// The caller that every request counts as, if authentication is off.
    always: Option<Caller>,
    metrics: Metrics,
}

impl Callers {
    /// Authenticates requests as the configuration says.
    #[must_use]
    pub fn new(configured: Vec<CallerConfig>) -> Self {
        Self::following(None, configured)
    }

    /// Authenticates requests as a changed configuration says. The key sets of the previous one stay cached.
    #[must_use]
    pub fn following(previous: Option<&Self>, configured: Vec<CallerConfig>) -> Self {
        let headers = CredentialHeaders::of(&configured);
        let known = previous.map(|previous| previous.configured.as_slice()).unwrap_or_default();
        let mut with_sets: Vec<(CallerConfig, Arc<KeySet>)> = Vec::new();
        for caller in configured {
            let same = with_sets.iter().chain(known).find(|(other, _)| share_key_set(other, &caller));
            let key_set = same.map_or_else(Arc::default, |(_, key_set)| key_set.clone());
            with_sets.push((caller, key_set));
        }
        Self {
            configured: with_sets,
            headers,
            fetcher: OnceCell::new(),
            always: None,
            metrics: Metrics::default(),
        }
    }

    /// Records the fetches of issuers' keys.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Turns authentication off: every request counts as this caller. For trying a policy.
    #[must_use]
    pub fn always(caller: Caller) -> Self {
        Self { always: Some(caller), ..Self::new(Vec::new()) }
    }

    /// Authenticates a request by its head.
    ///
    /// # Errors
    /// If the credential is missing or invalid, or can't be verified at the moment.
    pub async fn identify(
        &self,
        head: &Parts,
        keys: &impl CallerKeySource,
        context: &Context,
    ) -> Result<Caller, AuthError> {
        if let Some(caller) = &self.always {
            return Ok(caller.clone());
        }
        if self.configured.is_empty() {
            return Err(AuthError::NoCallers);
        }
        let authorizer = head.extensions.get::<Authorizer>().filter(|_| self.has_gateway_caller());
        let presented = self.headers.presented(&head.headers)?;
        for (caller, _) in &self.configured {
            let credential = presented.as_ref().filter(|presented| presented.is_for(caller));
            match (&caller.kind, credential.map(|presented| &presented.credential)) {
                (CallerKind::Gateway(via), _) => {
                    if let Some(authorizer) = authorizer.filter(|authorizer| authorizer.via() == *via) {
                        let identity = authorizer.identity(context.now).map_err(InvalidCredential::from)?;
                        let GatewayIdentity { issuer, subject, claims, expires } = identity;
                        let name = caller.name.clone();
                        return Ok(Caller { name, issuer, subject: Some(subject), claims, expires });
                    }
                }
                (CallerKind::Jwt(_), Some(Credential::Jwt(token))) => {
                    let header = caller.credential_header.as_ref();
                    return self.by_token(token, header, keys, context).await;
                }
                (CallerKind::ApiKey, Some(Credential::ApiKey(key) | Credential::Bearer(key))) => {
                    let keys = keys.caller_keys(context).await?;
                    return match keys.api_key(key, context.now) {
                        ApiKeyLookup::Known { name, expires } => Ok(Caller {
                            subject: Some(name.to_owned()),
                            expires,
                            ..Caller::anonymous(&caller.name)
                        }),
                        ApiKeyLookup::Unknown => Err(InvalidCredential::UnknownApiKey.into()),
                        ApiKeyLookup::Unreadable(mistake) => Err(malformed(mistake).into()),
                    };
                }
                (CallerKind::Anonymous, None) if authorizer.is_none() && presented.is_none() => {
                    return Ok(Caller::anonymous(&caller.name));
                }
                _ => {}
            }
        }
        Err(self.not_accepted(authorizer, presented.map(|presented| presented.credential)))
    }

    /// The name of the API key that authenticated this caller, if one did.
    #[must_use]
    pub fn api_key_name<'a>(&self, caller: &'a Caller) -> Option<&'a str> {
        let is_key =
            |(config, _): &(CallerConfig, _)| config.kind == CallerKind::ApiKey && config.name == caller.name;
        caller.subject.as_deref().filter(|_| self.configured.iter().any(is_key))
    }

    /// The error for a request that no configured caller accepts.
    fn not_accepted(&self, authorizer: Option<&Authorizer>, credential: Option<Credential<'_>>) -> AuthError {
        let invalid = match (authorizer, credential) {
            (Some(authorizer), _) => InvalidCredential::UnsupportedAuthorizer(authorizer.via()),
            (None, Some(Credential::Empty)) => InvalidCredential::Empty,
            (None, Some(Credential::Unset(text))) => InvalidCredential::Unset(text),
            (None, Some(Credential::OtherHeader)) => InvalidCredential::OtherHeader(self.headers.clone()),
            (None, Some(Credential::ApiKey(_))) => InvalidCredential::NoApiKeyCaller,
            (None, Some(_)) => InvalidCredential::UnsupportedType,
            (None, None) => return AuthError::NoCredential(self.headers.clone()),
        };
        invalid.into()
    }

    fn has_gateway_caller(&self) -> bool {
        self.configured.iter().any(|(caller, _)| matches!(caller.kind, CallerKind::Gateway(_)))
    }

    /// Identifies a caller by the token's issuer, of those whose tokens are in this header. If several callers have this issuer, the first that accepts the token.
    async fn by_token(
        &self,
        token: &str,
        header: Option<&HeaderName>,
        keys: &impl CallerKeySource,
        context: &Context,
    ) -> Result<Caller, AuthError> {
        let mut refused = InvalidCredential::Token(TokenError::UnknownIssuer);
        let mut token = Unverified::parse(token)?;
        for (caller, key_set) in &self.configured {
            let CallerKind::Jwt(issuer) = &caller.kind else { continue };
            if caller.credential_header.as_ref() != header {
                continue;
            }
            if !token.issuer().is_some_and(|name| issuer.issuer.contains(name)) {
                continue;
            }
            match self.verify(&mut token, caller, issuer, key_set, keys, context).await {
                Err(AuthError::Refused(why)) => refused = why,
                decided => return decided,
            }
        }
        Err(refused.into())
    }

    async fn verify(
        &self,
        token: &mut Unverified<'_>,
        caller: &CallerConfig,
        issuer: &Issuer,
        key_set: &KeySet,
        keys: &impl CallerKeySource,
        context: &Context,
    ) -> Result<Caller, AuthError> {
        let algorithm = token.algorithm(issuer)?;
        let claims = token.check(issuer, context.now)?;
        let keys = match &issuer.keys {
            KeyPlace::Shared(name) => {
                let keys = keys.caller_keys(context).await?;
                let secret = keys.shared_secret(name).map_err(|mistake| malformed(&mistake))?;
                vec![DecodingKey::from_secret(secret)]
            }
            KeyPlace::Discovered(_) | KeyPlace::At(_) => {
                let fetcher = self.fetcher.get_or_try_init(async || Fetcher::new()).await?;
                let wanted = (token.key_id(), algorithm);
                let fetch = async || {
                    let in_progress = self.metrics.issuer_fetch(&caller.name, context.now);
                    let keys = jwks::fetch(issuer, fetcher).await?;
                    in_progress.succeeded();
                    Ok(keys)
                };
                let keys = key_set.keys(wanted, context, fetch).await;
                keys.map_err(|missing| match missing {
                    Missing::Absent => TokenError::UnknownKey.into(),
                    Missing::Failed(error) => AuthError::from(error),
                })?
            }
        };
        Ok(token.verify(claims, &caller.name, issuer, algorithm, &keys)?)
    }
}

fn malformed(mistake: &MalformedSecret) -> CallerKeysUnavailable {
    CallerKeysUnavailable { cause: format!("the secret is malformed: {mistake}"), is_transient: false }
}

fn share_key_set(one: &CallerConfig, other: &CallerConfig) -> bool {
    match (&one.kind, &other.kind) {
        (CallerKind::Jwt(one), CallerKind::Jwt(other)) => {
            (&one.issuer, &one.keys, &one.algorithms) == (&other.issuer, &other.keys, &other.algorithms)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roompass_core::config::Config;

    fn callers(algorithm: &str, issuer: &str) -> Vec<CallerConfig> {
        let text = format!(
            "[[caller]]\nname = 'app'\nkind = 'jwt'\nissuer = '{issuer}'\naudience = 'a'\nalgorithms = ['{algorithm}']\n"
        );
        Config::parse(&text, "x.toml").unwrap().callers
    }

    #[test]
    fn a_changed_configuration_keeps_the_key_sets_of_the_same_issuers() {
        let one = callers("RS256", "https://one.example");
        let previous = Callers::new(one.clone());
        let set = |callers: &Callers| callers.configured.first().map(|(_, set)| set.clone()).unwrap();
        let renamed = one.into_iter().map(|caller| CallerConfig { name: "other".into(), ..caller }).collect();
        let following = Callers::following(Some(&previous), renamed);
        assert!(Arc::ptr_eq(&set(&previous), &set(&following)));
        assert_eq!(following.configured[0].0.name, "other");
        for changed in [callers("ES256", "https://one.example"), callers("RS256", "https://two.example")] {
            let following = Callers::following(Some(&previous), changed);
            assert!(!Arc::ptr_eq(&set(&previous), &set(&following)));
        }
    }
}
