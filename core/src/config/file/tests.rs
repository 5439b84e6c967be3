//! Valid files, and the mistakes of invalid ones.

use super::*;

fn mistake(text: &str) -> String {
    Config::parse(text, "x.toml").unwrap_err().to_string()
}

/// The default file.
const SHIPPED: &str = include_str!("../../../../roompass.toml");
const CALLER: &str = "[[caller]]\nname = \"a\"\nkind = \"anonymous\"\n";

#[test]
fn the_file_compiled_in_is_valid_and_accepts_no_request() {
    let config = Config::parse(SHIPPED, "roompass.toml").unwrap();
    assert!(config.callers.is_empty());
    assert!(config.policy.rules().is_empty());
}

#[test]
fn its_example_is_valid_too() {
    let lines = SHIPPED.lines().filter_map(|line| line.strip_prefix("#:"));
    let example: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let config = Config::parse(&example.join("\n"), "the example").unwrap();
    assert_eq!((config.callers.len(), config.policy.rules().len()), (3, 4));
}

#[test]
fn a_mistake_has_its_file_line_and_column() {
    for (text, message) in [
        (
            "[https]",
            "x.toml:1:2: unknown field `https`, expected one of `http`, `cors`, `keys`, `limits`, `dialects`, `sandbox`, `agora`, `caller`, `deny`, `rule`; did you mean `http`? (in `[https]`)",
        ),
        (
            "[limits]\nmax_room_name_length = 300",
            "x.toml:2:24: must be 32 to 256 bytes (in `max_room_name_length = 300`)",
        ),
        (
            "[limits]\n  max_token_size = \"1k\"",
            "x.toml:2:20: invalid type: string \"1k\", expected a whole number, 0 or more (in `max_token_size = \"1k\"`)",
        ),
        (
            "[cors]\norigins = [\"https://a/\"]",
            "x.toml:2:12: must be \"*\" or scheme://host[:port] without a user name or a path, such as https://app.example.com, or http://localhost:* for any port (in `origins = [\"https://a/\"]`)",
        ),
        (
            "[keys]\nrefresh_after = \"0s\"",
            "x.toml:2:17: must be a whole number of seconds, minutes or hours from \"1s\" to \"24h\", such as \"10m\" (in `refresh_after = \"0s\"`)",
        ),
        (
            "[keys]\nmax_age = \"1m\"",
            "x.toml:1:1: max_age (1m) must not be shorter than refresh_after (5m) (in `[keys]`)",
        ),
        (
            "[[rule]]\nttl = 600\nname = 'a'\ncallers = ['a']\nrooms = ['*']",
            "x.toml:2:7: invalid type: integer `600`, expected a whole number of seconds, minutes or hours from \"1s\" to \"24h\", such as \"10m\" (in `ttl = 600`)",
        ),
        (
            "[http]\nbase_path = \"calls\"",
            "x.toml:2:13: must be empty or like \"/calls\": each part starts with a slash and contains only letters, digits and -._~ (in `base_path = \"calls\"`)",
        ),
        (
            "[[rule]]\nagents = [5]\nname = 'a'\ncallers = ['a']\nrooms = ['*']",
            "x.toml:2:11: invalid type: integer `5`, expected an agent's name, or { name = \"..\", deployments = [..], client_may_set = [..], max = 1 } (in `agents = [5]`)",
        ),
        (
            "[[rule]]\nwhen.sub = []\nname = 'a'\ncallers = ['a']\nrooms = ['*']",
            "x.toml:2:12: invalid type: list, expected a string, a number, true, false, { one_of = [..] }, { contains = .. }, { contains_any = [..] } or { contains_word = \"..\" } (in `when.sub = []`)",
        ),
        (
            "[[caller]]\nname = \"a\"\nkind = \"open\"",
            "x.toml:3:8: unknown variant `open`, expected one of `anonymous`, `api-key`, `gateway`, `jwt` (in `kind = \"open\"`)",
        ),
        ("[[caller]]\nname = \"a\"", "x.toml:1:1: missing field `kind` (in `[[caller]]`)"),
        ("a = = b", "x.toml:1:5: extra `=`, expected nothing"),
    ] {
        assert_eq!(mistake(text), message);
    }
}

#[test]
fn a_mistake_uses_the_names_of_toml_types() {
    let jwt = "[[caller]]\nname = 'a'\nkind = 'jwt'\nissuer = 'https://i'\n";
    let in_a_rule = |line: &str| format!("[[rule]]\n{line}");
    for (text, message) in [
        (
            "cors.origins = '*'".to_owned(),
            "x.toml:1:16: invalid type: string \"*\", expected a list, such as [\"…\"] (in `cors.origins = '*'`)",
        ),
        (in_a_rule("callers = 'a'"), "expected a list, such as [\"…\"] (in"),
        (in_a_rule("when = 'sub'"), "expected a table (in"),
        (in_a_rule("grants = true"), "expected a table (in"),
        (in_a_rule("grants.room_admin = 'yes'"), "expected true or false (in"),
        (in_a_rule("name = { a = 1 }"), "invalid type: table, expected a string, such as \"…\" (in"),
        (in_a_rule("name = []"), "invalid type: list, expected a string, such as \"…\" (in"),
        (in_a_rule("when = { sub = { one_of = [] } }"), "one_of must not be empty (in"),
        ("limits.max_token_size = -1".to_owned(), "expected a whole number, 0 or more (in"),
        (
            "dialects = [5]".to_owned(),
            "x.toml:1:13: invalid type: integer `5`, expected one of `standard`, `sandbox`, `token-server`, `quickstart`, `meet`, `use-token`, `openvidu`, `agora` (in",
        ),
        (
            "[[caller]]\nname = 'a'\nkind = 5".to_owned(),
            "x.toml:3:8: invalid type: integer `5`, expected one of `anonymous`, `api-key`, `gateway`, `jwt` (in",
        ),
        (
            format!("{jwt}audience = 5"),
            "x.toml:5:12: must be a string, or a list of strings (in `audience = 5`)",
        ),
        (
            format!("{jwt}audience = 'a'\nalgorithms = ['RS256', 'ES256', 'RS256']"),
            "x.toml:6:1: caller \"a\": algorithms must not contain duplicates: EdDSA and Ed25519 are the same algorithm (in",
        ),
        (
            format!("{jwt}audience = 'a'\nalgorithms = ['EdDSA', 'Ed25519']"),
            "x.toml:6:1: caller \"a\": algorithms must not contain duplicates: EdDSA and Ed25519 are the same algorithm (in",
        ),
        (
            "[caller]\nname = 'a'".to_owned(),
            "x.toml:1:1: caller must be a list of tables: write [[caller]], with two brackets (in `[caller]`)",
        ),
        (format!("{CALLER}[rule]\nname = 'a'"), "write [[rule]], with two brackets (in `[rule]`)"),
        (
            format!("{CALLER}dialects = ['agora']"),
            "x.toml:4:1: dialects must come before the first table: move it to the beginning of the file (in `dialects = …`)",
        ),
    ] {
        let mistake = mistake(&text);
        assert!(mistake.contains(message), "{mistake}");
    }
}

