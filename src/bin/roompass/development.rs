//! What the command does while no caller is configured, so that work can begin before there's a login: it accepts every
//! request, on this machine. A function in Lambda refuses every request then.

use roompass::config::{self, Config, ConfigError, Environment, KeySource, Origin};

/// Where the callers and rules are from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// The configuration has them.
    Configured,
    /// The configuration has no callers, so they're the command's own.
    Development,
}

/// The configuration, and whose policy is in it. What the file says of dialects, sandboxes and origins stands. Where it
/// says nothing of origins, and the keys are worth something, only pages of this machine may read tokens: any page that
/// the developer opens could request them.
///
/// # Errors
/// Where the file can't be read or has a mistake in it.
pub(crate) fn load(environment: &Environment) -> Result<(Config, Policy), ConfigError> {
    let configured = config::load(environment)?;
    if !configured.callers.is_empty() {
        return Ok((configured, Policy::Configured));
    }
    let mut config = config::load_with_callers_of(environment, (FILE, "development.toml"))?;
    if configured.cors.origins.is_empty() && are_worth_something(&environment.keys) {
        config.cors.origins = Origin::of_this_machine();
    }
    Ok((config, Policy::Development))
}

/// Whether tokens are worth something: whether any key is other than LiveKit's public development key.
pub(crate) fn are_worth_something(keys: &KeySource) -> bool {
    matches!(keys, KeySource::Given(keys) if !keys.is_development_pair() || keys.agora().is_ok())
}

const FILE: &str = include_str!("development.toml");
