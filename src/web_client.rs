//! The HTTPS client, for issuers, the AWS SDK, and the requests of the command.

use std::io;
use std::sync::OnceLock;

use axum::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// A client that trusts the system's roots. It reuses no connection: those of a frozen process are closed when it
/// continues.
pub(crate) type HttpsClient = Client<HttpsConnector<HttpConnector>, Body>;

/// The client of this process. The first call reads the roots.
///
/// # Errors
/// If the system's TLS roots can't be read.
pub(crate) fn client() -> Result<HttpsClient, io::Error> {
    static CLIENT: OnceLock<HttpsClient> = OnceLock::new();
    if let Some(client) = CLIENT.get() {
        return Ok(client.clone());
    }
    let connector = HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().build();
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
    Ok(CLIENT.get_or_init(|| client).clone())
}
