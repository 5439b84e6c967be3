//! JWTs of issuers: parsed strictly, and verified with the issuer's keys.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::verify;
use serde_json::{Map, Value};

use super::{Algorithm, Caller, CallerConfig, CallerKind, Issuer};
use crate::json::{self, JsonError};

/// Why a token is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It isn't a signed JWT in its compact form.
    #[error("expected three dot-separated parts")]
    NotThreeParts,
    /// A part can't be decoded.
    #[error("the {0} is not base64url")]
    NotBase64(TokenPart),
    /// A part isn't a JSON object.
    #[error("the {0} {1}")]
    NotAnObject(TokenPart, JsonError),
    /// `alg` is missing or not a string.
    #[error("alg must be a string")]
    AlgorithmNotAString,
    /// `alg` isn't one that the caller allows.
    #[error("alg is not in algorithms")]
    AlgorithmNotAllowed,
    /// The header requires an extension.
    #[error("unsupported header parameter (crit or b64)")]
    UnsupportedHeader,
    /// `kid` is not a string.
    #[error("kid must be a string")]
    KeyIdNotAString,
    /// `typ` is not the one that the caller requires.
    #[error("typ does not match typ")]
    WrongType,
    /// No configured caller has this issuer.
    #[error("iss is not a configured issuer")]
    UnknownIssuer,
    /// The token is from another issuer.
    #[error("iss does not match issuer")]
    WrongIssuer,
    /// The token is for another audience.
    #[error("{0} does not match audience")]
    WrongAudience(String),
    /// A time is missing or invalid.
    #[error("{0} must be a time in seconds since 1970")]
    NotATime(&'static str),
    /// The token has expired.
    #[error("exp is in the past")]
    Expired,
    /// The token isn't valid yet.
    #[error("{0} is in the future")]
    NotYetValid(&'static str),
    /// `sub` is missing or not a string.
    #[error("sub must be a string")]
    SubjectNotAString,
    /// `sub` is empty.
    #[error("sub is empty")]
    SubjectEmpty,
    /// A claim isn't what the caller requires.
    #[error("{0} does not match required_claims")]
    RequiredClaim(String),
    /// The issuer's key set doesn't have the token's key.
    #[error("unknown key")]
    UnknownKey,
    /// The signature doesn't match the key.
    #[error("invalid signature")]
    InvalidSignature,
}

/// A part of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenPart {
    /// The first part.
    Header,
    /// The second part.
    Claims,
}

impl fmt::Display for TokenPart {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Header => "header",
            Self::Claims => "claims",
        })
    }
}

/// A token in its three parts, unverified.
#[derive(Debug)]
pub(super) struct Unverified<'a> {
    signed: &'a str,
    signature: &'a str,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

/// Claims that were checked. The signature isn't verified yet.
pub(super) struct CheckedClaims {
    subject: String,
    expires: u64,
}

impl<'a> Unverified<'a> {
    /// Parses a token: three parts in base64url without padding. The first two are JSON objects with unique members.
    pub(super) fn parse(token: &'a str) -> Result<Self, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::NotThreeParts)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::NotThreeParts)?;
        if claims.contains('.') {
            return Err(TokenError::NotThreeParts);
        }
        let object = |text: &str, part| {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::NotBase64(part))?;
            json::object(&bytes).map_err(|error| TokenError::NotAnObject(part, error))
        };
        let (header, claims) = (object(header, TokenPart::Header)?, object(claims, TokenPart::Claims)?);
        Ok(Self { signed, signature, header, claims })
    }

    /// The token's `iss`.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// The token's `kid`.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.header.get("kid")?.as_str()
    }

    /// The algorithm, if the issuer may use it and the rest of the header is acceptable.
    pub(super) fn algorithm(&self, issuer: &Issuer) -> Result<Algorithm, TokenError> {
        let name = self.header.get("alg").and_then(Value::as_str).ok_or(TokenError::AlgorithmNotAString)?;
        let algorithm = Algorithm::parse(name).filter(|algorithm| issuer.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or(TokenError::AlgorithmNotAllowed)?;
        if self.header.contains_key("crit") || self.header.contains_key("b64") {
            return Err(TokenError::UnsupportedHeader);
        }
        if self.header.get("kid").is_some_and(|id| !id.is_string()) {
            return Err(TokenError::KeyIdNotAString);
        }
        match (&issuer.typ, self.header.get("typ").and_then(Value::as_str)) {
            (None, _) => Ok(algorithm),
            (Some(expected), Some(typ)) if media_type(typ).eq_ignore_ascii_case(media_type(expected)) => {
                Ok(algorithm)
            }
            (Some(_), _) => Err(TokenError::WrongType),
        }
    }

    /// Checks the claims. This comes before the signature, so that no key is fetched for a token that is refused anyway.
    pub(super) fn check(&self, issuer: &Issuer, now: u64) -> Result<CheckedClaims, TokenError> {
        let claims = &self.claims;
        if !self.issuer().is_some_and(|name| issuer.issuer.contains(name)) {
            return Err(TokenError::WrongIssuer);
        }
        let claim = audience_claim(issuer, claims);
        let audience = claim.and_then(|claim| audience(claims.get(claim))).unwrap_or_default();
        if !audience.iter().any(|listed| issuer.audience.iter().any(|expected| expected == listed)) {
            let claim = claim.map_or_else(|| issuer.audience_claim.join(" or "), str::to_owned);
            return Err(TokenError::WrongAudience(claim));
        }
        let expires = claims.get("exp").and_then(seconds).ok_or(TokenError::NotATime("exp"))?;
        if is_past(expires, now) {
            return Err(TokenError::Expired);
        }
        for time in ["nbf", "iat"] {
            if let Some(value) = claims.get(time) {
                let begins = seconds(value).ok_or(TokenError::NotATime(time))?;
                if begins > now.saturating_add(LEEWAY) {
                    return Err(TokenError::NotYetValid(time));
                }
            }
        }
        let subject = claims.get("sub").and_then(Value::as_str).ok_or(TokenError::SubjectNotAString)?;
        if subject.is_empty() {
            return Err(TokenError::SubjectEmpty);
        }
        for (claim, condition) in &issuer.required_claims {
            if !claims.get(claim).is_some_and(|value| condition.holds_for(value)) {
                return Err(TokenError::RequiredClaim(claim.clone()));
            }
        }
        Ok(CheckedClaims { subject: subject.to_owned(), expires })
    }

    /// Verifies the signature with any of the keys, and returns the token's caller, to which the claims are moved.
    pub(super) fn verify(
        &mut self,
        CheckedClaims { subject, expires }: CheckedClaims,
        caller: &str,
        issuer: &Issuer,
        algorithm: Algorithm,
        keys: &[DecodingKey],
    ) -> Result<Caller, TokenError> {
        let (signed, algorithm) = (self.signed.as_bytes(), library(algorithm));
        if !keys.iter().any(|key| verify(self.signature, signed, key, algorithm) == Ok(true)) {
            return Err(TokenError::InvalidSignature);
        }
        Ok(Caller {
            name: caller.to_owned(),
            issuer: Some(issuer.issuer.first().to_owned()),
            subject: Some(subject),
            claims: std::mem::take(&mut self.claims),
            expires: Some(expires),
        })
    }
}

