//! An issuer of a `[[caller]]`: what its tokens must contain, and where its keys are.

use std::collections::BTreeMap;

use http::Uri;
use serde::Deserialize;

use super::issuer_names::IssuerNames;
use super::mistake::InvalidCaller;
use crate::condition::Condition;
use crate::url::has_userinfo;

/// An issuer, and what its tokens must contain.
#[derive(Debug, Clone, PartialEq)]
pub struct Issuer {
    /// `issuer`: the exact value of `iss`, or a list of them.
    pub issuer: IssuerNames,
    /// `audience`: the audience claim must contain one of these.
    pub audience: Vec<String>,
    /// `audience_claim`: the names of the audience claim. The first of these claims that a token has decides, and the
    /// others are ignored. `aud` unless set.
    pub audience_claim: Vec<String>,
    /// `algorithms`: the accepted signature algorithms.
    pub algorithms: Vec<Algorithm>,
    /// Where the keys are.
    pub keys: KeyPlace,
    /// `typ`: the value of the header's `typ`, ignoring case. Not checked unless set.
    pub typ: Option<String>,
    /// `required_claims`: claims that a token must have, each with its condition.
    pub required_claims: BTreeMap<String, Condition>,
}

impl Issuer {
    /// Whether every token that `other` accepts is accepted here.
    pub(super) fn accepts_all_of(&self, other: &Self) -> bool {
        let typ = |issuer: &Self| issuer.typ.as_deref().map(str::to_ascii_lowercase);
        self.issuer.contain_all_of(&other.issuer)
            && self.keys == other.keys
            && self.audience_claim == other.audience_claim
            && other.audience.iter().all(|audience| self.audience.contains(audience))
            && other.algorithms.iter().all(|algorithm| self.algorithms.contains(algorithm))
            && (self.typ.is_none() || typ(self) == typ(other))
            && self.required_claims.iter().all(|(claim, condition)| {
                other.required_claims.get(claim).is_some_and(|one| condition.covers(one))
            })
    }
}

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// In the key set that the OpenID configuration at this URL names.
    Discovered(Uri),
    /// `jwks_url`: in the key set at this URL.
    At(Uri),
    /// `secret`: a shared secret, a member of this name in the secret store.
    Shared(String),
}

/// A signature's algorithm (RFC 7518, RFC 8037, RFC 9864).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA with P-256 and SHA-256.
    ES256,
    /// ECDSA with P-384 and SHA-384.
    ES384,
    /// Ed25519. RFC 9864 names it `Ed25519`; `EdDSA`, its older name, also allows Ed448, which is not supported.
    #[serde(alias = "Ed25519")]
    EdDSA,
    /// HMAC with SHA-256 and a shared secret.
    HS256,
}

impl Algorithm {
    /// The algorithm with this name, if it is supported.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "Ed25519" => Some(Self::EdDSA),
            _ => ALGORITHMS.into_iter().find(|algorithm| algorithm.name() == name),
        }
    }

    /// The name in a token's header. Ed25519 has two, this is the older one.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
            Self::HS256 => "HS256",
        }
    }
}

impl KeyPlace {
    pub(super) fn of(
        issuer: &IssuerNames,
        jwks_url: Option<String>,
        secret: Option<toml::Value>,
        algorithms: &[Algorithm],
    ) -> Result<Self, InvalidCaller> {
        let secret = secret.map(secret_name).transpose()?;
        let shared = algorithms.contains(&Algorithm::HS256);
        match (jwks_url, secret) {
            _ if algorithms.is_empty() => Err(InvalidCaller::new(
                "algorithms",
                "algorithms must not be empty: list at least one, such as \"RS256\"",
            )),
            _ if algorithms.iter().enumerate().any(|(at, one)| algorithms[..at].contains(one)) => {
                Err(InvalidCaller::new(
                    "algorithms",
                    "algorithms must not contain duplicates: EdDSA and Ed25519 are the same algorithm",
                ))
            }
            (None, Some(name)) if algorithms == [Algorithm::HS256] => Ok(Self::Shared(name)),
            (_, None) if shared => Err(InvalidCaller::new(
                "algorithms",
                "HS256 requires secret: the name of the shared secret in the secret store",
            )),
            (_, Some(_)) => {
                Err(InvalidCaller::new("secret", "secret requires algorithms = [\"HS256\"], and no jwks_url"))
            }
            (Some(url), None) => {
                safe_url(&url).map(Self::At).ok_or_else(|| unsafe_url("jwks_url", "jwks_url"))
            }
            (None, None) => {
                let first = issuer.first().trim_end_matches('/');
                let discovery = format!("{first}/.well-known/openid-configuration");
                let what = if issuer.are_several() {
                    "the first issuer (or jwks_url)"
                } else {
                    "issuer (or jwks_url)"
                };
                safe_url(&discovery).map(Self::Discovered).ok_or_else(|| unsafe_url("issuer", what))
            }
        }
    }
}

