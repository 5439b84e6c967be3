use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::caller::WrittenCaller;

fn first_mistake(rules: &[Rule], callers: &[CallerConfig]) -> Option<(usize, InvalidRule)> {
    mistakes(rules, callers, None).next()
}

#[derive(serde::Deserialize)]
struct File {
    caller: Vec<WrittenCaller>,
    rule: Vec<Rule>,
}

/// Two issuers, one a prefix of the other, and one rule for each, with an identity or without one.
fn file(first: &str, second: &str) -> (Vec<CallerConfig>, Vec<Rule>) {
    let caller = |name: &str, issuer: &str| {
        format!(
            "[[caller]]\nname = {name:?}\nkind = \"jwt\"\nissuer = {issuer:?}\naudience = \"a\"\nalgorithms = [\"RS256\"]\njwks_url = \"https://keys.example\"\n"
        )
    };
    let rule = |name: &str, identity: &str| {
        let identity = if identity == UNSET { String::new() } else { format!("identity = {identity:?}\n") };
        format!("[[rule]]\nname = {name:?}\ncallers = [{name:?}]\nrooms = [\"*\"]\n{identity}")
    };
    let text =
        caller("one", ISSUERS[0]) + &caller("two", ISSUERS[1]) + &rule("one", first) + &rule("two", second);
    let File { caller, rule } = toml::from_str(&text).unwrap();
    (caller.into_iter().map(|written| written.try_into().unwrap()).collect(), rule)
}

const ISSUERS: [&str; 2] = ["https://login.example", "https://login.example|ada"];
const UNSET: &str = "";
const IDENTITIES: [&str; 13] = [
    UNSET,
    "user-{random}",
    "user-{sub}",
    "{sub}",
    "{claims.name}",
    "one:{sub}",
    "two:{sub}",
    "on{sub}",
    "{iss}|{sub}",
    "{iss}#{sub}",
    "{sub}|{iss}",
    "{sub}-{random}",
    "{claims.name}|{sub}",
];

fn hostile_text() -> impl Strategy<Value = String> {
    let parts = vec![
        "user-",
        "77777777777777777777",
        "ada",
        "one:",
        "two:",
        "e:",
        "|",
        "#",
        ":",
        "https://login.example",
        "*",
    ];
    prop::collection::vec(prop::sample::select(parts), 1..4).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8_000))]

    /// Hostile subjects, with any two rules that have no mistake.
    #[test]
    fn two_callers_of_two_issuers_never_get_the_same_identity(
        first in prop::sample::select(&IDENTITIES[..]), second in prop::sample::select(&IDENTITIES[..]),
        subjects in (hostile_text(), hostile_text()), names in (hostile_text(), hostile_text()),
    ) {
        let (caller, rule) = file(first, second);
        if first_mistake(&rule, &caller).is_some() {
            return Ok(());
        }
        let identity = |rule: &Rule, issuer: &str, subject: &str, name: &str| {
            let claims = json!({ "name": name });
            let caller = Caller {
                issuer: Some(issuer.into()),
                subject: Some(subject.into()),
                claims: claims.as_object().unwrap().clone(),
                ..Caller::anonymous("sample")
            };
            rule.identity.fill(&caller, |bytes| bytes.fill(7)).ok()
        };
        let both_random = [first, second].map(|identity| identity == UNSET || identity.contains("{random}"));
        let one = identity(&rule[0], ISSUERS[0], &subjects.0, &names.0);
        let two = identity(&rule[1], ISSUERS[1], &subjects.1, &names.1);
        prop_assert!(one.is_none() || one != two || both_random == [true, true], "{:?}", one);
    }
}