#[test]
fn no_mistake_shows_a_possible_secret() {
    let jwt = "[[caller]]\nname = 'a'\nkind = 'jwt'\nissuer = 'i'\naudience = 'a'\nalgorithms = ['HS256']\n";
    for (text, expected) in [
        (
            format!("{jwt}secret = 'canary of thirty-two bytes and more'"),
            "x.toml:7:1: caller \"a\": secret must be the name of the shared secret, not the secret itself: \
             up to 128 capital letters, digits and _, such as \"LOGIN_SECRET\" (in `secret = …`)",
        ),
        (format!("{jwt}\"secret\"=\"\"\"\ncanary\"\"\""), "(in `\"secret = …`)"),
        (format!("{jwt}secret = ['canary']"), "(in `secret = …`)"),
        (format!("{jwt}secret = 'canary'").replace("HS256", "RS256"), "(in `secret = …`)"),
        (format!("{CALLER}secret = 'canary'"), "secret is only for kind = \"jwt\" (in `secret = …`)"),
        (
            "caller = [{ name = 'a', kind = 'jwt', secret = 'canary', audience = 5 }]".to_owned(),
            "(in `caller = [{ name = 'a', kind = 'jwt', secret = …`)",
        ),
        (format!("{jwt}shared_secret = 'canary'"), "(in `shared_secret = …`)"),
        (format!("{CALLER}LIVEKIT_API_KEY = 'canary'"), "(in `LIVEKIT_API_KEY = …`)"),
        ("[limits]\nLIVEKIT_API_KEY = 'canary'".to_owned(), "(in `LIVEKIT_API_KEY = …`)"),
        ("LIVEKIT_API_SECRET = 'canary'".to_owned(), "(in `LIVEKIT_API_SECRET = …`)"),
        ("LIVEKIT.API_KEY = 'canary'".to_owned(), "(in `LIVEKIT = …`)"),
        ("LIVEKIT_API_SECRET=canary".to_owned(), "x.toml:1:20: text must be in double quotes"),
        (
            "{\n  \"LIVEKIT_API_SECRET\": \"canary==\"\n}".to_owned(),
            "x.toml:1:1: this is JSON, and must be TOML",
        ),
        ("[\"canary\"]".to_owned(), "x.toml:1:1: this is JSON, and must be TOML"),
        (
            "keys = 'API: canary'".to_owned(),
            "x.toml:1:8: invalid type: string, expected a table (in `keys = …`)",
        ),
        ("x = 'API_KEY: canary'".to_owned(), "unknown field `x`"),
        (
            format!(
                "{CALLER}[[rule]]\nname = 'r'\ncallers = ['a']\nrooms = []\nprojects = {{eu = {{LIVEKIT_API_SECRET = 'canary'}}}}"
            ),
            "(in `projects",
        ),
        (
            format!(
                "{CALLER}[[rule]]\nname = 'r'\ncallers = ['a']\nrooms = []\nprojects.eu.LIVEKIT_API_SECRET = 'canary'"
            ),
            "invalid type: table, expected a list",
        ),
        (
            format!(
                "{CALLER}[[rule]]\nname = 'r'\ncallers = ['a']\nrooms = []\nproject = {{LIVEKIT_API_SECRET = 'canary'}}"
            ),
            "(in `project",
        ),
        ("canary==".to_owned(), "x.toml:1:8: extra `=`"),
        ("canary".to_owned(), "x.toml:1:7: a key without a value: the file must be TOML"),
    ] {
        let mistake = mistake(&text);
        assert!(mistake.contains(expected) && !mistake.contains("canary"), "{mistake}");
    }
}

#[test]
fn a_rule_that_can_never_give_a_pass_is_a_mistake() {
    for (rule, message) in [
        (
            "callers = [\"b\"]\nrooms = [\"*\"]",
            "x.toml:6:1: rule \"r\" has the unknown caller \"b\": no [[caller]] has that name (in `callers = [\"b\"]`)",
        ),
        (
            "callers = []\nrooms = [\"*\"]",
            "x.toml:6:1: rule \"r\" has no callers: list at least one (in `callers = []`)",
        ),
        (
            "callers = [\"a\"]\nrooms = [\"\"]",
            "x.toml:7:10: a room pattern must not be empty: write \"*\" for any room (in `rooms = [\"\"]`)",
        ),
        (
            "callers = [\"a\"]\nrooms = [\"*\"]\nttl = \"2d\"",
            "x.toml:8:7: must be a whole number of seconds, minutes or hours from \"1s\" to \"24h\", such as \"10m\" (in `ttl = \"2d\"`)",
        ),
        ("callers = [\"a\"]\nrooms = [\"*\"]\ngrants.can_fly = true", "x.toml:8:8: unknown field"),
    ] {
        let text = format!("{CALLER}[[rule]]\nname = \"r\"\n{rule}");
        assert!(mistake(&text).starts_with(message), "{}", mistake(&text));
    }
}

