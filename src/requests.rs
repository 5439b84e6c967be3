//! Sends requests of the `roompass` command, and returns the responses.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};

use crate::log::with_causes;
use crate::url;
use crate::web_client;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The system's TLS roots can't be read.
    #[error("cannot read the system's TLS roots: {0}")]
    TlsRoots(#[from] std::io::Error),
    /// The request can't be sent.
    #[error("invalid URL {url}: {problem}")]
    InvalidUrl {
        /// The URL, or the server if the URL may contain a token.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The server is unreachable, or doesn't respond in time.
    #[error("{server} is unreachable: {reason}")]
    Unreachable {
        /// The server's URL.
        server: String,
        /// Why, with all causes.
        reason: String,
    },
}

/// A response, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The beginning of the body.
    pub body: Vec<u8>,
}

/// The response of a server to any request.
///
/// # Errors
/// If the URL is invalid, or the server is unreachable.
pub async fn send(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Result<Answer, RequestError> {
    send_to(&url::shown(url), method, url, headers, body).await
}

/// The response to a request. An error names this server, because the URL may contain a token.
pub(crate) async fn send_to(
    server: &str,
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Result<Answer, RequestError> {
    let invalid = |problem| RequestError::InvalidUrl { url: server.to_owned(), problem };
    if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(invalid("must begin with http:// or https://".to_owned()));
    }
    let request = Request::builder().method(method).uri(url);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = request.body(Body::from(body)).map_err(|error| invalid(error.to_string()))?;
    call(request, server).await
}

async fn call(request: Request<Body>, server: &str) -> Result<Answer, RequestError> {
    let unreachable = |reason: String| RequestError::Unreachable { server: server.to_owned(), reason };
    let client = web_client::client()?;
    let call = async {
        let response = client.request(request).await.map_err(|error| unreachable(with_causes(&error)))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_SIZE).collect().await;
        let body = body.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        Ok::<_, RequestError>(Answer { status: head.status, headers: head.headers, body })
    };
    let answered = tokio::time::timeout(TIMEOUT, call).await;
    answered.map_err(|_| unreachable("no response within 10 seconds".to_owned()))?
}

const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_SIZE: usize = 64 * 1024;
