//! What a request shows of who is asking, in its headers. Nothing of it is believed yet.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName};

use super::{AuthError, InvalidCredential};

/// What was presented, if anything was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credential<'a> {
    /// `Authorization: Bearer …` in the form of a JWT: with dots.
    Jwt(&'a str),
    /// `Authorization: Bearer …` in any other form: an API key, or a token gone wrong.
    Bearer(&'a str),
    /// `X-API-Key: …` or `Authorization: ApiKey …`
    ApiKey(&'a str),
    /// An `Authorization` in no known form.
    Unknown,
}

/// The one credential of a request, if it has one. What proxies and AWS add (`Basic` and its like) is none of
/// ours.
///
/// # Errors
/// Where there are several, or one that can't be read.
pub(super) fn presented(headers: &HeaderMap) -> Result<Option<Credential<'_>>, AuthError> {
    let authorization = one(headers, &AUTHORIZATION)?.and_then(|value| {
        let (scheme, credential) = parts(value);
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" if credential.contains('.') => Some(Credential::Jwt(credential)),
            "bearer" => Some(Credential::Bearer(credential)),
            "apikey" => Some(Credential::ApiKey(credential)),
            "" => None,
            "aws4-hmac-sha256" | "digest" | "negotiate" if !brings_ours(credential) => None,
            "basic" if !credential.contains([' ', '\t', ',']) => None,
            _ => Some(Credential::Unknown),
        }
    });
    match (authorization, one(headers, &API_KEY)?) {
        (Some(_), Some(_)) => Err(AuthError::SeveralCredentials),
        (Some(credential), None) => Ok(Some(credential)),
        (None, key) => Ok(key.map(Credential::ApiKey)),
    }
}

/// A scheme, and what follows it.
fn parts(value: &str) -> (&str, &str) {
    let value = value.trim_start_matches([' ', '\t']);
    let (scheme, credential) = value.split_at(value.find([' ', '\t']).unwrap_or(value.len()));
    (scheme, credential.trim_start_matches(' '))
}

/// Whether one of our credentials stands behind a comma: a gateway makes one value of two headers.
fn brings_ours(credential: &str) -> bool {
    let schemes = credential.split(',').skip(1).map(|value| parts(value).0);
    schemes
        .into_iter()
        .any(|scheme| ["bearer", "apikey"].iter().any(|ours| ours.eq_ignore_ascii_case(scheme)))
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
