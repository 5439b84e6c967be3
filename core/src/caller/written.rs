//! `[[caller]]` in `roompass.toml`.

use http::HeaderName;
use serde::Deserialize;
use std::collections::BTreeMap;

use super::credential_header;
use super::issuer::{Algorithm, Issuer, KeyPlace};
use super::issuer_names::IssuerNames;
use super::mistake::InvalidCaller;
use super::via::Via;
use crate::condition::Condition;
use crate::one_or_more::OneOrMore;
use crate::url::has_userinfo;

/// A configured caller.
#[derive(Debug, Clone, PartialEq)]
pub struct CallerConfig {
    /// `name`: its name in rules and in the log.
    pub name: String,
    /// `kind`: how it is authenticated.
    pub kind: CallerKind,
    /// `credential_header`: the header that has the token or the API key, in place of `Authorization` and `X-API-Key`.
    pub credential_header: Option<HeaderName>,
}

/// How a caller is authenticated.
#[derive(Debug, Clone, PartialEq)]
pub enum CallerKind {
    /// `anonymous`: no authentication. Every unauthenticated request is from this caller.
    Anonymous,
    /// `api-key`: by an API key whose hash is in the secret.
    ApiKey,
    /// `gateway`: by an authorizer of API Gateway.
    Gateway(Via),
    /// `jwt`: by a token that an issuer signed.
    Jwt(Box<Issuer>),
}

impl CallerConfig {
    /// Whether this caller's credentials may have an expiry.
    #[must_use]
    pub fn credential_may_expire(&self) -> bool {
        !matches!(self.kind, CallerKind::Anonymous | CallerKind::Gateway(Via::Iam))
    }

