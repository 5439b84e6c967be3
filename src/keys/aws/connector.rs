//! The AWS SDK's HTTP client: the one that also fetches issuers' keys.

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use axum::body::Body;
use http_body_util::Limited;

use crate::web_client;

/// Sends each request on a new connection. The SDK's own client would reuse connections, and those of a frozen process are
/// closed when it continues.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(send(request))
    }
}

async fn send(request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let client = web_client::client().map_err(|error| ConnectorError::io(error.into()))?;
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let response = client.request(request.map(Body::new)).await;
    let response = response.map_err(|error| ConnectorError::io(error.into()))?;
    let response = response.map(|body| SdkBody::from_body_1_x(Limited::new(body, MAX_SIZE)));
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}

/// A response with a secret of 64 KiB is smaller, also if each of its characters is escaped.
const MAX_SIZE: usize = 1024 * 1024;
