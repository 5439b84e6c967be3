//! `roompass check`: is this configuration sound, and who may get what by it?

use std::path::PathBuf;

use clap::Args;
use roompass::auth::{CallerConfig, CallerKind};
use roompass::config::{Config, ConfigError, ConfigSource, Environment};
use roompass::policy::Rule;

#[derive(Args)]
pub(crate) struct Options {
    /// The file to check; without one, what the program would run with
    file: Option<PathBuf>,
}

/// A table of who may get what.
///
/// # Errors
/// At the first mistake.
pub(crate) fn run(options: Options) -> Result<String, ConfigError> {
    let mut environment = Environment::of_this_process()?;
    if let Some(file) = options.file {
        environment.config = ConfigSource::File(file);
    }
    let Config { callers, rules, .. } = Config::load(&environment)?;
    if callers.is_empty() {
        return Ok("Sound, and it lets nobody in: no [[caller]] is configured.\n".to_owned());
    }
    let known = callers.iter().map(|caller| vec![caller.name.clone(), known_by(caller)]);
    let mut text = table(&["caller", "known by"], known.collect());
    text.push('\n');
    text += &table(&["rule", "who", "rooms", "as", "may", "for"], rules.iter().map(row).collect());
    Ok(notes(&callers, &rules).into_iter().fold(text, |text, note| format!("{text}\nNote: {note}\n")))
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

fn row(rule: &Rule) -> Vec<String> {
    let who = match (rule.callers.join(", "), rule.when.to_string()) {
        (callers, when) if when.is_empty() => callers,
        (callers, when) => format!("{callers} when {when}"),
    };
    let rooms = rule.rooms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let rooms = match &rule.default_room {
        Some(default) => format!("{rooms} (else {default})"),
        None => rooms,
    };
    let identity = rule.identity.as_ref().map_or_else(|| "user-{random}".into(), ToString::to_string);
    let own = if rule.client_may_set.iter().any(|field| field.path() == "participant_identity") {
        ", or as asked"
    } else {
        ""
    };
    let may =
        rule.grants.spelled_out().into_iter().filter(|(_, value, default)| !default || (value == "true"));
    let may: Vec<_> = may
        .map(|(name, value, _)| if value == "true" { name.to_owned() } else { format!("{name} = {value}") })
        .collect();
    vec![
        rule.name.clone(),
        who,
        rooms,
        identity + own,
        may.join(", "),
        rule.ttl.unwrap_or_default().to_string(),
    ]
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

fn table(heads: &[&str], rows: Vec<Vec<String>>) -> String {
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_uppercase()).collect();
    let rows: Vec<_> = std::iter::once(heads).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    rows.iter().fold(String::new(), |text, row| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text + cells.join("  ").trim_end() + "\n"
    })
}
