//! Development mode: without a configured caller, the command accepts every request, so that work can begin before there is
//! a login. The function in Lambda refuses every request then.

use roompass::config::{self, Config, ConfigError, Environment, KeySource, Origin};
use roompass::domain::ServerUrl;
use roompass::keys::{LiveKitKeys, Projects, SigningKeys};
use roompass::policy::Rule;

/// The source of the callers and rules.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PolicySource {
    /// The configuration.
    Configured,
    /// `development.toml`, because the configuration has no callers.
    Development,
}

/// Loads the configuration. Without callers, its dialects, sandboxes and origins still apply. If it sets no origins, and the
/// keys are private, only web pages of this machine may read tokens: any page that the developer opens could request one.
///
/// # Errors
/// If the file can't be read or has mistakes.
pub(crate) fn load(environment: &Environment) -> Result<(Config, PolicySource), ConfigError> {
    let configured = config::load(environment)?;
    if !configured.callers.is_empty() {
        return Ok((configured, PolicySource::Configured));
    }
    let mut config = config::load_with_callers_of(environment, (FILE, "development.toml"))?;
    if configured.cors.origins.is_empty() && has_private_keys(&environment.keys) {
        config.cors.origins = Origin::loopback();
    }
    Ok((config, PolicySource::Development))
}

/// Whether any key is not LiveKit's public development key.
pub(crate) fn has_private_keys(keys: &KeySource) -> bool {
    matches!(keys, KeySource::Given(projects) if projects.iter().any(|keys| !keys.is_development_pair() || keys.agora().is_ok()))
}

/// The keys of the environment. Without LiveKit's, its public development key; if no keys are set, in each project of the
/// rules.
///
/// # Errors
/// If the keys are in a store of AWS.
pub(crate) fn keys(environment: &Environment, rules: &[Rule]) -> Result<Projects, StoreOnLaptop> {
    let server = || environment.server.clone().unwrap_or_else(ServerUrl::development);
    let development = || LiveKitKeys::development(server());
    match &environment.keys {
        KeySource::Given(projects) => {
            let (mut projects, own) = (projects.clone(), projects.of_default());
            if own.agora().is_ok() && own.livekit().is_err() {
                projects.insert(SigningKeys::clone(&own).with_livekit(development()));
            }
            Ok(projects)
        }
        KeySource::Secret(_) => Err(StoreOnLaptop("ROOMPASS_SECRET_ID")),
        KeySource::Parameter(_) => Err(StoreOnLaptop("ROOMPASS_PARAMETER")),
        KeySource::Unset => {
            let mut projects = Projects::from(SigningKeys::from(development()));
            for project in rules.iter().flat_map(Rule::possible_projects) {
                projects.insert(SigningKeys::from(development()).for_project(project));
            }
            Ok(projects)
        }
    }
}

/// The error for a variable that names a store of AWS.
#[derive(Debug, thiserror::Error)]
#[error("{0} is for the function in Lambda: set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET here")]
pub(crate) struct StoreOnLaptop(&'static str);

const FILE: &str = include_str!("development.toml");
