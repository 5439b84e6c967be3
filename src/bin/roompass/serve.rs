//! `roompass serve`: the whole service on this machine, with nothing installed but Rust.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use roompass::auth::{Caller, CallerKeys, Callers};
use roompass::config::{
    Config, ConfigError, Dialect, Environment, KeySource, Origin, callers_keys, warnings,
};
use roompass::dialect::{Routes, Row};
use roompass::domain::{Provider, ServerUrl};
use roompass::http::Hosts;
use roompass::keys::{Deployment, Keys, LiveKitKeys, SigningKeys};
use roompass::{http, log, url};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::caller_file::{self, InvalidCallerFile};
use crate::development::{self, Policy};
use crate::sample;
use crate::screen::Page;

#[derive(Args)]
pub(crate) struct Options {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// How the log is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log: LogFormat,
    /// Treat every request as the caller with the claims in this file
    #[arg(long, value_name = "FILE")]
    caller: Option<PathBuf>,
    /// The [[caller]] that the claims are for, where their iss doesn't say
    #[arg(long = "as", value_name = "NAME", requires = "caller")]
    named: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// Why serving couldn't start, or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error(
        "ROOMPASS_SECRET_ID is for the function in Lambda: set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET here"
    )]
    SecretOnLaptop,
    #[error(
        "cannot listen on {address}: {reason}. Stop the program that uses it, or choose another address with --listen"
    )]
    Listen { address: SocketAddr, reason: std::io::Error },
    #[error(transparent)]
    CallerFile(#[from] InvalidCallerFile),
    #[error(
        "--caller turns authentication off, so only this machine may connect: listen on 127.0.0.1, or leave --listen out"
    )]
    CallerBeyondThisMachine,
    #[error(
        "without a [[caller]] authentication is off, and your keys sign, so only this machine may connect: add a [[caller]] \
         (docs/authentication.md), or listen on 127.0.0.1, or leave --listen out"
    )]
    OwnKeysBeyondThisMachine,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

pub(crate) fn run(options: &Options) -> Result<(), ServeError> {
    let format = match options.log {
        LogFormat::Text => log::Format::for_people(),
        LogFormat::Json => log::Format::Json,
    };
    log::start(format, log::level(|name| std::env::var(name).ok()));
    let environment = Environment::of_this_process(Deployment::Local)?;
    let (config, policy) = development::load(&environment)?;
    let open = policy == Policy::Development;
    let everyone = match &options.caller {
        None => None,
        Some(_) if !options.listen.ip().is_loopback() => return Err(ServeError::CallerBeyondThisMachine),
        Some(_) if policy == Policy::Development => return Err(InvalidCallerFile::NoCallers.into()),
        Some(file) => Some(caller_file::caller(file, options.named.as_deref(), &config.callers)?),
    };
    let own_keys = development::are_worth_something(&environment.keys);
    if open && own_keys && !options.listen.ip().is_loopback() {
        return Err(ServeError::OwnKeysBeyondThisMachine);
    }
    let for_livekit = warnings::serves(&config, Provider::LiveKit);
    let warning = warning(open, everyone.as_ref(), for_livekit, &environment.keys);
    let no_server = no_server(&environment).filter(|_| for_livekit);
    let development =
        || LiveKitKeys::development(environment.server.clone().unwrap_or_else(ServerUrl::development));
    let keys = match environment.keys {
        KeySource::Given(keys) if keys.livekit().is_ok() => keys,
        KeySource::Given(keys) => keys.with_livekit(development()),
        KeySource::Secret(_) => return Err(ServeError::SecretOnLaptop),
        KeySource::Unset => development().into(),
    };
    let callers_keys = callers_keys(&config, |name| std::env::var(name).ok())?;
    let mut warnings: Vec<_> = warning.into_iter().chain(no_server).chain(warnings::of_keys(&keys)).collect();
    warnings.extend(warnings::of_config(&config));
    if everyone.is_none() {
        warnings.extend(warnings::of_callers(&config, &callers_keys));
    }
    if open && config.cors.origins == Origin::of_this_machine() {
        warnings.push(
            "only web pages of this machine may read responses, because the keys are not LiveKit's development keys: set \
             ROOMPASS_CORS_ORIGINS to allow other origins"
                .to_owned(),
        );
    }
    // Without callers all dialects are served, and few are meant to be used.
    if !open || !for_livekit {
        warnings.extend(warnings::of_dialects(&config, &keys));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let hosts = if everyone.is_some() || (open && own_keys) { Hosts::ThisMachine } else { Hosts::Any };
    runtime.block_on(serve(options, everyone, config, (keys, callers_keys), warnings, hosts))
}

async fn serve(
    options: &Options,
    everyone: Option<Caller>,
    config: Config,
    (keys, callers_keys): (SigningKeys, CallerKeys),
    warnings: Vec<String>,
    hosts: Hosts,
) -> Result<(), ServeError> {
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|reason| ServeError::Listen { address: options.listen, reason })?;
    let address = listener.local_addr()?;
    let url = format!("http://{address}{}", config.http.base_path.as_str());
    let try_it = sample::curl(&url, &config, everyone.as_ref());
    let livekit = config.dialects.iter().map(|dialect| Row::of(*dialect));
    let livekit = livekit.into_iter().find(|row| row.provider == Provider::LiveKit);
    let paths = livekit.map(|row| {
        let routes = Routes::new(&[row.dialect], "");
        routes.served().map(|(_, path)| path).collect::<Vec<_>>().join(" or ")
    });
    let dialects = config.dialects.clone();
    let pages = pages(&config.cors.origins);
    let notes = Notes { pages, address, url, paths, dialects, warnings, try_it, keys: keys.clone() };
    match options.log {
        LogFormat::Text => notes.print(),
        LogFormat::Json => notes.log(),
    }
    let callers = everyone.map_or_else(|| Callers::new(config.callers.clone()), Callers::always);
    let keys = Keys::given(keys, callers_keys);
    let router =
        http::router_for(callers, hosts, config, keys, roompass::mint::token, roompass::system::context);
    let (ending, ended) = tokio::sync::watch::channel(());
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        asked_to_end().await;
        drop(ending);
    });
    tokio::select! {
        served = serving => served?,
        () = overdue(ended) => {}
    }
    tracing::info!("stopped");
    Ok(())
}

