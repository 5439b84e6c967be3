//! The configuration that an environment asks for.

use std::path::Path;

use super::{Config, ConfigError, ConfigSource, Environment};

/// The configuration compiled in, or what `ROOMPASS_CONFIG` gives in its place; and what the environment says wins over
/// the file for the same thing.
///
/// # Errors
/// Where the file can't be read or has a mistake in it.
pub fn load(environment: &Environment) -> Result<Config, ConfigError> {
    load_by(environment, Config::parse)
}

/// The same, where it lists no callers with the callers and rules of another file: see
/// [`Config::parse_with_callers_of`].
///
/// # Errors
/// Where the file can't be read, or the two have a mistake in them.
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

/// The file at the root of the project, as it was when the program was built.
const COMPILED_IN: &str = include_str!("../../roompass.toml");
