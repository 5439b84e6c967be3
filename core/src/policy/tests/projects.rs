use serde_json::{Value, json};

use crate::caller::Caller;
use crate::config::Config;
use crate::domain::{Ask, Context, Identity, Limits, LoginAsk, LoginService, Project, RoomAsk, Ttl};
use crate::policy::{Decision, Policy, Skipped, one_project};

const CALLER: &str = r#"
    [[caller]]
    name = "app"
    kind = "jwt"
    issuer = "https://login.example"
    audience = "a"
    algorithms = ["RS256"]

    [[caller]]
    name = "anyone"
    kind = "anonymous"
"#;

fn parsed(rules: &str) -> Result<Policy, String> {
    let config = Config::parse(&format!("{CALLER}\n{rules}"), "x.toml");
    config.map(|config| config.policy).map_err(|error| error.to_string())
}

fn rule(settings: &str) -> String {
    format!(
        "[[rule]]\nname = \"r\"\ncallers = [\"app\"]\nrooms = [\"*\"]\nagora_logins = [\"rtm\"]\n{settings}"
    )
}

fn caller(claims: &Value) -> Caller {
    let claims = claims.as_object().unwrap().clone();
    Caller { claims, subject: Some("ada".into()), ..Caller::anonymous("app") }
}

fn decide<'a>(policy: &'a Policy, claims: &Value, ask: impl Into<Ask>) -> Decision<'a> {
    let context = Context { now: 0, randomness: |bytes| bytes.fill(7) };
    policy.decide(&caller(claims), ask.into(), &context)
}

fn login() -> Ask {
    let identity = Identity::parse("user-77777777777777777777", &Limits::default()).unwrap();
    Ask::Login(LoginAsk { service: LoginService::Rtm, identity, ttl: None, default_ttl: Ttl::DEFAULT })
}

/// The project of the token, or why the rule is skipped. Checks that it's the same for a room and for a login.
fn project(policy: &Policy, claims: &Value) -> Result<String, String> {
    let [of_room, of_login] = [RoomAsk::default().into(), login()].map(|ask| {
        let decision = decide(policy, claims, ask);
        match decision.outcome {
            Ok(pass) => Ok(pass.project.to_string()),
            Err(_) => Err(decision.skipped[0].1.to_string()),
        }
    });
    assert_eq!(of_room, of_login);
    of_room
}

#[test]
fn a_rule_is_for_one_project_or_for_one_of_a_list_by_the_callers_values() {
    let found = |settings: &str, region: Value| {
        project(&parsed(&rule(settings)).unwrap(), &json!({ "region": region }))
    };
    let by_claim = "project = '{claims.region}'\nprojects = ['eu', 'us', 'default']";
    let in_text = "project = '{claims.region}-1'\nprojects = ['eu-1']";
    for (settings, region, expected) in [
        ("", "us", "default"),
        ("project = 'eu'", "us", "eu"),
        ("project = 'eu'\nprojects = ['eu', 'us']", "us", "eu"),
        ("project = 'default'", "us", "default"),
        (by_claim, "eu", "eu"),
        (by_claim, "us", "us"),
        (by_claim, "default", "default"),
        (in_text, "eu", "eu-1"),
    ] {
        assert_eq!(found(settings, json!(region)), Ok(expected.to_owned()), "{settings} {region}");
    }
    for (settings, region, why) in [
        (by_claim, json!("EU"), "project \"EU\" is not in projects"),
        (by_claim, json!("eu "), "project \"eu \" is not in projects"),
        (by_claim, json!("*"), "project \"*\" is not in projects"),
        (by_claim, json!("asia"), "project \"asia\" is not in projects"),
        (in_text, json!("us"), "project \"us-1\" is not in projects"),
        (by_claim, json!(null), "the caller has no {claims.region}"),
        (by_claim, json!(""), "the caller has no {claims.region}"),
        (by_claim, json!(["eu"]), "the caller's {claims.region} is a list"),
    ] {
        let found = found(settings, region.clone()).unwrap_err();
        assert!(found.starts_with(why), "{settings} {region}: {found}");
    }
}

#[test]
fn a_caller_of_another_project_gets_the_next_rule() {
    let own = rule("project = '{claims.region}'\nprojects = ['eu']");
    let policy = parsed(&format!("{own}\n{}", rule("project = 'us'").replace("\"r\"", "\"rest\""))).unwrap();
    assert_eq!(project(&policy, &json!({"region": "eu"})), Ok("eu".into()));
    let decision = decide(&policy, &json!({"region": "asia"}), RoomAsk::default());
    let pass = decision.outcome.unwrap();
    assert_eq!((pass.rule.as_str(), pass.project.as_str()), ("rest", "us"));
    assert_eq!(decision.skipped, [("r", Skipped::OtherProject("asia".into()))]);
}

#[test]
fn a_rule_behind_one_for_fewer_projects_is_reachable() {
    let of = |name: &str, settings: &str| rule(settings).replace("\"r\"", &format!("{name:?}"));
    let by_claim = |list: &str| format!("project = '{{claims.region}}'\nprojects = {list}");
    for (first, second, is_reachable) in [
        (by_claim("['eu']"), by_claim("['eu', 'us']"), true),
        (by_claim("['eu']"), by_claim("['us']"), true),
        (by_claim("['eu', 'us']"), by_claim("['us']"), false),
        (by_claim("['eu']"), "project = 'eu'".to_owned(), true),
        ("project = 'eu'".to_owned(), by_claim("['us']"), false),
        ("project = 'eu'\nprojects = ['eu']".to_owned(), by_claim("['us']"), false),
        ("project = 'eu'".to_owned(), "project = 'us'".to_owned(), false),
        (String::new(), "project = 'us'".to_owned(), false),
    ] {
        let found = parsed(&(of("first", &first) + "\n" + &of("second", &second)));
        assert_eq!(found.is_ok(), is_reachable, "{first} {second}: {found:?}");
        let unreachable =
            "rule \"second\" is unreachable: the earlier rule \"first\" matches all of its requests";
        assert!(found.err().is_none_or(|problem| problem.contains(unreachable)));
    }
}

