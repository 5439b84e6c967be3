//! Reads `roompass.toml` before anything is built, so that a mistake in it is found here and not in Lambda: by the very
//! files that read it when the program starts. They need nothing that is slow to build.

#![expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::struct_field_names,
    reason = "the program's files, of which this needs a part"
)]

#[path = "src/auth"]
mod auth {
    mod caller;
    mod config;
    mod issuer;
    mod via;

    pub use {caller::*, config::*, issuer::*, via::*};
}

#[path = "src/config"]
mod config {
    mod cors;
    mod dialects;
    mod file;
    mod http;
    mod keys;

    pub use {cors::*, dialects::*, file::*, http::*, keys::*};
}

#[path = "src/domain"]
mod domain {
    mod agent;
    pub mod agora;
    mod ask;
    mod attributes;
    mod duration;
    mod egress;
    mod field;
    mod generated;
    mod grants;
    mod limits;
    mod text;
    mod ttl;

    pub use {
        agent::*, ask::*, attributes::*, duration::*, egress::*, field::*, generated::*, grants::*,
        limits::*, text::*, ttl::*,
    };

    /// A request's, and there is none while building.
    #[derive(Debug, Clone, PartialEq)]
    pub enum RoomConfig {}
}

#[path = "src/escape.rs"]
mod escape;

#[path = "src/policy"]
mod policy {
    mod agents;
    pub mod check;
    mod condition;
    mod egress;
    mod identities;
    mod members;
    mod pattern;
    mod rule;
    mod source;
    mod template;

    pub use {pattern::*, rule::*};
}

#[path = "src/url.rs"]
mod url;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed={FILE}");
    if let Err(mistake) = config::Config::parse(&std::fs::read_to_string(FILE)?, FILE) {
        println!("cargo::error={}", escape::escaped(&mistake.to_string()));
    }
    Ok(())
}

const FILE: &str = "roompass.toml";
