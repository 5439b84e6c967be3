//! The listener for Prometheus, at `/metrics`. It is separate from the service's, because the metrics have the names of
//! callers, rules and projects, which clients of the service must not read.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::middleware::from_fn;
use axum::routing::get;
use roompass::domain::Project;
use roompass::metrics::Metrics;
use roompass::metrics::prometheus::{CONTENT_TYPE, Prometheus};
use tokio::net::TcpListener;

use super::ServeError;
use super::client::TrustedProxies;
use super::connections::Connections;
use super::signals::Stop;
use crate::this_machine;

/// Where the metrics are served, and what they are.
pub(super) struct MetricsListener {
    listener: std::net::TcpListener,
    address: SocketAddr,
    prometheus: Arc<Prometheus>,
}

impl MetricsListener {
    /// Listens on this address.
    ///
    /// # Errors
    /// If that isn't possible.
    pub(super) fn bind(address: SocketAddr) -> Result<Self, ServeError> {
        let bound = || {
            let listener = std::net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(Self { address: listener.local_addr()?, listener, prometheus: Arc::default() })
        };
        bound().map_err(|reason| ServeError::MetricsListen { address, reason })
    }

    /// What requests are recorded in.
    pub(super) fn metrics(&self) -> Metrics {
        Metrics::recorded_by(self.prometheus.clone())
    }

    /// Serves the metrics until the program ends. `ages` returns the ages of the signing keys at a time.
    ///
    /// # Errors
    /// If the listener can't be used.
    pub(super) fn start(
        self,
        ages: impl Fn(u64) -> Vec<(Project, u64)> + Clone + Send + Sync + 'static,
    ) -> Result<(), ServeError> {
        let Self { listener, address, prometheus } = self;
        let listener = TcpListener::from_std(listener)?;
        let text = move || async move {
            let text = prometheus.text(&ages(roompass::system::context().now));
            ([(header::CONTENT_TYPE, CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")], text)
        };
        let mut router = Router::new().route("/metrics", get(text));
        if address.ip().is_loopback() {
            router = router.layer(from_fn(this_machine::only));
        }
        tracing::info!(%address, "serving metrics");
        let connections = Connections { max: MAX_CONNECTIONS, proxies: TrustedProxies::default() };
        let mut stop = Stop::listen()?;
        tokio::spawn(async move { connections.serve(listener, router, &mut stop).await });
        Ok(())
    }
}

/// More than the servers that fetch metrics need.
const MAX_CONNECTIONS: u16 = 16;
