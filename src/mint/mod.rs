//! Passes and keys to a token. Knows nothing of HTTP and callers.

mod agora;
mod livekit;

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

#[cfg(test)]
pub(crate) use agora::crc32;
pub use livekit::livekit_claims;

use crate::domain::agora::TokenVersion;
use crate::domain::{Context, InvalidField, Limits, Pass, Provider};
use crate::keys::{NotConfigured, SigningKeys};

/// What of the configuration tokens depend on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[limits]`: how large a token may be.
    pub limits: Limits,
    /// `agora.token_version`: how Agora's tokens are laid out.
    pub agora_version: TokenVersion,
}

/// The one token of these passes: the only way to one.
///
/// # Errors
/// Where the provider has no keys, the token would be too large, or the provider has no token that says what the passes
/// say.
pub fn token(
    passes: &[Pass],
    provider: Provider,
    keys: &SigningKeys,
    settings: &Settings,
    context: &Context,
) -> Result<Token, MintError> {
    match provider {
        Provider::LiveKit => livekit::token(passes, keys.livekit()?, &settings.limits, context.now),
        Provider::Agora => agora::token(passes, settings.agora_version, keys.agora()?, context),
    }
}

/// A signed token. It gives its holder access, so it's returned to its client alone.
#[derive(Clone)]
pub struct Token(SecretString);

impl Token {
    /// The token itself, for the answer to the client.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The first 16 hexadecimal digits of the token's SHA-256, for the log: enough to find a token again that one
    /// holds, nothing to make one from.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.expose().as_bytes());
        digest.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({})", self.fingerprint())
    }
}

/// Why a pass doesn't become a token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// The token would be longer than configured.
    #[error("The token would be {size} bytes long; at most {limit} are allowed. The largest fields are {}.", list(.largest))]
    TooLarge {
        /// Its size, in bytes.
        size: usize,
        /// The largest size allowed, in bytes.
        limit: usize,
        /// The fields that take the most room and their sizes in the token's JSON, the largest first.
        largest: Vec<(&'static str, usize)>,
    },
    /// The room or the identity is none that Agora has.
    #[error(transparent)]
    NotForAgora(InvalidField),
    /// The rule takes away what every token of Agora's gives.
    #[error("Agora has no tokens without the right that the rule takes away with grants.{0} = false.")]
    Unenforceable(&'static str),
    /// The provider has no keys.
    #[error(transparent)]
    NotConfigured(#[from] NotConfigured),
    /// The library refused to sign. For the log alone.
    #[error("the token could not be signed: {0}")]
    Signing(String),
}

fn list(fields: &[(&'static str, usize)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(field, size)| format!("{field} ({size} bytes)")).collect();
    fields.join(" and ")
}
