//! `roompass health`: asks a running endpoint whether it can sign tokens, for the health check of a container.

use axum::http::{Method, StatusCode};
use clap::Args;
use roompass::requests::{self, RequestError};
use roompass::url;

use crate::screen::Page;

#[derive(Args)]
pub(crate) struct HealthOptions {
    /// The URL of the health check
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000/healthz")]
    url: String,
}

/// Why the endpoint isn't healthy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unhealthy {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("{url} returned {status}: {response}")]
    Response { url: String, status: StatusCode, response: String },
}

/// Prints the response of a healthy endpoint.
///
/// # Errors
/// If the endpoint is unreachable, or can't sign tokens.
pub(crate) fn run(options: &HealthOptions) -> Result<Page, Unhealthy> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(requests::send(Method::GET, &options.url, &[], String::new()))?;
    let response = String::from_utf8_lossy(&answer.body).trim().to_owned();
    if !answer.status.is_success() {
        let url = url::shown(&options.url).into_owned();
        return Err(Unhealthy::Response { url, status: answer.status, response });
    }
    let mut page = Page::default();
    page.line(response);
    Ok(page)
}
