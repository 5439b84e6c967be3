//! `[[caller]]`, as it's written in `roompass.toml`.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

use super::issuer::{Algorithm, Issuer, KeyPlace};
use super::mistake::InvalidCaller;
use super::via::Via;
use crate::url::has_userinfo;

/// A configured caller.
#[derive(Debug, Clone, PartialEq)]
pub struct CallerConfig {
    /// `name`: what rules and the log call it.
    pub name: String,
    /// `kind`: how it's known.
    pub kind: CallerKind,
}

/// How a caller is known.
#[derive(Debug, Clone, PartialEq)]
pub enum CallerKind {
    /// `anonymous`: no authentication. Every unauthenticated request counts as this caller.
    Anonymous,
    /// `api-key`: by a key whose hash is in the secret.
    ApiKey,
    /// `gateway`: by what API Gateway has verified.
    Gateway(Via),
    /// `jwt`: by a token that an issuer signed.
    Jwt(Box<Issuer>),
}

impl CallerConfig {
    /// Whether what this caller shows may end.
    #[must_use]
    pub fn shows_an_end(&self) -> bool {
        !matches!(self.kind, CallerKind::Anonymous | CallerKind::Gateway(Via::Iam))
    }

    /// The name of the secret that its issuer shares with us, and the issuer, if it's known by one.
    #[must_use]
    pub fn shared_secret(&self) -> Option<(&str, &str)> {
        match &self.kind {
            CallerKind::Jwt(issuer) => match &issuer.keys {
                KeyPlace::Shared(name) => Some((name, &issuer.issuer)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whose word it is that this caller is who it says: subjects of one authority are the same people.
    #[must_use]
    pub fn authority(&self) -> Authority<'_> {
        match &self.kind {
            CallerKind::Jwt(issuer) => Authority::Issuer(&issuer.issuer),
            _ => Authority::Caller(&self.name),
        }
    }
}

/// Who vouches for a caller's subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority<'a> {
    /// An issuer's, by its name.
    Issuer(&'a str),
    /// This endpoint's own, or the gateway's, for a caller of this name.
    Caller(&'a str),
}

/// A `[[caller]]` with the keys of all kinds, which may not belong together.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenCaller {
    name: String,
    kind: Kind,
    via: Option<Via>,
    issuer: Option<String>,
    audience: Option<OneOrMore>,
    algorithms: Option<Vec<Algorithm>>,
    jwks_url: Option<String>,
    secret: Option<toml::Value>,
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
#[serde(untagged, expecting = "must be a string, or a list of strings")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl TryFrom<WrittenCaller> for CallerConfig {
    type Error = InvalidCaller;

    fn try_from(mut written: WrittenCaller) -> Result<Self, InvalidCaller> {
        let name = std::mem::take(&mut written.name);
        match kind(written) {
            Ok(kind) => Ok(Self { name, kind }),
            Err(InvalidCaller { key, problem }) => {
                Err(InvalidCaller::new(key, format!("caller {name:?}: {problem}")))
            }
        }
    }
}

fn kind(written: WrittenCaller) -> Result<CallerKind, InvalidCaller> {
    let WrittenCaller {
        kind, via, issuer, audience, algorithms, jwks_url, secret, typ, required_claims, ..
    } = written;
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
        return Err(InvalidCaller::new(key, format!("{key} is for kind = \"jwt\" alone")));
    }
    if via.is_some() && kind != Kind::Gateway {
        return Err(InvalidCaller::new("via", "via is for kind = \"gateway\" alone"));
    }
    let lacks = |key: &str, example: &str| {
        InvalidCaller::new("kind", format!("kind = \"jwt\" needs {key}, such as {example}"))
    };
    match kind {
        Kind::Anonymous => Ok(CallerKind::Anonymous),
        Kind::ApiKey => Ok(CallerKind::ApiKey),
        Kind::Gateway => via.map(CallerKind::Gateway).ok_or_else(|| {
            InvalidCaller::new(
                "kind",
                "kind = \"gateway\" needs via: \"jwt\", \"lambda\", \"iam\" or \"cognito\"",
            )
        }),
        Kind::Jwt => {
            let issuer = issuer.ok_or_else(|| lacks("issuer", "\"https://login.example.com/\""))?;
            let audience = match audience.ok_or_else(|| lacks("audience", "\"calls\""))? {
                OneOrMore::One(audience) => vec![audience],
                OneOrMore::More(audiences) => audiences,
            };
            let algorithms = algorithms.ok_or_else(|| lacks("algorithms", "[\"RS256\"]"))?;
            for (key, url) in [("issuer", Some(&issuer)), ("jwks_url", jwks_url.as_ref())] {
                if url.is_some_and(|url| has_userinfo(url)) {
                    let problem =
                        format!("{key} must not contain a user name or password: remove all before the @");
                    return Err(InvalidCaller::new(key, problem));
                }
            }
            let keys = KeyPlace::of(&issuer, jwks_url, secret, &algorithms)?;
            if issuer.is_empty() {
                return Err(InvalidCaller::new("issuer", "issuer must not be empty"));
            }
            if audience.is_empty() || audience.iter().any(String::is_empty) {
                return Err(InvalidCaller::new("audience", "audience must not be empty"));
            }
            let required_claims = required_claims.unwrap_or_default().into_iter().collect();
            Ok(CallerKind::Jwt(Box::new(Issuer { issuer, audience, algorithms, keys, typ, required_claims })))
        }
    }
}

/// The callers that can't stand beside the others, each by its position, and why.
pub(crate) fn mistakes(callers: &[CallerConfig]) -> impl Iterator<Item = (usize, InvalidCaller)> {
    callers.iter().enumerate().filter_map(|(position, caller)| {
        let earlier = &callers[..position];
        let found = unnamed(caller, earlier)
            .or_else(|| earlier.iter().find_map(|other| unreachable(caller, other)))
            .or_else(|| earlier.iter().find_map(|other| shares_a_secret(caller, other)));
        found.map(|found| (position, found))
    })
}

fn unnamed(caller: &CallerConfig, earlier: &[CallerConfig]) -> Option<InvalidCaller> {
    let name = &caller.name;
    if name.is_empty() {
        return Some(InvalidCaller::new("name", "a caller needs a name"));
    }
    let duplicate = earlier.iter().any(|other| other.name == *name);
    duplicate.then(|| InvalidCaller::new("name", format!("there are two callers called {name:?}")))
}

/// Why an earlier caller takes every credential that this one would accept, if it does.
fn unreachable(caller: &CallerConfig, earlier: &CallerConfig) -> Option<InvalidCaller> {
    let (name, first) = (&caller.name, &earlier.name);
    let problem = |why: String| format!("caller {name:?} is unreachable: {why}");
    match (&earlier.kind, &caller.kind) {
        (CallerKind::Anonymous, _) => Some(InvalidCaller::new(
            "name",
            problem(format!("{first:?} before it accepts every request. Move {first:?} to the end")),
        )),
        (CallerKind::ApiKey, CallerKind::ApiKey) => Some(InvalidCaller::new(
            "kind",
            problem(format!(
                "{first:?} accepts every API key. Use one caller of this kind, and tell keys apart by their names: \
                 when = {{ sub = \"web\" }}"
            )),
        )),
        (CallerKind::Gateway(one), CallerKind::Gateway(other)) if one == other => Some(InvalidCaller::new(
            "via",
            problem(format!("{first:?} accepts every request with this authorizer. Remove one of the two")),
        )),
        (CallerKind::Jwt(one), CallerKind::Jwt(other)) if one.accepts_all_of(other) => {
            Some(InvalidCaller::new(
                "name",
                problem(format!(
                    "{first:?} accepts every token that it would. Put the narrower one first, or remove it"
                )),
            ))
        }
        _ => None,
    }
}

/// Two issuers with one secret: each could sign for the other.
fn shares_a_secret(caller: &CallerConfig, other: &CallerConfig) -> Option<InvalidCaller> {
    let ((mine, issuer), (theirs, another)) = (caller.shared_secret()?, other.shared_secret()?);
    (mine == theirs && issuer != another).then(|| {
        let problem = format!(
            "caller {:?}: secret must not be that of caller {:?} too, whose issuer is different: each issuer needs a \
             secret of its own",
            caller.name, other.name
        );
        InvalidCaller::new("secret", problem)
    })
}