#[test]
fn a_mistake_in_a_rule_is_placed_at_its_key() {
    for (lines, key) in [
        ("callers = [\"b\"]\nrooms = [\"*\"]", "callers"),
        ("callers = []\nrooms = [\"*\"]", "callers"),
        ("rooms = []\ncallers = [\"a\"]\ndefault_room = \"red\"", "default_room"),
        ("callers = [\"a\"]\nrooms = [\"*\"]\nttl = \"2m\"\nmax_ttl = \"1m\"", "max_ttl"),
        ("callers = [\"a\"]\nrooms = [\"*\"]\nwithin_credential = true", "within_credential"),
        ("callers = [\"a\"]\nrooms = [\"{sub}:*\"]\nidentity = \"x\"", "rooms"),
        ("callers = [\"a\"]\nrooms = [\"*\"]\nidentity = \"{sub}\"", "identity"),
        ("callers = [\"a\"]\nrooms = [\"*\"]\ndefault_room = \"{sub}\"", "default_room"),
        ("callers = [\"a\"]\nrooms = [\"*\"]\nparticipant_name = \"{sub}\"", "participant_name"),
        ("callers = [\"a\"]\nrooms = [\"*\"]\nparticipant_metadata = \"{sub}\"", "participant_metadata"),
        (
            "callers = [\"a\"]\nrooms = [\"*\"]\nparticipant_attributes = { a = \"{sub}\" }",
            "participant_attributes",
        ),
        ("callers = [\"a\"]\nrooms = [\"*\"]\nwhen = { sub = \"x\" }", "when"),
        ("callers = [\"a\"]\nrooms = [\"red\"]\ndefault_room = \"blue\"", "default_room"),
    ] {
        let mistake = mistake(&format!("{CALLER}[[rule]]\nname = \"r\"\n{lines}"));
        assert!(mistake.contains(&format!("(in `{key} = ")), "{mistake}");
    }
}

#[test]
fn a_rule_for_a_sandbox_that_is_not_served_is_a_mistake() {
    let rule = |when: &str| {
        format!(
            "{CALLER}[[rule]]\nname = \"r\"\ncallers = [\"a\"]\nrooms = [\"*\"]\nwhen = {{ sandbox_id = {when} }}"
        )
    };
    let served = "dialects = [\"standard\", \"sandbox\"]\nsandbox.ids = [\"demo\", \"other\"]\n";
    for (text, message) in [
        (
            rule("\"demo\""),
            "x.toml:8:1: rule \"r\" requires sandbox \"demo\", but dialects does not list \"sandbox\" (in `when = { sandbox_id = \"demo\" }`)",
        ),
        (
            served.to_owned() + &rule("\"deom\""),
            "x.toml:10:1: rule \"r\" requires sandbox \"deom\", but [sandbox] ids does not list it (in `when = { sandbox_id = \"deom\" }`)",
        ),
        (
            served.to_owned() + &rule("{ one_of = [\"demo\", \"deom\"] }"),
            "x.toml:10:1: rule \"r\" requires sandbox \"deom\", but [sandbox] ids does not list it (in `when = { sandbox_id = { one_of = [\"demo\", \"deom\"] } }`)",
        ),
        (
            served.to_owned() + &rule("{ contains = \"demo\" }"),
            "x.toml:10:1: rule \"r\" requires sandbox_id to be a list, but it is a string (in `when = { sandbox_id = { contains = \"demo\" } }`)",
        ),
    ] {
        assert_eq!(mistake(&text), message);
    }
    for when in ["\"demo\"", "{ one_of = [\"demo\", \"other\"] }"] {
        assert!(Config::parse(&(served.to_owned() + &rule(when)), "x.toml").is_ok());
    }
}

#[test]
fn a_dialect_is_listed_once() {
    assert_eq!(
        mistake("dialects = [\"standard\", \"openvidu\", \"standard\"]"),
        "x.toml:1:12: dialects must not contain duplicates (in `dialects = [\"standard\", \"openvidu\", \"standard\"]`)"
    );
}

#[test]
fn an_invalid_or_unreachable_caller_is_a_mistake() {
    let jwt = "[[caller]]\nname = \"j\"\nkind = \"jwt\"\n";
    for (text, message) in [
        (CALLER.repeat(2), "x.toml:5:1: duplicate caller name \"a\""),
        (
            CALLER.to_owned() + &CALLER.replace("\"a\"", "\"b\""),
            "x.toml:5:1: caller \"b\" is unreachable: \"a\" accepts every request. Move \"a\" to the end",
        ),
        (
            format!("{CALLER}issuer = \"x\""),
            "x.toml:4:1: caller \"a\": issuer is only for kind = \"jwt\" (in `issuer = \"x\"`)",
        ),
        (
            "[[caller]]\nname = \"g\"\nkind = \"gateway\"".to_owned(),
            "x.toml:3:1: caller \"g\": kind = \"gateway\" requires via",
        ),
        (jwt.to_owned(), "x.toml:3:1: caller \"j\": kind = \"jwt\" requires issuer"),
        (
            format!("{jwt}issuer = \"https://i\"\nalgorithms = [\"RS256\"]"),
            "x.toml:3:1: caller \"j\": kind = \"jwt\" requires audience",
        ),
        (
            format!("{jwt}issuer = \"http://i\"\naudience = \"a\"\nalgorithms = [\"RS256\"]"),
            "x.toml:4:1: caller \"j\": issuer (or jwks_url) must be an https URL",
        ),
        (
            format!(
                "{jwt}issuer = \"i\"\naudience = \"a\"\nalgorithms = [\"HS256\", \"RS256\"]\nsecret = \"S\""
            ),
            "x.toml:7:1: caller \"j\": secret requires algorithms = [\"HS256\"], and no jwks_url",
        ),
        (
            format!("{jwt}issuer = \"https://i\"\naudience = [\"\"]\nalgorithms = [\"RS256\"]"),
            "x.toml:5:1: caller \"j\": audience must not be empty (in `audience = [\"\"]`)",
        ),
        (
            "caller = [{ name = \"a\", kind = \"api-key\", via = \"jwt\" }]".to_owned(),
            "x.toml:1:43: caller \"a\": via is only for kind = \"gateway\"",
        ),
        (
            format!("{jwt}issuer = \"i\"\naudience = \"a\"\nalgorithms = [\"none\"]"),
            "x.toml:6:15: unknown variant `none`",
        ),
    ] {
        assert!(mistake(&text).starts_with(message), "{}", mistake(&text));
    }
}

