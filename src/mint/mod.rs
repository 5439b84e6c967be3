//! Signs passes with the keys: the only way to a token. Independent of HTTP and of callers.

pub(crate) mod agora;
mod livekit;

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use secrecy::{ExposeSecret, SecretString};

pub use livekit::livekit_claims;
#[cfg(feature = "local")]
pub use livekit::server_api_token;

use crate::domain::agora::TokenVersion;
use crate::domain::{Context, InvalidField, Limits, Pass, Provider};
use crate::keys::{NotConfigured, SigningKeys};

/// The settings that tokens depend on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[limits]`: the maximum size of a token.
    pub limits: Limits,
    /// `agora.token_version`: the format of Agora tokens.
    pub agora_version: TokenVersion,
}

/// The type of [`token`]. Tests pass a function that also counts its calls.
pub type Mint = fn(&[Pass], Provider, &SigningKeys, &Settings, &Context) -> Result<Token, MintError>;

/// Signs one token for all of these passes.
///
/// # Errors
/// If the keys are of another project, the provider has no keys, the token would be too large, or the provider's tokens
/// can't express the passes.
pub fn token(
    passes: &[Pass],
    provider: Provider,
    keys: &SigningKeys,
    settings: &Settings,
    context: &Context,
) -> Result<Token, MintError> {
    if passes.iter().any(|pass| pass.project != *keys.project()) {
        return Err(MintError::Signing("the keys are of another project".into()));
    }
    match provider {
        Provider::LiveKit => livekit::token(passes, keys.livekit()?, &settings.limits, context.now),
        Provider::Agora => agora::token(passes, settings.agora_version, keys.agora()?, context),
    }
}

/// A signed token. Its holder has access, so it is never logged and only returned to the client that requested it.
#[derive(Clone)]
pub struct Token(SecretString);

impl Token {
    /// The token itself, for the response.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The first 16 hexadecimal digits of the token's SHA-256. The log has them, to find the line of a known token.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode(&digest(&SHA256, self.expose().as_bytes()).as_ref()[..8])
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({})", self.fingerprint())
    }
}

/// Why no token can be signed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// The token would be larger than `max_token_size`.
    #[error("The token would be {size} bytes, and the limit is {limit}. Shorten the largest fields: {}.", list(.largest))]
    TooLarge {
        /// The token's size, in bytes.
        size: usize,
        /// `max_token_size`, in bytes.
        limit: usize,
        /// The largest fields and their sizes in the token's JSON, in bytes, in descending order.
        largest: Vec<(&'static str, usize)>,
    },
    /// The room or the identity is not valid in Agora.
    #[error(transparent)]
    NotForAgora(InvalidField),
    /// The rule sets a grant to false that all Agora tokens have.
    #[error(
        "Agora tokens can't enforce grants.{0} = false. Use a LiveKit route, or remove it from the rule."
    )]
    Unenforceable(&'static str),
    /// The provider has no keys.
    #[error(transparent)]
    NotConfigured(#[from] NotConfigured),
    /// Signing failed. The cause is only in the log.
    #[error("the token could not be signed: {0}")]
    Signing(String),
}

/// The HMAC-SHA256 that signs all tokens.
fn signature(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(HMAC_SHA256, key), message)
}

fn list(fields: &[(&'static str, usize)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(field, size)| format!("{field} ({size} bytes)")).collect();
    fields.join(" and ")
}
