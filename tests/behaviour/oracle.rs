//! Whatever the caller and the request, the token keeps to the rule, as an oracle of a few lines reads it.

use proptest::prelude::*;
use roompass::auth::Caller;
use roompass::config::Config;
use roompass::dialect::standard;
use roompass::domain::{Ask, Context, Limits, RoomAsk, Ttl};
use roompass::policy::Policy;
use serde_json::{Value, json};

/// A rule, as its author thinks of it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "a rule has as many switches")]
struct Thought {
    callers: Vec<&'static str>,
    hosts_only: bool,
    rooms: Vec<&'static str>,
    identity: Option<&'static str>,
    may_set: Vec<&'static str>,
    agents: Vec<&'static str>,
    egress: bool,
    ttl: u64,
    max_ttl: u64,
    within_credential: bool,
    room_admin: bool,
}

/// A request's fields.
#[derive(Debug, Clone)]
struct Wish {
    room: Option<&'static str>,
    identity: Option<&'static str>,
    name: Option<&'static str>,
    agent: Option<&'static str>,
    egress: bool,
    ttl: Option<u64>,
}

#[derive(Debug, PartialEq)]
struct Given {
    rule: String,
    room: String,
    identity: String,
    name: Option<String>,
    room_admin: bool,
    ttl: u64,
}

impl Thought {
    fn written(&self, position: usize) -> String {
        let identity = self.identity.map(|identity| format!("identity = {identity:?}\n")).unwrap_or_default();
        let when = if self.hosts_only { "when = { \"claims.role\" = \"host\" }\n" } else { "" };
        let egress =
            if self.egress { "egress = [{ kind = \"room\", client_may_set = [\"layout\"] }]\n" } else { "" };
        format!(
            "[[rule]]\nname = \"{position}\"\ncallers = {:?}\nrooms = {:?}\nclient_may_set = {:?}\nagents = {:?}\n\
             ttl = \"{}s\"\nmax_ttl = \"{}s\"\nwithin_credential = {}\n{identity}{when}{egress}grants.room_admin = {}\n",
            self.callers,
            self.rooms,
            self.may_set,
            self.agents,
            self.ttl,
            self.max_ttl,
            self.within_credential,
            self.room_admin
        )
    }

    fn is_for(&self, caller: &Caller) -> bool {
        let role = caller.claims.get("role").and_then(Value::as_str);
        self.callers.contains(&caller.name.as_str()) && (!self.hosts_only || role == Some("host"))
    }

    /// Whether it's for this caller, and for no room.
    fn refuses(&self, caller: &Caller) -> bool {
        self.is_for(caller) && self.rooms.is_empty()
    }

    /// The identity it gives, if it's for this caller and this room.
    fn applies(&self, caller: &Caller, room: &str) -> Option<String> {
        let (sub, team) = (caller.subject.clone().filter(|sub| !sub.is_empty()), team(caller));
        let own = team.clone().filter(|team| !team.contains(':'));
        let opens = |pattern: &&str| match *pattern {
            "*" => true,
            "lobby" => room == "lobby",
            "hall-*" => room.starts_with("hall-"),
            "{sub}" => sub.as_deref() == Some(room),
            "{claims.team}:*" => own.as_ref().is_some_and(|team| room.starts_with(&format!("{team}:"))),
            "{claims.team}:{sub}" => {
                own.as_ref().zip(sub.as_ref()).is_some_and(|(team, sub)| room == format!("{team}:{sub}"))
            }
            other => panic!("{other}"),
        };
        let identity = match self.identity {
            None => Some("user-77777777777777777777".to_owned()),
            Some("{sub}") => sub.clone(),
            Some("{claims.team}/{sub}") => team
                .filter(|team| !team.contains('/'))
                .zip(sub.clone())
                .map(|(team, sub)| format!("{team}/{sub}")),
            Some("{iss}|{sub}") => caller
                .issuer
                .clone()
                .filter(|iss| !iss.contains('|'))
                .zip(sub.clone())
                .map(|(iss, sub)| format!("{iss}|{sub}")),
            Some(other) => panic!("{other}"),
        };
        identity.filter(|_| self.is_for(caller) && self.rooms.iter().any(opens))
    }

