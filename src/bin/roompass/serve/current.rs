//! Replaces the service while requests are served: on `SIGHUP`, and when a watched file changes.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use roompass::config::ConfigError;
use roompass::domain::Project;
use roompass::metrics::Metrics;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tower::ServiceExt;

use super::service::{Service, Serving};
use super::signals::Hangup;
use super::watched_file::WatchedFile;
use super::{ServeError, ServeOptions};

/// The service that serves at the moment.
pub(super) struct Current<'a> {
    options: &'a ServeOptions,
    /// The listener's address.
    address: IpAddr,
    /// Where requests are recorded, before and after a reload.
    metrics: Metrics,
    service: Service,
    serving: watch::Sender<Serving>,
}

impl<'a> Current<'a> {
    pub(super) fn new(
        options: &'a ServeOptions,
        address: IpAddr,
        metrics: Metrics,
        service: Service,
    ) -> Self {
        Self { options, address, metrics, serving: watch::Sender::new(service.serving.clone()), service }
    }

    /// Passes each request to the service that is current when it arrives.
    pub(super) fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.serving.subscribe())
    }

    /// Returns the ages of the current signing keys at a time.
    pub(super) fn key_ages(&self) -> impl Fn(u64) -> Vec<(Project, u64)> + Clone + Send + Sync + 'static {
        let serving = self.serving.subscribe();
        move |now| serving.borrow().key_ages(now)
    }

    /// Reloads what changes.
    pub(super) async fn follow(mut self, mut hangup: Hangup) -> Infallible {
        if let Some((_, policy)) = &self.service.policy {
            policy.reload(&roompass::system::context()).await;
        }
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let watches = self.options.watch || self.service.policy.is_some();
            tokio::select! {
                () = hangup.signalled() => self.reload().await,
                _ = poll.tick(), if watches => self.reload_if_changed().await,
            }
        }
    }

    async fn reload_if_changed(&mut self) {
        let config = self.service.config_file.as_mut().filter(|_| self.options.watch);
        if config.is_some_and(WatchedFile::has_changed) {
            self.reload().await;
        } else if let Some((file, policy)) = &mut self.service.policy
            && file.has_changed()
        {
            policy.reload(&roompass::system::context()).await;
        }
    }

    /// Loads everything again, and logs the outcome. If something can't be loaded, the service stays as it is.
    async fn reload(&mut self) {
        let loaded = Service::load(self.options, self.address, self.metrics.clone());
        let service = match loaded.and_then(|service| service.may_replace(&self.service).map(|()| service)) {
            Ok(service) => service,
            Err(ServeError::Config(error)) => return log_mistakes(&error),
            Err(error) => {
                return tracing::error!(cause = %error, "reload failed; using the previous configuration");
            }
        };
        let is_new = |warning: &&String| !self.service.warnings.contains(warning);
        service.warnings.iter().filter(is_new).for_each(|warning| tracing::warn!("{warning}"));
        let version = &service.config.version;
        tracing::info!(version, previous = self.service.config.version, "configuration reloaded");
        if let Some((_, policy)) = &service.policy {
            policy.reload(&roompass::system::context()).await;
        }
        self.serving.send_replace(service.serving.clone());
        self.service = service;
    }
}

fn log_mistakes(error: &ConfigError) {
    for cause in error.lines() {
        tracing::error!(cause, "reload failed; using the previous configuration");
    }
}

async fn answer(State(current): State<watch::Receiver<Serving>>, request: Request) -> Response {
    let router = current.borrow().router.clone();
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// The time between two looks at the files.
const POLL: Duration = Duration::from_millis(500);
