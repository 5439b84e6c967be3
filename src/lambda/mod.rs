//! What AWS puts around a request, taken off: the event, the stage in front of its path, the id that Lambda gave it.
//!
//! An event holds what a client sent, so parts of it may be what the library that reads events takes for impossible:
//! those are repaired first, and an event that's none of an HTTP request's is refused as a request would be.

mod authorizer;

use std::convert::Infallible;
use std::fmt::Write;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue, Uri};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use lambda_http::request::{LambdaRequest, RequestContext};
use lambda_http::tower::{Service, ServiceExt};
use lambda_http::{Adapter, LambdaEvent, RequestExt};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use authorizer::authorizer;

use crate::http::{RequestId, UnreadableEvent};
use crate::json;

/// The answer to an event of API Gateway's (HTTP and REST APIs), a Function URL's or a load balancer's, in that event's own
/// shape. There always is one: the event is taken as text, since the runtime would fail the invocation for JSON that
/// can't be held as a value, such as `"\ud800"`, `1e999` or 200 levels of nesting.
///
/// # Errors
/// Never.
pub async fn answer(
    router: Router,
    LambdaEvent { payload, context }: LambdaEvent<Box<RawValue>>,
) -> Result<impl Serialize + use<>, Infallible> {
    let (payload, unreadable) = match readable(&payload) {
        Some(event) => (event, None),
        None => (nothing(), Some(UnreadableEvent)),
    };
    let into_http = move |event| {
        let mut request = into_http(event);
        if let Some(unreadable) = unreadable {
            request.extensions_mut().insert(unreadable);
        }
        request
    };
    Adapter::from(router.map_request(into_http)).call(LambdaEvent { payload, context }).await
}

/// A request as it comes from AWS, to one as it comes from anywhere. The rest of the event stays in its extensions.
fn into_http(event: lambda_http::Request) -> Request {
    let path = event.raw_http_path().to_owned();
    let id = event.lambda_context_ref().map(|context| RequestId(context.request_id.clone()));
    let (mut head, body) = event.into_parts();
    let path_and_query = match head.uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    if let Ok(path_and_query) = path_and_query.parse::<PathAndQuery>() {
        head.uri = Uri::from(path_and_query);
    }
    if let Some(id) = id {
        head.extensions.insert(id);
    }
    if let Some(verified) = head.extensions.remove::<RequestContext>().and_then(authorizer) {
        head.extensions.insert(verified);
    }
    Request::from_parts(head, Body::from(body.to_vec()))
}

/// The event as the library can read it, if it's an HTTP request's.
fn readable(event: &RawValue) -> Option<LambdaRequest> {
    let mut event = json::object(event.get().as_bytes()).ok()?;
    let percent = if path_is_decoded(&event) { Percent::Itself } else { Percent::Encodes };
    remove_stage(&mut event);
    // Apart from the stage, no part of an answer depends on the host, and a URL is made of it.
    if let Some(Value::Object(context)) = event.get_mut("requestContext") {
        context.remove("domainName");
    }
    repair_headers(&mut event)?;
    for path in ["rawPath", "path"] {
        if let Some(Value::String(text)) = event.get_mut(path) {
            let from_root = if text.starts_with('/') { "" } else { "/" };
            *text = format!("{from_root}{}", escaped(text, PATH, percent));
        }
    }
    for parameters in ["queryStringParameters", "multiValueQueryStringParameters"] {
        if let Some(Value::Object(parameters)) = event.get_mut(parameters) {
            parameters.retain(|_, values| *values != json!([]));
        }
    }
    if let Some(Value::String(query)) = event.get_mut("rawQueryString") {
        *query = escaped(query, QUERY, Percent::Encodes);
    }
    let body = event.get("body").and_then(Value::as_str).unwrap_or_default();
    let is_encoded = event.get("isBase64Encoded").and_then(Value::as_bool).unwrap_or_default();
    if (is_encoded && BASE64_STANDARD.decode(body).is_err()) || address_size(&event) > MAX_ADDRESS {
        return None;
    }
    serde_json::from_value(Value::Object(event)).ok()
}

/// An HTTP API puts a named stage in front of the path, on its own domain alone. There the path is what follows it.
/// Everywhere else the path stays as it is: with anything removed, two paths would be one route here, and an authorizer
/// in front may guard only one of them.
fn remove_stage(event: &mut Map<String, Value>) {
    let context =
        |member: &str| event.get("requestContext").and_then(|context| context.get(member)?.as_str());
    let is_own_domain = context("domainName").is_some_and(is_api_gateways);
    let stage = context("stage").filter(|stage| is_own_domain && !stage.is_empty() && *stage != "$default");
    let Some(prefix) = stage.map(|stage| format!("/{stage}")) else { return };
    let Some(Value::String(path)) = event.get_mut("rawPath") else { return };
    match path.strip_prefix(&prefix) {
        Some("") => "/".clone_into(path),
        Some(below) if below.starts_with('/') => *path = below.to_owned(),
        _ => {}
    }
}

