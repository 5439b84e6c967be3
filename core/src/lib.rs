//! Parses `roompass.toml` and decides requests by it, without I/O, clock, HTTP and keys. The time and randomness are
//! parameters, so the same input always gives the same decision.
//!
//! | module | its one job |
//! |---|---|
//! | [`domain`] | the types of the product; only a `parse` that enforces the limits creates them |
//! | [`caller`] | the configured callers, and the caller of a request |
//! | [`condition`] | a condition on one value, for callers and rules |
//! | [`policy`] | decides what a caller gets: a [`domain::Pass`] or a denial |
//! | [`config`] | parses `roompass.toml` |
//! | `one_or_more` | a string or a list of strings in the file |
//! | `suggestion` | suggestions for misspelled names |
//! | [`escape`] | makes untrusted text safe to print |
//! | [`url`] | redacts secrets in URLs |

pub mod caller;
pub mod condition;
pub mod config;
pub mod domain;
pub mod escape;
mod one_or_more;
pub mod policy;
pub mod suggestion;
pub mod url;
