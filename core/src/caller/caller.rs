//! An authenticated caller.

use serde_json::{Map, Value};

/// An authenticated caller. An anonymous caller has no subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// The caller's name in the configuration.
    pub name: String,
    /// The issuer of the credential: a JWT's `iss`, in the first spelling of the configuration.
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

    /// The claim that says that the issuer left this claim out of the token, if one does: `_claim_names` (`OpenID` Connect
    /// Core, section 5.6.2), or Entra ID's `hasgroups`. Entra ID leaves `groups` out for members of many groups.
    #[must_use]
    pub fn left_out(&self, claim: &str) -> Option<&'static str> {
        if self.claims.contains_key(claim) {
            return None;
        }
        let is_named = match self.claims.get("_claim_names") {
            Some(Value::Object(names)) => names.contains_key(claim),
            // An HTTP API passes every claim on as a string.
            Some(Value::String(names)) => {
                names.split(|char: char| !char.is_alphanumeric() && char != '_').any(|name| name == claim)
            }
            _ => false,
        };
        let has_groups = claim == "groups"
            && self.claims.get("hasgroups").is_some_and(|has| *has == true || has == "true");
        is_named.then_some("_claim_names").or(has_groups.then_some("hasgroups"))
    }
}