/// Whether it's a domain that API Gateway gives an API, as `abcdef1234.execute-api.eu-central-1.amazonaws.com`.
fn is_api_gateways(domain: &str) -> bool {
    let domain = domain.to_ascii_lowercase();
    let own = domain.strip_suffix(".cn").unwrap_or(&domain).strip_suffix(".amazonaws.com");
    own.is_some_and(|own| matches!(own.split('.').collect::<Vec<_>>()[..], [_, "execute-api", _]))
}

/// Headers as HTTP has them: what can't stand in a value becomes a question mark, so that nothing is read into it, and
/// what can't be a name is left out. None where a name stands twice, in two casings, or with two values.
fn repair_headers(event: &mut Map<String, Value>) -> Option<()> {
    for key in ["headers", "multiValueHeaders"] {
        let Some(Value::Object(headers)) = event.get_mut(key) else { continue };
        headers.retain(|name, _| !name.eq_ignore_ascii_case("host") && HeaderName::try_from(name).is_ok());
        let mut names: Vec<_> = headers.keys().map(|name| name.to_ascii_lowercase()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return None;
        }
        headers.values_mut().for_each(repair_values);
    }
    // The library would let a single value take the place of several. REST APIs send each header in both.
    let several = event.get("multiValueHeaders").and_then(Value::as_object);
    let Some(several) = several.filter(|headers| !headers.is_empty()) else { return Some(()) };
    let one = event.get("headers").and_then(Value::as_object);
    let missing = one.into_iter().flatten().any(|(name, value)| {
        let values = several.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        !values.and_then(|(_, values)| values.as_array()).is_some_and(|values| values.contains(value))
    });
    if missing {
        return None;
    }
    event.remove("headers");
    Some(())
}

fn repair_values(value: &mut Value) {
    match value {
        Value::String(text) if HeaderValue::from_str(text).is_err() => {
            *text =
                text.chars().map(|char| if matches!(char, ' '..='~' | '\t') { char } else { '?' }).collect();
        }
        Value::Array(values) => values.iter_mut().for_each(repair_values),
        _ => {}
    }
}

/// How long the path and the query are at most, in bytes, once everything in them is encoded.
fn address_size(event: &Map<String, Value>) -> usize {
    let keys =
        ["rawPath", "path", "rawQueryString", "queryStringParameters", "multiValueQueryStringParameters"];
    let stage = event.get("requestContext").and_then(|context| context.get("stage"));
    let parts = keys.iter().filter_map(|key| event.get(*key)).chain(stage);
    parts.map(|part| part.to_string().len() * 3).sum()
}

/// HTTP APIs decode the path. Function URLs, whose events are of the same form, and all others leave it as it is.
fn path_is_decoded(event: &Map<String, Value>) -> bool {
    let host = event.get("requestContext").and_then(|context| context.get("domainName"));
    event.get("version").and_then(Value::as_str) == Some("2.0")
        && host.and_then(Value::as_str).is_some_and(|host| !host.contains(".lambda-url."))
}

/// What a percent sign before two digits says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Percent {
    /// A byte that is encoded.
    Encodes,
    /// A percent sign.
    Itself,
}

/// What can't stand in a path or a query is encoded, and what can is left alone.
fn escaped(text: &str, literal: &[u8], percent: Percent) -> String {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().fold(String::with_capacity(bytes.len()), |mut text, (at, byte)| {
        let encodes = |digits: &[u8]| digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit);
        let is_literal = byte.is_ascii_alphanumeric()
            || literal.contains(byte)
            || (*byte == b'%'
                && percent == Percent::Encodes
                && bytes.get(at + 1..at + 3).is_some_and(encodes));
        if is_literal {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// Stands for an event that can't be read. Its answer has the shape that API Gateway takes from any function.
fn nothing() -> LambdaRequest {
    let event = json!({ "version": "2.0", "rawPath": "/", "headers": {}, "isBase64Encoded": false,
        "requestContext": { "http": { "method": "GET", "path": "/" } } });
    serde_json::from_value(event).expect("it's an event of an HTTP API")
}

/// What may stand in a path, and in a query, in addition to letters and digits (RFC 3986, sections 3.3 and 3.4).
const PATH: &[u8] = b"/-._~!$&'()*+,;=:@";
const QUERY: &[u8] = b"/-._~!$&'()*+,;=:@?";
/// The library that keeps URLs takes 65,534 bytes; gateways and balancers send much less.
const MAX_ADDRESS: usize = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_was_decoded_is_encoded_again_and_any_other_is_left_alone() {
        for (given, served) in [
            ("/getToken", "/getToken"),
            ("/agora/rtm/a%20b%2Fc/", "/agora/rtm/a%20b%2Fc/"),
            ("/agora/rtm/a b?c#d/", "/agora/rtm/a%20b%3Fc%23d/"),
            ("/100%/50%2", "/100%25/50%252"),
            ("/é\n", "/%C3%A9%0A"),
            ("", ""),
        ] {
            assert_eq!(escaped(given, PATH, Percent::Encodes), served);
            assert_eq!(escaped(served, PATH, Percent::Encodes), served, "encoded once is enough");
        }
        assert_eq!(escaped("/50%20off/é", PATH, Percent::Itself), "/50%2520off/%C3%A9");
    }
}
