//! Loads the configuration that the environment selects.

use std::path::Path;

use super::{Config, ConfigError, ConfigSource, Environment};

/// Loads the compiled-in configuration, or the one that replaces it. Settings of the environment replace those of the file.
///
/// # Errors
/// If the file can't be read or has mistakes.
pub fn load(environment: &Environment) -> Result<Config, ConfigError> {
    load_by(environment, Config::parse)
}

/// Loads a configuration without callers, and takes the callers and rules from another file: see
/// [`Config::parse_with_callers_of`].
///
/// # Errors
/// If the file can't be read, or the two files have mistakes.
pub fn load_with_callers_of(environment: &Environment, other: (&str, &str)) -> Result<Config, ConfigError> {
    load_by(environment, |text, file| Config::parse_with_callers_of((text, file), other))
}

fn load_by(
    environment: &Environment,
    parse: impl Fn(&str, &str) -> Result<Config, ConfigError>,
) -> Result<Config, ConfigError> {
    let mut config = match &environment.config {
        ConfigSource::CompiledIn => parse(COMPILED_IN, "roompass.toml"),
        ConfigSource::Inline(text) => parse(text, "ROOMPASS_CONFIG"),
        ConfigSource::File(path) => parse(&read(path, "ROOMPASS_CONFIG: ")?, &path.display().to_string()),
        ConfigSource::Argument(path) => parse(&read(path, "")?, &path.display().to_string()),
    }?;
    if let Some(origins) = &environment.cors_origins {
        config.cors.origins.clone_from(origins);
    }
    Ok(config)
}

fn read(path: &Path, named_by: &'static str) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| {
        let reason = error.to_string();
        ConfigError::Unreadable { named_by, path: path.to_owned(), reason }
    })
}

/// `roompass.toml` as it was when the program was built.
const COMPILED_IN: &str = include_str!("../../roompass.toml");
