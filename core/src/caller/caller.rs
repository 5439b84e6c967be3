//! An authenticated caller.

use serde_json::{Map, Value};

/// An authenticated caller. An anonymous caller has no subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// The caller's name in the configuration.
    pub name: String,
    /// The issuer of the credential: a JWT's `iss`.
    pub issuer: Option<String>,
    /// The caller's identity at the issuer: a JWT's `sub`, or the name of an API key.
    pub subject: Option<String>,
    /// The credential's claims.
    pub claims: Map<String, Value>,
    /// When the credential expires, in seconds since 1970.
    pub expires: Option<u64>,
}

impl Caller {
    /// A caller without a subject and without claims.
    #[must_use]
    pub fn anonymous(name: &str) -> Self {
        Self { name: name.to_owned(), issuer: None, subject: None, claims: Map::new(), expires: None }
    }
}
