//! The text of a first roompass.toml, and what to do next.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Map, Value};

use super::answers::Answered;
use super::providers::Provider;
use super::{Platform, shown};
use crate::screen::Page;

/// The text of the file.
pub(super) fn text(answered: &Answered) -> String {
    let Answered { provider, answers, rooms, origins, platform } = answered;
    let list = |items: &[String]| items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", ");
    let origins: Vec<_> = origins.iter().map(ToString::to_string).collect();
    let caller = Provider::filled(&provider.caller, answers);
    let name = caller_name(provider);
    let is_agora = *platform == Platform::Agora;
    let dialects = if is_agora { "dialects = [\"agora\"]          # docs/agora.md\n\n" } else { "" };
    let mut text = format!(
        "# The configuration of Roompass. `roompass check` validates it, and docs/reference.md lists every key.\n\n\
         {dialects}[cors]\norigins = [{}]  # web pages that may read responses\n\n\
         # {} ({}).\n[[caller]]\nname = \"{name}\"\n{caller}\n",
        list(&origins),
        provider.title,
        provider.page,
    );
    text += if provider.has_claims() {
        "# Users may join these rooms, under their own identity.\n[[rule]]\nname = \"users\"\n"
    } else {
        "# The backend may request these rooms for its users, and names each participant.\n[[rule]]\nname = \"backend\"\n"
    };
    let _ = writeln!(text, "callers = [\"{name}\"]\nrooms = [{}]", list(&rooms.patterns));
    // Agora's clients always name a channel, and its tokens have no name.
    if let Some(default) = rooms.default.as_ref().filter(|_| !is_agora) {
        let _ = writeln!(text, "default_room = {}  # if a request names no room", quoted(default));
    }
    match &provider.participant_name {
        Some(name) => {
            text += "identity = \"{sub}\"\n";
            if !is_agora {
                let shown = quoted(&format!("{{{name} | 'Guest'}}"));
                let _ = writeln!(text, "participant_name = {shown}  # the first that the user has");
            }
        }
        None if is_agora => text += "client_may_set = [\"participant_identity\"]\nttl = \"2m\"\n",
        None => {
            text += "client_may_set = [\"participant_identity\", \"participant_name\", \"participant_attributes\"]\nttl = \"2m\"\n";
        }
    }
    text
}

/// The line for a client, and the next commands of this program.
pub(super) fn next(answered: &Answered, file: &Path, program: &str, page: &mut Page) {
    let Answered { provider, answers, rooms, platform, .. } = answered;
    page.line("");
    match (&provider.token, platform) {
        (None, _) => page.line("Your server, in JavaScript:"),
        (Some(_), Platform::Livekit) => page.line("Your client, in JavaScript with livekit-client:"),
        (Some(_), Platform::Agora) => page.line("Your client, in JavaScript:"),
    }
    let headers = match &provider.token {
        None => "'X-API-Key': process.env.ROOMPASS_KEY".to_owned(),
        Some(token) => format!("Authorization: `Bearer ${{{}}}`", Provider::filled(token, answers)),
    };
    page.line(match (&provider.token, platform) {
        (_, Platform::Agora) => format!(
            "  await fetch('http://127.0.0.1:3000/agora/rtc/CHANNEL/publisher/userAccount/USER', {{ headers: {{ {headers} }} }})"
        ),
        (None, Platform::Livekit) => format!(
            "  await fetch('http://127.0.0.1:3000/getToken', {{ method: 'POST', headers: {{ {headers}, 'Content-Type': 'application/json' }}, body: JSON.stringify({{ participant_identity: user.id }}) }})"
        ),
        (Some(_), Platform::Livekit) => {
            format!("  TokenSource.endpoint('http://127.0.0.1:3000/getToken', {{ headers: {{ {headers} }} }})")
        }
    });
    let fresh = "how to send a fresh one with each request";
    page.line(match (&provider.token, provider.page.as_str()) {
        (None, document) => format!("{document} describes the request."),
        (Some(_), AUTHENTICATION) => format!("{AUTHENTICATION} describes the token, and {fresh}."),
        (Some(_), document) => format!("{document} describes the token, and {AUTHENTICATION} {fresh}."),
    });
    if let Some(note) = &provider.note {
        page.line(Provider::filled(note, answers));
    }
    page.line("");
    page.line("Next:");
    let config =
        if file == Path::new("roompass.toml") { String::new() } else { format!(" --config {}", shown(file)) };
    let mut commands = vec![(format!("{program} check{config}"), "who gets what")];
    let claims = Value::from(claims(rooms.claim.as_deref())).to_string();
    if provider.has_claims() {
        commands.push((
            format!("echo '{}' > claims.json", claims.replace('\'', r"'\''")),
            "a user's claims, with those that your rooms use",
        ));
    }
    match (provider.has_claims(), platform) {
        (true, Platform::Livekit) => commands.push((format!("{program} token --caller claims.json{config}"), "a token for this user")),
        (false, Platform::Livekit) => commands.push((
            format!("{program} token --as {} --identity ada{config}", caller_name(provider)),
            "a token for the user ada",
        )),
        (true, Platform::Agora) => commands.push((
            format!("{program} explain --caller claims.json --path /agora/rtc/CHANNEL/publisher/userAccount/ada{config}"),
            "what this user gets",
        )),
        (false, Platform::Agora) => {}
    }
    commands.push((format!("{program} serve{config}"), "the endpoint on this machine"));
    for (command, what) in commands {
        page.line(format!("  {command:44}  # {what}"));
    }
}

