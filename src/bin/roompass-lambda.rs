//! The Lambda function: starts the log, loads the configuration, the policy and the keys, and runs the router.

use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use lambda_http::{lambda_runtime, service_fn};
use roompass::config::{
    Config, ConfigError, Environment, KeySource, MetricsFormat, PolicyPlace, Sources, caller_keys,
    shared_secrets, variable,
};
use roompass::http::Hosts;
use roompass::keys::{Aws, Deployment, Keys, SecretRules, SecretStore};
use roompass::metrics::Metrics;
use roompass::metrics::emf::Emf;
use roompass::reload::{self, Parts, PolicyFile, Reloading};
use roompass::{lambda, log};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let format = match variable("AWS_LAMBDA_LOG_FORMAT") {
        Some(format) if format.eq_ignore_ascii_case("text") => log::Format::text(),
        _ => log::Format::Json,
    };
    log::start(format, log::level(variable));
    let router = match configured().await {
        Ok(router) => router,
        Err(error) => {
            for cause in error.lines() {
                tracing::error!(cause, "invalid configuration");
            }
            return ExitCode::FAILURE;
        }
    };
    match lambda_runtime::run(service_fn(|event| lambda::answer(router.clone(), event))).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(cause = %error, "runtime stopped");
            ExitCode::FAILURE
        }
    }
}

/// The router. The init phase has a whole processor, so the policy and the keys are fetched now. After a failure, the next
/// request tries again.
async fn configured() -> Result<Router, ConfigError> {
    let deployment =
        if std::env::var_os("AWS_SAM_LOCAL").is_some() { Deployment::Local } else { Deployment::Lambda };
    let environment = Environment::of_this_process(deployment)?;
    let sources = Sources::read(&environment)?;
    let config = sources.config()?;
    let aws = Aws::new(variable);
    let new_store: Option<NewStore> = match &environment.keys {
        KeySource::Secret(id) => {
            let secret = aws.secret(id.clone());
            Some(Box::new(move || Box::new(secret.clone())))
        }
        KeySource::Parameter(name) => {
            let parameter = aws.parameter(name.clone());
            Some(Box::new(move || Box::new(parameter.clone())))
        }
        KeySource::Given(_) | KeySource::Unset => None,
    };
    let metrics = metrics(environment.metrics)?;
    let context = roompass::system::context();
    let policy = match environment.policy.clone() {
        None => None,
        Some(place) => {
            let store: Box<dyn SecretStore> = match &place {
                PolicyPlace::Secret(id) => Box::new(aws.secret(id.clone())),
                PolicyPlace::Parameter(name) => Box::new(aws.parameter(name.clone()).of_any_type()),
                PolicyPlace::File(path) => Box::new(PolicyFile(path.clone())),
            };
            Some((place.to_string(), store))
        }
    };
    let keys_of = move |config: &Config| keys(config, &environment, deployment, new_store.as_ref());
    let (place, store) = policy.unzip();
    let parts = Parts {
        sources,
        place: place.unwrap_or_default(),
        keys: Box::new(keys_of),
        always: None,
        hosts: Hosts::Any,
        mint: roompass::mint::token,
        surroundings: roompass::system::context,
        shown: None,
        metrics,
    };
    let Some(store) = store else {
        let (router, keys) = parts.fixed(config.clone())?;
        reload::log_warnings(&config, &keys, &context).await;
        return Ok(router);
    };
    let reloading = Arc::new(Reloading::new(store, parts)?);
    if let Err(error) = reloading.load(&context).await {
        tracing::error!(cause = %error, "policy unavailable");
    }
    Ok(reloading.router())
}

fn metrics(format: Option<MetricsFormat>) -> Result<Metrics, ConfigError> {
    let Some(MetricsFormat::Emf) = format else { return Ok(Metrics::default()) };
    let function = variable("AWS_LAMBDA_FUNCTION_NAME").filter(|name| !name.is_empty());
    let function =
        function.ok_or_else(|| unset("AWS_LAMBDA_FUNCTION_NAME", "must be set for ROOMPASS_METRICS=emf"))?;
    Ok(Metrics::recorded_by(Arc::new(Emf::new(&function, log::write))))
}

/// Makes a client of the store that has the secret.
type NewStore = Box<dyn Fn() -> Box<dyn SecretStore> + Send + Sync>;

fn keys(
    config: &Config,
    environment: &Environment,
    deployment: Deployment,
    new_store: Option<&NewStore>,
) -> Result<Keys, ConfigError> {
    if let Some(new_store) = new_store {
        let rules =
            SecretRules { deployment, server: environment.server.clone(), shared: shared_secrets(config) };
        return Ok(Keys::stored_in(new_store(), rules, config.keys));
    }
    match &environment.keys {
        KeySource::Given(keys) if keys.of_default().livekit().is_ok() && environment.server.is_none() => {
            Err(unset("LIVEKIT_URL", "must be set together with LIVEKIT_API_KEY"))
        }
        KeySource::Given(keys) => Ok(Keys::given(keys.clone(), caller_keys(config, keys)?)),
        _ => Err(unset(
            "ROOMPASS_SECRET_ID",
            "must be the name or ARN of the secret in AWS Secrets Manager, or ROOMPASS_PARAMETER that of a parameter in \
             Parameter Store",
        )),
    }
}

fn unset(variable: &str, problem: &str) -> ConfigError {
    ConfigError::Variable { variable: variable.to_owned(), problem: problem.to_owned() }
}
