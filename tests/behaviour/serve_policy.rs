//! `roompass serve` with a policy in a file, which it reads again when it changes, and the other commands with it.

use std::fs;
use std::path::PathBuf;

use roompass::config::Config;

use crate::serve::{Serving, roompass};

/// A folder with a configuration and a policy, deleted after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, config: &str, policy: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("roompass-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.toml"), config).unwrap();
        fs::write(folder.join("policy.toml"), policy).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Replaces the policy, as `mv` and Kubernetes do.
    fn change(&self, policy: &str) {
        fs::write(self.0.join("next"), policy).unwrap();
        fs::rename(self.0.join("next"), self.0.join("policy.toml")).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> std::process::Command {
        let (config, policy) = (self.path("config.toml"), format!("file:{}", self.path("policy.toml")));
        roompass(arguments, &[("ROOMPASS_CONFIG", &config), ("ROOMPASS_POLICY", &policy)])
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

const CALLER: &str = "[[caller]]\nname = \"anyone\"\nkind = \"anonymous\"\n";

fn rule(name: &str, more: &str) -> String {
    format!("[[rule]]\nname = {name:?}\ncallers = [\"anyone\"]\nrooms = [\"*\"]\n{more}")
}

/// The next line about the policy.
fn answer(serving: &mut Serving) -> String {
    loop {
        let line = serving.next_line();
        if line.contains("policy") && !line.contains("/getToken") {
            return line;
        }
    }
}

#[test]
fn a_changed_file_is_used_at_once_and_the_terminal_shows_the_version_or_the_mistakes() {
    let (open, projects) = (rule("open", ""), rule("projects", "project = \"eu\"\n"));
    let folder = Folder::new("changed", CALLER, &open);
    let mut serving = Serving::start(folder.run(&["serve", "--listen", "127.0.0.1:0"]), "policy loaded");
    assert!(serving.started_with.last().unwrap().contains(&Config::version_of(&open)));
    let asks = |serving: &Serving| serving.asked_as("localhost:PORT");
    assert!(asks(&serving).0.contains("201"));

    let denied = format!("[[deny]]\ncallers = [\"anyone\"]\n{open}");
    folder.change(&denied);
    let line = answer(&mut serving);
    assert!(line.contains(&format!("policy changed version={:?}", Config::version_of(&denied))), "{line}");
    assert_eq!(asks(&serving).1["code"], "denied");

    folder.change(&denied.replace("callers", "caller"));
    let lines = [answer(&mut serving), answer(&mut serving), answer(&mut serving)].join("\n");
    assert!(lines.contains("policy.toml:2:1: unknown field `caller`"), "{lines}");
    assert!(lines.contains("did you mean `callers`?"), "{lines}");
    assert_eq!(asks(&serving).1["code"], "denied", "the last valid policy stays");

    folder.change(&projects);
    while !answer(&mut serving)
        .contains(&format!("policy changed version={:?}", Config::version_of(&projects)))
    {}
    let (status, body) = asks(&serving);
    assert!(status.contains("201"), "LiveKit's development key signs in every project: {body}");
    assert_eq!(serving.end("TERM"), 0);
}

#[test]
fn a_policy_without_callers_never_turns_authentication_off() {
    let policy = CALLER.to_owned() + &rule("open", "");
    let folder = Folder::new("no-callers", "", &policy);
    let mut serving = Serving::start(folder.run(&["serve", "--listen", "127.0.0.1:0"]), "policy loaded");
    assert!(serving.asked_as("localhost:PORT").0.contains("201"));
    folder.change("[[deny]]\nidentity = \"x\"\n");
    assert!(answer(&mut serving).contains("policy changed"));
    assert!(serving.next_line().contains("no caller is configured, so every request is refused"));
    assert_eq!(serving.asked_as("localhost:PORT").1["code"], "no_callers_configured");
    assert_eq!(serving.end("TERM"), 0);
    // The same after a restart.
    let serving = Serving::start(folder.run(&["serve", "--listen", "127.0.0.1:0"]), "policy loaded");
    assert_eq!(serving.asked_as("localhost:PORT").1["code"], "no_callers_configured");
    assert_eq!(serving.end("TERM"), 0);
}

#[test]
fn check_compares_with_an_older_policy_and_test_expects_a_project() {
    let by = |room: &str| {
        format!("[[rule]]\nname = \"r\"\ncallers = [\"app\"]\nrooms = [{room:?}]\nproject = \"eu\"\n")
    };
    let caller = "[[caller]]\nname = \"app\"\nkind = \"jwt\"\nissuer = \"https://a\"\naudience = \"a\"\nalgorithms = [\"RS256\"]\n";
    let folder = Folder::new("older", caller, &by("new"));
    fs::write(folder.0.join("old.toml"), by("*")).unwrap();
    fs::create_dir(folder.0.join("claims")).unwrap();
    fs::write(folder.0.join("claims/ada.json"), r#"{"iss": "https://a", "sub": "ada"}"#).unwrap();
    let (old, claims) = (folder.path("old.toml"), folder.path("claims"));
    let diff = ["check", "--against", &claims, "--rooms", "new,old", "--diff", &old];
    let output = folder.run(&diff).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("r: old in project eu") && text.contains("refused: room_not_allowed"), "{text}");

    let expect = |project: &str| {
        format!(
            "[[expect]]\ncaller = \"app\"\nclaims.sub = \"ada\"\nrequest.room_name = \"new\"\nrule = \"r\"\nproject = {project:?}\n"
        )
    };
    for (project, code) in [("eu", 0), ("us", 3)] {
        fs::write(folder.0.join("tests.toml"), expect(project)).unwrap();
        let output = folder.run(&["test", &folder.path("tests.toml")]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert_eq!(text.contains("expected project \"us\", found \"eu\""), code == 3, "{text}");
    }
}

#[test]
fn check_explain_and_serve_read_the_policy_and_show_its_mistakes() {
    let folder =
        Folder::new("commands", &(CALLER.to_owned() + &rule("of config", "")), &rule("of policy", ""));
    for arguments in [&["check"][..], &["explain", "--as", "anyone"]] {
        let output = folder.run(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && text.contains("of policy") && !text.contains("of config"),
            "{text}"
        );
    }
    folder.change(&rule("wrong", "tl = \"1m\""));
    for arguments in [&["check"][..], &["explain", "--as", "anyone"], &["serve", "--listen", "127.0.0.1:0"]] {
        let output = folder.run(arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains("policy.toml:5:1: unknown field `tl`"), "{text}");
    }
    let checked = String::from_utf8(folder.run(&["check"]).output().unwrap().stdout).unwrap();
    assert_eq!(checked, "", "a policy with mistakes");
    let in_aws = |place: &str| {
        let output = roompass(&["check"], &[("ROOMPASS_POLICY", place)]).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    for place in ["secret:x", "ssm:/x"] {
        assert_eq!(
            in_aws(place),
            "roompass: ROOMPASS_POLICY: secret: and ssm: are for the function in Lambda: use file: and a path here\n"
        );
    }
    assert_eq!(
        in_aws("file:/no/such/file"),
        "roompass: ROOMPASS_POLICY: cannot read /no/such/file: No such file or directory (os error 2)\n"
    );
}
