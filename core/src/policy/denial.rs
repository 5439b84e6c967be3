//! Why nothing is given: the texts that the client sees, and the log too.

use super::AgentProblem;
use crate::domain::{InvalidField, LoginService, Ttl};

/// Why nothing is given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// No rule matches this caller.
    #[error("No rule matches this caller.")]
    NoRule,
    /// The rule that decides opens no room.
    #[error("Rule {rule:?} opens no room.")]
    NoRoom {
        /// The rule's name.
        rule: String,
    },
    /// Rules are for this caller, and none opens this room.
    #[error("No rule opens this room to this caller.")]
    RoomNotAllowed,
    /// The rule that decides doesn't let the client set this field.
    #[error(
        "The field {field} can't be set by the client: rule {rule:?} does not list it in client_may_set."
    )]
    FieldNotAllowed {
        /// The field's path in the request.
        field: &'static str,
        /// The rule's name.
        rule: String,
    },
    /// The rule that decides doesn't let the client set this member of an agent's dispatch or of egress.
    #[error(
        "The field {field} can't be set by the client: rule {rule:?} does not list {member:?} in client_may_set of {list}."
    )]
    MemberNotAllowed {
        /// The member's path in the request.
        field: String,
        /// Its name in `client_may_set`.
        member: &'static str,
        /// The entry of the rule that would list it.
        list: &'static str,
        /// The rule's name.
        rule: String,
    },
    /// The rule that decides doesn't let the client dispatch these agents.
    #[error("The field {problem} of rule {rule:?}.")]
    AgentNotAllowed {
        /// Which agent, and why not.
        problem: AgentProblem,
        /// The rule's name.
        rule: String,
    },
    /// The rule that decides doesn't let the client set up this recording.
    #[error("The field {field} requests egress that rule {rule:?} does not list in egress.")]
    EgressNotAllowed {
        /// The field's path in the request.
        field: &'static str,
        /// The rule's name.
        rule: String,
    },
    /// The request asks for more time than the rule that decides gives.
    #[error("The requested lifetime is longer than {max_ttl}, the max_ttl of rule {rule:?}.")]
    TtlTooLong {
        /// The most that may be asked for.
        max_ttl: Ttl,
        /// The rule's name.
        rule: String,
    },
    /// The rule that decides lets its callers only receive.
    #[error("The request asks to publish, and rule {rule:?} does not allow it.")]
    PublishingNotAllowed {
        /// The rule's name.
        rule: String,
    },
    /// Rules are for this caller, and none gives a login at this service.
    #[error("No rule for this caller lists {} in agora_logins.", .0.as_str())]
    LoginNotAllowed(LoginService),
    /// The caller's credential has expired, and the rule that decides says `within_credential`.
    #[error("The credential has expired, and rule {rule:?} gives nothing after that (within_credential).")]
    CredentialEnded {
        /// The rule's name.
        rule: String,
    },
    /// What the rule and the client say together is too long.
    #[error("The field {0}, with what the rule says.")]
    Invalid(#[from] InvalidField),
}
