//! `[[caller]]`, as it's written in `roompass.toml`.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

use super::issuer::{Algorithm, Issuer, KeyPlace};
use super::via::Via;

/// Somebody who may call.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct CallerConfig {
    /// `name`: what rules and the log call it.
    pub name: String,
    /// `kind`: how it's known.
    pub kind: CallerKind,
}

/// How a caller is known.
#[derive(Debug, Clone, PartialEq)]
pub enum CallerKind {
    /// `anonymous`: not at all. Whoever reaches the endpoint is let in as this caller.
    Anonymous,
    /// `api-key`: by a key whose hash is in the secret.
    ApiKey,
    /// `gateway`: by what API Gateway has verified.
    Gateway(Via),
    /// `jwt`: by a token that an issuer signed.
    Jwt(Box<Issuer>),
}

impl CallerConfig {
    /// Whose word it is that this caller is who it says: subjects of one authority are the same people.
    #[must_use]
    pub fn authority(&self) -> &str {
        match &self.kind {
            CallerKind::Jwt(issuer) => &issuer.issuer,
            _ => &self.name,
        }
    }
}

/// The keys of all kinds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
struct Written {
    name: String,
    kind: Kind,
    via: Option<Via>,
    issuer: Option<String>,
    audience: Option<OneOrMore>,
    algorithms: Option<Vec<Algorithm>>,
    jwks_url: Option<String>,
    secret: Option<String>,
    typ: Option<String>,
    required_claims: Option<BTreeMap<String, Value>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Anonymous,
    ApiKey,
    Gateway,
    Jwt,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// A `[[caller]]` whose keys don't belong together.
#[derive(Debug, thiserror::Error)]
#[error("caller {name:?}: {problem}")]
pub struct InvalidCaller {
    name: String,
    problem: String,
}

impl TryFrom<Written> for CallerConfig {
    type Error = InvalidCaller;

    fn try_from(mut written: Written) -> Result<Self, InvalidCaller> {
        let name = std::mem::take(&mut written.name);
        let kind = kind(written).map_err(|problem| InvalidCaller { name: name.clone(), problem })?;
        Ok(Self { name, kind })
    }
}

fn kind(written: Written) -> Result<CallerKind, String> {
    let Written { kind, via, issuer, audience, algorithms, jwks_url, secret, typ, required_claims, .. } =
        written;
    let of_jwt = [
        ("issuer", issuer.is_some()),
        ("audience", audience.is_some()),
        ("algorithms", algorithms.is_some()),
        ("jwks_url", jwks_url.is_some()),
        ("secret", secret.is_some()),
        ("typ", typ.is_some()),
        ("required_claims", required_claims.is_some()),
    ];
    if let Some((key, _)) = of_jwt.iter().find(|(_, given)| *given && kind != Kind::Jwt) {
        return Err(format!("{key} is for kind = \"jwt\" alone"));
    }
    if via.is_some() && kind != Kind::Gateway {
        return Err("via is for kind = \"gateway\" alone".into());
    }
    let needs = |key: &str, example: &str| format!("kind = \"jwt\" needs {key}, such as {example}");
    match kind {
        Kind::Anonymous => Ok(CallerKind::Anonymous),
        Kind::ApiKey => Ok(CallerKind::ApiKey),
        Kind::Gateway => via.map(CallerKind::Gateway).ok_or_else(|| {
            "kind = \"gateway\" needs via: \"jwt\", \"lambda\", \"iam\" or \"cognito\"".into()
        }),
        Kind::Jwt => {
            let issuer = issuer.ok_or_else(|| needs("issuer", "\"https://login.example.com/\""))?;
            let audience = match audience.ok_or_else(|| needs("audience", "\"calls\""))? {
                OneOrMore::One(audience) => vec![audience],
                OneOrMore::More(audiences) => audiences,
            };
            let algorithms = algorithms.ok_or_else(|| needs("algorithms", "[\"RS256\"]"))?;
            let keys = KeyPlace::of(&issuer, jwks_url, secret, &algorithms)?;
            if issuer.is_empty() || audience.is_empty() || audience.iter().any(String::is_empty) {
                return Err("issuer and audience must not be empty".into());
            }
            let required_claims = required_claims.unwrap_or_default().into_iter().collect();
            Ok(CallerKind::Jwt(Box::new(Issuer { issuer, audience, algorithms, keys, typ, required_claims })))
        }
    }
}

/// The first caller that can't stand beside the others, by its position, and why.
#[must_use]
pub fn mistake(callers: &[CallerConfig]) -> Option<(usize, String)> {
    callers.iter().enumerate().find_map(|(position, caller)| {
        let earlier = &callers[..position];
        if caller.name.is_empty() {
            return Some((position, "a caller needs a name".into()));
        }
        if earlier.iter().any(|other| other.name == caller.name) {
            return Some((position, format!("there are two callers called {:?}", caller.name)));
        }
        if let Some(anyone) = earlier.iter().find(|other| other.kind == CallerKind::Anonymous) {
            let (name, anyone) = (&caller.name, &anyone.name);
            return Some((
                position,
                format!("caller {name:?} can never be: {anyone:?} before it is whoever asks"),
            ));
        }
        None
    })
}
