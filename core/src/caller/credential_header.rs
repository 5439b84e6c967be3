//! `credential_header` of a `[[caller]]`: the header that has the credential, where a platform uses `Authorization` itself.

use http::HeaderName;

use super::mistake::InvalidCaller;

/// Parses the name of a header. `presents` is whether callers of this kind present a credential in a header.
pub(super) fn parse(written: String, presents: bool) -> Result<HeaderName, InvalidCaller> {
    let mistake = |problem: String| InvalidCaller::new("credential_header", problem);
    if !presents {
        let problem = "credential_header is only for kind = \"jwt\" and kind = \"api-key\"";
        return Err(mistake(problem.into()));
    }
    let name = HeaderName::try_from(written).map_err(|_| {
        mistake(
            "credential_header must be the name of a header, such as \"X-Forwarded-Authorization\"".into(),
        )
    })?;
    if DEFAULTS.contains(&name.as_str()) {
        let problem =
            "credential_header must not be Authorization or X-API-Key: remove it, and both are read";
        return Err(mistake(problem.into()));
    }
    if OTHERS.contains(&name.as_str()) {
        return Err(mistake(format!("credential_header must not be {name}, which has another meaning")));
    }
    Ok(name)
}

/// The headers that are read without `credential_header`.
const DEFAULTS: [&str; 2] = ["authorization", "x-api-key"];

/// Headers that clients, browsers and proxies set to other values.
const OTHERS: [&str; 16] = [
    "accept",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "forwarded",
    "host",
    "origin",
    "proxy-authorization",
    "referer",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-sandbox-id",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_header_is_a_header_without_another_meaning() {
        for name in ["X-Forwarded-Authorization", "x-auth", "X-Amz-Security-Token"] {
            assert_eq!(parse(name.to_owned(), true).unwrap().as_str(), name.to_ascii_lowercase());
        }
        for (name, problem) in [
            ("", "must be the name of a header"),
            ("X Auth", "must be the name of a header"),
            ("X-Auth:", "must be the name of a header"),
            ("authorization", "both are read"),
            ("X-API-Key", "both are read"),
            ("Cookie", "must not be cookie, which has another meaning"),
            ("Host", "must not be host, which has another meaning"),
        ] {
            let mistake = parse(name.to_owned(), true).unwrap_err();
            assert_eq!(mistake.key, "credential_header");
            assert!(mistake.problem.contains(problem), "{}", mistake.problem);
        }
        assert!(parse("x-auth".to_owned(), false).unwrap_err().problem.contains("is only for kind"));
    }
}
