//! Where a rule finds something about the caller: `sub`, `iss`, or a path into the claims.

use std::fmt;

use serde_json::Value;

use crate::caller::Caller;

/// `sub`, `iss`, or `claims.path.to.value`; in conditions `sandbox_id` too. A name in the path that holds dots, slashes or colons is written in
/// double quotes: `claims."https://example.com/roles"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// `sub`: who the caller is.
    Subject,
    /// `iss`: who says so.
    Issuer,
    /// `claims.…`: what the issuer says of the caller, name by name.
    Claim(Vec<String>),
    /// `sandbox_id`: the sandbox that is asked through. The client says so, not the caller's issuer, so it's for
    /// conditions alone.
    SandboxId,
}

/// A text that isn't a source.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not known: write sub, iss or claims.path.to.value, with double quotes around a name that holds a dot"
)]
pub struct InvalidSource(String);

impl InvalidSource {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Source {
    /// Reads a source as it's written.
    ///
    /// # Errors
    /// Where it isn't one.
    pub fn parse(text: &str) -> Result<Self, InvalidSource> {
        match text {
            "sub" => return Ok(Self::Subject),
            "iss" => return Ok(Self::Issuer),
            "sandbox_id" => return Ok(Self::SandboxId),
            _ => {}
        }
        let path = text.strip_prefix("claims.").and_then(names);
        path.map(Self::Claim).ok_or_else(|| InvalidSource::new(text))
    }

    /// What it is for this caller, if the caller has it.
    #[must_use]
    pub fn of(&self, caller: &Caller) -> Option<Value> {
        match self {
            Self::Subject => caller.subject.clone().map(Value::String),
            Self::Issuer => caller.issuer.clone().map(Value::String),
            Self::SandboxId => None,
            Self::Claim(path) => {
                let (first, rest) = path.split_first()?;
                rest.iter().try_fold(caller.claims.get(first)?, |value, name| value.get(name)).cloned()
            }
        }
    }

    /// What it is for this caller as text, if it's a string that isn't empty, or a whole number.
    #[must_use]
    pub fn text(&self, caller: &Caller) -> Option<String> {
        match self.of(caller)? {
            Value::String(text) => Some(text).filter(|text| !text.is_empty()),
            Value::Number(number) if !number.is_f64() => Some(number.to_string()),
            _ => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject => formatter.write_str("sub"),
            Self::Issuer => formatter.write_str("iss"),
            Self::SandboxId => formatter.write_str("sandbox_id"),
            Self::Claim(path) => {
                formatter.write_str("claims")?;
                path.iter().try_for_each(|name| {
                    if plain(name) { write!(formatter, ".{name}") } else { write!(formatter, ".\"{name}\"") }
                })
            }
        }
    }
}

/// The names of a path: plain ones between dots, any others in double quotes.
fn names(path: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = path;
    loop {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find(['.', '"']).unwrap_or(rest.len())),
        };
        if name.is_empty() {
            return None;
        }
        names.push(name.to_owned());
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => return Some(names),
            None => return None,
        }
    }
}

fn plain(name: &str) -> bool {
    !name.contains(['.', '"', '/', ':', ' ', '{', '}'])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_is_written_with_dots_and_quotes() {
        for (text, path) in [
            ("claims.team", vec!["team"]),
            ("claims.realm_access.roles", vec!["realm_access", "roles"]),
            ("claims.\"https://example.com/roles\"", vec!["https://example.com/roles"]),
            ("claims.\"a.b\".c", vec!["a.b", "c"]),
            ("claims.cognito:groups", vec!["cognito:groups"]),
        ] {
            let source = Source::parse(text).unwrap();
            assert_eq!(source, Source::Claim(path.into_iter().map(str::to_owned).collect()), "{text}");
            assert_eq!(Source::parse(&source.to_string()).unwrap(), source, "{text}");
        }
        assert_eq!(Source::parse("sub"), Ok(Source::Subject));
        for text in [
            "",
            "subject",
            "claims",
            "claims.",
            "claims..a",
            "claims.a.",
            "claims.\"a",
            "claims.\"a\"b",
            "team",
        ] {
            assert!(Source::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn text_is_a_string_or_a_whole_number() {
        let claims = json!({"s": "x", "e": "", "n": 42, "f": 1.5, "b": true, "l": ["x"], "o": {"p": "y"}});
        let caller = Caller { claims: claims.as_object().unwrap().clone(), ..Caller::anonymous("a") };
        let text = |path: &str| Source::parse(path).unwrap().text(&caller);
        assert_eq!(text("claims.s").as_deref(), Some("x"));
        assert_eq!(text("claims.n").as_deref(), Some("42"));
        assert_eq!(text("claims.o.p").as_deref(), Some("y"));
        for path in [
            "sub",
            "iss",
            "claims.e",
            "claims.f",
            "claims.b",
            "claims.l",
            "claims.o",
            "claims.none",
            "claims.s.t",
        ] {
            assert_eq!(text(path), None, "{path}");
        }
    }
}
