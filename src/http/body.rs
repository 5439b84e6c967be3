//! The HTTP side of a request's body: media type, encoding and size. Dialects parse the content.

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::{Instant, timeout_at};

use super::Refusal;

/// A request extension: when the body must be complete.
#[derive(Debug, Clone, Copy)]
pub struct ReadBodyBy(pub Instant);

/// The maximum size of a body, in bytes. LiveKit allows 512 KiB of metadata and 64 KiB of attributes; the rest is for
/// their JSON escapes.
pub(super) const MAX_BODY: usize = 1024 * 1024;

/// Checks that the body is declared as JSON and not compressed. A missing `Content-Type` counts as JSON. If the header
/// lists several media types, as Swift's client may send them, each must be `application/json`, with any parameters.
pub(super) fn must_be_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let is_json = |media_type: &str| {
        let essence = media_type.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("application/json")
    };
    if !values(headers, &CONTENT_TYPE).all(is_json) {
        return Err(Refusal::UnsupportedMediaType);
    }
    if !values(headers, &CONTENT_ENCODING).all(|coding| coding.trim().eq_ignore_ascii_case("identity")) {
        return Err(Refusal::UnsupportedContentEncoding);
    }
    Ok(())
}

/// Reads the whole body, up to [`MAX_BODY`]. Without a time limit, the body is complete, as in Lambda.
pub(super) async fn read(body: Body, limit: Option<ReadBodyBy>) -> Result<Bytes, Refusal> {
    let reading = Limited::new(body, MAX_BODY).collect();
    let read = match limit {
        None => reading.await,
        Some(ReadBodyBy(limit)) => timeout_at(limit, reading).await.map_err(|_| Refusal::BodyTimeout)?,
    };
    match read {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Err(_) => Err(Refusal::BrokenBody),
    }
}

/// The values of a header, which may be a list. A value that isn't ASCII becomes `?`, which no check accepts.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().flat_map(|value| value.to_str().unwrap_or("?").split(','))
}
