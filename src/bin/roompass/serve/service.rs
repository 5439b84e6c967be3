//! The service as the configuration, the keys and the policy are now. It can be loaded again while the old one serves.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use roompass::auth::Caller;
use roompass::config::{Config, caller_keys, read_policy};
use roompass::domain::Project;
use roompass::http::Hosts;
use roompass::keys::{Keys, Projects};
use roompass::metrics::Metrics;
use roompass::reload::{Parts, PolicyFile, Reloading};

use super::watched_file::WatchedFile;
use super::{ServeError, ServeOptions, warnings};
use crate::caller_file::{self, InvalidCallerFile};
use crate::development::{self, Loaded, PolicySource};
use crate::page::TryPage;

/// The service, and what is shown of it.
pub(super) struct Service {
    pub(super) serving: Serving,
    /// The policy that is read at run time, and its file.
    pub(super) policy: Option<(WatchedFile, Arc<Reloading>)>,
    /// The file of the configuration. `None` if that is compiled in or inline.
    pub(super) config_file: Option<WatchedFile>,
    pub(super) config: Config,
    pub(super) keys: Projects,
    pub(super) warnings: Vec<String>,
    pub(super) authentication: Authentication,
    pub(super) has_page: bool,
}

/// What handles requests.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) router: Router,
    keys: SigningKeysOf,
}

/// Where the keys are that sign tokens.
#[derive(Clone)]
enum SigningKeysOf {
    Configuration(Arc<Keys>),
    Policy(Arc<Reloading>),
}

/// How requests are authenticated.
#[derive(PartialEq)]
pub(super) enum Authentication {
    /// By the configured callers.
    Configured,
    /// Not at all: every request counts as the caller of `--caller`.
    AlwaysAs(Caller),
    /// Not at all, because no caller is configured.
    Off,
}

impl Service {
    /// Reads the configuration, the keys and the policy, for a listener at this address.
    ///
    /// # Errors
    /// If one of them can't be read or has mistakes, or would serve every client of the network without authentication.
    pub(super) fn load(
        options: &ServeOptions,
        address: IpAddr,
        metrics: Metrics,
    ) -> Result<Self, ServeError> {
        let environment = options.config.environment()?;
        if environment.metrics.is_some() {
            return Err(ServeError::MetricsOfFunction);
        }
        // The files are remembered before they are read, so that no change is missed.
        let config_file = development::config_file(&environment).map(WatchedFile::new);
        if options.watch && config_file.is_none() {
            return Err(ServeError::NothingToWatch);
        }
        let policy_file = development::policy_file(&environment).map(Path::to_owned);
        let watched_policy = policy_file.as_deref().map(WatchedFile::new);
        let Loaded { config, policy, sources } = development::load_sources(&environment)?;
        let authentication = authentication(options, &config, policy)?;
        let has_private_keys = development::has_private_keys(&environment.keys);
        let is_exposed = !address.is_loopback();
        if is_exposed && !options.allow_unauthenticated_network_access {
            authentication.must_be_on()?;
        }
        let keys = development::keys(&environment, config.policy.rules())?;
        let warnings =
            warnings::all(&authentication, &environment, &config, &keys, &caller_keys(&config, &keys)?);
        let needs_protection = match &authentication {
            Authentication::Configured => false,
            Authentication::AlwaysAs(_) => true,
            Authentication::Off => has_private_keys,
        };
        let has_page = !is_exposed && (options.page || !has_private_keys);
        let page = if has_page {
            Some(TryPage {
                file: policy_file.as_deref().or(development::config_file(&environment)).map(Path::to_owned),
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
        let parts = Parts {
            sources,
            place: policy_file.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
            keys: Box::new(move |config| development::service_keys(&environment, config)),
            always: authentication.always().cloned(),
            hosts: if needs_protection { Hosts::ThisMachine } else { Hosts::Any },
            mint: roompass::mint::token,
            surroundings: roompass::system::context,
            shown: Some(config.version.clone()),
            metrics,
        };
        let (router, signing, policy) = match watched_policy {
            None => {
                let (router, keys) = parts.fixed(config.clone())?;
                (router, SigningKeysOf::Configuration(keys), None)
            }
            Some(file) => {
                let store = Box::new(PolicyFile(file.path().to_owned()));
                let policy = Arc::new(Reloading::new(store, parts)?);
                (policy.router(), SigningKeysOf::Policy(policy.clone()), Some((file, policy)))
            }
        };
        let router = match page {
            Some(page) => page.in_front_of(router),
            None => router,
        };
        let serving = Serving { router, keys: signing };
        Ok(Self { serving, policy, config_file, config, keys, warnings, authentication, has_page })
    }
}

impl Serving {
    /// How old the keys of each project are, in seconds.
    pub(super) fn key_ages(&self, now: u64) -> Vec<(Project, u64)> {
        match &self.keys {
            SigningKeysOf::Configuration(keys) => keys.ages(now),
            SigningKeysOf::Policy(policy) => policy.keys().ages(now),
        }
    }
}

impl Service {
    /// Whether this service may replace a running one. An incomplete or deleted file must not turn authentication off.
    ///
    /// # Errors
    /// If it has no authentication or no configuration file, and the running one has.
    pub(super) fn may_replace(&self, running: &Self) -> Result<(), ServeError> {
        if let (Some(file), None) = (&running.config_file, &self.config_file) {
            return Err(ServeError::FileMissing(file.path().display().to_string()));
        }
        let is_open = self.authentication != Authentication::Configured;
        if is_open && running.authentication == Authentication::Configured {
            return Err(ServeError::TurnsAuthenticationOff);
        }
        Ok(())
    }
}

impl Authentication {
    /// The caller that every request counts as, if there is one.
    pub(super) fn always(&self) -> Option<&Caller> {
        match self {
            Self::AlwaysAs(caller) => Some(caller),
            Self::Configured | Self::Off => None,
        }
    }

    fn must_be_on(&self) -> Result<(), ServeError> {
        match self {
            Self::Configured => Ok(()),
            Self::AlwaysAs(_) => Err(ServeError::Exposed("--caller is set: leave it out")),
            Self::Off => Err(ServeError::Exposed(
                "no [[caller]] is configured: add a [[caller]] (docs/authentication.md)",
            )),
        }
    }
}

fn authentication(
    options: &ServeOptions,
    config: &Config,
    policy: PolicySource,
) -> Result<Authentication, ServeError> {
    match (&options.caller, policy) {
        (None, PolicySource::Configured) => Ok(Authentication::Configured),
        (None, PolicySource::Development) => Ok(Authentication::Off),
        (Some(_), PolicySource::Development) => Err(InvalidCallerFile::NoCallers.into()),
        (Some(file), PolicySource::Configured) => {
            let caller = caller_file::caller(file, options.named.as_deref(), &config.callers)?;
            Ok(Authentication::AlwaysAs(caller))
        }
    }
}
