//! The commands in the documents are run, and their output is compared with the one that is shown there. Times, keys, tokens,
//! hashes and random texts may differ, and `…` is any text of a line, or on a line of its own any lines.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;

use crate::doctor::StandIn;
use crate::serve::{Serving, roompass};

const COMMANDS: &str = include_str!("../../docs/commands.md");
const DOCTOR: &str = include_str!("../../docs/doctor.md");
const README: &str = include_str!("../../README.md");

/// A command and the lines below it.
#[derive(Debug)]
struct Shown {
    command: String,
    output: Vec<String>,
}

/// The commands of the blocks that begin with this line.
fn commands(document: &str) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    for block in document.split("\n```console\n").skip(1) {
        for line in block.split("\n```").next().unwrap().lines() {
            match line.strip_prefix("$ ") {
                Some(command) => shown.push(Shown { command: command.to_owned(), output: Vec::new() }),
                None => shown.last_mut().expect("a block begins with a command").output.push(line.to_owned()),
            }
        }
    }
    shown
}

/// A folder in which commands run one after another, with a LiveKit server that agrees to everything.
struct Console {
    folder: PathBuf,
    livekit: StandIn,
    serving: Option<Serving>,
}

impl Console {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("roompass-console-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self { folder, livekit: StandIn::always("200 OK", "{\"participants\":[]}"), serving: None }
    }

    /// The lines that a command prints. `cat` of a file that the document shows writes it, and `serve` continues to run.
    fn run(&mut self, shown: &Shown) -> Vec<String> {
        let server = format!("ws://{}", self.livekit.address);
        if let Some(file) = shown.command.strip_prefix("cat ") {
            fs::write(self.folder.join(file), shown.output.join("\n") + "\n").unwrap();
            return shown.output.clone();
        }
        if shown.command == "roompass serve" {
            let mut command = roompass(&["serve", "--listen", "127.0.0.1:0"], &[("LIVEKIT_URL", &server)]);
            command.current_dir(&self.folder);
            let serving = Serving::start(command, "Press Ctrl-C");
            let lines = serving.started_with.clone();
            self.serving = Some(serving);
            return self.as_documented(&lines.join("\n"));
        }
        let mut line = shown.command.clone();
        if let Some(address) = self.address() {
            // The default of the option is this port, too.
            line = line.replace("roompass health", "roompass health --url http://127.0.0.1:3000/healthz");
            line = line.replace(PORT, &address);
        }
        let programs = Path::new(env!("CARGO_BIN_EXE_roompass")).parent().unwrap();
        let output = Command::new("sh")
            .args(["-c", &format!("{{ {line}; }} 2>&1")])
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display()))
            .env("LIVEKIT_URL", server)
            .output()
            .unwrap();
        self.as_documented(&String::from_utf8(output.stdout).unwrap())
    }

    /// The address of `serve`.
    fn address(&self) -> Option<String> {
        let serving = self.serving.as_ref()?;
        Some(serving.started_with[0].rsplit_once("http://").unwrap().1.to_owned())
    }

    /// The lines with the addresses of the documents.
    fn as_documented(&self, text: &str) -> Vec<String> {
        let text = text.replace(&self.livekit.address, "localhost:7880");
        let text = self.address().map_or(text.clone(), |address| text.replace(&address, PORT));
        text.lines().map(|line| line.trim_end().to_owned()).collect()
    }
}

const PORT: &str = "127.0.0.1:3000";

impl Drop for Console {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A line without what differs each time.
fn usual(line: &str) -> String {
    let differing = [
        ("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", "TIME"),
        ("eyJ[0-9A-Za-z_.…-]+", "TOKEN"),
        (r"(?-u:\b)rpk_[0-9a-z]+", "KEY"),
        ("sha256:[0-9a-f]{64}", "HASH"),
        (r"(?-u:\b)[0-9a-hjkmnp-tv-z]{20}(?-u:\b)", "RANDOM"),
        (r"(?-u:\b)1[789][0-9]{8}(?-u:\b)", "SECONDS"),
    ];
    differing.iter().fold(line.trim_end().to_owned(), |line, (pattern, name)| {
        Regex::new(pattern).unwrap().replace_all(&line, *name).into_owned()
    })
}

/// Whether the printed lines are those that are shown.
fn are_as_shown(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((any, rest)) if any == "…" => {
            (0..=printed.len()).any(|skipped| are_as_shown(rest, &printed[skipped..]))
        }
        Some((line, rest)) => {
            let pattern = regex::escape(&usual(line)).replace('…', ".*");
            let pattern = Regex::new(&format!("^{pattern}$")).unwrap();
            printed.first().is_some_and(|first| pattern.is_match(&usual(first)))
                && are_as_shown(rest, &printed[1..])
        }
    }
}

#[test]
fn the_commands_of_the_documents_print_what_they_show_and_each_command_is_shown() {
    let mut console = Console::new("commands");
    let mut differences = Vec::new();
    let shown: Vec<_> = [COMMANDS, DOCTOR].into_iter().flat_map(commands).collect();
    for shown in &shown {
        let printed = console.run(shown);
        if !are_as_shown(&shown.output, &printed) {
            differences.push(format!("$ {}\n{}", shown.command, printed.join("\n")));
        }
    }
    assert!(
        differences.is_empty(),
        "the documents show another output than these:\n\n{}",
        differences.join("\n\n")
    );
    let headings = COMMANDS.split("\n## `").skip(1).map(|section| section.split('`').next().unwrap());
    for command in headings {
        let command = format!("roompass {command}");
        assert!(shown.iter().any(|shown| shown.command.contains(&command)), "{command} is not shown");
    }
}

#[test]
fn the_readme_shows_what_the_program_prints_and_returns() {
    let block = |after: &str| {
        let (_, rest) = README.split_once(after).unwrap();
        let (_, block) = rest.split_once("```").unwrap();
        let (_, block) = block.split_once('\n').unwrap();
        block.split("\n```").next().unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut console = Console::new("readme");
    // The folder has no roompass.toml, so the one that was compiled in is used, as in a new clone.
    let printed = console.run(&Shown { command: "roompass serve".to_owned(), output: Vec::new() });
    assert!(are_as_shown(&block("`cargo run` prints:"), &printed), "{}", printed.join("\n"));
    let (status, answer) = console.serving.as_ref().unwrap().as_the_curl_command_says();
    assert_eq!(status, "HTTP/1.1 201 Created");
    let answer = console.as_documented(&answer.to_string());
    assert!(are_as_shown(&block("The `curl` command returns:"), &answer), "{answer:?}");
}

#[test]
fn a_difference_is_found() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (shown, printed, same) in [
        ("a\nb", "a\nb", true),
        ("a\nb", "a\nc", false),
        ("a", "a\nb", false),
        ("a\nb", "a", false),
        ("a\n…\nd", "a\nb\nc\nd", true),
        ("a\n…\nd", "a\nd", true),
        ("a\n…\nd", "a\nb", false),
        ("room x…z", "room xyz", true),
        ("room x…z", "room xy", false),
        ("at 2026-01-01T00:00:00Z", "at 2030-12-31T01:02:03Z", true),
        ("sha256:…", "sha256:", true),
    ] {
        assert_eq!(are_as_shown(&lines(shown), &lines(printed)), same, "{shown} {printed}");
    }
    let names: BTreeSet<_> = commands(COMMANDS).into_iter().map(|shown| shown.command).collect();
    assert!(names.len() > 12, "{names:?}");
}