#[test]
fn a_caller_after_one_that_accepts_its_credentials_is_a_mistake() {
    let caller = |name: &str, lines: &str| format!("[[caller]]\nname = {name:?}\n{lines}\n");
    let jwt = |more: &str| {
        format!(
            "kind = \"jwt\"\nissuer = \"https://i.example\"\njwks_url = \"https://i.example/keys\"\n{more}"
        )
    };
    let narrow = "audience = \"a\"\nalgorithms = [\"RS256\"]\nrequired_claims = { use = \"id\" }";
    let wide = "audience = [\"b\", \"a\"]\nalgorithms = [\"ES256\", \"RS256\"]";
    for (first, second, message) in [
        (
            "kind = \"api-key\"".to_owned(),
            "kind = \"api-key\"".to_owned(),
            "x.toml:6:1: caller \"b\" is unreachable: \"a\" accepts every API key. Use one caller of this kind, and distinguish keys by name: when = { sub = \"web\" } (in `kind = \"api-key\"`)",
        ),
        (
            "kind = \"gateway\"\nvia = \"lambda\"".to_owned(),
            "kind = \"gateway\"\nvia = \"lambda\"".to_owned(),
            "x.toml:8:1: caller \"b\" is unreachable: \"a\" accepts every request with this authorizer. Remove one of the two (in `via = \"lambda\"`)",
        ),
        (
            jwt(narrow),
            jwt(narrow),
            "\"a\" accepts all of its tokens. Move the narrower caller first, or remove it",
        ),
        (jwt(wide), jwt(narrow), "\"a\" accepts all of its tokens"),
        (jwt(wide), jwt(&(narrow.to_owned() + "\ntyp = \"at+jwt\"")), "\"a\" accepts all of its tokens"),
    ] {
        let mistake = mistake(&(caller("a", &first) + &caller("b", &second)));
        assert!(mistake.contains(message), "{mistake}");
    }
    for (first, second) in [
        (jwt(narrow), jwt(wide)),
        (jwt(&(wide.to_owned() + "\ntyp = \"at+jwt\"")), jwt(narrow)),
        (jwt(wide), jwt(&narrow.replace("\"a\"", "\"c\""))),
        (jwt(wide), jwt(&narrow.replace("RS256", "PS256"))),
        (jwt(wide), jwt(narrow).replace("/keys", "/more")),
        ("kind = \"gateway\"\nvia = \"lambda\"".to_owned(), "kind = \"gateway\"\nvia = \"jwt\"".to_owned()),
        ("kind = \"api-key\"".to_owned(), "kind = \"anonymous\"".to_owned()),
    ] {
        let read = Config::parse(&(caller("a", &first) + &caller("b", &second)), "x.toml");
        assert!(read.is_ok(), "{read:?}");
    }
}

#[test]
fn two_issuers_never_share_a_secret() {
    let caller = |name: &str, issuer: &str, secret: &str| {
        format!(
            "[[caller]]\nname = {name:?}\nkind = \"jwt\"\nissuer = {issuer:?}\naudience = {name:?}\nalgorithms = [\"HS256\"]\nsecret = {secret:?}\n"
        )
    };
    assert_eq!(
        mistake(&(caller("a", "one", "LOGIN") + &caller("b", "two", "LOGIN"))),
        "x.toml:14:1: caller \"b\": caller \"a\" has the same secret and another issuer: use a different secret for each issuer (in `secret = …`)"
    );
    for second in [caller("b", "two", "OTHER"), caller("b", "one", "LOGIN"), caller("b", "one", "OTHER")] {
        assert!(Config::parse(&(caller("a", "one", "LOGIN") + &second), "x.toml").is_ok(), "{second}");
    }
}

#[test]
fn two_rules_have_different_names() {
    let rule = "[[rule]]\nname = \"r\"\ncallers = [\"a\"]\nrooms = [\"*\"]\n";
    assert_eq!(
        mistake(&format!("{CALLER}{rule}{rule}")),
        "x.toml:9:1: rule \"r\" has the same name as an earlier rule (in `name = \"r\"`)"
    );
}

const TWO_ISSUERS: &str = r#"
    caller = [
      { name = "one", kind = "jwt", issuer = "https://one", audience = "a", algorithms = ["RS256"] },
      { name = "two", kind = "jwt", issuer = "https://two", audience = "a", algorithms = ["RS256"] },
      { name = "spelled", kind = "jwt", issuer = ["https://three", "two", "https://one"], audience = "c", algorithms = ["RS256"] },
      { name = "other", kind = "jwt", issuer = "https://one", audience = "b", algorithms = ["RS256"], required_claims = { use = "id" } },
      { name = "function", kind = "gateway", via = "lambda" },
      { name = "pool", kind = "gateway", via = "cognito" },
      { name = "signer", kind = "gateway", via = "iam" },
      { name = "anyone", kind = "anonymous" },
    ]
"#;

fn of_rules(rules: &str) -> Result<(), String> {
    let read = Config::parse(&format!("{TWO_ISSUERS}rule = [{rules}]"), "x.toml");
    read.map(|_| ()).map_err(|error| error.to_string())
}

