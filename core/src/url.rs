//! Redacts URLs. A user name, a password, a query and a fragment may be secrets, so no error and no log line shows
//! them. It works on any text, because a mistyped URL may contain a secret too.

use std::borrow::Cow;

/// Whether a URL contains a user name or a password, as in `https://user:password@host`.
#[must_use]
pub fn has_userinfo(url: &str) -> bool {
    let after_scheme = url.split_once("://").map(|(_, rest)| rest);
    after_scheme.and_then(|rest| rest.split_once('@')).is_some_and(|(before, _)| !is_host_and_path(before))
}

/// The URL with an ellipsis in place of possible secrets: everything after `?` or `#`, and everything after the scheme
/// if an `@` may end a password. Text that isn't a URL or a path is unchanged, unless it looks like
/// `user:password@host` or `host?key=value`.
#[must_use]
pub fn shown(url: &str) -> Cow<'_, str> {
    let scheme = url.find("://").map(|scheme| scheme + "://".len());
    if let Some(at) = url.find('@') {
        match scheme {
            Some(scheme) if scheme > at => return "…".into(),
            Some(scheme) if !is_host_and_path(&url[scheme..at]) => {
                return format!("{}…", &url[..scheme]).into();
            }
            None if url[..at].contains(':') => return "…".into(),
            _ => {}
        }
    }
    let secret = match scheme {
        Some(_) => url.find(['?', '#']),
        None if url.starts_with('/') => url.find('?'),
        None => url.find('?').filter(|query| url[*query..].contains('=')),
    };
    match secret.filter(|secret| secret + 1 < url.len()) {
        Some(secret) => format!("{}…", &url[..=secret]).into(),
        None => url.into(),
    }
}

/// Whether the text between a scheme and an `@` is a host with the start of a path or query, as in
/// `https://host/keys/name@example.com`, and not a user name or password.
fn is_host_and_path(text: &str) -> bool {
    let Some((authority, path)) = text.split_once(['/', '?', '#']) else { return false };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[:]".contains(&byte);
    !host.is_empty()
        && host.bytes().all(is_host_byte)
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && !path.contains(|char: char| char == ':' || char.is_whitespace())
}

/// A line of TOML, or a message that quotes one, with each string redacted by [`shown`].
pub(crate) fn shown_in(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    loop {
        let before = &rest[..rest.find(QUOTES).unwrap_or(rest.len())];
        if before.contains("://") {
            // The end of a URL without quotes is unknown.
            return text + &shown(rest);
        }
        text += &shown(before);
        let mut inside = rest[before.len()..].chars();
        let Some(quote) = inside.next() else { return text };
        text.push(quote);
        let inside = inside.as_str();
        let string = &inside[..inside.find(quote).unwrap_or(inside.len())];
        let hides = |mark| inside.contains(mark);
        if string.contains('\\') && ["@", "?", "#", "\\u", "\\U"].into_iter().any(hides) {
            // An escape could be a quote, or part of a secret.
            text.push('…');
            return text;
        }
        if string.split_once("://").is_some_and(|(before, _)| before.contains(' ')) {
            // The quote may be an apostrophe.
            return text + &shown(inside);
        }
        text += &shown(string);
        rest = &inside[string.len()..];
        if let Some(after) = rest.strip_prefix(quote) {
            text.push(quote);
            rest = after;
        }
    }
}

const QUOTES: [char; 3] = ['"', '\'', '`'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn possible_secrets_in_a_url_are_not_shown() {
        for (url, is_shown) in [
            ("https://user:canary@host/keys", "https://…"),
            ("https://canary@host", "https://…"),
            ("https://user:can/ary@host", "https://…"),
            ("https://user:can?ary@host", "https://…"),
            ("https://user:can#ary@host", "https://…"),
            ("https://user:can ary@host", "https://…"),
            ("user:canary@host", "…"),
            ("user:canary@https://host", "…"),
            ("https:\\\\user:canary@host", "…"),
            ("https://user:canary/@host", "https://…"),
            ("https://a/ and https://user:canary@host", "https://…"),
            ("https://host:8080/keys/name@example.com?canary", "https://host:8080/keys/name@example.com?…"),
            ("https://host?to=canary@example.com", "https://host?…"),
            ("https://host:8080/keys?token=canary", "https://host:8080/keys?…"),
            ("https://host?canary", "https://host?…"),
            ("https://host/#canary", "https://host/#…"),
            ("host/keys?token=canary", "host/keys?…"),
            ("/getToken?canary", "/getToken?…"),
        ] {
            assert_eq!(shown(url), is_shown);
        }
    }

    #[test]
    fn text_without_a_secret_is_unchanged() {
        for text in [
            "",
            "https://login.example.com/",
            "wss://x.livekit.cloud",
            "http://[::1]:8080/keys",
            "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
            "http://[::1]/keys/name@example.com",
            "urn:example:backend",
            "backend",
            "ada@example.com",
            "{sub}@{iss}",
            "Who? Me",
            "room#1:*",
            "/getToken?",
        ] {
            assert!(matches!(shown(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn each_string_in_a_line_is_redacted() {
        for (line, is_shown) in [
            (r#"jwks_url = "http://host/keys?canary""#, r#"jwks_url = "http://host/keys?…""#),
            ("jwks_url = 'http://user:can\"ary@host'", "jwks_url = 'http://…'"),
            (
                r#"{ issuer = "https://a", jwks_url = "https://u:canary@b", audience = "c" }"#,
                r#"{ issuer = "https://a", jwks_url = "https://…", audience = "c" }"#,
            ),
            (
                r#"origins = ["https://a", "https://b?canary"] # it's"#,
                r#"origins = ["https://a", "https://b?…"] # it's"#,
            ),
            (r#"issuer = "https://u:can\"ary@host""#, r#"issuer = "…"#),
            (r#"issuer = "https://u:canary\u0040host""#, r#"issuer = "…"#),
            ("https://u:it's-canary@host", "https://…"),
            ("# it's https://u:it's-canary@host", "# it's https://…"),
            (r#"issuer = "https://u:canary@host"#, r#"issuer = "https://…"#),
            (
                "unknown variant `https://u:canary@host`, expected `jwt`",
                "unknown variant `https://…`, expected `jwt`",
            ),
            (r#"{ "claims.\"a.b\"" = "user" }"#, r#"{ "claims.\"a.b\"" = "user" }"#),
            ("", ""),
        ] {
            assert_eq!(shown_in(line), is_shown);
        }
    }

    #[test]
    fn a_user_name_before_the_host_is_found() {
        for (url, has) in [
            ("https://user:password@host/", true),
            ("wss://user@host", true),
            ("https://user:pass/word@host", true),
            ("https://user:pass?word@host", true),
            ("https://host/@scope", false),
            ("https://host?a@b", false),
            ("https://host", false),
            ("ada@example.com", false),
        ] {
            assert_eq!(has_userinfo(url), has, "{url}");
        }
    }
}
