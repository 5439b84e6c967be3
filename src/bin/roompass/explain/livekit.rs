//! What a LiveKit token would say, and by which rule.

use roompass::domain::{Context, Grants, Pass, RoomPass};
use roompass::http::Refusal;
use roompass::mint::{self, MintError, Settings};
use roompass::policy::Decision;
use serde_json::{Map, Value};

use super::{Decided, Outcome, say_refusal, say_skipped, skipped_as_json};
use crate::screen::Page;

pub(super) fn outcome(decided: Vec<Decided>, settings: &Settings, context: &Context) -> Outcome {
    let (mut page, mut members) = (Page::default(), Map::new());
    let mut refusal = None;
    for Decided { decision: Decision { skipped, outcome }, .. } in decided {
        say_skipped(&mut page, &skipped);
        members.extend([skipped_as_json(&skipped)]);
        if let Err(refused) = said(&mut page, &mut members, outcome.map_err(Refusal::from), settings, context)
        {
            say_refusal(&mut page, &refused);
            refusal = Some(refused);
        }
    }
    Outcome { page, members, refusal }
}

fn said(
    page: &mut Page,
    members: &mut Map<String, Value>,
    pass: Result<Pass, Refusal>,
    settings: &Settings,
    context: &Context,
) -> Result<(), Refusal> {
    let pass = pass?;
    page.line(format!("rule         {}", pass.rule));
    members.insert("rule".into(), pass.rule.clone().into());
    let claims = mint::livekit_claims(&pass, API_KEY, &settings.limits, context.now)?;
    let room = pass.room().ok_or_else(|| MintError::Signing("a LiveKit token is for one room".into()))?;
    say_pass(page, &pass, room);
    page.line("claims, without nbf and exp");
    page.json(&claims);
    let grants = room.grants.spelled_out().into_iter();
    let grants = grants.map(|(name, value, _)| (name.to_owned(), value.into())).collect();
    members.extend([
        ("ttl_seconds".to_owned(), pass.ttl.duration().as_secs().into()),
        ("grants".to_owned(), Value::Object(grants)),
        ("claims".to_owned(), claims),
    ]);
    Ok(())
}

fn say_pass(page: &mut Page, pass: &Pass, room: &RoomPass) {
    page.line(format!("room         {}", room.room.as_str()));
    page.line(format!("identity     {}", pass.identity.as_str()));
    page.line(format!("lifetime     {}", pass.ttl));
    say_grants(page, &room.grants);
}

/// The grants that aren't LiveKit's default, a line for each, and the defaults together.
fn say_grants(page: &mut Page, grants: &Grants) {
    let all = grants.spelled_out();
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
    let said = [("", given), ("not ", not_given)].into_iter().filter(|(_, names)| !names.is_empty());
    let said: Vec<_> = said.map(|(not, names)| format!("{not}{}", names.join(", "))).collect();
    for (name, value, _) in &written {
        page.line(format!("grant        {name} = {value}"));
    }
    page.wrapped("defaults     ", &said.join("; "));
}

/// Stands for the key that would sign.
const API_KEY: &str = "(the API key)";