#[test]
fn two_people_of_two_issuers_never_get_the_same_identity() {
    let rule = |name: &str, callers: &str, identity: &str| {
        format!(
            "{{ name = {name:?}, callers = [{callers}], rooms = [\"{name}:*\"], identity = {identity:?} }},"
        )
    };
    let both = "\"one\", \"two\"";
    for (rules, clash) in [
        (rule("r", both, "{sub}"), true),
        (rule("r", both, "{iss}|{sub}"), false),
        (rule("r", both, "{sub}|{random}"), false),
        (rule("r", both, "kiosk"), true),
        (rule("r", "\"one\", \"other\"", "{sub}"), false),
        (rule("r", "\"one\", \"spelled\"", "{sub}"), false),
        (rule("r", "\"two\", \"spelled\"", "{sub}"), true),
        (rule("r", "\"two\", \"spelled\"", "{iss}|{sub}"), false),
        (rule("r", "\"one\"", "{sub}") + &rule("s", "\"two\"", "{sub}"), true),
        (rule("r", "\"one\"", "one:{sub}") + &rule("s", "\"two\"", "two:{sub}"), false),
        (rule("r", "\"one\"", "one:{sub}") + &rule("s", "\"two\"", "one:{claims.name}"), true),
        (rule("r", "\"one\"", "{sub}") + &rule("s", "\"two\"", "two:{sub}"), true),
        (rule("r", "\"one\"", "{sub}-{random}") + &rule("s", "\"two\"", "{sub}"), true),
        (rule("r", "\"one\"", "{sub}") + &rule("s", "\"two\"", "{sub}-{random}"), true),
        (rule("r", "\"one\"", "{sub}-{random}") + &rule("s", "\"two\"", "{sub}-{random}"), false),
    ] {
        let read = of_rules(&rules);
        assert_eq!(read.is_err(), clash, "{rules} {read:?}");
        assert!(read.is_ok() || read.unwrap_err().contains("for two people of different issuers"));
    }
}

#[test]
fn an_issuer_and_a_caller_of_the_same_name_are_different() {
    let jwt = "{ name = 'app', kind = 'jwt', issuer = 'backend', jwks_url = 'https://a.example', audience = 'a', algorithms = ['RS256'] }";
    let rule = "rule = [{ name = 'r', callers = ['app', 'backend'], rooms = ['*'], identity = '{sub}' }]";
    for other in ["kind = 'api-key'", "kind = 'gateway', via = 'cognito'"] {
        let text = format!("caller = [{jwt}, {{ name = 'backend', {other} }}]\n{rule}");
        assert!(mistake(&text).contains("for two people of different issuers"), "{}", mistake(&text));
    }
}

#[test]
fn a_caller_is_unreachable_only_if_an_earlier_one_accepts_all_of_its_tokens() {
    const TOKENS: &str = "issuer = ['https://a', 'a'], audience = ['x', 'y'], required_claims = { role = { one_of = ['p', 'q'] } }";
    for (other, is_unreachable) in [
        (TOKENS, true),
        ("issuer = 'https://a', audience = 'x', required_claims = { role = 'q' }", true),
        ("issuer = ['https://a', 'b'], audience = 'x', required_claims = { role = 'q' }", false),
        ("issuer = 'https://a', audience = 'z', required_claims = { role = 'q' }", false),
        ("issuer = 'https://a', audience = 'x', required_claims = { role = 'r' }", false),
        ("issuer = 'https://a', audience = 'x', required_claims = { role = { contains = 'p' } }", false),
        ("issuer = 'https://a', audience = 'x'", false),
        (
            "issuer = 'https://a', audience = 'x', audience_claim = 'azp', required_claims = { role = 'q' }",
            false,
        ),
    ] {
        let caller = |name: &str, tokens: &str| {
            format!(
                "{{ name = '{name}', kind = 'jwt', jwks_url = 'https://keys', algorithms = ['RS256'], {tokens} }}"
            )
        };
        let text = format!("caller = [{}, {}]", caller("first", TOKENS), caller("other", other));
        let mistake = Config::parse(&text, "x.toml").err().map(|mistake| mistake.to_string());
        let is_reported = mistake.as_deref().is_some_and(|mistake| {
            mistake.contains("caller \"other\" is unreachable: \"first\" accepts all of its tokens")
        });
        assert_eq!(is_reported, is_unreachable, "{other}: {mistake:?}");
        assert_eq!(mistake.is_some(), is_unreachable, "{other}: {mistake:?}");
    }
}

