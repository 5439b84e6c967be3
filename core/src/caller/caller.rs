//! Who is asking, once it's known.

use serde_json::{Map, Value};

/// Who is asking, as far as it's known. An anonymous caller has no subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// The caller's name in the configuration.
    pub name: String,
    /// Who vouches for the subject: a JWT's `iss`.
    pub issuer: Option<String>,
    /// Who it is, as the issuer says: a JWT's `sub`, or the name of an API key.
    pub subject: Option<String>,
    /// What the issuer says of them.
    pub claims: Map<String, Value>,
    /// When what they showed us ends, in seconds since 1970.
    pub expires: Option<u64>,
}

impl Caller {
    /// A caller without a subject and without claims.
    #[must_use]
    pub fn anonymous(name: &str) -> Self {
        Self { name: name.to_owned(), issuer: None, subject: None, claims: Map::new(), expires: None }
    }
}
