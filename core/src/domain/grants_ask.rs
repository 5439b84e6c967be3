//! Grants that a request asks for, in place of the rule's.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Grants, InvalidField};

/// Grants by LiveKit's names. Grants that the request doesn't name stay as the rule has them.
#[derive(Debug, Clone, PartialEq)]
pub struct GrantsAsk(Map<String, Value>);

impl GrantsAsk {
    /// The field's name in a request.
    pub const FIELD: &str = "grants";

    /// Parses an object of grants, in snake case or in camel case. Members that are null or empty are absent, and so is
    /// `room_join: true`, which every token has.
    ///
    /// # Errors
    /// If a grant is unknown, has the wrong type, or is sent in both spellings with different values.
    pub fn parse(value: Value) -> Result<Option<Self>, InvalidField> {
        let Value::Object(members) = value else {
            return Err(InvalidField::wrong_type(Self::FIELD, "an object"));
        };
        let mut grants = in_snake_case(members, Self::FIELD)?;
        match grants.remove("room_join") {
            None | Some(Value::Bool(true)) => {}
            Some(_) => {
                return Err(InvalidField::new(
                    "grants.room_join",
                    "must be true: every token is for joining a room",
                ));
            }
        }
        if grants.contains_key("room") {
            return Err(InvalidField::new("grants.room", "is not a grant here: send the room as room_name"));
        }
        let known: Vec<_> = Grants::default().effective().into_iter().map(|(name, ..)| name).collect();
        let is_group =
            |name: &str| known.iter().any(|known| known.split('.').next() == Some(name) && *known != name);
        for (name, value) in &mut grants {
            let path = format!("{}.{name}", Self::FIELD);
            if is_group(name) {
                let Value::Object(members) = std::mem::take(value) else {
                    return Err(InvalidField::wrong_type(path, "an object"));
                };
                let members = in_snake_case(members, &path)?;
                for (member, value) in &members {
                    check(&format!("{name}.{member}"), value, &known)?;
                }
                *value = Value::Object(members);
            } else if name.contains('.') {
                return Err(unknown(path));
            } else {
                check(name, value, &known)?;
            }
        }
        grants.retain(|_, value| value.as_object().is_none_or(|members| !members.is_empty()));
        Ok((!grants.is_empty()).then_some(Self(grants)))
    }

    /// These grants, and otherwise those of `base`. `None` if they can't be combined.
    #[must_use]
    pub fn over(&self, base: &Grants) -> Option<Grants> {
        let mut combined = serde_json::to_value(base).ok()?;
        for (name, value) in &self.0 {
            match (combined.get_mut(name), value) {
                (Some(Value::Object(members)), Value::Object(asked)) => members.extend(asked.clone()),
                _ => combined.as_object_mut()?.extend([(name.clone(), value.clone())]),
            }
        }
        serde_json::from_value(combined).ok()
    }
}

/// The members by their names in snake case, without those that are null or empty.
fn in_snake_case(members: Map<String, Value>, path: &str) -> Result<Map<String, Value>, InvalidField> {
    let mut named = Map::new();
    for (name, value) in members {
        if value.is_null() || value == "" || value.as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        let name = snake_case(&name).into_owned();
        if named.get(&name).is_some_and(|other| *other != value) {
            return Err(InvalidField::new(
                format!("{path}.{name}"),
                "is sent in both spellings with different values; send only one",
            ));
        }
        named.insert(name, value);
    }
    Ok(named)
}

fn snake_case(name: &str) -> Cow<'_, str> {
    if !name.contains(|char: char| char.is_ascii_uppercase()) {
        return name.into();
    }
    name.chars()
        .fold(String::new(), |name, char| {
            if char.is_ascii_uppercase() {
                name + "_" + char.to_ascii_lowercase().encode_utf8(&mut [0; 4])
            } else {
                name + char.encode_utf8(&mut [0; 4])
            }
        })
        .into()
}

fn unknown(path: String) -> InvalidField {
    InvalidField::new(path, "is not a grant: use LiveKit's names, such as can_publish")
}

