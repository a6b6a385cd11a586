//! Text that came from somebody else.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The widest peer-supplied text that is kept, in terminal columns.
pub const SHOWN_TEXT_MAX: usize = 64;

/// The widest sentence of a peer that is kept, in terminal columns.
const SENTENCE_MAX: usize = 200;

/// Strips control characters, escape sequences, and bidirectional overrides
/// from a peer's text and cuts it to [`SHOWN_TEXT_MAX`] columns.
pub fn clean(text: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for c in printable(text).chars() {
        let w = c.width().unwrap_or(0);
        if width + w > SHOWN_TEXT_MAX {
            break;
        }
        width += w;
        out.push(c);
    }
    out.trim().to_owned()
}

/// The same for a peer's sentence: a longer one ends with an ellipsis.
pub fn clean_sentence(text: &str) -> String {
    ellipsize(printable(text).trim(), SENTENCE_MAX, '…')
}

/// The same without the cut, for sentences.
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !is_invisible(*c)).collect()
}

/// Characters that change how their neighbours are shown but not what is read.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Cuts a text to `width` columns, with an ellipsis where something is missing.
pub fn ellipsize(text: &str, width: usize, ellipsis: char) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w + 1 > width {
            break;
        }
        used += w;
        out.push(c);
    }
    if width > 0 {
        out.push(ellipsis);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_overrides_do_not_reach_the_screen() {
        assert_eq!(clean("a\x1b[31mred\x07\u{202e}b\n"), "a[31mredb");
    }

    #[test]
    fn long_text_is_cut_by_columns_not_bytes() {
        assert_eq!(clean(&"世".repeat(100)).width(), SHOWN_TEXT_MAX);
        assert_eq!(clean_sentence(&"a ".repeat(60)).width(), 119);
        assert!(clean_sentence(&"世".repeat(200)).ends_with("世…"));
        assert_eq!(ellipsize("abcdef", 4, '…'), "abc…");
        assert_eq!(ellipsize("世世世", 4, '…'), "世…");
        assert_eq!(ellipsize("abc", 3, '…'), "abc");
    }
}