/// The name of a shared secret. The value may be the secret itself, so no error shows it.
fn secret_name(written: toml::Value) -> Result<String, InvalidCaller> {
    let capitals = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_uppercase())
            && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    match written {
        toml::Value::String(name) if name.ends_with("_FILE") && capitals(&name) => Err(InvalidCaller::new(
            "secret",
            "secret must not end in _FILE: name the variable, and its file is found by that name with _FILE after it",
        )),
        toml::Value::String(name) if RESERVED.contains(&name.as_str()) => Err(InvalidCaller::new(
            "secret",
            "secret must not be a reserved name such as LIVEKIT_API_SECRET: choose another, such as \"LOGIN_SECRET\"",
        )),
        toml::Value::String(name) if name.len() <= 128 && capitals(&name) => Ok(name),
        _ => Err(InvalidCaller::new(
            "secret",
            "secret must be the name of the shared secret, not the secret itself: up to 128 capital letters, digits \
             and _, such as \"LOGIN_SECRET\"",
        )),
    }
}

fn unsafe_url(key: &'static str, what: &str) -> InvalidCaller {
    let problem =
        format!("{what} must be an https URL; http is allowed only for 127.0.0.1, [::1] and localhost");
    InvalidCaller::new(key, problem)
}

/// A URL whose traffic can't be intercepted: https, or a loopback host.
#[must_use]
pub fn safe_url(url: &str) -> Option<Uri> {
    let uri: Uri = url.parse().ok()?;
    let is_loopback = matches!(uri.host()?, "127.0.0.1" | "[::1]" | "localhost");
    let plain = !has_userinfo(url);
    match uri.scheme_str()? {
        "https" if plain => Some(uri),
        "http" if plain && is_loopback => Some(uri),
        _ => None,
    }
}

/// Names of other members of the secret and of environment variables.
const RESERVED: [&str; 11] = [
    "LIVEKIT_URL",
    "LIVEKIT_API_KEY",
    "LIVEKIT_API_SECRET",
    "LIVEKIT_KEYS",
    "AGORA_APP_ID",
    "AGORA_APP_CERTIFICATE",
    "ROOMPASS_API_KEYS",
    "ROOMPASS_SECRET_ID",
    "ROOMPASS_PARAMETER",
    "ROOMPASS_CONFIG",
    "ROOMPASS_CORS_ORIGINS",
];

const ALGORITHMS: [Algorithm; 10] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
    Algorithm::HS256,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(written: impl Into<toml::Value>) -> String {
        secret_name(written.into()).unwrap_err().problem
    }

    #[test]
    fn a_safe_url_is_https_or_loopback_and_has_no_user_name() {
        for url in ["https://a.example/keys", "http://127.0.0.1:8080", "http://[::1]/", "http://localhost"] {
            assert!(safe_url(url).is_some(), "{url}");
        }
        for url in [
            "http://a.example",
            "ftp://a.example",
            "https://user@a.example",
            "http://user:password@localhost",
            "a.example",
            "",
        ] {
            assert!(safe_url(url).is_none(), "{url}");
        }
    }

    #[test]
    fn the_name_of_a_shared_secret_looks_like_an_environment_variable() {
        for name in ["S", "SUPABASE_JWT_SECRET", "LOGIN_2", &"S".repeat(128)] {
            assert_eq!(secret_name(name.into()), Ok(name.to_owned()));
        }
        for canary in ["", "canary", "Canary", "_S", "2S", "S-S", "S ", "Sé", &"S".repeat(129)] {
            let problem = problem(canary);
            assert!(problem.starts_with("secret must be the name of the shared secret, not"), "{problem}");
            assert!(!problem.to_lowercase().contains("canary"), "{problem}");
        }
        assert!(!problem(71_345).contains("71345"));
    }

    #[test]
    fn the_name_of_a_shared_secret_is_not_reserved() {
        for name in RESERVED {
            assert!(problem(name).contains("must not be a reserved name"), "{name}");
        }
        for name in ["LOGIN_SECRET_FILE", "LIVEKIT_KEYS_FILE"] {
            assert!(problem(name).starts_with("secret must not end in _FILE: "), "{name}");
        }
    }
}
