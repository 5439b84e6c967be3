//! Loads the configuration that the environment selects.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{Config, ConfigError, ConfigSource, Environment, Origin};

/// The texts of a configuration, read once. What one doesn't set is taken from the next. Settings of the environment replace
/// those of all texts.
#[derive(Debug, Clone)]
pub struct Sources {
    files: Vec<Named>,
    cors_origins: Option<Vec<Origin>>,
}

/// A text and its name.
#[derive(Debug, Clone)]
struct Named {
    text: String,
    name: String,
}

impl Sources {
    /// Reads the compiled-in configuration, or the one that replaces it.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let (text, name) = match &environment.config {
            ConfigSource::CompiledIn => (COMPILED_IN.to_owned(), "roompass.toml".to_owned()),
            ConfigSource::Inline(text) => (text.clone(), "ROOMPASS_CONFIG".to_owned()),
            ConfigSource::File(path) => (read(path, "ROOMPASS_CONFIG: ")?, path.display().to_string()),
            ConfigSource::Argument(path) => (read(path, "")?, path.display().to_string()),
        };
        Ok(Self { files: vec![Named { text, name }], cors_origins: environment.cors_origins.clone() })
    }

    /// These texts, and another one for what none of them sets.
    #[must_use]
    pub fn or(mut self, text: &str, name: &str) -> Self {
        self.files.push(Named { text: text.to_owned(), name: name.to_owned() });
        self
    }

    /// These texts, with another one in place of the first.
    #[must_use]
    pub fn replaced(&self, text: &str) -> Self {
        let mut sources = self.clone();
        if let Some(first) = sources.files.first_mut() {
            text.clone_into(&mut first.text);
        }
        sources
    }

    /// The first text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.files.first().map_or("", |first| &first.text)
    }

    /// The configuration without a policy that is read at run time.
    ///
    /// # Errors
    /// If a text has mistakes.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let files = self.files();
        let (first, others) =
            (files.first().copied().unwrap_or_default(), files.get(1..).unwrap_or_default());
        Config::parse_over(first, others).map(|config| self.override_origins(config))
    }

    /// The configuration with a policy that is read at run time, by this name.
    ///
    /// # Errors
    /// If a text has mistakes, or the policy has no rules.
    pub fn with_policy(&self, text: &str, name: &str) -> Result<Config, ConfigError> {
        let config = Config::parse_policy((text, name), &self.files());
        config.map(|config| self.override_origins(config))
    }

    /// These texts, with other allowed CORS origins.
    #[must_use]
    pub fn with_origins(self, origins: Vec<Origin>) -> Self {
        Self { cors_origins: Some(origins), ..self }
    }

    fn files(&self) -> Vec<(&str, &str)> {
        self.files.iter().map(|Named { text, name }| (text.as_str(), name.as_str())).collect()
    }

    fn override_origins(&self, mut config: Config) -> Config {
        if let Some(origins) = &self.cors_origins {
            config.cors.origins.clone_from(origins);
        }
        config
    }
}

/// Reads the file of a policy.
///
/// # Errors
/// If the file can't be read.
pub fn read_policy(path: &Path) -> Result<String, ConfigError> {
    let named_by = "ROOMPASS_POLICY: ";
    let mut bytes = Vec::new();
    let open = || {
        let is_file = std::fs::metadata(path)?.is_file();
        if is_file { File::open(path) } else { Err(std::io::Error::other("it is not a file")) }
    };
    let read = open().and_then(|file| file.take(MAX_POLICY + 1).read_to_end(&mut bytes));
    let reason = match read {
        Err(error) => error.to_string(),
        Ok(_) if bytes.len() as u64 > MAX_POLICY => format!("it has more than {MAX_POLICY} bytes"),
        Ok(_) => return text(bytes, path, named_by),
    };
    Err(ConfigError::Unreadable { named_by, path: path.to_owned(), reason })
}

fn read(path: &Path, named_by: &'static str) -> Result<String, ConfigError> {
    match std::fs::read(path) {
        Ok(bytes) => text(bytes, path, named_by),
        Err(error) => {
            Err(ConfigError::Unreadable { named_by, path: path.to_owned(), reason: error.to_string() })
        }
    }
}

fn text(bytes: Vec<u8>, path: &Path, named_by: &'static str) -> Result<String, ConfigError> {
    String::from_utf8(bytes).map_err(|_| ConfigError::Unreadable {
        named_by,
        path: path.to_owned(),
        reason: "it is not UTF-8 text".to_owned(),
    })
}

/// The maximum size of a policy's file, in bytes: about 2,000 rules. A request waits while it is parsed.
const MAX_POLICY: u64 = 262_144;

/// `roompass.toml` as it was when the program was built.
const COMPILED_IN: &str = include_str!("../../roompass.toml");
