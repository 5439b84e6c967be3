//! `roompass.toml`: the settings of each concern, and the one place that puts them together.
//!
//! | module | its one job |
//! |---|---|
//! | `file` | the whole file, from its text |
//! | `mistake` | where a mistake is, and what would be right |
//! | `dialects`, `http`, `cors`, `key_ages` | one concern's settings each |

mod cors;
mod dialects;
mod file;
mod http;
mod key_ages;
mod mistake;

pub use cors::{Cors, Origin};
pub use dialects::{Agora, Dialect, Sandbox};
pub use file::Config;
pub use http::{BasePath, Http};
pub use key_ages::KeyAges;
pub use mistake::{ConfigError, Mistake, Mistakes};
