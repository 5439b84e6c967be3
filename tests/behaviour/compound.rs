//! Compound fields: a rule that lists one of them allows no member of it that it doesn't list too. The members come from
//! LiveKit's own protocol, in both casings, so that one it adds later is looked at here.

use std::collections::BTreeSet;

use axum::Router;
use livekit_protocol::{
    AutoParticipantEgress, AutoTrackEgress, EncodedFileOutput, EncodingOptions, ImageOutput,
    RoomAgentDispatch, RoomCompositeEgressRequest, RoomConfiguration, RoomEgress, SegmentedFileOutput,
    TokenSourceRequest,
};
use roompass::config::Config;
use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde_json::{Value, json};

use crate::support::{post, service};

/// What decides whether a client may set a member.
#[derive(Debug, PartialEq)]
enum Decides {
    /// `client_may_set`, by this name.
    Listing(&'static str),
    /// A key of its own, with the member's value in it.
    OwnKey,
    /// Nothing: it's always refused.
    Never,
}

use Decides::{Listing, Never, OwnKey};

#[tokio::test]
async fn every_field_of_a_request_and_every_setting_of_the_room_is_set_only_where_it_is_listed() {
    let mut tried = 0;
    for (message, spellings) in
        [("", spellings_of::<TokenSourceRequest>()), ("room_config", spellings_of::<RoomConfiguration>())]
    {
        for spelling in spellings {
            let member = snake(spelling);
            // The room has `rooms`, and these their own tests below.
            if ["room_name", "room_config", "agents", "egress"].contains(&&*member) {
                continue;
            }
            let (path, body) = if message.is_empty() {
                (member.clone(), json!({ spelling: value_of(&member) }))
            } else {
                (format!("room_config.{member}"), json!({"room_config": { spelling: value_of(&member) }}))
            };
            let nothing_else = "client_may_set = []\nagents = [\"*\"]\negress = [\"room\"]";
            let problem = post(&rule(nothing_else), &body).await.refused(403, "field_not_allowed");
            assert_eq!(problem["field"], path, "{body}");
            post(&rule(&format!("client_may_set = [{path:?}]")), &body).await.claims();
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}

#[tokio::test]
async fn every_member_of_a_dispatch_is_set_only_where_it_is_listed() {
    for spelling in spellings_of::<RoomAgentDispatch>() {
        let member = snake(spelling);
        let mut dispatch = json!({"agent_name": "a"});
        if spelling == "agentName" {
            dispatch = json!({});
        }
        dispatch[spelling] = value_of(&member);
        let body = json!({"room_config": {"agents": [dispatch]}});
        let (alone, listed, code, field) = match decides_on_agents(&member) {
            Listing(member) => (
                "{ name = \"a\" }".to_owned(),
                format!("{{ name = \"a\", client_may_set = [{member:?}] }}"),
                "field_not_allowed",
                format!("room_config.agents[0].{member}"),
            ),
            OwnKey if member == "deployment" => (
                "{ name = \"a\", client_may_set = [\"metadata\"] }".to_owned(),
                "{ name = \"a\", deployments = [\"x\"] }".to_owned(),
                "agent_not_allowed",
                "room_config.agents[0].deployment".to_owned(),
            ),
            OwnKey => (
                "{ name = \"b\", deployments = [\"*\"] }".to_owned(),
                format!("{:?}", if spelling == "agentName" { "x" } else { "*" }),
                "agent_not_allowed",
                "room_config.agents[0]".to_owned(),
            ),
            Never => panic!("{member}"),
        };
        for without in [String::new(), "client_may_set = [\"room_config\"]\n".to_owned()] {
            let problem =
                post(&rule(&format!("{without}agents = [{alone}]")), &body).await.refused(403, code);
            assert_eq!(problem["field"], field, "{body}");
        }
        let claims = post(&rule(&format!("agents = [{listed}]")), &body).await.claims();
        assert_eq!(claims["roomConfig"]["agents"].as_array().unwrap().len(), 1, "{body}");
    }
}

#[tokio::test]
async fn every_member_of_egress_is_set_only_where_it_is_listed() {
    let kinds = spellings_of::<RoomEgress>();
    assert_eq!(kinds, ["room", "participant", "tracks"]);
    for (kind, spellings) in kinds.into_iter().zip([
        spellings_of::<RoomCompositeEgressRequest>(),
        spellings_of::<AutoParticipantEgress>(),
        spellings_of::<AutoTrackEgress>(),
    ]) {
        let others = ["room", "participant", "tracks"].into_iter().filter(|other| *other != kind);
        let others: Vec<_> = others.map(all_of).collect();
        for spelling in spellings {
            let member = snake(spelling);
            let body = json!({"room_config": {"egress": { kind: { spelling: value_of(&member) }}}});
            let Listing(member) = decides_on_egress(kind, &member) else {
                let problem = post(&rule(&everything()), &body).await.refused(400, "invalid_field");
                assert_eq!(problem["field"], format!("room_config.egress.{kind}.{spelling}"));
                continue;
            };
            let unlisted =
                rule(&format!("client_may_set = [\"room_config\"]\negress = [{}]", others.join(", ")));
            let problem = post(&unlisted, &body).await.refused(403, "egress_not_allowed");
            assert_eq!(problem["field"], format!("room_config.egress.{kind}"));

            let alone = rule(&format!(
                "client_may_set = [\"room_config\"]\negress = [\"{kind}\", {}]",
                others.join(", ")
            ));
            let problem = post(&alone, &body).await.refused(403, "field_not_allowed");
            assert_eq!(problem["field"], format!("room_config.egress.{kind}.{member}"), "{body}");

            let listed = format!("egress = [{{ kind = {kind:?}, client_may_set = [{member:?}] }}]");
            let claims = post(&rule(&listed), &body).await.claims();
            let set = claims["roomConfig"]["egress"][kind].as_object().unwrap();
            assert_eq!(set.keys().map(|name| snake(name)).collect::<Vec<_>>(), [member], "{body}");
        }
    }
}

#[tokio::test]
async fn a_listed_output_never_carries_a_storage() {
    let everything = rule(&everything());
    for (list, is_list, spellings) in [
        ("file_outputs", true, spellings_of::<EncodedFileOutput>()),
        ("segment_outputs", true, spellings_of::<SegmentedFileOutput>()),
        ("image_outputs", true, spellings_of::<ImageOutput>()),
        ("file", false, spellings_of::<EncodedFileOutput>()),
        ("segments", false, spellings_of::<SegmentedFileOutput>()),
        ("advanced", false, spellings_of::<EncodingOptions>()),
    ] {
        for spelling in spellings {
            let member = snake(spelling);
            let output = json!({ spelling: value_of(&member) });
            let (output, path) = if is_list {
                (json!([output]), format!("{list}[0].{spelling}"))
            } else {
                (output, format!("{list}.{spelling}"))
            };
            let body = json!({"room_config": {"egress": {"room": { list: output }}}});
            let answer = post(&everything, &body).await;
            if STORAGES.contains(&&*member) {
                let problem = answer.refused(400, "invalid_field");
                assert_eq!(problem["field"], format!("room_config.egress.room.{path}"));
            } else {
                answer.claims();
            }
        }
    }
}

#[tokio::test]
async fn egress_has_at_most_one_output_of_each_kind() {
    let everything = rule(&everything());
    let (file, segments, image) =
        (json!({"filepath": "x"}), json!({"filename_prefix": "x"}), json!({"width": 1}));
    for (egress, list) in [
        (json!({"room": {"file_outputs": [file, file]}}), "room.file_outputs"),
        (json!({"room": {"fileOutputs": [file], "file": file}}), "room.file_outputs"),
        (json!({"room": {"segment_outputs": [segments, {}]}}), "room.segment_outputs"),
        (json!({"room": {"segmentOutputs": [segments], "segments": segments}}), "room.segment_outputs"),
        (json!({"room": {"image_outputs": [image, image, image]}}), "room.image_outputs"),
        (json!({"participant": {"file_outputs": [file, file]}}), "participant.file_outputs"),
        (json!({"participant": {"segmentOutputs": [segments, segments]}}), "participant.segment_outputs"),
    ] {
        let body = json!({"room_config": { "egress": egress }});
        let problem = post(&everything, &body).await.refused(400, "invalid_field");
        assert_eq!(problem["field"], format!("room_config.egress.{list}"), "{body}");
    }
    let one_each = json!({"file_outputs": [file], "segment_outputs": [segments], "image_outputs": [image]});
    post(&everything, json!({"room_config": {"egress": {"room": one_each}}})).await.claims();
}

#[tokio::test]
async fn each_agent_is_dispatched_once_by_default_and_at_most_eight_in_all() {
    let dispatches = |names: &[&str]| {
        let agents: Vec<_> = names.iter().map(|name| json!({ "agent_name": name })).collect();
        json!({"room_config": { "agents": agents }})
    };
    let twice = r#"agents = [{ name = "a", max = 2 }, "b"]"#;
    let eight_of_any = r#"agents = [{ name = "*", max = 8 }]"#;
    let names: Vec<String> = (0..464).map(|number| format!("agent-{number}")).collect();
    let different = |count: usize| names[..count].iter().map(String::as_str).collect::<Vec<_>>();
    for (agents, asked, field) in [
        (r#"agents = ["a"]"#, vec!["a"; 1], None),
        (r#"agents = ["a"]"#, vec!["a"; 2], Some("room_config.agents[1]")),
        (r#"agents = ["a"]"#, vec!["a"; 464], Some("room_config.agents")),
        (twice, vec!["a", "b", "a"], None),
        (twice, vec!["a", "b", "a", "a"], Some("room_config.agents[3]")),
        (twice, vec!["b", "a", "b"], Some("room_config.agents[2]")),
        (r#"agents = ["*"]"#, different(8), None),
        (r#"agents = ["*"]"#, vec!["a", "b", "a"], Some("room_config.agents[2]")),
        (r#"agents = ["*"]"#, different(9), Some("room_config.agents")),
        (eight_of_any, vec!["a"; 8], None),
        (eight_of_any, vec!["a"; 9], Some("room_config.agents")),
        (eight_of_any, different(464), Some("room_config.agents")),
        ("", vec!["a"; 1], Some("room_config.agents[0]")),
    ] {
        let answer = post(&rule(agents), dispatches(&asked)).await;
        match field {
            None => {
                let claims = answer.claims();
                assert_eq!(claims["roomConfig"]["agents"].as_array().unwrap().len(), asked.len(), "{agents}");
            }
            Some(field) => {
                assert_eq!(answer.refused(403, "agent_not_allowed")["field"], field, "{agents}");
            }
        }
    }
}

#[tokio::test]
async fn the_first_entry_that_covers_an_agent_and_its_deployment_decides() {
    let service = rule(
        r#"agents = [
            { name = "a", deployments = ["blue"], client_may_set = ["metadata"], max = 2 },
            { name = "*", deployments = ["*"] },
        ]"#,
    );
    let dispatch = |deployment: &str, metadata: &str| json!({"agent_name": "a", "deployment": deployment, "metadata": metadata});
    let ask = async |agents: &[Value]| post(&service, json!({"room_config": { "agents": agents }})).await;
    ask(&[dispatch("blue", "m"), dispatch("", "m"), dispatch("green", "")]).await.claims();
    let problem = ask(&[json!({}), dispatch("green", "m")]).await.refused(403, "field_not_allowed");
    assert_eq!(problem["field"], "room_config.agents[1].metadata");
    let problem = ask(&[dispatch("green", ""), dispatch("red", "")]).await.refused(403, "agent_not_allowed");
    assert_eq!(problem["field"], "room_config.agents[1]");
}

#[tokio::test]
async fn a_refusal_names_the_agent_and_the_list_to_change() {
    let service = rule(r#"agents = [{ name = "a", deployments = ["blue"] }]"#);
    for (agents, detail) in [
        (
            json!([{"agent_name": "b"}]),
            "The field room_config.agents[0] dispatches an agent that is not listed in agents of rule \"r\".",
        ),
        (
            json!([{"deployment": "staging"}]),
            "The field room_config.agents[0] sets deployment \"staging\", but has no agent_name, and is not listed in agents of rule \"r\".",
        ),
        (
            json!([{}, {"metadata": "m", "attributes": {"a": "b"}}]),
            "The field room_config.agents[1] sets metadata, attributes, but has no agent_name, and is not listed in agents of rule \"r\".",
        ),
        (
            json!([{"agent_name": "a", "deployment": "green"}]),
            "The field room_config.agents[0].deployment is not listed in deployments of this agent's entry in agents of rule \"r\".",
        ),
        (
            json!([{"agent_name": "a"}, {"agent_name": "a"}]),
            "The field room_config.agents[1] repeats an agent: max is 1 in this agent's entry in agents of rule \"r\".",
        ),
        (
            json!(vec![json!({"agent_name": "a"}); 464]),
            "The field room_config.agents has 464 agents; at most 8 are allowed, regardless of agents of rule \"r\".",
        ),
        (
            json!([{"agent_name": "a", "restartPolicy": "JRP_NEVER"}]),
            "The field room_config.agents[0].restart_policy can't be set by the client: rule \"r\" does not list \"restart_policy\" in client_may_set of this agent's entry in agents.",
        ),
    ] {
        let answer = post(&service, json!({"room_config": { "agents": agents }})).await;
        assert_eq!((answer.status.as_u16(), answer.minted), (403, 0));
        assert_eq!(answer.json()["detail"], detail);
    }
    let service = rule(r#"egress = ["room"]"#);
    let answer = post(&service, json!({"room_config": {"egress": {"room": {"layout": "grid"}}}})).await;
    assert_eq!(
        answer.refused(403, "field_not_allowed")["detail"],
        "The field room_config.egress.room.layout can't be set by the client: rule \"r\" does not list \"layout\" in client_may_set of the room entry in egress."
    );
}

#[test]
fn an_invalid_entry_is_a_mistake_that_lists_the_valid_ones() {
    for (line, says) in [
        (
            r#"agents = [{ name = "a", client_may_set = ["metdata"] }]"#,
            "\"metdata\" is not allowed in this client_may_set: use metadata, attributes, restart_policy",
        ),
        (r#"agents = [{ name = "a", client_may_set = ["deployment"] }]"#, "\"deployment\" is not allowed"),
        (r#"agents = [{ name = "a", max = 0 }]"#, "must be 1 to 8"),
        (r#"agents = [{ name = "a", max = 9 }]"#, "must be 1 to 8"),
        (
            r#"egress = [{ kind = "tracks", client_may_set = ["layout"] }]"#,
            "\"layout\" is not allowed in this client_may_set: use filepath, disable_manifest",
        ),
        (
            r#"egress = [{ kind = "room", client_may_set = ["stream_outputs"] }]"#,
            "is not allowed in this client_may_set",
        ),
        (
            r#"egress = [{ kind = "room", client_may_set = ["room_name"] }]"#,
            "is not allowed in this client_may_set",
        ),
        (
            r#"egress = ["room", { kind = "room", client_may_set = ["layout"] }]"#,
            "lists room twice in egress",
        ),
        (r#"agents = ["a", { name = "a", max = 2 }]"#, "has an unreachable entry in agents"),
        (r#"agents = ["*", "a"]"#, "a (max 1) comes after * (max 1), which covers it"),
    ] {
        let mistake = Config::parse(&written(line), "x.toml").unwrap_err().to_string();
        assert!(mistake.starts_with("x.toml:") && mistake.contains(says), "{mistake}");
    }
    let reachable =
        r#"agents = ["*", { name = "a", deployments = ["blue"] }, { name = "*", deployments = ["*"] }]"#;
    Config::parse(&written(reachable), "x.toml").unwrap();
}

fn rule(lines: &str) -> Router {
    service(&written(lines))
}

fn written(lines: &str) -> String {
    format!(
        "[[caller]]\nname = \"anyone\"\nkind = \"anonymous\"\n\
         [[rule]]\nname = \"r\"\ncallers = [\"anyone\"]\nrooms = [\"*\"]\n{lines}\n"
    )
}

/// All that a rule can allow.
fn everything() -> String {
    let kinds = ["room", "participant", "tracks"].map(all_of).join(", ");
    format!(
        "client_may_set = [\"room_config\"]\nagents = [{{ name = \"*\", deployments = [\"*\"], \
         client_may_set = [\"metadata\", \"attributes\", \"restart_policy\"], max = 8 }}]\negress = [{kinds}]"
    )
}

/// An entry of `egress` with all that it can list.
fn all_of(kind: &str) -> String {
    let spellings = match kind {
        "room" => spellings_of::<RoomCompositeEgressRequest>(),
        "participant" => spellings_of::<AutoParticipantEgress>(),
        _ => spellings_of::<AutoTrackEgress>(),
    };
    let members: BTreeSet<_> = spellings.into_iter().map(snake).collect();
    let listed: Vec<_> = members.iter().filter(|member| decides_on_egress(kind, member) != Never).collect();
    format!("{{ kind = {kind:?}, client_may_set = {listed:?} }}")
}

fn decides_on_agents(member: &str) -> Decides {
    match member {
        "agent_name" | "deployment" => OwnKey,
        "metadata" => Listing("metadata"),
        "attributes" => Listing("attributes"),
        "restart_policy" => Listing("restart_policy"),
        new => panic!("decide whether a rule can list {new}"),
    }
}

fn decides_on_egress(kind: &str, member: &str) -> Decides {
    match (kind, member) {
        (_, "room_name" | "custom_base_url" | "stream_outputs" | "stream" | "webhooks") => Never,
        (_, storage) if STORAGES.contains(&storage) => Never,
        ("room", "layout") => Listing("layout"),
        ("room", "audio_only") => Listing("audio_only"),
        ("room", "audio_mixing") => Listing("audio_mixing"),
        ("room", "video_only") => Listing("video_only"),
        ("room", "image_outputs") => Listing("image_outputs"),
        ("room", "file") => Listing("file"),
        ("room", "segments") => Listing("segments"),
        ("room" | "participant", "file_outputs") => Listing("file_outputs"),
        ("room" | "participant", "segment_outputs") => Listing("segment_outputs"),
        ("room" | "participant", "preset") => Listing("preset"),
        ("room" | "participant", "advanced") => Listing("advanced"),
        ("tracks", "filepath") => Listing("filepath"),
        ("tracks", "disable_manifest") => Listing("disable_manifest"),
        new => panic!("decide whether a rule can list {new:?}"),
    }
}

/// A value of a member's type that isn't the default.
fn value_of(member: &str) -> Value {
    match member {
        "participant_attributes" | "attributes" | "tags" => json!({"k": "v"}),
        "sync_streams" | "audio_only" | "video_only" | "disable_manifest" => json!(true),
        "file_outputs" => json!([{"filepath": "x"}]),
        "segment_outputs" => json!([{"filename_prefix": "x"}]),
        "image_outputs" | "advanced" => json_of_width(member),
        "stream_outputs" => json!([{"urls": ["rtmp://live.example/key"]}]),
        "webhooks" => json!([{"url": "https://hook.example"}]),
        "file" => json!({"filepath": "x"}),
        "segments" => json!({"filename_prefix": "x"}),
        "stream" => json!({"urls": ["rtmp://live.example/key"]}),
        storage if STORAGES.contains(&storage) => json!({}),
        "participant_identity"
        | "participant_name"
        | "participant_metadata"
        | "name"
        | "metadata"
        | "agent_name"
        | "deployment"
        | "layout"
        | "room_name"
        | "custom_base_url"
        | "filepath"
        | "filename_prefix"
        | "playlist_name"
        | "live_playlist_name" => json!("x"),
        // Numbers, and the second value of each enumeration.
        "restart_policy" | "audio_mixing" | "preset" | "file_type" | "protocol" | "filename_suffix"
        | "image_codec" | "audio_codec" | "video_codec" | "empty_timeout" | "departure_timeout"
        | "max_participants" | "min_playout_delay" | "max_playout_delay" | "segment_duration"
        | "capture_interval" | "width" | "height" | "depth" | "framerate" | "audio_bitrate"
        | "audio_frequency" | "audio_quality" | "video_bitrate" | "video_quality" | "key_frame_interval" => {
            json!(1)
        }
        new => panic!("give {new} a value"),
    }
}

fn json_of_width(member: &str) -> Value {
    if member == "advanced" { json!({"width": 1}) } else { json!([{"width": 1}]) }
}

const STORAGES: [&str; 4] = ["s3", "gcp", "azure", "ali_oss"];

/// LiveKit's own name of a member in protobuf's other casing.
fn snake(spelling: &str) -> String {
    if spelling == "aliOSS" {
        return "ali_oss".to_owned();
    }
    spelling.chars().fold(String::new(), |name, letter| {
        if letter.is_ascii_uppercase() {
            name + "_" + &letter.to_ascii_lowercase().to_string()
        } else {
            name + &letter.to_string()
        }
    })
}

/// Every name of a member that LiveKit's protocol reads in a message.
fn spellings_of<'de, Message: Deserialize<'de>>() -> Vec<&'static str> {
    struct Names<'a>(&'a mut Vec<&'static str>);

    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::custom("a message is a struct"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            names: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Error> {
            self.0.extend(names);
            Err(Error::custom("only its members' names are wanted"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut names = Vec::new();
    let _ = Message::deserialize(Names(&mut names));
    assert!(!names.is_empty());
    names
}
