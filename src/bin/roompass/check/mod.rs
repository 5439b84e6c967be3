//! `roompass check`: checks a configuration and summarises its policy.

mod notes;

use std::path::PathBuf;

use clap::Args;
use roompass::auth::{CallerConfig, CallerKind};
use roompass::config::{Config, ConfigError, ConfigSource, Dialect};
use roompass::dialect::Row;
use roompass::policy::{Rule, Template, ValueSource};
use roompass::url;

use crate::config_option::ConfigOption;
use crate::development::{self, PolicySource};
use crate::screen::Page;
pub(crate) use notes::may_set;
use notes::notes;

#[derive(Args)]
pub(crate) struct CheckOptions {
    #[command(flatten)]
    config: ConfigOption,
    /// The file to check, in place of --config
    #[arg(conflicts_with = "config")]
    file: Option<PathBuf>,
}

/// The callers and rules, and notes about them.
///
/// # Errors
/// All mistakes in the configuration.
pub(crate) fn run(options: CheckOptions) -> Result<Page, ConfigError> {
    let mut environment = options.config.environment()?;
    if let Some(file) = options.file {
        environment.config = ConfigSource::Argument(file);
    }
    let (config, policy) = development::load(&environment)?;
    let Config { callers, dialects, .. } = &config;
    let mut page = Page::default();
    if policy == PolicySource::Development {
        page.line(
            "Valid. In Lambda every request is refused, because no [[caller]] is configured. `cargo run` accepts every \
             request, by this policy:",
        );
        page.line("");
    }
    if *dialects != [Dialect::Standard] {
        let rows =
            dialects.iter().map(|dialect| [dialect.as_str().to_owned(), routes(Row::of(*dialect), &config)]);
        page.table(["dialect", "routes"], rows.collect());
        page.line("");
    }
    let rows = callers.iter().map(|caller| [caller.name.clone(), credential(caller)]);
    page.table(["caller", "credential"], rows.collect());
    for entry in config.policy.denied() {
        page.line("");
        page.wrapped("DENY ", &entry.to_string());
    }
    for rule in config.policy.rules() {
        page.line("");
        page.line(format!("RULE {}", rule.name));
        for (label, text) in summary(rule, dialects) {
            page.wrapped(&format!("  {label:8} "), &text);
        }
    }
    if policy == PolicySource::Configured {
        for note in notes(&config) {
            page.line("");
            page.line(format!("Note: {note}"));
        }
    }
    Ok(page)
}

/// A dialect's routes and their settings. Of paths with parameters, only the beginning.
fn routes(row: &Row, config: &Config) -> String {
    let beginning = |path: &'static str| {
        let end = path.find("/{").unwrap_or(path.len());
        path[..end].match_indices('/').nth(2).map_or(&path[..end], |(end, _)| &path[..end])
    };
    let mut paths: Vec<_> = row.routes.iter().map(|route| beginning(route.path)).collect();
    if row.routes.iter().all(|route| !route.path.contains('{')) {
        paths = row.routes.iter().map(|route| route.path).collect();
    }
    paths.dedup();
    let paths: Vec<_> =
        paths.iter().map(|path| format!("{}{path}", config.http.base_path.as_str())).collect();
    let detail = (row.detail)(config).map_or_else(String::new, |detail| format!(" ({detail})"));
    paths.join(", ") + &detail
}

fn credential(caller: &CallerConfig) -> String {
    let header = caller.credential_header.as_ref().map(|name| format!(", in {name}"));
    let credential = match &caller.kind {
        CallerKind::Anonymous => "none: every unauthenticated request".into(),
        CallerKind::ApiKey => "an API key of ROOMPASS_API_KEYS".into(),
        CallerKind::Gateway(via) => format!("the gateway's {via} authorizer"),
        CallerKind::Jwt(issuer) => {
            let algorithms: Vec<_> = issuer.algorithms.iter().map(|algorithm| algorithm.name()).collect();
            let issuers: Vec<_> = issuer.issuer.iter().map(url::shown).collect();
            let audiences: Vec<_> = issuer.audience.iter().map(|audience| url::shown(audience)).collect();
            let (issuers, audiences) = (issuers.join(" or "), audiences.join(" or "));
            let claims = issuer.audience_claim.join(" or ");
            format!("a token of {issuers} with {audiences} in {claims} ({})", algorithms.join(", "))
        }
    };
    credential + &header.unwrap_or_default()
}

