//! The secret: one JSON object with the keys of LiveKit, Agora or both, those of other projects, and the keys that verify
//! callers.

use serde_json::{Map, Value};

use super::Deployment;
use super::members::{Members, SecretWarning};
use super::projects::{MalformedProject, PROJECTS, Projects};
use super::signing::SIGNING_MEMBERS;
use crate::auth::{CallerKeys, SharedSecret};
use crate::domain::{MalformedSecret, ServerUrl};

/// The settings for reading a secret.
#[derive(Debug, Clone)]
pub struct SecretRules {
    /// Where the program runs.
    pub deployment: Deployment,
    /// The LiveKit server of the project `default`, in place of the secret's `LIVEKIT_URL`.
    pub server: Option<ServerUrl>,
    /// The shared secrets that callers name.
    pub shared: Vec<SharedSecret>,
}

/// The keys in a secret. Each project can be used even if another is invalid, and callers can be verified even if all are.
#[derive(Debug)]
pub struct Secret {
    /// The keys that sign tokens.
    pub projects: Projects,
    /// The projects whose keys are invalid.
    pub malformed: Vec<MalformedProject>,
    /// The keys that verify callers.
    pub callers: CallerKeys,
    /// What was corrected.
    pub warnings: Vec<SecretWarning>,
}

impl SecretRules {
    /// Reads a secret's JSON.
    ///
    /// # Errors
    /// If it isn't a JSON object.
    pub fn read(&self, text: &str) -> Result<Secret, MalformedSecret> {
        let Members { values, warnings } = Members::read(text, &self.shared)?;
        let (projects, malformed) = Projects::read(&values, self.server.as_ref(), self.deployment);
        let callers = CallerKeys::read(&values, &signing_members(&values), &self.shared);
        Ok(Secret { projects, malformed, callers, warnings })
    }
}

/// The values that a shared secret must not be equal to, in all projects, each with its path.
fn signing_members(members: &Map<String, Value>) -> Vec<(String, &str)> {
    let named = members.get(PROJECTS).and_then(Value::as_object);
    let named = named.into_iter().flatten().filter_map(|(name, keys)| Some((Some(name), keys.as_object()?)));
    let all = std::iter::once((None, members)).chain(named);
    all.flat_map(|(project, members)| {
        SIGNING_MEMBERS.iter().filter_map(move |member| {
            let path = project
                .map_or_else(|| (*member).to_owned(), |project| format!("{PROJECTS}.{project}.{member}"));
            Some((path, members.get(*member)?.as_str()?))
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Project, Provider};
    use crate::keys::{NotConfigured, SigningKeys};

    fn rules() -> SecretRules {
        SecretRules { deployment: Deployment::Lambda, server: None, shared: Vec::new() }
    }

    fn signing(text: &str) -> Result<SigningKeys, MalformedSecret> {
        own(rules().read(text)?)
    }

    /// The keys of the project `default`.
    fn own(secret: Secret) -> Result<SigningKeys, MalformedSecret> {
        match secret.malformed.into_iter().next() {
            Some(malformed) => Err(malformed.mistake),
            None => Ok(SigningKeys::clone(&secret.projects.of_default())),
        }
    }

    fn error(text: &str) -> String {
        signing(text).unwrap_err().to_string()
    }

    #[test]
    fn a_mistake_in_a_secret_names_the_problem_and_never_shows_a_value() {
        for (text, message) in [
            ("{}", "LIVEKIT_URL is missing"),
            (
                r#"{"LIVEKIT_URL": "canary"}"#,
                "LIVEKIT_URL must be a URL such as wss://my-project.livekit.cloud",
            ),
            (
                r#"{"LIVEKIT_URL": "wss://user:canary@a"}"#,
                "LIVEKIT_URL must not contain a user name or password: remove everything before the @",
            ),
            (r#"{"LIVEKIT_URL": "wss://a"}"#, "LIVEKIT_API_KEY is missing"),
            (r#"{"LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": 5}"#, "LIVEKIT_API_KEY must be a string"),
            (r#"{"LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": "k"}"#, "LIVEKIT_API_SECRET is missing"),
            (
                r#"{"LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": "", "LIVEKIT_API_SECRET": "canary"}"#,
                "LIVEKIT_API_KEY is empty",
            ),
        ] {
            assert_eq!(error(text), message);
        }
    }

    const AGORA_ALONE: &str = r#"{"AGORA_APP_ID": "970ca35de60c44645bbae8a215061b33", "AGORA_APP_CERTIFICATE": "5cfd2fd1755d40ecb72977518be15d3b"}"#;

    #[test]
    fn a_secret_has_the_keys_of_one_provider_or_both() {
        let livekit =
            r#"{"LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "a secret of thirty-two bytes or more"}"#.to_owned();
        let both = format!("{},{}", &AGORA_ALONE[..AGORA_ALONE.len() - 1], &livekit[1..]);
        for (text, has_livekit, has_agora) in
            [(&*livekit, true, false), (AGORA_ALONE, false, true), (&both, true, true)]
        {
            let keys = signing(text).unwrap();
            assert_eq!((keys.livekit().is_ok(), keys.agora().is_ok()), (has_livekit, has_agora), "{text}");
        }
        let with_a_server = SecretRules { server: Some(ServerUrl::development()), ..rules() };
        let of_agora_alone = own(with_a_server.read(AGORA_ALONE).unwrap()).unwrap();
        assert_eq!(
            of_agora_alone.livekit().unwrap_err(),
            NotConfigured { provider: Provider::LiveKit, project: Project::default() },
            "a server alone is no key"
        );
    }

    #[test]
    fn a_missing_or_invalid_key_of_agora_is_named_and_not_shown() {
        for (text, message) in [
            (r#"{"AGORA_APP_ID": "canary"}"#, "AGORA_APP_CERTIFICATE is missing"),
            (r#"{"AGORA_APP_CERTIFICATE": "canary"}"#, "AGORA_APP_ID is missing"),
            (r#"{"AGORA_APP_ID": 5, "AGORA_APP_CERTIFICATE": "canary"}"#, "AGORA_APP_ID must be a string"),
            (
                &AGORA_ALONE.replace("5cfd", "canary "),
                "AGORA_APP_CERTIFICATE must be 32 hexadecimal digits, as Agora's console shows it",
            ),
            (
                &AGORA_ALONE.replace("\"AGORA_APP_ID", "\"LIVEKIT_URL\": \"wss://a\", \"AGORA_APP_ID"),
                "LIVEKIT_API_KEY is missing",
            ),
        ] {
            assert_eq!(error(text), message);
        }
    }

    #[test]
    fn the_public_development_key_is_a_mistake_only_in_lambda() {
        let pair = r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret"}"#;
        assert_eq!(
            error(pair),
            "LIVEKIT_API_SECRET must not be LiveKit's public development secret, except with `sam local`"
        );
        let local = SecretRules { deployment: Deployment::Local, ..rules() };
        assert!(own(local.read(pair).unwrap()).is_ok());
    }

    #[test]
    fn one_secret_for_both_providers_is_a_mistake() {
        let text = AGORA_ALONE.replace('}', r#", "LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "5cfd2fd1755d40ecb72977518be15d3b"}"#);
        assert_eq!(
            error(&text),
            "AGORA_APP_CERTIFICATE must not be the same as LIVEKIT_API_SECRET: use a separate secret"
        );
    }
}
