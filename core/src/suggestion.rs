//! Suggestions for misspelled names.

/// The known name that a written name most likely stands for: another spelling, a term of other systems, or at most two
/// typing errors.
#[must_use]
pub fn suggestion<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<_> = known.into_iter().collect();
    let same = |name: &&&str| plain(name) == plain(written);
    let written_plain = plain(written);
    let mut terms = TERMS.iter().filter(|(terms, _)| terms.contains(&written_plain.as_str()));
    let term = terms.find_map(|(_, name)| known.iter().find(|known| *known == name));
    let is_close = |name: &&&str| {
        let errors = strsim::damerau_levenshtein(&written.to_lowercase(), &name.to_lowercase());
        errors <= 2 && errors * 3 <= name.len()
    };
    let by_errors = |name: &&&str| strsim::damerau_levenshtein(&written.to_lowercase(), &name.to_lowercase());
    let closest = known.iter().filter(is_close).min_by_key(by_errors);
    known.iter().find(same).or(term).or(closest).copied()
}

/// `; did you mean …?`, or nothing.
#[must_use]
pub fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// A name without case, `_`, `-` and spaces.
fn plain(name: &str) -> String {
    name.chars().filter(|char| !['_', '-', ' ', '.'].contains(char)).flat_map(char::to_lowercase).collect()
}

/// Terms of other systems, each with the name here.
const TERMS: [(&[&str], &str); 28] = [
    (&["user", "users", "userid", "subject", "subjects", "uid"], "sub"),
    (&["if", "condition", "conditions", "match", "matches", "where", "requires"], "when"),
    (&["room", "channel", "channels", "resource", "resources"], "rooms"),
    (&["caller", "subject", "subjects", "principal", "principals", "from", "who"], "callers"),
    (&["permissions", "permission", "allow", "allows", "grant", "scopes", "actions", "rights"], "grants"),
    (&["lifetime", "expires", "expiry", "exp", "expiresin", "validfor", "timeout", "expiration"], "ttl"),
    (&["maxlifetime", "maxage"], "max_ttl"),
    (&["metadata"], "participant_metadata"),
    (&["attributes"], "participant_attributes"),
    (&["name", "displayname", "nickname"], "participant_name"),
    (&["userid", "user", "participantidentity", "uid"], "identity"),
    (&["userid", "user", "identity", "uid"], "participant_identity"),
    (&["clientcanset", "allowedfields", "fields"], "client_may_set"),
    (&["roomconfiguration", "roomoptions"], "room_config"),
    (&["aud", "clientid"], "audience"),
    (&["iss", "domain", "authority"], "issuer"),
    (&["jwks", "jwksuri", "keysurl"], "jwks_url"),
    (&["alg", "algs", "algorithm"], "algorithms"),
    (&["oidc", "openid", "oauth", "oauth2", "bearer", "token"], "jwt"),
    (&["type"], "kind"),
    (&["agentname"], "name"),
    (&["livekit", "default"], "standard"),
    (&["screen", "screenshare", "desktop"], "screen_share"),
    (&["mic", "audio"], "microphone"),
    (&["webcam", "video"], "camera"),
    (&["recording", "composite", "roomcomposite", "record"], "room"),
    (&["from", "expires", "expiresat", "end", "ends"], "until"),
    (&["key", "keys", "keyname"], "api_key"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_suggested_for_another_spelling_a_term_of_other_systems_or_a_typing_error() {
        let known = ["rooms", "room_config", "when", "ttl", "can_publish", "api-key", "jwt", "name"];
        for (written, name) in [
            ("Rooms", Some("rooms")),
            ("canPublish", Some("can_publish")),
            ("apikey", Some("api-key")),
            ("room", Some("rooms")),
            ("if", Some("when")),
            ("OIDC", Some("jwt")),
            ("can_pubish", Some("can_publish")),
            ("nmae", Some("name")),
            ("roomconfig", Some("room_config")),
            ("expires", Some("ttl")),
            ("tt", Some("ttl")),
            ("xy", None),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(suggestion(written, known), name, "{written}");
        }
        assert_eq!(suggestion("if", ["rooms"]), None, "a term is suggested only where its name is known");
    }
}
