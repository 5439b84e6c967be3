//! What is inside a token, for people: any of LiveKit's or Agora's, from any issuer. Nothing is verified
//! here, so what is read must never decide anything.

mod agora;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

pub use agora::{Agora, Name, Permission, Privilege, Service};

use crate::json;

/// A token, read.
#[derive(Debug, Clone, PartialEq)]
pub enum Inspected {
    /// LiveKit's, or another JWT.
    Jwt(Jwt),
    /// Agora's, of version 006 or 007.
    Agora(Agora),
}

/// A JWT's claims, unverified.
#[derive(Debug, Clone, PartialEq)]
pub struct Jwt {
    /// What it claims.
    pub claims: Map<String, Value>,
}

/// Why a text isn't a token that can be read. Says nothing of what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Neither dots nor a version in front.
    #[error(
        "this is no token: LiveKit's have three parts with dots between them, Agora's begin with 006 or 007"
    )]
    NoToken,
    /// A JWT in shape, whose parts aren't what a JWT has.
    #[error("this looks like a LiveKit token, and its {0}: it may be truncated")]
    Jwt(&'static str),
    /// Agora's in front, and something else behind.
    #[error("this looks like an Agora token, and its {0}: it may be truncated")]
    Agora(&'static str),
    /// An Agora token for something newer than this program.
    #[error("this is an Agora token for a service of type {0}, which is unknown here")]
    UnknownService(u16),
}

/// Reads a token, without its signature being checked.
///
/// # Errors
/// Where it's no token, or not a whole one.
pub fn read(text: &str) -> Result<Inspected, Unreadable> {
    let text = text.trim();
    if text.contains('.') {
        return jwt(text).map(Inspected::Jwt);
    }
    match text.split_at_checked(3) {
        Some(("006", rest)) => agora::v006(rest).map(Inspected::Agora),
        Some(("007", rest)) => agora::v007(rest).map(Inspected::Agora),
        _ => Err(Unreadable::NoToken),
    }
}

fn jwt(text: &str) -> Result<Jwt, Unreadable> {
    let [header, claims, signature] = text.split('.').collect::<Vec<_>>()[..] else {
        return Err(Unreadable::Jwt("parts aren't three"));
    };
    let object =
        |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok().and_then(|text| json::object(&text).ok());
    let header = object(header).ok_or(Unreadable::Jwt("header is no JSON object in base64"))?;
    let claims = object(claims).ok_or(Unreadable::Jwt("claims are no JSON object in base64"))?;
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature);
    let size = signature.map_err(|_| Unreadable::Jwt("signature is no base64"))?.len();
    let expected = match header.get("alg").and_then(Value::as_str) {
        Some("HS256") => 32,
        Some("HS384") => 48,
        Some("HS512") => 64,
        Some("none") | None => return Err(Unreadable::Jwt("header names no algorithm that signs")),
        Some(_) => size.max(1),
    };
    if size == expected { Ok(Jwt { claims }) } else { Err(Unreadable::Jwt("signature has another length")) }
}

impl Jwt {
    /// Whether any of it is for LiveKit.
    #[must_use]
    pub fn is_for_livekit(&self) -> bool {
        LIVEKIT_CLAIMS.iter().any(|claim| self.claims.contains_key(*claim))
    }

    /// A time among the claims, in whole seconds since 1970: `exp`, `nbf` or `iat`.
    #[must_use]
    pub fn time(&self, claim: &str) -> Option<u64> {
        self.claims.get(claim)?.as_u64()
    }
}

const LIVEKIT_CLAIMS: [&str; 5] = ["video", "sip", "inference", "observability", "roomConfig"];

#[cfg(test)]
mod tests;
