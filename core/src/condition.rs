//! A condition on one value: of a rule's `when`, or of a caller's `required_claims`.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// A condition on one value.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Equal to this string, number or boolean.
    Equal(Value),
    /// `{ one_of = [..] }`: equal to one of these.
    OneOf(Vec<Value>),
    /// `{ contains = .. }` or `{ contains_any = [..] }`: a list that contains one of these.
    Contains(Vec<Value>),
    /// `{ contains_word = ".." }`: a list that contains one of these words, or a string of words separated by spaces. In the
    /// claims `scope`, `scp` and `scopes`, `contains` and `contains_any` have this meaning too.
    ContainsWord(Vec<Word>),
}

/// A string that isn't empty and has no spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(String);

impl Word {
    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty() && !text.contains(' ')).then(|| Self(text.to_owned()))
    }
}

impl Condition {
    /// Whether a string can meet it.
    pub(crate) fn can_hold_for_a_string(&self) -> bool {
        match self {
            Self::Equal(expected) => expected.is_string(),
            Self::OneOf(expected) => expected.iter().any(Value::is_string),
            Self::Contains(_) => false,
            Self::ContainsWord(_) => true,
        }
    }

    /// Whether a value meets it.
    #[must_use]
    pub fn holds_for(&self, value: &Value) -> bool {
        match self {
            Self::Equal(expected) => value == expected,
            Self::OneOf(expected) => expected.contains(value),
            Self::Contains(expected) => {
                value.as_array().is_some_and(|values| expected.iter().any(|one| values.contains(one)))
            }
            Self::ContainsWord(expected) => expected.iter().any(|Word(word)| match value {
                Value::Array(values) => values.iter().any(|value| value == word.as_str()),
                Value::String(words) => words.split(' ').any(|listed| listed == word),
                _ => false,
            }),
        }
    }

    /// The same condition on a claim with this name. Issuers write scopes as a list, or as a string of words (RFC 8693,
    /// section 4.2).
    pub(crate) fn on_claim(self, name: &str) -> Self {
        match &self {
            Self::Contains(expected) if SCOPES.contains(&name) => {
                let words = expected.iter().map(|value| Word::parse(value.as_str()?));
                words.collect::<Option<_>>().map_or(self, Self::ContainsWord)
            }
            _ => self,
        }
    }

    /// Whether every value that meets `other` meets this condition too, as far as the two show.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Contains(expected), Self::Contains(others)) => {
                others.iter().all(|one| expected.contains(one))
            }
            (Self::ContainsWord(expected), Self::ContainsWord(others)) => {
                others.iter().all(|one| expected.contains(one))
            }
            _ => other.values().is_some_and(|values| values.iter().all(|value| self.holds_for(value))),
        }
    }

    /// The values that meet it, if they are known.
    pub(crate) fn values(&self) -> Option<&[Value]> {
        match self {
            Self::Equal(value) => Some(std::slice::from_ref(value)),
            Self::OneOf(values) => Some(values),
            Self::Contains(_) | Self::ContainsWord(_) => None,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal(value) => write!(formatter, "= {value}"),
            Self::OneOf(values) => write!(formatter, "one of {}", Value::Array(values.clone())),
            Self::Contains(values) => match values.as_slice() {
                [value] => write!(formatter, "contains {value}"),
                _ => write!(formatter, "contains any of {}", Value::Array(values.clone())),
            },
            Self::ContainsWord(words) => match words.as_slice() {
                [Word(word)] => write!(formatter, "contains the word {word:?}"),
                _ => write!(formatter, "contains any word of {}", listed(words)),
            },
        }
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ConditionVisitor;

        impl<'de> Visitor<'de> for ConditionVisitor {
            type Value = Condition;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(
                    "a string, a number, true, false, { one_of = [..] }, { contains = .. }, { contains_any = [..] } or { contains_word = \"..\" }",
                )
            }

            fn visit_str<E>(self, text: &str) -> Result<Condition, E> {
                Ok(Condition::Equal(text.into()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Condition, E> {
                Ok(Condition::Equal(number.into()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Condition, E> {
                Ok(Condition::Equal(number.into()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Condition, E> {
                Ok(Condition::Equal(number.into()))
            }

            fn visit_bool<E>(self, truth: bool) -> Result<Condition, E> {
                Ok(Condition::Equal(truth.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Condition, A::Error> {
                let mistake = || {
                    de::Error::custom(
                        "a condition must be a value, { one_of = [..] }, { contains = .. }, { contains_any = [..] } or { contains_word = \"..\" }; in when, write a path with dots in quotes: \"claims.role\"",
                    )
                };
                let condition = match table.next_key::<String>()?.as_deref() {
                    Some("one_of") => Condition::OneOf(several("one_of", table.next_value()?)?),
                    Some("contains_any") => {
                        Condition::Contains(several("contains_any", table.next_value()?)?)
                    }
                    Some("contains") => Condition::Contains(vec![table.next_value()?]),
                    Some("contains_word") => {
                        let word = Word::parse(&table.next_value::<String>()?);
                        let word = word.ok_or_else(|| {
                            de::Error::custom("contains_word must be one word: not empty, and without spaces")
                        })?;
                        Condition::ContainsWord(vec![word])
                    }
                    _ => return Err(mistake()),
                };
                if table.next_key::<String>()?.is_some() { Err(mistake()) } else { Ok(condition) }
            }
        }

        deserializer.deserialize_any(ConditionVisitor)
    }
}

fn listed(words: &[Word]) -> Value {
    words.iter().map(|Word(word)| word.as_str()).collect()
}

/// The values of a list that must not be empty.
fn several<E: de::Error>(key: &str, values: Vec<Value>) -> Result<Vec<Value>, E> {
    if values.is_empty() { Err(E::custom(format_args!("{key} must not be empty"))) } else { Ok(values) }
}

/// The last names of claims that list scopes (RFC 8693, RFC 9068), as identity providers spell them.
const SCOPES: [&str; 3] = ["scope", "scp", "scopes"];
