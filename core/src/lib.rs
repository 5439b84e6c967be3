//! What Roompass decides by: who may call, what they may have, and `roompass.toml`, which says so; from its text to a
//! decision. No I/O, no clock, no HTTP, no keys: what a decision needs is given to it, and the same things give the same
//! decision.
//!
//! | module | its one job |
//! |---|---|
//! | [`domain`] | the words of the product, each built only by a `parse` that enforces its limits |
//! | [`caller`] | who may call, as it's written, and who is calling |
//! | [`policy`] | a caller and what it asks for to a [`domain::Pass`], or a denial |
//! | [`config`] | `roompass.toml`: each concern's settings, put together |
//! | [`escape`] | text from outside, safe to print |
//! | [`url`] | URLs, shown without what may be a secret |

pub mod caller;
pub mod config;
pub mod domain;
pub mod escape;
pub mod policy;
pub mod url;
