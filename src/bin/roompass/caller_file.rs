//! The caller for the options `--caller` and `--as`, to try a policy: made of a file with claims, or without any.

use std::path::{Path, PathBuf};

use roompass::auth::{Caller, CallerConfig, CallerKind, Issuer, check_claims};
use roompass::{json, url};
use serde_json::{Map, Value};

/// Why there is no caller.
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
    #[error("the claims' iss does not match exactly one [[caller]]: select one by name with --as")]
    Ambiguous,
}

/// The caller for the options `--caller` and `--as`. Without either, the anonymous one, if there is one.
pub(crate) fn selected(
    file: Option<&Path>,
    named: Option<&str>,
    callers: &[CallerConfig],
) -> Result<Option<Caller>, InvalidCallerFile> {
    let config = match (file, named) {
        (Some(file), _) => return caller(file, named, callers).map(Some),
        (None, Some(name)) => Some(by_name(name, callers)?),
        (None, None) => callers.iter().find(|caller| caller.kind == CallerKind::Anonymous),
    };
    Ok(config.map(|config| Caller::anonymous(&config.name)))
}

/// Why an endpoint doesn't accept a token with the claims of this caller, if it doesn't.
pub(crate) fn token_error(caller: &Caller, callers: &[CallerConfig], now: u64) -> Option<String> {
    let config = callers.iter().find(|config| config.name == caller.name)?;
    check_claims(config, &caller.claims, now).err().map(|why| format!("invalid token: {why}"))
}

/// The caller of a JWT with these claims: the configured caller with this name, or with the issuer in `iss`. Without an
/// `iss`, the only caller or the only issuer.
pub(crate) fn caller(
    file: &Path,
    named: Option<&str>,
    callers: &[CallerConfig],
) -> Result<Caller, InvalidCallerFile> {
    caller_of(object(file)?, named, callers)
}

/// The same for claims that aren't in a file.
pub(crate) fn caller_of(
    mut claims: Map<String, Value>,
    named: Option<&str>,
    callers: &[CallerConfig],
) -> Result<Caller, InvalidCallerFile> {
    let config = match (named, callers) {
        (Some(name), _) => by_name(name, callers)?,
        (None, [only]) => only,
        (None, _) => {
            let iss = claims.get("iss");
            let mut candidates = callers.iter().filter(|caller| match &caller.kind {
                CallerKind::Jwt(issuer) => iss.is_none_or(|iss| names(issuer, iss)),
                _ => false,
            });
            match (candidates.next(), candidates.next()) {
                (Some(first), other) if iss.is_some() || other.is_none() => first,
                _ => return Err(InvalidCallerFile::Ambiguous),
            }
        }
    };
    if config.kind == CallerKind::Anonymous {
        return Ok(Caller::anonymous(&config.name));
    }
    if let CallerKind::Jwt(issuer) = &config.kind {
        claims.entry("iss").or_insert_with(|| issuer.issuer.first().into());
    }
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let issuer = match (&config.kind, claims.get("iss")) {
        (CallerKind::Jwt(issuer), Some(iss)) if names(issuer, iss) => Some(issuer.issuer.first().to_owned()),
        _ => text("iss"),
    };
    let subject = text("sub");
    let expires = claims.get("exp").and_then(Value::as_u64);
    Ok(Caller { name: config.name.clone(), issuer, subject, claims, expires })
}

fn by_name<'a>(name: &str, callers: &'a [CallerConfig]) -> Result<&'a CallerConfig, InvalidCallerFile> {
    let found = callers.iter().find(|caller| caller.name == name);
    found.ok_or_else(|| InvalidCallerFile::Unknown(name.to_owned()))
}

fn names(issuer: &Issuer, iss: &Value) -> bool {
    iss.as_str().is_some_and(|iss| issuer.issuer.contains(iss))
}

/// Reads a file with a JSON object.
pub(crate) fn object(file: &Path) -> Result<Map<String, Value>, InvalidCallerFile> {
    let text = std::fs::read(file)
        .map_err(|reason| InvalidCallerFile::Unreadable { file: file.to_owned(), reason })?;
    json::object(&text)
        .map_err(|error| InvalidCallerFile::Malformed { file: file.to_owned(), problem: error.to_string() })
}
