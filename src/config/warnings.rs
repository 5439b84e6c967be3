//! What can be started with and still won't do what is meant by it.

use super::Config;
use crate::auth::{CallerKeys, CallerKind};
use crate::dialect::Row;
use crate::domain::Provider;
use crate::domain::agora::TokenVersion;
use crate::keys::SigningKeys;

/// What callers are known by and the keys don't hold, a line for each. Never shows a secret.
#[must_use]
pub fn of_callers(config: &Config, keys: &CallerKeys) -> Vec<String> {
    let by_key = config.callers.iter().find(|caller| caller.kind == CallerKind::ApiKey);
    let no_keys = by_key.filter(|_| keys.has_no_api_keys()).map(|caller| {
        let name = &caller.name;
        format!(
            "caller {name:?} is known by an API key, and ROOMPASS_API_KEYS holds none: every key is refused"
        )
    });
    let no_secret = config.callers.iter().filter_map(|caller| {
        let unusable = keys.shared_secret(caller.shared_secret()?.0).err()?;
        let name = &caller.name;
        Some(format!(
            "caller {name:?} is known by a secret that its issuer shares, and {unusable}: its tokens get a 503"
        ))
    });
    no_keys.into_iter().chain(no_secret).collect()
}

/// Dialects that are served and whose provider has no keys.
#[must_use]
pub fn of_dialects(config: &Config, keys: &SigningKeys) -> Vec<String> {
    let lacking = config.dialects.iter().filter_map(|dialect| {
        let missing = keys.sign_for(Row::of(*dialect).provider).err()?;
        Some(format!("dialect {:?} is served, and {missing}: its requests return 503", dialect.as_str()))
    });
    lacking.collect()
}

/// Whether a dialect of this provider is served.
#[must_use]
pub fn serves(config: &Config, provider: Provider) -> bool {
    config.dialects.iter().any(|dialect| Row::of(*dialect).provider == provider)
}

/// What the file asks for that is weak in itself.
#[must_use]
pub fn of_config(config: &Config) -> Option<String> {
    let weak = serves(config, Provider::Agora) && config.agora.token_version == TokenVersion::V006;
    weak.then(|| {
        "agora.token_version = \"006\": the holder of such a token can make it good for another channel and user, since its \
         layout doesn't keep the two apart. Use it for SDKs that know no other, and for nothing that must stay apart"
            .to_owned()
    })
}

/// That LiveKit's secret is too short to be one. The pair that everybody knows is none to begin with.
#[must_use]
pub fn of_keys(keys: &SigningKeys) -> Option<String> {
    let livekit = keys.livekit().ok()?;
    (livekit.is_short() && !livekit.is_development_pair()).then(|| {
        "LIVEKIT_API_SECRET is shorter than 32 bytes, which can be guessed: LiveKit's server calls it an error in its \
         log. `livekit-server generate-keys` makes a new pair"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ServerUrl;
    use crate::keys::{Deployment, LiveKitKeys, SIGNING_MEMBERS};

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
    fn what_callers_are_known_by_is_missed_at_the_start() {
        let config = Config::parse(CALLERS, "x.toml").unwrap();
        let warned = |secret: &str| {
            let members = serde_json::from_str(secret).unwrap();
            of_callers(
                &config,
                &CallerKeys::read(&members, &SIGNING_MEMBERS, &super::super::shared_secrets(&config)),
            )
        };
        assert_eq!(
            warned("{}"),
            [
                "caller \"backend\" is known by an API key, and ROOMPASS_API_KEYS holds none: every key is refused",
                "caller \"app\" is known by a secret that its issuer shares, and SHARED_BY_LOGIN is missing: its tokens get a 503",
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
    fn a_short_secret_is_warned_of_unless_it_is_the_one_that_everybody_knows() {
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