/// Checks claims like those of a caller's token, but without a signature, for `roompass explain`. The claims `iss`, `exp`
/// and `sub` and the audience claim are optional.
///
/// # Errors
/// If a token with these claims would be invalid.
pub fn check_claims(caller: &CallerConfig, claims: &Map<String, Value>, now: u64) -> Result<(), TokenError> {
    let CallerKind::Jwt(issuer) = &caller.kind else { return Ok(()) };
    let mut claims = claims.clone();
    for (claim, valid) in [
        ("iss", Value::from(issuer.issuer.first())),
        ("exp", now.saturating_add(1).into()),
        ("sub", "anyone".into()),
    ] {
        claims.entry(claim).or_insert(valid);
    }
    if let (None, Some(claim)) = (audience_claim(issuer, &claims), issuer.audience_claim.first()) {
        claims.insert(claim.clone(), issuer.audience.as_slice().into());
    }
    let token = Unverified { signed: "", signature: "", header: Map::new(), claims };
    token.check(issuer, now).map(|_| ())
}

/// The library's value for an algorithm.
fn library(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    use jsonwebtoken::Algorithm as Library;
    match algorithm {
        Algorithm::RS256 => Library::RS256,
        Algorithm::RS384 => Library::RS384,
        Algorithm::RS512 => Library::RS512,
        Algorithm::PS256 => Library::PS256,
        Algorithm::PS384 => Library::PS384,
        Algorithm::PS512 => Library::PS512,
        Algorithm::ES256 => Library::ES256,
        Algorithm::ES384 => Library::ES384,
        Algorithm::EdDSA => Library::EdDSA,
        Algorithm::HS256 => Library::HS256,
    }
}

/// Without the prefix `application/`, which is optional (RFC 7515, section 4.1.9).
fn media_type(typ: &str) -> &str {
    match typ.get(..12) {
        Some(prefix) if prefix.eq_ignore_ascii_case("application/") => &typ[12..],
        _ => typ,
    }
}

/// The name of the first of the issuer's audience claims that the token has.
fn audience_claim<'a>(issuer: &'a Issuer, claims: &Map<String, Value>) -> Option<&'a str> {
    issuer.audience_claim.iter().map(String::as_str).find(|claim| claims.contains_key(*claim))
}

/// A string, or a list of strings. None if it's anything else.
fn audience(value: Option<&Value>) -> Option<Vec<&str>> {
    match value? {
        Value::String(one) => Some(vec![one]),
        Value::Array(several) => several.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// A time in seconds since 1970, between 1970 and the year 10000. Some issuers add a fraction.
pub(super) fn seconds(value: &Value) -> Option<u64> {
    let seconds = value.as_f64().filter(|seconds| (1.0..253_402_300_800.0).contains(seconds))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it's within the range above"
    )]
    Some(seconds as u64)
}

/// Whether an expiry is in the past, with leeway.
pub(super) fn is_past(expires: u64, now: u64) -> bool {
    expires.saturating_add(LEEWAY) <= now
}

/// The allowed difference between the issuer's clock and this one, in seconds.
const LEEWAY: u64 = 60;
