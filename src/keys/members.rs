//! The members of a stored secret, as editors and shells leave them. What can't change a value's meaning is corrected, with
//! a warning for the log. Everything else is a mistake that names the member.

use std::fmt;

use serde_json::{Map, Value};

use super::agora::{APP_CERTIFICATE, APP_ID};
use super::livekit::{API_KEY, API_SECRET, URL};
use super::projects::PROJECTS;
use crate::auth::{API_KEYS, SharedSecret};
use crate::domain::MalformedSecret;
use crate::json::{self, JsonError};

/// The members of a secret, corrected, and what was corrected.
#[derive(Debug)]
pub(super) struct Members {
    pub(super) values: Map<String, Value>,
    pub(super) warnings: Vec<SecretWarning>,
}

/// A member that was read although it isn't as it should be. Never shows a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretWarning {
    member: String,
    problem: &'static str,
}

impl fmt::Display for SecretWarning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.member, self.problem)
    }
}

impl SecretWarning {
    /// A warning about the whole secret.
    pub(super) fn of_the_secret(problem: &'static str) -> Self {
        Self { member: "the secret".to_owned(), problem }
    }
}

impl Members {
    /// Reads a secret's JSON.
    ///
    /// # Errors
    /// If it isn't a JSON object.
    pub(super) fn read(text: &str, shared: &[SharedSecret]) -> Result<Self, MalformedSecret> {
        let mut warnings = Vec::new();
        let json = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        if json.len() < text.len() {
            warnings.push(SecretWarning::of_the_secret("begins with a byte-order mark: store it without"));
        }
        let of_callers = shared.iter().map(|one| one.name.as_str());
        let names: Vec<&str> = TRIMMED.into_iter().chain([API_KEYS, PROJECTS]).chain(of_callers).collect();
        let mut values = json::object(json.as_bytes()).map_err(|error| unreadable(json, &error, &names))?;
        trim_keys(&mut values, "", &mut warnings);
        if let Some(projects) = values.get_mut(PROJECTS) {
            if let Some(problem) = parse_object_in_text(projects) {
                warnings.push(SecretWarning { member: PROJECTS.to_owned(), problem });
            }
            for (name, project) in projects.as_object_mut().into_iter().flatten() {
                if let Some(keys) = project.as_object_mut() {
                    trim_keys(keys, &format!("{PROJECTS}.{name}."), &mut warnings);
                }
            }
        }
        for SharedSecret { name, .. } in shared {
            if values.get(name).and_then(Value::as_str).is_some_and(|text| trimmed(text) != text) {
                let problem = "has white space around it, which counts as part of the shared secret";
                warnings.push(SecretWarning { member: name.clone(), problem });
            }
        }
        if let Some(keys) = values.get_mut(API_KEYS) {
            if let Some(problem) = parse_object_in_text(keys) {
                warnings.push(SecretWarning { member: API_KEYS.to_owned(), problem });
            }
            let mut corrected = false;
            for (_, key) in keys.as_object_mut().into_iter().flatten() {
                corrected |= if key.is_object() { key.get_mut("hash").is_some_and(trim) } else { trim(key) };
            }
            if corrected {
                let problem = "has a hash with white space around it: store it without";
                warnings.push(SecretWarning { member: API_KEYS.to_owned(), problem });
            }
        }
        Ok(Self { values, warnings })
    }
}

/// Removes the white space around signing keys. `path` comes before each name in the warnings.
fn trim_keys(members: &mut Map<String, Value>, path: &str, warnings: &mut Vec<SecretWarning>) {
    for name in TRIMMED {
        if members.get_mut(name).is_some_and(trim) {
            let problem = "has white space around it: store it without";
            warnings.push(SecretWarning { member: format!("{path}{name}"), problem });
        }
    }
}

/// Replaces text that contains a JSON object with the object. Returns the warning if there was any.
fn parse_object_in_text(value: &mut Value) -> Option<&'static str> {
    let object = json::object(value.as_str()?.as_bytes()).ok()?;
    *value = Value::Object(object);
    Some("is text that contains a JSON object: store the object itself")
}

