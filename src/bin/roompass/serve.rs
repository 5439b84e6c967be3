//! `roompass serve`: the whole service on this machine, with nothing installed but Rust.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::middleware::from_fn;
use clap::{Args, ValueEnum};
use roompass::auth::{Caller, Callers};
use roompass::config::{
    Config, ConfigError, Dialect, Environment, KeySource, Origin, callers_keys, warnings,
};
use roompass::domain::operating_system_randomness;
use roompass::keys::{CallerKeys, Deployment, Keys, LiveKitKeys, ServerUrl, SigningKeys};
use roompass::{dialect, http, log, url};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::development::{self, Policy};
use crate::host;
use crate::screen::Page;
use crate::somebody::{self, NotSomebody};
use crate::try_it;

#[derive(Args)]
pub(crate) struct Options {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// How the log is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log: LogFormat,
    /// Be somebody: a file with the claims that everybody who asks then has
    #[arg(long, value_name = "FILE")]
    caller: Option<PathBuf>,
    /// Which [[caller]] that is, where the claims' iss doesn't say
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

/// By which names it may be asked.
#[derive(Clone, Copy)]
enum Hosts {
    Any,
    OfThisMachine,
}

/// Why serving couldn't start, or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(
        "ROOMPASS_SECRET_ID is for the function in Lambda: set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET here"
    )]
    SecretOnLaptop,
    #[error("{address} can't be listened on ({reason}): stop what uses it, or choose another with --listen")]
    Listen { address: SocketAddr, reason: std::io::Error },
    #[error(transparent)]
    Somebody(#[from] NotSomebody),
    #[error(
        "--caller lets everybody be somebody, so it listens on this machine alone: leave --listen out, or listen on 127.0.0.1"
    )]
    SomebodyForEverybody,
    #[error(
        "without a [[caller]] anybody gets tokens by your keys, so it listens on this machine alone: write a [[caller]] \
         (docs/secure.md), or leave --listen out, or listen on 127.0.0.1"
    )]
    OwnKeysForEverybody,
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
    let somebody = match &options.caller {
        None => None,
        Some(_) if !options.listen.ip().is_loopback() => return Err(ServeError::SomebodyForEverybody),
        Some(_) if policy == Policy::Development => return Err(NotSomebody::NobodyConfigured.into()),
        Some(file) => Some(somebody::caller(file, options.named.as_deref(), &config.callers)?),
    };
    let own_keys = development::are_ones_own(&environment.keys);
    if open && own_keys && !options.listen.ip().is_loopback() {
        return Err(ServeError::OwnKeysForEverybody);
    }
    let for_livekit = config.dialects.iter().any(|dialect| *dialect != Dialect::Agora);
    let warning = warning(open, somebody.as_ref(), for_livekit, &environment.keys);
    let nowhere = nowhere_of_ones_own(&environment).filter(|_| for_livekit);
    let development =
        || LiveKitKeys::development(environment.server.clone().unwrap_or_else(ServerUrl::development));
    let keys = match environment.keys {
        KeySource::Given(keys) if keys.livekit().is_ok() => keys,
        KeySource::Given(keys) => keys.with_livekit(development()),
        KeySource::Secret(_) => return Err(ServeError::SecretOnLaptop),
        KeySource::Unset => development().into(),
    };
    let callers_keys = callers_keys(&config, |name| std::env::var(name).ok())?;
    let mut warnings: Vec<_> = warning.into_iter().chain(nowhere).chain(warnings::of_keys(&keys)).collect();
    warnings.extend(warnings::of_config(&config));
    if somebody.is_none() {
        warnings.extend(warnings::of_callers(&config, &callers_keys));
    }
    if open && config.cors.origins == Origin::of_this_machine() {
        warnings.push(
            "web pages read tokens only if this machine serves them, since the keys are no development keys: \
             set ROOMPASS_CORS_ORIGINS to let others in"
                .to_owned(),
        );
    }
    // While nobody is configured all are served, and nobody means to use them all.
    if !open || !for_livekit {
        warnings.extend(warnings::of_dialects(&config, &keys));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let hosts = if somebody.is_some() || (open && own_keys) { Hosts::OfThisMachine } else { Hosts::Any };
    runtime.block_on(serve(options, somebody, config, (keys, callers_keys), warnings, hosts))
}

