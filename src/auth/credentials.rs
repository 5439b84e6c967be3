//! The credential in a request's headers, not yet verified.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName};

use super::{AuthError, InvalidCredential};

/// A credential, by its form.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credential<'a> {
    /// `Authorization: Bearer …` in the form of a JWT: with dots.
    Jwt(&'a str),
    /// `Authorization: Bearer …` without dots: an API key, or a malformed token.
    Bearer(&'a str),
    /// `X-API-Key: …` or `Authorization: ApiKey …`
    ApiKey(&'a str),
    /// An `Authorization` header in an unknown form.
    Unknown,
}

/// The one credential of a request, if it has one. Schemes that proxies and AWS use, such as `Basic`, are ignored.
///
/// # Errors
/// If there are several, or one that isn't ASCII text.
pub(super) fn presented(headers: &HeaderMap) -> Result<Option<Credential<'_>>, AuthError> {
    let authorization = one(headers, &AUTHORIZATION)?.and_then(|value| {
        let (scheme, credential) = parts(value);
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" if credential.contains('.') => Some(Credential::Jwt(credential)),
            "bearer" => Some(Credential::Bearer(credential)),
            "apikey" => Some(Credential::ApiKey(credential)),
            "" => None,
            "aws4-hmac-sha256" | "digest" | "negotiate" if !contains_second_credential(credential) => None,
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
