//! The wiring: what the environment variables say. An empty variable counts as absent.

use std::path::PathBuf;

use super::{Config, ConfigError, Origin};
use crate::auth::{CallerConfig, CallerKeys, SharedSecret};
use crate::domain::ServerUrl;
use crate::keys::{
    API_KEY, API_SECRET, APP_CERTIFICATE, APP_ID, AgoraKeys, Deployment, LiveKitKeys, SIGNING_MEMBERS,
    SigningKeys, URL,
};

/// What the environment says.
#[derive(Debug)]
pub struct Environment {
    /// `ROOMPASS_CONFIG`: a file's path, or TOML itself, in place of the configuration compiled in.
    pub config: ConfigSource,
    /// `ROOMPASS_CORS_ORIGINS`: in place of `[cors] origins`, separated by commas.
    pub cors_origins: Option<Vec<Origin>>,
    /// `LIVEKIT_URL`: where clients connect, in place of the secret's own.
    pub server: Option<ServerUrl>,
    /// Where the keys come from.
    pub keys: KeySource,
}

/// Where the configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigSource {
    /// From `roompass.toml` when the program was built.
    CompiledIn,
    /// From TOML in the variable itself.
    Inline(String),
    /// From a file.
    File(PathBuf),
    /// From a file that is named on the command line, in place of all others.
    Argument(PathBuf),
}

/// Where the keys come from.
#[derive(Debug)]
pub enum KeySource {
    /// `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET`, with `LIVEKIT_URL`; `AGORA_APP_ID` and `AGORA_APP_CERTIFICATE`; or
    /// both pairs.
    Given(SigningKeys),
    /// `ROOMPASS_SECRET_ID`: the name or ARN of a secret in AWS Secrets Manager.
    Secret(String),
    /// Nowhere.
    Unset,
}

impl Environment {
    /// Reads the variables by `lookup`, such as [`Environment::of_this_process`] does.
    ///
    /// # Errors
    /// Where a variable can't be used, or not in this deployment.
    pub fn read(
        deployment: Deployment,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let variable = |name: &str| lookup(name).filter(|text| !text.is_empty());
        let server = variable(URL).map(|url| ServerUrl::parse(&url)).transpose()?;
        let pair = |one: &str, other: &str| match (variable(one), variable(other)) {
            (Some(one), Some(other)) => Ok(Some((one, other))),
            (Some(_), None) => Err(missing(other, one)),
            (None, Some(_)) => Err(missing(one, other)),
            (None, None) => Ok(None),
        };
        let livekit = pair(API_KEY, API_SECRET)?.map(|(key, secret)| {
            LiveKitKeys::new(server.clone().unwrap_or_else(ServerUrl::development), key, secret, deployment)
        });
        let agora = pair(APP_ID, APP_CERTIFICATE)?.map(|(id, certificate)| AgoraKeys::new(id, certificate));
        let secret = variable(SECRET_ID);
        if livekit.is_none() && agora.is_some() && secret.is_some() {
            return Err(ConfigError::Variable {
                variable: APP_ID.into(),
                problem: format!("would leave LiveKit without keys: put both into the secret of {SECRET_ID}"),
            });
        }
        let keys = match SigningKeys::of(livekit.transpose()?, agora.transpose()?)? {
            Some(keys) => KeySource::Given(keys),
            None => secret.map_or(KeySource::Unset, KeySource::Secret),
        };
        Ok(Self {
            config: variable(CONFIG).map_or(ConfigSource::CompiledIn, source),
            cors_origins: variable(CORS_ORIGINS).map(|list| origins(&list)).transpose()?,
            server,
            keys,
        })
    }

    /// The variables of this process.
    ///
    /// # Errors
    /// Where a variable can't be used.
    pub fn of_this_process(deployment: Deployment) -> Result<Self, ConfigError> {
        Self::read(deployment, |name| std::env::var(name).ok())
    }
}

/// The secrets that issuers share with us, each with its issuer.
#[must_use]
pub fn shared_secrets(config: &Config) -> Vec<SharedSecret> {
    let named = config.callers.iter().filter_map(CallerConfig::shared_secret);
    named.map(|(name, issuer)| SharedSecret { name: name.to_owned(), issuer: issuer.to_owned() }).collect()
}

