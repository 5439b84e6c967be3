//! The words the stages share. Each is built only by a `parse` that enforces its limits, so that a [`Pass`] that
//! exists is a valid one and nobody checks again.

mod agent;
pub mod agora;
mod attributes;
mod clock;
mod duration;
mod egress;
mod field;
mod generated;
mod grants;
mod limits;
mod pass;
mod room_config;
mod room_members;
mod text;
mod ttl;

pub use agent::AgentDispatch;
pub use attributes::Attributes;
pub use clock::wall_clock;
pub(crate) use duration::within;
pub use egress::{Egress, EgressRequest};
pub use field::InvalidField;
pub(crate) use generated::{READABLE_LENGTH, is_readable, readable};
pub use generated::{Randomness, operating_system_randomness};
pub use grants::{
    AgentEndpoint, AgentThread, CloudAgents, Grants, Inference, Kind, Observability, Sip, TrackSource,
};
pub use limits::Limits;
pub use pass::{AgoraToken, Login, LoginRequest, LoginService, Pass, PassRequest, Role};
pub use room_config::RoomConfig;
pub use text::{Identity, Metadata, ParticipantName, RoomName};
pub use ttl::Ttl;
