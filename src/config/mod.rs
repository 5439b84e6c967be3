//! What the operator decides: behaviour in `roompass.toml`, wiring in the environment. Read once, when the program
//! starts.

mod cors;
mod environment;
mod http;

use std::collections::HashSet;
use std::ops::Range;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

pub use cors::{Cors, Origin};
pub use environment::{ConfigSource, Environment, KeySource};
pub use http::{BasePath, Http};

use crate::auth::CallerConfig;
use crate::domain::Limits;
use crate::policy::Rule;

/// `roompass.toml`.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[http]`: where it's served.
    pub http: Http,
    /// `[cors]`: which web pages may read its answers.
    pub cors: Cors,
    /// `[limits]`: how long things may be.
    pub limits: Limits,
    /// `[[caller]]`: who may call, tried in this order.
    pub callers: Vec<CallerConfig>,
    /// `[[rule]]`: who may have what, tried in this order.
    pub rules: Vec<Rule>,
}

/// A mistake in the configuration, in one line: where it is, and what would be right.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// At a place in the file.
    #[error("{file}:{line}:{column}: {message} (in `{text}`)")]
    At {
        /// The file's name, or `ROOMPASS_CONFIG` for inline TOML.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
        /// The line itself.
        text: String,
    },
    /// The file can't be read.
    #[error("ROOMPASS_CONFIG: {} can't be read: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// An environment variable can't be used.
    #[error("{variable}: {problem}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What is wrong with it. Never holds a secret.
        problem: String,
    },
}

impl Config {
    /// The configuration that an environment asks for: the one compiled in, or what `ROOMPASS_CONFIG` gives in its
    /// place; and what the environment says wins over the file for the same thing.
    ///
    /// # Errors
    /// Where the file can't be read or has a mistake in it.
    pub fn load(environment: &Environment) -> Result<Self, ConfigError> {
        let mut config = match &environment.config {
            ConfigSource::CompiledIn => Self::parse(COMPILED_IN, "roompass.toml"),
            ConfigSource::Inline(text) => Self::parse(text, "ROOMPASS_CONFIG"),
            ConfigSource::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
                    path: path.clone(),
                    reason: error.to_string(),
                })?;
                Self::parse(&text, &path.display().to_string())
            }
        }?;
        if let Some(origins) = &environment.cors_origins {
            config.cors.origins.clone_from(origins);
        }
        Ok(config)
    }

    /// Reads a configuration file's text. `file` is what a mistake is said to be in.
    ///
    /// # Errors
    /// At the first mistake.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let mistake = |span: Range<usize>, message: &str| at(text, file, &span, message);
        let read: File =
            toml::from_str(text).map_err(|error| mistake(error.span().unwrap_or(0..0), error.message()))?;
        let callers: HashSet<&str> =
            read.callers.iter().map(|caller| caller.get_ref().name.as_str()).collect();
        for (position, rule) in read.rules.iter().enumerate() {
            let Rule { name, callers: named, rooms, .. } = rule.get_ref();
            if let Some(unknown) = named.iter().find(|name| !callers.contains(name.as_str())) {
                return Err(mistake(
                    rule.span(),
                    &format!("rule {name:?} is for caller {unknown:?}, and no [[caller]] has that name"),
                ));
            }
            if named.is_empty() {
                return Err(mistake(
                    rule.span(),
                    &format!("rule {name:?} is for nobody: callers must name one"),
                ));
            }
            if rooms.is_empty() {
                return Err(mistake(
                    rule.span(),
                    &format!("rule {name:?} opens no room: rooms must hold a pattern, such as \"*\""),
                ));
            }
            if read.rules[..position].iter().any(|earlier| earlier.get_ref().name == *name) {
                return Err(mistake(rule.span(), &format!("there are two rules called {name:?}")));
            }
        }
        if let Some(second) = read.callers.get(1) {
            return Err(mistake(
                second.span(),
                "this caller can never be: the anonymous caller before it is whoever asks",
            ));
        }
        Ok(Self {
            http: read.http,
            cors: read.cors,
            limits: read.limits,
            callers: read.callers.into_iter().map(Spanned::into_inner).collect(),
            rules: read.rules.into_iter().map(Spanned::into_inner).collect(),
        })
    }
}

/// The file as it's written, with the place of each part.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    http: Http,
    #[serde(default)]
    cors: Cors,
    #[serde(default)]
    limits: Limits,
    #[serde(default, rename = "caller")]
    callers: Vec<Spanned<CallerConfig>>,
    #[serde(default, rename = "rule")]
    rules: Vec<Spanned<Rule>>,
}

