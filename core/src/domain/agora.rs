//! Agora's names for channels and users, which allow fewer characters than LiveKit's. A channel or user of `*`, 0 or an
//! empty string would make a token valid for many channels or any user, so these names are invalid. Only the uid 0 has a
//! type, [`ChannelUser::Any`], because a rule can allow it.

use serde::Deserialize;

use super::InvalidField;

/// The format of a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum TokenVersion {
    /// `007`: the format of Agora's SDKs since 2022.
    #[default]
    #[serde(rename = "007")]
    V007,
    /// `006`: the format of older SDKs.
    #[serde(rename = "006")]
    V006,
}

macro_rules! agora_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// The name, unchanged.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

agora_name!(
    /// A channel: 1 to 64 bytes of letters, digits, spaces and `` !#$%&()+-:;<=.>?@[]^_{}|~, ``, not only spaces.
    ChannelName
);
agora_name!(
    /// A user with a number: 1 to 4294967295, in decimal digits without leading zeros.
    Uid
);
agora_name!(
    /// A user with a name, in calls: 1 to 255 bytes of the characters of a [`ChannelName`], not only zeros and spaces.
    /// A number is an account too, because Agora keeps both in the same field of a token.
    Account
);
agora_name!(
    /// A user with a name, in Signaling (RTM): at most 64 bytes, otherwise as an [`Account`].
    RtmUser
);

agora_name!(
    /// A user with a name, in Chat: 1 to 64 of a to z, digits, `_`, `-` and `.`. Agora ignores case there, so capital
    /// letters are invalid.
    ChatUser
);

impl ChannelName {
    /// The field's name in a request.
    pub const FIELD: &str = "channel";
    const MAX: usize = 64;

    /// Parses the name of one channel.
    ///
    /// # Errors
    /// If it is blank, too long, or contains another character.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidField> {
        let text = plain(Self::FIELD, text.into(), Self::MAX)?;
        if text.trim_matches(' ').is_empty() {
            return Err(InvalidField::new(Self::FIELD, "must not be blank"));
        }
        Ok(Self(text))
    }
}

impl Uid {
    /// The field's name in a request.
    pub const FIELD: &str = "uid";

    /// Parses the number of one user.
    ///
    /// # Errors
    /// If it is 0, which means any user, too large, or in another format.
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

/// A user of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelUser {
    /// The user with this uid or account.
    One(String),
    /// Any user: the uid 0, for which Agora's server assigns a uid.
    Any,
}

impl ChannelUser {
    /// Parses a uid, where 0 means any user.
    ///
    /// # Errors
    /// If it is neither `0` nor a [`Uid`].
    pub fn by_uid(text: &str) -> Result<Self, InvalidField> {
        if text == Self::ANY { Ok(Self::Any) } else { Uid::parse(text).map(|uid| Self::One(uid.0)) }
    }

    /// Parses an account, which is always of one user.
    ///
    /// # Errors
    /// If it isn't an [`Account`].
    pub fn by_account(text: &str) -> Result<Self, InvalidField> {
        Account::parse(text).map(|account| Self::One(account.0))
    }

    /// The uid or account, as requests have it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::One(name) => name,
            Self::Any => Self::ANY,
        }
    }

    /// The name in a token. It is empty for any user.
    #[must_use]
    pub fn in_token(&self) -> &str {
        match self {
            Self::One(name) => name,
            Self::Any => "",
        }
    }

    const ANY: &str = "0";
}

impl Account {
    /// The field's name in a request.
    pub const FIELD: &str = "uid";
    const MAX: usize = 255;

    /// Parses the name of one user.
    ///
    /// # Errors
    /// If it is empty, too long, contains another character, or only zeros and spaces.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidField> {
        user_name(Self::FIELD, text.into(), Self::MAX).map(Self)
    }
}

impl RtmUser {
    /// The field's name in a request.
    pub const FIELD: &str = "uid";
    const MAX: usize = 64;

    /// Parses the name of one user.
    ///
    /// # Errors
    /// If it is empty, too long, contains another character, or only zeros and spaces.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidField> {
        user_name(Self::FIELD, text.into(), Self::MAX).map(Self)
    }
}

