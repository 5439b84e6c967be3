//! `client_may_set` in an entry of `agents` or `egress`: the members that a client may set.

use std::fmt;

use serde::de;

/// Members by LiveKit's names. None unless listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Members(Vec<&'static str>);

impl Members {
    /// # Errors
    /// If a name isn't in `known`.
    pub(super) fn parse<E: de::Error>(names: &[String], known: &'static [&'static str]) -> Result<Self, E> {
        let member = |name: &String| {
            known.iter().copied().find(|known| known == name).ok_or_else(|| {
                let list = known.join(", ");
                E::custom(format_args!("{name:?} is not allowed in this client_may_set: use {list}"))
            })
        };
        names.iter().map(member).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn contains(&self, member: &str) -> bool {
        self.0.contains(&member)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Members {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "may set {}", self.0.join(", "))
    }
}
