//! Agora's names for channels and people, which are narrower than LiveKit's: a token whose channel or user is `*`,
//! nothing or 0 is good for many channels or for any user, and none of that is a name here.

use serde::Deserialize;

use super::InvalidField;

/// How a token is laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum TokenVersion {
    /// `007`: what Agora's SDKs have read since 2022.
    #[default]
    #[serde(rename = "007")]
    V007,
    /// `006`: for the ones before.
    #[serde(rename = "006")]
    V006,
}

macro_rules! agora_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// The name, byte for byte as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

agora_name!(
    /// The channel that a token opens: 1 to 64 bytes of letters, digits, spaces and `` !#$%&()+-:;<=.>?@[]^_{}|~, ``, not
    /// spaces alone.
    ChannelName
);
agora_name!(
    /// A user with a number: 1 to 4294967295, in digits as a program would write them.
    Uid
);
agora_name!(
    /// A user with a name, in calls: 1 to 255 bytes of the characters of a [`ChannelName`], and something
    /// other than zeros and spaces. A number is an account too: Agora keeps both in the same place of a token.
    Account
);
agora_name!(
    /// A user with a name, in Signaling (RTM): at most 64 bytes, otherwise as an [`Account`].
    RtmUser
);

agora_name!(
    /// A user with a name, in Chat: 1 to 64 of a to z, digits, `_`, `-` and `.`. Agora ignores case there,
    /// so they are none of it.
    ChatUser
);

impl ChannelName {
    /// The field's name in a request.
    pub const FIELD: &str = "channel";
    const MOST: usize = 64;

    /// A name that means this one channel.
    ///
    /// # Errors
    /// Where it's empty or blank, too long, or holds another character.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidField> {
        let text = plain(Self::FIELD, text.into(), Self::MOST)?;
        if text.trim_matches(' ').is_empty() {
            return Err(InvalidField::new(Self::FIELD, "must not be blank"));
        }
        Ok(Self(text))
    }
}

impl Uid {
    /// The field's name in a request.
    pub const FIELD: &str = "uid";

    /// A number that means this one user.
    ///
    /// # Errors
    /// Where it's 0, which means any user, or too large, or written in another way.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidField> {
        let text = text.into();
        match text.parse::<u32>() {
            Ok(1..) if text.starts_with(|first| matches!(first, '1'..='9')) => Ok(Self(text)),
            _ => Err(InvalidField::new(
                Self::FIELD,
                "must be a whole number from 1 to 4294967295, without a sign or leading zeros",
            )),
        }
    }
}

impl Account {
    /// The field's name in a request.
    pub const FIELD: &str = "uid";
    const MOST: usize = 255;

    /// A name that means this one user.
    ///
    /// # Errors
    /// Where it's empty, too long, holds another character, or nothing but zeros and spaces.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidField> {
        user_name(Self::FIELD, text.into(), Self::MOST).map(Self)
    }
}

impl RtmUser {
    /// The field's name in a request.
    pub const FIELD: &str = "uid";
    const MOST: usize = 64;

    /// A name that means this one user.
    ///
    /// # Errors
    /// Where it's empty, too long, holds another character, or nothing but zeros and spaces.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidField> {
        user_name(Self::FIELD, text.into(), Self::MOST).map(Self)
    }
}

impl ChatUser {
    const FIELD: &str = "uid";
    const MOST: usize = 64;

    /// A name that means this one user.
    ///
    /// # Errors
    /// Where it's empty, too long, holds another character, or nothing but zeros.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidField> {
        let text = user_name(Self::FIELD, text.into(), Self::MOST)?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
        if text.bytes().all(plain) {
            Ok(Self(text))
        } else {
            Err(InvalidField::new(
                Self::FIELD,
                "may hold small letters from a to z, digits, _, - and . alone",
            ))
        }
    }
}

/// 0 is any user, so nothing that a client or a server might take for it is a name.
fn user_name(field: &str, text: String, most: usize) -> Result<String, InvalidField> {
    let text = plain(field, text, most)?;
    if text.trim_matches(['0', ' ']).is_empty() {
        return Err(InvalidField::new(field, "must not be 0 or blank, which would mean any user"));
    }
    Ok(text)
}