impl ChatUser {
    const FIELD: &str = "uid";
    const MAX: usize = 64;

    /// Parses the name of one user.
    ///
    /// # Errors
    /// If it is empty, too long, contains another character, or only zeros.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidField> {
        let text = user_name(Self::FIELD, text.into(), Self::MAX)?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
        if text.bytes().all(plain) {
            Ok(Self(text))
        } else {
            Err(InvalidField::new(
                Self::FIELD,
                "must contain only lowercase letters from a to z, digits, _, - and .",
            ))
        }
    }
}

/// 0 means any user, so a name that could be read as 0 is invalid.
fn user_name(field: &str, text: String, max: usize) -> Result<String, InvalidField> {
    let text = plain(field, text, max)?;
    if text.trim_matches(['0', ' ']).is_empty() {
        return Err(InvalidField::new(field, "must not be 0 or blank, which would mean any user"));
    }
    Ok(text)
}

fn plain(field: &str, text: String, max: usize) -> Result<String, InvalidField> {
    if text.is_empty() {
        return Err(InvalidField::new(field, "must not be empty"));
    }
    if text.len() > max {
        return Err(InvalidField::too_long(field, text.len(), max));
    }
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || OTHERS.contains(&byte)) {
        Ok(text)
    } else {
        Err(InvalidField::new(
            field,
            "must contain only letters from a to z, digits, spaces and !#$%&()+-:;<=.>?@[]^_{}|~,",
        ))
    }
}

/// The other characters that Agora allows in channels and accounts. `*` and `/` aren't allowed.
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
    fn names_allow_eighty_nine_characters() {
        let allowed: Vec<char> = (0..=char::MAX as u32)
            .filter_map(char::from_u32)
            .filter(|c| account(&format!("a{c}")).is_ok())
            .collect();
        assert_eq!(allowed.len(), 89);
        for text in ["*", "a*", "a/b", "a\"b", "a'b", "a`b", "a\\b", "ä", "a\0", "a\n", "٣"] {
            for parse in [channel, account, rtm_user] {
                assert!(
                    parse(text).unwrap_err().problem.starts_with("must contain only letters"),
                    "{text:?}"
                );
            }
        }
    }

    #[test]
    fn the_maximum_lengths_are_agoras() {
        for (parse, max) in [(channel as fn(&str) -> Parsed, 64), (account, 255), (rtm_user, 64)] {
            assert!(parse(&"x".repeat(max)).is_ok());
            let problem = parse(&"x".repeat(max + 1)).unwrap_err().problem;
            assert_eq!(problem, format!("is {} bytes long in UTF-8; at most {max} are allowed", max + 1));
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
        assert!(channel("0").is_ok(), "0 is a valid channel");
        assert!(account("007").is_ok() && account("a 0").is_ok());
    }

    #[test]
    fn only_the_uid_0_means_any_user_and_its_name_in_a_token_is_empty() {
        assert_eq!(ChannelUser::by_uid("0"), Ok(ChannelUser::Any));
        assert_eq!((ChannelUser::Any.as_str(), ChannelUser::Any.in_token()), ("0", ""));
        let one = ChannelUser::by_uid("10").unwrap();
        assert_eq!((one.as_str(), one.in_token()), ("10", "10"));
        for text in ["", "00", "+0", "-0", " 0", "0 ", "0.0", "*", "٠"] {
            assert!(ChannelUser::by_uid(text).is_err(), "{text:?}");
        }
        for text in ["0", "00", "", " ", "*"] {
            assert!(ChannelUser::by_account(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_name_is_unchanged_and_never_a_wildcard(text in "[0-9a-zA-Z *?!#$%&()+:;<=.>@\\[\\]^_{}|~,-]{0,70}|[0 *]{0,4}|.{0,9}|[0-9]{1,12}") {
            for parse in ALL {
                if let Ok(parsed) = parse(&text) {
                    prop_assert_eq!(&parsed, &text);
                    prop_assert!(!parsed.contains('*') && !parsed.trim().is_empty());
                }
            }
            for parse in [uid, account, rtm_user] {
                if let Ok(parsed) = parse(&text) {
                    prop_assert!(parsed.parse::<u64>() != Ok(0));
                }
            }
        }
    }
}
