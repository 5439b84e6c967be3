//! Why a request's caller isn't accepted. What each error says is for the log alone: the client sees the same text for
//! every wrong credential.

use super::Via;
use super::fetch::FetchError;
use super::gateway::BadContext;
use super::jwt::TokenError;

/// Why a request has no caller.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The configuration lists no callers, so every request is refused.
    #[error(
        "no caller is configured: add a [[caller]] and a [[rule]] to roompass.toml, or give them in ROOMPASS_CONFIG"
    )]
    NoCallers,
    /// The request has no credential, and unauthenticated requests aren't accepted.
    #[error("no credential was presented")]
    NoCredential,
    /// The request has more than one.
    #[error("more than one credential was presented")]
    SeveralCredentials,
    /// The credential isn't accepted.
    #[error(transparent)]
    Refused(#[from] InvalidCredential),
    /// Whether it's accepted is unknown now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What is wrong with a credential.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredential {
    /// It holds bytes that no credential has.
    #[error("the credential is not plain text")]
    NotText,
    /// A scheme or a header with nothing behind it.
    #[error("the credential is empty")]
    Empty,
    /// No configured caller has credentials of this type.
    #[error("no configured caller accepts this credential type")]
    UnsupportedType,
    /// An API key, where no caller is known by one.
    #[error("an API key was presented, and no api-key caller is configured")]
    NoApiKeyCaller,
    /// The API key isn't stored, or has expired.
    #[error("unknown or expired API key")]
    UnknownApiKey,
    /// The token isn't good.
    #[error("invalid token: {0}")]
    Token(#[from] TokenError),
    /// The gateway's context isn't good.
    #[error(transparent)]
    Gateway(#[from] BadContext),
    /// The gateway has verified the request in a way that no caller takes.
    #[error("no configured caller accepts the gateway's {0} authorizer")]
    UnsupportedAuthorizer(Via),
}

/// Why a credential can't be checked now.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// An issuer's keys can't be fetched.
    #[error("issuer keys unavailable: {0}")]
    IssuerKeys(#[from] FetchError),
    /// What the credential is checked with can't be read.
    #[error(transparent)]
    CallerKeys(#[from] CallerKeysUnavailable),
}

/// Why API keys or shared secrets can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct CallerKeysUnavailable {
    /// Why, for the log.
    pub cause: String,
    /// Whether trying again soon can help, without a change by the operator.
    pub is_transient: bool,
}

impl Unavailable {
    /// Whether trying again soon can help, without a change by the operator.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::IssuerKeys(error) => error.is_transient(),
            Self::CallerKeys(error) => error.is_transient,
        }
    }
}

impl From<TokenError> for AuthError {
    fn from(error: TokenError) -> Self {
        InvalidCredential::from(error).into()
    }
}

impl From<FetchError> for AuthError {
    fn from(error: FetchError) -> Self {
        Unavailable::from(error).into()
    }
}

impl From<CallerKeysUnavailable> for AuthError {
    fn from(error: CallerKeysUnavailable) -> Self {
        Unavailable::from(error).into()
    }
}
