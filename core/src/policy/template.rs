//! Texts with placeholders for what is known of the caller.
//!
//! A caller's value is always literal, and can't reach into a neighbour's text: with `{claims.team}:*`, a team called
//! `a:b` would own what team `a` may open too. So a value that would make its end ambiguous, by holding the text that
//! follows its placeholder, doesn't fit, and then neither does the rule.

use std::fmt;

use serde::Deserialize;

use super::source::{InvalidSource, Source};
use crate::caller::Caller;
use crate::domain::{Randomness, readable};

/// A text with placeholders: `{sub}`, `{iss}`, `{claims.path.to.value}`, `{random}`. A brace is written twice.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template {
    written: String,
    parts: Vec<Part>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Literal(String),
    Caller(Source),
    Random,
}

/// A text that isn't a template.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// Nothing is written.
    #[error("must not be empty")]
    Empty,
    /// A brace is left open, or closed without having been opened.
    #[error("has a brace without its other half: write {{{{ or }}}} for the brace itself")]
    Brace,
    /// A placeholder isn't known.
    #[error("the placeholder {0}")]
    Placeholder(#[from] InvalidSource),
    /// Two placeholders touch, so where the first ends is ambiguous.
    #[error("needs a text between its placeholders, one that their values never hold, such as \":\"")]
    Touching,
}

/// Why a template doesn't fit a caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The caller has no such value, or not as text.
    #[error("the caller has no {{{0}}}")]
    Lacks(Source),
    /// The value holds the text that follows its placeholder.
    #[error("the caller's {{{0}}} contains {1:?}, the text that follows it, so its end is ambiguous")]
    Reaches(Source, String),
}

impl TryFrom<String> for Template {
    type Error = InvalidTemplate;

    fn try_from(text: String) -> Result<Self, InvalidTemplate> {
        Ok(Self { parts: parts(&text)?, written: text })
    }
}

impl Template {
    /// The text for this caller.
    ///
    /// # Errors
    /// Where the caller lacks a value, or one doesn't fit.
    pub fn fill(&self, caller: &Caller, randomness: Randomness) -> Result<String, Unfit> {
        self.parts.iter().enumerate().try_fold(String::new(), |text, (at, part)| {
            Ok(text + &fill(part, self.parts.get(at + 1), caller, randomness)?)
        })
    }

    /// Whether each filling differs from every other.
    #[must_use]
    pub fn is_random(&self) -> bool {
        self.parts.contains(&Part::Random)
    }

    /// Whether every filling is the same.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Literal(_)))
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }
}

/// As it's written in the file.
impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.written)
    }
}

/// One part's text, of which `next` follows.
pub(super) fn fill(
    part: &Part,
    next: Option<&Part>,
    caller: &Caller,
    randomness: Randomness,
) -> Result<String, Unfit> {
    match part {
        Part::Literal(literal) => Ok(literal.clone()),
        Part::Random => Ok(readable(randomness)),
        Part::Caller(source) => {
            let value = source.text(caller).ok_or_else(|| Unfit::Lacks(source.clone()))?;
            match next {
                Some(Part::Literal(literal))
                    if format!("{value}{literal}").find(literal.as_str()) != Some(value.len()) =>
                {
                    Err(Unfit::Reaches(source.clone(), literal.clone()))
                }
                _ => Ok(value),
            }
        }
    }
}

/// Reads the parts of a template. No two placeholders touch, and no two literals do.
pub(super) fn parts(text: &str) -> Result<Vec<Part>, InvalidTemplate> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let (brace, after) = rest[at..].split_at(1);
        if let Some(after) = after.strip_prefix(brace) {
            literal.push_str(brace);
            rest = after;
            continue;
        }
        let (name, after) = after.split_once('}').filter(|_| brace == "{").ok_or(InvalidTemplate::Brace)?;
        if literal.is_empty() && !parts.is_empty() {
            return Err(InvalidTemplate::Touching);
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        parts.push(if name == "random" { Part::Random } else { Part::Caller(of_caller(name)?) });
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    if parts.is_empty() { Err(InvalidTemplate::Empty) } else { Ok(parts) }
}

fn of_caller(name: &str) -> Result<Source, InvalidSource> {
    Source::parse(name).and_then(|source| match source {
        Source::SandboxId => Err(InvalidSource::new(name)),
        source => Ok(source),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(text: &str) -> Result<Template, InvalidTemplate> {
        Template::try_from(text.to_owned())
    }

    fn filled(text: &str, team: &str) -> Result<String, Unfit> {
        let claims = json!({ "team": team });
        let caller = Caller { claims: claims.as_object().unwrap().clone(), ..Caller::anonymous("a") };
        template(text).unwrap().fill(&caller, |bytes| bytes.fill(1))
    }

    #[test]
    fn placeholders_are_filled_and_everything_else_is_literal() {
        assert_eq!(filled("team {claims.team}!", "a").unwrap(), "team a!");
        assert_eq!(filled("{claims.team}-{random}", "a").unwrap(), "a-11111111111111111111");
        assert_eq!(filled("{{{claims.team}}}*", "*").unwrap(), "{*}*");
    }

    #[test]
    fn a_mistake_in_a_template_is_said() {
        assert_eq!(template(""), Err(InvalidTemplate::Empty));
        for text in ["{", "}", "{sub", "a}b", "{sub}}"] {
            assert_eq!(template(text), Err(InvalidTemplate::Brace), "{text}");
        }
        assert_eq!(template("{sub}{random}"), Err(InvalidTemplate::Touching));
        for text in ["{name}", "{sandbox_id}"] {
            assert!(matches!(template(text), Err(InvalidTemplate::Placeholder(_))), "{text}");
        }
    }

    #[test]
    fn a_value_that_the_caller_lacks_or_that_reaches_further_does_not_fit() {
        let team = Source::parse("claims.team").unwrap();
        assert_eq!(filled("{sub}", "a"), Err(Unfit::Lacks(Source::Subject)));
        assert_eq!(filled("{claims.team}:x", ""), Err(Unfit::Lacks(team.clone())));
        for value in ["a:", ":", "a:b", "a::"] {
            assert_eq!(
                filled("{claims.team}:{random}", value),
                Err(Unfit::Reaches(team.clone(), ":".into())),
                "{value}"
            );
        }
        assert_eq!(filled("{claims.team}--", "a-"), Err(Unfit::Reaches(team.clone(), "--".into())));
        assert_eq!(filled("{claims.team}", "a:b").unwrap(), "a:b");
    }
}
