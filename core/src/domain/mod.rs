//! The types that all stages share. Only a `parse` that enforces the limits creates them, so a [`Pass`] is always valid
//! and isn't checked again.

mod agent;
pub mod agora;
mod ask;
mod attributes;
mod context;
mod duration;
mod egress;
mod field;
mod generated;
mod grants;
mod grants_ask;
mod limits;
mod malformed;
mod pass;
mod project;
mod provider;
mod room_config;
mod room_members;
mod server_url;
mod text;
mod ttl;

pub use agent::AgentDispatch;
pub use ask::{Ask, LoginAsk, LoginService, Role, RoomAsk, RoomField};
pub use attributes::Attributes;
pub use context::Context;
pub(crate) use duration::within;
pub use egress::{Egress, EgressRequest};
pub use field::{InvalidField, whole_number};
pub use generated::{READABLE_LENGTH, Randomness, is_readable, readable};
pub use grants::{
    AgentEndpoint, AgentThread, CloudAgents, Grants, Inference, KindDetail, Observability, ParticipantKind,
    Sip, TrackSource,
};
pub use grants_ask::GrantsAsk;
pub use limits::Limits;
pub use malformed::MalformedSecret;
pub use pass::{Access, Pass, RoomPass};
pub use project::{InvalidProject, Project};
pub use provider::Provider;
pub use room_config::RoomConfig;
pub use server_url::ServerUrl;
pub use text::{Identity, Metadata, ParticipantName, RoomName};
pub use ttl::Ttl;
