//! What a LiveKit token would say, and by which rule.

use roompass::domain::{Grants, Limits, Pass};
use roompass::mint;
use roompass::policy::Explanation;
use serde_json::{Map, Value};

use super::{Shown, passed_over_as_json, say_passed_over, say_refusal};
use crate::screen::Page;

pub(super) fn shown(explanation: Explanation<Pass>, limits: &Limits, now: u64) -> Shown {
    let mut page = Page::default();
    say_passed_over(&mut page, &explanation.passed_over);
    let mut members = Map::from_iter([passed_over_as_json(&explanation.passed_over)]);
    let pass = match explanation.decision {
        Ok(pass) => pass,
        Err(denial) => {
            let refusal = denial.into();
            say_refusal(&mut page, &refusal);
            return Shown { page, members, refusal: Some(refusal) };
        }
    };
    page.line(format!("decided by   {}", pass.rule));
    members.insert("rule".into(), pass.rule.clone().into());
    match mint::livekit_claims(&pass, API_KEY, limits, now) {
        Ok(claims) => {
            say_pass(&mut page, &pass);
            page.line("the token says, besides nbf and exp");
            page.json(&claims);
            let grants = pass.grants.spelled_out().into_iter();
            let grants = grants.map(|(name, value, _)| (name.to_owned(), value.into())).collect();
            members.extend([
                ("ttl_seconds".to_owned(), pass.ttl.duration().as_secs().into()),
                ("grants".to_owned(), Value::Object(grants)),
                ("claims".to_owned(), claims),
            ]);
            Shown { page, members, refusal: None }
        }
        Err(error) => {
            let refusal = error.into();
            say_refusal(&mut page, &refusal);
            Shown { page, members, refusal: Some(refusal) }
        }
    }
}

fn say_pass(page: &mut Page, pass: &Pass) {
    page.line(format!("room         {}", pass.room.as_str()));
    page.line(format!("identity     {}", pass.identity.as_str()));
    page.line(format!("for          {}", pass.ttl));
    say_grants(page, &pass.grants);
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
    page.wrapped("defaults     ", &format!("LiveKit's for all else: {}", said.join("; ")));
}

/// Stands for the key that would sign.
const API_KEY: &str = "(the API key)";
