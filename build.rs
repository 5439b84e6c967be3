//! Reads `roompass.toml` before anything is built, so that a mistake in it is found here and not in Lambda: by the very
//! files that read it when the program starts.

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

    pub use caller::Caller;
    pub use config::{CallerConfig, CallerKind};
    pub(crate) use config::{InvalidCaller, WrittenCaller, mistake};
    pub use issuer::{Algorithm, Issuer, KeyPlace};
    pub use via::Via;
}

#[path = "src/config"]
mod config {
    mod cors;
    mod file;
    mod http;

    pub use cors::Cors;
    pub use file::Config;
    pub use http::Http;
}

#[path = "src/domain"]
mod domain {
    mod attributes;
    mod egress;
    mod field;
    mod generated;
    mod grants;
    mod limits;
    mod pass;
    mod text;
    mod ttl;

    pub use attributes::Attributes;
    pub use egress::Egress;
    pub use field::InvalidField;
    pub use generated::Randomness;
    pub(crate) use generated::readable;
    pub use grants::Grants;
    pub use limits::Limits;
    pub use pass::{LoginService, Pass, PassRequest};
    pub use text::{Identity, Metadata, ParticipantName, RoomName};
    pub use ttl::Ttl;

    /// A request's, and there is none while building.
    #[derive(Debug, Clone, PartialEq)]
    pub enum RoomConfig {}
}

#[path = "src/policy"]
mod policy {
    mod agents;
    pub(crate) mod check;
    mod condition;
    mod pattern;
    mod rule;
    mod source;
    mod template;

    pub use pattern::RoomPattern;
    pub use rule::Rule;
}

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed={FILE}");
    if let Err(mistake) = config::Config::parse(&std::fs::read_to_string(FILE)?, FILE) {
        println!("cargo::error={mistake}");
    }
    Ok(())
}

const FILE: &str = "roompass.toml";
