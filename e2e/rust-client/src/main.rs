//! Requests a token with LiveKit's Rust client: `rust-client URL OPTIONS`. OPTIONS is a JSON object, named like the
//! client's setters. Prints the response as the client parsed it.

use std::collections::BTreeMap;
use std::error::Error;

use livekit_token_source::{TokenSourceConfigurable, TokenSourceFetchOptions, endpoint};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    room_name: Option<String>,
    participant_identity: Option<String>,
    participant_name: Option<String>,
    participant_metadata: Option<String>,
    participant_attributes: Option<BTreeMap<String, String>>,
    agent_name: Option<String>,
    agent_metadata: Option<String>,
    deployment: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(options)) = (arguments.next(), arguments.next()) else {
        return Err("usage: rust-client URL OPTIONS".into());
    };
    let options = fetch_options(serde_json::from_str(&options)?);
    let answer = endpoint(url).fetch(&options).await?;
    let answer = serde_json::json!({
        "serverUrl": answer.server_url,
        "participantToken": answer.participant_token,
    });
    println!("{answer}");
    Ok(())
}

/// Sets the given options only.
fn fetch_options(given: Options) -> TokenSourceFetchOptions {
    let mut options = TokenSourceFetchOptions::new();
    if let Some(value) = given.room_name {
        options = options.with_room_name(value);
    }
    if let Some(value) = given.participant_identity {
        options = options.with_participant_identity(value);
    }
    if let Some(value) = given.participant_name {
        options = options.with_participant_name(value);
    }
    if let Some(value) = given.participant_metadata {
        options = options.with_participant_metadata(value);
    }
    if let Some(value) = given.participant_attributes {
        options = options.with_participant_attributes(value);
    }
    if let Some(value) = given.agent_name {
        options = options.with_agent_name(value);
    }
    if let Some(value) = given.agent_metadata {
        options = options.with_agent_metadata(value);
    }
    if let Some(value) = given.deployment {
        options = options.with_deployment(value);
    }
    options
}