/// What callers' credentials are checked with where the keys don't come from a secret: `ROOMPASS_API_KEYS`, and
/// variables with the names of the shared secrets.
///
/// # Errors
/// Where a variable can't be used.
pub fn callers_keys(
    config: &Config,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<CallerKeys, ConfigError> {
    let variable = |name: &str| lookup(name).filter(|text| !text.is_empty());
    Ok(CallerKeys::of_environment(&SIGNING_MEMBERS, &shared_secrets(config), variable)?)
}

/// A file's path is one line without an equals sign or a bracket; TOML that says anything has one of them. JSON is no
/// path either, which an error would show.
fn source(text: String) -> ConfigSource {
    if text.contains(['\n', '=', '[', '{']) {
        ConfigSource::Inline(text)
    } else {
        ConfigSource::File(text.into())
    }
}

fn origins(list: &str) -> Result<Vec<Origin>, ConfigError> {
    list.split(',').map(|origin| origin.trim().to_owned().try_into()).collect::<Result<_, _>>().map_err(
        |error| ConfigError::Variable {
            variable: CORS_ORIGINS.into(),
            problem: format!("each origin {error}"),
        },
    )
}

fn missing(variable: &str, other: &str) -> ConfigError {
    ConfigError::Variable { variable: variable.into(), problem: format!("must be set too, as {other} is") }
}

const CONFIG: &str = "ROOMPASS_CONFIG";
const CORS_ORIGINS: &str = "ROOMPASS_CORS_ORIGINS";
const SECRET_ID: &str = "ROOMPASS_SECRET_ID";

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Result<Environment, ConfigError> {
        Environment::read(Deployment::Local, |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn mistake(variables: &[(&str, &str)]) -> String {
        environment(variables).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_variable_counts_as_absent() {
        let empty = environment(&[(CONFIG, ""), (URL, ""), (API_KEY, ""), (API_SECRET, ""), (SECRET_ID, "")])
            .unwrap();
        assert_eq!(empty.config, ConfigSource::CompiledIn);
        assert!(matches!(empty.keys, KeySource::Unset));
    }

    #[test]
    fn keys_given_win_over_a_secret() {
        let given =
            environment(&[(API_KEY, "k"), (API_SECRET, "s"), (SECRET_ID, "id"), (URL, "wss://a")]).unwrap();
        assert!(
            matches!(given.keys, KeySource::Given(keys) if keys.livekit().unwrap().server.as_str() == "wss://a")
        );
        assert!(
            matches!(environment(&[(SECRET_ID, "id")]).unwrap().keys, KeySource::Secret(id) if id == "id")
        );
    }

    #[test]
    fn agoras_keys_are_given_alone_or_beside_livekits() {
        let (id, certificate) =
            ((APP_ID, "0123456789abcdef0123456789abcdef"), (APP_CERTIFICATE, "f".repeat(32)));
        let certificate = (certificate.0, &*certificate.1);
        for (variables, livekit, agora) in [
            (vec![id, certificate], false, true),
            (vec![id, certificate, (API_KEY, "k"), (API_SECRET, "s")], true, true),
            (vec![id, certificate, (API_KEY, "k"), (API_SECRET, "s"), (SECRET_ID, "id")], true, true),
            (vec![(API_KEY, "k"), (API_SECRET, "s")], true, false),
        ] {
            let KeySource::Given(keys) = environment(&variables).unwrap().keys else {
                panic!("{variables:?}")
            };
            assert_eq!((keys.livekit().is_ok(), keys.agora().is_ok()), (livekit, agora), "{variables:?}");
        }
        assert_eq!(mistake(&[id]), "AGORA_APP_CERTIFICATE: must be set too, as AGORA_APP_ID is");
        assert_eq!(mistake(&[certificate]), "AGORA_APP_ID: must be set too, as AGORA_APP_CERTIFICATE is");
        assert_eq!(
            mistake(&[id, (APP_CERTIFICATE, "canary")]),
            "AGORA_APP_CERTIFICATE: must be 32 hexadecimal digits, as Agora's console shows it"
        );
        assert_eq!(
            mistake(&[id, certificate, (SECRET_ID, "id")]),
            "AGORA_APP_ID: would leave LiveKit without keys: put both into the secret of ROOMPASS_SECRET_ID"
        );
    }

    #[test]
    fn in_lambda_keys_of_the_environment_keep_to_the_rules_of_a_secret() {
        let mistake = |server: &str, key: &str, secret: &str| {
            let variables = [(URL, server), (API_KEY, key), (API_SECRET, secret)];
            let lookup = |name: &str| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, text)| (*text).to_owned())
            };
            Environment::read(Deployment::Lambda, lookup).unwrap_err().to_string()
        };
        let long = "c".repeat(32);
        assert_eq!(
            mistake("wss://a", "devkey", "secret"),
            "LIVEKIT_API_SECRET: is LiveKit's public development secret, which only `sam local` may use"
        );
        assert!(
            mistake("wss://a", "k", "short").starts_with("LIVEKIT_API_SECRET: must have 32 bytes or more")
        );
        assert!(mistake("ws://a", "k", &long).starts_with("LIVEKIT_URL: must begin with wss:// or https://"));
    }

    #[test]
    fn the_configuration_is_a_path_or_toml() {
        let config = |text| environment(&[(CONFIG, text)]).unwrap().config;
        assert_eq!(config("conf/roompass.toml"), ConfigSource::File("conf/roompass.toml".into()));
        assert_eq!(config("[http]"), ConfigSource::Inline("[http]".into()));
        assert_eq!(
            config("limits.max_token_size = 2048"),
            ConfigSource::Inline("limits.max_token_size = 2048".into())
        );
        let secret = r#"{"LIVEKIT_API_SECRET": "canary"}"#;
        assert_eq!(config(secret), ConfigSource::Inline(secret.into()));
    }

    #[test]
    fn a_mistake_names_the_variable_and_never_shows_a_secret() {
        assert_eq!(mistake(&[(API_KEY, "k")]), "LIVEKIT_API_SECRET: must be set too, as LIVEKIT_API_KEY is");
        assert_eq!(
            mistake(&[(API_SECRET, "canary")]),
            "LIVEKIT_API_KEY: must be set too, as LIVEKIT_API_SECRET is"
        );
        assert_eq!(
            mistake(&[(API_KEY, "k"), (API_SECRET, "canary ")]),
            "LIVEKIT_API_SECRET: has white space around it"
        );
        assert_eq!(
            mistake(&[(URL, "localhost")]),
            "LIVEKIT_URL: must be a URL such as wss://my-project.livekit.cloud"
        );
        assert!(
            mistake(&[(CORS_ORIGINS, "https://a,b")])
                .starts_with("ROOMPASS_CORS_ORIGINS: each origin must be")
        );
    }

    #[test]
    fn the_environments_origins_are_separated_by_commas() {
        let origins = environment(&[(CORS_ORIGINS, "https://a, https://b")]).unwrap().cors_origins.unwrap();
        assert_eq!(origins.len(), 2);
    }
}
