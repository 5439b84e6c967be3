//! Small things from issuers, over HTTPS: no redirects, at most 64 KiB, within a second and a half.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::ACCEPT;
use axum::http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::refreshing::TimedOut;
use crate::url;

/// A client for one GET at a time.
#[derive(Debug, Clone)]
pub(super) struct Fetcher(Client<HttpsConnector<HttpConnector>, Body>);

/// Why something couldn't be fetched. For the log alone.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct FetchError(String);

impl FetchError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl From<TimedOut> for FetchError {
    fn from(late: TimedOut) -> Self {
        Self(late.to_string())
    }
}

impl Fetcher {
    /// A client that trusts the system's roots. It keeps no connection open, since a frozen process's are dead when it
    /// wakes.
    pub(super) fn new() -> Result<Self, FetchError> {
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|error| FetchError(format!("the system's TLS roots: {error}")))?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector)))
    }

    /// What is at a place.
    pub(super) async fn get(&self, place: &Uri) -> Result<Vec<u8>, FetchError> {
        let fetched = tokio::time::timeout(TIME, self.whole(place)).await;
        fetched
            .unwrap_or_else(|_| Err(TimedOut.into()))
            .map_err(|FetchError(reason)| FetchError(format!("{}: {reason}", url::shown(&place.to_string()))))
    }

    async fn whole(&self, place: &Uri) -> Result<Vec<u8>, FetchError> {
        let request = Request::get(place).header(ACCEPT, "application/json").body(Body::empty());
        let request = request.map_err(|error| FetchError(error.to_string()))?;
        let response = self.0.request(request).await.map_err(|error| FetchError(chain(&error)))?;
        if response.status() != StatusCode::OK {
            return Err(FetchError(format!("answered {}", response.status())));
        }
        let body = Limited::new(response.into_body(), MAX_SIZE).collect().await;
        Ok(body.map_err(|error| FetchError(error.to_string()))?.to_bytes().to_vec())
    }
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

const TIME: Duration = Duration::from_millis(1_500);
const MAX_SIZE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_says_where_it_was_and_all_its_causes() {
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
