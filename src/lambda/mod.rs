//! Lambda events to HTTP requests: reads the event, the stage in its path, Lambda's request ID and the authorizer.
//!
//! An event contains what a client sent, and the library fails for some of it. Such parts are repaired first. An event that
//! still can't be read gets a response like an invalid request.

mod authorizer;

use std::convert::Infallible;
use std::fmt::Write;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, Uri};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use lambda_http::aws_lambda_events::alb::AlbTargetGroupRequest;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayV2httpRequest};
use lambda_http::request::{LambdaRequest, RequestContext};
use lambda_http::tower::{Service, ServiceExt};
use lambda_http::{Adapter, LambdaEvent, RequestExt};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use authorizer::authorizer;

use crate::http::{RequestId, UnreadableEvent};
use crate::json;

/// Responds to an event of API Gateway (HTTP and REST APIs), a Function URL or a load balancer, in the format of that event.
/// The event is raw JSON, because the runtime would fail the invocation if it can't be parsed: `"\ud800"`, `1e999` or 200
/// levels of nesting.
///
/// # Errors
/// Never.
pub async fn answer(
    router: Router,
    LambdaEvent { payload, context }: LambdaEvent<Box<RawValue>>,
) -> Result<impl Serialize + use<>, Infallible> {
    let (payload, unreadable) = match readable(&payload) {
        Some(event) => (event, None),
        None => (placeholder(), Some(UnreadableEvent)),
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

/// The HTTP request in an event. The rest of the event stays in the request's extensions.
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

/// The repaired event, if it is an HTTP request.
fn readable(event: &RawValue) -> Option<LambdaRequest> {
    let mut event = json::object(event.get().as_bytes()).ok()?;
    let percent = if path_is_decoded(&event) { Percent::Literal } else { Percent::Encoded };
    remove_stage(&mut event);
    // Only the stage depends on the host, and the library would fail for a host that isn't valid in a URL.
    if let Some(Value::Object(context)) = event.get_mut("requestContext") {
        context.remove("domainName");
    }
    repair_headers(&mut event)?;
    for path in ["rawPath", "path"] {
        if let Some(Value::String(text)) = event.get_mut(path) {
            let slash = if text.starts_with('/') { "" } else { "/" };
            *text = format!("{slash}{}", escaped(text, PATH, percent));
        }
    }
    for parameters in ["queryStringParameters", "multiValueQueryStringParameters"] {
        if let Some(Value::Object(parameters)) = event.get_mut(parameters) {
            parameters.retain(|_, values| *values != json!([]));
        }
    }
    if let Some(Value::String(query)) = event.get_mut("rawQueryString") {
        *query = escaped(query, QUERY, Percent::Encoded);
    }
    let body = event.get("body").and_then(Value::as_str).unwrap_or_default();
    let is_encoded = event.get("isBase64Encoded").and_then(Value::as_bool).unwrap_or_default();
    if (is_encoded && BASE64_STANDARD.decode(body).is_err()) || address_size(&event) > MAX_ADDRESS {
        return None;
    }
    in_a_format(&Value::Object(event))
}

/// The event in the first format that has its members, in the library's order. The library itself would write the event as
/// text, and parse this text once for each format.
fn in_a_format(event: &Value) -> Option<LambdaRequest> {
    let rest_api = || ApiGatewayProxyRequest::deserialize(event).map(LambdaRequest::ApiGatewayV1);
    let http_api = || ApiGatewayV2httpRequest::deserialize(event).map(LambdaRequest::ApiGatewayV2);
    let load_balancer = || AlbTargetGroupRequest::deserialize(event).map(LambdaRequest::Alb);
    if event.get("httpMethod").is_none() {
        // The other two formats have this member.
        return http_api().ok();
    }
    rest_api().or_else(|_| http_api()).or_else(|_| load_balancer()).ok()
}

/// Removes the stage that an HTTP API adds to the path on its own domain, in both formats of its events. REST APIs don't
/// add it. On other domains the path stays unchanged: otherwise two paths would be one route here, and an authorizer may
/// guard only one of them.
fn remove_stage(event: &mut Map<String, Value>) {
    let context =
        |member: &str| event.get("requestContext").and_then(|context| context.get(member)?.as_str());
    let is_own_domain = context("domainName").is_some_and(is_of_api_gateway);
    let stage = context("stage").filter(|stage| is_own_domain && !stage.is_empty() && *stage != "$default");
    let Some(prefix) = stage.map(|stage| format!("/{stage}")) else { return };
    // Events of REST APIs have the format 1.0 too, but no member that says so.
    let member = if event.get("version").and_then(Value::as_str) == Some("1.0") { "path" } else { "rawPath" };
    let Some(Value::String(path)) = event.get_mut(member) else { return };
    match path.strip_prefix(&prefix) {
        Some("") => "/".clone_into(path),
        Some(below) if below.starts_with('/') => *path = below.to_owned(),
        _ => {}
    }
}

/// Whether this is an API's default domain, such as `abcdef1234.execute-api.eu-central-1.amazonaws.com`. AWS owns these
/// domains, so no custom domain is like them.
fn is_of_api_gateway(domain: &str) -> bool {
    let domain = domain.to_ascii_lowercase();
    let name = SUFFIXES.iter().find_map(|suffix| domain.strip_suffix(suffix));
    name.is_some_and(|name| matches!(name.split('.').collect::<Vec<_>>()[..], [_, "execute-api", _]))
}

/// Makes headers valid for HTTP. In values, invalid characters become question marks. Invalid names are removed. None if a
/// name occurs twice in different case, or has two different values.
fn repair_headers(event: &mut Map<String, Value>) -> Option<()> {
    for key in ["headers", "multiValueHeaders"] {
        let Some(Value::Object(headers)) = event.get_mut(key) else { continue };
        headers.retain(|name, _| !name.eq_ignore_ascii_case("host") && HeaderName::try_from(name).is_ok());
        if occurs_twice(headers) {
            return None;
        }
        headers.values_mut().for_each(repair_values);
    }
    // REST APIs send each header in both members, and the library would use a single value in place of several.
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

/// Whether a name occurs twice in different case. The gateways write most names in lower case.
fn occurs_twice(headers: &Map<String, Value>) -> bool {
    if !headers.keys().any(|name| name.contains(|char: char| char.is_ascii_uppercase())) {
        return false;
    }
    let mut names: Vec<_> = headers.keys().map(|name| name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

fn repair_values(value: &mut Value) {
    let is_valid = |char| matches!(char, ' '..='~' | '\t');
    match value {
        Value::String(text) if !text.chars().all(is_valid) => {
            *text = text.chars().map(|char| if is_valid(char) { char } else { '?' }).collect();
        }
        Value::Array(values) => values.iter_mut().for_each(repair_values),
        _ => {}
    }
}

/// The maximum size of the path and the query in bytes, after percent-encoding.
fn address_size(event: &Map<String, Value>) -> usize {
    let keys =
        ["rawPath", "path", "rawQueryString", "queryStringParameters", "multiValueQueryStringParameters"];
    let stage = event.get("requestContext").and_then(|context| context.get("stage"));
    let parts = keys.iter().filter_map(|key| event.get(*key)).chain(stage);
    parts.map(|part| part.to_string().len() * 3).sum()
}

/// Whether the gateway has decoded the path: only HTTP APIs do. Function URLs, whose events have the same format, don't.
fn path_is_decoded(event: &Map<String, Value>) -> bool {
    let host = event.get("requestContext").and_then(|context| context.get("domainName"));
    event.get("version").and_then(Value::as_str) == Some("2.0")
        && host.and_then(Value::as_str).is_some_and(|host| !host.contains(".lambda-url."))
}

/// The meaning of a percent sign before two hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Percent {
    /// An encoded byte.
    Encoded,
    /// A percent sign.
    Literal,
}

/// Percent-encodes the bytes that aren't valid in a path or a query.
fn escaped(text: &str, literal: &[u8], percent: Percent) -> String {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().fold(String::with_capacity(bytes.len()), |mut text, (at, byte)| {
        let are_digits = |next: &[u8]| next.iter().all(u8::is_ascii_hexdigit);
        let is_literal = byte.is_ascii_alphanumeric()
            || literal.contains(byte)
            || (*byte == b'%'
                && percent == Percent::Encoded
                && bytes.get(at + 1..at + 3).is_some_and(are_digits));
        if is_literal {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// A placeholder for an unreadable event. Its response has the format that every gateway accepts.
fn placeholder() -> LambdaRequest {
    let event = json!({ "version": "2.0", "rawPath": "/", "headers": {}, "isBase64Encoded": false,
        "requestContext": { "http": { "method": "GET", "path": "/" } } });
    in_a_format(&event).expect("a valid event of an HTTP API")
}

/// The valid characters of a path and a query, in addition to letters and digits (RFC 3986, sections 3.3 and 3.4).
const PATH: &[u8] = b"/-._~!$&'()*+,;=:@";
const QUERY: &[u8] = b"/-._~!$&'()*+,;=:@?";
/// The domains of AWS's partitions, then those for IPv4 and IPv6 (in AWS's endpoint rules of API Gateway).
const SUFFIXES: [&str; 5] =
    [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws", ".api.amazonwebservices.com.cn"];
/// The `http` crate allows 65,534 bytes in a URL. Gateways and load balancers send much less.
const MAX_ADDRESS: usize = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoded_path_is_encoded_again_and_an_encoded_one_stays_unchanged() {
        for (path, encoded) in [
            ("/getToken", "/getToken"),
            ("/agora/rtm/a%20b%2Fc/", "/agora/rtm/a%20b%2Fc/"),
            ("/agora/rtm/a b?c#d/", "/agora/rtm/a%20b%3Fc%23d/"),
            ("/100%/50%2", "/100%25/50%252"),
            ("/é\n", "/%C3%A9%0A"),
            ("", ""),
        ] {
            assert_eq!(escaped(path, PATH, Percent::Encoded), encoded);
            assert_eq!(escaped(encoded, PATH, Percent::Encoded), encoded, "it is encoded only once");
        }
        assert_eq!(escaped("/50%20off/é", PATH, Percent::Literal), "/50%2520off/%C3%A9");
    }
}
