//! A request's body, as far as HTTP goes: its media type, its encoding, its size.

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::Refusal;

/// The header of a JSON answer. Older Dart reads JSON as Latin-1 unless the character set is named.
pub(super) const JSON: [(HeaderName, HeaderValue); 1] =
    [(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"))];

/// The largest body that is read, in bytes: LiveKit's 512 KiB of metadata and 64 KiB of attributes fit, with room for
/// their JSON escapes.
pub(super) const MAX_BODY: usize = 1024 * 1024;

/// A body is JSON and not compressed. Without a `Content-Type` it's taken as JSON; with one, each of the media types
/// it lists (Swift's client may join several) is `application/json`, with any parameters.
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

/// The whole body, if it isn't too large.
pub(super) async fn read(body: Body) -> Result<Bytes, Refusal> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Err(_) => Err(Refusal::BrokenBody),
    }
}

/// Each value of a header that may be a list; one that isn't text is like no other.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().flat_map(|value| value.to_str().unwrap_or("?").split(','))
}
