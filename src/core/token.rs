//! The token with which a node and whoever looks at a registry are let in.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

/// Characters that a token may have: fewer are guessed, more are a mistake.
pub const TOKEN_LEN: std::ops::RangeInclusive<usize> = 16..=256;

/// A bearer token. Never shown, never logged, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Takes visible ASCII without spaces, of [`TOKEN_LEN`] characters.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = TOKEN_LEN.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// Whether somebody's token is this one. How long that takes says nothing of
    /// it: digests are compared, to the end.
    pub fn is(&self, other: &[u8]) -> bool {
        let (ours, theirs) = (digest(&SHA256, self.0.as_bytes()), digest(&SHA256, other));
        verify_slices_are_equal(ours.as_ref(), theirs.as_ref()).is_ok()
    }

    /// The `Authorization` header that shows it.
    pub fn header(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("Bearer {}", &*self.0))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_itself_and_nothing_else() {
        let token = Token::new(" 0123456789abcdef\n").unwrap();
        assert!(token.is(b"0123456789abcdef"));
        for other in [&b""[..], b"0123456789abcde", b"0123456789abcdef0", b"0123456789abcdeF"] {
            assert!(!token.is(other));
        }
        assert_eq!(*token.header(), "Bearer 0123456789abcdef");
        assert!(!format!("{token:?}").contains("0123"));
    }

    #[test]
    fn what_is_short_or_no_word_is_no_token() {
        for text in ["", "short", "0123456789 abcdef", "0123456789abcdéf", &"x".repeat(257)] {
            assert!(Token::new(text).is_none(), "{text}");
        }
    }
}
