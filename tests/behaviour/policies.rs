//! The documents on who may call and what they get: their policies are files that give and refuse what the documents
//! say, their stanzas are ones that the program takes, and the causes that they show are the real ones.

use std::fs;

use axum::http::Request;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use roompass::auth::{Caller, Callers};
use roompass::config::Config;
use roompass::dialect::standard;
use roompass::domain::{Context, Pass, RoomConfig, RoomPass};
use roompass::http::Refusal;
use roompass::policy::Denial;
use serde_json::{Map, Value, json};

use crate::support::keys_with;

const OPEN_DEMO: &str = include_str!("../policies/open-demo.toml");
const TEAM_ROOMS: &str = include_str!("../policies/team-rooms.toml");
const ONE_TO_ONE: &str = include_str!("../policies/one-to-one.toml");
const WEBINAR: &str = include_str!("../policies/webinar.toml");
const GUESTS: &str = include_str!("../policies/guests.toml");
const PAID_AGENTS: &str = include_str!("../policies/paid-agents.toml");

const TUTORING: &str = include_str!("../policies/tutoring.toml");

const AUTHENTICATION_DOC: &str = include_str!("../../docs/authentication.md");
const SUPABASE_DOC: &str = include_str!("../../docs/providers/supabase.md");
const EXAMPLES_DOC: &str = include_str!("../../docs/policy-examples.md");
const TUTORING_DOC: &str = include_str!("../../docs/tutoring.md");

/// What a generated name ends in, where all the random bytes are sevens.
const SEVENS: &str = "77777777777777777777";

#[test]
fn in_the_open_demo_anyone_has_the_demo_rooms_under_a_generated_identity() {
    let anyone = Caller::anonymous("anyone");
    for (request, outcome) in [
        (json!({}), format!("demo: demo-{SEVENS} as user-{SEVENS} for 5m {{}}")),
        (json!({"room_name": "demo-1"}), format!("demo: demo-1 as user-{SEVENS} for 5m {{}}")),
        (
            json!({"room_name": "demo-1", "participant_name": "Ada"}),
            format!("demo: demo-1 as user-{SEVENS} named Ada for 5m {{}}"),
        ),
        (json!({"room_name": "board"}), "room_not_allowed".into()),
        (json!({"room_name": "my-demo-1"}), "room_not_allowed".into()),
        (json!({"room_name": "demo-1", "participant_identity": "ada"}), "field_not_allowed".into()),
        (json!({"room_name": "demo-1", "participant_metadata": "x"}), "field_not_allowed".into()),
        (json!({"room_config": {"max_participants": 2}}), "field_not_allowed".into()),
        (json!({"room_config": {"agents": [{"agent_name": "assistant"}]}}), "agent_not_allowed".into()),
    ] {
        assert_eq!(outcome_of(OPEN_DEMO, &anyone, &request), outcome, "{request}");
    }
}