/// A rule's settings, each with a label. Unset ones are omitted.
fn summary(rule: &Rule, dialects: &[Dialect]) -> Vec<(&'static str, String)> {
    let callers = match (rule.callers.join(", "), rule.when.to_string()) {
        (callers, when) if when.is_empty() => callers,
        (callers, when) => format!("{callers} when {when}"),
    };
    let rooms = match &rule.default_room {
        Some(default) => format!("{} (default {default})", list(&rule.rooms)),
        None => list(&rule.rooms),
    };
    let grants = rule.grants.effective().into_iter();
    let grants: Vec<_> = grants
        .filter(|(_, value, is_default)| !is_default || value == "true")
        .map(|(name, value, _)| if value == "true" { name.to_owned() } else { format!("{name} = {value}") })
        .collect();
    let max_ttl = rule.max_ttl.map_or_else(String::new, |max_ttl| format!(", at most {max_ttl} on request"));
    let credential = if rule.within_credential { ", and no longer than the caller's credential" } else { "" };
    let fields: Vec<_> = rule.client_may_set.iter().map(|field| field.path()).collect();
    let logins: Vec<_> = rule.agora_logins.iter().flatten().map(|service| service.as_str()).collect();
    let settings = vec![
        ("callers", callers),
        ("rooms", rooms),
        ("identity", rule.identity.to_string()),
        ("shows", profile(rule)),
        ("grants", grants.join(", ")),
        ("may set", fields.join(", ")),
        ("agents", list(&rule.agents)),
        ("egress", list(&rule.egress)),
        ("room", rule.room_config.to_string()),
        ("logins", logins.join(", ")),
        ("uid 0", if rule.agora_uid_zero { "allowed, for any user".to_owned() } else { String::new() }),
        ("lifetime", format!("{}{max_ttl}{credential}", lifetimes(rule, dialects))),
    ];
    settings.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

/// The name, metadata and attributes of the rule's participants.
fn profile(rule: &Rule) -> String {
    let text = |label: &str, template: &Option<Template>| {
        template.as_ref().map(|template| format!("{label} = {template}"))
    };
    let attributes =
        rule.participant_attributes.iter().map(|(key, template)| format!("attribute {key} = {template}"));
    let texts = [text("name", &rule.participant_name), text("metadata", &rule.participant_metadata)];
    texts.into_iter().flatten().chain(attributes).collect::<Vec<_>>().join(", ")
}

/// The lifetime of the rule's tokens. If the rule sets none, the one of each dialect.
fn lifetimes(rule: &Rule, dialects: &[Dialect]) -> String {
    if let Some(ttl) = rule.ttl {
        return ttl.to_string();
    }
    let of = |row: &Row| rule.max_ttl.map_or(row.usual_ttl, |max_ttl| row.usual_ttl.min(max_ttl));
    let rows = reaching(rule, dialects);
    let differ = rows.windows(2).any(|pair| of(pair[0]) != of(pair[1]));
    let mut all: Vec<_> = rows
        .iter()
        .map(|row| match row.label {
            label if differ && !label.is_empty() => format!("{} on {label}", of(row)),
            _ => of(row).to_string(),
        })
        .collect();
    // Several dialects have the same lifetime and label.
    all.sort_by_key(|lifetime| lifetime.contains(" on "));
    all.dedup();
    all.join(", ")
}

/// The dialects that can reach a rule.
fn reaching(rule: &Rule, dialects: &[Dialect]) -> Vec<&'static Row> {
    let is_for_sandboxes = rule.when.get(&ValueSource::SandboxId).is_some();
    let dialects = dialects.iter().filter(|dialect| !is_for_sandboxes || **dialect == Dialect::Sandbox);
    dialects.map(|dialect| Row::of(*dialect)).collect()
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
