//! The public behaviour: through the router, through whole Lambda events, and of the program on a laptop.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod agora;
mod api_document;
mod built_in;
mod commands;
mod compound;
mod console;
mod cors;
mod credential_header;
mod dialects;
mod doctor;
mod documents;
mod endpoint;
mod gateway;
mod hostile;
mod hostile_text;
mod init;
mod inspect;
mod issuer;
mod lambda_events;
mod local_files;
mod log;
mod long_text;
mod manual;
mod metrics;
mod mistakes;
mod one_command;
mod openapi;
mod oracle;
mod paths;
mod policies;
mod projects;
mod providers;
mod reference;
mod reload;
mod secrets;
mod security;
mod serve;
mod serve_policy;
mod serve_production;
mod snapshots;
mod structure;
mod support;
mod template;
mod urls;
