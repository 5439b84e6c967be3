//! `roompass serve`: runs the service on this machine.

mod banner;
mod warnings;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use clap::{Args, ValueEnum};
use roompass::auth::Caller;
use roompass::config::{Config, ConfigError, caller_keys, read_policy, variable};
use roompass::http::Hosts;
use roompass::log;
use roompass::reload::{Parts, PolicyFile, Reloading};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::caller_file::{self, InvalidCallerFile};
use crate::config_option::ConfigOption;
use crate::development::{self, Loaded, PolicySource};
use crate::page::TryPage;
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
    /// Serve the page at / also if tokens are signed with your own keys: anyone on this machine can then get any token
    #[arg(long)]
    page: bool,
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
    let Loaded { config, policy, sources, policy_file } = development::load_sources(&environment)?;
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
    let warnings =
        warnings::all(&authentication, &environment, &config, &keys, &caller_keys(&config, &keys)?);
    let always = match authentication {
        Authentication::AlwaysAs(caller) => Some(caller),
        Authentication::Configured | Authentication::Off => None,
    };
    let has_page = !is_exposed && (options.page || !development::has_private_keys(&environment.keys));
    let page = if has_page {
        Some(TryPage {
            file: development::edited_file(&environment),
            text: match &policy_file {
                Some(file) => read_policy(file)?,
                None => sources.text().to_owned(),
            },
            is_policy: policy_file.is_some(),
            is_development: policy == PolicySource::Development,
            environment: options.config.environment()?,
            sources: sources.clone(),
            config: config.clone(),
        })
    } else {
        None
    };
    let with_page = |service: Router| match page {
        Some(page) => page.in_front_of(service),
        None => service,
    };
    let parts = Parts {
        sources,
        place: policy_file.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
        keys: Box::new(move |config| development::service_keys(&environment, config)),
        always: always.clone(),
        hosts: if needs_protection { Hosts::ThisMachine } else { Hosts::Any },
        mint: roompass::mint::token,
        surroundings: roompass::system::context,
        shown: Some(config.version.clone()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(options.listen)
            .await
            .map_err(|reason| ServeError::Listen { address: options.listen, reason })?;
        let address = listener.local_addr()?;
        let place = policy_file.as_ref().map(|path| path.display().to_string());
        let banner = Banner {
            address,
            config: &config,
            has_page,
            policy: place.as_deref(),
            keys: &keys,
            warnings: &warnings,
            always: always.as_ref(),
        };
        match options.log {
            LogFormat::Text => banner.print(),
            LogFormat::Json => banner.log(),
        }
        match policy_file {
            None => serve(listener, with_page(parts.fixed(config)?.0)).await,
            Some(file) => {
                let policy = Arc::new(Reloading::new(Box::new(PolicyFile(file.clone())), parts)?);
                tokio::select! {
                    served = serve(listener, with_page(policy.router())) => served,
                    never = reload_when_changed(&file, &policy) => match never {},
                }
            }
        }
    })
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

/// The time between two looks at the file of the policy.
const POLL: Duration = Duration::from_millis(500);

/// Reloads the policy when its file changes. The log has the outcome.
async fn reload_when_changed(file: &Path, policy: &Reloading) -> Infallible {
    policy.reload(&roompass::system::context()).await;
    let mut known = read_policy(file).ok();
    let mut last = known.clone();
    loop {
        tokio::time::sleep(POLL).await;
        let text = read_policy(file).ok();
        // A file that is just being written has another text the next time.
        if text == last && text != known {
            policy.reload(&roompass::system::context()).await;
            known = text.clone();
        }
        last = text;
    }
}

async fn serve(listener: TcpListener, router: Router) -> Result<(), ServeError> {
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
