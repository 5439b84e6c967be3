//! The HTTPS client for issuers' documents: no redirects, at most 64 KiB, a timeout of 1.5 seconds.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::ACCEPT;
use axum::http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};

use crate::json::JsonError;
use crate::log::with_causes;
use crate::refreshing::TimedOut;
use crate::url;
use crate::web_client::{self, HttpsClient};

/// An HTTPS client that sends GET requests.
#[derive(Debug, Clone)]
pub(super) struct Fetcher(HttpsClient);

/// Why an issuer's keys can't be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The system's TLS roots can't be read.
    #[error("cannot read the system's TLS roots: {0}")]
    TlsRoots(String),
    /// A request failed.
    #[error("{url}: {failure}")]
    Request {
        /// The URL, without its query.
        url: String,
        /// Why it failed.
        failure: RequestFailure,
    },
    /// All requests together took too long.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// The OpenID configuration or the key set is invalid.
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestFailure {
    /// There was no response in time.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// The server is unreachable, or closed the connection. With all causes.
    #[error("{0}")]
    Connection(String),
    /// The status isn't 200.
    #[error("HTTP status {0}")]
    Status(StatusCode),
    /// The body is incomplete, or too large.
    #[error("unreadable body: {0}")]
    Body(String),
}

/// Why an issuer's OpenID configuration or key set is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The key set isn't a JSON object.
    #[error("the key set {0}")]
    KeySet(JsonError),
    /// The key set has no list of keys.
    #[error("the key set has no keys")]
    NoKeys,
    /// The key set has too many keys.
    #[error("the key set has over {0} keys")]
    TooManyKeys(usize),
    /// No key can verify the caller's tokens.
    #[error("the key set has no usable key")]
    NoUsableKey,
    /// The OpenID configuration isn't a JSON object.
    #[error("the OpenID configuration {0}")]
    Configuration(JsonError),
    /// The OpenID configuration is for a different issuer.
    #[error("the OpenID configuration is for a different issuer")]
    OtherIssuer,
    /// The OpenID configuration names no key set over https.
    #[error("the OpenID configuration has no https jwks_uri")]
    NoKeySet,
    /// The OpenID configuration names a key set with a user name or a password.
    #[error("the OpenID configuration's jwks_uri contains a user name or password")]
    KeySetWithUserinfo,
    /// The issuer uses a shared secret, and has no key set.
    #[error("the issuer has no key set")]
    SharedSecret,
}

impl FetchError {
    /// Whether a retry can succeed without a change by the operator or the issuer.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Request { failure: RequestFailure::Status(status), .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Request { .. } | Self::TimedOut(_) => true,
            Self::TlsRoots(_) | Self::Unusable(_) => false,
        }
    }
}

impl Fetcher {
    pub(super) fn new() -> Result<Self, FetchError> {
        web_client::client().map(Self).map_err(|error| FetchError::TlsRoots(error.to_string()))
    }

    /// The body at a URL.
    pub(super) async fn get(&self, url: &Uri) -> Result<Vec<u8>, FetchError> {
        let fetched = tokio::time::timeout(TIMEOUT, self.body(url)).await;
        fetched.unwrap_or_else(|_| Err(TimedOut.into())).map_err(|failure| {
            let url = url::shown(&url.to_string()).into_owned();
            FetchError::Request { url, failure }
        })
    }

    async fn body(&self, url: &Uri) -> Result<Vec<u8>, RequestFailure> {
        let request = Request::get(url).header(ACCEPT, "application/json").body(Body::empty());
        let request = request.map_err(|error| RequestFailure::Connection(error.to_string()))?;
        let response = self.0.request(request).await;
        let response = response.map_err(|error| RequestFailure::Connection(with_causes(&error)))?;
        if response.status() != StatusCode::OK {
            return Err(RequestFailure::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), MAX_SIZE).collect().await;
        Ok(body.map_err(|error| RequestFailure::Body(error.to_string()))?.to_bytes().to_vec())
    }
}

const TIMEOUT: Duration = Duration::from_millis(1_500);
const MAX_SIZE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_shows_the_url_and_all_its_causes() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = format!("http://127.0.0.1:{port}/keys").parse().unwrap();
        let error = Fetcher::new().unwrap().get(&place).await.unwrap_err().to_string();
        let (first, causes) = error.strip_prefix(&format!("{place}: ")).unwrap().split_once(": ").unwrap();
        assert_eq!(first, "client error (Connect)");
        assert!(causes.contains("Connection refused"), "{causes}");
    }

    #[tokio::test]
    async fn a_failure_does_not_show_the_query() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = format!("http://127.0.0.1:{port}/keys?token=canary").parse().unwrap();
        let error = Fetcher::new().unwrap().get(&place).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("http://127.0.0.1:{port}/keys?…: ")), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
}
