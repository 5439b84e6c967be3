//! Agora's keys: the ID and the certificate of an app.

use secrecy::{ExposeSecret, SecretString};

use super::MalformedSecret;

/// The ID and the certificate of an app. Agora signs with the hexadecimal text itself, so neither is decoded.
#[derive(Debug, Clone)]
pub struct AgoraKeys {
    /// `AGORA_APP_ID`. It's public: each token contains it.
    pub app_id: String,
    certificate: SecretString,
}

impl AgoraKeys {
    /// Checks an app's ID and its certificate.
    ///
    /// # Errors
    /// If one isn't 32 hexadecimal digits, or both are equal: the ID is public.
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

    /// The certificate. Only for signing.
    pub(crate) fn expose_certificate(&self) -> &str {
        self.certificate.expose_secret()
    }
}

/// The names of the secret's members, and of the environment variables for the same values.
pub(crate) const APP_ID: &str = "AGORA_APP_ID";
pub(crate) const APP_CERTIFICATE: &str = "AGORA_APP_CERTIFICATE";

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "0123456789abcdefABCDEF0123456789";

    #[test]
    fn both_must_be_32_hexadecimal_digits_and_stay_unchanged() {
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
    fn a_certificate_that_equals_the_app_id_is_a_mistake() {
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
