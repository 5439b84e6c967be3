//! `roompass health`: asks a running endpoint whether it can sign tokens, for the health check of a container.

use clap::Args;
use roompass::server_api;

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
    #[error("{0}")]
    Call(#[from] server_api::ServerApiError),
}

/// Prints the response of a healthy endpoint.
///
/// # Errors
/// If the endpoint is unreachable, or can't sign tokens.
pub(crate) fn run(options: &HealthOptions) -> Result<Page, Unhealthy> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let text = runtime.block_on(server_api::get(&options.url))?;
    let mut page = Page::default();
    page.line(text);
    Ok(page)
}
