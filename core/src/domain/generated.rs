//! Generated names: unique, unguessable, and easy to read aloud.

/// A source of random bytes. It fills the whole slice.
pub type Randomness = fn(&mut [u8]);

/// Twenty characters, five random bits each.
#[must_use]
pub fn readable(randomness: Randomness) -> String {
    let mut bytes = [0; READABLE_LENGTH];
    randomness(&mut bytes);
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// Whether [`readable`] can return this byte.
#[must_use]
pub fn is_readable(byte: u8) -> bool {
    ALPHABET.contains(&byte)
}

/// The length of [`readable`], in characters.
pub const READABLE_LENGTH: usize = 20;
/// Crockford's base 32, without the easily confused letters i, l, o and u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn operating_system_randomness(bytes: &mut [u8]) {
        getrandom::fill(bytes).unwrap();
    }

    #[test]
    fn all_bits_of_the_alphabet_are_used() {
        assert_eq!(readable(|bytes| bytes.fill(0)), "00000000000000000000");
        assert_eq!(readable(|bytes| bytes.fill(255)), "zzzzzzzzzzzzzzzzzzzz");
    }

    #[test]
    fn ten_thousand_names_are_all_different() {
        let names: HashSet<_> = (0..10_000).map(|_| readable(operating_system_randomness)).collect();
        assert_eq!(names.len(), 10_000);
    }
}