/// Checks the name and the type of one grant.
fn check(name: &str, value: &Value, known: &[&str]) -> Result<(), InvalidField> {
    let path = format!("{}.{name}", GrantsAsk::FIELD);
    if !known.contains(&name) {
        return Err(unknown(path));
    }
    let nested = match name.split_once('.') {
        Some((group, member)) => Value::from_iter([(group, Value::from_iter([(member, value.clone())]))]),
        None => Value::from_iter([(name, value.clone())]),
    };
    if serde_json::from_value::<Grants>(nested).is_ok() {
        return Ok(());
    }
    Err(InvalidField::wrong_type(
        path,
        match name {
            "can_publish_sources" => "a list of camera, microphone, screen_share and screen_share_audio",
            "agent_thread.thread_ids" => "a list of strings",
            "kind_details" => {
                "a list of cloud_agent, forwarded, connector_whatsapp, connector_twilio, bridge_rtsp and simulation"
            }
            "destination_room"
            | "room_preset"
            | "agent_endpoint.agent_name"
            | "agent_endpoint.deployment"
            | "agent_thread.scope" => "a string",
            "kind" => "standard, ingress, egress, sip or agent",
            _ => "true or false",
        },
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(value: Value) -> Result<Option<Value>, String> {
        let parsed = GrantsAsk::parse(value).map_err(|error| error.to_string())?;
        Ok(parsed.map(|GrantsAsk(grants)| Value::Object(grants)))
    }

    #[test]
    fn both_spellings_mean_the_same_and_empty_members_are_absent() {
        for (value, expected) in [
            (json!({}), None),
            (
                json!({"can_publish": null, "canPublishSources": [], "sip": {}, "roomJoin": true, "kind": ""}),
                None,
            ),
            (json!({"sip": {"call": null}}), None),
            (json!({"canPublish": false}), Some(json!({"can_publish": false}))),
            (
                json!({"can_publish": false, "canPublish": false, "agentThread": {"threadIds": ["a"]}}),
                Some(json!({"can_publish": false, "agent_thread": {"thread_ids": ["a"]}})),
            ),
        ] {
            assert_eq!(parse(value.clone()), Ok(expected), "{value}");
        }
    }

    #[test]
    fn a_grant_that_is_unknown_or_of_another_type_is_named() {
        for (value, problem) in [
            (json!([]), "grants must be an object"),
            (
                json!({"can_pubish": true}),
                "grants.can_pubish is not a grant: use LiveKit's names, such as can_publish",
            ),
            (
                json!({"sip": {"admn": true}}),
                "grants.sip.admn is not a grant: use LiveKit's names, such as can_publish",
            ),
            (
                json!({"sip.admin": true}),
                "grants.sip.admin is not a grant: use LiveKit's names, such as can_publish",
            ),
            (json!({"canPublish": "no"}), "grants.can_publish must be true or false"),
            (json!({"room_admin": 1}), "grants.room_admin must be true or false"),
            (json!({"sip": true}), "grants.sip must be an object"),
            (json!({"sip": {"call": "x"}}), "grants.sip.call must be true or false"),
            (
                json!({"canPublishSources": ["webcam"]}),
                "grants.can_publish_sources must be a list of camera, microphone, screen_share and screen_share_audio",
            ),
            (
                json!({"agent_thread": {"thread_ids": "a"}}),
                "grants.agent_thread.thread_ids must be a list of strings",
            ),
            (json!({"destinationRoom": 5}), "grants.destination_room must be a string"),
            (
                json!({"kind_details": ["robot"]}),
                "grants.kind_details must be a list of cloud_agent, forwarded, connector_whatsapp, connector_twilio, bridge_rtsp and simulation",
            ),
            (json!({"agentEndpoint": {"agentName": 5}}), "grants.agent_endpoint.agent_name must be a string"),
            (json!({"kind": "robot"}), "grants.kind must be standard, ingress, egress, sip or agent"),
            (json!({"room_join": false}), "grants.room_join must be true: every token is for joining a room"),
            (json!({"room": "x"}), "grants.room is not a grant here: send the room as room_name"),
            (
                json!({"can_publish": true, "canPublish": false}),
                "grants.can_publish is sent in both spellings with different values; send only one",
            ),
        ] {
            assert_eq!(parse(value.clone()), Err(problem.to_owned()), "{value}");
        }
    }

    #[test]
    fn grants_that_are_not_named_stay_as_they_are() {
        let base = Grants { room_admin: true, can_publish: Some(true), ..Grants::default() };
        let asked = GrantsAsk::parse(json!({"can_publish": false, "sip": {"call": true}})).unwrap().unwrap();
        let combined = asked.over(&base).unwrap();
        assert_eq!((combined.can_publish, combined.room_admin, combined.sip.call), (Some(false), true, true));
        let base = Grants { sip: crate::domain::Sip { admin: true, call: true }, ..Grants::default() };
        let asked = GrantsAsk::parse(json!({"sip": {"call": false}})).unwrap().unwrap();
        assert_eq!(asked.over(&base).unwrap().sip, crate::domain::Sip { admin: true, call: false });
        let reduced = asked.over(&combined).unwrap();
        assert!(!reduced.sip.call && reduced.room_admin);
    }
}
