//! Fetches the OpenID configuration and the keys of each issuer.

use axum::http::{Method, StatusCode};
use roompass::auth::{
    CallerConfig, CallerKind, FetchError, Issuer, KeyPlace, RequestFailure, Unusable, usable_keys,
};
use roompass::requests::{self, Answer};
use roompass::url;
use serde_json::Value;

use super::clock::Asked;
use super::report::{Entry, Report};

/// Checks the issuers of the callers, each once.
pub(super) async fn check(callers: &[CallerConfig], report: &mut Report) {
    let mut checked: Vec<&Issuer> = Vec::new();
    for caller in callers {
        let CallerKind::Jwt(issuer) = &caller.kind else { continue };
        let is_same = |other: &&&Issuer| {
            (&other.issuer, &other.keys, &other.algorithms)
                == (&issuer.issuer, &issuer.keys, &issuer.algorithms)
        };
        if checked.iter().find(is_same).is_none() {
            checked.push(issuer);
            check_one(&caller.name, issuer, report).await;
        }
    }
}

async fn check_one(caller: &str, issuer: &Issuer, report: &mut Report) {
    let (KeyPlace::Discovered(place) | KeyPlace::At(place)) = &issuer.keys else { return };
    let place = place.to_string();
    let name = url::shown(issuer.issuer.first()).into_owned();
    let asked = Asked::now();
    let answer = requests::send(Method::GET, &place, &[], String::new()).await.ok();
    match usable_keys(issuer).await {
        Ok(1) => report.fine(format!("issuer {name}: 1 usable key")),
        Ok(keys) => report.fine(format!("issuer {name}: {keys} usable keys")),
        Err(error) => {
            let why = format!(
                "Requests with tokens of caller {caller:?} return 503 once no keys are cached: {error}"
            );
            report.add(Entry::found(
                format!("issuer {name}: {}", what(&error)),
                why,
                fix(&error, issuer, answer.as_ref()),
            ));
        }
    }
    if let Some(entry) = answer.and_then(|answer| asked.compare(&format!("issuer {name}"), &answer)) {
        report.add(entry);
    }
}

fn what(error: &FetchError) -> &'static str {
    match error {
        FetchError::TlsRoots(_) => "no TLS roots",
        FetchError::TimedOut(_)
        | FetchError::Request {
            failure: RequestFailure::TimedOut(_) | RequestFailure::Connection(_), ..
        } => "unreachable",
        FetchError::Request { .. } => "no OpenID configuration or key set",
        FetchError::Unusable(Unusable::OtherIssuer) => "the OpenID configuration is for a different issuer",
        FetchError::Unusable(Unusable::NoKeys | Unusable::NoUsableKey) => "no usable key",
        FetchError::Unusable(_) => "invalid OpenID configuration or key set",
    }
}

fn fix(error: &FetchError, issuer: &Issuer, answer: Option<&Answer>) -> String {
    let is_discovered = matches!(issuer.keys, KeyPlace::Discovered(_));
    match error {
        FetchError::TlsRoots(_) => "Install the system's CA certificates, such as the package ca-certificates.".to_owned(),
        FetchError::TimedOut(_) | FetchError::Request { failure: RequestFailure::TimedOut(_) | RequestFailure::Connection(_), .. } => {
            "Compare the URL with your provider's. If it is right, allow this network to reach it, and check its TLS certificate.".to_owned()
        }
        FetchError::Request { failure: RequestFailure::Status(StatusCode::NOT_FOUND), .. } if is_discovered => {
            "Copy `issuer` from a token's `iss`. If it is right, the provider has no discovery: set `jwks_url`.".to_owned()
        }
        FetchError::Request { .. } => {
            let key = if is_discovered { "issuer" } else { "jwks_url" };
            format!("Open the URL in a browser, and set `{key}` to one that returns JSON without a redirect.")
        }
        FetchError::Unusable(Unusable::OtherIssuer) => match answer.and_then(named_issuer) {
            Some(named) => format!("Set `issuer` to {named:?}, if its tokens have this `iss`."),
            None => "Copy `issuer` from the member `issuer` of the OpenID configuration.".to_owned(),
        },
        FetchError::Unusable(Unusable::NoKeys | Unusable::NoUsableKey) => {
            let algorithms: Vec<_> = issuer.algorithms.iter().map(|algorithm| algorithm.name()).collect();
            format!(
                "Compare `algorithms`, which is {}, with `alg` in a token's header and the keys of the set.",
                algorithms.join(", ")
            )
        }
        FetchError::Unusable(_) => "Compare `issuer` and `jwks_url` with your provider's page in docs/providers.".to_owned(),
    }
}

/// The issuer in an OpenID configuration.
fn named_issuer(answer: &Answer) -> Option<String> {
    let configuration: Value = serde_json::from_slice(&answer.body).ok()?;
    Some(url::shown(configuration.get("issuer")?.as_str()?).into_owned())
}
