//! Ids, addresses and names in texts, found by how they look or because they
//! are known.

use std::net::{IpAddr, SocketAddr};

use super::Mask;

/// Fewer hex digits than this are no part of an id.
const ID_DIGITS: usize = 6;

/// The first word of a name: letters and digits, or one other character.
pub(super) fn first_word(name: &str) -> &str {
    let word = word_at(name);
    if word.is_empty() { &name[..name.chars().next().map_or(0, char::len_utf8)] } else { word }
}

fn word_at(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len())]
}

impl Mask {
    /// A text in which nobody is named any more.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut in_word = false;
        while let Some(c) = rest.chars().next() {
            let (masked, len) = self
                .known_name(rest)
                // `::` stands between the names of modules.
                .or_else(|| self.address(rest).filter(|_| !(in_word && c == ':')))
                .or_else(|| self.digits(rest))
                .unwrap_or_else(|| {
                    let len = word_at(rest).len().max(c.len_utf8());
                    (rest[..len].to_owned(), len)
                });
            out.push_str(&masked);
            in_word = rest[..len].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            rest = &rest[len..];
        }
        out
    }

    /// A known name at the beginning, as a whole word in any case.
    fn known_name(&self, text: &str) -> Option<(String, usize)> {
        let known = self.names.get(&first_word(text).to_lowercase())?;
        known.iter().find_map(|(name, masked)| {
            let found = text.get(..name.len())?;
            let ends = !name.ends_with(char::is_alphanumeric)
                || !text[name.len()..].starts_with(char::is_alphanumeric);
            (found.eq_ignore_ascii_case(name) && ends).then(|| (masked.clone(), name.len()))
        })
    }

    /// An address at the beginning, with a port or without.
    fn address(&self, text: &str) -> Option<(String, usize)> {
        let is_part = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '[' | ']');
        let mut run = &text[..text.find(|c| !is_part(c)).unwrap_or(text.len())];
        // What follows an address in a sentence may look like a part of it.
        while run.contains(['.', ':']) {
            let bare = run.strip_prefix('[').and_then(|run| run.strip_suffix(']')).unwrap_or(run);
            let masked = match (run.parse::<SocketAddr>(), bare.parse::<IpAddr>()) {
                (Ok(addr), _) => Some(self.addr(addr).to_string()),
                (_, Ok(ip)) if !ip.is_unspecified() => Some(self.ip(ip).to_string()),
                _ => None,
            };
            if let Some(masked) = masked {
                return Some((masked, run.len()));
            }
            run = run.strip_suffix(['.', ':', ']', '['])?;
        }
        None
    }

    /// An id or the beginning of one: whom it is of, if that is known; what looks
    /// like one in any case.
    fn digits(&self, text: &str) -> Option<(String, usize)> {
        let word = word_at(text);
        if word.len() < ID_DIGITS || word.len() > 64 || !word.chars().all(|c| c.is_ascii_hexdigit()) {
            return None;
        }
        let lower = word.to_lowercase();
        let mut from = [0; 32];
        hex::decode_to_slice(format!("{lower:0<64}"), &mut from).ok()?;
        let known =
            self.ids.range(crate::model::PeerId(from)..).next().filter(|(id, _)| id.has_prefix(&lower));
        let masked = match known {
            Some((_, masked)) => masked.to_string(),
            // A number is a number, and a word is a word.
            None if word.bytes().all(|b| b.is_ascii_digit())
                || word.bytes().all(|b| b.is_ascii_alphabetic()) =>
            {
                return None;
            }
            None => hex::encode(self.digest(b"digits", lower.as_bytes())),
        };
        Some((masked[..word.len()].to_owned(), word.len()))
    }
}
