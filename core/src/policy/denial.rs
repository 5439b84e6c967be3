//! Why a request is denied. The client and the log get these messages.

use super::AgentProblem;
use crate::domain::{InvalidField, LoginService, Project, Ttl};

/// Why a request is denied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// An entry of `[[deny]]` is for this request. The reason is only for the log.
    #[error("denied by [[deny]] number {}{}", .position + 1, .reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    Denied {
        /// The entry's position in the file, from 0.
        position: usize,
        /// The entry's `reason`.
        reason: Option<String>,
    },
    /// No rule matches this caller.
    #[error("No rule matches this caller.")]
    NoRule,
    /// The deciding rule has no rooms.
    #[error("Rule {rule:?} opens no room.")]
    NoRoom {
        /// The rule's name.
        rule: String,
    },
    /// Rules match this caller, but no rule has this room.
    #[error("No rule opens this room to this caller.")]
    RoomNotAllowed,
    /// No room is requested, and no rule for this caller has a default room.
    #[error("The field {field} is required: no rule for this caller has a default room.")]
    RoomRequired {
        /// The room's field in the request.
        field: &'static str,
    },
    /// The deciding rule doesn't allow the client to set this field.
    #[error(
        "The field {field} can't be set by the client: rule {rule:?} does not list it in client_may_set."
    )]
    FieldNotAllowed {
        /// The field's path in the request.
        field: &'static str,
        /// The rule's name.
        rule: String,
    },
    /// The request asks for a grant that the deciding rule doesn't give.
    #[error(
        "The field {field} asks for more than rule {rule:?} gives, and its client_may_set does not list {field}."
    )]
    GrantNotGiven {
        /// The grant's path in the request.
        field: &'static str,
        /// The rule's name.
        rule: String,
    },
    /// The deciding rule doesn't allow Agora's uid 0.
    #[error(
        "The field uid is 0, whose token is valid for any user: rule {rule:?} does not set agora_uid_zero = true."
    )]
    UidZeroNotAllowed {
        /// The rule's name.
        rule: String,
    },
    /// The deciding rule doesn't allow the client to set this member of an agent's dispatch or of egress.
    #[error(
        "The field {field} can't be set by the client: rule {rule:?} does not list {member:?} in client_may_set of {list}."
    )]
    MemberNotAllowed {
        /// The member's path in the request.
        field: String,
        /// The name in `client_may_set`.
        member: &'static str,
        /// The rule's entry without this member.
        list: &'static str,
        /// The rule's name.
        rule: String,
    },
    /// The deciding rule doesn't allow the client to dispatch these agents.
    #[error("The field {problem} of rule {rule:?}.")]
    AgentNotAllowed {
        /// The agent, and the reason.
        problem: AgentProblem,
        /// The rule's name.
        rule: String,
    },
    /// The deciding rule doesn't allow the client to request this egress.
    #[error("The field {field} requests egress that rule {rule:?} does not list in egress.")]
    EgressNotAllowed {
        /// The field's path in the request.
        field: &'static str,
        /// The rule's name.
        rule: String,
    },
    /// The requested lifetime is longer than the deciding rule allows.
    #[error(
        "The requested lifetime is longer than {max_ttl}, the maximum of rule {rule:?} (max_ttl, or ttl without it)."
    )]
    TtlTooLong {
        /// The maximum lifetime.
        max_ttl: Ttl,
        /// The rule's name.
        rule: String,
    },
    /// The deciding rule doesn't allow publishing.
    #[error("The request asks to publish, and rule {rule:?} does not allow it.")]
    PublishingNotAllowed {
        /// The rule's name.
        rule: String,
    },
    /// The rules that decide the parts of one request use different projects, whose tokens don't belong together.
    #[error(
        "The parts of this request are for different projects: {} of rule {:?}, and {} of rule {:?}.",
        .of_rules[0].0, .of_rules[0].1, .of_rules[1].0, .of_rules[1].1
    )]
    SeveralProjects {
        /// Two projects, each with the name of the rule that decides it.
        of_rules: [(Project, String); 2],
    },
    /// Rules match this caller, but no rule lists this service.
    #[error("No rule for this caller lists {} in agora_logins.", .0.as_str())]
    LoginNotAllowed(LoginService),
    /// The caller's credential has expired, and the deciding rule sets `within_credential`.
    #[error("The credential has expired, and rule {rule:?} issues no token after that (within_credential).")]
    CredentialExpired {
        /// The rule's name.
        rule: String,
    },
    /// The rule's and the client's values together are too long.
    #[error("The field {0}, including the rule's values.")]
    Invalid(#[from] InvalidField),
}
