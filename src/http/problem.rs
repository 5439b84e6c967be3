//! The body of an error (RFC 9457), and the table of every error's status, code and title.

use std::borrow::Cow;

use axum::http::StatusCode;
use serde::Serialize;

/// A kind of error. The code is stable and for programs; the title is for people.
#[derive(Debug, PartialEq, Eq)]
pub struct ProblemKind {
    /// The HTTP status.
    pub status: StatusCode,
    /// The code.
    pub code: &'static str,
    /// The title.
    pub title: &'static str,
}

/// The members of RFC 9457, and three more: `code`, `field` and `request_id`.
#[derive(Debug, Serialize)]
pub(super) struct Problem<'a> {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) title: &'static str,
    pub(super) status: u16,
    pub(super) detail: String,
    pub(super) code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) field: Option<Cow<'a, str>>,
    pub(super) request_id: &'a str,
}

macro_rules! kinds {
    ($($name:ident = $status:ident, $code:literal, $title:literal;)*) => {
        $(pub(super) const $name: ProblemKind =
            ProblemKind { status: StatusCode::$status, code: $code, title: $title };)*

        /// Every kind of error.
        pub const PROBLEM_KINDS: &[ProblemKind] = &[$($name),*];
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
    DENIED = FORBIDDEN, "denied", "Denied";
    NO_RULE = FORBIDDEN, "no_rule", "No matching rule";
    ROOM_NOT_ALLOWED = FORBIDDEN, "room_not_allowed", "Room not allowed";
    FIELD_NOT_ALLOWED = FORBIDDEN, "field_not_allowed", "Field not allowed";
    AGENT_NOT_ALLOWED = FORBIDDEN, "agent_not_allowed", "Agent not allowed";
    EGRESS_NOT_ALLOWED = FORBIDDEN, "egress_not_allowed", "Egress not allowed";
    TTL_TOO_LONG = FORBIDDEN, "ttl_too_long", "Lifetime too long";
    PUBLISHING_NOT_ALLOWED = FORBIDDEN, "publishing_not_allowed", "Publishing not allowed";
    LOGIN_NOT_ALLOWED = FORBIDDEN, "login_not_allowed", "Login not allowed";
    SEVERAL_PROJECTS = FORBIDDEN, "several_projects", "Several projects";
    UNKNOWN_SANDBOX = FORBIDDEN, "unknown_sandbox", "Unknown sandbox";
    GRANTS_NOT_ENFORCEABLE = FORBIDDEN, "grants_not_enforceable", "Grants not enforceable";
    NOT_FOUND = NOT_FOUND, "not_found", "Not found";
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed";
    BODY_TIMEOUT = REQUEST_TIMEOUT, "body_timeout", "Body timeout";
    BODY_TOO_LARGE = PAYLOAD_TOO_LARGE, "body_too_large", "Body too large";
    UNSUPPORTED_MEDIA_TYPE = UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Unsupported media type";
    UNSUPPORTED_CONTENT_ENCODING =
        UNSUPPORTED_MEDIA_TYPE, "unsupported_content_encoding", "Unsupported content encoding";
    WRONG_HOST = MISDIRECTED_REQUEST, "wrong_host", "Misdirected request";
    INTERNAL_ERROR = INTERNAL_SERVER_ERROR, "internal_error", "Internal error";
    VERIFICATION_UNAVAILABLE =
        SERVICE_UNAVAILABLE, "verification_unavailable", "Identity provider unavailable";
    KEYS_UNAVAILABLE = SERVICE_UNAVAILABLE, "keys_unavailable", "Signing keys unavailable";
    POLICY_UNAVAILABLE = SERVICE_UNAVAILABLE, "policy_unavailable", "Policy unavailable";
    LIVEKIT_NOT_CONFIGURED = SERVICE_UNAVAILABLE, "livekit_not_configured", "LiveKit not configured";
    AGORA_NOT_CONFIGURED = SERVICE_UNAVAILABLE, "agora_not_configured", "Agora not configured";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_belongs_to_one_kind() {
        for kind in PROBLEM_KINDS {
            assert_eq!(
                PROBLEM_KINDS.iter().filter(|other| other.code == kind.code).count(),
                1,
                "{}",
                kind.code
            );
        }
    }
}
