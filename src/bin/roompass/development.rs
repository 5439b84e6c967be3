//! Development mode: without a configured caller, the command accepts every request, so that work can begin before there is
//! a login. The function in Lambda refuses every request then.

use std::path::Path;

use roompass::config::{
    Config, ConfigError, ConfigSource, Environment, KeySource, Origin, PolicyPlace, Sources, caller_keys,
    read_policy,
};
use roompass::domain::ServerUrl;
use roompass::keys::{Keys, LiveKitKeys, Projects, SigningKeys};
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
    let Loaded { config, policy, .. } = load_sources(environment)?;
    Ok((config, policy))
}

/// A configuration with the texts that it was loaded from.
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) policy: PolicySource,
    pub(crate) sources: Sources,
}

/// Loads the configuration, and keeps the texts that apply where a policy sets nothing.
///
/// # Errors
/// If a file can't be read or has mistakes, or the policy is in a store of AWS.
pub(crate) fn load_sources(environment: &Environment) -> Result<Loaded, ConfigError> {
    let sources = Sources::read(environment)?;
    if matches!(environment.policy, Some(PolicyPlace::Secret(_) | PolicyPlace::Parameter(_))) {
        let problem = "secret: and ssm: are for the function in Lambda: use file: and a path here";
        return Err(ConfigError::Variable {
            variable: "ROOMPASS_POLICY".to_owned(),
            problem: problem.to_owned(),
        });
    }
    let policy_file = policy_file(environment);
    let config_of = |sources: &Sources| match policy_file {
        None => sources.config(),
        Some(path) => sources.with_policy(&read_policy(path)?, &path.display().to_string()),
    };
    let configured = config_of(&sources)?;
    // A policy that is read at run time says who has access. If it names no caller, every request is refused.
    if !configured.callers.is_empty() || policy_file.is_some() {
        return Ok(Loaded { config: configured, policy: PolicySource::Configured, sources });
    }
    let mut sources = sources.or(FILE, "development.toml");
    if configured.cors.origins.is_empty() && has_private_keys(&environment.keys) {
        sources = sources.with_origins(Origin::loopback());
    }
    let config = config_of(&sources)?;
    Ok(Loaded { config, policy: PolicySource::Development, sources })
}

/// The file of the policy that is read at run time.
pub(crate) fn policy_file(environment: &Environment) -> Option<&Path> {
    match &environment.policy {
        Some(PolicyPlace::File(path)) => Some(path),
        _ => None,
    }
}

/// The file of the configuration. `None` if that is compiled in or inline.
pub(crate) fn config_file(environment: &Environment) -> Option<&Path> {
    match &environment.config {
        ConfigSource::File(path) | ConfigSource::Argument(path) => Some(path),
        ConfigSource::CompiledIn | ConfigSource::Inline(_) => None,
    }
}

/// Whether any key is not LiveKit's public development key.
pub(crate) fn has_private_keys(keys: &KeySource) -> bool {
    matches!(keys, KeySource::Given(projects) if projects.iter().any(|keys| !keys.is_development_pair() || keys.agora().is_ok()))
}

/// The keys of a service for this configuration.
///
/// # Errors
/// If the keys are in a store of AWS, or a caller's key is missing or invalid.
pub(crate) fn service_keys(environment: &Environment, config: &Config) -> Result<Keys, ConfigError> {
    let keys = keys(environment, config.policy.rules())?;
    let callers = caller_keys(config, &keys)?;
    Ok(Keys::given(keys, callers).read_at(roompass::system::context().now))
}

/// The keys of the environment. Without LiveKit's, its public development key; if no keys are set, in each project of the
/// rules.
///
/// # Errors
/// If the keys are in a store of AWS.
pub(crate) fn keys(environment: &Environment, rules: &[Rule]) -> Result<Projects, ConfigError> {
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
        KeySource::Secret(_) => Err(store_in_lambda("ROOMPASS_SECRET_ID")),
        KeySource::Parameter(_) => Err(store_in_lambda("ROOMPASS_PARAMETER")),
        KeySource::Unset => {
            let mut projects = Projects::from(SigningKeys::from(development()));
            for project in rules.iter().flat_map(Rule::possible_projects) {
                projects.insert(SigningKeys::from(development()).for_project(project));
            }
            Ok(projects)
        }
    }
}

fn store_in_lambda(variable: &str) -> ConfigError {
    let problem =
        "is for the function in Lambda: set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET here"
            .to_owned();
    ConfigError::Variable { variable: variable.to_owned(), problem }
}

const FILE: &str = include_str!("development.toml");