#[test]
fn the_default_identity_is_checked_like_a_written_one() {
    for other in IDENTITIES {
        let check = |first: &str, second: &str| {
            let (callers, rules) = file(first, second);
            (first_mistake(&rules, &callers), identities::notes(&rules, &callers))
        };
        assert_eq!(check(UNSET, other), check("user-{random}", other), "before {other:?}");
        assert_eq!(check(other, UNSET), check(other, "user-{random}"), "after {other:?}");
    }
    let (callers, rules) = file("{sub}", UNSET);
    let problem = first_mistake(&rules, &callers).unwrap().1.problem;
    assert!(problem.contains("the same identity, with rule \"one\": "), "{problem}");
}

#[test]
fn an_identity_with_the_issuer_differs_from_those_of_other_callers() {
    for other in [UNSET, "guest-{random}", "host:{sub}"] {
        let (callers, rules) = file("{iss}|{sub}", other);
        assert_eq!(first_mistake(&rules, &callers), None, "{other}");
    }
}

#[test]
fn rules_that_could_give_two_people_of_one_issuer_the_same_identity_are_noted() {
    let noted = |first: &str, second: &str| {
        let (callers, mut rules) = file(first, second);
        rules[1].callers = vec!["one".into()];
        rules[0].rooms = vec![RoomPattern::try_from("lobby".to_owned()).unwrap()];
        assert_eq!(first_mistake(&rules, &callers), None, "{first} {second}");
        identities::notes(&rules, &callers)
    };
    for (first, second) in [
        ("{sub}", "{sub}"),
        ("host:{sub}", "guest:{sub}"),
        ("host:{sub}", "host:{sub}"),
        ("host:{sub}", UNSET),
        ("{iss}|{sub}", "{iss}|{sub}"),
        (UNSET, UNSET),
        ("{random}", "user-{random}"),
    ] {
        assert_eq!(noted(first, second), [""; 0], "{first} {second}");
    }
    for (first, second) in [
        ("host:{sub}", "{sub}"),
        ("{sub}", "host:{sub}"),
        ("host:{sub}", "ho{sub}"),
        ("{sub}", UNSET),
        ("{sub}", "{sub}-{random}"),
        ("{sub}", "{iss}|{sub}"),
        ("{sub}", "kiosk"),
    ] {
        let [note] = &noted(first, second)[..] else { panic!("{first} {second}") };
        assert!(
            note.contains(
                "rules \"one\" and \"two\" could give two people of caller \"one\" the same identity"
            ),
            "{note}"
        );
    }
    for identity in
        ["{claims.name}", "host:{claims.name}", "{claims.name}|{claims.email}", "{iss}|{claims.name}"]
    {
        let first = &noted(identity, "guest:{sub}")[0];
        assert!(
            first.contains("without {sub}: two people with equal claims get the same identity"),
            "{first}"
        );
    }
}

/// The first mistake of a file with one token caller, one API-key caller and this rule for the first.
fn mistake_of(rule: &str) -> Option<InvalidRule> {
    let text = format!(
        "[[caller]]\nname = 'one'\nkind = 'jwt'\nissuer = 'https://login.example'\naudience = 'a'\nalgorithms = ['RS256']\n\
         [[caller]]\nname = 'keys'\nkind = 'api-key'\n[[rule]]\nname = 'r'\n{rule}"
    );
    let File { caller, rule } = toml::from_str(&text).unwrap();
    let callers: Vec<_> = caller.into_iter().map(|written| written.try_into().unwrap()).collect();
    first_mistake(&rule, &callers).map(|(_, mistake)| mistake)
}

