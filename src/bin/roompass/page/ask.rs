//! A request of the page: sent through the whole service, and explained.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Request};
use axum::response::Response;
use http_body_util::BodyExt;
use roompass::auth::{Caller, CallerKind, Callers};
use roompass::config::Config;
use roompass::http::{Hosts, router_for};
use roompass::inspect;
use serde_json::{Map, Value, json};
use tower::ServiceExt;

use super::{TryPage, mistakes, parsed};
use crate::explain::{self, ExplainedRequest};
use crate::{caller_file, development};

/// Sends the request, and returns the response, its tokens, and the decision.
async fn answer_to(page: &TryPage, wanted: &Value) -> Result<Value, Value> {
    let config = match wanted.get("text").and_then(Value::as_str) {
        Some(text) => page.config_with(text).map_err(|error| json!({ "mistakes": mistakes(&error) }))?,
        None => page.config.clone(),
    };
    let caller = claimed(wanted, &config)?;
    let request = || request(wanted).map_err(|problem| json!({ "problem": problem }));
    let keys = || {
        let keys = development::service_keys(&page.environment, &config);
        keys.map_err(|error| json!({ "problem": error.to_string() }))
    };
    let callers = match &caller {
        Some(caller) => Callers::always(caller.clone()),
        None => Callers::new(config.callers.clone()),
    };
    let context = roompass::system::context();
    // Who the request is from, for the explanation.
    let (head, _) = request()?.into_parts();
    let identified = callers.identify(&head, &keys()?, &context).await;
    let service = router_for(
        callers,
        Hosts::Any,
        config.clone(),
        keys()?,
        roompass::mint::token,
        roompass::system::context,
    );
    let response = match service.oneshot(request()?).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (head, body) = response.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let headers: Map<_, _> = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into());
    let (explanation, cause) = match identified {
        Ok(caller) => (Some(explained(wanted, &caller, &config)), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Ok(json!({
        "status": head.status.as_u16(),
        "headers": headers,
        "tokens": tokens(&body),
        "body": body,
        "explanation": explanation,
        "not_authenticated": cause,
    }))
}

pub(super) async fn answer(State(page): State<Arc<TryPage>>, body: Bytes) -> Response {
    match answer_to(&page, &parsed(&body)).await {
        Ok(value) | Err(value) => super::answer(&value),
    }
}

/// The caller with the claims of the request, if it has any.
fn claimed(wanted: &Value, config: &Config) -> Result<Option<Caller>, Value> {
    let Some(claims) = wanted.get("claims").and_then(Value::as_object) else { return Ok(None) };
    let named = wanted.get("caller").and_then(Value::as_str);
    let caller = caller_file::caller_of(claims.clone(), named, &config.callers);
    caller.map(Some).map_err(|error| json!({ "problem": error.to_string() }))
}

fn request(wanted: &Value) -> Result<Request<Body>, String> {
    let text = |member: &str| wanted.get(member).and_then(Value::as_str).unwrap_or_default();
    let mut request = Request::builder().method(text("method")).uri(text("path"));
    for (name, value) in wanted.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let name = HeaderName::try_from(name).map_err(|_| format!("invalid header name {name:?}"))?;
        let value =
            HeaderValue::try_from(value).map_err(|_| format!("invalid value of the header {name}"))?;
        request = request.header(name, value);
    }
    request.body(text("body").to_owned().into()).map_err(|error| format!("invalid request: {error}"))
}

/// The decision on the request, with the rules that were skipped.
fn explained(wanted: &Value, caller: &Caller, config: &Config) -> Value {
    let text = |member: &str| wanted.get(member).and_then(Value::as_str);
    let path = text("path").unwrap_or_default();
    let path = path.strip_prefix(config.http.base_path.as_str()).unwrap_or(path);
    let sandbox = wanted.get("headers").and_then(|headers| headers.get("x-sandbox-id")?.as_str());
    let request =
        ExplainedRequest { path: Some(path), sandbox, body: text("body").unwrap_or_default().as_bytes() };
    let kind = config.callers.iter().find(|config| config.name == caller.name).map(|config| &config.kind);
    let mut explanation = match explain::json_of(config, caller, &request, &roompass::system::context()) {
        Ok(explanation) => explanation,
        Err(error) => json!({ "decision": "refused", "detail": error.to_string() }),
    };
    explanation["caller"] = caller.name.as_str().into();
    explanation["anonymous"] = (kind == Some(&CallerKind::Anonymous)).into();
    explanation
}

/// The content of each token in a response, by its member.
fn tokens(body: &Value) -> Map<String, Value> {
    let members = body.as_object().into_iter().flatten();
    members
        .filter_map(|(member, value)| {
            let token = value.as_str()?;
            let inspected = inspect::read(token).ok()?;
            let now = roompass::system::context().now;
            let mut content = crate::inspect::as_json(&inspected, now);
            content["size"] = token.len().into();
            Some((member.clone(), content))
        })
        .collect()
}
