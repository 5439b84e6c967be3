//! The warnings at startup.

use roompass::auth::{Caller, CallerKeys};
use roompass::config::{Config, Environment, KeySource, Origin, warnings};
use roompass::domain::{Provider, ServerUrl};
use roompass::keys::{Projects, SigningKeys};
use roompass::url;

use super::service::Authentication;

/// All warnings, in the order in which they are printed.
pub(super) fn all(
    authentication: &Authentication,
    environment: &Environment,
    config: &Config,
    keys: &Projects,
    caller_keys: &CallerKeys,
) -> Vec<String> {
    let serves_livekit = warnings::serves(config, Provider::LiveKit);
    let is_off = *authentication == Authentication::Off;
    let mut all: Vec<_> = development_mode(authentication, environment, serves_livekit, keys)
        .into_iter()
        .chain(unset_server(environment, keys).filter(|_| serves_livekit))
        .chain(unset_keys(environment).filter(|_| serves_livekit))
        .chain(unused_server(environment, keys))
        .chain(keys.iter().filter_map(warnings::of_keys))
        .chain(warnings::of_config(config))
        .collect();
    if !matches!(authentication, Authentication::AlwaysAs(_)) {
        all.extend(warnings::of_callers(config, caller_keys));
    }
    if is_off && config.cors.origins == Origin::loopback() {
        all.push(
            "only web pages of this machine may read responses, because the keys are not LiveKit's development keys: set \
             ROOMPASS_CORS_ORIGINS to allow other origins"
                .to_owned(),
        );
    }
    // Development mode serves all dialects, and few of them are used.
    if !is_off || !serves_livekit {
        all.extend(warnings::of_projects(config, keys));
    }
    all
}

/// A warning, in one line, not to expose the service to the internet.
fn development_mode(
    authentication: &Authentication,
    environment: &Environment,
    serves_livekit: bool,
    keys: &Projects,
) -> Option<String> {
    let (open, remedy) = match authentication {
        Authentication::Configured => (None, ""),
        Authentication::AlwaysAs(caller) => (Some(every_request_is(caller)), ""),
        Authentication::Off => (
            Some("authentication is off, because no [[caller]] is configured".to_owned()),
            " To turn authentication on, add a [[caller]] (docs/authentication.md).",
        ),
    };
    let has_agora = keys.iter().any(|keys| keys.agora().is_ok());
    let gives_agora_tokens = *authentication == Authentication::Off && has_agora;
    let agora = gives_agora_tokens.then(|| "every client gets valid Agora tokens".to_owned());
    let signs_publicly =
        keys.iter().any(SigningKeys::is_development_pair) && (has_own_pair(environment) || serves_livekit);
    let livekit =
        signs_publicly.then(|| "tokens are signed with LiveKit's public development key".to_owned());
    let why: Vec<_> = open.into_iter().chain(agora).chain(livekit).collect();
    (!why.is_empty()).then(|| {
        format!("development mode: {}. Do not expose it to the internet.{remedy}", why.join(", and "))
    })
}

/// Whether the environment has a key pair of LiveKit.
fn has_own_pair(environment: &Environment) -> bool {
    matches!(&environment.keys, KeySource::Given(keys) if keys.iter().any(|keys| keys.livekit().is_ok()))
}

fn every_request_is(caller: &Caller) -> String {
    let subject = caller.subject.as_deref().unwrap_or("a caller without a subject");
    format!("authentication is off, because --caller is set: every request counts as {subject}")
}

/// A warning that the development pair signs tokens for a server that is not on this machine.
fn unset_keys(environment: &Environment) -> Option<String> {
    let server = environment.server.as_ref().filter(|server| !server.is_loopback())?;
    (!has_own_pair(environment)).then(|| {
        format!(
            "LIVEKIT_URL is {}, but LIVEKIT_API_KEY and LIVEKIT_API_SECRET are not set: tokens are signed with devkey, and \
             the server does not accept them unless it runs with --dev. Set both to a key pair of that server",
            url::shown(server.as_str())
        )
    })
}

/// A warning that `LIVEKIT_URL` has no effect, because only other projects have keys.
fn unused_server(environment: &Environment, keys: &Projects) -> Option<String> {
    (environment.server.is_some() && keys.of_default().livekit().is_err()).then(|| {
        "LIVEKIT_URL has no effect: it is for the project default, which has no keys of LiveKit. Set the server of each \
         project in ROOMPASS_PROJECTS"
            .to_owned()
    })
}

/// A warning that clients are sent to the development server, although the keys are for another.
fn unset_server(environment: &Environment, keys: &Projects) -> Option<String> {
    let own = keys.of_default();
    let is_unset = environment.server.is_none() && own.livekit().is_ok() && !own.is_development_pair();
    is_unset.then(|| {
        format!(
            "LIVEKIT_URL is not set, so clients connect to {}: set it to the server that LIVEKIT_API_KEY is for",
            ServerUrl::development().as_str()
        )
    })
}
