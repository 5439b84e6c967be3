//! Reads the secret: from a file, as the function reads it from its store, or from the environment.

use std::fmt;

use roompass::auth::CallerKeys;
use roompass::config::{Config, ConfigError, Environment, KeySource, caller_keys, shared_secrets, warnings};
use roompass::keys::{Deployment, Projects, SecretRules};

use super::report::{Entry, Report};
use crate::development::{self, PolicySource};

/// The keys that sign, as far as they can be read. None if the store of the function has them.
///
/// # Errors
/// If a variable for a caller's key is invalid.
pub(super) fn check(
    environment: &Environment,
    (config, policy): (&Config, PolicySource),
    secret: Option<&str>,
    report: &mut Report,
) -> Result<Option<Projects>, ConfigError> {
    let (projects, callers) = match (secret, &environment.keys) {
        (Some(text), _) => match read(text, environment, config, report) {
            Some(keys) => keys,
            None => return Ok(None),
        },
        (None, KeySource::Secret(id)) => {
            report.skipped(format!(
                "the secret: only the function reads ROOMPASS_SECRET_ID. Pass it on: `aws secretsmanager get-secret-value \
                 --secret-id {id} --query SecretString --output text | roompass doctor --secret -`"
            ));
            return Ok(None);
        }
        (None, KeySource::Parameter(name)) => {
            report.skipped(format!(
                "the secret: only the function reads ROOMPASS_PARAMETER. Pass it on: `aws ssm get-parameter --name {name} \
                 --with-decryption --query Parameter.Value --output text | roompass doctor --secret -`"
            ));
            return Ok(None);
        }
        (None, KeySource::Given(_) | KeySource::Unset) => {
            let projects = development::keys(environment, config.policy.rules())?;
            let callers = caller_keys(config, &projects)?;
            (projects, callers)
        }
    };
    report_on((config, policy), &projects, &callers, report);
    Ok(Some(projects))
}

fn read(
    text: &str,
    environment: &Environment,
    config: &Config,
    report: &mut Report,
) -> Option<(Projects, CallerKeys)> {
    let shared = shared_secrets(config);
    let rules = SecretRules { deployment: Deployment::Lambda, server: environment.server.clone(), shared };
    let secret = match rules.read(text) {
        Ok(secret) => secret,
        Err(mistake) => {
            report.add(malformed(&mistake, "No token can be signed: requests return 503."));
            return None;
        }
    };
    for project in &secret.malformed {
        report.add(malformed(&project.mistake, "Requests for tokens of this project return 503."));
    }
    for warning in &secret.warnings {
        report.add(malformed(
            warning,
            "It is corrected each time that the secret is read, with a warning in the log.",
        ));
    }
    Some((secret.projects, secret.callers))
}

/// A finding in the secret. A mistake never shows a value.
fn malformed(mistake: &dyn fmt::Display, why: &str) -> Entry {
    Entry::found(
        format!("the secret: {mistake}"),
        why,
        "Store the secret again in the form of docs/environment.md.",
    )
}

/// What the keys lack that the configuration needs.
fn report_on(
    (config, policy): (&Config, PolicySource),
    projects: &Projects,
    callers: &CallerKeys,
    report: &mut Report,
) {
    let before = report.findings();
    for problem in warnings::of_callers(config, callers) {
        report.add(Entry::found(
            format!("the keys of callers: {problem}"),
            "The configuration has this caller, and neither the secret nor the environment has its key.",
            "Add it to the secret, or on this machine to the environment (docs/environment.md).",
        ));
    }
    // Development mode serves all dialects, and few of them are used.
    let of_projects = match policy {
        PolicySource::Configured => warnings::of_projects(config, projects),
        PolicySource::Development => Vec::new(),
    };
    for problem in of_projects {
        report.add(Entry::found(
            format!("the signing keys: {problem}"),
            "The configuration needs keys that neither the secret nor the environment has.",
            "Add the keys (docs/environment.md, docs/projects.md), or remove the dialect or the rule.",
        ));
    }
    for problem in projects.iter().filter_map(warnings::of_keys) {
        report.add(Entry::found(
            format!("the signing keys: {problem}"),
            "Anyone who guesses the secret can sign any token.",
            "Replace the pair in LiveKit and in the secret (docs/operate.md).",
        ));
    }
    if report.findings() > before {
        return;
    }
    for keys in projects.iter() {
        let kind = if keys.is_development_pair() { "LiveKit's public development pair" } else { "usable" };
        report.fine(format!("keys of project {}: {kind}", keys.project()));
    }
}
