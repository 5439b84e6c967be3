//! `roompass serve`: runs the service on this machine.

mod banner;
mod warnings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use roompass::auth::{Caller, CallerKeys, Callers};
use roompass::config::{Config, ConfigError, caller_keys, variable};
use roompass::http::Hosts;
use roompass::keys::{Keys, Projects};
use roompass::{http, log};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::caller_file::{self, InvalidCallerFile};
use crate::config_option::ConfigOption;
use crate::development::{self, PolicySource, StoreOnLaptop};
use banner::Banner;

#[derive(Args)]
pub(crate) struct ServeOptions {
    #[command(flatten)]
    config: ConfigOption,
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// The format of the log
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log: LogFormat,
    /// Treat every request as the caller with the claims in this file
    #[arg(long, value_name = "FILE")]
    caller: Option<PathBuf>,
    /// The [[caller]] that the claims are for, if their iss doesn't match exactly one
    #[arg(long = "as", value_name = "NAME", requires = "caller")]
    named: Option<String>,
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
    #[error(transparent)]
    StoreOnLaptop(#[from] StoreOnLaptop),
    #[error(
        "cannot listen on {address}: {reason}. Stop the program that uses it, or choose another address with --listen"
    )]
    Listen { address: SocketAddr, reason: std::io::Error },
    #[error(transparent)]
    CallerFile(#[from] InvalidCallerFile),
    #[error(
        "--caller turns authentication off, so only this machine may connect: listen on 127.0.0.1, or leave --listen out"
    )]
    CallerExposed,
    #[error(
        "without a [[caller]] authentication is off, and your keys sign tokens, so only this machine may connect: add a [[caller]] \
         (docs/authentication.md), or listen on 127.0.0.1, or leave --listen out"
    )]
    PrivateKeysExposed,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// How requests are authenticated.
#[derive(PartialEq)]
enum Authentication {
    /// By the configured callers.
    Configured,
    /// Not at all: every request counts as the caller of `--caller`.
    AlwaysAs(Caller),
    /// Not at all, because no caller is configured.
    Off,
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
    let environment = options.config.environment()?;
    let (config, policy) = development::load(&environment)?;
    let authentication = options.authentication(&config, policy)?;
    let is_exposed = !options.listen.ip().is_loopback();
    let needs_protection = match authentication {
        Authentication::Configured => false,
        Authentication::AlwaysAs(_) => true,
        Authentication::Off => development::has_private_keys(&environment.keys),
    };
    if needs_protection && is_exposed {
        return Err(ServeError::PrivateKeysExposed);
    }
    let keys = development::keys(&environment, config.policy.rules())?;
    let caller_keys = caller_keys(&config, &keys)?;
    let warnings = warnings::all(&authentication, &environment, &config, &keys, &caller_keys);
    let hosts = if needs_protection { Hosts::ThisMachine } else { Hosts::Any };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(options, authentication, config, (keys, caller_keys), &warnings, hosts))
}

impl ServeOptions {
    fn authentication(&self, config: &Config, policy: PolicySource) -> Result<Authentication, ServeError> {
        match (&self.caller, policy) {
            (None, PolicySource::Configured) => Ok(Authentication::Configured),
            (None, PolicySource::Development) => Ok(Authentication::Off),
            (Some(_), _) if !self.listen.ip().is_loopback() => Err(ServeError::CallerExposed),
            (Some(_), PolicySource::Development) => Err(InvalidCallerFile::NoCallers.into()),
            (Some(file), PolicySource::Configured) => {
                let caller = caller_file::caller(file, self.named.as_deref(), &config.callers)?;
                Ok(Authentication::AlwaysAs(caller))
            }
        }
    }
}

async fn serve(
    options: &ServeOptions,
    authentication: Authentication,
    config: Config,
    (keys, caller_keys): (Projects, CallerKeys),
    warnings: &[String],
    hosts: Hosts,
) -> Result<(), ServeError> {
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|reason| ServeError::Listen { address: options.listen, reason })?;
    let always = match authentication {
        Authentication::AlwaysAs(caller) => Some(caller),
        Authentication::Configured | Authentication::Off => None,
    };
    let address = listener.local_addr()?;
    let banner = Banner { address, config: &config, keys: &keys, warnings, always: always.as_ref() };
    match options.log {
        LogFormat::Text => banner.print(),
        LogFormat::Json => banner.log(),
    }
    let callers = always.map_or_else(|| Callers::new(config.callers.clone()), Callers::always);
    let keys = Keys::given(keys, caller_keys);
    let router =
        http::router_for(callers, hosts, config, keys, roompass::mint::token, roompass::system::context);
    let (sender, receiver) = tokio::sync::watch::channel(());
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        stop_signal().await;
        drop(sender);
    });
    tokio::select! {
        served = serving => served?,
        () = grace_period(receiver) => {}
    }
    tracing::info!("stopped");
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
async fn stop_signal() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Waits for two seconds after the stop signal, so that an incomplete request can't keep the process running.
async fn grace_period(mut stopping: tokio::sync::watch::Receiver<()>) {
    while stopping.changed().await.is_ok() {}
    tokio::time::sleep(Duration::from_secs(2)).await;
}
