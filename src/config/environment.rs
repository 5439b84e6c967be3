//! The environment variables. An empty variable counts as unset.

use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use super::variables::{KEYS, Variables, invalid};
use super::{Config, ConfigError, Origin};
use crate::auth::{API_KEYS, CallerConfig, CallerKeys, SharedSecret};
use crate::domain::ServerUrl;
use crate::json;
use crate::keys::{
    API_KEY, API_SECRET, APP_CERTIFICATE, APP_ID, AgoraKeys, Deployment, LiveKitKeys, Projects, SigningKeys,
    URL,
};

/// The settings from the environment variables.
#[derive(Debug)]
pub struct Environment {
    /// `ROOMPASS_CONFIG`: the path of a file, or inline TOML, in place of the compiled-in configuration.
    pub config: ConfigSource,
    /// `ROOMPASS_CORS_ORIGINS`: a comma-separated list, in place of `[cors] origins`.
    pub cors_origins: Option<Vec<Origin>>,
    /// `LIVEKIT_URL`: the LiveKit server of the project `default`, in place of the secret's.
    pub server: Option<ServerUrl>,
    /// The source of the keys.
    pub keys: KeySource,
    /// `ROOMPASS_POLICY`: where the policy is read at run time.
    pub policy: Option<PolicyPlace>,
    /// `ROOMPASS_METRICS`: the format of the function's metrics.
    pub metrics: Option<MetricsFormat>,
}

/// The format of the function's metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsFormat {
    /// CloudWatch's embedded metric format, in the log.
    Emf,
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

/// Where the policy is read at run time: `secret:`, `ssm:` or `file:`, and a name or a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyPlace {
    /// The name or ARN of a secret in AWS Secrets Manager that has the policy's text.
    Secret(String),
    /// The name or ARN of a parameter in AWS Systems Manager Parameter Store.
    Parameter(String),
    /// The path of a file.
    File(PathBuf),
}

/// The source of the keys.
#[derive(Debug)]
pub enum KeySource {
    /// `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET`, or `LIVEKIT_KEYS`, with `LIVEKIT_URL`; `AGORA_APP_ID` and
    /// `AGORA_APP_CERTIFICATE`; or both pairs; and those in `ROOMPASS_PROJECTS`. Each variable can be in a file, which
    /// `NAME_FILE` names.
    Given(Projects),
    /// `ROOMPASS_SECRET_ID`: the name or ARN of a secret in AWS Secrets Manager.
    Secret(String),
    /// `ROOMPASS_PARAMETER`: the name or ARN of a parameter in AWS Systems Manager Parameter Store.
    Parameter(String),
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
        let names = [URL, API_KEY, API_SECRET, KEYS, APP_ID, APP_CERTIFICATE, PROJECTS];
        let variables = Variables::read(names, &lookup)?;
        let server = variables.get(URL).map(ServerUrl::parse).transpose()?;
        let livekit = variables.livekit_pair()?.map(|(key, secret)| {
            LiveKitKeys::new(server.clone().unwrap_or_else(ServerUrl::development), key, secret, deployment)
        });
        let agora = variables.pair(APP_ID, APP_CERTIFICATE)?;
        let agora = agora.map(|(id, certificate)| AgoraKeys::new(id, certificate));
        let stored = match (variable(SECRET_ID), variable(PARAMETER)) {
            (Some(_), Some(_)) => {
                return Err(invalid(PARAMETER, format!("must not be set together with {SECRET_ID}")));
            }
            (Some(id), None) => Some((SECRET_ID, KeySource::Secret(id))),
            (None, Some(name)) => Some((PARAMETER, KeySource::Parameter(name))),
            (None, None) => None,
        };
        if let (None, Some(_), Some((place, _))) = (&livekit, &agora, &stored) {
            let problem = format!(
                "replaces {place}, so LiveKit would have no keys: add it and {APP_CERTIFICATE} to the secret instead"
            );
            return Err(invalid(APP_ID, problem));
        }
        let of_default = SigningKeys::of(livekit.transpose()?, agora.transpose()?)?;
        let mut given =
            variables.get(PROJECTS).map_or(Ok(Projects::default()), |text| projects(text, deployment))?;
        if let (None, false, Some((place, _))) = (&of_default, given.is_empty(), &stored) {
            let problem = format!("must not be set together with {place}: add the projects to the secret");
            return Err(invalid(PROJECTS, problem));
        }
        if let Some(keys) = of_default {
            given.insert(keys);
        }
        let keys = match stored {
            _ if !given.is_empty() => KeySource::Given(given),
            Some((_, source)) => source,
            None => KeySource::Unset,
        };
        Ok(Self {
            config: variable(CONFIG).map_or(ConfigSource::CompiledIn, source),
            cors_origins: variable(CORS_ORIGINS).map(|list| origins(&list)).transpose()?,
            server,
            keys,
            policy: variable(POLICY).map(|text| PolicyPlace::parse(&text)).transpose()?,
            metrics: match variable(METRICS).as_deref() {
                None => None,
                Some("emf") => Some(MetricsFormat::Emf),
                Some(_) => return Err(invalid(METRICS, "must be emf, or unset for no metrics".to_owned())),
            },
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

impl PolicyPlace {
    fn parse(text: &str) -> Result<Self, ConfigError> {
        let (kind, name) = text.split_once(':').unwrap_or_default();
        match (kind, name) {
            (_, "") => {}
            ("secret", name) => return Ok(Self::Secret(name.to_owned())),
            ("ssm", name) => return Ok(Self::Parameter(name.to_owned())),
            ("file", path) => return Ok(Self::File(path.into())),
            _ => {}
        }
        let is_path = !text.contains([':', '\n', '[']);
        let suggestion = if is_path { format!("; did you mean file:{text}?") } else { String::new() };
        let problem = "must be secret: and the name of a secret, ssm: and the name of a parameter, or file: and a path, such as \
                       ssm:/roompass/policy";
        Err(invalid(POLICY, format!("{problem}{suggestion}")))
    }
}

/// The place, as the variable has it. The path of a file is without `file:`, as other mistakes show it.
impl fmt::Display for PolicyPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(name) => write!(formatter, "secret:{name}"),
            Self::Parameter(name) => write!(formatter, "ssm:{name}"),
            Self::File(path) => path.display().fmt(formatter),
        }
    }
}

