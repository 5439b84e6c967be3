//! Authentication errors. Their texts are for the log only: the client gets the same response for every invalid
//! credential.

use super::fetch::FetchError;
use super::gateway::BadContext;
use super::jwt::TokenError;
use super::{CredentialHeaders, Via};

/// Why a request has no caller.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No caller is configured.
    #[error(
        "no caller is configured: add a [[caller]] and a [[rule]] to roompass.toml, or give them in ROOMPASS_CONFIG"
    )]
    NoCallers,
    /// The request has no credential, and unauthenticated requests aren't accepted.
    #[error("no credential was presented")]
    NoCredential(CredentialHeaders),
    /// The request has more than one credential.
    #[error("more than one credential was presented")]
    SeveralCredentials,
    /// The credential is invalid.
    #[error(transparent)]
    Refused(#[from] InvalidCredential),
    /// The credential can't be verified at the moment.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a credential is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredential {
    /// It isn't printable ASCII.
    #[error("the credential is not plain text")]
    NotText,
    /// The header or the scheme has no value.
    #[error("the credential is empty")]
    Empty,
    /// The client sent the text of an unset value, such as `undefined`, in place of a token or key.
    #[error("the client sent the text {0:?} in place of a credential")]
    Unset(&'static str),
    /// It is in a header that no configured caller reads.
    #[error("the credential is in a header that no configured caller reads: credential_header is {0}")]
    OtherHeader(CredentialHeaders),
    /// No configured caller has credentials of this type.
    #[error("no configured caller accepts this credential type")]
    UnsupportedType,
    /// It's an API key, and no caller of kind `api-key` is configured.
    #[error("an API key was presented, and no api-key caller is configured")]
    NoApiKeyCaller,
    /// The API key is unknown or expired.
    #[error("unknown or expired API key")]
    UnknownApiKey,
    /// The token is invalid.
    #[error("invalid token: {0}")]
    Token(#[from] TokenError),
    /// The gateway's authorizer context is invalid.
    #[error(transparent)]
    Gateway(#[from] BadContext),
    /// No configured caller accepts this authorizer of the gateway.
    #[error("no configured caller accepts the gateway's {0} authorizer")]
    UnsupportedAuthorizer(Via),
}

/// Why a credential can't be verified at the moment.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// An issuer's keys can't be fetched.
    #[error("issuer keys unavailable: {0}")]
    IssuerKeys(#[from] FetchError),
    /// The API keys or shared secrets can't be read.
    #[error(transparent)]
    CallerKeys(#[from] CallerKeysUnavailable),
}

/// Why API keys or shared secrets can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct CallerKeysUnavailable {
    /// The cause, for the log.
    pub cause: String,
    /// Whether a retry can succeed without a change by the operator.
    pub is_transient: bool,
}

impl Unavailable {
    /// Whether a retry can succeed without a change by the operator.
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
