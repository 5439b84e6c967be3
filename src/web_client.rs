//! The HTTPS client, for issuers and for the requests of the command.

use std::io;

use axum::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// A client that trusts the system's roots. It reuses no connection: those of a frozen process are closed when it
/// continues.
pub(crate) type HttpsClient = Client<HttpsConnector<HttpConnector>, Body>;

/// # Errors
/// If the system's TLS roots can't be read.
pub(crate) fn client() -> Result<HttpsClient, io::Error> {
    let connector = HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().build();
    Ok(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector))
}