/// Ctrl-C, or the signal that service managers send.
async fn asked_to_end() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Two seconds after the end was asked for, for a client that keeps its request half sent.
async fn overdue(mut ended: tokio::sync::watch::Receiver<()>) {
    while ended.changed().await.is_ok() {}
    tokio::time::sleep(Duration::from_secs(2)).await;
}

/// What a person wants to know when it has started.
struct Notes {
    address: SocketAddr,
    url: String,
    /// The routes of the first dialect of LiveKit's, if one is served.
    paths: Option<String>,
    dialects: Vec<Dialect>,
    warnings: Vec<String>,
    try_it: Result<String, &'static str>,
    keys: SigningKeys,
    /// The allowed CORS origins.
    pages: String,
}

impl Notes {
    fn print(&self) {
        let Self { url, keys, .. } = self;
        let mut page = Page::default();
        page.line(format!("Roompass {} listening on {url}", env!("CARGO_PKG_VERSION")));
        match &self.paths {
            Some(paths) => {
                page.line(format!(
                    "  POST {paths} returns a LiveKit token; GET /healthz is the health check"
                ));
            }
            None => page.line("  GET /healthz is the health check"),
        }
        if self.dialects != [Dialect::Standard] {
            let names: Vec<_> = self.dialects.iter().map(|dialect| dialect.as_str()).collect();
            page.line(format!("  dialects: {} (docs/migrate.md lists their routes)", names.join(", ")));
        }
        if let (Ok(livekit), Some(_)) = (keys.livekit(), &self.paths) {
            let server = url::shown(livekit.server.as_str());
            page.line(format!("  LiveKit server: {server}, API key: {}", livekit.api_key));
        }
        if let Ok(agora) = keys.agora() {
            page.line(format!("  Agora app: {}", agora.app_id));
        }
        page.line(format!("  allowed CORS origins: {}", self.pages));
        for warning in &self.warnings {
            page.line(format!("Warning: {warning}"));
        }
        match &self.try_it {
            Ok(curl) => {
                page.line("Try it:");
                page.line(format!("  {curl}"));
            }
            Err(why) => page.line(why),
        }
        page.line("Press Ctrl-C to stop.");
        page.print();
    }

    fn log(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        let livekit = self.keys.livekit().ok();
        tracing::info!(
            address = %self.address,
            server = livekit.map(|keys| url::shown(keys.server.as_str())).as_deref(),
            key = livekit.map(|keys| keys.api_key.as_str()),
            agora_app = self.keys.agora().ok().map(|keys| keys.app_id.as_str()),
            origins = self.pages,
            try_it = self.try_it.as_deref().ok(),
            "listening"
        );
    }
}

/// The origins, in words.
fn pages(origins: &[Origin]) -> String {
    if origins.contains(&Origin::Any) {
        "any".to_owned()
    } else if origins.is_empty() {
        "none".to_owned()
    } else if origins == Origin::of_this_machine() {
        "this machine".to_owned()
    } else {
        origins.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// What must not be exposed to the internet, in one line.
fn warning(open: bool, everyone: Option<&Caller>, for_livekit: bool, keys: &KeySource) -> Option<String> {
    let everyone = everyone.map(|caller| {
        let subject = caller.subject.as_deref().unwrap_or("a caller without a subject");
        format!("every request counts as {subject}, because of --caller")
    });
    let callers = open.then(|| "authentication is off, because no [[caller]] is configured".to_owned());
    let development = match keys {
        KeySource::Given(keys) if keys.livekit().is_ok() => keys.is_development_pair(),
        _ => for_livekit,
    };
    let for_agora = matches!(keys, KeySource::Given(keys) if keys.agora().is_ok());
    let agora = (open && for_agora).then(|| "every client gets valid Agora tokens".to_owned());
    let keys = development.then(|| "tokens are signed with LiveKit's public development key".to_owned());
    let why: Vec<_> = everyone.or(callers).into_iter().chain(agora).chain(keys).collect();
    let remedy =
        if open { " To turn authentication on, add a [[caller]] (docs/authentication.md)." } else { "" };
    (!why.is_empty()).then(|| {
        format!("development mode: {}. Do not expose it to the internet.{remedy}", why.join(", and "))
    })
}

/// That clients are sent to the development server, while the keys are for another.
fn no_server(environment: &Environment) -> Option<String> {
    let own = matches!(&environment.keys, KeySource::Given(keys) if keys.livekit().is_ok() && !keys.is_development_pair());
    (own && environment.server.is_none()).then(|| {
        format!(
            "LIVEKIT_URL is not set, so clients connect to {}: set it to the server that LIVEKIT_API_KEY is for",
            ServerUrl::development().as_str()
        )
    })
}