fn at(text: &str, file: &str, span: &Range<usize>, message: &str) -> ConfigError {
    let before = text.get(..span.start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    ConfigError::At {
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message: message.replace('\n', ", "),
        text: text[line_start..].lines().next().unwrap_or_default().trim().to_owned(),
    }
}

/// The file at the root of the project, as it was when the program was built.
const COMPILED_IN: &str = include_str!("../../roompass.toml");

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> String {
        Config::parse(text, "x.toml").unwrap_err().to_string()
    }

    const CALLER: &str = "[[caller]]\nname = \"a\"\nkind = \"anonymous\"\n";

    #[test]
    fn the_file_compiled_in_is_sound_and_lets_nobody_in() {
        let config = Config::parse(COMPILED_IN, "roompass.toml").unwrap();
        assert!(config.callers.is_empty());
        assert!(config.rules.is_empty());
    }

    #[test]
    fn a_mistake_is_named_with_its_file_line_and_key() {
        for (text, message) in [
            (
                "[https]",
                "x.toml:1:2: unknown field `https`, expected one of `http`, `cors`, `limits`, `caller`, `rule` (in `[https]`)",
            ),
            (
                "[limits]\nmax_room_name_length = 300",
                "x.toml:2:24: must be 32 to 256 bytes (in `max_room_name_length = 300`)",
            ),
            (
                "[limits]\n  max_token_size = \"1k\"",
                "x.toml:2:20: invalid type: string \"1k\", expected usize (in `max_token_size = \"1k\"`)",
            ),
            (
                "[cors]\norigins = [\"https://a/\"]",
                "x.toml:2:11: must be \"*\" or scheme://host[:port] without a path, such as https://app.example.com (in `origins = [\"https://a/\"]`)",
            ),
            (
                "[http]\nbase_path = \"calls\"",
                "x.toml:2:13: must be empty or like \"/calls\": a slash before each part, none at the end, and letters, digits and -._~ in the parts (in `base_path = \"calls\"`)",
            ),
            (
                "[[caller]]\nname = \"a\"\nkind = \"open\"",
                "x.toml:3:8: unknown variant `open`, expected `anonymous` (in `kind = \"open\"`)",
            ),
            ("[[caller]]\nname = \"a\"", "x.toml:1:1: missing field `kind` (in `[[caller]]`)"),
            ("a = = b", "x.toml:1:5: extra `=`, expected nothing (in `a = = b`)"),
        ] {
            assert_eq!(mistake(text), message);
        }
    }

    #[test]
    fn a_rule_that_could_never_give_a_pass_is_a_mistake() {
        for (rule, message) in [
            (
                "callers = [\"b\"]\nrooms = [\"*\"]",
                "x.toml:4:1: rule \"r\" is for caller \"b\", and no [[caller]] has that name (in `[[rule]]`)",
            ),
            (
                "callers = []\nrooms = [\"*\"]",
                "x.toml:4:1: rule \"r\" is for nobody: callers must name one (in `[[rule]]`)",
            ),
            (
                "callers = [\"a\"]\nrooms = []",
                "x.toml:4:1: rule \"r\" opens no room: rooms must hold a pattern, such as \"*\" (in `[[rule]]`)",
            ),
            (
                "callers = [\"a\"]\nrooms = [\"\"]",
                "x.toml:7:9: a room pattern must not be empty: write \"*\" for any room (in `rooms = [\"\"]`)",
            ),
            (
                "callers = [\"a\"]\nrooms = [\"*\"]\nttl = \"2d\"",
                "x.toml:8:7: must be a whole number of seconds, minutes or hours from \"1s\" to \"24h\", such as \"10m\" (in `ttl = \"2d\"`)",
            ),
            ("callers = [\"a\"]\nrooms = [\"*\"]\ngrants.can_fly = true", "x.toml:8:8: unknown field"),
        ] {
            let text = format!("{CALLER}[[rule]]\nname = \"r\"\n{rule}");
            assert!(mistake(&text).starts_with(message), "{}", mistake(&text));
        }
    }

    #[test]
    fn a_caller_that_could_never_be_is_a_mistake() {
        assert!(mistake(&CALLER.repeat(2)).starts_with("x.toml:4:1: this caller can never be"));
    }

    #[test]
    fn two_rules_need_two_names() {
        let rule = "[[rule]]\nname = \"r\"\ncallers = [\"a\"]\nrooms = [\"*\"]\n";
        assert_eq!(
            mistake(&format!("{CALLER}{rule}{rule}")),
            "x.toml:8:1: there are two rules called \"r\" (in `[[rule]]`)"
        );
    }
}
