//! `roompass check`: is this configuration valid, and who may get what by it?

use std::path::PathBuf;

use clap::Args;
use roompass::auth::{Caller, CallerConfig, CallerKind};
use roompass::config::{Config, ConfigError, ConfigSource, Dialect, Environment, warnings};
use roompass::dialect::{Participant, Presence, Row};
use roompass::domain::{Provider, RoomName, Ttl};
use roompass::keys::Deployment;
use roompass::policy::{RoomPattern, Rule, Source, Template, identity_notes};
use roompass::url;

use crate::development::{self, Policy};
use crate::screen::Page;

#[derive(Args)]
pub(crate) struct Options {
    /// The file to check; without one, what the program would run with
    file: Option<PathBuf>,
}

/// Who may get what.
///
/// # Errors
/// All the mistakes.
pub(crate) fn run(options: Options) -> Result<Page, ConfigError> {
    let mut environment = Environment::of_this_process(Deployment::Local)?;
    if let Some(file) = options.file {
        environment.config = ConfigSource::Argument(file);
    }
    let (config, policy) = development::load(&environment)?;
    let Config { callers, dialects, .. } = &config;
    let mut page = Page::default();
    if policy == Policy::Development {
        page.line(
            "Valid. In Lambda every request is refused, because no [[caller]] is configured. `cargo run` accepts every \
             request, by this policy:",
        );
        page.line("");
    }
    if *dialects != [Dialect::Standard] {
        let served = dialects
            .iter()
            .map(|dialect| [dialect.as_str().to_owned(), answers_at(Row::of(*dialect), &config)]);
        page.table(["dialect", "routes"], served.collect());
        page.line("");
    }
    let known = callers.iter().map(|caller| [caller.name.clone(), known_by(caller)]);
    page.table(["caller", "credential"], known.collect());
    for rule in config.policy.rules() {
        page.line("");
        page.line(format!("RULE {}", rule.name));
        for (part, said) in of_rule(rule, dialects) {
            page.wrapped(&format!("  {part:8} "), &said);
        }
    }
    if policy == Policy::Configured {
        for note in notes(&config) {
            page.line("");
            page.line(format!("Note: {note}"));
        }
    }
    Ok(page)
}

