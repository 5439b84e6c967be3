//! The explanation of a LiveKit token.

use roompass::domain::{Context, Grants, Pass, RoomPass};
use roompass::http::Refusal;
use roompass::mint::{self, MintError, Settings};
use serde_json::{Map, Value};

use super::{DecidedAsk, Outcome, print_project, print_refusal, print_skipped, skipped_as_json};
use crate::screen::Page;

pub(super) fn outcome(decided: Vec<DecidedAsk>, settings: &Settings, context: &Context) -> Outcome {
    let (mut page, mut members) = (Page::default(), Map::new());
    let mut refusal = None;
    for ask in decided {
        print_skipped(&mut page, &ask);
        members.extend(skipped_as_json(&ask));
        let pass = ask.outcome.map_err(Refusal::from);
        let printed = pass.and_then(|pass| print_token(&mut page, &mut members, &pass, settings, context));
        if let Err(error) = printed {
            print_refusal(&mut page, &error);
            refusal = Some(error);
        }
    }
    Outcome { page, members, refusal }
}

fn print_token(
    page: &mut Page,
    members: &mut Map<String, Value>,
    pass: &Pass,
    settings: &Settings,
    context: &Context,
) -> Result<(), Refusal> {
    page.line(format!("rule         {}", pass.rule));
    print_project(page, pass);
    members.insert("rule".into(), pass.rule.clone().into());
    members.insert("project".into(), pass.project.as_str().into());
    let claims = mint::livekit_claims(pass, API_KEY, &settings.limits, context.now)?;
    let room = pass.room().ok_or_else(|| MintError::Signing("a LiveKit token is for one room".into()))?;
    print_pass(page, pass, room);
    page.line("claims, without nbf and exp");
    page.json(&claims);
    let grants = room.grants.effective().into_iter();
    let grants = grants.map(|(name, value, _)| (name.to_owned(), value.into())).collect();
    members.extend([
        ("ttl_seconds".to_owned(), pass.ttl.duration().as_secs().into()),
        ("grants".to_owned(), Value::Object(grants)),
        ("claims".to_owned(), claims),
    ]);
    Ok(())
}

fn print_pass(page: &mut Page, pass: &Pass, room: &RoomPass) {
    page.line(format!("room         {}", room.room.as_str()));
    page.line(format!("identity     {}", pass.identity.as_str()));
    page.line(format!("lifetime     {}", pass.ttl));
    print_grants(page, &room.grants);
}

/// One line for each grant that differs from LiveKit's default, and one for the defaults.
fn print_grants(page: &mut Page, grants: &Grants) {
    let all = grants.effective();
    let (defaults, written): (Vec<_>, Vec<_>) = all.iter().partition(|(_, _, default)| *default);
    let group = |name: &'static str| name.split_once('.').map(|(group, _)| group);
    let (mut given, mut not_given) = (Vec::new(), Vec::new());
    for (name, value, _) in defaults {
        let group = group(name).filter(|own| written.iter().all(|(other, _, _)| group(other) != Some(own)));
        match (group, value.as_str()) {
            (Some(group), _) => not_given.push(group.to_owned()),
            (None, "true") => given.push((*name).to_owned()),
            (None, "false" | "none") => not_given.push((*name).to_owned()),
            (None, other) => given.push(format!("{name} = {other}")),
        }
    }
    not_given.dedup();
    let defaults = [("", given), ("not ", not_given)].into_iter().filter(|(_, names)| !names.is_empty());
    let defaults: Vec<_> = defaults.map(|(not, names)| format!("{not}{}", names.join(", "))).collect();
    for (name, value, _) in &written {
        page.line(format!("grant        {name} = {value}"));
    }
    page.wrapped("defaults     ", &defaults.join("; "));
}

/// The placeholder for the key that would sign.
const API_KEY: &str = "(the API key)";
