//! An agent that a request dispatches.

/// One entry of `room_config.agents`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentDispatch<'a> {
    /// The index in the request.
    pub index: usize,
    /// `agent_name`.
    pub name: &'a str,
    /// `deployment`, if the request names one.
    pub deployment: Option<&'a str>,
    /// The other members that the request sets, from [`Self::MEMBERS`].
    pub members: Vec<&'static str>,
}

impl AgentDispatch<'_> {
    /// The members that `client_may_set` can list, by LiveKit's names. `agent_name` and `deployment` aren't among them,
    /// because a rule lists their values.
    pub const MEMBERS: &'static [&'static str] = &["metadata", "attributes", "restart_policy"];

    /// The maximum number of agents in a request, for every rule.
    pub const MAX: usize = 8;
}