#[test]
fn alternatives_and_lists_are_mistakes_where_people_or_rooms_are_told_apart() {
    for (rule, key, problem) in [
        ("rooms = ['*']\nidentity = \"{claims.a | sub}\"", "identity", "has alternatives (|) in identity"),
        ("rooms = ['*']\nidentity = \"{claims.a | 'x'}\"", "identity", "has alternatives (|) in identity"),
        (
            "rooms = ['*']\ndefault_room = \"{claims.a | 'x'}\"",
            "default_room",
            "has alternatives (|) in default_room",
        ),
        (
            "rooms = ['*']\nidentity = '{claims.a[]}'",
            "identity",
            "has the list {claims.a[]} in identity: only rooms",
        ),
        ("rooms = ['*']\nparticipant_name = '{claims.a[]}'", "participant_name", "has the list {claims.a[]}"),
        ("rooms = ['*']\nparticipant_metadata = '{claims.a[]}'", "participant_metadata", "has the list"),
        (
            "rooms = ['*']\nparticipant_attributes.x = '{claims.a[]}'",
            "participant_attributes",
            "has the list",
        ),
        (
            "rooms = ['x:{claims.a[]}']\ndefault_room = 'y:{claims.a[]}'",
            "default_room",
            "does not match rooms",
        ),
    ] {
        let mistake = mistake_of(&format!("callers = ['one']\n{rule}")).unwrap();
        assert_eq!(mistake.key, key, "{rule}");
        assert!(mistake.problem.contains(problem), "{}", mistake.problem);
    }
    for rule in [
        "rooms = ['x:{claims.a[]}:*']\ndefault_room = 'x:{claims.a[]}:y'",
        "rooms = ['*']\nparticipant_name = \"{claims.a | 'x'}\"",
        "rooms = ['*']\nparticipant_metadata = '{claims.a | sub}'\nparticipant_attributes.x = \"{claims.a | ''}\"",
    ] {
        assert_eq!(mistake_of(&format!("callers = ['one']\n{rule}")), None, "{rule}");
    }
}

#[test]
fn alternatives_that_a_caller_never_has_are_a_mistake_unless_one_is_text() {
    let of_keys =
        |name: &str| mistake_of(&format!("callers = ['keys']\nrooms = ['*']\nparticipant_name = \"{name}\""));
    assert_eq!(of_keys("{claims.name | 'Guest'}"), None);
    assert_eq!(of_keys("{claims.name | sub}"), None);
    let problem = of_keys("{claims.name | iss}").unwrap().problem;
    assert!(problem.contains("uses {claims.name | iss}, which caller \"keys\" never has"), "{problem}");
}

#[test]
fn a_rule_whose_texts_can_always_be_filled_makes_a_later_rule_unreachable() {
    let rules = |name: &str| {
        let rule = |rule: &str, more: &str| {
            format!("name = '{rule}'\ncallers = ['one']\nrooms = ['*']\nidentity = '{{sub}}'\n{more}\n")
        };
        let first = rule("first", &format!("participant_name = \"{name}\""));
        let text = first.replacen("name = 'first'\n", "", 1) + "[[rule]]\n" + &rule("second", "");
        mistake_of(&text).map(|mistake| mistake.problem)
    };
    let problem = rules("{claims.name | 'Guest'}").unwrap();
    assert!(problem.contains("rule \"second\" is unreachable"), "{problem}");
    assert_eq!(rules("{claims.name | claims.email}"), None);
}

#[test]
fn a_condition_on_any_of_several_covers_a_narrower_one() {
    let unreachable_on = |claim: &str, first: &str, second: &str| {
        let text = format!(
            "callers = ['one']\nrooms = ['*']\nwhen = {{ 'claims.{claim}' = {first} }}\n[[rule]]\nname = 's'\ncallers = ['one']\n\
             rooms = ['*']\nwhen = {{ 'claims.{claim}' = {second} }}"
        );
        mistake_of(&text).is_some()
    };
    let (admin, both) = ("{ contains = 'admin' }", "{ contains_any = ['teacher', 'admin'] }");
    let unreachable = |first, second| {
        let found = unreachable_on("roles", first, second);
        assert_eq!(unreachable_on("scope", first, second), found, "the same for words");
        found
    };
    assert!(unreachable(both, admin) && unreachable(both, both));
    assert!(!unreachable(admin, both) && !unreachable(admin, "{ contains = 'teacher' }"));
}
