//! The base path of the endpoint.

use serde::Deserialize;

/// `[http]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// `base_path`: the prefix of every path, for a proxy or a custom domain that keeps its prefix. Empty unless set.
    /// The named stage of an HTTP API, on API Gateway's own domain, is removed without this setting.
    pub base_path: BasePath,
}

/// A prefix such as `/calls`, or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct BasePath(String);

impl BasePath {
    /// The prefix, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A string that isn't a prefix.
#[derive(Debug, thiserror::Error)]
#[error(
    "must be empty or like \"/calls\": each part starts with a slash and contains only letters, digits and -._~"
)]
pub struct InvalidBasePath;

impl TryFrom<String> for BasePath {
    type Error = InvalidBasePath;

    fn try_from(text: String) -> Result<Self, InvalidBasePath> {
        let plain = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        };
        let is_valid = match text.strip_prefix('/') {
            None => text.is_empty(),
            Some(parts) => parts.split('/').all(plain),
        };
        if is_valid { Ok(Self(text)) } else { Err(InvalidBasePath) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_is_a_plain_prefix() {
        for text in ["", "/calls", "/v1/calls", "/a-b_c.d~e"] {
            assert_eq!(BasePath::try_from(text.to_owned()).unwrap().as_str(), text);
        }
        for text in ["/", "calls", "/calls/", "//", "/{id}", "/a b", "/*"] {
            assert!(BasePath::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