#[test]
fn a_team_has_its_own_rooms_and_its_leads_moderate_them() {
    let lead = signed_in("ada", &json!({"team": "red", "role": "lead", "name": "Ada"}));
    let owner = signed_in("ann", &json!({"team": "red", "role": "owner", "name": "Ann"}));
    let member = signed_in("bob", &json!({"team": "red", "role": "member", "name": "Bob"}));
    let other = signed_in("cleo", &json!({"team": "blue", "role": "lead", "name": "Cleo"}));
    let standup = json!({"room_name": "team:red:standup"});
    for (caller, request, outcome) in [
        (&lead, &standup, r#"leads: team:red:standup as ada named Ada for 10m {"room_admin":true}"#.into()),
        (&owner, &standup, r#"leads: team:red:standup as ann named Ann for 10m {"room_admin":true}"#.into()),
        (&member, &standup, "members: team:red:standup as bob named Bob for 10m {}".into()),
        (&member, &json!({}), format!("members: team:red:{SEVENS} as bob named Bob for 10m {{}}")),
        (&other, &standup, "room_not_allowed".into()),
        (&member, &json!({"room_name": "team:redder:standup"}), "room_not_allowed".into()),
        (&member, &json!({"room_name": "team:red"}), "room_not_allowed".into()),
        (&member, &json!({"participant_identity": "ada"}), "field_not_allowed".into()),
        (&member, &json!({"participant_name": "Ada"}), "field_not_allowed".into()),
    ] {
        assert_eq!(outcome_of(TEAM_ROOMS, caller, request), outcome, "{} {request}", caller.claims["sub"]);
    }
}

#[test]
fn a_member_without_a_name_is_a_guest_by_name() {
    let eve = signed_in("eve", &json!({"team": "red"}));
    let standup = json!({"room_name": "team:red:standup"});
    assert_eq!(
        outcome_of(TEAM_ROOMS, &eve, &standup),
        "members: team:red:standup as eve named Guest for 10m {}"
    );
}

#[test]
fn a_team_without_a_list_or_in_another_teams_rooms_is_refused() {
    for claims in [
        json!({"name": "Eve"}),
        json!({"team": "", "name": "Eve"}),
        json!({"team": ["red"], "name": "Eve"}),
        json!({"team": "red:standup", "name": "Eve"}),
        json!({"team": "red:", "name": "Eve"}),
    ] {
        let eve = signed_in("eve", &claims);
        for room in ["team:red:standup", "team:red:standup:1", "team:red::1"] {
            assert_eq!(
                outcome_of(TEAM_ROOMS, &eve, &json!({"room_name": room})),
                "no_rule",
                "{claims} {room}"
            );
        }
    }
    let star = signed_in("eve", &json!({"team": "*", "name": "Eve"}));
    assert_eq!(outcome_of(TEAM_ROOMS, &star, &json!({"room_name": "team:red:1"})), "room_not_allowed");
}

#[test]
fn a_call_has_a_caller_and_a_callee() {
    let (ada, bob) = (signed_in("ada", &json!({})), signed_in("bob", &json!({})));
    let call = json!({"room_name": format!("call:ada:{SEVENS}")});
    for (caller, request, outcome) in [
        (&ada, &json!({}), format!("calling: call:ada:{SEVENS} as calling for 2m {{}}")),
        (&ada, &call, format!("calling: call:ada:{SEVENS} as calling for 2m {{}}")),
        (&bob, &call, format!("called: call:ada:{SEVENS} as called for 2m {{}}")),
        (&bob, &json!({}), format!("calling: call:bob:{SEVENS} as calling for 2m {{}}")),
        (&bob, &json!({"room_name": "standup"}), "room_not_allowed".into()),
        (
            &bob,
            &json!({"room_name": "call:ada:1", "participant_identity": "third"}),
            "field_not_allowed".into(),
        ),
        (
            &bob,
            &json!({"room_name": "call:ada:1", "participant_attributes": {"user": "ada"}}),
            "field_not_allowed".into(),
        ),
    ] {
        assert_eq!(outcome_of(ONE_TO_ONE, caller, request), outcome, "{} {request}", caller.claims["sub"]);
    }
}

#[test]
fn a_call_shows_who_a_participant_is_in_an_attribute_that_they_cannot_set() {
    for (caller, who) in [(signed_in("ada", &json!({})), "ada"), (signed_in("bob", &json!({})), "bob")] {
        let pass = decide(ONE_TO_ONE, &caller, &json!({"room_name": "call:ada:1"})).unwrap();
        let attributes = pass.room().unwrap().attributes.clone().unwrap();
        let attributes: Vec<_> =
            attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(attributes, [("user", who)]);
        assert_eq!(pass.room().unwrap().grants.can_update_own_metadata, None);
    }
}

#[test]
fn in_a_webinar_only_hosts_publish() {
    let host = signed_in("ada", &json!({"roles": ["user", "host"], "name": "Ada"}));
    let user = signed_in("bob", &json!({"roles": ["user"], "name": "Bob"}));
    let nameless = signed_in("cleo", &json!({"roles": ["host"]}));
    let almost = signed_in("dan", &json!({"roles": "host", "name": "Dan"}));
    let anyone = Caller::anonymous("anyone");
    let talk = json!({"room_name": "webinar:rust"});
    let hears = r#"{"can_publish":false,"can_publish_data":false}"#;
    let audience = format!("audience: webinar:rust as audience:{SEVENS} for 10m {hears}");
    for (caller, request, outcome) in [
        (
            &host,
            &talk,
            r#"hosts: webinar:rust as host:ada named Ada for 1h {"can_publish":true,"room_admin":true}"#
                .to_owned(),
        ),
        (&user, &talk, audience.clone()),
        (
            &nameless,
            &talk,
            r#"hosts: webinar:rust as host:cleo named Guest for 1h {"can_publish":true,"room_admin":true}"#
                .to_owned(),
        ),
        (&almost, &talk, audience.clone()),
        (&anyone, &talk, audience),
        (
            &anyone,
            &json!({"room_name": "webinar:rust", "participant_name": "Eve"}),
            format!("audience: webinar:rust as audience:{SEVENS} named Eve for 10m {hears}"),
        ),
        (&anyone, &json!({}), "missing_field".into()),
        (&host, &json!({"room_name": "board"}), "room_not_allowed".into()),
        (
            &anyone,
            &json!({"room_name": "webinar:rust", "participant_identity": "host:ada"}),
            "field_not_allowed".into(),
        ),
        (&host, &json!({"room_name": "webinar:rust", "participant_name": "Bob"}), "field_not_allowed".into()),
    ] {
        assert_eq!(outcome_of(WEBINAR, caller, request), outcome, "{:?} {request}", caller.subject);
    }
}

#[test]
fn a_guest_gets_only_guest_rooms_and_never_a_members_identity() {
    let member = signed_in("ada", &json!({"team": "red", "name": "Ada"}));
    let guest = Caller::anonymous("guest");
    let lesson = json!({"room_name": "guest:lesson"});
    let may = r#"{"can_publish_data":false,"can_publish_sources":["microphone","camera"]}"#;
    for (caller, request, outcome) in [
        (&member, &json!({}), format!("members: guest:{SEVENS} as member:ada named Ada for 10m {{}}")),
        (&member, &lesson, "members: guest:lesson as member:ada named Ada for 10m {}".into()),
        (
            &member,
            &json!({"room_name": "team:red:standup"}),
            "members: team:red:standup as member:ada named Ada for 10m {}".into(),
        ),
        (&guest, &lesson, format!("guests: guest:lesson as guest:{SEVENS} named Guest for 2m {may}")),
        (
            &guest,
            &json!({"room_name": "guest:lesson", "participant_name": "Eve"}),
            format!("guests: guest:lesson as guest:{SEVENS} named Eve for 2m {may}"),
        ),
        (&guest, &json!({"room_name": "team:red:standup"}), "room_not_allowed".into()),
        (&guest, &json!({}), "missing_field".into()),
        (
            &guest,
            &json!({"room_name": "guest:lesson", "participant_identity": "member:ada"}),
            "field_not_allowed".into(),
        ),
        (&member, &json!({"room_name": "team:blue:standup"}), "room_not_allowed".into()),
    ] {
        assert_eq!(outcome_of(GUESTS, caller, request), outcome, "{:?} {request}", caller.subject);
    }
    let named_like_the_guests = signed_in("eve", &json!({"team": "guest", "name": "Eve"}));
    assert_eq!(
        outcome_of(GUESTS, &named_like_the_guests, &json!({"room_name": "team:guest:1"})),
        "members: team:guest:1 as member:eve named Eve for 10m {}"
    );
}

#[test]
fn paying_users_can_dispatch_an_agent() {
    let (paid, free) =
        (signed_in("ada", &json!({"plan": "pro"})), signed_in("bob", &json!({"plan": "free"})));
    let with = |agent: &str| json!({"room_config": {"agents": [{"agent_name": agent}]}});
    for (caller, request, outcome) in [
        (&paid, &json!({}), format!("paid: user:ada:{SEVENS} as ada for 10m {{}}")),
        (&paid, &with("assistant"), format!("paid: user:ada:{SEVENS} as ada with assistant for 10m {{}}")),
        (&paid, &with("transcriber"), "agent_not_allowed".into()),
        (&free, &json!({}), format!("free: user:bob:{SEVENS} as bob for 10m {{}}")),
        (&free, &with("assistant"), "agent_not_allowed".into()),
        (&signed_in("cleo", &json!({})), &with("assistant"), "agent_not_allowed".into()),
        (&paid, &json!({"room_config": {"name": "preset"}}), "field_not_allowed".into()),
        (
            &paid,
            &json!({"room_config": {"agents": [{"agent_name": "assistant", "metadata": "{}"}]}}),
            "field_not_allowed".into(),
        ),
        (
            &paid,
            &json!({"room_config": {"agents": [{"agent_name": "assistant"}, {"agent_name": "assistant"}]}}),
            "agent_not_allowed".into(),
        ),
        (
            &paid,
            &json!({"room_config": {"agents": [{"agent_name": "assistant", "deployment": "canary"}]}}),
            "agent_not_allowed".into(),
        ),
        (&free, &json!({"room_name": "user:ada:1"}), "room_not_allowed".into()),
    ] {
        assert_eq!(outcome_of(PAID_AGENTS, caller, request), outcome, "{:?} {request}", caller.subject);
    }
}

#[test]
fn on_a_tutoring_platform_each_role_gets_its_classes() {
    let teacher =
        |classes: Value| signed_in("ada", &json!({"roles": ["teacher"], "classes": classes, "name": "Ada"}));
    let one = teacher(json!(["math"]));
    let two = teacher(json!(["math", "art"]));
    let student = signed_in("bob", &json!({"roles": ["student"], "classes": ["math"]}));
    let parent =
        signed_in("cleo", &json!({"roles": ["parent"], "childrens_classes": ["math"], "name": "Cleo"}));
    let hostile = signed_in("eve", &json!({"roles": ["student"], "classes": ["math:1", "*", ""]}));
    let backend = Caller { subject: Some("web".into()), ..Caller::anonymous("backend") };
    let in_room = |room: &str| json!({"room_name": room});
    let student_grants = r#"{"can_publish_sources":["camera","microphone"]}"#;
    for (caller, request, outcome) in [
        (&one, json!({}), r#"teachers: class:math:lesson as teacher:ada named Ada with notetaker for 10m {"room_admin":true}"#.to_owned()),
        (&two, in_room("class:art:1"), r#"teachers: class:art:1 as teacher:ada named Ada with notetaker for 10m {"room_admin":true}"#.to_owned()),
        (&two, json!({}), "missing_field".into()),
        (&two, in_room("class:history:1"), "room_not_allowed".into()),
        (&student, in_room("class:math:1"), format!("students: class:math:1 as student:bob named Student with notetaker for 10m {student_grants}")),
        (&student, in_room("class:art:1"), "room_not_allowed".into()),
        (&student, json!({"room_name": "class:math:1", "participant_identity": "teacher:ada"}), "field_not_allowed".into()),
        (&student, json!({"room_name": "class:math:1", "grants": {"room_admin": true}}), "field_not_allowed".into()),
        (&parent, in_room("class:math:1"), r#"parents: class:math:1 as parent:cleo named Cleo for 10m {"can_publish":false,"can_publish_data":false}"#.to_owned()),
        (&parent, in_room("class:art:1"), "room_not_allowed".into()),
        (&hostile, in_room("class:math:1:x"), "room_not_allowed".into()),
        (&hostile, in_room("class:math:1"), "room_not_allowed".into()),
        (
            &backend,
            json!({"room_name": "class:math:1", "participant_identity": "teacher:dan", "grants": {"room_admin": true}, "ttl": "1h"}),
            r#"backend: class:math:1 as teacher:dan for 1h {"room_admin":true}"#.to_owned(),
        ),
        (
            &backend,
            json!({"room_name": "class:math:1", "grants": {"can_publish": false}}),
            format!(r#"backend: class:math:1 as user-{SEVENS} for 10m {{"can_publish":false}}"#),
        ),
        (&backend, json!({"room_name": "class:math:1", "grants": {"room_record": true}}), "field_not_allowed".into()),
        (&backend, json!({"room_name": "class:math:1", "ttl": "2h"}), "ttl_too_long".into()),
        (
            &backend,
            json!({"room_name": "class:math:1", "room_config": {"agents": [{"agent_name": "tutor", "metadata": "x"}]}}),
            format!("backend: class:math:1 as user-{SEVENS} with tutor for 10m {{}}"),
        ),
    ] {
        assert_eq!(outcome_of(TUTORING, caller, &request), outcome, "{:?} {request}", caller.subject);
    }
    let banned = format!("{TUTORING}\n[[deny]]\nsub = \"bob\"\n");
    assert_eq!(outcome_of(&banned, &student, &in_room("class:math:1")), "denied");
    assert!(outcome_of(&banned, &one, &json!({})).starts_with("teachers: "));
}

#[test]
fn the_document_shows_each_policy_whole() {
    let shown = [OPEN_DEMO, TEAM_ROOMS, ONE_TO_ONE, WEBINAR, GUESTS, PAID_AGENTS, TUTORING];
    let documents = [EXAMPLES_DOC, TUTORING_DOC];
    let is_in_a_document = |text: &str| documents.iter().any(|document| document.contains(text));
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/policies")).unwrap() {
        let path = entry.unwrap().path();
        let policy = fs::read_to_string(&path).unwrap();
        assert!(shown.contains(&policy.as_str()), "{} is tested above", path.display());
        assert!(is_in_a_document(&format!("```toml\n{policy}```\n")), "{} is shown", path.display());
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(is_in_a_document(&format!("(../tests/policies/{name})")), "{name} is linked to");
    }
}

/// A stanza as the document has it, and a token that is right by it but for one thing.
#[tokio::test]
async fn the_document_shows_the_causes_that_the_log_has() {
    const NOW: u64 = 1_800_000_000;
    let right = json!({
        "iss": "https://abcdefghijklmnopqrst.supabase.co/auth/v1", "aud": "authenticated", "sub": "ada",
        "role": "authenticated", "iat": NOW, "exp": NOW + 600,
    });
    let ordinary = Header::new(Algorithm::HS256);
    assert_eq!(cause(&right, &ordinary, NOW).await, None);
    for (claim, wrong, cause_logged) in [
        (
            "iss",
            json!("https://abcdefghijklmnopqrst.supabase.co/auth/v1/"),
            "invalid token: iss is not a configured issuer",
        ),
        ("aud", json!("anon"), "invalid token: aud does not match audience"),
        ("aud", Value::Null, "invalid token: aud does not match audience"),
        ("exp", json!(NOW - 61), "invalid token: exp is in the past"),
        ("exp", Value::Null, "invalid token: exp must be a time in seconds since 1970"),
        ("iat", json!(NOW + 61), "invalid token: iat is in the future"),
        ("nbf", json!(NOW + 61), "invalid token: nbf is in the future"),
        ("iat", json!("today"), "invalid token: iat must be a time in seconds since 1970"),
        ("nbf", json!("today"), "invalid token: nbf must be a time in seconds since 1970"),
        ("sub", Value::Null, "invalid token: sub must be a string"),
        ("sub", json!(""), "invalid token: sub is empty"),
        ("role", json!("service_role"), "invalid token: role does not match required_claims"),
    ] {
        let mut claims = right.clone();
        claims[claim] = wrong;
        assert_eq!(cause(&claims, &ordinary, NOW).await.as_deref(), Some(cause_logged), "{claim}");
        assert!(AUTHENTICATION_DOC.contains(&format!("`{cause_logged}`")), "{cause_logged}");
    }
    let critical = Header { crit: Some(vec!["exp".into()]), ..Header::new(Algorithm::HS256) };
    for (header, cause_logged) in [
        (Header::new(Algorithm::HS384), "invalid token: alg is not in algorithms"),
        (critical, "invalid token: unsupported header parameter (crit or b64)"),
    ] {
        assert_eq!(cause(&right, &header, NOW).await.as_deref(), Some(cause_logged));
        assert!(AUTHENTICATION_DOC.contains(&format!("`{cause_logged}`")), "{cause_logged}");
    }
}

#[tokio::test]
async fn a_credential_that_the_client_did_not_set_is_called_what_it_is() {
    let jwt = "[[caller]]\nname = 'app'\nkind = 'jwt'\nissuer = 'https://i'\naudience = 'a'\nalgorithms = ['RS256']\n";
    let api_key = "[[caller]]\nname = 'backend'\nkind = 'api-key'\n";
    let anyone = "[[caller]]\nname = 'anyone'\nkind = 'anonymous'\n";
    let mut sent = vec![("authorization", "Bearer ".to_owned(), "the credential is empty".to_owned())];
    sent.push(("x-api-key", String::new(), "the credential is empty".to_owned()));
    for text in ["undefined", "null", "[object Object]", "[object Promise]", "None", "nil", "(null)", "NaN"] {
        let cause = format!("the client sent the text {text:?} in place of a credential");
        sent.push(("authorization", format!("Bearer {text}"), cause.clone()));
        sent.push(("authorization", format!("ApiKey {text} "), cause.clone()));
        sent.push(("authorization", text.to_owned(), cause.clone()));
        sent.push(("x-api-key", text.to_owned(), cause));
    }
    for callers in [jwt.to_owned(), api_key.to_owned(), format!("{jwt}{api_key}{anyone}")] {
        let callers = Callers::new(Config::parse(&callers, "x.toml").unwrap().callers);
        for (header, value, cause_logged) in &sent {
            let request = Request::post("/getToken").header(*header, value).body(()).unwrap();
            let keys = crate::support::keys();
            let refused = callers.identify(&request.into_parts().0, &keys, &at(0)).await.unwrap_err();
            assert_eq!(refused.to_string(), *cause_logged, "{header}: {value}");
        }
    }
    for cause in
        ["the credential is empty", "the client sent the text \"undefined\" in place of a credential"]
    {
        assert!(AUTHENTICATION_DOC.contains(&format!("| `{cause}`")), "{cause}");
    }
}

#[tokio::test]
async fn a_token_without_its_scheme_is_a_cause_in_the_document() {
    let config = "[[caller]]\nname = 'app'\nkind = 'jwt'\nissuer = 'https://i'\naudience = 'a'\nalgorithms = ['RS256']\n";
    let api_key = "[[caller]]\nname = 'backend'\nkind = 'api-key'\n";
    for (more, credential, cause_logged) in [
        ("", "eyJh.eyJp.c2ln", "no configured caller accepts this credential type"),
        ("", "Bearer opaque", "no configured caller accepts this credential type"),
        (api_key, "Bearer opaque", "unknown or expired API key"),
    ] {
        let callers = Callers::new(Config::parse(&format!("{config}{more}"), "x.toml").unwrap().callers);
        let request = Request::post("/getToken").header("authorization", credential).body(()).unwrap();
        let keys = crate::support::keys();
        let refused = callers.identify(&request.into_parts().0, &keys, &at(0)).await.unwrap_err();
        assert_eq!(refused.to_string(), cause_logged, "{credential}");
        let row =
            AUTHENTICATION_DOC.lines().find(|line| line.contains(&format!("| `{cause_logged}` |"))).unwrap();
        assert!(row.contains("opaque token"), "{row}");
        assert!(credential.starts_with("Bearer") || row.contains("a token without `Bearer `"), "{row}");
    }
}

/// As the document has it, with two callers of one issuer.
#[tokio::test]
async fn a_shared_secret_is_changed_without_a_refusal() {
    const NOW: u64 = 1_800_000_000;
    let stanza = AUTHENTICATION_DOC.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let stanza = stanza.into_iter().find(|stanza| stanza.contains("LOGIN_SECRET_2")).unwrap();
    let config = Config::parse(stanza, "docs/authentication.md").unwrap();
    let callers = Callers::new(config.callers.clone());
    let (old, new) = ("the old secret, of 32 bytes or more", "the new secret, of 32 bytes or more");
    let claims = json!({"iss": "https://login.example.com/", "aud": "calls", "sub": "ada", "exp": NOW + 600});
    let identified = async |secret: &str, stored: &Value| {
        let key = EncodingKey::from_secret(secret.as_bytes());
        let token = encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
        let request =
            Request::post("/getToken").header("authorization", format!("Bearer {token}")).body(()).unwrap();
        let caller = callers.identify(&request.into_parts().0, &keys_with(&config, stored), &at(NOW)).await;
        caller.map(|caller| caller.name).map_err(|error| error.to_string())
    };
    let both = json!({"LOGIN_SECRET": old, "LOGIN_SECRET_2": new});
    assert_eq!(identified(old, &both).await, Ok("app".into()));
    assert_eq!(identified(new, &both).await, Ok("app-2".into()));
    assert!(identified("another secret, of 32 bytes or more", &both).await.is_err());
    let one = json!({"LOGIN_SECRET": old});
    assert!(identified(new, &one).await.unwrap_err().contains("LOGIN_SECRET_2 is missing"));
}

/// Why such a token doesn't authenticate the document's caller with a shared secret, if it doesn't.
async fn cause(claims: &Value, header: &Header, now: u64) -> Option<String> {
    let stanza = SUPABASE_DOC.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let stanza = stanza.into_iter().find(|stanza| stanza.contains("SUPABASE_JWT_SECRET")).unwrap();
    let config = Config::parse(stanza, "docs/providers/supabase.md").unwrap();
    let callers = Callers::new(config.callers.clone());
    let shared = "a secret that an issuer and the endpoint share";
    let keys = keys_with(&config, &json!({"SUPABASE_JWT_SECRET": shared}));
    let token = encode(header, claims, &EncodingKey::from_secret(shared.as_bytes())).unwrap();
    let request =
        Request::post("/getToken").header("authorization", format!("Bearer {token}")).body(()).unwrap();
    callers.identify(&request.into_parts().0, &keys, &at(now)).await.err().map(|error| error.to_string())
}

/// A person whom the issuer of these policies has signed in.
fn signed_in(subject: &str, claims: &Value) -> Caller {
    let mut claims: Map<String, Value> = claims.as_object().unwrap().clone();
    claims.insert("sub".into(), subject.into());
    Caller {
        issuer: Some("https://login.example.com/".into()),
        subject: Some(subject.into()),
        claims,
        ..Caller::anonymous("app")
    }
}

/// What a caller gets for a request's body, in one line: the rule, the room, who they are there, for how long, and the
/// grants that are written; or else the refusal's code.
fn outcome_of(policy: &str, caller: &Caller, request: &Value) -> String {
    let pass = match decide(policy, caller, request) {
        Ok(pass) => pass,
        Err(denial) => return Refusal::from(denial).code().to_owned(),
    };
    let Pass { rule, identity, ttl, .. } = &pass;
    let RoomPass { room, name, grants, room_config, .. } = pass.room().unwrap();
    let name = name.as_ref().map_or_else(String::new, |name| format!(" named {}", name.as_str()));
    let agents: Vec<_> = room_config.iter().flat_map(RoomConfig::agents).map(|agent| agent.name).collect();
    let agents = if agents.is_empty() { String::new() } else { format!(" with {}", agents.join(", ")) };
    let grants = serde_json::to_value(grants).unwrap();
    format!("{rule}: {} as {}{name}{agents} for {ttl} {grants}", room.as_str(), identity.as_str())
}

fn decide(policy: &str, caller: &Caller, request: &Value) -> Result<Pass, Denial> {
    let Config { policy, limits, .. } = Config::parse(policy, "policy.toml").unwrap();
    let request = standard::parse(request.to_string().as_bytes(), &limits).unwrap();
    policy.decide(caller, request.into(), &at(0)).outcome
}

fn at(now: u64) -> Context {
    Context { now, randomness: |bytes| bytes.fill(7) }
}
