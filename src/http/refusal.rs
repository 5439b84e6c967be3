//! Every refusal and failure, as the client sees it. The only place that knows a status code.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::RequestId;
use super::body::MAX_BODY;
use crate::auth::AuthError;
use crate::dialect::BadRequest;
use crate::keys::{KeysError, NotConfigured};
use crate::mint::MintError;
use crate::policy::Denial;

/// Why a request isn't answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is nothing at that path.
    #[error("no such path")]
    NotFound {
        /// Where tokens are had, in words.
        served: Arc<str>,
    },
    /// The path is there, with another method.
    #[error("no such method here")]
    MethodNotAllowed,
    /// The body isn't JSON by its `Content-Type`.
    #[error("wrong media type")]
    UnsupportedMediaType,
    /// The body is compressed.
    #[error("wrong content encoding")]
    UnsupportedContentEncoding,
    /// The body is too large.
    #[error("body too large")]
    TooLarge,
    /// The body ended too soon.
    #[error("body broken off")]
    BrokenBody,
    /// The body isn't a request in its dialect.
    #[error(transparent)]
    BadRequest(#[from] BadRequest),
    /// Nobody is let in.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// No rule gives it.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// There are no keys to sign with.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// There never are keys to sign with, for this provider.
    #[error(transparent)]
    NotConfigured(#[from] NotConfigured),
    /// The pass doesn't become a token.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// A defect of ours.
    #[error("panicked")]
    Panicked,
}

/// What the client is told: RFC 9457's members, and three more.
#[derive(Debug, Serialize)]
pub(super) struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    pub(super) detail: String,
    pub(super) code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<Cow<'a, str>>,
    request_id: &'a str,
}

/// Status, code, title, and the detail where the title isn't enough. Codes are for programs and stay as they are.
type Shown = (StatusCode, &'static str, &'static str, String);

impl Refusal {
    fn shown(&self) -> Shown {
        use StatusCode as S;
        match self {
            Self::NotFound { served } => (
                S::NOT_FOUND,
                "not_found",
                "There is nothing at this path",
                format!("A token is had by {served}. Which routes are served is `dialects` in roompass.toml."),
            ),
            Self::MethodNotAllowed => (
                S::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This path is for another method",
                "The Allow header lists the methods that this path answers.".into(),
            ),
            Self::UnsupportedMediaType => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The body must be JSON",
                "Send the header Content-Type: application/json.".into(),
            ),
            Self::UnsupportedContentEncoding => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_content_encoding",
                "The body must not be compressed",
                "Send the body without a Content-Encoding.".into(),
            ),
            Self::TooLarge => (
                S::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "The body is too large",
                format!("A body has at most {MAX_BODY} bytes."),
            ),
            Self::BrokenBody => (
                S::BAD_REQUEST,
                "broken_body",
                "The body broke off",
                "The connection ended before the whole body had arrived.".into(),
            ),
            Self::BadRequest(error) => bad_request(error),
            Self::Auth(AuthError::NoCallers) => (
                S::FORBIDDEN,
                "no_callers_configured",
                "Nobody is let in yet",
                "No caller is configured, so every request is refused. To let callers in, add a [[caller]] and a \
                 [[rule]] to roompass.toml and deploy again."
                    .into(),
            ),
            Self::Auth(AuthError::NoCredential) => (
                S::UNAUTHORIZED,
                "no_credential",
                "Say who you are",
                "Send Authorization: Bearer and your token, or X-API-Key and your key.".into(),
            ),
            Self::Auth(AuthError::Refused(_)) | Self::Denied(Denial::CredentialEnded { .. }) => (
                S::UNAUTHORIZED,
                "invalid_credential",
                "The credential is not accepted",
                "The token or key isn't accepted here, or no longer. The log says why, under this request id.".into(),
            ),
            Self::Auth(AuthError::SeveralCredentials) => (
                S::BAD_REQUEST,
                "several_credentials",
                "There is more than one credential",
                "Send one Authorization header, or one X-API-Key header.".into(),
            ),
            Self::Auth(AuthError::Unavailable(_)) => (
                S::SERVICE_UNAVAILABLE,
                "verification_unavailable",
                "Nobody can be recognised right now",
                "What credentials are verified with is not at hand. Try again shortly; the log says why.".into(),
            ),
            Self::Denied(denial) => denied(denial),
            Self::Keys(_) => (
                S::SERVICE_UNAVAILABLE,
                "keys_unavailable",
                "No pass can be signed right now",
                "The signing keys are not at hand. Try again shortly; the log says why.".into(),
            ),
            Self::NotConfigured(provider) => not_configured(*provider),
            Self::Mint(error) => not_minted(error),
            Self::Panicked => internal_error(),
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.shown().0
    }

    /// The stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.shown().1
    }

    pub(super) fn problem<'a>(&'a self, RequestId(request_id): &'a RequestId) -> Problem<'a> {
        let (status, code, title, detail) = self.shown();
        let kind = format!("urn:roompass:problem:{code}");
        Problem { kind, title, status: status.as_u16(), detail, code, field: self.field(), request_id }
    }

    /// The field that is to blame, if one is.
    fn field(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::BadRequest(BadRequest::Field(invalid))
            | Self::Denied(Denial::Invalid(invalid))
            | Self::Mint(MintError::NotForAgora(invalid)) => Some(invalid.field.as_str().into()),
            Self::Denied(Denial::FieldNotAllowed { field, .. } | Denial::EgressNotAllowed { field, .. }) => {
                Some((*field).into())
            }
            Self::Denied(Denial::MemberNotAllowed { field, .. }) => Some(field.as_str().into()),
            Self::Denied(Denial::RoomNotAllowed) => Some("room_name".into()),
            Self::Denied(Denial::AgentNotAllowed { problem, .. }) => Some(problem.field().into()),
            Self::Mint(MintError::TooLarge { largest, .. }) => {
                largest.first().map(|(field, _)| (*field).into())
            }
            _ => None,
        }
    }

    /// How many seconds until it makes sense to try again, where trying again can help.
    pub(super) fn retry_after(&self) -> Option<u16> {
        matches!(self, Self::Keys(_) | Self::Auth(AuthError::Unavailable(_))).then_some(5)
    }

    /// What a client that isn't recognised is asked for (RFC 6750, section 3).
    pub(super) fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::Auth(AuthError::NoCredential) => Some("Bearer"),
            Self::Auth(AuthError::Refused(_)) | Self::Denied(Denial::CredentialEnded { .. }) => {
                Some("Bearer error=\"invalid_token\"")
            }
            _ => None,
        }
    }
}

