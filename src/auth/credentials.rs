//! The credential in a request's headers, not yet verified.

use std::fmt;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName};

use super::{AuthError, CallerConfig, CallerKind, InvalidCredential};

/// The credential of a request, and the header that has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Presented<'a> {
    /// The caller's `credential_header`. `None` for `Authorization` and `X-API-Key`.
    pub(super) header: Option<&'a HeaderName>,
    pub(super) credential: Credential<'a>,
}

impl Presented<'_> {
    /// Whether it is in the header of this caller's credentials.
    pub(super) fn is_for(&self, caller: &CallerConfig) -> bool {
        self.header == caller.credential_header.as_ref()
    }
}

/// A credential, by its form.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credential<'a> {
    /// `Bearer …` in the form of a JWT: with dots.
    Jwt(&'a str),
    /// `Bearer …` without dots: an API key, or a malformed token.
    Bearer(&'a str),
    /// `X-API-Key: …`, `ApiKey …`, or only the key in a `credential_header`.
    ApiKey(&'a str),
    /// A scheme or a header without a value.
    Empty,
    /// The text of an unset value, such as `undefined`.
    Unset(&'static str),
    /// A value in an unknown form.
    Unknown,
    /// A value in `Authorization` or `X-API-Key`, if every caller has a `credential_header`.
    OtherHeader,
}

/// The headers that the configured callers' credentials are in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialHeaders {
    /// Each `credential_header`, and whether it may have an API key without a scheme.
    custom: Vec<(HeaderName, bool)>,
    /// Whether a caller presents its credential and has no `credential_header`.
    is_default_used: bool,
}

impl CredentialHeaders {
    /// The headers of these callers.
    #[must_use]
    pub fn of(callers: &[CallerConfig]) -> Self {
        let mut headers = Self::default();
        for caller in callers {
            let is_key = caller.kind == CallerKind::ApiKey;
            match &caller.credential_header {
                None => headers.is_default_used |= is_key || matches!(caller.kind, CallerKind::Jwt(_)),
                Some(name) => match headers.custom.iter_mut().find(|(known, _)| known == name) {
                    Some((_, has_keys)) => *has_keys |= is_key,
                    None => headers.custom.push((name.clone(), is_key)),
                },
            }
        }
        headers
    }

    /// The names in `credential_header`.
    pub fn custom(&self) -> impl Iterator<Item = &HeaderName> {
        self.custom.iter().map(|(name, _)| name)
    }

    /// Whether `Authorization` and `X-API-Key` are read.
    #[must_use]
    pub fn reads_default(&self) -> bool {
        self.is_default_used || self.custom.is_empty()
    }

    /// The one credential of a request, if it has one. In `Authorization`, schemes that proxies and AWS use, such as
    /// `Basic`, are ignored.
    ///
    /// # Errors
    /// If there are several, or one that isn't ASCII text.
    pub(super) fn presented<'a>(
        &'a self,
        headers: &'a HeaderMap,
    ) -> Result<Option<Presented<'a>>, AuthError> {
        let mut found = None;
        for (name, has_keys) in &self.custom {
            let credential = one(headers, name)?.and_then(|value| in_custom(value, *has_keys));
            if let Some(credential) = credential
                && found.replace(Presented { header: Some(name), credential }).is_some()
            {
                return Err(AuthError::SeveralCredentials);
            }
        }
        if found.is_some() && !self.reads_default() {
            return Ok(found);
        }
        match (in_defaults(headers)?, found) {
            (Some(_), Some(_)) => Err(AuthError::SeveralCredentials),
            (Some(_), None) if !self.reads_default() => {
                Ok(Some(Presented { header: None, credential: Credential::OtherHeader }))
            }
            (Some(credential), None) => Ok(Some(Presented { header: None, credential })),
            (None, found) => Ok(found),
        }
    }
}

/// The names in `credential_header`.
impl fmt::Display for CredentialHeaders {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.custom().map(HeaderName::as_str).collect();
        formatter.write_str(&names.join(", "))
    }
}

/// The credential in `Authorization` or `X-API-Key`.
fn in_defaults(headers: &HeaderMap) -> Result<Option<Credential<'_>>, AuthError> {
    let authorization = one(headers, &AUTHORIZATION)?.and_then(|value| {
        let (scheme, credential) = parts(value);
        let known = by_scheme(value).or_else(|| unset(value).filter(|unset| *unset != Credential::Empty));
        match scheme.to_ascii_lowercase().as_str() {
            _ if known.is_some() => known,
            "" => None,
            "aws4-hmac-sha256" | "digest" | "negotiate" if !contains_second_credential(credential) => None,
            "basic" if !credential.contains([' ', '\t', ',']) => None,
            _ => Some(Credential::Unknown),
        }
    });
    match (authorization, one(headers, &API_KEY)?) {
        (Some(_), Some(_)) => Err(AuthError::SeveralCredentials),
        (Some(credential), None) => Ok(Some(credential)),
        (None, key) => Ok(key.map(|key| unset(key).unwrap_or(Credential::ApiKey(key)))),
    }
}

/// The credential in a caller's `credential_header`, which only has credentials. An empty header has none.
fn in_custom(value: &str, has_keys: bool) -> Option<Credential<'_>> {
    let bare = value.trim_matches([' ', '\t']);
    if bare.is_empty() {
        return None;
    }
    let key = Some(Credential::ApiKey(bare)).filter(|_| has_keys && !bare.contains([' ', '\t']));
    by_scheme(value).or_else(|| unset(value)).or(key).or(Some(Credential::Unknown))
}

/// A bearer token or an API key with its scheme.
fn by_scheme(value: &str) -> Option<Credential<'_>> {
    let (scheme, credential) = parts(value);
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    if !is_bearer && !scheme.eq_ignore_ascii_case("apikey") {
        return None;
    }
    Some(match unset(credential) {
        Some(unset) => unset,
        None if !is_bearer => Credential::ApiKey(credential),
        None if credential.contains('.') => Credential::Jwt(credential),
        None => Credential::Bearer(credential),
    })
}

/// A value that is empty, or that is the text of an unset value.
fn unset(value: &str) -> Option<Credential<'static>> {
    let value = value.trim_matches([' ', '\t']);
    if value.is_empty() {
        return Some(Credential::Empty);
    }
    UNSET.into_iter().find(|text| *text == value).map(Credential::Unset)
}

/// The scheme, and the credential after it.
fn parts(value: &str) -> (&str, &str) {
    let value = value.trim_start_matches([' ', '\t']);
    let (scheme, credential) = value.split_at(value.find([' ', '\t']).unwrap_or(value.len()));
    (scheme, credential.trim_start_matches(' '))
}

/// Whether a bearer token or an API key follows a comma: a gateway joins two headers into one value.
fn contains_second_credential(credential: &str) -> bool {
    let mut schemes = credential.split(',').skip(1).map(|value| parts(value).0);
    schemes.any(|scheme| scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("apikey"))
}

fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, AuthError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(AuthError::SeveralCredentials),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| InvalidCredential::NotText.into()),
    }
}

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What JavaScript, Python, Swift and Objective-C write for a value that isn't set, and JavaScript for an object or a
/// promise.
const UNSET: [&str; 8] =
    ["undefined", "null", "[object Object]", "[object Promise]", "NaN", "None", "nil", "(null)"];
