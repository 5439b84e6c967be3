//! Every refusal and failure, as the client sees it. The only place that knows a status code.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::RequestId;
use super::body::MAX_BODY;
use crate::auth::AuthError;
use crate::dialect::BadRequest;
use crate::keys::KeysError;
use crate::mint::MintError;
use crate::policy::Denial;

/// Why a request isn't answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is nothing at that path.
    #[error("no such path")]
    NotFound,
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
    detail: String,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    request_id: &'a str,
}

impl Refusal {
    /// Status, code, title, and the detail where the title isn't enough. Codes are for programs and stay as they are.
    fn shown(&self) -> (StatusCode, &'static str, &'static str, String) {
        use StatusCode as S;
        match self {
            Self::NotFound => (S::NOT_FOUND, "not_found", "There is nothing at this path", NOT_FOUND.into()),
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
            Self::BadRequest(error @ BadRequest::Body(_)) => {
                (S::BAD_REQUEST, "invalid_body", "The body can't be read", error.to_string())
            }
            Self::BadRequest(error @ BadRequest::Field(_)) => {
                (S::BAD_REQUEST, "invalid_field", "A field can't be used", error.to_string())
            }
            Self::Auth(AuthError::NoCallers) => (
                S::FORBIDDEN,
                "no_callers_configured",
                "Nobody is let in yet",
                "No caller is configured, so every request is refused. To let callers in, add a [[caller]] and a \
                 [[rule]] to roompass.toml and deploy again."
                    .into(),
            ),
            Self::Denied(denial @ Denial::NoRule) => {
                (S::FORBIDDEN, "no_rule", "No rule allows this", denial.to_string())
            }
            Self::Denied(denial) => {
                (S::FORBIDDEN, "field_not_allowed", "A field may not be set", denial.to_string())
            }
            Self::Keys(_) => (
                S::SERVICE_UNAVAILABLE,
                "keys_unavailable",
                "No pass can be signed right now",
                "The signing keys are not at hand. Try again shortly; the log says why.".into(),
            ),
            Self::Mint(error @ MintError::TooLarge { .. }) => {
                (S::BAD_REQUEST, "token_too_large", "The token would be too large", error.to_string())
            }
            Self::Mint(MintError::Signing(_)) | Self::Panicked => (
                S::INTERNAL_SERVER_ERROR,
                "internal_error",
                "Something is wrong on our side",
                "The log says what, under this request id.".into(),
            ),
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.shown().0
    }

    pub(super) fn code(&self) -> &'static str {
        self.shown().1
    }

    pub(super) fn problem<'a>(&'a self, RequestId(request_id): &'a RequestId) -> Problem<'a> {
        let (status, code, title, detail) = self.shown();
        let kind = format!("urn:roompass:problem:{code}");
        Problem { kind, title, status: status.as_u16(), detail, code, field: self.field(), request_id }
    }

    /// The field that is to blame, if one is.
    fn field(&self) -> Option<&str> {
        match self {
            Self::BadRequest(BadRequest::Field(invalid)) => Some(&invalid.field),
            Self::Denied(Denial::FieldNotAllowed { field, .. } | Denial::EgressNotAllowed { field }) => {
                Some(field)
            }
            Self::Mint(MintError::TooLarge { largest, .. }) => largest.first().map(|(field, _)| *field),
            _ => None,
        }
    }

    /// How many seconds until it makes sense to try again, where trying again can help.
    pub(super) fn retry_after(&self) -> Option<u16> {
        matches!(self, Self::Keys(_)).then_some(5)
    }
}

/// The response is told by `super::outcome`, which knows the request's id.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status(), axum::Extension(Arc::new(self))).into_response()
    }
}

const NOT_FOUND: &str =
    "A token is had by POST /getToken or POST /api/token, below the base path if one is configured.";
