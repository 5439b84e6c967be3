//! Every refusal and failure, as the client sees it. The only place that makes a problem response. What the log says is
//! the error's own text; what the client sees is the detail here.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::RequestId;
use super::body::MAX_BODY;
use crate::auth::AuthError;
use crate::dialect::BadRequest;
use crate::domain::Provider;
use crate::keys::{KeysError, NotConfigured};
use crate::mint::MintError;
use crate::policy::Denial;

/// Why a request isn't given what it asks for.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Nothing is served at that path.
    #[error("no such path")]
    NotFound {
        /// The routes to tokens, in words.
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
    /// The caller isn't accepted.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The policy refuses it.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// There are no keys to sign with.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// This provider has no keys.
    #[error(transparent)]
    NotConfigured(#[from] NotConfigured),
    /// The passes don't become a token.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// The request is for another host than this machine.
    #[error("host {0:?} is not this machine")]
    WrongHost(String),
    /// A defect of ours.
    #[error("panicked")]
    Panicked,
}

/// A kind of problem. Codes are for programs and stay as they are; titles are for people.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// The status.
    pub status: StatusCode,
    /// The code.
    pub code: &'static str,
    /// The title.
    pub title: &'static str,
}

/// RFC 9457's members, and three more.
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

impl Refusal {
    /// What kind of problem it is.
    #[must_use]
    pub fn kind(&self) -> &'static Kind {
        match self {
            Self::NotFound { .. } => &NOT_FOUND,
            Self::MethodNotAllowed => &METHOD_NOT_ALLOWED,
            Self::UnsupportedMediaType => &UNSUPPORTED_MEDIA_TYPE,
            Self::UnsupportedContentEncoding => &UNSUPPORTED_CONTENT_ENCODING,
            Self::TooLarge => &BODY_TOO_LARGE,
            Self::BrokenBody => &BROKEN_BODY,
            Self::BadRequest(BadRequest::Body(_)) => &INVALID_BODY,
            Self::BadRequest(BadRequest::Field(_))
            | Self::Denied(Denial::Invalid(_))
            | Self::Mint(MintError::NotForAgora(_)) => &INVALID_FIELD,
            Self::BadRequest(BadRequest::Missing(_)) => &MISSING_FIELD,
            Self::BadRequest(BadRequest::Event) => &INVALID_EVENT,
            Self::BadRequest(BadRequest::Path) => &INVALID_PATH,
            Self::BadRequest(BadRequest::UnknownSandbox) => &UNKNOWN_SANDBOX,
            Self::Auth(AuthError::NoCallers) => &NO_CALLERS_CONFIGURED,
            Self::Auth(AuthError::NoCredential) => &NO_CREDENTIAL,
            Self::Auth(AuthError::Refused(_)) | Self::Denied(Denial::CredentialEnded { .. }) => {
                &INVALID_CREDENTIAL
            }
            Self::Auth(AuthError::SeveralCredentials) => &SEVERAL_CREDENTIALS,
            Self::Auth(AuthError::Unavailable(_)) => &VERIFICATION_UNAVAILABLE,
            Self::Denied(Denial::NoRule) => &NO_RULE,
            Self::Denied(Denial::NoRoom { .. } | Denial::RoomNotAllowed) => &ROOM_NOT_ALLOWED,
            Self::Denied(Denial::FieldNotAllowed { .. } | Denial::MemberNotAllowed { .. }) => {
                &FIELD_NOT_ALLOWED
            }
            Self::Denied(Denial::AgentNotAllowed { .. }) => &AGENT_NOT_ALLOWED,
            Self::Denied(Denial::EgressNotAllowed { .. }) => &EGRESS_NOT_ALLOWED,
            Self::Denied(Denial::TtlTooLong { .. }) => &TTL_TOO_LONG,
            Self::Denied(Denial::PublishingNotAllowed { .. }) => &PUBLISHING_NOT_ALLOWED,
            Self::Denied(Denial::LoginNotAllowed(_)) => &LOGIN_NOT_ALLOWED,
            Self::Keys(_) => &KEYS_UNAVAILABLE,
            Self::NotConfigured(NotConfigured(provider))
            | Self::Mint(MintError::NotConfigured(NotConfigured(provider))) => match provider {
                Provider::LiveKit => &LIVEKIT_NOT_CONFIGURED,
                Provider::Agora => &AGORA_NOT_CONFIGURED,
            },
            Self::Mint(MintError::TooLarge { .. }) => &TOKEN_TOO_LARGE,
            Self::Mint(MintError::Unenforceable(_)) => &GRANTS_NOT_ENFORCEABLE,
            Self::WrongHost(_) => &WRONG_HOST,
            Self::Mint(MintError::Signing(_)) | Self::Panicked => &INTERNAL_ERROR,
        }
    }

    /// What is wrong and what to do, for the client. Never a secret, and never why a credential isn't accepted.
    fn detail(&self) -> String {
        let kind = self.kind();
        match self {
            Self::NotFound { served } => {
                format!("Request tokens at {served}. `dialects` in roompass.toml decides which routes are served.")
            }
            Self::MethodNotAllowed => "Use a method that the Allow header lists.".into(),
            Self::UnsupportedMediaType => "Send JSON with the header Content-Type: application/json.".into(),
            Self::UnsupportedContentEncoding => "Send the body without a Content-Encoding.".into(),
            Self::TooLarge => format!("A body is limited to {MAX_BODY} bytes."),
            Self::BrokenBody => "The connection closed before the whole body arrived.".into(),
            Self::BadRequest(error) => error.to_string(),
            Self::Denied(denial) if *kind != INVALID_CREDENTIAL => denial.to_string(),
            Self::Auth(AuthError::NoCallers) => "Every request is refused until a [[caller]] and a [[rule]] are added \
                                                 to roompass.toml and deployed."
                .into(),
            Self::Auth(AuthError::NoCredential) => {
                "Send Authorization: Bearer with a token, or X-API-Key with a key.".into()
            }
            Self::Auth(AuthError::Refused(_)) | Self::Denied(_) => {
                "The token or key is not accepted or has expired. The log has the cause under this request ID.".into()
            }
            Self::Auth(AuthError::SeveralCredentials) => {
                "Send one Authorization header or one X-API-Key header.".into()
            }
            Self::Auth(AuthError::Unavailable(_)) => {
                "The credential can't be verified at the moment. Try again later. The log has the cause.".into()
            }
            Self::Keys(_) => "Tokens can't be signed at the moment. Try again later. The log has the cause.".into(),
            Self::NotConfigured(NotConfigured(provider))
            | Self::Mint(MintError::NotConfigured(NotConfigured(provider))) => {
                let members = match provider {
                    Provider::LiveKit => "LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
                    Provider::Agora => "AGORA_APP_ID and AGORA_APP_CERTIFICATE",
                };
                format!("Add {members} to the secret, or to the environment on a laptop.")
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

    /// The stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind().code
    }

    pub(super) fn problem<'a>(&'a self, RequestId(request_id): &'a RequestId) -> Problem<'a> {
        let Kind { status, code, title } = self.kind();
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

    /// The field that is wrong, if one is.
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

    /// What an unauthenticated client is asked for (RFC 6750, section 3).
    pub(super) fn challenge(&self) -> Option<&'static str> {
        match self.kind() {
            kind if *kind == NO_CREDENTIAL => Some("Bearer"),
            kind if *kind == INVALID_CREDENTIAL => Some("Bearer error=\"invalid_token\""),
            _ => None,
        }
    }
}

/// The response's body is written by `super::outcome`, which knows the request's ID.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.kind().status, axum::Extension(Arc::new(self))).into_response()
    }
}