    /// The name of its issuer's shared secret, and the issuer, if it has a shared secret.
    #[must_use]
    pub fn shared_secret(&self) -> Option<(&str, &IssuerNames)> {
        match &self.kind {
            CallerKind::Jwt(issuer) => match &issuer.keys {
                KeyPlace::Shared(name) => Some((name, &issuer.issuer)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether one authority assigns the subjects of both callers, so that equal subjects are one person. The authority of
    /// tokens is their issuer. All other callers have one each.
    #[must_use]
    pub fn has_same_authority_as(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (CallerKind::Jwt(one), CallerKind::Jwt(another)) => one.issuer.overlap(&another.issuer),
            _ => self.name == other.name,
        }
    }
}

/// A `[[caller]]` before the check that its keys belong to its kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenCaller {
    name: String,
    kind: KindName,
    via: Option<Via>,
    issuer: Option<OneOrMore>,
    audience: Option<OneOrMore>,
    audience_claim: Option<OneOrMore>,
    algorithms: Option<Vec<Algorithm>>,
    jwks_url: Option<String>,
    secret: Option<toml::Value>,
    typ: Option<String>,
    credential_header: Option<String>,
    required_claims: Option<BTreeMap<String, Condition>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindName {
    Anonymous,
    ApiKey,
    Gateway,
    Jwt,
}

impl OneOrMore {
    /// The first string and the others. None may be empty, and no two equal.
    fn read(self, key: &'static str) -> Result<(String, Vec<String>), InvalidCaller> {
        let strings: Vec<String> = self.into();
        if strings.iter().enumerate().any(|(at, one)| strings[..at].contains(one)) {
            return Err(InvalidCaller::new(key, format!("{key} must not contain duplicates")));
        }
        let mut strings = strings.into_iter();
        match strings.next() {
            Some(first) if !first.is_empty() && !strings.as_slice().iter().any(String::is_empty) => {
                Ok((first, strings.collect()))
            }
            _ => Err(InvalidCaller::new(key, format!("{key} must not be empty"))),
        }
    }
}

impl TryFrom<WrittenCaller> for CallerConfig {
    type Error = InvalidCaller;

    fn try_from(mut written: WrittenCaller) -> Result<Self, InvalidCaller> {
        let name = std::mem::take(&mut written.name);
        let presents = matches!(written.kind, KindName::Jwt | KindName::ApiKey);
        let header = written.credential_header.take();
        let header = header.map(|header| credential_header::parse(header, presents)).transpose();
        match header.and_then(|header| Ok((kind(written)?, header))) {
            Ok((kind, credential_header)) => Ok(Self { name, kind, credential_header }),
            Err(InvalidCaller { key, problem }) => {
                Err(InvalidCaller::new(key, format!("caller {name:?}: {problem}")))
            }
        }
    }
}

fn kind(written: WrittenCaller) -> Result<CallerKind, InvalidCaller> {
    let WrittenCaller {
        kind,
        via,
        issuer,
        audience,
        audience_claim,
        algorithms,
        jwks_url,
        secret,
        typ,
        required_claims,
        ..
    } = written;
    let keys_of_jwt = [
        ("issuer", issuer.is_some()),
        ("audience", audience.is_some()),
        ("audience_claim", audience_claim.is_some()),
        ("algorithms", algorithms.is_some()),
        ("jwks_url", jwks_url.is_some()),
        ("secret", secret.is_some()),
        ("typ", typ.is_some()),
        ("required_claims", required_claims.is_some()),
    ];
    if let Some((key, _)) = keys_of_jwt.iter().find(|(_, is_set)| *is_set && kind != KindName::Jwt) {
        return Err(InvalidCaller::new(key, format!("{key} is only for kind = \"jwt\"")));
    }
    if via.is_some() && kind != KindName::Gateway {
        return Err(InvalidCaller::new("via", "via is only for kind = \"gateway\""));
    }
    let missing = |key: &str, example: &str| {
        InvalidCaller::new("kind", format!("kind = \"jwt\" requires {key}, such as {example}"))
    };
    match kind {
        KindName::Anonymous => Ok(CallerKind::Anonymous),
        KindName::ApiKey => Ok(CallerKind::ApiKey),
        KindName::Gateway => via.map(CallerKind::Gateway).ok_or_else(|| {
            InvalidCaller::new(
                "kind",
                "kind = \"gateway\" requires via: \"jwt\", \"lambda\", \"iam\" or \"cognito\"",
            )
        }),
        KindName::Jwt => {
            let issuer = issuer.ok_or_else(|| missing("issuer", "\"https://login.example.com/\""))?;
            let audience = audience.ok_or_else(|| missing("audience", "\"calls\""))?;
            let algorithms = algorithms.ok_or_else(|| missing("algorithms", "[\"RS256\"]"))?;
            let (first, others) = issuer.read("issuer")?;
            let issuer = IssuerNames::new(first, others);
            let urls = issuer.iter().map(|url| ("issuer", url));
            for (key, url) in urls.chain(jwks_url.as_deref().map(|url| ("jwks_url", url))) {
                if has_userinfo(url) {
                    let problem = format!(
                        "{key} must not contain a user name or password: remove everything before the @"
                    );
                    return Err(InvalidCaller::new(key, problem));
                }
            }
            let keys = KeyPlace::of(&issuer, jwks_url, secret, &algorithms)?;
            let (first, others) = audience.read("audience")?;
            let audience = [vec![first], others].concat();
            let (first, others) =
                audience_claim.unwrap_or_else(|| OneOrMore::One("aud".to_owned())).read("audience_claim")?;
            let audience_claim = [vec![first], others].concat();
            let required_claims = required_claims.unwrap_or_default();
            if let Some(name) = required_claims.keys().find_map(|claim| claim.strip_prefix("claims.")) {
                let problem =
                    format!("required_claims has names of claims, without \"claims.\": write {name:?}");
                return Err(InvalidCaller::new("required_claims", problem));
            }
            let required_claims = required_claims.into_iter();
            let required_claims =
                required_claims.map(|(claim, one)| (claim.clone(), one.on_claim(&claim))).collect();
            Ok(CallerKind::Jwt(Box::new(Issuer {
                issuer,
                audience,
                audience_claim,
                algorithms,
                keys,
                typ,
                required_claims,
            })))
        }
    }
}

/// The mistakes that show only with the other callers, each with the caller's position.
pub(crate) fn mistakes(callers: &[CallerConfig]) -> impl Iterator<Item = (usize, InvalidCaller)> {
    callers.iter().enumerate().filter_map(|(position, caller)| {
        let earlier = &callers[..position];
        let found = invalid_name(caller, earlier)
            .or_else(|| earlier.iter().find_map(|other| unreachable(caller, other)))
            .or_else(|| earlier.iter().find_map(|other| shares_a_secret(caller, other)));
        found.map(|found| (position, found))
    })
}

fn invalid_name(caller: &CallerConfig, earlier: &[CallerConfig]) -> Option<InvalidCaller> {
    let name = &caller.name;
    if name.is_empty() {
        return Some(InvalidCaller::new("name", "a caller's name must not be empty"));
    }
    let duplicate = earlier.iter().any(|other| other.name == *name);
    duplicate.then(|| InvalidCaller::new("name", format!("duplicate caller name {name:?}")))
}

/// Why an earlier caller accepts every credential that this one accepts, if it does.
fn unreachable(caller: &CallerConfig, earlier: &CallerConfig) -> Option<InvalidCaller> {
    let (name, first) = (&caller.name, &earlier.name);
    let problem = |why: String| format!("caller {name:?} is unreachable: {why}");
    match (&earlier.kind, &caller.kind) {
        (CallerKind::Jwt(_) | CallerKind::ApiKey, _)
            if earlier.credential_header != caller.credential_header =>
        {
            None
        }
        (CallerKind::Anonymous, _) => Some(InvalidCaller::new(
            "name",
            problem(format!("{first:?} accepts every request. Move {first:?} to the end")),
        )),
        (CallerKind::ApiKey, CallerKind::ApiKey) => Some(InvalidCaller::new(
            "kind",
            problem(format!(
                "{first:?} accepts every API key. Use one caller of this kind, and distinguish keys by name: \
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
                    "{first:?} accepts all of its tokens. Move the narrower caller first, or remove it"
                )),
            ))
        }
        _ => None,
    }
}

/// Two issuers with one secret could sign each other's tokens.
fn shares_a_secret(caller: &CallerConfig, other: &CallerConfig) -> Option<InvalidCaller> {
    let ((secret, issuer), (other_secret, other_issuer)) = (caller.shared_secret()?, other.shared_secret()?);
    (secret == other_secret && !issuer.overlap(other_issuer)).then(|| {
        let problem = format!(
            "caller {:?}: caller {:?} has the same secret and another issuer: use a different secret for each issuer",
            caller.name, other.name
        );
        InvalidCaller::new("secret", problem)
    })
}