fn caller_name(provider: &Provider) -> &'static str {
    if provider.has_claims() { "app" } else { "backend" }
}

/// Claims of a user, with a value for this one.
fn claims(claim: Option<&str>) -> Map<String, Value> {
    let mut claims = Map::from_iter([("sub".to_owned(), Value::from("ada"))]);
    if let Some(claim) = claim {
        let parts: Vec<_> = if claim.contains("://") { vec![claim] } else { claim.split('.').collect() };
        let inner = parts.iter().skip(1).rev().fold(Value::from("red"), |value, part| {
            Value::from(Map::from_iter([((*part).to_owned(), value)]))
        });
        claims.insert(parts.first().copied().unwrap_or_default().to_owned(), inner);
    }
    claims
}

/// A string of TOML. JSON's escapes are valid in it.
fn quoted(text: &str) -> String {
    let is_literal = text.contains('"') && !text.contains(|char: char| char == '\'' || char.is_control());
    if is_literal { format!("'{text}'") } else { Value::from(text).to_string() }
}

const AUTHENTICATION: &str = "docs/authentication.md";

#[cfg(test)]
mod tests {
    use roompass::config::Config;

    use super::super::providers::{self, Answers};
    use super::super::rooms::Rooms;
    use super::*;
    use crate::check::notes;

    /// Answers as in the examples of the table.
    fn answered(provider: &'static Provider, rooms: &str, platform: Platform) -> Answered {
        let answers: Answers = provider
            .ask
            .iter()
            .map(|question| (question.option.clone(), question.read(&question.example).unwrap()))
            .collect();
        let origins = vec!["https://app.example.com".to_owned().try_into().unwrap()];
        Answered { provider, answers, rooms: Rooms::read(rooms).unwrap(), origins, platform }
    }

    #[test]
    fn the_file_is_valid_and_has_no_notes_for_each_provider_each_choice_of_rooms_and_each_platform() {
        let mut files = 0;
        for provider in providers::all() {
            for rooms in [
                "user",
                "claim:team",
                "claim:https://a.example/team",
                "any",
                "class:{claims.classes[]}:*",
                "call:*",
            ] {
                if !provider.has_claims() && !["any", "call:*"].contains(&rooms) {
                    continue;
                }
                for platform in [Platform::Livekit, Platform::Agora] {
                    let text = text(&answered(provider, rooms, platform));
                    let config = Config::parse(&text, "roompass.toml")
                        .unwrap_or_else(|error| panic!("{error}\n{text}"));
                    assert_eq!(notes(&config), Vec::<String>::new(), "{text}");
                    assert_eq!(config.cors.origins.len(), 1);
                    files += 1;
                }
            }
        }
        assert!(files > 180, "{files}");
    }

    #[test]
    fn the_claims_for_a_try_have_the_rooms_claim() {
        let claims = |claim| Value::from(claims(claim)).to_string();
        assert_eq!(claims(None), r#"{"sub":"ada"}"#);
        assert_eq!(claims(Some("org.id")), r#"{"org":{"id":"red"},"sub":"ada"}"#);
        assert_eq!(claims(Some("https://a.example/team")), r#"{"https://a.example/team":"red","sub":"ada"}"#);
    }
}