/// Where a dialect answers, and what the configuration adds. Of paths with parameters, the beginning.
fn answers_at(row: &Row, config: &Config) -> String {
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

fn known_by(caller: &CallerConfig) -> String {
    match &caller.kind {
        CallerKind::Anonymous => "none: every unauthenticated request".into(),
        CallerKind::ApiKey => "an API key of ROOMPASS_API_KEYS".into(),
        CallerKind::Gateway(via) => format!("the gateway's {via} authorizer"),
        CallerKind::Jwt(issuer) => {
            let algorithms: Vec<_> = issuer.algorithms.iter().map(|algorithm| algorithm.name()).collect();
            format!(
                "a token of {} for {} ({})",
                url::shown(&issuer.issuer),
                issuer.audience.iter().map(|audience| url::shown(audience)).collect::<Vec<_>>().join(" or "),
                algorithms.join(", ")
            )
        }
    }
}

/// What a rule says, part by part; nothing of a part that it leaves out.
fn of_rule(rule: &Rule, dialects: &[Dialect]) -> Vec<(&'static str, String)> {
    let who = match (rule.callers.join(", "), rule.when.to_string()) {
        (callers, when) if when.is_empty() => callers,
        (callers, when) => format!("{callers} when {when}"),
    };
    let rooms = match &rule.default_room {
        Some(default) => format!("{} (default {default})", list(&rule.rooms)),
        None => list(&rule.rooms),
    };
    let may =
        rule.grants.spelled_out().into_iter().filter(|(_, value, default)| !default || (value == "true"));
    let may: Vec<_> = may
        .map(|(name, value, _)| if value == "true" { name.to_owned() } else { format!("{name} = {value}") })
        .collect();
    let max_ttl = rule.max_ttl.map_or_else(String::new, |max_ttl| format!(", at most {max_ttl} on request"));
    let credential = if rule.within_credential { ", and no longer than the caller's credential" } else { "" };
    let fields: Vec<_> = rule.client_may_set.iter().map(|field| field.path()).collect();
    let logins: Vec<_> = rule.agora_logins.iter().flatten().map(|service| service.as_str()).collect();
    let said = vec![
        ("callers", who),
        ("rooms", rooms),
        ("identity", rule.identity.to_string()),
        ("shows", shows(rule)),
        ("grants", may.join(", ")),
        ("may set", fields.join(", ")),
        ("agents", list(&rule.agents)),
        ("egress", list(&rule.egress)),
        ("logins", logins.join(", ")),
        ("lifetime", format!("{}{max_ttl}{credential}", lifetimes(rule, dialects))),
    ];
    said.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

/// What others see of the participant, in addition to the identity.
fn shows(rule: &Rule) -> String {
    let text = |what: &str, template: &Option<Template>| {
        template.as_ref().map(|template| format!("{what} = {template}"))
    };
    let attributes =
        rule.participant_attributes.iter().map(|(key, template)| format!("attribute {key} = {template}"));
    let shown = [text("name", &rule.participant_name), text("metadata", &rule.participant_metadata)];
    shown.into_iter().flatten().chain(attributes).collect::<Vec<_>>().join(", ")
}

/// How long its tokens last, in each dialect where the rule leaves it to them.
fn lifetimes(rule: &Rule, dialects: &[Dialect]) -> String {
    if let Some(ttl) = rule.ttl {
        return ttl.to_string();
    }
    let of = |row: &Row| rule.max_ttl.map_or(row.usual_ttl, |max_ttl| row.usual_ttl.min(max_ttl));
    let rows = reaching(rule, dialects);
    let differ = rows.iter().any(|row| of(row) != rows.first().map_or(Ttl::DEFAULT, |first| of(first)));
    let mut all: Vec<_> = rows
        .iter()
        .map(|row| match row.label {
            label if differ && !label.is_empty() => format!("{} on {label}", of(row)),
            _ => of(row).to_string(),
        })
        .collect();
    // LiveKit's and OpenVidu's are one.
    all.sort_by_key(|lifetime| lifetime.contains(" on "));
    all.dedup();
    all.join(", ")
}

/// The dialects that can reach a rule.
fn reaching(rule: &Rule, dialects: &[Dialect]) -> Vec<&'static Row> {
    let sandboxes_alone = rule.when.on(&Source::SandboxId).is_some();
    let dialects = dialects.iter().filter(|dialect| !sandboxes_alone || **dialect == Dialect::Sandbox);
    dialects.map(|dialect| Row::of(*dialect)).collect()
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What is valid and still worth knowing.
fn notes(config: &Config) -> Vec<String> {
    let Config { callers, policy, dialects, .. } = config;
    let rules = policy.rules();
    let mut notes: Vec<_> = warnings::of_config(config).into_iter().collect();
    for rule in rules {
        notes.extend(of_identity(rule, callers));
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
            notes.push(format!(
                "rule {:?} grants room_create, which also allows deleting any room",
                rule.name
            ));
        }
        notes.extend(useless_to(rule, &rows));
    }
    notes.extend(identity_notes(rules, callers));
    notes.extend(of_open_routes(callers));
    for caller in
        callers.iter().filter(|caller| !rules.iter().any(|rule| rule.callers.contains(&caller.name)))
    {
        notes.push(format!("no rule lists caller {:?}, so it gets nothing", caller.name));
    }
    notes
}

/// An identity that clients choose, or that all have.
fn of_identity(rule: &Rule, callers: &[CallerConfig]) -> Vec<String> {
    // A server with an API key requests tokens for its users: choosing their identity is what it's for.
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

/// That routes without the gateway's authorizer are open.
fn of_open_routes(callers: &[CallerConfig]) -> Option<String> {
    let named = |is: fn(&CallerKind) -> bool| {
        callers.iter().find(|caller| is(&caller.kind)).map(|caller| &caller.name)
    };
    let vouched = named(|kind| matches!(kind, CallerKind::Gateway(_)))?;
    let anonymous = named(|kind| *kind == CallerKind::Anonymous)?;
    Some(format!(
        "caller {vouched:?} is authenticated by the gateway, and caller {anonymous:?} is anonymous: a request on a route \
         without the gateway's authorizer counts as {anonymous:?}"
    ))
}

/// What a rule keeps from the clients of some dialects, whatever they ask for.
fn useless_to(rule: &Rule, rows: &[&Row]) -> Vec<String> {
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
    if !by_identity.is_empty() && !may_set(rule, "participant_identity") && rule.identity.is_random() {
        notes.push(format!(
            "rule {name:?} refuses every client of {by_identity}: they send an identity, and the rule has none of its own \
             and does not list participant_identity in client_may_set"
        ));
    }
    let of_agora = rows.iter().any(|row| row.provider == Provider::Agora);
    if of_agora && rule.grants.can_subscribe == Some(false) {
        notes.push(format!(
            "rule {name:?} gives no Agora token for a channel: Agora has no token without the right to subscribe \
             (grants_not_enforceable)"
        ));
    }
    notes
}

fn may_set(rule: &Rule, path: &str) -> bool {
    rule.client_may_set.iter().any(|field| field.path() == path)
}

/// Whether it matches the rooms that are generated where a rule has no `default_room`.
fn matches_a_generated_room(pattern: &RoomPattern) -> bool {
    let generated = RoomName::generated(roompass::system::randomness);
    pattern.matches(generated.as_str(), &Caller::anonymous("anyone")) == Ok(true)
}
