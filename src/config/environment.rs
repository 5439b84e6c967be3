//! The environment variables. An empty variable counts as unset.

use std::path::PathBuf;

use super::{Config, ConfigError, Origin};
use crate::auth::{CallerConfig, CallerKeys, SharedSecret};
use crate::domain::ServerUrl;
use crate::keys::{
    API_KEY, API_SECRET, APP_CERTIFICATE, APP_ID, AgoraKeys, Deployment, LiveKitKeys, SIGNING_MEMBERS,
    SigningKeys, URL,
};

/// The settings from the environment variables.
#[derive(Debug)]
pub struct Environment {
    /// `ROOMPASS_CONFIG`: the path of a file, or inline TOML, in place of the compiled-in configuration.
    pub config: ConfigSource,
    /// `ROOMPASS_CORS_ORIGINS`: a comma-separated list, in place of `[cors] origins`.
    pub cors_origins: Option<Vec<Origin>>,
    /// `LIVEKIT_URL`: the LiveKit server, in place of the secret's.
    pub server: Option<ServerUrl>,
    /// The source of the keys.
    pub keys: KeySource,
}

/// The source of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigSource {
    /// `roompass.toml` as it was when the program was built.
    CompiledIn,
    /// Inline TOML in `ROOMPASS_CONFIG`.
    Inline(String),
    /// The file that `ROOMPASS_CONFIG` names.
    File(PathBuf),
    /// The file that the command line names.
    Argument(PathBuf),
}

/// The source of the keys.
#[derive(Debug)]
pub enum KeySource {
    /// `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET`, with `LIVEKIT_URL`; `AGORA_APP_ID` and `AGORA_APP_CERTIFICATE`; or
    /// both pairs.
    Given(SigningKeys),
    /// `ROOMPASS_SECRET_ID`: the name or ARN of a secret in AWS Secrets Manager.
    Secret(String),
    /// No variable is set.
    Unset,
}

impl Environment {
    /// Reads the variables that `lookup` returns.
    ///
    /// # Errors
    /// If a variable is invalid, or not allowed in this deployment.
    pub fn read(
        deployment: Deployment,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let variable = |name: &str| non_empty(lookup(name));
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
            let problem = format!(
                "replaces {SECRET_ID}, so LiveKit would have no keys: add it and {APP_CERTIFICATE} to the secret instead"
            );
            return Err(invalid(APP_ID, problem));
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

    /// Reads this process's variables.
    ///
    /// # Errors
    /// If a variable is invalid, or not allowed in this deployment.
    pub fn of_this_process(deployment: Deployment) -> Result<Self, ConfigError> {
        Self::read(deployment, variable)
    }
}

/// An environment variable of this process.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// The shared secrets that callers name, each with its issuer.
#[must_use]
pub fn shared_secrets(config: &Config) -> Vec<SharedSecret> {
    let named = config.callers.iter().filter_map(CallerConfig::shared_secret);
    named.map(|(name, issuer)| SharedSecret { name: name.to_owned(), issuer: issuer.clone() }).collect()
}

/// The keys that verify callers, if they don't come from a secret: `ROOMPASS_API_KEYS`, and a variable for each shared
/// secret.
///
/// # Errors
/// If a variable is invalid.
pub fn caller_keys(config: &Config) -> Result<CallerKeys, ConfigError> {
    let lookup = |name: &str| non_empty(variable(name));
    Ok(CallerKeys::from_environment(&SIGNING_MEMBERS, &shared_secrets(config), lookup)?)
}

/// TOML contains a newline, an equals sign or a bracket, and a path doesn't. JSON isn't a path either: it may be the
/// secret, and an error would show the path.
fn source(text: String) -> ConfigSource {
    if text.contains(['\n', '=', '[', '{']) {
        ConfigSource::Inline(text)
    } else {
        ConfigSource::File(text.into())
    }
}

fn origins(list: &str) -> Result<Vec<Origin>, ConfigError> {
    let origins = list.split(',').map(|origin| origin.trim().to_owned().try_into());
    origins.collect::<Result<_, _>>().map_err(|error| invalid(CORS_ORIGINS, format!("each origin {error}")))
}

fn missing(variable: &str, other: &str) -> ConfigError {
    invalid(variable, format!("must be set together with {other}"))
}

fn invalid(variable: &str, problem: String) -> ConfigError {
    ConfigError::Variable { variable: variable.to_owned(), problem }
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
    fn an_empty_variable_counts_as_unset() {
        let empty = environment(&[(CONFIG, ""), (URL, ""), (API_KEY, ""), (API_SECRET, ""), (SECRET_ID, "")])
            .unwrap();
        assert_eq!(empty.config, ConfigSource::CompiledIn);
        assert!(matches!(empty.keys, KeySource::Unset));
    }

    #[test]
    fn keys_take_precedence_over_a_secret() {
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
    fn agoras_keys_are_set_alone_or_together_with_livekits() {
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
        assert_eq!(mistake(&[id]), "AGORA_APP_CERTIFICATE: must be set together with AGORA_APP_ID");
        assert_eq!(mistake(&[certificate]), "AGORA_APP_ID: must be set together with AGORA_APP_CERTIFICATE");
        assert_eq!(
            mistake(&[id, (APP_CERTIFICATE, "canary")]),
            "AGORA_APP_CERTIFICATE: must be 32 hexadecimal digits, as Agora's console shows it"
        );
        assert_eq!(
            mistake(&[id, certificate, (SECRET_ID, "id")]),
            "AGORA_APP_ID: replaces ROOMPASS_SECRET_ID, so LiveKit would have no keys: add it and AGORA_APP_CERTIFICATE to the secret instead"
        );
    }

    #[test]
    fn in_lambda_keys_from_the_environment_follow_the_rules_for_a_secret() {
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
            "LIVEKIT_API_SECRET: must not be LiveKit's public development secret, except with `sam local`"
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
        assert_eq!(
            mistake(&[(API_KEY, "k")]),
            "LIVEKIT_API_SECRET: must be set together with LIVEKIT_API_KEY"
        );
        assert_eq!(
            mistake(&[(API_SECRET, "canary")]),
            "LIVEKIT_API_KEY: must be set together with LIVEKIT_API_SECRET"
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
    fn origins_are_separated_by_commas() {
        let origins = environment(&[(CORS_ORIGINS, "https://a, https://b")]).unwrap().cors_origins.unwrap();
        assert_eq!(origins.len(), 2);
    }
}