fn bad_request(error: &BadRequest) -> Shown {
    let (status, code, title) = match error {
        BadRequest::Body(_) => (StatusCode::BAD_REQUEST, "invalid_body", "The body can't be read"),
        BadRequest::Field(_) => (StatusCode::BAD_REQUEST, INVALID_FIELD, UNUSABLE_FIELD),
        BadRequest::Missing(_) => (StatusCode::BAD_REQUEST, "missing_field", "A field is missing"),
        BadRequest::Event => (StatusCode::BAD_REQUEST, "invalid_event", "The event can't be read"),
        BadRequest::Path => (StatusCode::BAD_REQUEST, "invalid_path", "The path can't be read"),
        BadRequest::UnknownSandbox => {
            (StatusCode::FORBIDDEN, "unknown_sandbox", "This sandbox is not known here")
        }
    };
    (status, code, title, error.to_string())
}

fn denied(denial: &Denial) -> Shown {
    let (code, title) = match denial {
        Denial::NoRule => ("no_rule", "No rule allows this"),
        Denial::NoRoom { .. } => ("room_not_allowed", "No room is open to you"),
        Denial::RoomNotAllowed => ("room_not_allowed", "This room is not open to you"),
        Denial::FieldNotAllowed { .. } | Denial::MemberNotAllowed { .. } => {
            ("field_not_allowed", "A field may not be set")
        }
        Denial::AgentNotAllowed { .. } => ("agent_not_allowed", "An agent may not be dispatched"),
        Denial::EgressNotAllowed { .. } => ("egress_not_allowed", "Egress may not be set up"),
        Denial::TtlTooLong { .. } => ("ttl_too_long", "The token may not last that long"),
        Denial::PublishingNotAllowed { .. } => ("publishing_not_allowed", "You may not publish here"),
        Denial::LoginNotAllowed(_) => ("login_not_allowed", "This service is not open to you"),
        Denial::CredentialEnded { .. } => ("invalid_credential", "The credential is not accepted"),
        Denial::Invalid(_) => {
            return (StatusCode::BAD_REQUEST, INVALID_FIELD, UNUSABLE_FIELD, denial.to_string());
        }
    };
    (StatusCode::FORBIDDEN, code, title, denial.to_string())
}

fn not_minted(error: &MintError) -> Shown {
    let (status, code, title) = match error {
        MintError::TooLarge { .. } => {
            (StatusCode::BAD_REQUEST, "token_too_large", "The token would be too large")
        }
        MintError::NotForAgora(_) => (StatusCode::BAD_REQUEST, INVALID_FIELD, UNUSABLE_FIELD),
        MintError::Unenforceable(_) => {
            (StatusCode::FORBIDDEN, "grants_not_enforceable", "Agora can't keep to this rule")
        }
        MintError::Signing(_) => return internal_error(),
    };
    (status, code, title, error.to_string())
}

fn internal_error() -> Shown {
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal_error",
        "Something is wrong on our side",
        "The log says what, under this request id.".into(),
    )
}

fn not_configured(provider: NotConfigured) -> Shown {
    let (code, title, members) = match provider {
        NotConfigured::LiveKit => (
            "livekit_not_configured",
            "LiveKit is not set up here",
            "LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
        ),
        NotConfigured::Agora => {
            ("agora_not_configured", "Agora is not set up here", "AGORA_APP_ID and AGORA_APP_CERTIFICATE")
        }
    };
    let detail =
        format!("To have its tokens signed, add {members} to the secret, or to the environment on a laptop.");
    (StatusCode::SERVICE_UNAVAILABLE, code, title, detail)
}

/// The response is told by `super::outcome`, which knows the request's id.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status(), axum::Extension(Arc::new(self))).into_response()
    }
}

const INVALID_FIELD: &str = "invalid_field";
const UNUSABLE_FIELD: &str = "A field can't be used";
#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::InvalidField;

    #[test]
    fn what_agora_has_no_name_for_is_a_field_that_the_client_can_mend() {
        let refusal =
            Refusal::from(MintError::NotForAgora(InvalidField::new("channel", "must not be blank")));
        let id = RequestId("7".into());
        assert_eq!(
            serde_json::to_value(refusal.problem(&id)).unwrap(),
            serde_json::json!({
                "type": "urn:roompass:problem:invalid_field",
                "title": "A field can't be used",
                "status": 400,
                "detail": "channel must not be blank",
                "code": "invalid_field",
                "field": "channel",
                "request_id": "7",
            })
        );
    }
}
