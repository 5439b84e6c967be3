//! LiveKit tokens: JWTs signed with HS256, with the claims of `livekit-api` and those that it lacks. That crate's own signing
//! reads the clock twice. Here `nbf` is the time of the request, and `exp` is that time plus the lifetime.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use livekit_api::access_token::{
    AgentEndpointGrants, AgentGrants, AgentThreadGrants, Claims, InferenceGrants, ObservabilityGrants,
    SIPGrants, VideoGrants,
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{MintError, Token, signature};
use crate::domain::{
    Access, Attributes, Grants, Identity, Limits, Metadata, ParticipantName, Pass, RoomConfig, RoomName,
    TrackSource,
};
use crate::keys::LiveKitKeys;

/// Signs the token of a pass, valid from `now` (seconds since 1970) for the pass's lifetime.
///
/// # Errors
/// If the token would be too large. This is checked before signing.
pub(super) fn token(
    passes: &[Pass],
    keys: &LiveKitKeys,
    limits: &Limits,
    now: u64,
) -> Result<Token, MintError> {
    let [pass] = passes else { return Err(not_one_room()) };
    let claims = claims(pass, &keys.api_key, now)?;
    let json = json(&claims, pass).map_err(|error| MintError::Signing(error.to_string()))?;
    must_fit(&claims, json.len(), limits.max_token_size)?;
    Ok(sign(&json, keys))
}

/// Signs a token for one call of LiveKit's server API: it can administrate one room for a minute. It isn't for clients.
#[cfg(feature = "local")]
#[must_use]
pub fn server_api_token(room: &RoomName, keys: &LiveKitKeys, now: u64) -> Token {
    let claims = serde_json::json!({
        "iss": keys.api_key,
        "nbf": now,
        "exp": now.saturating_add(60),
        "video": { "roomAdmin": true, "room": room.as_str() },
    });
    sign(claims.to_string().as_bytes(), keys)
}

/// The JWT with these claims.
fn sign(json: &[u8], keys: &LiveKitKeys) -> Token {
    let [header, claims] = [HEADER.as_bytes(), json].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let signed = format!("{header}.{claims}");
    let signature = signature(keys.expose_secret().as_bytes(), signed.as_bytes());
    Token(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)).into())
}

fn claims(pass: &Pass, api_key: &str, now: u64) -> Result<Claims, MintError> {
    let seconds =
        |time: u64| usize::try_from(time).map_err(|_| MintError::Signing("the time is out of range".into()));
    let Access::Room(room) = &pass.access else { return Err(not_one_room()) };
    Ok(Claims {
        iss: api_key.to_owned(),
        sub: pass.identity.as_str().to_owned(),
        name: room.name.as_ref().map_or_else(String::new, |name| name.as_str().to_owned()),
        metadata: room.metadata.as_ref().map_or_else(String::new, |metadata| metadata.as_str().to_owned()),
        attributes: room
            .attributes
            .iter()
            .flat_map(Attributes::iter)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        video: video_grants(&room.room, &room.grants),
        kind: room.grants.kind.claim().to_owned(),
        sip: SIPGrants { admin: room.grants.sip.admin, call: room.grants.sip.call },
        agent: agent_grants(&room.grants),
        agent_endpoint: agent_endpoint_grants(&room.grants),
        agent_thread: agent_thread_grants(&room.grants),
        inference: inference_grants(&room.grants),
        observability: observability_grants(&room.grants),
        room_config: room.room_config.as_ref().map(|config| config.as_livekit().clone()),
        exp: seconds(now.saturating_add(pass.ttl.duration().as_secs()))?,
        nbf: seconds(now)?,
        ..Claims::default()
    })
}

/// The claims in the token of a pass, without `exp` and `nbf`.
///
/// # Errors
/// If the token would be too large.
pub fn livekit_claims(pass: &Pass, api_key: &str, limits: &Limits, now: u64) -> Result<Value, MintError> {
    let claims = claims(pass, api_key, now)?;
    let json = json(&claims, pass).map_err(|error| MintError::Signing(error.to_string()))?;
    must_fit(&claims, json.len(), limits.max_token_size)?;
    let mut claims = serde_json::from_slice(&json).unwrap_or_default();
    if let Value::Object(members) = &mut claims {
        members.retain(|name, _| name != "exp" && name != "nbf");
    }
    Ok(claims)
}

