//! `roompass token`: a token in one command, by the policy. The request goes through the whole service, as a client's does.

use std::path::PathBuf;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use clap::Args;
use http_body_util::BodyExt;
use roompass::auth::{Caller, Callers};
use roompass::config::{Config, ConfigError};
use roompass::domain::Ttl;
use roompass::http::{Hosts, router_for};
use serde_json::{Map, Value};
use tower::ServiceExt;

use crate::caller_file::{self, InvalidCallerFile};
use crate::config_option::ConfigOption;
use crate::development;
use crate::screen::{Page, print_note};

#[derive(Args)]
pub(crate) struct TokenOptions {
    #[command(flatten)]
    config: ConfigOption,
    /// The room; by default the rule's
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    /// The participant's identity; by default the rule's
    #[arg(long, value_name = "IDENTITY")]
    identity: Option<String>,
    /// The participant's name; by default the rule's
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How long the token can be used to join, such as 10m; by default the rule's
    #[arg(long, value_name = "TIME", value_parser = ttl)]
    ttl: Option<Ttl>,
    /// Grants, such as `room_admin` or `can_publish=false`; by default the rule's
    #[arg(long, value_name = "GRANT,GRANT", value_delimiter = ',')]
    grants: Vec<String>,
    /// A file with the caller's claims, as their JWT has them
    #[arg(long, value_name = "FILE")]
    caller: Option<PathBuf>,
    /// The [[caller]] that requests the token; by default the one of the claims' issuer, or the anonymous one
    #[arg(long = "as", value_name = "NAME")]
    named: Option<String>,
    /// Give what is requested without the policy; only with LiveKit's development key
    #[arg(long, conflicts_with_all = ["caller", "named"])]
    unchecked: bool,
    /// Print the whole response, with the server's URL
    #[arg(long)]
    json: bool,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoToken {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error(transparent)]
    CallerFile(#[from] InvalidCallerFile),
    #[error("no caller given: use --as with the name of a [[caller]], or --caller with a file of claims")]
    NoCaller,
    #[error(
        "--unchecked is only for LiveKit's development key: unset LIVEKIT_API_KEY, or leave --unchecked out"
    )]
    PrivateKeys,
    #[error("invalid --grants: {0:?} must be the name of a grant, or NAME=true or NAME=false")]
    Grant(String),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("refused: {detail} ({code})")]
    Refused { detail: String, code: String },
}

/// Prints the token of a request for these options.
///
/// # Errors
/// If the configuration or an option is invalid, or the policy refuses the request.
pub(crate) fn run(options: &TokenOptions) -> Result<Page, NoToken> {
    let environment = options.config.environment()?;
    let (config, caller) = if options.unchecked {
        if development::has_private_keys(&environment.keys) {
            return Err(NoToken::PrivateKeys);
        }
        (Config::parse(UNCHECKED, "the policy of --unchecked")?, Caller::anonymous("anyone"))
    } else {
        let (config, _) = development::load(&environment)?;
        let caller = options.requested_by(&config)?;
        (config, caller)
    };
    let keys = development::service_keys(&environment, &config)?;
    let path = format!("{}/getToken", config.http.base_path.as_str());
    let service = router_for(
        Callers::always(caller),
        Hosts::Any,
        config,
        keys,
        roompass::mint::token,
        roompass::system::context,
    );
    let body = Value::Object(options.body()?).to_string();
    let request = Request::post(path).header(CONTENT_TYPE, "application/json").body(Body::from(body));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let response = runtime.block_on(async {
        let response = match service.oneshot(request.map_err(std::io::Error::other)?).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let body = response.into_body().collect().await.map_err(std::io::Error::other)?.to_bytes();
        Ok::<Value, std::io::Error>(serde_json::from_slice(&body).unwrap_or_default())
    })?;
    let text = |member: &str| response.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut page = Page::default();
    match text("participant_token") {
        token if token.is_empty() => {
            return Err(NoToken::Refused { detail: text("detail"), code: text("code") });
        }
        _ if options.json => page.json(&response),
        token => page.line(token),
    }
    Ok(page)
}

impl TokenOptions {
    fn requested_by(&self, config: &Config) -> Result<Caller, NoToken> {
        let selected = caller_file::selected(self.caller.as_deref(), self.named.as_deref(), &config.callers)?;
        let caller = selected.ok_or(NoToken::NoCaller)?;
        let now = roompass::system::context().now;
        if let Some(why) =
            self.caller.as_ref().and_then(|_| caller_file::token_error(&caller, &config.callers, now))
        {
            print_note(&format!("a token with these claims is not accepted: {why}"));
        }
        Ok(caller)
    }

    /// The request's body.
    fn body(&self) -> Result<Map<String, Value>, NoToken> {
        let texts = [
            ("room_name", &self.room),
            ("participant_identity", &self.identity),
            ("participant_name", &self.name),
        ];
        let mut body: Map<_, _> = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name.to_owned(), text.clone()?.into())))
            .collect();
        if let Some(ttl) = self.ttl {
            body.insert("ttl".to_owned(), ttl.to_string().into());
        }
        let grants = self.grants.iter().map(|grant| {
            let (name, value) = grant.split_once('=').unwrap_or((grant, "true"));
            let value = value.parse::<bool>().ok().filter(|_| !name.is_empty());
            value.map(|value| (name.to_owned(), value.into())).ok_or_else(|| NoToken::Grant(grant.clone()))
        });
        let grants = grants.collect::<Result<Map<_, _>, _>>()?;
        if !grants.is_empty() {
            body.insert("grants".to_owned(), grants.into());
        }
        Ok(body)
    }
}

fn ttl(text: &str) -> Result<Ttl, String> {
    Ttl::parse(&text.into()).map_err(|error| error.to_string())
}

/// A policy that gives what is requested.
const UNCHECKED: &str = r#"
[[caller]]
name = "anyone"
kind = "anonymous"

[[rule]]
name = "unchecked"
callers = ["anyone"]
rooms = ["*"]
client_may_set = [
  "participant_identity", "participant_name", "ttl", "grants", "grants.room_admin", "grants.room_create",
  "grants.room_list", "grants.room_record", "grants.ingress_admin", "grants.hidden", "grants.recorder", "grants.agent",
  "grants.can_update_own_metadata",
]
max_ttl = "24h"
"#;