    fn gives(
        &self,
        position: usize,
        identity: String,
        caller: &Caller,
        wish: &Wish,
        room: &str,
        now: u64,
    ) -> Option<Given> {
        let sets = |field: &str, asked: bool| !asked || self.may_set.contains(&field);
        let allowed = sets("participant_identity", wish.identity.is_some_and(|asked| asked != identity))
            && sets("participant_name", wish.name.is_some())
            && wish.agent.is_none_or(|agent| self.agents.contains(&agent) || self.agents.contains(&"*"))
            && (!wish.egress || self.egress)
            && wish.ttl.is_none_or(|ttl| ttl <= self.max_ttl);
        let ttl = wish.ttl.unwrap_or(self.ttl);
        let left = caller.expires.map_or(u64::MAX, |expires| expires.saturating_sub(now));
        let lasts = !self.within_credential || left > 0;
        (allowed && lasts).then(|| Given {
            rule: position.to_string(),
            room: room.to_owned(),
            identity: wish.identity.map_or(identity, str::to_owned),
            name: wish.name.map(str::to_owned),
            room_admin: self.room_admin,
            ttl: if self.within_credential { ttl.min(left) } else { ttl },
        })
    }
}

/// Text that isn't empty, or a whole number.
fn team(caller: &Caller) -> Option<String> {
    match caller.claims.get("team")? {
        Value::String(team) => Some(team.clone()).filter(|team| !team.is_empty()),
        Value::Number(team) if !team.is_f64() => Some(team.to_string()),
        _ => None,
    }
}

fn some_of(from: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(from, 0..=from.len())
}

fn one_of(from: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(from)
}

fn thought() -> impl Strategy<Value = Thought> {
    let who = (
        some_of(&["app", "batch"]),
        any::<bool>(),
        prop::option::of(one_of(&["{sub}", "{claims.team}/{sub}", "{iss}|{sub}"])),
    );
    let what = (
        some_of(&["*", "lobby", "hall-*", "{sub}", "{claims.team}:*", "{claims.team}:{sub}"]),
        some_of(&["participant_identity", "participant_name"]),
        some_of(&["notetaker", "*"]),
        any::<bool>(),
    );
    let how = (1_u64..1_000, 0_u64..1_000, any::<bool>(), any::<bool>());
    (who, what, how).prop_map(
        |(
            (callers, hosts_only, identity),
            (rooms, may_set, agents, egress),
            (ttl, more, within_credential, room_admin),
        )| {
            Thought {
                callers,
                hosts_only,
                rooms,
                identity,
                may_set,
                agents,
                egress,
                ttl,
                max_ttl: ttl + more,
                within_credential,
                room_admin,
            }
        },
    )
}

/// Texts that try: separators, stars, placeholders, prefixes and names of others.
fn odd_text() -> impl Strategy<Value = String> {
    let part = one_of(&["", "a", "b", "ada", ":", "/", "|", "*", "{sub}", "hall-", "lobby", "7"]);
    prop::collection::vec(part, 0..3).prop_map(|parts| parts.concat())
}

fn odd_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => odd_text().prop_map(Value::from),
        2 => Just(json!("host")),
        1 => prop::sample::select(vec![json!(7), json!(-1), json!(7.5), json!(true), json!(null), json!(["a"]), json!({"a": "b"})]),
    ]
}

fn any_caller() -> impl Strategy<Value = Caller> {
    let claims = (prop::option::of(odd_value()), prop::option::of(odd_value()));
    let authenticated = (
        prop::option::of(odd_text().prop_filter("an issuer is never empty", |issuer| !issuer.is_empty())),
        prop::option::of(odd_text()),
        prop::option::of(0_u64..3_000),
    );
    (one_of(&["app", "batch", "other"]), authenticated, claims).prop_map(
        |(name, (issuer, subject, expires), (team, role))| {
            let claims = [("team", team), ("role", role)];
            let claims =
                claims.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
            Caller { issuer, subject, claims, expires, ..Caller::anonymous(name) }
        },
    )
}

