//! The ID of a request, in its response and in the log.

use axum::http::HeaderName;

/// Lambda's own request ID, a trusted proxy's, or a random one. Never taken from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

/// The response header for the ID.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
