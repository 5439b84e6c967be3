//! The option for the configuration file, which all commands that read one have.

use std::path::{Path, PathBuf};

use clap::Args;
use roompass::config::{ConfigError, ConfigSource, Environment};
use roompass::keys::Deployment;

#[derive(Args)]
pub(crate) struct ConfigOption {
    /// The configuration file; by default `ROOMPASS_CONFIG`, then roompass.toml in this folder
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigOption {
    /// The environment, with this configuration. Without the option, the variable and the file, it is the one that was
    /// compiled in.
    ///
    /// # Errors
    /// If a variable is invalid.
    pub(crate) fn environment(&self) -> Result<Environment, ConfigError> {
        let mut environment = Environment::of_this_process(Deployment::Local)?;
        if let Some(file) = &self.config {
            environment.config = ConfigSource::Argument(file.clone());
        } else if environment.config == ConfigSource::CompiledIn && Path::new(IN_FOLDER).is_file() {
            environment.config = ConfigSource::Argument(IN_FOLDER.into());
        }
        Ok(environment)
    }
}

const IN_FOLDER: &str = "roompass.toml";
