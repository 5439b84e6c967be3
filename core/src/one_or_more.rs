//! A value of the file that is one string or a list of strings.

use serde::Deserialize;

/// One string or a list of strings.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "must be a string, or a list of strings")]
pub(crate) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl From<OneOrMore> for Vec<String> {
    fn from(strings: OneOrMore) -> Self {
        match strings {
            OneOrMore::One(string) => vec![string],
            OneOrMore::More(strings) => strings,
        }
    }
}
