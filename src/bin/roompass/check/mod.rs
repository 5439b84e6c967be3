//! `roompass check`: checks a configuration and summarises its policy.

mod against;
mod notes;

use std::path::PathBuf;

use clap::Args;
use roompass::auth::{CallerConfig, CallerKind};
use roompass::config::{Config, ConfigError, ConfigSource, Dialect, PolicyPlace};
use roompass::dialect::Row;
use roompass::policy::{Rule, Template, ValueSource};
use roompass::url;

use crate::config_option::ConfigOption;
use crate::development::{self, PolicySource};
use crate::screen::Page;
use against::{AgainstError, Requests};
pub(crate) use notes::may_set;
pub(crate) use notes::notes;

#[derive(Args)]
pub(crate) struct CheckOptions {
    #[command(flatten)]
    config: ConfigOption,
    /// The file to check, in place of --config
    #[arg(conflicts_with = "config")]
    file: Option<PathBuf>,
    /// Print the tokens that callers get, for the claims in the .json files of this folder
    #[arg(long, value_name = "FOLDER")]
    against: Option<PathBuf>,
    /// The rooms to request for each caller, separated by commas
    #[arg(long, value_name = "ROOM,ROOM", value_delimiter = ',', requires = "against")]
    rooms: Vec<String>,
    /// Print only what is different from this older configuration
    #[arg(long, value_name = "OLD", requires = "against")]
    diff: Option<PathBuf>,
}

/// Why the check fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Against(#[from] AgainstError),
}

/// What is printed, and the exit code: 0, or 3 if something changes.
pub(crate) struct Checked {
    pub(crate) page: Page,
    pub(crate) code: u8,
}

/// The callers and rules, and notes about them; or who gets what, and what changes.
///
/// # Errors
/// All mistakes in the configuration. If the claims or the rooms can't be read.
pub(crate) fn run(options: CheckOptions) -> Result<Checked, CheckError> {
    let mut environment = options.config.environment()?;
    if let Some(file) = options.file {
        environment.config = ConfigSource::Argument(file);
    }
    let (config, policy) = development::load(&environment)?;
    let Some(folder) = options.against else {
        let mut page = Page::default();
        if let Some(place) = &environment.policy {
            page.line(format!("Policy {place}, version {}", config.version));
            page.line("");
        }
        page.add(&summarised(&config, policy));
        return Ok(Checked { page, code: 0 });
    };
    let requests = Requests::read(&folder, &options.rooms)?;
    let mut page = Page::default();
    let Some(old) = options.diff else {
        requests.table(&config, &mut page);
        return Ok(Checked { page, code: 0 });
    };
    // The old file is of the same kind as the new one.
    match &mut environment.policy {
        Some(policy) => *policy = PolicyPlace::File(old),
        None => environment.config = ConfigSource::Argument(old),
    }
    let (old, _) = development::load(&environment)?;
    let changes = requests.differences(&old, &config, &mut page);
    Ok(Checked { page, code: if changes { CHANGES } else { 0 } })
}

fn summarised(config: &Config, policy: PolicySource) -> Page {
    let Config { callers, dialects, .. } = config;
    let mut page = Page::default();
    if policy == PolicySource::Development {
        page.line(
            "Valid. In Lambda every request is refused, because no [[caller]] is configured. `serve` accepts every request, \
             by this policy:",
        );
        page.line("");
    }
    if *dialects != [Dialect::Standard] {
        let rows =
            dialects.iter().map(|dialect| [dialect.as_str().to_owned(), routes(Row::of(*dialect), config)]);
        page.table(["dialect", "routes"], rows.collect());
        page.line("");
    }
    let rows = callers.iter().map(|caller| [caller.name.clone(), credential(caller)]);
    page.table(["caller", "credential"], rows.collect());
    for entry in config.policy.denied() {
        page.line("");
        let ended = if entry.has_ended(roompass::system::context().now) { ", which has ended" } else { "" };
        page.wrapped("DENY ", &format!("{entry}{ended}"));
    }
    for rule in config.policy.rules() {
        page.line("");
        page.line(format!("RULE {}", rule.name));
        for (label, text) in summary(rule, dialects) {
            page.wrapped(&format!("  {label:8} "), &text);
        }
    }
    if policy == PolicySource::Configured {
        for note in notes(config) {
            page.line("");
            page.line(format!("Note: {note}"));
        }
    }
    page
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
        ("project", project(rule)),
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

/// The project of the rule's tokens, and what it may be.
fn project(rule: &Rule) -> String {
    match &rule.project {
        None => String::new(),
        Some(project) if project.is_constant() => project.to_string(),
        Some(project) => format!("{project} of {}", list(&rule.projects)),
    }
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

/// The exit code if a policy changes what a caller gets. It differs from those for an error and for an invalid option.
const CHANGES: u8 = 3;