/// Removes the white space around a string. Returns whether there was any.
fn trim(value: &mut Value) -> bool {
    match value {
        Value::String(text) if trimmed(text) != text => {
            *text = trimmed(text).to_owned();
            true
        }
        _ => false,
    }
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(|char: char| char.is_whitespace() || char == BYTE_ORDER_MARK)
}

/// Names the member at which the text stops being a JSON object with unique members, and what would be right. Of the
/// text, only the names of known members are shown.
fn unreadable(text: &str, error: &JsonError, names: &[&str]) -> MalformedSecret {
    let problem = |problem: &str| MalformedSecret::new("it", format!("{problem}: store {EXAMPLE}"));
    let (line, column) = match error {
        JsonError::NotAnObject => {
            return problem("must be a JSON object, not a string, a list or another value");
        }
        JsonError::Syntax { line, column } => (*line, *column),
    };
    let before =
        text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>() + column;
    let read = text.get(..before.min(text.len())).unwrap_or(text);
    let last = names.iter().filter_map(|name| Some((read.rfind(&format!("\"{name}\""))?, name))).max();
    if serde_json::from_str::<Value>(text).is_ok() {
        let is_duplicate = |name: &str| text.matches(&format!("\"{name}\"")).count() > 1;
        return match last {
            Some((_, name)) if is_duplicate(name) => {
                MalformedSecret::new(name, "is listed more than once in one object: store it once")
            }
            _ => problem("has a member that is listed more than once"),
        };
    }
    match last {
        Some((_, name)) => MalformedSecret::new(
            name,
            "is not followed by valid JSON: put values and names in double quotes, with commas between members, and \
             write \" in a value as \\\" and \\ as \\\\",
        ),
        None if text.trim().is_empty() => problem("is empty"),
        None => problem("is not a JSON object"),
    }
}