/// The claims as JSON, with those of the pass that `livekit-api` has no fields for.
fn json(claims: &Claims, pass: &Pass) -> serde_json::Result<Vec<u8>> {
    let Some(grants) = pass.room().map(|room| &room.grants) else { return serde_json::to_vec(claims) };
    let video: Map<_, _> = [
        ("canSubscribeMetrics", grants.can_subscribe_metrics),
        ("canManageAgentSession", grants.can_manage_agent_session),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
    .collect();
    let details: Vec<_> = grants.kind_details.iter().map(|detail| detail.as_str()).collect();
    if video.is_empty() && details.is_empty() && grants.room_preset.is_empty() {
        return serde_json::to_vec(claims);
    }
    let mut claims = serde_json::to_value(claims)?;
    if let Some(Value::Object(members)) = claims.get_mut("video") {
        members.extend(video);
    }
    if !details.is_empty() {
        claims["kindDetails"] = details.into();
    }
    if !grants.room_preset.is_empty() {
        claims["roomPreset"] = grants.room_preset.as_str().into();
    }
    serde_json::to_vec(&claims)
}

fn not_one_room() -> MintError {
    MintError::Signing("a LiveKit token is for exactly one room".into())
}

fn agent_grants(Grants { cloud_agents, .. }: &Grants) -> AgentGrants {
    AgentGrants {
        admin: cloud_agents.admin,
        simulation_admin: cloud_agents.simulation_admin,
        database_admin: cloud_agents.database_admin,
        dispatch_admin: cloud_agents.dispatch_admin,
    }
}

fn agent_endpoint_grants(Grants { agent_endpoint, .. }: &Grants) -> AgentEndpointGrants {
    AgentEndpointGrants {
        call: agent_endpoint.call,
        agent_name: agent_endpoint.agent_name.clone(),
        deployment: agent_endpoint.deployment.clone(),
    }
}

fn agent_thread_grants(Grants { agent_thread, .. }: &Grants) -> AgentThreadGrants {
    AgentThreadGrants {
        all: agent_thread.all,
        scope: agent_thread.scope.clone(),
        thread_ids: agent_thread.thread_ids.clone(),
        list: agent_thread.list,
        create: agent_thread.create,
        write: agent_thread.write,
        read: agent_thread.read,
        delete: agent_thread.delete,
    }
}

fn inference_grants(grants: &Grants) -> InferenceGrants {
    let none = InferenceGrants::default();
    if grants.inference.perform { none.with_perform() } else { none }
}

fn observability_grants(grants: &Grants) -> ObservabilityGrants {
    let none = ObservabilityGrants::default();
    if grants.observability.write { none.with_write() } else { none }
}

fn video_grants(room: &RoomName, grants: &Grants) -> VideoGrants {
    VideoGrants {
        room_join: true,
        room: room.as_str().to_owned(),
        can_publish: grants.can_publish,
        can_subscribe: grants.can_subscribe,
        can_publish_data: grants.can_publish_data,
        can_publish_sources: grants
            .can_publish_sources
            .iter()
            .map(|source| TrackSource::as_str(*source).into())
            .collect(),
        can_update_own_metadata: grants.can_update_own_metadata,
        room_admin: grants.room_admin,
        room_create: grants.room_create,
        room_list: grants.room_list,
        room_record: grants.room_record,
        ingress_admin: grants.ingress_admin,
        hidden: grants.hidden,
        recorder: grants.recorder,
        agent: grants.agent,
        destination_room: grants.destination_room.clone(),
    }
}

fn must_fit(claims: &Claims, json_size_of_all: usize, limit: usize) -> Result<(), MintError> {
    let size = signed_size(json_size_of_all);
    if size <= limit {
        return Ok(());
    }
    let mut fields = [
        (RoomName::FIELD, json_size(&claims.video.room)),
        (Identity::FIELD, json_size(&claims.sub)),
        (ParticipantName::FIELD, json_size(&claims.name)),
        (Metadata::FIELD, json_size(&claims.metadata)),
        (Attributes::FIELD, json_size(&claims.attributes)),
        (RoomConfig::FIELD, claims.room_config.as_ref().map_or(0, json_size)),
    ];
    fields.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    Err(MintError::TooLarge { size, limit, largest: fields[..2].to_vec() })
}

/// The size of a JWT: the header, the claims and the 32 bytes of the signature, in base64 without padding.
fn signed_size(claims: usize) -> usize {
    let base64 = |bytes: usize| (bytes * 4).div_ceil(3);
    base64(HEADER.len()) + 1 + base64(claims) + 1 + base64(32)
}

fn json_size(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |json| json.len())
}

const HEADER: &str = r#"{"typ":"JWT","alg":"HS256"}"#;

#[cfg(test)]
mod tests;
