//! The sources of a caller's values: `sub`, `iss`, or a path into the claims.

use std::fmt;

use serde_json::Value;

use crate::caller::Caller;
use crate::suggestion::did_you_mean;

/// `sub`, `iss`, or `claims.path.to.value`; in conditions also `sandbox_id`. A name with dots or double quotes in the
/// path is written in double quotes: `claims."https://example.com/roles"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueSource {
    /// `sub`: the caller's subject.
    Subject,
    /// `iss`: the issuer of the credential.
    Issuer,
    /// `claims.…`: a claim, as the names in its path.
    Claim(Vec<String>),
    /// `sandbox_id`: the sandbox ID of the request. The client chooses it, not the caller's issuer, so templates can't
    /// use it.
    SandboxId,
}

/// A string that isn't a source.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is unknown: use sub, iss or claims.path.to.value, with double quotes around a name that contains a dot, a \
     bracket or |{}",
    quoted(.text),
    did_you_mean(.likely.as_deref())
)]
pub struct InvalidSource {
    text: String,
    /// What was probably meant.
    likely: Option<String>,
}

impl InvalidSource {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), likely: likely(text) }
    }
}

/// The text in quotes that it doesn't contain, because an escape could hide a part of a secret.
fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) { format!("`{text}`") } else { format!("\"{text}\"") }
}

/// The source that a text probably stands for: a claim without `claims.`, or with the prefix of another system; or a
/// claim with the name of a URL, without quotes.
fn likely(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches(['.', '$', '@']);
    let path = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    match path {
        "sub" | "subject" | "user_id" | "uid" => return Some("sub".to_owned()),
        "iss" | "issuer" => return Some("iss".to_owned()),
        "" | "claims" => return None,
        _ => {}
    }
    let url = path.strip_prefix('"').and_then(|path| path.strip_suffix('"')).unwrap_or(path);
    let path = if url.contains("://") && !url.contains('"') { vec![url.to_owned()] } else { names(path)? };
    Some(ValueSource::Claim(path).to_string())
}

/// What other systems write before a claim.
const PREFIXES: [&str; 14] = [
    "claims.",
    "claim.",
    "jwt.claims.",
    "jwt.",
    "token.claims.",
    "token.payload.",
    "token.",
    "payload.",
    "user.",
    "auth.claims.",
    "auth.",
    "input.claims.",
    "input.",
    "request.auth.claims.",
];

impl ValueSource {
    /// Parses a source.
    ///
    /// # Errors
    /// If it isn't one.
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

    /// This caller's value, if the caller has one.
    #[must_use]
    pub fn value(&self, caller: &Caller) -> Option<Value> {
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

    /// The claim that says that the token lacks this value because the issuer left it out, if one does.
    #[must_use]
    pub fn left_out(&self, caller: &Caller) -> Option<&'static str> {
        match self {
            Self::Claim(path) => caller.left_out(path.first()?),
            _ => None,
        }
    }

    /// This caller's value as text, if it is a string that isn't empty, or a whole number.
    #[must_use]
    pub fn text(&self, caller: &Caller) -> Option<String> {
        text(&self.value(caller)?)
    }
}

/// A value as text, if it is a string that isn't empty, or a whole number.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}

impl fmt::Display for ValueSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject => formatter.write_str("sub"),
            Self::Issuer => formatter.write_str("iss"),
            Self::SandboxId => formatter.write_str("sandbox_id"),
            Self::Claim(path) => {
                formatter.write_str("claims")?;
                path.iter().try_for_each(|name| {
                    if is_plain(name) {
                        write!(formatter, ".{name}")
                    } else {
                        write!(formatter, ".\"{name}\"")
                    }
                })
            }
        }
    }
}

/// The names in a path, separated by dots. A name may be in double quotes.
fn names(path: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = path;
    loop {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find(['.', '"']).unwrap_or(rest.len())),
        };
        let is_quoted = rest.starts_with('"');
        if name.is_empty() || (!is_quoted && (name.contains(['[', ']', '|', ' ']) || name.contains("://"))) {
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

fn is_plain(name: &str) -> bool {
    !name.contains(['.', '"', '\'', '/', ':', ' ', '{', '}', '[', ']', '|'])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_has_dots_and_quotes() {
        for (text, path) in [
            ("claims.team", vec!["team"]),
            ("claims.realm_access.roles", vec!["realm_access", "roles"]),
            ("claims.\"https://example.com/roles\"", vec!["https://example.com/roles"]),
            ("claims.\"a.b\".c", vec!["a.b", "c"]),
            ("claims.cognito:groups", vec!["cognito:groups"]),
            ("claims.\"a[]|b\"", vec!["a[]|b"]),
        ] {
            let source = ValueSource::parse(text).unwrap();
            assert_eq!(source, ValueSource::Claim(path.into_iter().map(str::to_owned).collect()), "{text}");
            assert_eq!(ValueSource::parse(&source.to_string()).unwrap(), source, "{text}");
        }
        assert_eq!(ValueSource::parse("sub"), Ok(ValueSource::Subject));
        for text in [
            "",
            "subject",
            "claims",
            "claims.",
            "claims..a",
            "claims.a.",
            "claims.\"a",
            "claims.\"a\"b",
            "claims.a[]",
            "claims.a[0].b",
            "claims.a|claims.b",
            "team",
        ] {
            assert!(ValueSource::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_other_systems_write_gets_the_likely_source() {
        for (text, expected) in [
            ("user.sub", Some("sub")),
            ("subject", Some("sub")),
            ("$user_id", Some("sub")),
            ("claims.uid", Some("sub")),
            ("token.iss", Some("iss")),
            ("issuer", Some("iss")),
            ("", None),
            ("claims", None),
            ("jwt.", None),
            (" .team ", Some("claims.team")),
            ("input.claims.app_metadata.class", Some("claims.app_metadata.class")),
            ("claims.https://a.example/roles", Some("claims.\"https://a.example/roles\"")),
            ("\"https://a.example/roles\"", Some("claims.\"https://a.example/roles\"")),
            ("https://a\"b", None),
            ("a..b", None),
        ] {
            assert_eq!(likely(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn text_is_a_string_or_a_whole_number() {
        let claims = json!({"s": "x", "e": "", "n": 42, "f": 1.5, "b": true, "l": ["x"], "o": {"p": "y"}});
        let caller = Caller { claims: claims.as_object().unwrap().clone(), ..Caller::anonymous("a") };
        let text = |path: &str| ValueSource::parse(path).unwrap().text(&caller);
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