/// The signing keys. Their formats have no white space.
const TRIMMED: [&str; 5] = [URL, API_KEY, API_SECRET, APP_ID, APP_CERTIFICATE];
const BYTE_ORDER_MARK: char = '\u{feff}';
const EXAMPLE: &str = r#"{"LIVEKIT_URL": "wss://…", "LIVEKIT_API_KEY": "…", "LIVEKIT_API_SECRET": "…"}"#;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::IssuerNames;

    fn read(text: &str) -> Result<(Value, Vec<String>), String> {
        let shared = [SharedSecret {
            name: "LOGIN_SECRET".into(),
            issuer: IssuerNames::new("https://login.example".into(), Vec::new()),
        }];
        let read = Members::read(text, &shared).map_err(|mistake| mistake.to_string())?;
        Ok((Value::Object(read.values), read.warnings.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn what_editors_and_shells_add_is_removed_with_a_warning_that_names_the_member() {
        for (text, values, warnings) in [
            (" {\"OTHER\": \" x \"}\n", json!({"OTHER": " x "}), vec![]),
            ("\u{feff}{}", json!({}), vec!["the secret begins with a byte-order mark: store it without"]),
            (
                r#"{"LIVEKIT_URL": " wss://a", "LIVEKIT_API_KEY": "k\r\n", "LIVEKIT_API_SECRET": "a b\n"}"#,
                json!({"LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "a b"}),
                vec![
                    "LIVEKIT_URL has white space around it: store it without",
                    "LIVEKIT_API_KEY has white space around it: store it without",
                    "LIVEKIT_API_SECRET has white space around it: store it without",
                ],
            ),
            (
                "{\"AGORA_APP_ID\": \"\u{feff}970\", \"AGORA_APP_CERTIFICATE\": \"5cfd\\t\"}",
                json!({"AGORA_APP_ID": "970", "AGORA_APP_CERTIFICATE": "5cfd"}),
                vec![
                    "AGORA_APP_ID has white space around it: store it without",
                    "AGORA_APP_CERTIFICATE has white space around it: store it without",
                ],
            ),
            (
                r#"{"LOGIN_SECRET": "canary\n"}"#,
                json!({"LOGIN_SECRET": "canary\n"}),
                vec!["LOGIN_SECRET has white space around it, which counts as part of the shared secret"],
            ),
            (
                r#"{"ROOMPASS_API_KEYS": "{\"web\": \"sha256:00\"}"}"#,
                json!({"ROOMPASS_API_KEYS": {"web": "sha256:00"}}),
                vec!["ROOMPASS_API_KEYS is text that contains a JSON object: store the object itself"],
            ),
            (
                r#"{"ROOMPASS_API_KEYS": {"web": "sha256:00\n", "batch": {"hash": " sha256:00"}}}"#,
                json!({"ROOMPASS_API_KEYS": {"web": "sha256:00", "batch": {"hash": "sha256:00"}}}),
                vec!["ROOMPASS_API_KEYS has a hash with white space around it: store it without"],
            ),
        ] {
            let warnings = warnings.into_iter().map(str::to_owned).collect();
            assert_eq!(read(text), Ok((values, warnings)), "{text}");
        }
    }

    #[test]
    fn what_could_have_another_meaning_is_left_as_it_is() {
        for text in [
            r#"{"ROOMPASS_API_KEYS": "web"}"#,
            r#"{"ROOMPASS_API_KEYS": "{\"web\": 1, \"web\": 2}"}"#,
            r#"{"LIVEKIT_API_SECRET": "in the  middle"}"#,
            r#"{"LIVEKIT_API_SECRET": ["x "], "LIVEKIT_API_KEY": 5}"#,
            r#"{" LIVEKIT_API_KEY": "k"}"#,
        ] {
            assert_eq!(read(text), Ok((serde_json::from_str(text).unwrap(), vec![])), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_by_member_and_never_shown() {
        let example = format!("store {EXAMPLE}");
        let syntax = |name: &str| {
            format!(
                "{name} is not followed by valid JSON: put values and names in double quotes, with commas between members, and write \" in a value as \\\" and \\ as \\\\"
            )
        };
        for (text, problem) in [
            ("", format!("it is empty: {example}")),
            (" \n", format!("it is empty: {example}")),
            ("canary", format!("it is not a JSON object: {example}")),
            ("LIVEKIT_API_SECRET=canary", format!("it is not a JSON object: {example}")),
            ("{'LIVEKIT_API_SECRET': 'canary'}", format!("it is not a JSON object: {example}")),
            ("\"{}\"", format!("it must be a JSON object, not a string, a list or another value: {example}")),
            (
                "[\"canary\"]",
                format!("it must be a JSON object, not a string, a list or another value: {example}"),
            ),
            (r#"{"LIVEKIT_URL": "a", "LIVEKIT_API_SECRET": "can"ary"}"#, syntax("LIVEKIT_API_SECRET")),
            (
                "{\"LIVEKIT_URL\": \"a\",\n\"LIVEKIT_API_KEY\": canary,\n\"LIVEKIT_API_SECRET\": \"canary\"}",
                syntax("LIVEKIT_API_KEY"),
            ),
            ("{\"LOGIN_SECRET\": \"can\\ary\"}", syntax("LOGIN_SECRET")),
            ("{\"LIVEKIT_API_SECRET\": \"canary\"", syntax("LIVEKIT_API_SECRET")),
            ("{\"LIVEKIT_API_SECRET\": \"canary\"}\u{feff}", syntax("LIVEKIT_API_SECRET")),
            (
                r#"{"LIVEKIT_API_SECRET": "canary", "LIVEKIT_API_SECRET": "canary"}"#,
                "LIVEKIT_API_SECRET is listed more than once in one object: store it once".to_owned(),
            ),
            (
                r#"{"ROOMPASS_API_KEYS": {"canary": "a", "canary": "b"}}"#,
                format!("it has a member that is listed more than once: {example}"),
            ),
        ] {
            assert_eq!(read(text), Err(problem), "{text}");
        }
    }
}
