//! What the operator decides: behaviour in `roompass.toml`, wiring in the environment. Read once, when the program
//! starts. It puts together what every concern needs, so nothing but the programs uses it.
//!
//! | module | its one job |
//! |---|---|
//! | `environment` | what the environment variables say |
//! | `load` | the file that they name |
//! | `warnings` | what can be started with, and won't do what is meant by it |

mod environment;
mod load;
pub mod warnings;

pub use environment::{ConfigSource, Environment, KeySource, callers_keys, shared_secrets};
pub use load::{load, load_with_callers_of};
pub use roompass_core::config::{
    Agora, BasePath, Config, ConfigError, Cors, Dialect, Http, KeyAges, Mistake, Mistakes, Origin, Sandbox,
};
