//! Text that came from somebody else.

use icu_properties::CodePointSetData;
use icu_properties::props::{BidiControl, DefaultIgnorableCodePoint};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The widest peer-supplied text that is kept, in terminal columns.
pub const SHOWN_TEXT_MAX: usize = 64;

/// The widest sentence of a peer that is kept, in terminal columns.
const SENTENCE_MAX: usize = 200;

/// A peer's text with nothing in it that a person would not see (see [`printable`]; at its
/// ends a space is not seen either), cut to [`SHOWN_TEXT_MAX`] columns.
pub fn clean(text: &str) -> String {
    let middle = text.trim_matches(' ');
    let before = text.len() - text.trim_start_matches(' ').len();
    let after = text.len() - middle.len() - before;
    let edge = |count| std::iter::repeat_n(' '.escape_unicode().collect::<String>(), count);
    let mut out = String::new();
    let mut width = 0;
    for shown in edge(before).chain(middle.chars().map(shown)).chain(edge(after)) {
        let w = shown.width();
        if width + w > SHOWN_TEXT_MAX {
            break;
        }
        width += w;
        out.push_str(&shown);
    }
    // Where it was cut.
    out.truncate(out.trim_end_matches(' ').len());
    out
}

/// The same for a peer's sentence: a longer one ends with an ellipsis.
pub fn clean_sentence(text: &str) -> String {
    ellipsize(&printable(text.trim()), SENTENCE_MAX, '…')
}

/// Text as it can be shown: what a terminal would obey, and whatever cannot be told from
/// nothing or from a space, stands there as an escape (`\u{200b}`). So two names that
/// look alike are alike.
pub fn printable(text: &str) -> String {
    text.chars().map(shown).collect()
}

/// The same without what cannot be shown: for what somebody typed or pasted here.
pub fn visible(text: &str) -> String {
    text.chars().filter(|c| !is_unseen(*c)).collect()
}

fn shown(c: char) -> String {
    if is_unseen(c) { c.escape_default().collect() } else { c.into() }
}

/// Whether a person would not see it, or see the text around it otherwise: control
/// characters, and what Unicode calls default-ignorable (zero-width, tags, variation
/// selectors, fillers), a control of direction, or a blank; the ordinary space is seen.
fn is_unseen(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || c.is_whitespace()
        || BLANKS.contains(&c)
        || const { CodePointSetData::new::<DefaultIgnorableCodePoint>() }.contains(c)
        || const { CodePointSetData::new::<BidiControl>() }.contains(c)
}

/// Blank though Unicode counts them as symbols: a Braille cell without dots, a note
/// without a head, and the anchors of annotations.
const BLANKS: [char; 5] = ['\u{2800}', '\u{1d159}', '\u{fff9}', '\u{fffa}', '\u{fffb}'];

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
        assert_eq!(clean("a\x1b[31mred\x07\u{202e}b\n"), r"a\u{1b}[31mred\u{7}\u{202e}b\n");
        assert_eq!(printable("one\ntwo\t"), r"one\ntwo\t");
        assert_eq!(visible("one\n\u{feff}two"), "onetwo");
    }

    #[test]
    fn what_cannot_be_seen_never_makes_two_names_look_alike() {
        // Tags, zero-width, variation selectors, fillers, direction, blanks, and more.
        for unseen in [
            '\u{e0041}',
            '\u{e0001}',
            '\u{e007f}',
            '\u{200b}',
            '\u{200d}',
            '\u{2060}',
            '\u{feff}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{180e}',
            '\u{17b4}',
            '\u{115f}',
            '\u{1160}',
            '\u{3164}',
            '\u{ffa0}',
            '\u{fe0f}',
            '\u{e0100}',
            '\u{1d173}',
            '\u{fff0}',
            '\u{200e}',
            '\u{202a}',
            '\u{202e}',
            '\u{2066}',
            '\u{2069}',
            '\u{a0}',
            '\u{2003}',
            '\u{202f}',
            '\u{205f}',
            '\u{3000}',
            '\u{1680}',
            '\u{2028}',
            '\u{2800}',
            '\u{1d159}',
            '\u{fffa}',
            '\u{85}',
            '\u{9b}',
            '\0',
            '\t',
        ] {
            let name = format!("pub{unseen}-1");
            let shown = format!("pub{}-1", unseen.escape_default());
            assert_eq!((clean(&name), printable(&name)), (shown.clone(), shown), "{:x}", u32::from(unseen));
            assert_eq!(visible(&name), "pub-1");
        }
        assert_ne!(clean("\u{2800}"), "", "a name of blanks is not no name");
        assert_eq!(clean(" pub-1 "), r"\u{20}pub-1\u{20}");
        assert_eq!(clean("  "), r"\u{20}\u{20}");
        for seen in ["web 1", "köln", "日本", "παράδειγμα", "مثال", "✓", "e\u{301}"] {
            assert_eq!((clean(seen), printable(seen)), (seen.to_owned(), seen.to_owned()));
        }
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
