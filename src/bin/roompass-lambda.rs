//! The Lambda function: starts the log, loads the configuration and the keys, and runs the router.

use std::process::ExitCode;

use lambda_http::{lambda_runtime, service_fn};
use roompass::config::{
    self, Config, ConfigError, Environment, KeySource, caller_keys, shared_secrets, variable, warnings,
};
use roompass::keys::{Deployment, Keys, ParameterStore, SecretRules, SecretsManager};
use roompass::{http, lambda, log};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let format = match variable("AWS_LAMBDA_LOG_FORMAT") {
        Some(format) if format.eq_ignore_ascii_case("text") => log::Format::text(),
        _ => log::Format::Json,
    };
    log::start(format, log::level(variable));
    let (config, keys) = match configured().await {
        Ok(configured) => configured,
        Err(error) => {
            for cause in error.lines() {
                tracing::error!(cause, "invalid configuration");
            }
            return ExitCode::FAILURE;
        }
    };
    if config.callers.is_empty() {
        tracing::warn!(
            "no caller is configured, so every request is refused: add a [[caller]] and a [[rule]] to roompass.toml, \
             or give them in ROOMPASS_CONFIG"
        );
    }
    // The init phase has a whole processor, so the keys are fetched now. After a failure, the next request tries again.
    let context = roompass::system::context();
    match keys.projects(&context).await {
        Ok(projects) => {
            let of_callers =
                keys.callers(&context).await.map(|callers| warnings::of_callers(&config, &callers));
            let warnings = warnings::of_config(&config)
                .into_iter()
                .chain(of_callers.unwrap_or_default())
                .chain(warnings::of_projects(&config, &projects));
            warnings.for_each(|warning| tracing::warn!("{warning}"));
        }
        Err(error) => tracing::error!(cause = %error, "signing keys unavailable"),
    }
    let router = http::router(config, keys, roompass::mint::token, roompass::system::context);
    match lambda_runtime::run(service_fn(|event| lambda::answer(router.clone(), event))).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(cause = %error, "runtime stopped");
            ExitCode::FAILURE
        }
    }
}

async fn configured() -> Result<(Config, Keys), ConfigError> {
    let deployment =
        if std::env::var_os("AWS_SAM_LOCAL").is_some() { Deployment::Local } else { Deployment::Lambda };
    let environment = Environment::of_this_process(deployment)?;
    let config = config::load(&environment)?;
    let stored = |store| {
        let rules =
            SecretRules { deployment, server: environment.server.clone(), shared: shared_secrets(&config) };
        Keys::stored_in(store, rules, config.keys)
    };
    let keys = match environment.keys {
        KeySource::Given(keys) if keys.of_default().livekit().is_ok() && environment.server.is_none() => {
            return Err(unset("LIVEKIT_URL", "must be set together with LIVEKIT_API_KEY"));
        }
        KeySource::Given(keys) => {
            let callers = caller_keys(&config, &keys)?;
            Keys::given(keys, callers)
        }
        KeySource::Secret(id) => stored(Box::new(SecretsManager::from_environment(id).await)),
        KeySource::Parameter(name) => stored(Box::new(ParameterStore::from_environment(name).await)),
        KeySource::Unset => {
            return Err(unset(
                "ROOMPASS_SECRET_ID",
                "must be the name or ARN of the secret in AWS Secrets Manager, or ROOMPASS_PARAMETER that of a parameter in \
                 Parameter Store",
            ));
        }
    };
    Ok((config, keys))
}

fn unset(variable: &str, problem: &str) -> ConfigError {
    ConfigError::Variable { variable: variable.to_owned(), problem: problem.to_owned() }
}
