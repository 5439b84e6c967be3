//! `roompass check`: is this configuration sound, and who may get what by it?

use std::path::PathBuf;

use clap::Args;
use roompass::auth::{Caller, CallerConfig, CallerKind};
use roompass::config::{Config, ConfigError, ConfigSource, Dialect, Environment, warnings};
use roompass::dialect::{self, agora};
use roompass::domain::agora::TokenVersion;
use roompass::domain::{RoomName, operating_system_randomness};
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
/// At the first mistake.
pub(crate) fn run(options: Options) -> Result<Page, ConfigError> {
    let mut environment = Environment::of_this_process(Deployment::Local)?;
    if let Some(file) = options.file {
        environment.config = ConfigSource::Argument(file);
    }
    let (config, policy) = development::load(&environment)?;
    let Config { callers, rules, dialects, .. } = &config;
    let mut page = Page::default();
    if policy == Policy::Development {
        page.line(
            "Sound. In Lambda it lets nobody in: no [[caller]] is configured. `cargo run` lets anyone in meanwhile, by \
             this:",
        );
        page.line("");
    }
    if *dialects != [Dialect::Standard] {
        let served =
            dialects.iter().map(|dialect| [dialect.as_str().to_owned(), answers_at(*dialect, &config)]);
        page.table(["dialect", "answers at"], served.collect());
        page.line("");
    }
    let known = callers.iter().map(|caller| [caller.name.clone(), known_by(caller)]);
    page.table(["caller", "known by"], known.collect());
    for rule in rules {
        page.line("");
        page.line(format!("RULE {}", rule.name));
        for (part, said) in of_rule(rule, dialects) {
            page.wrapped(&format!("  {part:7} "), &said);
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

/// Where a dialect answers, and what is its own.
fn answers_at(dialect: Dialect, Config { http, sandbox, agora, .. }: &Config) -> String {
    let (paths, own): (Vec<&str>, _) = match dialect {
        Dialect::Agora => {
            let version = match agora.token_version {
                TokenVersion::V006 => "006",
                TokenVersion::V007 => "007",
            };
            let first_two =
                |path: &'static str| path.match_indices('/').nth(2).map_or(path, |(end, _)| &path[..end]);
            let mut paths: Vec<_> = agora::ROUTES.iter().map(|route| first_two(route.path)).collect();
            paths.dedup();
            (paths, format!(" (tokens {version})"))
        }
        other => {
            let ids = if other == Dialect::Sandbox {
                format!(" (ids {})", list(&sandbox.ids))
            } else {
                String::new()
            };
            (dialect::routes(other).iter().map(|route| route.path).collect(), ids)
        }
    };
    let paths: Vec<_> = paths.iter().map(|path| format!("{}{path}", http.base_path.as_str())).collect();
    paths.join(", ") + &own
}

fn known_by(caller: &CallerConfig) -> String {
    match &caller.kind {
        CallerKind::Anonymous => "nothing: whoever reaches the endpoint".into(),
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
        Some(default) => format!("{} (else {default})", list(&rule.rooms)),
        None => list(&rule.rooms),
    };
    let may =
        rule.grants.spelled_out().into_iter().filter(|(_, value, default)| !default || (value == "true"));
    let may: Vec<_> = may
        .map(|(name, value, _)| if value == "true" { name.to_owned() } else { format!("{name} = {value}") })
        .collect();
    let max_ttl =
        rule.max_ttl.map_or_else(String::new, |max_ttl| format!(", at most {max_ttl} where asked for"));
    let credential = if rule.within_credential { ", and no longer than what they showed" } else { "" };
    let fields: Vec<_> = rule.client_may_set.iter().map(|field| field.path()).collect();
    let logins: Vec<_> = rule.agora_logins.iter().flatten().map(|service| service.as_str()).collect();
    let said = vec![
        ("who", who),
        ("rooms", rooms),
        ("as", rule.identity.to_string()),
        ("shows", shows(rule)),
        ("may", may.join(", ")),
        ("may set", fields.join(", ")),
        ("agents", list(&rule.agents)),
        ("egress", list(&rule.egress)),
        ("logins", logins.join(", ")),
        ("for", format!("{}{max_ttl}{credential}", lifetimes(rule, dialects))),
    ];
    said.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

/// What others see of its holder, besides the identity.
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
    let of = |dialect| {
        let usual = dialect::usual_ttl(dialect);
        rule.max_ttl.map_or(usual, |max_ttl| usual.min(max_ttl))
    };
    let dialects = reaching(rule, dialects);
    let through = |dialect: &Dialect| match dialect {
        Dialect::Sandbox => format!("{} through the sandbox's", of(*dialect)),
        Dialect::Agora => format!("{} through Agora's", of(*dialect)),
        _ => of(*dialect).to_string(),
    };
    match dialects.split_first() {
        Some((first, rest)) if rest.iter().any(|other| of(*other) != of(*first)) => {
            let mut all: Vec<_> = dialects.iter().map(through).collect();
            // LiveKit's and OpenVidu's are one.
            all.sort_by_key(|lifetime| lifetime.contains(" through "));
            all.dedup();
            all.join(", or ")
        }
        Some((only, _)) => of(*only).to_string(),
        None => String::new(),
    }
}

/// The dialects by which a rule can be asked.
fn reaching(rule: &Rule, dialects: &[Dialect]) -> Vec<Dialect> {
    let sandboxes_alone = rule.when.on(&Source::SandboxId).is_some();
    dialects.iter().copied().filter(|dialect| !sandboxes_alone || *dialect == Dialect::Sandbox).collect()
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What is sound and still worth a thought.
fn notes(config: &Config) -> Vec<String> {
    let Config { callers, rules, dialects, .. } = config;
    // A server with a key of its own says for whom it asks: that is what it's for.
    let speak_for_themselves = |rule: &Rule| {
        let named = callers.iter().filter(|caller| rule.callers.contains(&caller.name));
        named.filter(|caller| caller.kind != CallerKind::ApiKey).map(|caller| caller.name.as_str()).collect()
    };
    let mut notes: Vec<_> = warnings::of_config(config).into_iter().collect();
    for rule in rules {
        let dialects = reaching(rule, dialects);
        let choosing: Vec<&str> = speak_for_themselves(rule);
        if may_set(rule, "participant_identity") && !choosing.is_empty() {
            notes.push(format!(
                "rule {:?} lets whoever comes as {} choose their identity, another person's too",
                rule.name,
                choosing.join(" or ")
            ));
        }
        if rule.identity.is_constant() {
            notes.push(format!(
                "rule {:?} gives every caller one identity, {:?}: a second participant with it disconnects the first",
                rule.name,
                rule.identity.to_string()
            ));
        }
        if dialects.iter().copied().any(can_leave_the_room_out)
            && rule.default_room.is_none()
            && !rule.rooms.iter().any(fits_a_generated_room)
        {
            notes.push(format!(
                "rule {:?} needs a room to be asked for: it has no default_room, and room-{{random}} is none of its rooms",
                rule.name
            ));
        }
        if rule.grants.room_create {
            notes.push(format!(
                "rule {:?} grants room_create, which may also delete rooms, any of them",
                rule.name
            ));
        }
        notes.extend(useless_to(rule, &dialects));
    }
    notes.extend(identity_notes(rules, callers));
    let named = |is: fn(&CallerKind) -> bool| {
        callers.iter().find(|caller| is(&caller.kind)).map(|caller| &caller.name)
    };
    if let (Some(vouched), Some(anonymous)) =
        (named(|kind| matches!(kind, CallerKind::Gateway(_))), named(|kind| *kind == CallerKind::Anonymous))
    {
        notes.push(format!(
            "caller {vouched:?} is known by the gateway's authorizer, and caller {anonymous:?} is anonymous: a request on a route \
             without that authorizer counts as {anonymous:?}"
        ));
    }
    for caller in
        callers.iter().filter(|caller| !rules.iter().any(|rule| rule.callers.contains(&caller.name)))
    {
        notes.push(format!("no rule is for caller {:?}, so it gets nothing", caller.name));
    }
    notes
}

/// What a rule keeps from the clients of some dialects, whatever they ask for.
fn useless_to(rule: &Rule, dialects: &[Dialect]) -> Vec<String> {
    let name = &rule.name;
    let mut notes = Vec::new();
    let one_name =
        [Dialect::Openvidu, Dialect::Quickstart].into_iter().filter(|dialect| dialects.contains(dialect));
    let one_name: Vec<_> = one_name.map(Dialect::as_str).collect();
    if !one_name.is_empty() && !may_set(rule, "participant_identity") && !may_set(rule, "participant_name") {
        notes.push(format!(
            "rule {name:?} refuses nearly every name that clients of {} ask with: its client_may_set lists neither \
             participant_identity nor participant_name",
            one_name.join(" and ")
        ));
    }
    if dialects.contains(&Dialect::Agora) {
        if !may_set(rule, "participant_identity") && rule.identity.is_random() {
            notes.push(format!(
                "rule {name:?} refuses every client of Agora's: they name a uid, the rule has no identity of its own that \
                 it could be, and its client_may_set doesn't list participant_identity"
            ));
        }
        if rule.grants.can_subscribe == Some(false) {
            notes.push(format!(
                "rule {name:?} gives no token to an Agora channel: can_subscribe = false is nothing that one can say \
                 (grants_not_enforceable)"
            ));
        }
    }
    notes
}

fn may_set(rule: &Rule, path: &str) -> bool {
    rule.client_may_set.iter().any(|field| field.path() == path)
}

/// The others' requests name a room in any case, or their dialect does.
fn can_leave_the_room_out(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Standard | Dialect::Sandbox | Dialect::TokenServer)
}

/// Whether it's one of the rooms that are made up where a rule has no `default_room`.
fn fits_a_generated_room(pattern: &RoomPattern) -> bool {
    let generated = RoomName::generated(operating_system_randomness);
    pattern.matches(generated.as_str(), &Caller::anonymous("anyone")) == Ok(true)
}
