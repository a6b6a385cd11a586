//! What could follow in a filter that is being typed.

use super::field::Field;

/// The text with its last word completed as far as that is clear, and what it
/// may become. Words alone are nobody's business but their author's.
pub(crate) fn complete(text: &str) -> (String, Vec<String>) {
    last_word(text, candidates)
}

/// The same for any candidates.
pub(super) fn last_word(text: &str, candidates: impl FnOnce(&str) -> Vec<String>) -> (String, Vec<String>) {
    // Not every space is one byte long.
    let start = text.char_indices().rfind(|(_, c)| c.is_whitespace()).map_or(0, |(at, c)| at + c.len_utf8());
    let (before, word) = text.split_at(start);
    let candidates = candidates(word);
    let Some(common) = common(&candidates).filter(|common| common.len() > word.len()) else {
        return (text.to_owned(), candidates);
    };
    (format!("{before}{common}"), candidates)
}

fn candidates(word: &str) -> Vec<String> {
    let lower = word.to_lowercase();
    let valued = Field::ALL.iter().copied().find_map(|field| {
        let rest = lower.strip_prefix(field.key())?;
        let (sign, value) = ["!=", "="].iter().find_map(|sign| Some((*sign, rest.strip_prefix(sign)?)))?;
        Some((field, sign, value.to_owned()))
    });
    match valued {
        Some((field, sign, value)) => field
            .values()
            .into_iter()
            .filter(|name| name.starts_with(&value))
            .map(|name| format!("{}{sign}{name}", field.key()))
            .collect(),
        None if word.is_empty() => Vec::new(),
        None => {
            let keys = Field::ALL.iter().copied().map(Field::key).filter(|key| key.starts_with(&lower));
            keys.map(str::to_owned).collect()
        }
    }
}

/// The longest beginning that all of them share.
fn common(all: &[String]) -> Option<String> {
    let first = all.first()?;
    let shared = |other: &String| first.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let len = all.iter().map(shared).min()?;
    Some(first[..len].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_space_of_more_than_one_byte_parts_words_too() {
        assert_eq!(complete("é\u{a0}pat").0, "é\u{a0}path");
    }

    #[test]
    fn keys_and_values_are_completed_as_far_as_it_is_clear() {
        for (text, completed) in [
            ("vps na", "vps na"),
            ("at", "attempts"),
            ("nat=sy", "nat=symmetric"),
            ("rtt>5 nat!=f", "rtt>5 nat!=full-cone"),
            ("path=", "path="),
            ("state=", "state="),
            ("zzz", "zzz"),
            ("", ""),
        ] {
            assert_eq!(complete(text).0, completed);
        }
        assert_eq!(complete("na").1, ["name", "nat"]);
        assert_eq!(complete("path!=").1, ["path!=direct", "path!=punched", "path!=relayed", "path!=-"]);
    }
}