const fn kind(status: StatusCode, code: &'static str, title: &'static str) -> Kind {
    Kind { status, code, title }
}

macro_rules! kinds {
    ($($name:ident = $status:ident, $code:literal, $title:literal;)*) => {
        $(const $name: Kind = kind(StatusCode::$status, $code, $title);)*

        /// Every kind of problem.
        pub const KINDS: &[Kind] = &[$($name),*];
    };
}

kinds! {
    INVALID_BODY = BAD_REQUEST, "invalid_body", "Invalid body";
    INVALID_FIELD = BAD_REQUEST, "invalid_field", "Invalid field";
    MISSING_FIELD = BAD_REQUEST, "missing_field", "Missing field";
    TOKEN_TOO_LARGE = BAD_REQUEST, "token_too_large", "Token too large";
    BROKEN_BODY = BAD_REQUEST, "broken_body", "Incomplete body";
    SEVERAL_CREDENTIALS = BAD_REQUEST, "several_credentials", "Multiple credentials";
    INVALID_EVENT = BAD_REQUEST, "invalid_event", "Invalid event";
    INVALID_PATH = BAD_REQUEST, "invalid_path", "Invalid path";
    NO_CREDENTIAL = UNAUTHORIZED, "no_credential", "Authentication required";
    INVALID_CREDENTIAL = UNAUTHORIZED, "invalid_credential", "Invalid credential";
    NO_CALLERS_CONFIGURED = FORBIDDEN, "no_callers_configured", "No callers configured";
    NO_RULE = FORBIDDEN, "no_rule", "No matching rule";
    ROOM_NOT_ALLOWED = FORBIDDEN, "room_not_allowed", "Room not allowed";
    FIELD_NOT_ALLOWED = FORBIDDEN, "field_not_allowed", "Field not allowed";
    AGENT_NOT_ALLOWED = FORBIDDEN, "agent_not_allowed", "Agent not allowed";
    EGRESS_NOT_ALLOWED = FORBIDDEN, "egress_not_allowed", "Egress not allowed";
    TTL_TOO_LONG = FORBIDDEN, "ttl_too_long", "Lifetime too long";
    PUBLISHING_NOT_ALLOWED = FORBIDDEN, "publishing_not_allowed", "Publishing not allowed";
    LOGIN_NOT_ALLOWED = FORBIDDEN, "login_not_allowed", "Login not allowed";
    UNKNOWN_SANDBOX = FORBIDDEN, "unknown_sandbox", "Unknown sandbox";
    GRANTS_NOT_ENFORCEABLE = FORBIDDEN, "grants_not_enforceable", "Grants not enforceable";
    NOT_FOUND = NOT_FOUND, "not_found", "Not found";
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed";
    BODY_TOO_LARGE = PAYLOAD_TOO_LARGE, "body_too_large", "Body too large";
    UNSUPPORTED_MEDIA_TYPE = UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Unsupported media type";
    UNSUPPORTED_CONTENT_ENCODING =
        UNSUPPORTED_MEDIA_TYPE, "unsupported_content_encoding", "Unsupported content encoding";
    WRONG_HOST = MISDIRECTED_REQUEST, "wrong_host", "Misdirected request";
    INTERNAL_ERROR = INTERNAL_SERVER_ERROR, "internal_error", "Internal error";
    VERIFICATION_UNAVAILABLE =
        SERVICE_UNAVAILABLE, "verification_unavailable", "Identity provider unavailable";
    KEYS_UNAVAILABLE = SERVICE_UNAVAILABLE, "keys_unavailable", "Signing keys unavailable";
    LIVEKIT_NOT_CONFIGURED = SERVICE_UNAVAILABLE, "livekit_not_configured", "LiveKit not configured";
    AGORA_NOT_CONFIGURED = SERVICE_UNAVAILABLE, "agora_not_configured", "Agora not configured";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::InvalidField;

    #[test]
    fn an_invalid_name_for_agora_is_a_field_that_the_client_can_fix() {
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

    #[test]
    fn each_code_stands_for_one_kind() {
        for one in KINDS {
            assert_eq!(KINDS.iter().filter(|other| other.code == one.code).count(), 1, "{}", one.code);
        }
    }
}
