//! The examples at the end of each command's `--help`.

use crate::init;

pub(crate) const ROOMPASS: &str = "\
Examples:
  roompass                           Serve on http://127.0.0.1:3000
  roompass --listen 127.0.0.1:8080   Serve on another port
  roompass init                      Write a first roompass.toml
  roompass help check                Show the options of a command";

const INIT: &str = "\
Examples:
  roompass init                              Ask for each answer
  roompass init --provider auth0 --tenant example.eu.auth0.com --audience https://calls.example.com --rooms claim:team
  roompass init --provider firebase --tenant my-project --rooms user --origins https://app.example.com
  roompass init --provider api-key --rooms any --output -";

pub(crate) const SERVE: &str = "\
Examples:
  roompass serve
  roompass serve --config my.toml --listen 127.0.0.1:8080
  roompass serve --caller claims.json   Treat every request as this caller
  roompass serve --log json";

pub(crate) const CHECK: &str = "\
Examples:
  roompass check
  roompass check my.toml
  roompass check --against claims --rooms team:red:1,lobby   Print who gets what
  roompass check --against claims --diff old.toml            Print what changes";

pub(crate) const DOCTOR: &str = "\
Examples:
  roompass doctor                            Issuers, keys and LiveKit servers
  roompass doctor --url https://calls.example.com/getToken
  roompass doctor --log roompass.log --account-settings account.json
  roompass doctor --secret secret.json       The function's secret";

pub(crate) const EXPLAIN: &str = "\
Examples:
  roompass explain                           A request without a credential
  roompass explain --caller claims.json
  roompass explain --caller claims.json --request body.json --json";

pub(crate) const INSPECT: &str = "\
Examples:
  roompass inspect eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl
  roompass inspect -                         Read the token from standard input
  roompass inspect - --at 2026-01-31T12:00:00Z --json";

pub(crate) const TEST: &str = "\
Examples:
  roompass test tests.toml
  roompass test tests.toml --config my.toml";

pub(crate) const REMOVE: &str = "\
Examples:
  roompass remove --room team:red:1 --identity ada
  roompass remove --room team:red:1 --identity ada --project eu";

pub(crate) const TOKEN: &str = "\
Examples:
  roompass token --room lobby
  roompass token --caller claims.json --room team:red:1
  roompass token --unchecked --room hello --identity ada --grants room_admin,can_publish=false --ttl 2h";

pub(crate) const HEALTH: &str = "\
Examples:
  roompass health
  roompass health --url https://calls.example.com/healthz";

pub(crate) const API_KEY: &str = "\
Examples:
  roompass api-key web";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  roompass completions bash > ~/.local/share/bash-completion/completions/roompass
  roompass completions zsh > ~/.zfunc/_roompass
  roompass completions fish > ~/.config/fish/completions/roompass.fish";

pub(crate) const MAN: &str = "\
Examples:
  roompass man > ~/.local/share/man/man1/roompass.1
  roompass man check > ~/.local/share/man/man1/roompass-check.1";

/// The examples of `init`, and the providers.
pub(crate) fn init() -> String {
    let lines = init::providers().map(|(name, title)| format!("\n  {name:15}  {title}"));
    format!("{INIT}\n\nProviders:{}", lines.collect::<String>())
}