async fn serve(
    options: &Options,
    somebody: Option<Caller>,
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
    let try_it = try_it::curl(&url, &config, somebody.as_ref());
    let paths = config.dialects.iter().find_map(|dialect| {
        let paths: Vec<_> = dialect::routes(*dialect).iter().map(|route| route.path).collect();
        (!paths.is_empty()).then(|| paths.join(" or "))
    });
    let dialects = config.dialects.clone();
    let pages = pages(&config.cors.origins);
    let notes = Notes { pages, address, url, paths, dialects, warnings, try_it, keys: keys.clone() };
    match options.log {
        LogFormat::Text => notes.print(),
        LogFormat::Json => notes.log(),
    }
    let callers = somebody.map_or_else(|| Callers::new(config.callers.clone()), Callers::everybody_is);
    let router =
        http::router_for(callers, config, Keys::given(keys, callers_keys), operating_system_randomness);
    let router = match hosts {
        Hosts::Any => router,
        Hosts::OfThisMachine => router.layer(from_fn(host::of_this_machine)),
    };
    let (ending, ended) = tokio::sync::watch::channel(());
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        asked_to_end().await;
        drop(ending);
    });
    tokio::select! {
        served = serving => served?,
        () = overdue(ended) => {}
    }
    tracing::info!("ended");
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
    /// Where the first dialect of LiveKit's answers, if one is served.
    paths: Option<String>,
    dialects: Vec<Dialect>,
    warnings: Vec<String>,
    try_it: Result<String, &'static str>,
    keys: SigningKeys,
    /// The web pages that may read the answers, in words.
    pages: String,
}

impl Notes {
    fn print(&self) {
        let Self { url, keys, .. } = self;
        let mut page = Page::default();
        page.line(format!("Roompass {} listens on {url}", env!("CARGO_PKG_VERSION")));
        match &self.paths {
            Some(paths) => {
                page.line(format!(
                    "  POST {paths} answers a LiveKit token, GET /healthz says whether it can"
                ));
            }
            None => page.line("  GET /healthz says whether it can answer tokens"),
        }
        if self.dialects != [Dialect::Standard] {
            let names: Vec<_> = self.dialects.iter().map(|dialect| dialect.as_str()).collect();
            page.line(format!("  dialects: {} (docs/migrate.md has each one's routes)", names.join(", ")));
        }
        if let (Ok(livekit), Some(_)) = (keys.livekit(), &self.paths) {
            page.line(format!(
                "  tokens are for {}, signed with the key {}",
                url::shown(livekit.server.as_str()),
                livekit.api_key
            ));
        }
        if let Ok(agora) = keys.agora() {
            page.line(format!("  Agora's are for the app {}", agora.app_id));
        }
        page.line(format!("  web pages that may read the answers: {} ([cors] origins)", self.pages));
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
        page.line("Ctrl-C ends it.");
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
            pages = self.pages,
            try_it = self.try_it.as_deref().ok(),
            "listening"
        );
    }
}

/// The pages of these origins, in words.
fn pages(origins: &[Origin]) -> String {
    if origins.contains(&Origin::Any) {
        "any".to_owned()
    } else if origins.is_empty() {
        "none".to_owned()
    } else if origins == Origin::of_this_machine() {
        "those of this machine".to_owned()
    } else {
        origins.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// What makes it no service for the internet, in one line.
fn warning(open: bool, somebody: Option<&Caller>, for_livekit: bool, keys: &KeySource) -> Option<String> {
    let somebody = somebody.map(|caller| {
        let subject = caller.subject.as_deref().unwrap_or("nobody in particular");
        format!("takes everybody for {subject}, because of --caller")
    });
    let callers =
        open.then(|| "lets anyone in as whoever they say, because no [[caller]] is configured".to_owned());
    let development = match keys {
        KeySource::Given(keys) if keys.livekit().is_ok() => keys.is_development_pair(),
        _ => for_livekit,
    };
    let for_agora = matches!(keys, KeySource::Given(keys) if keys.agora().is_ok());
    let agora = (open && for_agora).then(|| "gives anybody real Agora tokens".to_owned());
    let keys = development.then(|| "signs with LiveKit's public development key".to_owned());
    let why: Vec<_> = somebody.or(callers).into_iter().chain(agora).chain(keys).collect();
    let remedy = if open { ": a [[caller]] locks it (docs/secure.md)" } else { "" };
    (!why.is_empty())
        .then(|| format!("development mode: it {}. Not for the internet{remedy}.", why.join(", and ")))
}

/// That keys of one's own are for a server somewhere, and clients are sent to none.
fn nowhere_of_ones_own(environment: &Environment) -> Option<String> {
    let own = matches!(&environment.keys, KeySource::Given(keys) if keys.livekit().is_ok() && !keys.is_development_pair());
    (own && environment.server.is_none()).then(|| {
        format!(
            "LIVEKIT_URL isn't set, so clients are sent to {}: set it to the server that LIVEKIT_API_KEY is for",
            ServerUrl::development().as_str()
        )
    })
}
