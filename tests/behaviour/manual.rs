//! `roompass completions` and `roompass man`.

use std::process::Command;

use crate::serve::roompass;

const COMMANDS: [&str; 4] = ["serve", "check", "api-key", "completions"];

fn printed(arguments: &[&str]) -> String {
    let output = roompass(arguments, &[]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn each_shell_has_a_script_with_each_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["completions", shell]);
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    assert_eq!(roompass(&["completions", "tcsh"], &[]).output().unwrap().status.code(), Some(2));
}

#[test]
fn bash_completes_a_command_and_its_options() {
    let completed = |words: [&str; 3], position: usize| {
        let [program, before, word] = words;
        let call = format!(
            "source <(\"$PROGRAM\" completions bash); COMP_WORDS=({program} {before} {word}); COMP_CWORD={position}; \
             _roompass roompass '{word}' '{before}'; echo \"${{COMPREPLY[*]}}\""
        );
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", &call]).env("PROGRAM", env!("CARGO_BIN_EXE_roompass")).output()
    };
    match completed(["roompass", "", "chec"], 1) {
        Err(error) if std::env::var_os("CI").is_some() => panic!("bash is needed: {error}"),
        Err(error) => eprintln!("skipped, because bash is needed: {error}"),
        Ok(output) => {
            let output_of = |bytes| String::from_utf8(bytes).unwrap();
            assert_eq!(output_of(output.stdout), "check\n", "{}", output_of(output.stderr));
            let options = completed(["roompass", "check", "--dif"], 2).unwrap();
            assert_eq!(output_of(options.stdout), "--diff\n", "{}", output_of(options.stderr));
        }
    }
}

#[test]
fn the_manual_has_a_page_for_the_program_and_for_each_command_with_examples() {
    let page = printed(&["man"]);
    assert!(page.contains(".TH roompass 1") && page.contains("roompass\\-check(1)"), "{page}");
    let page = printed(&["man", "check"]);
    assert!(page.contains(".TH roompass-check 1") && page.contains("\\-\\-against"), "{page}");
    let (_, examples) = page.split_once(".SH EXAMPLES\n").unwrap();
    assert!(examples.starts_with(".nf\nroompass check\nroompass check my.toml\n"), "{examples}");
    let output = roompass(&["man", "nope"], &[]).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.starts_with("roompass: unknown command \"nope\": use one of init, serve, check, "),
        "{error}"
    );
}
