//! What the operator decides: behaviour in `roompass.toml`, wiring in the environment. Read once, when the program
//! starts.

mod cors;
mod dialects;
mod environment;
mod file;
mod http;
mod keys;
pub mod warnings;

use std::path::Path;

pub use cors::{Cors, Origin};
pub use dialects::{Agora, Dialect, Sandbox};
pub use environment::{ConfigSource, Environment, KeySource, callers_keys};
pub use file::{Config, ConfigError};
pub use http::{BasePath, Http};
pub use keys::KeyAges;

impl Config {
    /// The configuration that an environment asks for: the one compiled in, or what `ROOMPASS_CONFIG` gives in its
    /// place; and what the environment says wins over the file for the same thing.
    ///
    /// # Errors
    /// Where the file can't be read or has a mistake in it.
    pub fn load(environment: &Environment) -> Result<Self, ConfigError> {
        let mut config = match &environment.config {
            ConfigSource::CompiledIn => Self::parse(COMPILED_IN, "roompass.toml"),
            ConfigSource::Inline(text) => Self::parse(text, "ROOMPASS_CONFIG"),
            ConfigSource::File(path) => read(path, "ROOMPASS_CONFIG: "),
            ConfigSource::Argument(path) => read(path, ""),
        }?;
        if let Some(origins) = &environment.cors_origins {
            config.cors.origins.clone_from(origins);
        }
        Ok(config)
    }
}

fn read(path: &Path, named_by: &'static str) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let reason = error.to_string();
        ConfigError::Unreadable { named_by, path: path.to_owned(), reason }
    })?;
    Config::parse(&text, &path.display().to_string())
}

/// The file at the root of the project, as it was when the program was built.
const COMPILED_IN: &str = include_str!("../../roompass.toml");
