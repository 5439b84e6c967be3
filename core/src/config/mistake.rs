//! Mistakes in the configuration: the place of each, and how to fix it. No mistake shows a value that may be a secret.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use crate::domain::MalformedSecret;
use crate::url;

/// Why the configuration can't be loaded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file has mistakes.
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
    /// The file can't be read.
    #[error("{named_by}cannot read {}: {reason}", url::shown(&.path.to_string_lossy()))]
    Unreadable {
        /// The variable with the file's name, and a colon. Empty if the name is from the command line.
        named_by: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        reason: String,
    },
    /// An environment variable is invalid.
    #[error("{variable}: {problem}")]
    Variable {
        /// Its name.
        variable: String,
        /// What is wrong with it. Never contains a secret.
        problem: String,
    },
}

impl ConfigError {
    /// One line for each mistake.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Mistakes(mistakes) => mistakes.0.iter().map(ToString::to_string).collect(),
            other => vec![other.to_string()],
        }
    }
}

impl From<MalformedSecret> for ConfigError {
    fn from(MalformedSecret { member, problem }: MalformedSecret) -> Self {
        Self::Variable { variable: member, problem }
    }
}

/// The mistakes in a file, in the order of their places.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

/// A mistake in a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}{}", quoted(text))]
pub struct Mistake {
    /// The file's name, or `ROOMPASS_CONFIG` for inline TOML.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong, and how to fix it.
    pub message: String,
    /// The line, without values that may be secrets. Empty if the whole line may be one.
    pub text: String,
}

impl Mistakes {
    /// The mistakes in order.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    pub(super) fn push(&mut self, mistake: Mistake) {
        self.0.push(mistake);
        self.0.sort_by_key(|mistake| (mistake.line, mistake.column));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// # Errors
    /// All mistakes, if there are any.
    pub(super) fn into_result(self) -> Result<(), ConfigError> {
        if self.0.is_empty() { Ok(()) } else { Err(self.into()) }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        formatter.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

/// A file's text and its name.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) file: &'a str,
}

impl Text<'_> {
    /// A mistake at a place.
    pub(super) fn mistake(&self, place: &Range<usize>, message: &str) -> Mistake {
        self.at(place.start, message, None)
    }

    /// A mistake at a key whose value may be a secret. Only a table's header, which has no value, is shown whole.
    pub(super) fn mistake_without_value(&self, key: &Range<usize>, message: &str) -> Mistake {
        let is_header = self.text.get(key.end..).is_some_and(|rest| rest.trim_start().starts_with(']'));
        self.at(key.start, message, Some(key.end).filter(|_| !is_header))
    }

    /// A mistake at a value that may be a secret.
    pub(super) fn mistake_at_hidden(&self, value: &Range<usize>, message: &str) -> Mistake {
        self.at(value.start, message, Some(value.start))
    }

    /// Whether it is JSON, which may be a secret in the wrong place. A JSON list may be valid TOML too.
    pub(super) fn is_json(&self) -> bool {
        let text = self.text.trim_start_matches('\u{feff}').trim_start();
        text.starts_with(['[', '{', '"']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
    }

    /// The mistake of a text that is JSON.
    pub(super) fn json_mistake(&self) -> ConfigError {
        let mistake = self.mistake(&(0..0), "this is JSON, and must be TOML");
        Mistakes(vec![Mistake { text: String::new(), ..mistake }]).into()
    }

    /// A mistake in the syntax. The text may be the secret itself, in the wrong place, so no line is shown.
    pub(super) fn not_toml(&self, error: &toml::de::Error) -> ConfigError {
        let is_json = self.text.trim_start().starts_with('{');
        let message = match error.message() {
            _ if is_json => "this is JSON, and must be TOML",
            message if message.contains("invalid basic string, expected `\"`") => {
                "a string is not closed: add the missing \" at its end"
            }
            message if message.starts_with("string values must be quoted") && self.is_line_end(error) => {
                "the value is missing: write it after the ="
            }
            message if message.starts_with("key with no value") => {
                "a key without a value: the file must be TOML, such as name = \"app\""
            }
            message if message.starts_with("string values must be quoted") => {
                "text must be in double quotes, such as \"app\""
            }
            message => message,
        };
        let mistake = self.mistake(&error.span().unwrap_or_default(), message);
        Mistakes(vec![Mistake { text: String::new(), ..mistake }]).into()
    }

    /// Whether nothing follows the place of an error in its line.
    fn is_line_end(&self, error: &toml::de::Error) -> bool {
        let rest = self.text.get(error.span().unwrap_or_default().start..).unwrap_or_default();
        rest.lines().next().unwrap_or_default().trim().is_empty()
    }

    /// The line is shown up to `hidden_from`, or up to the value of a key `secret`.
    fn at(&self, place: usize, message: &str, hidden_from: Option<usize>) -> Mistake {
        let before = self.text.get(..place).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[start..].lines().next().unwrap_or_default().trim_end();
        let hidden_from = hidden_from.map(|from| from.saturating_sub(start));
        let shown = match hidden_from.into_iter().chain(end_of_key_secret(line)).min() {
            Some(end) => {
                let key = line.get(..end).unwrap_or_default().trim_end().trim_end_matches('=').trim_end();
                format!("{key} = …")
            }
            // An API key in the wrong place.
            None => line.find("rpk_").map_or_else(|| line.to_owned(), |key| format!("{}…", &line[..key])),
        };
        Mistake {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
            message: message.replace('\n', ", "),
            text: url::shown_in(shown.trim_start()),
        }
    }
}

/// Where a key ends whose value may be a secret, if the line has one.
fn end_of_key_secret(line: &str) -> Option<usize> {
    let ends =
        KEYS_OF_SECRETS.iter().flat_map(|key| line.match_indices(key).map(|(start, key)| start + key.len()));
    let is_key =
        |end: &usize| line[*end..].trim_start_matches(['"', '\'', ' ', '\t']).starts_with(['=', ':']);
    ends.filter(is_key).min()
}

const KEYS_OF_SECRETS: [&str; 4] = ["secret", "SECRET", "API_KEY", "CERTIFICATE"];

fn quoted(line: &str) -> String {
    if line.is_empty() { String::new() } else { format!(" (in `{line}`)") }
}