#[expect(clippy::too_many_lines, reason = "one table of mistakes")]
#[test]
fn an_unreachable_rule_or_one_that_never_fits_is_a_mistake() {
    for (rules, message) in [
        (
            "{ name = 'a', callers = ['one', 'two'], rooms = ['*'] }, { name = 'b', callers = ['one'], rooms = ['x'] }",
            "rule \"b\" is unreachable: the earlier rule \"a\" matches all of its requests",
        ),
        (
            "{ name = 'a', callers = ['one'], rooms = ['*'] }, { name = 'b', callers = ['one'], rooms = ['*'], when = { sub = 'x' } }",
            "rule \"b\" is unreachable",
        ),
        (
            "{ name = 'a', callers = ['one'], rooms = ['*'], when = { sub = { one_of = ['x', 'y'] } } }, { name = 'b', callers = ['one'], rooms = ['*'], when = { sub = 'x' } }",
            "rule \"b\" is unreachable",
        ),
        (
            "{ name = 'a', callers = ['one'], rooms = ['x'] }, { name = 'b', callers = ['one'], rooms = ['x'] }",
            "rule \"b\" is unreachable",
        ),
        (
            "{ name = 'a', callers = ['one'], rooms = ['x'], default_room = 'x' }, { name = 'b', callers = ['one'], rooms = ['x'], default_room = 'x' }",
            "rule \"b\" is unreachable",
        ),
        (
            "{ name = 'a', callers = ['one'], rooms = ['{claims.team}:*'] }, { name = 'b', callers = ['one'], rooms = ['{claims.team}:*'], when = { sub = 'x' } }",
            "rule \"b\" is unreachable",
        ),
        (
            "{ name = 'a', callers = ['one'], rooms = ['*'], identity = '{sub}', participant_attributes = { a = '{claims.a}' } }, { name = 'b', callers = ['one'], rooms = ['x'], identity = '{sub}', participant_attributes = { a = '{claims.a}', b = 'b' } }",
            "rule \"b\" is unreachable",
        ),
        (
            "{ name = 'a', callers = ['anyone'], rooms = ['*'], within_credential = true }",
            "rule \"a\" sets within_credential, but the credential of caller \"anyone\" has no expiry",
        ),
        (
            "{ name = 'a', callers = ['signer'], rooms = ['*'], within_credential = true }",
            "rule \"a\" sets within_credential, but the credential of caller \"signer\" has no expiry",
        ),
        (
            "{ name = 'a', callers = ['function'], rooms = ['*'], identity = '{iss}|{sub}' }",
            "rule \"a\" uses {iss}, which caller \"function\" never has",
        ),
        (
            "{ name = 'a', callers = ['anyone'], rooms = ['{sub}:*'] }",
            "rule \"a\" uses {sub}, which caller \"anyone\" never has",
        ),
        (
            "{ name = 'a', callers = ['anyone'], rooms = ['*'], identity = '{sub}' }",
            "rule \"a\" uses {sub}, which caller \"anyone\" never has",
        ),
        (
            "{ name = 'a', callers = ['anyone'], rooms = ['*'], when = { sub = 'x' } }",
            "rule \"a\" uses {sub}, which caller \"anyone\" never has",
        ),
        (
            "{ name = 'a', callers = ['one'], rooms = ['{claims.team}:*'], default_room = 'lobby' }",
            "rule \"a\" has a default_room that does not match rooms",
        ),
        (
            "{ name = 'a', callers = ['one'], rooms = ['lobby'], default_room = '{sub}' }",
            "rule \"a\" has a default_room that does not match rooms",
        ),
        (
            "{ name = 'a', callers = ['one'], rooms = ['lobby'], default_room = '{iss}' }",
            "rule \"a\" has a default_room that does not match rooms",
        ),
        (
            "{ name = 'a', callers = ['one'], rooms = ['lobby'], default_room = '{claims.a}-{claims.b.c}' }",
            "rule \"a\" has a default_room that does not match rooms",
        ),
        (
            "{ name = 'a', callers = ['one'], rooms = ['*'], when = { iss = 'https://two' } }",
            "rule \"a\" is unreachable: no caller in callers can have iss = \"https://two\"",
        ),
        (
            "{ name = 'a', callers = ['one'], rooms = ['*'], when = { sub = 5 } }",
            "rule \"a\" is unreachable: no caller in callers can have sub = 5",
        ),
        (
            "{ name = 'a', callers = ['function'], rooms = ['*'], when = { sub = { contains = 'x' } } }",
            "rule \"a\" is unreachable: no caller in callers can have sub contains \"x\"",
        ),
        (
            "{ name = 'a', callers = ['other'], rooms = ['*'], when = { 'claims.use' = { one_of = ['access'] } } }",
            "rule \"a\" is unreachable: no caller in callers can have claims.use one of [\"access\"]",
        ),
        (
            "{ name = 'a', callers = ['one'], rooms = ['*'], ttl = '10m', max_ttl = '5m' }",
            "rule \"a\" has a ttl of 10m, longer than its max_ttl of 5m",
        ),
        (
            "{ name = 'a', callers = ['one'], rooms = ['{claims.team}*'] }",
            "must have its placeholders before its first *",
        ),
        (
            "{ name = 'a', callers = ['one'], rooms = ['*'], client_may_set = ['room_name'] }",
            "\"room_name\" is not allowed in client_may_set",
        ),
    ] {
        let mistake = of_rules(rules).unwrap_err();
        assert!(mistake.contains(message), "{mistake}");
    }
    for rules in [
        "{ name = 'a', callers = ['one'], rooms = ['*'], identity = '{sub}' }, { name = 'b', callers = ['one'], rooms = ['*'] }",
        "{ name = 'a', callers = ['one'], rooms = ['*'], identity = '{sub}' }, { name = 'b', callers = ['one'], rooms = ['*'], participant_name = '{sub}' }",
        "{ name = 'a', callers = ['one'], rooms = ['*'], participant_attributes = { a = '{sub}' } }, { name = 'b', callers = ['one'], rooms = ['*'], participant_attributes = { b = '{sub}' } }",
        "{ name = 'a', callers = ['one'], rooms = ['{claims.team}:*'] }, { name = 'b', callers = ['one'], rooms = ['{claims.team}/*'] }",
        "{ name = 'a', callers = ['one'], rooms = ['*'], when = { sub = 'x' } }, { name = 'b', callers = ['one'], rooms = ['*'] }",
        "{ name = 'a', callers = ['one'], rooms = ['x'] }, { name = 'b', callers = ['one'], rooms = ['x'], default_room = 'x' }",
        "{ name = 'a', callers = ['one'], rooms = ['{claims.team}:*'], default_room = '{claims.team}:{random}' }",
        "{ name = 'a', callers = ['one', 'two'], rooms = ['*'], when = { iss = 'https://two' } }",
        "{ name = 'a', callers = ['other'], rooms = ['*'], when = { 'claims.use' = 'id', sub = { one_of = [5, 'x'] } } }",
        "{ name = 'a', callers = ['other', 'one'], rooms = ['*'], when = { 'claims.use' = 'access' } }",
        "{ name = 'a', callers = ['one'], rooms = ['*'], ttl = '10m', max_ttl = '10m' }",
        "{ name = 'a', callers = ['pool'], rooms = ['*'], identity = '{iss}|{sub}' }",
        "{ name = 'a', callers = ['pool', 'function', 'one'], rooms = ['*'], within_credential = true }",
    ] {
        assert_eq!(of_rules(rules), Ok(()), "{rules}");
    }
}

#[test]
fn all_mistakes_are_found_with_their_places() {
    let text = "dialects = ['standard', 'standard']\ncolour = 'blue'\n[limits]\nmax_token_size = 1\n[[caller]]\nname = 'a'\nkind = 'open'\n[[caller]]\nname = 'b'\nkind = 'gateway'\n[[rule]]\nname = 'r'\nttl = '2d'\n";
    assert_eq!(
        mistake(text).lines().collect::<Vec<_>>(),
        [
            "x.toml:2:1: unknown field `colour`, expected one of `http`, `cors`, `keys`, `limits`, `dialects`, `sandbox`, `agora`, `caller`, `deny`, `rule` (in `colour = …`)",
            "x.toml:4:18: must be 1024 to 1048576 bytes (in `max_token_size = 1`)",
            "x.toml:7:8: unknown variant `open`, expected one of `anonymous`, `api-key`, `gateway`, `jwt` (in `kind = 'open'`)",
            "x.toml:10:1: caller \"b\": kind = \"gateway\" requires via: \"jwt\", \"lambda\", \"iam\" or \"cognito\" (in `kind = 'gateway'`)",
            "x.toml:11:1: missing field `callers` (in `[[rule]]`)",
            "x.toml:13:7: must be a whole number of seconds, minutes or hours from \"1s\" to \"24h\", such as \"10m\" (in `ttl = '2d'`)",
        ]
    );
}

