//! An issuer's key set: fetched when first needed, fresh for 10 minutes, used for a day while the issuer is unreachable.
//! An unknown key causes a new fetch, at most one in 30 seconds, including failed ones. An invalid or empty set never
//! replaces a valid one.

use std::time::Duration;

use axum::http::Uri;
use axum::http::uri::Scheme;
use jsonwebtoken::DecodingKey;
use serde_json::Value;

use super::fetch::{FetchError, Fetcher, Unusable};
use super::jwk::PublicKey;
use super::{Algorithm, Issuer, KeyPlace};
use crate::domain::Context;
use crate::json;
use crate::refreshing::{Missing, Refresh, Refreshing, Schedule};
use crate::url::has_userinfo;
use roompass_core::caller::safe_url;

/// The cache for one issuer's key set.
#[derive(Debug)]
pub(super) struct KeySet(Refreshing<UsableKeys>);

/// The keys of a set that can verify the issuer's tokens.
#[derive(Debug, Default)]
pub(super) struct UsableKeys(Vec<PublicKey>);

impl Default for KeySet {
    fn default() -> Self {
        Self(Refreshing::new(Schedule {
            name: "issuer key",
            cached: "keys",
            refresh_after: REFRESH_AFTER,
            max_age: MAX_AGE,
            retry: RETRY..=RETRY,
            retry_missing: RETRY,
            timeout: TIMEOUT,
            timeout_without_value: TIMEOUT,
        }))
    }
}

impl KeySet {
    /// The keys with this ID for this algorithm: several keys may have one ID. For a token without a `kid`, all keys for
    /// the algorithm. At most [`MAX_TRIED`], and never none.
    pub(super) async fn keys(
        &self,
        (id, algorithm): (Option<&str>, Algorithm),
        context: &Context,
        fetch: impl AsyncFnOnce() -> Result<UsableKeys, FetchError>,
    ) -> Result<Vec<DecodingKey>, Missing<FetchError>> {
        self.0.get(context, |keys: &mut UsableKeys| keys.find(id, algorithm), fetch).await
    }
}

impl Refresh for UsableKeys {
    type Error = FetchError;

    fn replace(&mut self, fetched: Self) -> Result<(), FetchError> {
        *self = fetched;
        Ok(())
    }
}

impl UsableKeys {
    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Vec<DecodingKey>> {
        let matching = self.0.iter().filter_map(|key| key.matching(id, algorithm));
        let keys: Vec<_> = matching.take(MAX_TRIED).cloned().collect();
        if keys.is_empty() { None } else { Some(keys) }
    }
}

/// The number of an issuer's keys that can verify its tokens, fetched now.
///
/// # Errors
/// If the keys can't be fetched, or none is usable.
#[cfg(feature = "local")]
pub async fn usable_keys(issuer: &Issuer) -> Result<usize, FetchError> {
    fetch(issuer, &Fetcher::new()?).await.map(|keys| keys.0.len())
}

/// Fetches an issuer's keys.
pub(super) async fn fetch(issuer: &Issuer, fetcher: &Fetcher) -> Result<UsableKeys, FetchError> {
    let url = match &issuer.keys {
        KeyPlace::Discovered(url) => jwks_uri(issuer, url, &fetcher.get(url).await?)?,
        KeyPlace::At(url) => url.clone(),
        KeyPlace::Shared(_) => return Err(Unusable::SharedSecret.into()),
    };
    let set = json::object(&fetcher.get(&url).await?).map_err(Unusable::KeySet)?;
    let Some(Value::Array(keys)) = set.get("keys") else { return Err(Unusable::NoKeys.into()) };
    if keys.len() > MAX_KEYS {
        return Err(Unusable::TooManyKeys(MAX_KEYS).into());
    }
    let keys: Vec<_> = keys.iter().filter_map(|key| PublicKey::read(key, &issuer.algorithms)).collect();
    if keys.is_empty() { Err(Unusable::NoUsableKey.into()) } else { Ok(UsableKeys(keys)) }
}

/// The `jwks_uri` of an OpenID configuration that was fetched from a URL. It must be https; http to this machine is allowed
/// if the configuration was fetched over http.
fn jwks_uri(issuer: &Issuer, fetched_from: &Uri, configuration: &[u8]) -> Result<Uri, Unusable> {
    let configuration = json::object(configuration).map_err(Unusable::Configuration)?;
    let name = configuration.get("issuer").and_then(Value::as_str);
    if !name.is_some_and(|name| issuer.issuer.contains(name)) {
        return Err(Unusable::OtherIssuer);
    }
    let url = configuration.get("jwks_uri").and_then(Value::as_str);
    if url.is_some_and(has_userinfo) {
        return Err(Unusable::KeySetWithUserinfo);
    }
    let may_be_http = fetched_from.scheme() == Some(&Scheme::HTTP);
    let url = url.and_then(safe_url).filter(|url| may_be_http || url.scheme() == Some(&Scheme::HTTPS));
    url.ok_or(Unusable::NoKeySet)
}

const REFRESH_AFTER: Duration = Duration::from_mins(10);
const MAX_AGE: Duration = Duration::from_hours(24);
/// Seconds between two fetches after a failure, or for an unknown key.
const RETRY: u64 = 30;
const MAX_KEYS: usize = 32;
/// The keys that are tried for one token.
const MAX_TRIED: usize = 8;
/// For the OpenID configuration and the key set together: a 503 is returned within three seconds, including a cold start.
/// The signing keys are fetched at the same time.
const TIMEOUT: Duration = Duration::from_millis(1_700);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::auth::IssuerNames;

    #[test]
    fn an_issuer_over_https_never_uses_keys_over_http() {
        let keys_of = |issuer: &str, jwks_uri: &str| {
            let url: Uri = format!("{issuer}/.well-known/openid-configuration").parse().unwrap();
            let configured = Issuer {
                issuer: IssuerNames::new(issuer.to_owned(), Vec::new()),
                audience: vec!["calls".into()],
                audience_claim: vec!["aud".into()],
                algorithms: vec![Algorithm::RS256],
                keys: KeyPlace::Discovered(url.clone()),
                typ: None,
                required_claims: BTreeMap::new(),
            };
            let configuration = json!({"issuer": issuer, "jwks_uri": jwks_uri}).to_string();
            super::jwks_uri(&configured, &url, configuration.as_bytes()).map_err(|error| error.to_string())
        };
        let refused = Err("the OpenID configuration has no https jwks_uri".to_owned());
        for here in ["http://127.0.0.1:8080/keys", "http://localhost/keys", "http://[::1]/keys"] {
            assert_eq!(keys_of("https://login.example.com", here), refused, "{here}");
            assert_eq!(keys_of("http://127.0.0.1:8080", here), Ok(here.parse().unwrap()));
        }
        let keys = "https://keys.example.com/keys";
        for issuer in ["https://login.example.com", "http://127.0.0.1:8080"] {
            assert_eq!(keys_of(issuer, keys), Ok(keys.parse().unwrap()));
        }
        assert_eq!(keys_of("http://127.0.0.1:8080", "http://keys.example.com/keys"), refused);
        for userinfo in ["https://user:canary@keys.example.com/keys", "https://canary@keys.example.com"] {
            let error = "the OpenID configuration's jwks_uri contains a user name or password";
            assert_eq!(keys_of("https://login.example.com", userinfo), Err(error.to_owned()));
        }
    }
}
