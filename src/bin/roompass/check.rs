//! `roompass check`: checks a configuration and summarises its policy.

use std::path::PathBuf;

use clap::Args;
use roompass::auth::{Caller, CallerConfig, CallerKind};
use roompass::config::{Config, ConfigError, ConfigSource, Dialect, Environment, warnings};
use roompass::dialect::{Participant, Presence, Row};
use roompass::domain::{Provider, RoomName};
use roompass::keys::Deployment;
use roompass::policy::{RoomPattern, Rule, Template, ValueSource, identity_notes};
use roompass::url;

use crate::development::{self, PolicySource};
use crate::screen::Page;

#[derive(Args)]
pub(crate) struct CheckOptions {
    /// The file to check; by default the configuration that `serve` would use
    file: Option<PathBuf>,
}

/// The callers and rules, and notes about them.
///
/// # Errors
/// All mistakes in the configuration.
pub(crate) fn run(options: CheckOptions) -> Result<Page, ConfigError> {
    let mut environment = Environment::of_this_process(Deployment::Local)?;
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

/// Notes about a valid configuration.
fn notes(config: &Config) -> Vec<String> {
    let Config { callers, policy, dialects, .. } = config;
    let rules = policy.rules();
    let mut notes: Vec<_> = warnings::of_config(config).into_iter().collect();
    for rule in rules {
        notes.extend(rule_identity_notes(rule, callers));
        let rows = reaching(rule, dialects);
        if rows.iter().any(|row| row.room == Presence::Optional)
            && rule.default_room.is_none()
            && !rule.rooms.iter().any(matches_a_generated_room)
        {
            notes.push(format!(
                "rule {:?} needs a room in the request: it has no default_room, and room-{{random}} does not match rooms",
                rule.name
            ));
        }
        if rule.grants.room_create {
            let name = &rule.name;
            notes.push(format!("rule {name:?} grants room_create, which also allows deleting any room"));
        }
        notes.extend(dialect_notes(rule, &rows));
    }
    notes.extend(identity_notes(rules, callers));
    notes.extend(open_route_note(callers));
    for caller in
        callers.iter().filter(|caller| !rules.iter().any(|rule| rule.callers.contains(&caller.name)))
    {
        notes.push(format!("no rule lists caller {:?}, so its requests are refused", caller.name));
    }
    notes
}

/// Notes about an identity that clients choose, or that all participants share.
fn rule_identity_notes(rule: &Rule, callers: &[CallerConfig]) -> Vec<String> {
    // A server with an API key requests tokens for its users, and has to choose their identity.
    let named = callers.iter().filter(|caller| rule.callers.contains(&caller.name));
    let choosing =
        named.filter(|caller| caller.kind != CallerKind::ApiKey).map(|caller| caller.name.as_str());
    let choosing: Vec<_> = choosing.collect();
    let mut notes = Vec::new();
    if may_set(rule, "participant_identity") && !choosing.is_empty() {
        notes.push(format!(
            "rule {:?} lets clients of {} choose their identity, including that of another person",
            rule.name,
            choosing.join(" and ")
        ));
    }
    if rule.identity.is_constant() {
        notes.push(format!(
            "rule {:?} gives every caller one identity, {:?}: a second participant with it disconnects the first",
            rule.name,
            rule.identity.to_string()
        ));
    }
    notes
}

/// A note that routes without the gateway's authorizer are open.
fn open_route_note(callers: &[CallerConfig]) -> Option<String> {
    let named = |is: fn(&CallerKind) -> bool| {
        callers.iter().find(|caller| is(&caller.kind)).map(|caller| &caller.name)
    };
    let gateway = named(|kind| matches!(kind, CallerKind::Gateway(_)))?;
    let anonymous = named(|kind| *kind == CallerKind::Anonymous)?;
    Some(format!(
        "caller {gateway:?} is authenticated by the gateway, and caller {anonymous:?} is anonymous: a request on a route \
         without the gateway's authorizer counts as {anonymous:?}"
    ))
}

/// Notes about dialects whose clients are always refused by this rule.
fn dialect_notes(rule: &Rule, rows: &[&Row]) -> Vec<String> {
    let name = &rule.name;
    let mut notes = Vec::new();
    let named = |participant| {
        let rows = rows.iter().filter(move |row| row.participant == participant);
        rows.map(|row| row.dialect.as_str()).collect::<Vec<_>>().join(" and ")
    };
    let (by_one_name, by_identity) = (named(Participant::ByOneName), named(Participant::ByIdentity));
    if !by_one_name.is_empty() && !may_set(rule, "participant_identity") && !may_set(rule, "participant_name")
    {
        notes.push(format!(
            "rule {name:?} refuses nearly every name that clients of {by_one_name} send: its client_may_set lists neither \
             participant_identity nor participant_name"
        ));
    }
    let refuses_identities =
        !may_set(rule, "participant_identity") && rule.identity.is_random() && !rule.agora_uid_zero;
    if !by_identity.is_empty() && refuses_identities {
        notes.push(format!(
            "rule {name:?} refuses every client of {by_identity}: they send an identity, but the rule neither sets one nor \
             lists participant_identity in client_may_set"
        ));
    }
    let of_agora = rows.iter().any(|row| row.provider == Provider::Agora);
    if of_agora && rule.agora_uid_zero {
        notes.push(format!(
            "rule {name:?} sets agora_uid_zero: a token for uid 0 is valid for any user, so its holder can join the channel \
             as any other participant"
        ));
    }
    if of_agora && rule.grants.can_subscribe == Some(false) {
        notes.push(format!(
            "rule {name:?} never gives an Agora token for a channel: every such token includes the right to subscribe \
             (grants_not_enforceable)"
        ));
    }
    notes
}

pub(crate) fn may_set(rule: &Rule, path: &str) -> bool {
    rule.client_may_set.iter().any(|field| field.path() == path)
}

/// Whether a pattern matches the rooms that are generated for a rule without a `default_room`.
fn matches_a_generated_room(pattern: &RoomPattern) -> bool {
    let generated = RoomName::generated(roompass::system::randomness);
    pattern.matches(generated.as_str(), &Caller::anonymous("anyone")) == Ok(true)
}
