//! What a LiveKit token would say, and by which rule.

use roompass::domain::{Grants, Limits, Pass};
use roompass::mint;
use roompass::policy::Explanation;
use serde_json::{Map, Value};

use super::{Shown, passed_over, passed_over_as_json, refusal_as_lines};
use crate::screen::wrapped;

pub(super) fn shown(explanation: Explanation<Pass>, limits: &Limits, now: u64) -> Shown {
    let mut lines: Vec<_> = passed_over(&explanation.passed_over).collect();
    let mut members = Map::from_iter([passed_over_as_json(&explanation.passed_over)]);
    let pass = match explanation.decision {
        Ok(pass) => pass,
        Err(denial) => {
            let refusal = denial.into();
            lines.extend(refusal_as_lines(&refusal));
            return Shown { lines, members, refusal: Some(refusal) };
        }
    };
    lines.push(format!("decided by   {}", pass.rule));
    members.insert("rule".into(), pass.rule.clone().into());
    match mint::livekit_claims(&pass, API_KEY, limits, now) {
        Ok(claims) => {
            lines.extend(of_pass(&pass));
            lines.push(format!("the token says, besides nbf and exp\n{claims:#}"));
            let grants = pass.grants.spelled_out().into_iter();
            let grants = grants.map(|(name, value, _)| (name.to_owned(), value.into())).collect();
            members.extend([
                ("ttl_seconds".to_owned(), pass.ttl.duration().as_secs().into()),
                ("grants".to_owned(), Value::Object(grants)),
                ("claims".to_owned(), claims),
            ]);
            Shown { lines, members, refusal: None }
        }
        Err(error) => {
            let refusal = error.into();
            lines.extend(refusal_as_lines(&refusal));
            Shown { lines, members, refusal: Some(refusal) }
        }
    }
}

fn of_pass(pass: &Pass) -> Vec<String> {
    let mut lines = vec![
        format!("room         {}", pass.room.as_str()),
        format!("identity     {}", pass.identity.as_str()),
        format!("for          {}", pass.ttl),
    ];
    lines.extend(of_grants(&pass.grants));
    lines
}

/// The grants that aren't LiveKit's default, a line for each, and the defaults together.
fn of_grants(grants: &Grants) -> Vec<String> {
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
    let mut lines: Vec<_> =
        written.iter().map(|(name, value, _)| format!("grant        {name} = {value}")).collect();
    lines.push(wrapped("defaults     ", &format!("LiveKit's for all else: {}", said.join("; "))));
    lines
}

/// Stands for the key that would sign.
const API_KEY: &str = "(the API key)";