#[test]
fn all_mistakes_in_one_table_are_found_and_none_of_their_consequences() {
    let rule = "[[rule]]\nname = 'r'\ncallers = 'a'\nrooms = [1]\nttl = 5\ncolour = 'blue'\n\
                when = { 'claims.a' = { one_of = [] }, 'b' = 'c' }\ngrants = { can_publish = 'yes', fly = true }\n";
    let keys = "[keys]\nrefresh_after = '1y'\nmax_age = '1m'\n";
    let mistakes = mistake(&format!("{keys}{rule}"));
    let places: Vec<_> = mistakes.lines().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(
        places,
        [
            "x.toml:2:17",
            "x.toml:6:11",
            "x.toml:7:10",
            "x.toml:8:7",
            "x.toml:9:1",
            "x.toml:10:8",
            "x.toml:10:23",
            "x.toml:11:26",
            "x.toml:11:33",
        ],
        "{mistakes}"
    );
}

#[test]
fn all_mistakes_across_parts_are_found_once_the_parts_are_readable() {
    let rule = |name: &str, callers: &str| {
        format!("[[rule]]\nname = '{name}'\ncallers = {callers}\nrooms = ['*']\n")
    };
    let text = format!("{CALLER}{}{}{}", rule("one", "['a']"), rule("two", "['b']"), rule("one", "['a']"));
    let mistakes = mistake(&text);
    let lines: Vec<_> = mistakes.lines().collect();
    assert_eq!(lines.len(), 2, "{mistakes}");
    assert!(lines[0].starts_with("x.toml:10:1: rule \"two\" "), "{mistakes}");
    assert!(lines[1].starts_with("x.toml:13:1: rule \"one\" has the same name"), "{mistakes}");
    let callers = CALLER.repeat(2);
    let of_callers = mistake(&format!("dialects = []\n{callers}{}", rule("r", "['b']")));
    assert_eq!(
        of_callers.lines().count(),
        2,
        "mistakes in callers aren't repeated for each rule: {of_callers}"
    );
}

#[test]
fn callers_of_another_file_are_checked_with_the_settings_of_the_first() {
    let other =
        format!("{CALLER}[[rule]]\nname = 'r'\ncallers = ['a']\nrooms = ['*']\nwhen.sandbox_id = 'demo'\n");
    let merged = |text: &str| Config::parse_over((text, "x.toml"), &[(&other, "callers.toml")]);
    let config =
        merged("dialects = ['sandbox']\nsandbox.ids = ['demo']\nlimits.max_token_size = 2048").unwrap();
    assert_eq!(
        (config.callers.len(), config.policy.rules().len(), config.limits.max_token_size),
        (1, 1, 2_048)
    );
    let mistake = merged("dialects = ['sandbox']\nsandbox.ids = ['other']").unwrap_err().to_string();
    let of_callers =
        "callers.toml:8:1: rule \"r\" requires sandbox \"demo\", but [sandbox] ids does not list it";
    assert!(mistake.starts_with(of_callers), "{mistake}");
    let of_file = merged("# The first line.\ndialects = ['agora', 'agora']").unwrap_err().to_string();
    assert!(of_file.starts_with("x.toml:2:12: dialects must not contain duplicates"), "{of_file}");
}

const RULE: &str = "[[rule]]\nname = 'r'\ncallers = ['a']\nrooms = ['*']\n";

#[test]
fn what_a_file_does_not_set_is_that_of_the_next_and_each_mistake_has_its_own_file() {
    let base = format!(
        "dialects = ['sandbox']\nsandbox.ids = ['demo']\ncors.origins = ['https://a']\nlimits.max_token_size = 2048\nkeys.refresh_after = '7s'\n{CALLER}[[deny]]\nidentity = 'x'\n{RULE}"
    );
    let over = |text: &str| Config::parse_over((text, "top.toml"), &[(&base, "base.toml")]);
    let all_of_base = over("").unwrap();
    assert_eq!(all_of_base.dialects, [Dialect::Sandbox]);
    assert_eq!((all_of_base.sandbox.ids.len(), all_of_base.cors.origins.len()), (1, 1));
    assert_eq!((all_of_base.limits.max_token_size, all_of_base.keys.refresh_after.as_secs()), (2_048, 7));
    assert_eq!((all_of_base.policy.denied().len(), all_of_base.policy.rules().len()), (1, 1));

    let other = RULE.replace("'r'", "'other'");
    let own = format!(
        "dialects = ['agora']\nsandbox.ids = ['b', 'c']\ncors.origins = ['https://b', 'https://c']\nlimits.max_token_size = 4096\nkeys.refresh_after = '9s'\n[[deny]]\nidentity = 'y'\n[[deny]]\nidentity = 'z'\n{other}"
    );
    let own = over(&own).unwrap();
    assert_eq!(own.dialects, [Dialect::Agora]);
    assert_eq!((own.sandbox.ids.len(), own.cors.origins.len()), (2, 2));
    assert_eq!((own.limits.max_token_size, own.keys.refresh_after.as_secs()), (4_096, 9));
    assert_eq!((own.policy.denied().len(), own.policy.rules()[0].name.as_str()), (2, "other"));
    assert_eq!(over("cors.origins = []").unwrap().cors.origins.len(), 1, "an empty list counts as not set");
    let policy =
        |text: &str| Config::parse_policy((&format!("{text}\ndeny = []"), "p.toml"), &[(&base, "base.toml")]);
    assert_eq!(
        policy("cors.origins = []").unwrap().cors.origins.len(),
        0,
        "in a policy an empty list is set"
    );
    assert_eq!(policy("cors.headers = []").unwrap().cors.origins.len(), 1);
    assert_eq!(policy("sandbox = {}").unwrap().sandbox.ids.len(), 1);
    let without_sandbox = policy("dialects = ['standard']\nsandbox.ids = []\nrule = []").unwrap();
    assert_eq!((without_sandbox.sandbox.ids.len(), without_sandbox.policy.rules().len()), (0, 0));

    for (text, mistake) in [
        (
            "\n[[rule]]\nname = 'other'\ncallers = ['b']\nrooms = ['*']",
            "top.toml:4:1: rule \"other\" has the unknown caller",
        ),
        ("[[caller]]\nname = 'b'\nkind = 'anonymous'", "base.toml:13:1: rule \"r\" has the unknown caller"),
        ("x = 1", "top.toml:1:1: unknown field `x`"),
    ] {
        let found = over(text).unwrap_err().to_string();
        assert!(found.starts_with(mistake), "{text}: {found}");
    }
}