fn wish() -> impl Strategy<Value = Wish> {
    let rooms: &[&str] = &[
        "lobby", "lobby2", "hall-1", "hall-", "a:x", "b:x", "a:b:x", ":x", "*:x", "ada", "a:ada", "7:x", "*",
        "{sub}:x",
    ];
    let named = (
        prop::option::of(one_of(rooms)),
        prop::option::weighted(0.2, one_of(&["eve", "ada"])),
        prop::option::weighted(0.2, one_of(&["Eve"])),
    );
    let more = (
        prop::option::weighted(0.2, one_of(&["notetaker", "another"])),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.3, 1_u64..2_000),
    );
    (named, more).prop_map(|((room, identity, name), (agent, egress, ttl))| Wish {
        room,
        identity,
        name,
        agent,
        egress,
        ttl,
    })
}

fn asked(wish: &Wish) -> Ask {
    let agents = wish.agent.map(|agent| json!([{ "agent_name": agent }]));
    let egress = wish.egress.then(|| json!({"room": {"layout": "grid"}}));
    let body = json!({
        "room_name": wish.room, "participant_identity": wish.identity, "participant_name": wish.name,
        "room_config": {"agents": agents, "egress": egress},
    });
    let ttl = wish.ttl.map(|seconds| Ttl::seconds(seconds).unwrap());
    RoomAsk {
        ttl,
        has_own_ttl: true,
        ..standard::parse(body.to_string().as_bytes(), &Limits::default()).unwrap()
    }
    .into()
}

/// Two callers of one issuer, so that the rules may give both the same identities.
const CALLERS: &str = r#"
    caller = [
        { name = "app", kind = "jwt", issuer = "https://i.example", audience = "app", algorithms = ["RS256"] },
        { name = "batch", kind = "jwt", issuer = "https://i.example", audience = "batch", algorithms = ["RS256"] },
    ]
"#;

/// The policy of these rules, without those that the check refuses.
fn checked(thoughts: Vec<Thought>) -> (Vec<Thought>, Policy) {
    let policy = |thoughts: &[Thought]| {
        let rules = thoughts.iter().enumerate().map(|(position, thought)| thought.written(position));
        Config::parse(&(CALLERS.to_owned() + &rules.collect::<String>()), "x.toml")
            .map(|config| config.policy)
    };
    let mut kept = Vec::new();
    for thought in thoughts {
        kept.push(thought);
        if policy(&kept).is_err() {
            kept.pop();
        }
    }
    let policy = policy(&kept).unwrap();
    (kept, policy)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_caller_gets_a_room_an_identity_a_grant_or_a_lifetime_beyond_its_rule(
        thoughts in prop::collection::vec(thought(), 1..4), caller in any_caller(), wish in wish(),
    ) {
        let now = 1_000;
        let (thoughts, policy) = checked(thoughts);
        let context = Context { now, randomness: |bytes| bytes.fill(7) };
        let decided = policy.decide(&caller, asked(&wish), &context).outcome.ok().map(|pass| {
            let room = pass.room().unwrap();
            Given {
                rule: pass.rule.clone(),
                room: room.room.as_str().to_owned(),
                identity: pass.identity.as_str().to_owned(),
                name: room.name.as_ref().map(|name| name.as_str().to_owned()),
                room_admin: room.grants.room_admin,
                ttl: pass.ttl.duration().as_secs(),
            }
        });
        let room = wish.room.unwrap_or("room-77777777777777777777");
        let first = thoughts.iter().enumerate().find_map(|(position, thought)| {
            let applies = || thought.applies(&caller, room).map(Some);
            let identity = if thought.refuses(&caller) { Some(None) } else { applies() };
            identity.map(|identity| (position, thought, identity))
        });
        let expected = first.and_then(|(position, thought, identity)| thought.gives(position, identity?, &caller, &wish, room, now));
        prop_assert_eq!(decided, expected);
    }
}
