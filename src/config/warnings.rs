//! Warnings about a configuration that is valid, but probably not what was intended.

use super::Config;
use crate::auth::{CallerKeys, CallerKind};
use crate::dialect::Row;
use crate::domain::Provider;
use crate::domain::agora::TokenVersion;
use crate::keys::{Projects, SigningKeys};

/// Callers that can't authenticate, because the keys lack their API keys or shared secret. Never shows a secret.
#[must_use]
pub fn of_callers(config: &Config, keys: &CallerKeys) -> Vec<String> {
    let by_key = config.callers.iter().find(|caller| caller.kind == CallerKind::ApiKey);
    let no_keys = by_key.filter(|_| keys.has_no_api_keys()).map(|caller| {
        let name = &caller.name;
        format!(
            "caller {name:?} authenticates with API keys, but ROOMPASS_API_KEYS has none: every key is refused"
        )
    });
    let no_secret = config.callers.iter().filter_map(|caller| {
        let unusable = keys.shared_secret(caller.shared_secret()?.0).err()?;
        let name = &caller.name;
        Some(format!(
            "caller {name:?} authenticates with a shared secret, but {unusable}: requests with its tokens return 503"
        ))
    });
    no_keys.into_iter().chain(no_secret).collect()
}

/// Dialects whose provider has no keys in `default` and in the projects of the rules, and rules for projects without keys.
#[must_use]
pub fn of_projects(config: &Config, keys: &Projects) -> Vec<String> {
    let own = keys.of_default();
    let of_rules = config.policy.rules().iter().flat_map(|rule| {
        rule.possible_projects().into_iter().map(move |project| (&rule.name, keys.get(&project)))
    });
    let (with_keys, without): (Vec<_>, Vec<_>) = of_rules.partition(|(_, keys)| keys.has_provider());
    let lacking = config.dialects.iter().filter_map(|dialect| {
        let provider = Row::of(*dialect).provider;
        let mut usable = with_keys.iter().map(|(_, keys)| keys).chain([&own]);
        let has_keys = usable.any(|keys| keys.sign_for(provider).is_ok());
        let (dialect, provider) = (dialect.as_str(), provider.name());
        (!has_keys).then(|| {
            format!("dialect {dialect:?} is served, but {provider} has no keys: its requests return 503")
        })
    });
    let without = without.iter().map(|(rule, keys)| {
        let project = keys.project().as_str();
        format!("rule {rule:?} is for project {project:?}, which has no keys: its requests return 503")
    });
    lacking.chain(without).collect()
}

/// Whether a dialect of this provider is served.
#[must_use]
pub fn serves(config: &Config, provider: Provider) -> bool {
    config.dialects.iter().any(|dialect| Row::of(*dialect).provider == provider)
}

/// Weak settings of the file.
#[must_use]
pub fn of_config(config: &Config) -> Option<String> {
    let weak = serves(config, Provider::Agora) && config.agora.token_version == TokenVersion::V006;
    weak.then(|| {
        "agora.token_version = \"006\": a client can change such a token into one for another channel and user, because its \
         format doesn't separate the two. Use it only for SDKs that support no other version, and not for channels that \
         must be isolated"
            .to_owned()
    })
}

/// A warning if LiveKit's secret is too short. The public development key has a warning of its own.
#[must_use]
pub fn of_keys(keys: &SigningKeys) -> Option<String> {
    let livekit = keys.livekit().ok()?;
    (livekit.is_short() && !livekit.is_development_pair()).then(|| {
        let of_project = match keys.project() {
            project if project.is_default() => String::new(),
            project => format!(" of project {project}"),
        };
        format!(
            "LIVEKIT_API_SECRET{of_project} is shorter than 32 bytes, so it can be guessed, and LiveKit's server logs an \
             error: make new keys with `livekit-server generate-keys`"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ServerUrl;
    use crate::keys::{Deployment, LiveKitKeys};

    const CALLERS: &str = r#"
        [[caller]]
        name = "backend"
        kind = "api-key"

        [[caller]]
        name = "app"
        kind = "jwt"
        issuer = "https://login.example.com/"
        audience = "calls"
        algorithms = ["HS256"]
        secret = "SHARED_BY_LOGIN"
    "#;

    fn keys(secret: &str) -> SigningKeys {
        let server = ServerUrl::development();
        LiveKitKeys::new(server, "devkey".into(), secret.into(), Deployment::Local).unwrap().into()
    }

    #[test]
    fn missing_keys_of_callers_are_warned_about() {
        let config = Config::parse(CALLERS, "x.toml").unwrap();
        let warned = |secret: &str| {
            let members = serde_json::from_str(secret).unwrap();
            of_callers(&config, &CallerKeys::read(&members, &[], &super::super::shared_secrets(&config)))
        };
        assert_eq!(
            warned("{}"),
            [
                "caller \"backend\" authenticates with API keys, but ROOMPASS_API_KEYS has none: every key is refused",
                "caller \"app\" authenticates with a shared secret, but SHARED_BY_LOGIN is missing: requests with its tokens return 503",
            ]
        );
        let with = |secret: &str| {
            let hash = "0".repeat(64);
            warned(&format!(
                r#"{{"ROOMPASS_API_KEYS": {{"web": "sha256:{hash}"}}, "SHARED_BY_LOGIN": "{secret}"}}"#
            ))
        };
        let short = with("canary");
        assert_eq!(short.len(), 1);
        assert!(
            short[0].contains("SHARED_BY_LOGIN must have 32 bytes or more") && !short[0].contains("canary")
        );
        let nothing = with(&"c".repeat(32));
        assert!(nothing.is_empty(), "{nothing:?}");
    }

    #[test]
    fn a_short_secret_is_warned_about_unless_it_is_the_public_development_secret() {
        let long = "c".repeat(32);
        for (secret, short) in [("canary", true), (&long[..31], true), (&long, false), ("secret", false)] {
            let warned = of_keys(&keys(secret));
            assert_eq!(warned.is_some(), short, "{secret}");
            assert!(
                warned.is_none_or(|line| line.starts_with("LIVEKIT_API_SECRET is") && !line.contains(secret))
            );
        }
    }
}