#[test]
fn lists_that_a_policy_does_not_set_are_those_of_the_first_file_that_has_them() {
    let policy = "deny = []";
    let first = "cors.headers = ['X-One']\ncors.origins = []";
    let second =
        "dialects = ['sandbox']\ncors.headers = ['X-Two']\ncors.origins = ['https://b']\nsandbox.ids = ['b']";
    let third = "cors.headers = ['X-Three', 'X-Four']\ncors.origins = ['https://c', 'https://d']\nsandbox.ids = ['c', 'd']";
    let files = [(first, "1"), (second, "2"), (third, "3")];
    let config = Config::parse_policy((policy, "p"), &files).unwrap();
    assert_eq!(
        (config.cors.headers.len(), config.cors.origins.len(), config.sandbox.ids.as_slice()),
        (1, 1, &["b".to_owned()][..])
    );
}

#[test]
fn a_value_that_is_missing_or_not_in_quotes_is_named() {
    for (text, message) in [
        ("name =", "x.toml:1:7: the value is missing: write it after the ="),
        ("name =   ", "the value is missing"),
        ("[a]\nname =\nb = 1", "x.toml:2:7: the value is missing"),
        ("name = app", "x.toml:1:8: text must be in double quotes, such as \"app\""),
    ] {
        let found = mistake(text);
        assert!(found.contains(message), "{text:?}: {found}");
    }
    let Err(ConfigError::Mistakes(all)) = Config::parse("x = 1\ny = 2", "x.toml") else {
        panic!("two mistakes")
    };
    assert_eq!(all.iter().map(|mistake| mistake.line).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn the_version_is_the_hash_of_the_first_text() {
    // printf '[http]\n' | sha256sum | cut -c1-16
    assert_eq!(Config::parse("[http]\n", "x").unwrap().version, "7d9b9635411bac96");
    assert_eq!(
        Config::parse_over(("[http]\n", "x"), &[("[cors]", "y")]).unwrap().version,
        "7d9b9635411bac96"
    );
    assert_ne!(Config::parse("[http]", "x").unwrap().version, "7d9b9635411bac96");
}

#[test]
fn a_policy_has_a_rule_or_a_denied_request() {
    let base = format!("{CALLER}{RULE}");
    let policy = |text: &str| Config::parse_policy((text, "ssm:/p"), &[(&base, "base.toml")]);
    for text in ["", "# nothing", "[cors]", CALLER] {
        let found = policy(text).unwrap_err().to_string();
        assert_eq!(
            found,
            "ssm:/p:1:1: the policy has neither a [[rule]] nor a [[deny]]: to end all bans, write deny = []",
            "{text}"
        );
    }
    assert_eq!(policy("[[deny]]\nidentity = 'x'").unwrap().policy.rules()[0].name, "r");
    for text in ["deny = []", "deny = [] # no bans"] {
        assert_eq!(policy(text).unwrap().policy.rules()[0].name, "r");
    }
    let banned = format!("{CALLER}{RULE}[[deny]]\nidentity = 'x'\n");
    let without_bans = Config::parse_policy(("deny = []", "ssm:/p"), &[(&banned, "base.toml")]).unwrap();
    assert_eq!((without_bans.policy.denied().len(), without_bans.policy.rules().len()), (0, 1));
    assert_eq!(policy("rule = []").unwrap().policy.rules().len(), 0, "an empty list replaces the rules");
    assert_eq!(policy(&RULE.replace("'r'", "'s'")).unwrap().policy.rules()[0].name, "s");
}

#[test]
fn an_unknown_key_of_a_table_in_a_list_is_shown_without_its_value() {
    for entry in [
        "agents = [{ name = 'a', password = 'canary' }]",
        "egress = [{ kind = 'room', password = 'canary' }]",
    ] {
        let mistake = mistake(&format!("[[rule]]\n{entry}"));
        assert!(mistake.contains("unknown field `password`") && !mistake.contains("canary"), "{mistake}");
    }
}

#[test]
fn an_egress_entry_of_the_wrong_type_is_a_mistake_with_the_valid_ones() {
    let mistake = mistake("[[rule]]\negress = [5]");
    let expected = "x.toml:2:11: invalid type: integer `5`, expected \"room\", \"participant\", \"tracks\", or { kind = \"..\", client_may_set = [..] }";
    assert!(mistake.contains(expected), "{mistake}");
}

#[test]
fn a_required_claim_is_any_finite_number_of_64_bits() {
    let file = |number: &str| {
        format!(
            "[[caller]]\nname = 'a'\nkind = 'jwt'\nissuer = 'https://a.example'\naudience = 'a'\n\
             algorithms = ['RS256']\nrequired_claims = {{ n = {number} }}\n"
        )
    };
    for number in ["18446744073709551615", "1.5", "-1"] {
        Config::parse(&file(number), "x.toml").unwrap();
    }
    for number in ["inf", "nan"] {
        assert!(mistake(&file(number)).contains("must be a finite number"), "{number}");
    }
    assert!(mistake(&file("18446744073709551616")).contains("must be a number of 64 bits"));
}
