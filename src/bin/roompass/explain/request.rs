//! Reads a request with the same routes as the server.

use axum::http::{HeaderMap, HeaderValue, Uri};
use roompass::config::{Config, Dialect};
use roompass::dialect::{Asks, BadRequest, Found, Received, Routes, sandbox, standard};
use roompass::domain::Provider;
use roompass::http::path_matching;
use roompass::url;

/// A request to explain or to test.
pub(crate) struct ExplainedRequest<'a> {
    /// The path without the base path, and the query.
    pub(crate) path: Option<&'a str>,
    /// The header X-Sandbox-ID.
    pub(crate) sandbox: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// Why a request is invalid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidRequest {
    #[error("no path given: use --path; {0}")]
    NoPath(String),
    #[error("not found: {path:?} {problem}; {served}")]
    NotServed { path: String, problem: String, served: String },
    #[error("invalid path {0:?}: it must begin with a slash and be percent-encoded, as clients send it")]
    InvalidPath(String),
    #[error("invalid request: X-Sandbox-ID must name one of [sandbox] ids: use --sandbox with one of {0}")]
    Sandbox(String),
    #[error("invalid request: {0}")]
    Request(#[from] BadRequest),
}

/// The asks of a request, and their provider.
pub(crate) fn asks(
    request: &ExplainedRequest<'_>,
    config: &Config,
) -> Result<(Provider, Asks), InvalidRequest> {
    let routes = Routes::new(&config.dialects, "", path_matching(config));
    let [usual, _] = standard::PATHS;
    let path = match request.path {
        Some(path) => path,
        None if config.dialects.contains(&Dialect::Standard) => usual,
        None => return Err(InvalidRequest::NoPath(served(&routes))),
    };
    let uri = Some(path).filter(|path| path.starts_with('/')).and_then(|path| path.parse::<Uri>().ok());
    let uri = uri.ok_or_else(|| InvalidRequest::InvalidPath(url::shown(path).into_owned()))?;
    let Found::Token(row, route, parameters) = routes.at(uri.path(), !request.body.is_empty()) else {
        let problem = match routes.unserved_dialect(uri.path()) {
            Some(dialect) => {
                let name = dialect.as_str();
                format!("is a route of the dialect {name:?}, which is not served: add it to `dialects`")
            }
            None => "is not a route".to_owned(),
        };
        let (path, served) = (url::shown(path).into_owned(), served(&routes));
        return Err(InvalidRequest::NotServed { path, problem, served });
    };
    if !parameters.are_utf8() {
        return Err(BadRequest::Path.into());
    }
    let mut headers = HeaderMap::new();
    if let Some(id) = request.sandbox.and_then(|id| HeaderValue::from_str(id).ok()) {
        headers.insert(sandbox::SANDBOX_ID, id);
    }
    let received = Received {
        headers: &headers,
        path: &parameters,
        query: uri.query().unwrap_or_default(),
        body: request.body,
        limits: &config.limits,
        sandboxes: &config.sandbox.ids,
    };
    let asks = row.asks(route, &received).map_err(|error| match error {
        BadRequest::UnknownSandbox => InvalidRequest::Sandbox(config.sandbox.ids.join(", ")),
        other => other.into(),
    })?;
    Ok((row.provider, asks))
}

/// The routes of all dialects, in words.
fn served(routes: &Routes) -> String {
    let paths: Vec<_> = routes.served().map(|(_, path)| path).collect();
    format!("the configured dialects serve {}", paths.join(", "))
}
