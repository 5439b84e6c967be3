//! `docs/reference.md`, `docs/environment.md` and `docs/commands.md` list what the program accepts: each key of `roompass.toml`, each environment
//! variable, each member of the secret and each option, and no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use roompass::config::Config;

const REFERENCE: &str = include_str!("../../docs/reference.md");
const ENVIRONMENT: &str = include_str!("../../docs/environment.md");
const COMMANDS: &str = include_str!("../../docs/commands.md");

#[test]
fn each_table_of_keys_lists_what_the_program_accepts() {
    for (heading, unknown) in [
        ("### Top-level keys", "x = 1"),
        ("### `[http]`", "http.x = 1"),
        ("### `[cors]`", "cors.x = 1"),
        ("### `[sandbox]`", "sandbox.x = 1"),
        ("### `[agora]`", "agora.x = 1"),
        ("### `[keys]`", "keys.x = 1"),
        ("### `[limits]`", "limits.x = 1"),
        ("### `[[caller]]`", "[[caller]]\nx = 1"),
        ("### `[[deny]]`", "[[deny]]\nx = 1"),
        ("### `[[rule]]`", "[[rule]]\nx = 1"),
        ("### `client_may_set`", "[[rule]]\nclient_may_set = ['x']"),
        ("### `agents`", "[[rule]]\nagents = [{ x = 1 }]"),
        ("### `egress`", "[[rule]]\negress = [{ x = 1 }]"),
    ] {
        assert_eq!(first_cells(REFERENCE, heading), accepted(unknown), "{heading}");
    }
}

#[test]
fn the_table_of_grants_lists_each_grant_and_each_member_of_a_group() {
    let members = |grant: &String| {
        let unknown = format!("[[rule]]\ngrants.{grant}.x = 1");
        let is_a_group = mistake(&unknown).contains("unknown field `x`");
        let members = if is_a_group { accepted(&unknown) } else { BTreeSet::new() };
        (grant.clone(), members)
    };
    let grants = accepted("[[rule]]\ngrants.x = 1");
    let names = grants.iter().map(members).flat_map(|(grant, members)| {
        if members.is_empty() {
            vec![grant]
        } else {
            members.iter().map(|member| format!("{grant}.{member}")).collect()
        }
    });
    assert_eq!(first_cells(REFERENCE, "### `[rule.grants]`"), names.collect());
}

#[test]
fn each_value_of_a_list_is_in_the_reference() {
    for (heading, unknown) in [
        ("### Top-level keys", "dialects = ['x']"),
        ("### `[agora]`", "agora.token_version = 'x'"),
        ("### `[[caller]]`", "[[caller]]\nkind = 'x'"),
        ("### `[[caller]]`", "[[caller]]\nvia = 'x'"),
        ("### `[[caller]]`", "[[caller]]\nalgorithms = ['x']"),
        ("### `[[rule]]`", "[[rule]]\nagora_logins = ['x']"),
        ("### `egress`", "[[rule]]\negress = ['x']"),
        ("### `[rule.grants]`", "[[rule]]\ngrants.kind = 'x'"),
        ("### `[rule.grants]`", "[[rule]]\ngrants.can_publish_sources = ['x']"),
    ] {
        let section = section(REFERENCE, heading);
        for value in accepted(unknown) {
            let written = [format!("`{value}`"), format!("`\"{value}\"`")];
            assert!(written.iter().any(|written| section.contains(written)), "{heading}: {value}");
        }
    }
}

#[test]
fn the_environment_variables_are_those_that_the_source_names() {
    let mut names = BTreeSet::new();
    for folder in ["src", "core/src"] {
        collect_names(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut names);
    }
    assert_eq!(first_cells(ENVIRONMENT, "## Environment variables"), names);
}

#[test]
fn the_members_of_the_secret_are_environment_variables_too() {
    let mut members = first_cells(ENVIRONMENT, "## The secret");
    assert!(members.remove("projects"), "the variable is ROOMPASS_PROJECTS");
    let expected = [
        "LIVEKIT_URL",
        "LIVEKIT_API_KEY",
        "LIVEKIT_API_SECRET",
        "AGORA_APP_ID",
        "AGORA_APP_CERTIFICATE",
        roompass::auth::API_KEYS,
    ];
    assert_eq!(members, expected.map(str::to_owned).into());
    assert!(members.is_subset(&first_cells(ENVIRONMENT, "## Environment variables")));
}

#[test]
fn each_command_has_a_table_of_its_options() {
    let commands = offered(&["-h"], "Commands:");
    let commands: BTreeSet<_> = commands.into_iter().filter(|name| name != "help").collect();
    let headings = COMMANDS.lines().filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`'));
    assert_eq!(headings.map(str::to_owned).collect::<BTreeSet<_>>(), commands);
    for command in commands {
        let options = offered(&[command.as_str(), "-h"], "Options:");
        let options: BTreeSet<_> =
            options.into_iter().filter(|option| option.starts_with("--") && option != "--help").collect();
        let listed = first_cells(COMMANDS, &format!("## `{command}`"));
        let listed: BTreeSet<_> =
            listed.iter().filter_map(|cell| cell.split_whitespace().next()).map(str::to_owned).collect();
        assert_eq!(listed, options, "{command}");
    }
}

/// What the program accepts in the place of something unknown: the error lists it.
fn accepted(unknown: &str) -> BTreeSet<String> {
    let mistakes = mistake(unknown);
    // The line itself is quoted after the message.
    let mut messages = mistakes.lines().map(|mistake| mistake.split(" (in `").next().unwrap());
    let message = messages.find(|message| !message.contains("missing field")).unwrap();
    if let Some((_, list)) = message.split_once(", expected ") {
        return between_backticks(list);
    }
    let (_, list) = message.split_once(" one of ").unwrap_or_else(|| panic!("no list in {message}"));
    let list = list.split(';').next().unwrap();
    list.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

fn mistake(text: &str) -> String {
    match Config::parse(text, "x.toml") {
        Ok(_) => panic!("{text} is accepted"),
        Err(mistake) => mistake.to_string(),
    }
}

/// The names in the first cells of a section's table.
fn first_cells(document: &str, heading: &str) -> BTreeSet<String> {
    let rows = section(document, heading).lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| between_backticks(row.split(" | ").next().unwrap())).collect()
}

/// From a heading to the next.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let (_, rest) = document
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("the document has no heading {heading}"));
    rest.split("\n#").next().unwrap()
}

fn between_backticks(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The first word of each line below a heading of a help text, without an option's short form.
fn offered(arguments: &[&str], heading: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_roompass")).args(arguments).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let lines = help.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.is_empty());
    let words = lines.filter_map(|line| {
        let indent = line.len() - line.trim_start().len();
        let word = line.split_whitespace().find(|word| !word.ends_with(','))?;
        // What continues a description begins in a later column.
        (indent <= 6).then(|| word.to_owned())
    });
    words.collect()
}

/// The string literals of a folder's source that name variables, without its tests.
fn collect_names(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_names(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let source = source.split("#[cfg(test)]").next().unwrap();
            let literals = source.split('"').filter(|text| {
                let prefix = text.split_once('_').map(|(prefix, _)| prefix);
                prefix.is_some_and(|prefix| PREFIXES.contains(&prefix))
                    && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
            });
            names.extend(literals.map(str::to_owned));
        }
    }
}

const PREFIXES: [&str; 5] = ["ROOMPASS", "LIVEKIT", "AGORA", "AWS", "RUST"];
