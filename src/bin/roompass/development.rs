//! What the command does while no caller is configured, so that work can begin before there's a login: it lets anyone
//! in, on this machine. A function in Lambda refuses everybody then.

use roompass::config::{Config, ConfigError, Dialect, Environment};

/// Where the callers and rules are from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// The configuration has them.
    Configured,
    /// The configuration has no callers, so they're the command's own.
    Development,
}

/// The configuration, and whose policy is in it. What the file says of dialects, sandboxes and origins stands.
///
/// # Errors
/// Where the file can't be read or has a mistake in it.
pub(crate) fn load(environment: &Environment) -> Result<(Config, Policy), ConfigError> {
    let configured = Config::load(environment)?;
    if !configured.callers.is_empty() {
        return Ok((configured, Policy::Configured));
    }
    let development = Config::parse(FILE, "development.toml")?;
    let Config { callers, rules, .. } = development;
    let written = configured.dialects != [Dialect::Standard];
    let config = Config {
        dialects: if written { configured.dialects } else { development.dialects },
        sandbox: if configured.sandbox.ids.is_empty() { development.sandbox } else { configured.sandbox },
        cors: if configured.cors.origins.is_empty() { development.cors } else { configured.cors },
        callers,
        rules,
        ..configured
    };
    Ok((config, Policy::Development))
}

const FILE: &str = include_str!("development.toml");
