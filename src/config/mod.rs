//! Configuration: `roompass.toml` and the environment variables, read once at startup. Only the programs use this module.
//!
//! | module | its one job |
//! |---|---|
//! | `environment` | the environment variables |
//! | `load` | the configuration file |
//! | `variables` | variables that contain keys, or name a file with them |
//! | `warnings` | warnings about a valid configuration |

mod environment;
mod load;
mod variables;
pub mod warnings;

pub use environment::{
    ConfigSource, Environment, KeySource, MetricsFormat, PolicyPlace, caller_keys, shared_secrets, variable,
};
pub use load::{Sources, read_policy};
pub use roompass_core::config::{
    AgoraSettings, BasePath, Config, ConfigError, Cors, Dialect, Http, KeyAges, Mistake, Mistakes, Origin,
    Sandbox,
};
