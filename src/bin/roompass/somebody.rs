//! A caller from a file of claims, for a developer who wants to be somebody.

use std::path::{Path, PathBuf};

use roompass::auth::{Caller, CallerConfig, CallerKind};
use roompass::json;
use serde_json::{Map, Value};

/// Why the file makes no caller.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSomebody {
    #[error("{} can't be read: {reason}", .file.display())]
    Unreadable { file: PathBuf, reason: std::io::Error },
    #[error("{} {problem}", .file.display())]
    Malformed { file: PathBuf, problem: String },
    #[error(
        "--caller is for somebody of a [[caller]], and none is configured: write one into roompass.toml, or set \
         ROOMPASS_CONFIG to a file that has one"
    )]
    NobodyConfigured,
    #[error("no [[caller]] is called {0:?}")]
    Unknown(String),
    #[error("which [[caller]] is it? Its iss is no configured issuer: name one with --as")]
    Unclear,
}

/// The caller that a JWT with these claims would be: the configured one whose issuer is their `iss`, or `named`.
pub(crate) fn caller(
    file: &Path,
    named: Option<&str>,
    callers: &[CallerConfig],
) -> Result<Caller, NotSomebody> {
    let claims = object(file)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let (issuer, subject) = (text("iss"), text("sub"));
    let config = match (named, callers) {
        (Some(name), _) => callers
            .iter()
            .find(|caller| caller.name == name)
            .ok_or_else(|| NotSomebody::Unknown(name.to_owned()))?,
        (None, [only]) => only,
        (None, _) => {
            let of_issuer = |caller: &&CallerConfig| matches!(&caller.kind, CallerKind::Jwt(of) if Some(&of.issuer) == issuer.as_ref());
            callers.iter().find(of_issuer).ok_or(NotSomebody::Unclear)?
        }
    };
    if config.kind == CallerKind::Anonymous {
        return Ok(Caller::anonymous(&config.name));
    }
    let expires = claims.get("exp").and_then(Value::as_u64);
    Ok(Caller { name: config.name.clone(), issuer, subject, claims, expires })
}

/// A file's JSON object.
pub(crate) fn object(file: &Path) -> Result<Map<String, Value>, NotSomebody> {
    let text =
        std::fs::read(file).map_err(|reason| NotSomebody::Unreadable { file: file.to_owned(), reason })?;
    json::object(&text)
        .map_err(|error| NotSomebody::Malformed { file: file.to_owned(), problem: error.to_string() })
}
