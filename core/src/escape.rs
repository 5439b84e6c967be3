//! Makes untrusted text safe to print: to a terminal, to a log, or into JSON.

use std::borrow::Cow;
use std::fmt::Write;

/// Escapes control characters, line separators and invisible characters as JSON's `\uXXXX` (in UTF-16 code units). The
/// result is one line, and valid inside a JSON string.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 32);
    for char in text.chars() {
        if is_escaped(char) {
            for unit in char.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(char);
        }
    }
    Cow::Owned(shown)
}

/// Unicode's control characters (Cc), line and paragraph separators (Zl, Zp), invisible format characters (Cf), and
/// `Default_Ignorable_Code_Point` (Unicode 17, `DerivedCoreProperties.txt`).
fn is_escaped(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The most important classes.
    const FORBIDDEN: [std::ops::RangeInclusive<char>; 14] = [
        '\0'..='\u{1f}',
        '\u{7f}'..='\u{9f}',
        '\u{ad}'..='\u{ad}',
        '\u{61c}'..='\u{61c}',
        '\u{180e}'..='\u{180e}',
        '\u{200b}'..='\u{200f}',
        '\u{2028}'..='\u{2029}',
        '\u{202a}'..='\u{202e}',
        '\u{2060}'..='\u{2069}',
        '\u{206a}'..='\u{206f}',
        '\u{feff}'..='\u{feff}',
        '\u{fff9}'..='\u{fffb}',
        '\u{e0000}'..='\u{e007f}',
        '\u{e0100}'..='\u{e01ef}',
    ];

    fn is_forbidden(char: char) -> bool {
        FORBIDDEN.iter().any(|range| range.contains(&char))
    }

    fn any_text() -> impl Strategy<Value = String> {
        let forbidden = proptest::sample::select(FORBIDDEN.iter().flat_map(Clone::clone).collect::<Vec<_>>());
        proptest::collection::vec(prop_oneof![any::<char>(), forbidden], 0..40)
            .prop_map(|chars| chars.into_iter().collect())
    }

    #[test]
    fn an_escape_has_the_form_of_json() {
        for (text, shown) in [
            ("a\u{1b}[2J", r"a\u001b[2J"),
            ("a\r\nb\t", r"a\u000d\u000ab\u0009"),
            ("\u{7f}\u{9b}\u{202e}\u{2028}\u{feff}", r"\u007f\u009b\u202e\u2028\ufeff"),
            ("\u{e0041}", r"\udb40\udc41"),
        ] {
            assert_eq!(escaped(text), shown);
        }
    }

    #[test]
    fn ordinary_text_is_unchanged() {
        for text in ["", "red:standup", r"C:\u0041", "é 日本語 العربية עברית हिन्दी 🎉", "\"'`<>&\u{a0}"]
        {
            assert!(matches!(escaped(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn only_forbidden_characters_are_escaped(text in any_text()) {
            let shown = escaped(&text);
            prop_assert!(!shown.contains(is_forbidden), "{:?}", shown);
            prop_assert_eq!(escaped(&shown), shown.clone(), "once is enough");
            let json = format!("\"{}\"", shown.replace('\\', "\\\\").replace("\\\\u", "\\u").replace('"', "\\\""));
            if !text.contains('\\') {
                prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text, "nothing is lost");
            }
        }
    }
}
