//! `roompass.toml`: the settings of each concern, parsed and checked together.
//!
//! | module | its one job |
//! |---|---|
//! | `file` | parses the whole file |
//! | `mistake` | the place of a mistake, and how to fix it |
//! | `dialects`, `http`, `cors`, `key_ages` | the settings of one concern each |

mod cors;
mod dialects;
mod file;
mod http;
mod key_ages;
mod mistake;

pub use cors::{Cors, Origin};
pub use dialects::{AgoraSettings, Dialect, Sandbox};
pub use file::Config;
pub use http::{BasePath, Http};
pub use key_ages::KeyAges;
pub use mistake::{ConfigError, Mistake, Mistakes};
