//! `roompass serve`: runs the service, on a laptop and in production.

mod banner;
mod client;
mod connections;
mod current;
mod metrics;
mod service;
mod signals;
mod stream;
mod warnings;
mod watched_file;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use axum::Router;
use axum::http::header::CACHE_CONTROL;
use axum::routing::get;
use clap::{Args, ValueEnum};
use roompass::config::{ConfigError, variable};
use roompass::log;
use tokio::net::TcpListener;

use crate::caller_file::InvalidCallerFile;
use crate::config_option::ConfigOption;
use banner::Banner;
use client::{Network, TrustedProxies};
use connections::Connections;
use current::Current;
use metrics::MetricsListener;
use service::Service;
use signals::{Hangup, Stop};

#[derive(Args)]
pub(crate) struct ServeOptions {
    #[command(flatten)]
    config: ConfigOption,
    /// The address to listen on; by default 127.0.0.1:3000, or the next free port
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    listen: Option<SocketAddr>,
    /// Let other machines connect although authentication is off: every client of the network gets tokens
    #[arg(long)]
    allow_unauthenticated_network_access: bool,
    /// A proxy, by address or network, whose X-Forwarded-For and X-Request-Id are used in the log; can be repeated
    #[arg(long = "trusted-proxy", value_name = "ADDRESS", value_delimiter = ',')]
    trusted_proxies: Vec<Network>,
    /// How many connections may be open
    #[arg(long, value_name = "NUMBER", default_value = "4096", value_parser = clap::value_parser!(u16).range(1..))]
    max_connections: u16,
    /// The format of the log
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log: LogFormat,
    /// Reload the configuration file when it changes
    #[arg(long)]
    watch: bool,
    /// Treat every request as the caller with the claims in this file
    #[arg(long, value_name = "FILE")]
    caller: Option<PathBuf>,
    /// The [[caller]] that the claims are for, if their iss doesn't match exactly one
    #[arg(long = "as", value_name = "NAME", requires = "caller")]
    named: Option<String>,
    /// Serve the page at / also if tokens are signed with your own keys: anyone on this machine can then get any token
    #[arg(long)]
    page: bool,
    /// Serve Prometheus' metrics at /metrics on this address, such as 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    metrics_listen: Option<SocketAddr>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    let local = port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let address = local.or_else(|| text.parse().ok());
    address.ok_or_else(|| "must be an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080".to_owned())
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Lines of text
    Text,
    /// One JSON object per line
    Json,
}

/// Why the service couldn't start, or stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error(
        "cannot listen on {address}: {reason}. Stop the program that uses it, or choose another address with --listen{}",
        such_as(*.free)
    )]
    Listen { address: SocketAddr, reason: io::Error, free: Option<SocketAddr> },
    #[error(
        "cannot listen on {address}: {reason}. Stop the program that uses it, or choose another address with --metrics-listen"
    )]
    MetricsListen { address: SocketAddr, reason: io::Error },
    #[error("ROOMPASS_METRICS: is for the function in Lambda: use --metrics-listen here")]
    MetricsOfFunction,
    #[error(transparent)]
    CallerFile(#[from] InvalidCallerFile),
    #[error(
        "other machines could connect, and authentication is off, because {0}, or listen on 127.0.0.1, or give every client \
         of the network access with --allow-unauthenticated-network-access"
    )]
    Exposed(&'static str),
    #[error(
        "the configuration has no [[caller]], so authentication would be off: add a [[caller]], or start again without one"
    )]
    TurnsAuthenticationOff,
    #[error("{0} is missing")]
    FileMissing(String),
    #[error(
        "--watch needs a configuration file: name it with --config, or create roompass.toml in this folder"
    )]
    NothingToWatch,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Serves until Ctrl-C or SIGTERM.
///
/// # Errors
/// If it can't start or the listener fails.
pub(crate) fn run(options: &ServeOptions) -> Result<(), ServeError> {
    let format = match options.log {
        LogFormat::Text => log::Format::text(),
        LogFormat::Json => log::Format::Json,
    };
    log::start(format, log::level(variable));
    let ip = options.listen.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip());
    let metrics = options.metrics_listen.map(MetricsListener::bind).transpose()?;
    let recorded = metrics.as_ref().map(MetricsListener::metrics).unwrap_or_default();
    let service = Service::load(options, ip, recorded.clone())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // A signal that arrives as soon as the program says that it listens must be handled.
        let (mut stop, hangup) = (Stop::listen()?, Hangup::listen()?);
        let listener = options.listener().await?;
        let banner = Banner {
            address: listener.local_addr()?,
            is_default: options.listen.is_none(),
            service: &service,
        };
        match options.log {
            LogFormat::Text => banner.print(),
            LogFormat::Json => banner.log(),
        }
        let current = Current::new(options, ip, recorded, service);
        if let Some(metrics) = metrics {
            metrics.start(current.key_ages())?;
        }
        let connections = Connections {
            max: options.max_connections,
            proxies: TrustedProxies(options.trusted_proxies.clone()),
        };
        let router = with_liveness(current.router());
        tokio::select! {
            () = connections.serve(listener, router, &mut stop) => {}
            never = current.follow(hangup) => match never {},
        }
        tracing::info!("stopped");
        Ok(())
    })
}

impl ServeOptions {
    async fn listener(&self) -> Result<TcpListener, ServeError> {
        let bind = async |address: SocketAddr| match TcpListener::bind(address).await {
            Ok(listener) => Ok(listener),
            Err(reason) => {
                let is_in_use = reason.kind() == io::ErrorKind::AddrInUse;
                let free = if is_in_use { free_port(address) } else { None };
                Err(ServeError::Listen { address, reason, free })
            }
        };
        let Some(address) = self.listen else {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT));
            return match bind(address).await {
                Err(ServeError::Listen { free: Some(free), .. }) => bind(free).await,
                result => result,
            };
        };
        bind(address).await
    }
}

/// The next address whose port is free, among the next nine.
fn free_port(taken: SocketAddr) -> Option<SocketAddr> {
    let ports = (1..10).filter_map(|more| taken.port().checked_add(more));
    let mut addresses = ports.map(|port| SocketAddr::new(taken.ip(), port));
    addresses.find(|address| std::net::TcpListener::bind(address).is_ok())
}

/// `GET /livez` returns 200 as long as the process serves requests. Health checks of other routes depend on the keys.
fn with_liveness(service: Router) -> Router {
    let answer = async || ([(CACHE_CONTROL, "no-store")], "ok\n");
    Router::new().route("/livez", get(answer)).fallback_service(service)
}

fn such_as(free: Option<SocketAddr>) -> String {
    free.map_or_else(String::new, |free| format!(", such as {free}"))
}

const DEFAULT_PORT: u16 = 3000;
