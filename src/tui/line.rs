//! A line that is typed, with its cursor: the filter, the palette, the search of the help,
//! a name that a question wants.

use std::ops::Range;

use tui_input::{Input, InputRequest};
use unicode_width::UnicodeWidthChar as _;

use crate::model::visible;

/// The longest line, in characters.
const LONGEST: usize = 128;

/// The line.
#[derive(Debug, Clone, Default)]
pub(crate) struct TextLine(Input);

impl TextLine {
    /// With a text in it, and the cursor behind that.
    pub(crate) fn new(text: String) -> Self {
        Self(Input::new(text))
    }

    /// What stands in it.
    pub(crate) fn text(&self) -> &str {
        self.0.value()
    }

    /// Puts another text in, and the cursor behind it.
    pub(crate) fn set(&mut self, text: String) {
        *self = Self::new(text);
    }

    /// Does what an editing key asks. Says whether the text is another then.
    pub(crate) fn edit(&mut self, request: InputRequest) -> bool {
        self.0.handle(request).is_some_and(|changed| changed.value)
    }

    /// Types a character at the cursor, if there is room for it.
    pub(crate) fn insert(&mut self, c: char) -> bool {
        !c.is_control() && self.text().chars().count() < LONGEST && self.edit(InputRequest::InsertChar(c))
    }

    /// Puts a text in at the cursor, as far as there is room for it.
    pub(crate) fn paste(&mut self, text: &str) -> bool {
        let room = LONGEST.saturating_sub(self.text().chars().count());
        let pasted: Vec<char> = visible(text).trim().chars().take(room).collect();
        for c in &pasted {
            self.0.handle(InputRequest::InsertChar(*c));
        }
        !pasted.is_empty()
    }

    /// The bytes of the character under the cursor; empty behind the last one.
    pub(crate) fn cursor(&self) -> Range<usize> {
        let mut chars = self.text().char_indices().skip(self.0.cursor());
        chars.next().map_or(self.text().len()..self.text().len(), |(at, c)| at..at + c.len_utf8())
    }

    /// The bytes that are shown in so many columns: the end, as one types there, unless
    /// the cursor is before it.
    pub(crate) fn window(&self, room: usize) -> Range<usize> {
        let (text, cursor) = (self.text(), self.cursor());
        let mut from = 0;
        while end(text, from, room) < cursor.end {
            from += text[from..].chars().next().map_or(1, char::len_utf8);
        }
        from..end(text, from, room)
    }
}

/// Where a text ends that begins at `from` and has so many columns.
fn end(text: &str, from: usize, room: usize) -> usize {
    let mut width = 0;
    let fits = |c: &char| {
        width += c.width().unwrap_or(0);
        width <= room
    };
    from + text[from..].chars().take_while(fits).map(char::len_utf8).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> TextLine {
        TextLine::new(text.to_owned())
    }

    #[test]
    fn one_types_and_erases_where_the_cursor_is() {
        let mut line = line("nat=sym rtt>80");
        line.edit(InputRequest::GoToStart);
        assert!(line.insert('x') && line.edit(InputRequest::DeletePrevChar));
        assert!(!line.edit(InputRequest::GoToEnd), "a step of the cursor is no other text");
        assert!(line.edit(InputRequest::DeletePrevWord));
        assert_eq!(line.text(), "nat=sym rtt>");
        assert!(line.edit(InputRequest::DeleteLine));
        assert_eq!((line.text(), line.cursor()), ("", 0..0));
    }

    #[test]
    fn neither_keys_nor_a_paste_make_a_line_too_long_or_bring_control_characters() {
        let mut line = line("");
        assert!(!line.insert('\u{1b}'));
        assert!(line.paste(&"é\u{7}".repeat(200)));
        assert_eq!(line.text().chars().count(), LONGEST);
        assert!(!line.insert('x') && !line.paste("x"));
    }

    #[test]
    fn what_is_shown_is_the_end_and_always_the_character_under_the_cursor() {
        let mut line = line("0123456789");
        assert_eq!(line.window(20), 0..10);
        assert_eq!(line.window(4), 6..10);
        for _ in 0..8 {
            line.edit(InputRequest::GoToPrevChar);
            assert!(line.window(4).contains(&line.cursor().start));
        }
        assert_eq!((line.cursor(), line.window(4)), (2..3, 0..4));
        assert_eq!(TextLine::new("世界x".to_owned()).window(3), 3..7, "wide characters count twice");
    }
}
