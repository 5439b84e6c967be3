//! A caller from a file of claims, for a developer who tries a policy.

use std::path::{Path, PathBuf};

use roompass::auth::{Caller, CallerConfig, CallerKind};
use roompass::{json, url};
use serde_json::{Map, Value};

/// Why a file gives no caller.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidCallerFile {
    #[error("cannot read {}: {reason}", url::shown(&.file.to_string_lossy()))]
    Unreadable { file: PathBuf, reason: std::io::Error },
    #[error("{} {problem}", url::shown(&.file.to_string_lossy()))]
    Malformed { file: PathBuf, problem: String },
    #[error(
        "--caller needs a [[caller]], and none is configured: add one to roompass.toml, or set ROOMPASS_CONFIG to a file \
         that has one"
    )]
    NoCallers,
    #[error("no [[caller]] is named {0:?}")]
    Unknown(String),
    #[error("the claims' iss does not say which [[caller]] they are for: use --as with its name")]
    Unclear,
}

/// The caller that a JWT with these claims would be: `named`, or the configured one whose issuer is their `iss`. Claims
/// without an `iss` are of the only issuer there is.
pub(crate) fn caller(
    file: &Path,
    named: Option<&str>,
    callers: &[CallerConfig],
) -> Result<Caller, InvalidCallerFile> {
    let mut claims = object(file)?;
    let config = match (named, callers) {
        (Some(name), _) => callers
            .iter()
            .find(|caller| caller.name == name)
            .ok_or_else(|| InvalidCallerFile::Unknown(name.to_owned()))?,
        (None, [only]) => only,
        (None, _) => {
            let says = claims.get("iss");
            let mut fitting = callers.iter().filter(|caller| match &caller.kind {
                CallerKind::Jwt(issuer) => says.is_none_or(|says| *says == issuer.issuer),
                _ => false,
            });
            match (fitting.next(), fitting.next()) {
                (Some(first), other) if says.is_some() || other.is_none() => first,
                _ => return Err(InvalidCallerFile::Unclear),
            }
        }
    };
    if config.kind == CallerKind::Anonymous {
        return Ok(Caller::anonymous(&config.name));
    }
    if let CallerKind::Jwt(issuer) = &config.kind {
        claims.entry("iss").or_insert_with(|| issuer.issuer.clone().into());
    }
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let (issuer, subject) = (text("iss"), text("sub"));
    let expires = claims.get("exp").and_then(Value::as_u64);
    Ok(Caller { name: config.name.clone(), issuer, subject, claims, expires })
}

/// A file's JSON object.
pub(crate) fn object(file: &Path) -> Result<Map<String, Value>, InvalidCallerFile> {
    let text = std::fs::read(file)
        .map_err(|reason| InvalidCallerFile::Unreadable { file: file.to_owned(), reason })?;
    json::object(&text)
        .map_err(|error| InvalidCallerFile::Malformed { file: file.to_owned(), problem: error.to_string() })
}
