//! The page of `roompass serve` at `/`, to try requests and the policy in a browser. It's for this machine alone: it is
//! served on loopback only, and its own routes refuse requests of other hosts, of other pages and through a proxy.

mod ask;
mod join;
mod policy;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use roompass::auth::CallerKind;
use roompass::config::{Config, ConfigError, Environment, Sources, read_policy};
use roompass::dialect::{Row, SampleValues};
use roompass::domain::ServerUrl;
use serde_json::{Value, json};

use crate::{development, this_machine};

/// What the page works with.
pub(crate) struct TryPage {
    pub(crate) environment: Environment,
    pub(crate) sources: Sources,
    /// Whether the first text is a policy that is read at run time.
    pub(crate) is_policy: bool,
    /// Whether the rules of development mode decide, because there is no caller.
    pub(crate) is_development: bool,
    /// The file that is edited: the policy's, or the configuration's. `None` if that is compiled in or inline; it is then
    /// saved in a new file in this folder.
    pub(crate) file: Option<PathBuf>,
    /// The text at the start.
    pub(crate) text: String,
    /// The configuration at the start.
    pub(crate) config: Config,
}

impl TryPage {
    /// The routes of the page, and the service for all others.
    pub(crate) fn in_front_of(self, service: Router) -> Router {
        let page = Router::new()
            .route("/", get(html))
            .route("/_page/state", get(state))
            .route("/_page/ask", post(ask::answer))
            .route("/_page/check", post(policy::check))
            .route("/_page/save", post(policy::save))
            .route("/_page/join", post(join::answer))
            .layer(from_fn(of_the_page_only))
            .layer(from_fn(this_machine::only))
            .with_state(Arc::new(self));
        page.fallback_service(service)
    }

    /// The configuration with another text in place of the edited one.
    fn config_with(&self, text: &str) -> Result<Config, ConfigError> {
        if self.is_policy {
            return self.sources.with_policy(text, &self.file().display().to_string());
        }
        self.sources.replaced(text).config()
    }

    /// Where the edited text is saved.
    fn file(&self) -> &Path {
        self.file.as_deref().unwrap_or(Path::new("roompass.toml"))
    }

    /// The text to edit: the file's current one.
    fn current_text(&self) -> Result<String, ConfigError> {
        match &self.file {
            Some(file) => read_policy(file),
            None => Ok(self.text.clone()),
        }
    }

    /// Whether a server is one of those that tokens are for.
    fn server(&self, wanted: &str) -> Option<ServerUrl> {
        let keys = development::keys(&self.environment, self.config.policy.rules()).ok()?;
        let mut servers = keys.iter().filter_map(|keys| Some(keys.livekit().ok()?.server.clone()));
        servers.find(|server| server.as_str() == wanted)
    }
}

/// Refuses requests that aren't from the page itself.
async fn of_the_page_only(request: Request, next: Next) -> Response {
    if request.method() == Method::POST && !is_of_the_page(request.headers()) {
        return (StatusCode::FORBIDDEN, "this is only for the page itself\n").into_response();
    }
    next.run(request).await
}

fn is_of_the_page(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let own = format!("http://{}", text(header::HOST).unwrap_or_default());
    text(header::ORIGIN).is_none_or(|origin| origin == own) && headers.contains_key(OF_PAGE)
}

/// A page of another origin can't send this header without a preflight, which isn't answered.
const OF_PAGE: &str = "x-roompass-page";

async fn html() -> Response {
    let hash = |start: &str, end: &str| {
        let content = HTML.split_once(start).and_then(|(_, rest)| rest.split_once(end)).unwrap_or_default().0;
        BASE64_STANDARD.encode(digest(&SHA256, content.as_bytes()))
    };
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash("<script>", "</script>"),
        hash("<style>", "</style>")
    );
    let mut response = HTML.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// What the page shows at first.
async fn state(State(page): State<Arc<TryPage>>) -> Response {
    let config = &page.config;
    let text = page.current_text().unwrap_or_else(|_| page.text.clone());
    let dialects = config.dialects.iter().map(|dialect| {
        let row = Row::of(*dialect);
        let sample = (row.sample)(&SampleValues {
            room: Some("hello"),
            some_room: "hello",
            name: Some("Ada"),
            one_name: "Ada",
            identity: "7",
            publishes: true,
            sandbox: config.sandbox.ids.first().map(String::as_str),
        });
        let members = sample.body.map(|members| {
            members
                .into_iter()
                .map(|(name, text)| (name.to_owned(), text.into()))
                .collect::<serde_json::Map<_, _>>()
        });
        json!({
            "name": dialect.as_str(),
            "path": format!("{}{}", config.http.base_path.as_str(), sample.path),
            "header": sample.header.map(|(name, value)| [name.to_owned(), value]),
            "body": members,
        })
    });
    let callers = config.callers.iter().map(|caller| {
        let kind = match caller.kind {
            CallerKind::Anonymous => "anonymous",
            CallerKind::ApiKey => "api-key",
            CallerKind::Gateway(_) => "gateway",
            CallerKind::Jwt(_) => "jwt",
        };
        json!({ "name": caller.name, "kind": kind })
    });
    answer(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "dialects": dialects.collect::<Vec<_>>(),
        "callers": callers.collect::<Vec<_>>(),
        "file": page.file().display().to_string(),
        "is_policy": page.is_policy,
        "is_development": page.is_development,
        // The text of the configuration that is served until a restart. A policy is served as soon as it is saved.
        "served": (!page.is_policy).then_some(&page.text),
        "text": text,
        "max_token_size": config.limits.max_token_size,
    }))
}

/// The body of a request of the page. Without JSON, each member counts as missing.
fn parsed(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

/// A JSON response that is not cached.
fn answer(value: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, value.to_string()).into_response()
}

/// The mistakes in a configuration.
fn mistakes(error: &ConfigError) -> Value {
    match error {
        ConfigError::Mistakes(mistakes) => mistakes
            .iter()
            .map(|mistake| json!({ "line": mistake.line, "column": mistake.column, "message": mistake.message, "file": mistake.file }))
            .collect(),
        other => json!([{ "line": 0, "column": 0, "message": other.to_string() }]),
    }
}

const HTML: &str = include_str!("page.html");

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&str, &str)]) -> HeaderMap {
        let parse = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
        };
        all.iter().map(parse).collect()
    }

    #[test]
    fn only_requests_of_the_page_itself_are_answered() {
        let own = ("host", "127.0.0.1:3000");
        let page = (OF_PAGE, "1");
        for all in [vec![own, page], vec![own, page, ("origin", "http://127.0.0.1:3000")]] {
            assert!(is_of_the_page(&headers(&all)), "{all:?}");
        }
        for all in [
            vec![own],
            vec![own, page, ("origin", "http://evil.example")],
            vec![own, page, ("origin", "http://127.0.0.1:3001")],
            vec![own, page, ("origin", "null")],
        ] {
            assert!(!is_of_the_page(&headers(&all)), "{all:?}");
        }
    }
}
