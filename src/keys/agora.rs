//! Agora's keys: an app's id, and the certificate that signs for it.

use secrecy::{ExposeSecret, SecretString};

use super::MalformedSecret;

/// An app and what signs its tokens. Agora uses both as the text its console shows, so nothing is decoded or folded.
#[derive(Debug, Clone)]
pub struct AgoraKeys {
    /// `AGORA_APP_ID`: the app, public in each token.
    pub app_id: String,
    certificate: SecretString,
}

impl AgoraKeys {
    /// An app's id and its certificate.
    ///
    /// # Errors
    /// Where either isn't 32 hexadecimal digits, or both are the same: the ID is public.
    pub fn new(app_id: String, certificate: String) -> Result<Self, MalformedSecret> {
        for (member, text) in [(APP_ID, &app_id), (APP_CERTIFICATE, &certificate)] {
            if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(MalformedSecret::new(
                    member,
                    "must be 32 hexadecimal digits, as Agora's console shows it",
                ));
            }
        }
        if app_id.eq_ignore_ascii_case(&certificate) {
            return Err(MalformedSecret::new(
                APP_CERTIFICATE,
                format!("must not be the same as {APP_ID}, which is public"),
            ));
        }
        Ok(Self { app_id, certificate: certificate.into() })
    }

    /// The certificate, for the one place that signs.
    pub(crate) fn expose_certificate(&self) -> &str {
        self.certificate.expose_secret()
    }
}

/// The names of the secret's members, and of the environment variables for the same things.
pub(crate) const APP_ID: &str = "AGORA_APP_ID";
pub(crate) const APP_CERTIFICATE: &str = "AGORA_APP_CERTIFICATE";

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "0123456789abcdefABCDEF0123456789";

    #[test]
    fn both_are_thirty_two_hexadecimal_digits_kept_as_they_are() {
        let other = "fedcba9876543210FEDCBA9876543210";
        let keys = AgoraKeys::new(GOOD.into(), other.into()).unwrap();
        assert_eq!((keys.app_id.as_str(), keys.expose_certificate()), (GOOD, other));
        for bad in [
            "",
            &GOOD[1..],
            &format!("{GOOD}0"),
            &format!(" {}", &GOOD[1..]),
            &"g".repeat(32),
            &"é".repeat(16),
        ] {
            for (keys, member) in [
                (AgoraKeys::new(bad.into(), GOOD.into()), APP_ID),
                (AgoraKeys::new(GOOD.into(), bad.into()), APP_CERTIFICATE),
            ] {
                let message = keys.unwrap_err().to_string();
                assert_eq!(
                    message,
                    format!("{member} must be 32 hexadecimal digits, as Agora's console shows it"),
                    "{bad:?}"
                );
            }
        }
    }

    #[test]
    fn an_apps_id_is_no_certificate() {
        for certificate in [GOOD.to_owned(), GOOD.to_uppercase()] {
            assert_eq!(
                AgoraKeys::new(GOOD.into(), certificate).unwrap_err().to_string(),
                "AGORA_APP_CERTIFICATE must not be the same as AGORA_APP_ID, which is public"
            );
        }
    }

    #[test]
    fn the_certificate_is_never_shown() {
        let keys = AgoraKeys::new("a".repeat(32), GOOD.into()).unwrap();
        assert!(!format!("{keys:?}").contains(GOOD));
    }
}