fn plain(field: &str, text: String, most: usize) -> Result<String, InvalidField> {
    if text.is_empty() {
        return Err(InvalidField::new(field, "must not be empty"));
    }
    if text.len() > most {
        return Err(InvalidField::too_long(field, text.len(), most));
    }
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || OTHERS.contains(&byte)) {
        Ok(text)
    } else {
        Err(InvalidField::new(
            field,
            "may hold letters from a to z, digits, spaces and !#$%&()+-:;<=.>?@[]^_{}|~, alone",
        ))
    }
}

/// Agora's own list for channels and accounts. Neither `*` nor a slash is in it.
const OTHERS: &[u8] = b" !#$%&()+-:;<=.>?@[]^_{}|~,";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Parsed = Result<String, InvalidField>;

    fn channel(text: &str) -> Parsed {
        ChannelName::parse(text).map(|name| name.as_str().to_owned())
    }

    fn uid(text: &str) -> Parsed {
        Uid::parse(text).map(|uid| uid.as_str().to_owned())
    }

    fn account(text: &str) -> Parsed {
        Account::parse(text).map(|account| account.as_str().to_owned())
    }

    fn rtm_user(text: &str) -> Parsed {
        RtmUser::parse(text).map(|user| user.as_str().to_owned())
    }

    const ALL: [fn(&str) -> Parsed; 4] = [channel, uid, account, rtm_user];

    #[test]
    fn eighty_nine_characters_may_be_in_a_name() {
        let allowed: Vec<char> = (0..=char::MAX as u32)
            .filter_map(char::from_u32)
            .filter(|c| account(&format!("a{c}")).is_ok())
            .collect();
        assert_eq!(allowed.len(), 89);
        for text in ["*", "a*", "a/b", "a\"b", "a'b", "a`b", "a\\b", "ä", "a\0", "a\n", "٣"] {
            for parse in [channel, account, rtm_user] {
                assert!(parse(text).unwrap_err().problem.starts_with("may hold letters"), "{text:?}");
            }
        }
    }

    #[test]
    fn lengths_are_agoras() {
        for (parse, most) in [(channel as fn(&str) -> Parsed, 64), (account, 255), (rtm_user, 64)] {
            assert!(parse(&"x".repeat(most)).is_ok());
            let problem = parse(&"x".repeat(most + 1)).unwrap_err().problem;
            assert_eq!(problem, format!("is {} bytes long in UTF-8; at most {most} are allowed", most + 1));
            assert_eq!(parse("").unwrap_err().problem, "must not be empty");
        }
    }

    #[test]
    fn a_uid_is_a_number_from_1_to_the_largest_of_32_bits() {
        for text in ["1", "10", "2882341273", "4294967295"] {
            assert_eq!(uid(text).unwrap(), text);
        }
        for text in [
            "",
            "0",
            "00",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1.0",
            "1e3",
            "0x1",
            "*",
            "a",
            "4294967296",
            "18446744073709551617",
        ] {
            assert_eq!(
                uid(text).unwrap_err().to_string(),
                "uid must be a whole number from 1 to 4294967295, without a sign or leading zeros",
                "{text:?}"
            );
        }
    }

    #[test]
    fn no_name_means_any_user() {
        for text in ["0", "00", " ", "  ", " 0 "] {
            assert!(account(text).is_err() && rtm_user(text).is_err() && uid(text).is_err(), "{text:?}");
        }
        assert_eq!(
            account("0").unwrap_err().to_string(),
            "uid must not be 0 or blank, which would mean any user"
        );
        assert_eq!(channel("  ").unwrap_err().to_string(), "channel must not be blank");
        assert!(channel("0").is_ok(), "a channel may well be called 0");
        assert!(account("007").is_ok() && account("a 0").is_ok());
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_kept_as_it_is_and_never_a_wildcard(text in "[0-9a-zA-Z *?!#$%&()+:;<=.>@\\[\\]^_{}|~,-]{0,70}|[0 *]{0,4}|.{0,9}|[0-9]{1,12}") {
            for parse in ALL {
                if let Ok(kept) = parse(&text) {
                    prop_assert_eq!(&kept, &text);
                    prop_assert!(!kept.contains('*') && !kept.trim().is_empty());
                }
            }
            for parse in [uid, account, rtm_user] {
                if let Ok(kept) = parse(&text) {
                    prop_assert!(kept.parse::<u64>() != Ok(0));
                }
            }
        }
    }
}
