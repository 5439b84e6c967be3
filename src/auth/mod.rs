//! Who is asking: the head of a request to a [`Caller`]. Knows nothing of bodies and rooms.
//!
//! The one kind of caller so far is the anonymous one, let in only where the configuration says so.

use axum::http::request::Parts;
use serde::Deserialize;

/// `[[caller]]`: somebody who may call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerConfig {
    /// `name`: what rules and the log call it.
    pub name: String,
    /// `kind`: how it's known.
    pub kind: CallerKind,
}

/// How a caller is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallerKind {
    /// `anonymous`: not at all. Whoever reaches the endpoint is let in as this caller.
    Anonymous,
}

/// Who is asking, as far as it's known. An anonymous caller has no subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The caller's name in the configuration.
    pub name: String,
}

/// Why nobody is let in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The configuration lists no callers, so every request is refused.
    #[error(
        "no caller is configured: add a [[caller]] and a [[rule]] to roompass.toml, or give them in ROOMPASS_CONFIG"
    )]
    NoCallers,
}

/// The configured callers, in their order.
#[derive(Debug)]
pub struct Callers(Vec<CallerConfig>);

impl Callers {
    /// As configured.
    #[must_use]
    pub fn new(configured: Vec<CallerConfig>) -> Self {
        Self(configured)
    }

    /// The first configured caller that this request's head shows to be.
    ///
    /// # Errors
    /// Where it shows none.
    pub fn identify(&self, _head: &Parts) -> Result<Caller, AuthError> {
        let first = self.0.first().ok_or(AuthError::NoCallers)?;
        match first.kind {
            CallerKind::Anonymous => Ok(Caller { name: first.name.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Parts {
        axum::http::Request::new(()).into_parts().0
    }

    #[test]
    fn without_a_configured_caller_nobody_is_let_in() {
        assert_eq!(Callers::new(vec![]).identify(&head()), Err(AuthError::NoCallers));
    }

    #[test]
    fn an_anonymous_caller_is_whoever_asks() {
        let callers = Callers::new(vec![CallerConfig { name: "anyone".into(), kind: CallerKind::Anonymous }]);
        assert_eq!(callers.identify(&head()), Ok(Caller { name: "anyone".into() }));
    }
}
