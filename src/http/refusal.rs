//! Every refusal and failure as the client sees it, and the only place that creates error responses. The log has the
//! error's own text (`Display`); the client gets `detail`.

use std::borrow::Cow;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};

use super::RequestId;
use super::body::MAX_BODY;
use super::problem::{self, Problem, ProblemKind};
use crate::auth::AuthError;
use crate::dialect::BadRequest;
use crate::domain::Provider;
use crate::domain::agora::Uid;
use crate::keys::{KeysError, NotConfigured};
use crate::mint::MintError;
use crate::policy::Denial;
use roompass_core::config::Dialect;

/// Why a request gets an error response.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No route has this path.
    #[error("no route has this path")]
    NotFound {
        /// The token routes, as text.
        served: Arc<str>,
        /// The dialect that would have this path.
        dialect: Option<Dialect>,
    },
    /// The route has other methods.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// The `Content-Type` isn't JSON.
    #[error("unsupported media type")]
    UnsupportedMediaType,
    /// The body is compressed.
    #[error("unsupported content encoding")]
    UnsupportedContentEncoding,
    /// The body is too large.
    #[error("body too large")]
    TooLarge,
    /// The connection closed before the whole body arrived.
    #[error("body incomplete")]
    BrokenBody,
    /// The body was not complete in time.
    #[error("body incomplete at the time limit")]
    BodyTimeout,
    /// The dialect can't parse the request.
    #[error(transparent)]
    BadRequest(#[from] BadRequest),
    /// Authentication failed.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The policy denies the request.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// No valid policy could be read at run time, or the last one expired.
    #[error("{0}")]
    PolicyUnavailable(Arc<str>),
    /// The signing keys are unavailable.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The provider has no keys.
    #[error(transparent)]
    NotConfigured(#[from] NotConfigured),
    /// The token can't be issued.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// The `Host` header isn't accepted.
    #[error("host {0:?} is not this machine")]
    WrongHost(String),
    /// A bug.
    #[error("panicked")]
    Panicked,
}

impl Refusal {
    /// The kind of error: status, code and title.
    #[must_use]
    pub fn kind(&self) -> &'static ProblemKind {
        match self {
            Self::NotFound { .. } => &problem::NOT_FOUND,
            Self::MethodNotAllowed => &problem::METHOD_NOT_ALLOWED,
            Self::UnsupportedMediaType => &problem::UNSUPPORTED_MEDIA_TYPE,
            Self::UnsupportedContentEncoding => &problem::UNSUPPORTED_CONTENT_ENCODING,
            Self::TooLarge => &problem::BODY_TOO_LARGE,
            Self::BrokenBody => &problem::BROKEN_BODY,
            Self::BodyTimeout => &problem::BODY_TIMEOUT,
            Self::BadRequest(BadRequest::Body(_)) => &problem::INVALID_BODY,
            Self::BadRequest(BadRequest::Field(_))
            | Self::Denied(Denial::Invalid(_))
            | Self::Mint(MintError::NotForAgora(_)) => &problem::INVALID_FIELD,
            Self::BadRequest(BadRequest::Missing(_)) | Self::Denied(Denial::RoomRequired { .. }) => {
                &problem::MISSING_FIELD
            }
            Self::BadRequest(BadRequest::Event) => &problem::INVALID_EVENT,
            Self::BadRequest(BadRequest::Path) => &problem::INVALID_PATH,
            Self::BadRequest(BadRequest::UnknownSandbox) => &problem::UNKNOWN_SANDBOX,
            Self::Auth(AuthError::NoCallers) => &problem::NO_CALLERS_CONFIGURED,
            Self::Auth(AuthError::NoCredential(_)) => &problem::NO_CREDENTIAL,
            Self::Auth(AuthError::Refused(_)) | Self::Denied(Denial::CredentialExpired { .. }) => {
                &problem::INVALID_CREDENTIAL
            }
            Self::Auth(AuthError::SeveralCredentials) => &problem::SEVERAL_CREDENTIALS,
            Self::Auth(AuthError::Unavailable(_)) => &problem::VERIFICATION_UNAVAILABLE,
            Self::Denied(Denial::Denied { .. }) => &problem::DENIED,
            Self::Denied(Denial::NoRule) => &problem::NO_RULE,
            Self::Denied(Denial::NoRoom { .. } | Denial::RoomNotAllowed) => &problem::ROOM_NOT_ALLOWED,
            Self::Denied(
                Denial::FieldNotAllowed { .. }
                | Denial::GrantNotGiven { .. }
                | Denial::MemberNotAllowed { .. }
                | Denial::UidZeroNotAllowed { .. },
            ) => &problem::FIELD_NOT_ALLOWED,
            Self::Denied(Denial::AgentNotAllowed { .. }) => &problem::AGENT_NOT_ALLOWED,
            Self::Denied(Denial::EgressNotAllowed { .. }) => &problem::EGRESS_NOT_ALLOWED,
            Self::Denied(Denial::TtlTooLong { .. }) => &problem::TTL_TOO_LONG,
            Self::Denied(Denial::PublishingNotAllowed { .. }) => &problem::PUBLISHING_NOT_ALLOWED,
            Self::Denied(Denial::LoginNotAllowed(_)) => &problem::LOGIN_NOT_ALLOWED,
            Self::Denied(Denial::SeveralProjects { .. }) => &problem::SEVERAL_PROJECTS,
            Self::PolicyUnavailable(_) => &problem::POLICY_UNAVAILABLE,
            Self::Keys(_) => &problem::KEYS_UNAVAILABLE,
            Self::NotConfigured(NotConfigured { provider, .. })
            | Self::Mint(MintError::NotConfigured(NotConfigured { provider, .. })) => match provider {
                Provider::LiveKit => &problem::LIVEKIT_NOT_CONFIGURED,
                Provider::Agora => &problem::AGORA_NOT_CONFIGURED,
            },
            Self::Mint(MintError::TooLarge { .. }) => &problem::TOKEN_TOO_LARGE,
            Self::Mint(MintError::Unenforceable(_)) => &problem::GRANTS_NOT_ENFORCEABLE,
            Self::WrongHost(_) => &problem::WRONG_HOST,
            Self::Mint(MintError::Signing(_)) | Self::Panicked => &problem::INTERNAL_ERROR,
        }
    }

    /// The error and how to fix it, for the client. Never contains a secret, or the reason why a credential is refused.
    fn detail(&self) -> String {
        let kind = self.kind();
        match self {
            Self::NotFound { served, dialect: None } => {
                format!("Request tokens at {served}. `dialects` in roompass.toml decides which routes are served.")
            }
            Self::NotFound { served, dialect: Some(dialect) } => {
                let name = dialect.as_str();
                format!(
                    "This is a route of the dialect {name:?}, which is not served. Add it to `dialects` in \
                     roompass.toml, or request tokens at {served}."
                )
            }
            Self::MethodNotAllowed => "Use a method that the Allow header lists.".into(),
            Self::UnsupportedMediaType => "Send JSON with the header Content-Type: application/json.".into(),
            Self::UnsupportedContentEncoding => "Send the body uncompressed, without Content-Encoding.".into(),
            Self::TooLarge => format!("Send a body of at most {MAX_BODY} bytes."),
            Self::BrokenBody => "The connection closed before the whole body arrived. Send the request again.".into(),
            Self::BodyTimeout => "The body took too long to arrive. Send the request again.".into(),
            Self::BadRequest(error) => error.to_string(),
            Self::Denied(Denial::Denied { .. }) => "This request is denied. The log has the cause under this request ID.".into(),
            Self::Denied(denial) if *kind != problem::INVALID_CREDENTIAL => denial.to_string(),
            Self::Auth(AuthError::NoCallers) => "Every request is refused. Add a [[caller]] and a [[rule]] to \
                                                 roompass.toml, or to the policy that ROOMPASS_POLICY names."
                .into(),
            Self::Auth(AuthError::NoCredential(headers)) => {
                let custom = headers.custom().map(|name| format!("{name} with a token or key"));
                let default = "Authorization: Bearer with a token, or X-API-Key with a key".to_owned();
                let all: Vec<_> = headers.reads_default().then_some(default).into_iter().chain(custom).collect();
                format!("Send {}.", all.join(", or "))
            }
            Self::Auth(AuthError::Refused(_)) | Self::Denied(_) => {
                "The token or key is not accepted or has expired. The log has the cause under this request ID.".into()
            }
            Self::Auth(AuthError::SeveralCredentials) => {
                "Send one credential, in one header.".into()
            }
            Self::Auth(AuthError::Unavailable(_)) => {
                "The credential can't be verified at the moment. Try again later. The log has the cause.".into()
            }
            Self::PolicyUnavailable(_) => "The policy can't be read at the moment. Try again later. The log has the cause.".into(),
            Self::Keys(_) => "Tokens can't be signed at the moment. Try again later. The log has the cause.".into(),
            Self::NotConfigured(NotConfigured { provider, project })
            | Self::Mint(MintError::NotConfigured(NotConfigured { provider, project })) => {
                let members = match provider {
                    Provider::LiveKit => "LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
                    Provider::Agora => "AGORA_APP_ID and AGORA_APP_CERTIFICATE",
                };
                if project.is_default() {
                    return format!("Add {members} to the secret, or to the environment when running locally.");
                }
                format!(
                    "Add {members} to projects.{project} in the secret, or to {project} in ROOMPASS_PROJECTS when running \
                     locally."
                )
            }
            Self::Mint(MintError::Signing(_)) | Self::Panicked => {
                "The log has the cause under this request ID.".into()
            }
            Self::Mint(error) => error.to_string(),
            Self::WrongHost(_) => {
                "While authentication is off, use localhost or an IP address as the host.".into()
            }
        }
    }

    /// The error's stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind().code
    }

    pub(super) fn problem<'a>(&'a self, RequestId(request_id): &'a RequestId) -> Problem<'a> {
        let ProblemKind { status, code, title } = self.kind();
        let kind = format!("urn:roompass:problem:{code}");
        Problem {
            kind,
            title,
            status: status.as_u16(),
            detail: self.detail(),
            code,
            field: self.field(),
            request_id,
        }
    }

    /// The request field that caused the error, if one did.
    fn field(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::BadRequest(BadRequest::Field(invalid))
            | Self::Denied(Denial::Invalid(invalid))
            | Self::Mint(MintError::NotForAgora(invalid)) => Some(invalid.field.as_str().into()),
            Self::Denied(
                Denial::FieldNotAllowed { field, .. }
                | Denial::GrantNotGiven { field, .. }
                | Denial::EgressNotAllowed { field, .. }
                | Denial::RoomRequired { field },
            ) => Some((*field).into()),
            Self::Denied(Denial::MemberNotAllowed { field, .. }) => Some(field.as_str().into()),
            Self::Denied(Denial::RoomNotAllowed) => Some("room_name".into()),
            Self::Denied(Denial::UidZeroNotAllowed { .. }) => Some(Uid::FIELD.into()),
            Self::Denied(Denial::AgentNotAllowed { problem, .. }) => Some(problem.field().into()),
            Self::Mint(MintError::TooLarge { largest, .. }) => {
                largest.first().map(|(field, _)| (*field).into())
            }
            _ => None,
        }
    }

    /// The value of `Retry-After`, in seconds, for errors that a retry can fix.
    pub(super) fn retry_after(&self) -> Option<u16> {
        matches!(self, Self::PolicyUnavailable(_) | Self::Keys(_) | Self::Auth(AuthError::Unavailable(_)))
            .then_some(5)
    }

    /// The value of `WWW-Authenticate` (RFC 6750, section 3).
    pub(super) fn challenge(&self) -> Option<&'static str> {
        match self.kind() {
            kind if *kind == problem::NO_CREDENTIAL => Some("Bearer"),
            kind if *kind == problem::INVALID_CREDENTIAL => Some("Bearer error=\"invalid_token\""),
            _ => None,
        }
    }
}

/// `super::outcome` writes the body, because it has the request ID.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.kind().status, axum::Extension(Arc::new(self))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::InvalidField;

    #[test]
    fn a_name_that_is_invalid_in_agora_is_an_invalid_field() {
        let refusal =
            Refusal::from(MintError::NotForAgora(InvalidField::new("channel", "must not be blank")));
        let id = RequestId("7".into());
        assert_eq!(
            serde_json::to_value(refusal.problem(&id)).unwrap(),
            serde_json::json!({
                "type": "urn:roompass:problem:invalid_field",
                "title": "Invalid field",
                "status": 400,
                "detail": "channel must not be blank",
                "code": "invalid_field",
                "field": "channel",
                "request_id": "7",
            })
        );
    }
}
