//! The name of a request, in its answer and in the log.

use axum::http::HeaderName;

/// Given by Lambda, or made here. Never taken from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

/// The response header that carries it.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