/// An environment variable of this process.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    // A path that is not UTF-8 must not count as unset.
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// The projects in a JSON object.
fn projects(text: &str, deployment: Deployment) -> Result<Projects, ConfigError> {
    let named = json::object(text.as_bytes()).map_err(|error| invalid(PROJECTS, error.to_string()))?;
    if let (Some(Value::Object(_)), 1) = (named.get("projects"), named.len()) {
        let problem = "must be the object of projects itself: remove the member projects around it";
        return Err(invalid(PROJECTS, problem.to_owned()));
    }
    if named.is_empty() {
        return Err(invalid(PROJECTS, "has no project".to_owned()));
    }
    let (projects, malformed) = Projects::read_named(&Value::Object(named), PROJECTS, deployment);
    match malformed.into_iter().next() {
        Some(malformed) => Err(malformed.mistake.into()),
        None => Ok(projects),
    }
}

/// The shared secrets that callers name, each with its issuer.
#[must_use]
pub fn shared_secrets(config: &Config) -> Vec<SharedSecret> {
    let named = config.callers.iter().filter_map(CallerConfig::shared_secret);
    named.map(|(name, issuer)| SharedSecret { name: name.to_owned(), issuer: issuer.clone() }).collect()
}

/// The keys that verify callers, if they don't come from a secret: `ROOMPASS_API_KEYS`, and a variable for each shared
/// secret. No shared secret may be one of the keys that sign.
///
/// # Errors
/// If a variable is invalid.
pub fn caller_keys(config: &Config, signing: &Projects) -> Result<CallerKeys, ConfigError> {
    let shared = shared_secrets(config);
    let names = shared.iter().map(|one| one.name.as_str()).chain([API_KEYS]);
    let variables = Variables::read(names, variable)?;
    let signing = signing.exposed();
    let lookup = |name: &str| {
        let key = signing.iter().find(|(member, _)| member == name).map(|(_, key)| *key);
        key.or_else(|| variables.get(name)).map(str::to_owned)
    };
    Ok(CallerKeys::from_environment(&signing, &shared, lookup)?)
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

const CONFIG: &str = "ROOMPASS_CONFIG";
const CORS_ORIGINS: &str = "ROOMPASS_CORS_ORIGINS";
const SECRET_ID: &str = "ROOMPASS_SECRET_ID";
const PARAMETER: &str = "ROOMPASS_PARAMETER";
const PROJECTS: &str = "ROOMPASS_PROJECTS";
const POLICY: &str = "ROOMPASS_POLICY";
const METRICS: &str = "ROOMPASS_METRICS";

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
    fn metrics_are_off_or_in_one_format() {
        let metrics = |text| environment(&[(METRICS, text)]).map(|environment| environment.metrics);
        assert_eq!(metrics("").unwrap(), None);
        assert_eq!(metrics("emf").unwrap(), Some(MetricsFormat::Emf));
        for other in ["EMF", "on", "prometheus", " emf"] {
            assert_eq!(
                metrics(other).unwrap_err().to_string(),
                "ROOMPASS_METRICS: must be emf, or unset for no metrics"
            );
        }
    }

    #[test]
    fn keys_take_precedence_over_a_secret() {
        let given =
            environment(&[(API_KEY, "k"), (API_SECRET, "s"), (SECRET_ID, "id"), (URL, "wss://a")]).unwrap();
        assert!(
            matches!(given.keys, KeySource::Given(keys) if keys.of_default().livekit().unwrap().server.as_str() == "wss://a")
        );
        assert!(
            matches!(environment(&[(SECRET_ID, "id")]).unwrap().keys, KeySource::Secret(id) if id == "id")
        );
        let of_livekits_file = environment(&[(KEYS, "k: s"), (PARAMETER, "/p"), (URL, "wss://a")]).unwrap();
        assert!(
            matches!(of_livekits_file.keys, KeySource::Given(keys) if keys.of_default().livekit().unwrap().api_key == "k")
        );
    }

    #[test]
    fn the_secret_is_in_one_of_two_stores() {
        let keys = |variables| environment(variables).unwrap().keys;
        assert!(
            matches!(keys(&[(PARAMETER, "/p"), (SECRET_ID, "")]), KeySource::Parameter(name) if name == "/p")
        );
        assert_eq!(
            mistake(&[(PARAMETER, "/p"), (SECRET_ID, "id")]),
            "ROOMPASS_PARAMETER: must not be set together with ROOMPASS_SECRET_ID"
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
            let keys = keys.of_default();
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
        assert!(
            mistake(&[id, certificate, (PARAMETER, "/p")])
                .starts_with("AGORA_APP_ID: replaces ROOMPASS_PARAMETER,")
        );
    }

    #[test]
    fn projects_are_set_alone_or_together_with_own_keys() {
        const EU: &str =
            r#"{"eu": {"LIVEKIT_URL": "wss://eu", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s"}}"#;
        let names = |variables: &[(&str, &str)]| {
            let KeySource::Given(keys) = environment(variables).unwrap().keys else {
                panic!("{variables:?}")
            };
            keys.iter().map(|keys| keys.project().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(&[(PROJECTS, EU)]), ["eu"]);
        let own = [(API_KEY, "k"), (API_SECRET, "s"), (URL, "wss://other")];
        assert_eq!(names(&[&own[..], &[(PROJECTS, EU)]].concat()), ["default", "eu"]);
        let KeySource::Given(keys) = environment(&[&own[..], &[(PROJECTS, EU)]].concat()).unwrap().keys
        else {
            panic!()
        };
        let of_eu = keys.get(&crate::domain::Project::parse("eu").unwrap());
        assert_eq!(of_eu.livekit().unwrap().server.as_str(), "wss://eu", "LIVEKIT_URL is for default");
        for (variables, problem) in [
            (
                vec![(PROJECTS, EU), (SECRET_ID, "id")],
                "ROOMPASS_PROJECTS: must not be set together with ROOMPASS_SECRET_ID: add the projects to the secret",
            ),
            (
                vec![(PROJECTS, EU), (PARAMETER, "/p")],
                "ROOMPASS_PROJECTS: must not be set together with ROOMPASS_PARAMETER: add the projects to the secret",
            ),
            (vec![(PROJECTS, "[]")], "ROOMPASS_PROJECTS: must be a JSON object"),
            (
                vec![(PROJECTS, "canary")],
                "ROOMPASS_PROJECTS: is not valid JSON, or has a duplicate member (line 1, column 1)",
            ),
            (
                vec![(PROJECTS, r#"{"eu": "canary"}"#)],
                "ROOMPASS_PROJECTS.eu: must be an object with the project's keys",
            ),
            (
                vec![(PROJECTS, r#"{"eu": {"LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": "canary"}}"#)],
                "ROOMPASS_PROJECTS.eu.LIVEKIT_API_SECRET: is missing",
            ),
            (
                vec![(PROJECTS, r#"{"default": {}}"#)],
                "ROOMPASS_PROJECTS: has the name default, which is for the keys that are not in projects",
            ),
        ] {
            assert_eq!(mistake(&variables), problem);
        }
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
    fn the_policy_is_in_a_secret_a_parameter_or_a_file() {
        let place = |text| environment(&[(POLICY, text)]).unwrap().policy;
        assert_eq!(place(""), None);
        for (text, expected, shown) in [
            (
                "secret:roompass-policy",
                PolicyPlace::Secret("roompass-policy".into()),
                "secret:roompass-policy",
            ),
            (
                "secret:arn:aws:secretsmanager:eu-central-1:1:secret:p-abcdef",
                PolicyPlace::Secret("arn:aws:secretsmanager:eu-central-1:1:secret:p-abcdef".into()),
                "secret:arn:aws:secretsmanager:eu-central-1:1:secret:p-abcdef",
            ),
            (
                "ssm:/roompass/policy",
                PolicyPlace::Parameter("/roompass/policy".into()),
                "ssm:/roompass/policy",
            ),
            ("file:conf/policy.toml", PolicyPlace::File("conf/policy.toml".into()), "conf/policy.toml"),
        ] {
            let found = place(text).unwrap();
            assert_eq!((found.to_string().as_str(), &found), (shown, &expected));
        }
        let problem = "ROOMPASS_POLICY: must be secret: and the name of a secret, ssm: and the name of a parameter, or file: and a path, such as ssm:/roompass/policy";
        for text in ["secret:", "ssm:", "file:", ":x", "s3:bucket", "Secret:x", "[[rule]]"] {
            assert_eq!(mistake(&[(POLICY, text)]), problem);
        }
        let expected = format!("{problem}; did you mean file:policy.toml?");
        assert_eq!(mistake(&[(POLICY, "policy.toml")]), expected);
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
