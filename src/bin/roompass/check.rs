//! `roompass check`: is this configuration sound, and who may get what by it?

use std::path::PathBuf;

use clap::Args;
use roompass::auth::{Caller, CallerConfig, CallerKind};
use roompass::config::{Config, ConfigError, ConfigSource, Environment};
use roompass::domain::{RoomName, operating_system_randomness};
use roompass::policy::{RoomPattern, Rule};

use crate::development::{self, Policy};
use crate::screen::wrapped;

#[derive(Args)]
pub(crate) struct Options {
    /// The file to check; without one, what the program would run with
    file: Option<PathBuf>,
}

/// Who may get what.
///
/// # Errors
/// At the first mistake.
pub(crate) fn run(options: Options) -> Result<String, ConfigError> {
    let mut environment = Environment::of_this_process()?;
    if let Some(file) = options.file {
        environment.config = ConfigSource::File(file);
    }
    let (Config { callers, rules, .. }, policy) = development::load(&environment)?;
    let mut text = match policy {
        Policy::Configured => String::new(),
        Policy::Development => {
            "Sound. In Lambda it lets nobody in: no [[caller]] is configured. `cargo run` lets \
                                anyone in meanwhile, by this:\n\n"
                .to_owned()
        }
    };
    let known = callers.iter().map(|caller| [caller.name.clone(), known_by(caller)]);
    text += &table(["caller", "known by"], known.collect());
    text.extend(rules.iter().map(|rule| format!("\nRULE {}\n{}", rule.name, block(&of_rule(rule)))));
    if policy == Policy::Configured {
        text.extend(notes(&callers, &rules).iter().map(|note| format!("\nNote: {note}\n")));
    }
    Ok(text)
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
                issuer.issuer,
                issuer.audience.join(" or "),
                algorithms.join(", ")
            )
        }
    }
}

/// What a rule says, part by part; nothing of a part that it leaves out.
fn of_rule(rule: &Rule) -> Vec<(&'static str, String)> {
    let who = match (rule.callers.join(", "), rule.when.to_string()) {
        (callers, when) if when.is_empty() => callers,
        (callers, when) => format!("{callers} when {when}"),
    };
    let rooms = match &rule.default_room {
        Some(default) => format!("{} (else {default})", list(&rule.rooms)),
        None => list(&rule.rooms),
    };
    let identity = rule.identity.as_ref().map_or_else(|| "user-{random}".into(), ToString::to_string);
    let may =
        rule.grants.spelled_out().into_iter().filter(|(_, value, default)| !default || (value == "true"));
    let may: Vec<_> = may
        .map(|(name, value, _)| if value == "true" { name.to_owned() } else { format!("{name} = {value}") })
        .collect();
    let max_ttl =
        rule.max_ttl.map_or_else(String::new, |max_ttl| format!(", at most {max_ttl} where asked for"));
    let credential = if rule.within_credential { ", and no longer than what they showed" } else { "" };
    let fields: Vec<_> = rule.client_may_set.iter().map(|field| field.path()).collect();
    let egress: Vec<_> = rule.egress.iter().map(|egress| egress.path()).collect();
    let logins: Vec<_> = rule.agora_logins.iter().flatten().map(|service| service.as_str()).collect();
    let said = vec![
        ("who", who),
        ("rooms", rooms),
        ("as", identity),
        ("may", may.join(", ")),
        ("may set", fields.join(", ")),
        ("agents", list(&rule.agents)),
        ("egress", egress.join(", ")),
        ("logins", logins.join(", ")),
        ("for", format!("{}{max_ttl}{credential}", rule.ttl.unwrap_or_default())),
    ];
    said.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What is sound and still worth a thought.
fn notes(callers: &[CallerConfig], rules: &[Rule]) -> Vec<String> {
    let anonymous = |name: &String| {
        callers.iter().any(|caller| caller.name == *name && caller.kind == CallerKind::Anonymous)
    };
    let known = callers.iter().any(|caller| caller.kind != CallerKind::Anonymous);
    let mut notes = Vec::new();
    for rule in rules {
        let chosen = rule.client_may_set.iter().any(|field| field.path() == "participant_identity");
        if known && chosen && rule.callers.iter().any(anonymous) {
            notes.push(format!(
                "rule {:?} lets anonymous callers choose their identity, another caller's too",
                rule.name
            ));
        }
        if rule.default_room.is_none() && !rule.rooms.iter().any(fits_a_generated_room) {
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
    }
    for caller in
        callers.iter().filter(|caller| !rules.iter().any(|rule| rule.callers.contains(&caller.name)))
    {
        notes.push(format!("no rule is for caller {:?}, so it gets nothing", caller.name));
    }
    notes
}

/// Whether it's one of the rooms that are made up where a rule has no `default_room`.
fn fits_a_generated_room(pattern: &RoomPattern) -> bool {
    let generated = RoomName::generated(operating_system_randomness);
    pattern.matches(generated.as_str(), &Caller::anonymous("anyone")) == Ok(true)
}

fn table<const COLUMNS: usize>(heads: [&str; COLUMNS], rows: Vec<[String; COLUMNS]>) -> String {
    let rows: Vec<_> = std::iter::once(heads.map(str::to_uppercase)).chain(rows).collect();
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    rows.iter().fold(String::new(), |text, row| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text + cells.join("  ").trim_end() + "\n"
    })
}

/// A part a line, or more where it would be wider than the screen.
fn block(parts: &[(&str, String)]) -> String {
    parts.iter().map(|(name, said)| wrapped(&format!("  {name:7} "), said) + "\n").collect()
}
