//! Decodes LiveKit and Agora tokens of any issuer, for people. Signatures are not verified, so never base a decision on
//! the result.

mod agora;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

pub use agora::{AgoraService, AgoraToken, Name, Permission, Privilege};

use crate::json;

/// A decoded token.
#[derive(Debug, Clone, PartialEq)]
pub enum Inspected {
    /// A LiveKit token, or another JWT.
    Jwt(Jwt),
    /// An Agora token of version 006 or 007.
    Agora(AgoraToken),
}

/// A JWT.
#[derive(Debug, Clone, PartialEq)]
pub struct Jwt {
    /// The claims.
    pub claims: Map<String, Value>,
}

/// Why a token can't be decoded. The texts never quote the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The text has neither dots nor a version of Agora's.
    #[error(
        "not a token: a LiveKit token has three dot-separated parts, an Agora token starts with 006 or 007"
    )]
    NotAToken,
    /// The text has dots, but is not a JWT.
    #[error("invalid LiveKit token: {0}; the token may be truncated")]
    Jwt(&'static str),
    /// The text starts with a version of Agora's, but is not an Agora token.
    #[error("invalid Agora token: {0}; the token may be truncated")]
    Agora(&'static str),
    /// The token has a service that this program doesn't know.
    #[error("unsupported Agora token: unknown service type {0}")]
    UnknownService(u16),
}

/// Decodes a token, without verifying its signature.
///
/// # Errors
/// If the text is not a token, or is incomplete.
pub fn read(text: &str) -> Result<Inspected, Unreadable> {
    let text = text.trim();
    if text.contains('.') {
        return jwt(text).map(Inspected::Jwt);
    }
    match text.split_at_checked(3) {
        Some(("006", rest)) => agora::v006(rest).map(Inspected::Agora),
        Some(("007", rest)) => agora::v007(rest).map(Inspected::Agora),
        _ => Err(Unreadable::NotAToken),
    }
}

fn jwt(text: &str) -> Result<Jwt, Unreadable> {
    let [header, claims, signature] = text.split('.').collect::<Vec<_>>()[..] else {
        return Err(Unreadable::Jwt("expected three dot-separated parts"));
    };
    let object =
        |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok().and_then(|text| json::object(&text).ok());
    let header = object(header).ok_or(Unreadable::Jwt("the header is not a JSON object in base64"))?;
    let claims = object(claims).ok_or(Unreadable::Jwt("the claims are not a JSON object in base64"))?;
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature);
    let size = signature.map_err(|_| Unreadable::Jwt("the signature is not base64"))?.len();
    let expected = match header.get("alg").and_then(Value::as_str) {
        Some("HS256") => 32,
        Some("HS384") => 48,
        Some("HS512") => 64,
        Some("none") | None => return Err(Unreadable::Jwt("the header has no signing algorithm")),
        Some(_) => size.max(1),
    };
    if size == expected {
        Ok(Jwt { claims })
    } else {
        Err(Unreadable::Jwt("the signature has the wrong length"))
    }
}

impl Jwt {
    /// Whether any claim is one of LiveKit's.
    #[must_use]
    pub fn is_for_livekit(&self) -> bool {
        LIVEKIT_CLAIMS.iter().any(|claim| self.claims.contains_key(*claim))
    }

    /// A time claim (`exp`, `nbf` or `iat`), in whole seconds since 1970.
    #[must_use]
    pub fn time(&self, claim: &str) -> Option<u64> {
        self.claims.get(claim)?.as_u64()
    }
}

const LIVEKIT_CLAIMS: [&str; 5] = ["video", "sip", "inference", "observability", "roomConfig"];

#[cfg(test)]
mod tests;
