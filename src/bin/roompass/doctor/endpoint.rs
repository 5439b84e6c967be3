//! Sends requests to a running endpoint: one without a credential, one with a credential as of a client whose variable is not
//! set, and those of web pages of the configured origins.

use axum::http::header::{ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN};
use axum::http::{HeaderName, Method, StatusCode};
use roompass::auth::CallerKind;
use roompass::config::{Config, Origin};
use roompass::requests::{self, Answer, RequestError};
use roompass::url;
use serde_json::Value;

use super::clock::Asked;
use super::report::{Entry, Report};

/// Checks the token endpoint at this URL.
pub(super) async fn check(endpoint: &str, config: &Config, report: &mut Report) {
    let shown = url::shown(endpoint).into_owned();
    let asked = Asked::now();
    let answer = match post(endpoint, None).await {
        Ok(answer) => answer,
        Err(error) => {
            let problem = match &error {
                RequestError::InvalidUrl { .. } => "invalid URL",
                _ => "unreachable",
            };
            return report.add(Entry::found(
                format!("endpoint {shown}: {problem}"),
                error.to_string(),
                "Compare --url with the output TokenEndpoint of `sam deploy`, or with the first line of `roompass serve`.",
            ));
        }
    };
    report.add(of_answer(&shown, &answer));
    if let Some(entry) = asked.compare(&format!("endpoint {shown}"), &answer) {
        report.add(entry);
    }
    if answer.status == StatusCode::NOT_FOUND {
        return;
    }
    let is_anonymous = config.callers.iter().any(|caller| caller.kind == CallerKind::Anonymous);
    if let Ok(answer) = requests::send(Method::POST, endpoint, &[JSON], "{}".to_owned()).await
        && answer.status.is_success()
        && !is_anonymous
    {
        report.add(Entry::found(
            format!("endpoint {shown}: returned {} to a request without a credential", answer.status),
            "The configuration that was checked here has no anonymous caller: the endpoint uses another one, or authentication \
             is off.",
            "Compare --url with the endpoint's, and use this configuration there. Do not expose development mode.",
        ));
    }
    let origins = &config.cors.origins;
    if origins.is_empty() {
        report.skipped("CORS: [cors] origins is empty, so web pages of other origins can't read responses");
    }
    for origin in origins {
        check_origin(endpoint, &example_of(origin), report).await;
    }
}

/// A request as of a client whose token is not set, of a page of this origin.
async fn post(endpoint: &str, origin: Option<&str>) -> Result<Answer, RequestError> {
    let headers = [JSON, ("authorization", "Bearer undefined")];
    let origin = origin.map(|origin| ("origin", origin));
    let headers: Vec<_> = headers.into_iter().chain(origin).collect();
    requests::send(Method::POST, endpoint, &headers, "{}".to_owned()).await
}

const JSON: (&str, &str) = ("content-type", "application/json");

fn of_answer(shown: &str, answer: &Answer) -> Entry {
    let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = problem.get("code").and_then(Value::as_str).unwrap_or_default();
    match answer.status {
        StatusCode::UNAUTHORIZED => Entry::Fine(format!("endpoint {shown}: refuses `Bearer undefined`")),
        status if status.is_success() => Entry::found(
            format!("endpoint {shown}: returned {status} to a request with `Bearer undefined`"),
            "Something accepts requests without checking the credential: authentication is off, or this is not Roompass.",
            "Compare --url with the endpoint's. Do not expose `roompass serve --caller` or development mode.",
        ),
        StatusCode::FORBIDDEN if code == "no_callers_configured" => Entry::found(
            format!("endpoint {shown}: no [[caller]] is configured"),
            "Every request is refused. The deployed configuration is not the one that was checked here.",
            "Add a [[caller]] to roompass.toml, build and deploy again (`sam build`, `sam deploy`).",
        ),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Entry::found(
            format!("endpoint {shown}: returned {}", answer.status),
            "This URL is not a route for tokens.",
            "Use the whole URL, such as https://…/getToken, with [http] base_path if it is set.",
        ),
        status => Entry::found(
            format!("endpoint {shown}: returned {status} {code}").trim_end().to_owned(),
            "A request with an invalid credential must return 401.",
            "Look up the request in the log of the endpoint or the gateway, with the code in docs/api.md.",
        ),
    }
}

/// Checks what a browser checks before and after a request of a page.
async fn check_origin(endpoint: &str, origin: &str, report: &mut Report) {
    let asked = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    let preflight = requests::send(Method::OPTIONS, endpoint, &asked, String::new()).await;
    let response = post(endpoint, Some(origin)).await;
    let problem = match (&preflight, &response) {
        (Err(error), _) | (_, Err(error)) => Some(error.to_string()),
        (Ok(preflight), Ok(response)) => refused(preflight, response, origin),
    };
    report.add(match problem {
        None => Entry::Fine(format!("CORS: pages of {origin} can send requests and read responses")),
        Some(why) => Entry::found(
            format!("CORS: pages of {origin} can't use the endpoint"),
            why,
            "Set [cors] origins or the template's AllowedOrigins to the page's origin, and deploy again. Configure no CORS in \
             the gateway itself, because its headers replace those of the function.",
        ),
    });
}

/// Why a browser doesn't let a page of this origin read the response.
fn refused(preflight: &Answer, response: &Answer, origin: &str) -> Option<String> {
    let allows = |answer: &Answer| {
        let allowed = header(answer, &ACCESS_CONTROL_ALLOW_ORIGIN);
        allowed == "*" || allowed == origin
    };
    let headers = header(preflight, &ACCESS_CONTROL_ALLOW_HEADERS).to_ascii_lowercase();
    let headers: Vec<_> = headers.split(',').map(str::trim).collect();
    if !preflight.status.is_success() {
        Some(format!("The preflight request (OPTIONS) returned {}.", preflight.status))
    } else if !allows(preflight) {
        Some("The response to the preflight request (OPTIONS) does not allow this origin.".to_owned())
    } else if !headers.contains(&"authorization") {
        // A star does not include this header.
        Some(
            "The response to the preflight request (OPTIONS) does not allow the header Authorization."
                .to_owned(),
        )
    } else if !allows(response) {
        Some(
            "The response to POST does not allow this origin, although the preflight request does."
                .to_owned(),
        )
    } else {
        None
    }
}

fn header<'a>(answer: &'a Answer, name: &HeaderName) -> &'a str {
    answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// An origin that the setting allows.
fn example_of(origin: &Origin) -> String {
    match origin {
        Origin::Any => "https://any.example".to_owned(),
        Origin::AnyPort(host) => format!("{host}:5173"),
        Origin::Exactly(_) => origin.to_string(),
    }
}
