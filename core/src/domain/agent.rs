//! An agent that a request dispatches, as the policy judges it.

/// One entry of `room_config.agents`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentDispatch<'a> {
    /// Its index in the request.
    pub index: usize,
    /// `agent_name`.
    pub name: &'a str,
    /// `deployment`, if the request names one.
    pub deployment: Option<&'a str>,
    /// Its other members that the request sets, each one of [`Self::MEMBERS`].
    pub members: Vec<&'static str>,
}

impl AgentDispatch<'_> {
    /// The members that a rule can let the client set, by LiveKit's names. `agent_name` and `deployment` are not among
    /// them: a rule lists their values.
    pub const MEMBERS: &'static [&'static str] = &["metadata", "attributes", "restart_policy"];

    /// How many agents a request can dispatch, whatever the rule.
    pub const MAX: usize = 8;
}