#[test]
fn a_project_that_could_be_any_is_a_mistake_with_what_would_be_right() {
    let name = "which is not valid: a project's name has 1 to 64 letters (a to z, A to Z), digits, -, _ and ., with a letter or digit first";
    for (settings, place, problem) in [
        ("project = 'e u'", "6:1", &*format!("has project = \"e u\", {name}")),
        ("project = '*'", "6:1", &*format!("has project = \"*\", {name}")),
        (
            "project = '{claims.region}'",
            "6:1",
            "has project = \"{claims.region}\": list the projects that it may be in projects, such as projects = [\"eu\"]",
        ),
        (
            "project = '{random}'\nprojects = ['eu']",
            "6:1",
            "has project = \"{random}\": {random} is not the name of a project",
        ),
        (
            "project = \"{claims.region | 'eu'}\"\nprojects = ['eu']",
            "6:1",
            "has alternatives (|) in project, which could send a caller to the project of another: use one value",
        ),
        (
            "project = '{claims.regions[]}'\nprojects = ['eu']",
            "6:1",
            "has the list {claims.regions[]} in project: only rooms and default_room may have lists",
        ),
        ("project = 'eu'\nprojects = ['us']", "6:1", "has project = \"eu\", which projects does not list"),
        (
            "projects = ['eu']",
            "6:1",
            "has projects, but no project: add project, such as project = \"{claims.region}\"",
        ),
        (
            "project = 'x-{claims.region}'\nprojects = ['x-eu', 'us']",
            "7:1",
            "lists us in projects, which project = \"x-{claims.region}\" never is",
        ),
        (
            "project = '{claims.region}-1'\nprojects = ['eu-1', 'eu-2']",
            "7:1",
            "lists eu-2 in projects, which project = \"{claims.region}-1\" never is",
        ),
        ("project = 'eu'\nprojects = ['eu', 'us', 'eu']", "7:1", "lists eu twice in projects"),
    ] {
        let found = Config::parse(&format!("{}\n{}", rule(settings), CALLER.trim_start()), "x.toml");
        let found = found.unwrap_err().to_string();
        assert!(found.starts_with(&format!("x.toml:{place}: rule \"r\" {problem}")), "{settings}: {found}");
    }
    let found = parsed(&rule("projects = ['eu', 'u s']\nproject = '{sub}'")).unwrap_err();
    assert!(found.contains(": a project's name has 1 to 64 letters"), "{found}");
    let found =
        parsed(&rule("project = '{claims.region}'\nprojects = ['eu']").replace("\"app\"", "\"anyone\""));
    assert!(found.unwrap_err().contains("uses {claims.region}, which caller \"anyone\" never has"));
}

#[test]
fn a_rule_of_another_project_is_skipped_for_that_reason_whatever_the_room() {
    let rooms = rule("project = '{claims.region}'\nprojects = ['eu']").replace("[\"*\"]", "[\"lobby\"]");
    let policy = parsed(&rooms).unwrap();
    let decision = decide(&policy, &json!({"region": "us"}), RoomAsk::default());
    assert_eq!(decision.skipped, [("r", Skipped::OtherProject("us".into()))]);
    let decision = decide(&policy, &json!({"region": "eu"}), RoomAsk::default());
    assert_eq!(decision.skipped, [("r", Skipped::NoRoom)]);
}

#[test]
fn the_parts_of_one_request_are_of_one_project() {
    let eu = rule("project = 'eu'");
    let policy = parsed(&eu).unwrap();
    let pass = |policy: &Policy| decide(policy, &json!({}), RoomAsk::default()).outcome.unwrap();
    let of_eu = pass(&policy);
    let of_us = pass(&parsed(&rule("project = 'us'")).unwrap());
    assert_eq!(one_project([]), Ok(Project::default()));
    assert_eq!(one_project([&of_eu, &of_eu]), Ok(Project::parse("eu").unwrap()));
    for passes in [[&of_eu, &of_eu, &of_us], [&of_eu, &of_us, &of_us]] {
        assert_eq!(
            one_project(passes).unwrap_err().to_string(),
            "The parts of this request are for different projects: eu of rule \"r\", and us of rule \"r\"."
        );
    }
}

#[test]
fn the_possible_projects_of_a_rule_are_known() {
    let possible = |settings: &str| {
        let projects = parsed(&rule(settings)).unwrap().rules()[0].possible_projects();
        projects.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(possible(""), ["default"]);
    assert_eq!(possible("project = 'eu'\nprojects = ['eu', 'us']"), ["eu"]);
    assert_eq!(possible("project = '{sub}'\nprojects = ['us', 'eu']"), ["us", "eu"]);
}

#[test]
fn the_projects_of_a_policy_are_those_of_its_rules_each_once() {
    let names = |rules: &str| {
        let projects = parsed(rules).unwrap().projects();
        projects.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(names(""), ["default"]);
    let by_claim = rule("project = '{claims.region}'\nprojects = ['us', 'eu']");
    assert_eq!(names(&by_claim), ["eu", "us"]);
    let both = format!("{by_claim}\n{}", rule("project = 'eu'").replace("\"r\"", "\"s\""));
    assert_eq!(names(&both), ["eu", "us"]);
}
