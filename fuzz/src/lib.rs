//! Code that the fuzz targets share: values from the fuzzer's bytes, keys, and an open policy.

use std::collections::BTreeSet;
use std::future::Future;

use arbitrary::{Result, Unstructured};
use roompass::auth::CallerKeys;
use roompass::domain::{Context, Randomness, ServerUrl};
use roompass::keys::{AgoraKeys, Deployment, Keys, LiveKitKeys, SigningKeys};
use serde_json::{Map, Value};

/// A policy that allows every request.
pub const OPEN: &str = r#"
[[caller]]
name = "anyone"
kind = "anonymous"

[[rule]]
name = "open"
callers = ["anyone"]
rooms = ["*"]
client_may_set = ["participant_identity", "participant_name", "participant_metadata", "participant_attributes", "room_config"]
agents = [{ name = "*", deployments = ["*"], client_may_set = ["metadata", "attributes", "restart_policy"], max = 8 }]
egress = [
  { kind = "room", client_may_set = ["layout", "audio_only", "audio_mixing", "video_only", "file_outputs", "segment_outputs", "image_outputs", "file", "segments", "preset", "advanced"] },
  { kind = "participant", client_may_set = ["file_outputs", "segment_outputs", "preset", "advanced"] },
  { kind = "tracks", client_may_set = ["filepath", "disable_manifest"] },
]
agora_logins = ["rtm", "chat"]
max_ttl = "24h"
"#;

pub const API_KEY: &str = "APIfuzz";
pub const API_SECRET: &str = "a secret that is long enough to be one";
pub const APP_ID: &str = "0123456789abcdef0123456789abcdef";
pub const APP_CERTIFICATE: &str = "fedcba9876543210fedcba9876543210";

/// Fixed random bytes, so that an input can be reproduced.
pub const SAME: Randomness = |bytes| bytes.fill(7);

/// The system's time and fixed random bytes.
pub fn surroundings() -> Context {
    at(roompass::system::context().now)
}

/// The given time and fixed random bytes.
pub fn at(now: u64) -> Context {
    Context { now, randomness: SAME }
}

/// LiveKit's keys and Agora's.
pub fn signing_keys() -> SigningKeys {
    let server = ServerUrl::parse("wss://test.livekit.cloud").expect("a valid server URL");
    let keys = LiveKitKeys::new(server, API_KEY.into(), API_SECRET.into(), Deployment::Lambda);
    SigningKeys::from(keys.expect("a valid key pair")).with_agora(agora_keys())
}

pub fn keys() -> Keys {
    Keys::given(signing_keys(), CallerKeys::default())
}

pub fn agora_keys() -> AgoraKeys {
    AgoraKeys::new(APP_ID.into(), APP_CERTIFICATE.into()).expect("a valid app")
}

/// Runs a future to completion. It may only wait for the loopback interface.
pub fn wait_for<T>(what: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    }
    RUNTIME.with(|runtime| runtime.block_on(what))
}

/// A JSON value whose strings and member names are often taken from `words`.
pub fn value(bytes: &mut Unstructured<'_>, words: &[&str], depth: u8) -> Result<Value> {
    Ok(match bytes.int_in_range(0..=if depth == 0 { 9 } else { 13 })? {
        0 => Value::Null,
        1 => bytes.arbitrary::<bool>()?.into(),
        2 => bytes.arbitrary::<i64>()?.into(),
        3 => bytes.arbitrary::<u8>()?.into(),
        4 => bytes.arbitrary::<f64>()?.into(),
        5..=7 => (*bytes.choose(words)?).into(),
        8 => bytes.arbitrary::<String>()?.into(),
        // Long enough to reach or exceed a limit.
        9 => (*bytes.choose(words)?).repeat(bytes.int_in_range(0..=300)?).into(),
        10 => {
            (0..bytes.int_in_range(0..=3)?).map(|_| value(bytes, words, depth - 1)).collect::<Result<_>>()?
        }
        _ => Value::Object(members(bytes, words, depth - 1)?),
    })
}

/// An object, generated in the same way.
pub fn members(bytes: &mut Unstructured<'_>, words: &[&str], depth: u8) -> Result<Map<String, Value>> {
    let mut members = Map::new();
    for _ in 0..bytes.int_in_range(0..=6)? {
        let name = if bytes.ratio(1, 12)? { bytes.arbitrary()? } else { (*bytes.choose(words)?).to_owned() };
        members.insert(name, value(bytes, words, depth)?);
    }
    Ok(members)
}

/// Every string in a value, including member names.
pub fn texts(value: &Value) -> BTreeSet<String> {
    match value {
        Value::String(text) => [text.clone()].into(),
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => {
            members.iter().flat_map(|(name, value)| texts(value).into_iter().chain([name.clone()])).collect()
        }
        _ => BTreeSet::new(),
    }
}
