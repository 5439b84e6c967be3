//! The connections of `serve`: accepts them, up to a limit, and serves HTTP/1 with limits for slow and large requests. When
//! it stops, it answers the requests that it has received.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use roompass::http::ReadBodyBy;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt;

use super::client::TrustedProxies;
use super::signals::Stop;
use super::stream::{Activity, LimitedStream, Timeouts};

/// How connections are served.
#[derive(Debug)]
pub(super) struct Connections {
    /// How many connections are open at most. Others wait in the system's queue.
    pub(super) max: u16,
    pub(super) proxies: TrustedProxies,
}

impl Connections {
    /// Serves until a stop signal, and then until all requests have their response, but not longer than
    /// [`GRACE_PERIOD`]. A second signal ends it at once.
    pub(super) async fn serve(self, listener: TcpListener, router: Router, stop: &mut Stop) {
        let slots = Arc::new(Semaphore::new(self.max.into()));
        let (stopping, _) = watch::channel(false);
        let proxies = Arc::new(self.proxies);
        let open = |(stream, peer), slot| {
            let client = Client { peer, proxies: proxies.clone(), router: router.clone() };
            tokio::spawn(connection(stream, client, stopping.subscribe(), slot));
        };
        let accepting = async {
            loop {
                // The semaphore is never closed.
                let Ok(slot) = slots.clone().acquire_owned().await else { continue };
                open(accepted(&listener).await, slot);
            }
        };
        tokio::select! {
            () = accepting => {}
            () = stop.signalled() => {}
        }
        // Connections that the system has accepted may have sent a request.
        while let Ok(slot) = slots.clone().try_acquire_owned()
            && let Ok(Ok(connection)) = timeout(Duration::ZERO, listener.accept()).await
        {
            open(connection, slot);
        }
        drop(listener);
        stopping.send_replace(true);
        tokio::select! {
            _ = slots.acquire_many(self.max.into()) => {}
            () = sleep(GRACE_PERIOD) => {
                let open = usize::from(self.max) - slots.available_permits();
                tracing::warn!(connections = open, "stopped before all requests had a response");
            }
            () = stop.signalled() => {}
        }
    }
}

/// The next connection. If the process has no more file descriptors, it waits until there may be one.
async fn accepted(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(connection) => return connection,
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!(cause = %error, "cannot accept connections");
                sleep(ACCEPT_AGAIN_AFTER).await;
            }
        }
    }
}

/// Whether the client has closed the connection before it was accepted.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// What serves the requests of a connection.
struct Client {
    peer: SocketAddr,
    proxies: Arc<TrustedProxies>,
    router: Router,
}

/// Serves one connection until it ends.
async fn connection(
    stream: TcpStream,
    client: Client,
    mut stopping: watch::Receiver<bool>,
    _slot: OwnedSemaphorePermit,
) {
    // A small response must not wait for more to send.
    let _ = stream.set_nodelay(true);
    let activity = Activity::default();
    let service = service_fn(|request| client.response(request, &activity));
    let stream = LimitedStream::new(stream, activity.clone(), TIMEOUTS);
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_TIMEOUT)
            .max_header_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service)
    );
    // Errors are those of the client, such as a closed connection or an invalid head.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopping.wait_for(|is_stopping| *is_stopping) => {}
    }
    if !activity.is_idle() {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

impl Client {
    async fn response(
        &self,
        request: Request<Incoming>,
        activity: &Activity,
    ) -> Result<Response<Body>, Infallible> {
        activity.request_started();
        let mut request = request.map(Body::new);
        self.proxies.identify(self.peer.ip(), &mut request);
        request.extensions_mut().insert(ReadBodyBy(Instant::now() + BODY_TIMEOUT));
        let response = self.router.clone().oneshot(request).await;
        activity.request_finished();
        response
    }
}

const TIMEOUTS: Timeouts = Timeouts { head: Duration::from_secs(10), write: Duration::from_secs(10) };
/// From the end of the head to the end of the body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection stays open without a request. Longer than that of common proxies (60 seconds), so that they close
/// first, and never send a request on a connection that is being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// The maximum size of a head, in bytes. A larger one gets 431 without a body.
const MAX_HEAD: usize = 32 * 1024;
/// How long requests may take after a stop signal.
const GRACE_PERIOD: Duration = Duration::from_secs(30);
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_secs(1);
