//! What an ASCII terminal is shown instead of line drawing and symbols.

use ratatui::buffer::Buffer;
use unicode_width::UnicodeWidthStr;

/// Which characters are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GlyphChoice {
    /// By the locale.
    #[default]
    Auto,
    /// Line drawing and symbols.
    Unicode,
    /// ASCII only.
    Ascii,
}

impl GlyphChoice {
    /// Whether only ASCII may be drawn, by a choice and an environment.
    pub(super) fn is_ascii(self, env: impl Fn(&str) -> Option<String>) -> bool {
        match self {
            Self::Ascii => true,
            Self::Unicode => false,
            Self::Auto => {
                let locale = env("LC_ALL").or_else(|| env("LC_CTYPE")).or_else(|| env("LANG"));
                !locale.is_some_and(|l| {
                    let l = l.to_ascii_lowercase();
                    l.contains("utf-8") || l.contains("utf8")
                })
            }
        }
    }
}

/// Replaces what an ASCII terminal cannot show, cell by cell, so that no text from
/// anywhere slips through and no column moves.
pub(super) fn to_ascii(buf: &mut Buffer) {
    for cell in &mut buf.content {
        if !cell.symbol().is_ascii() {
            let wide = cell.symbol().width() > 1;
            let plain = ascii_of(cell.symbol());
            cell.set_symbol(if wide { "??" } else { plain });
        }
    }
    // A wide character held two cells; give each one its own mark.
    for at in 0..buf.content.len() {
        if buf.content[at].symbol() == "??" {
            buf.content[at].set_symbol("?");
            if let Some(next) = buf.content.get_mut(at + 1) {
                next.set_symbol("?");
            }
        }
    }
}

/// The same for a text that is no part of the screen.
pub(super) fn text_to_ascii(text: &str) -> String {
    let plain =
        |c: char| if c.is_ascii() { c.to_string() } else { ascii_of(c.encode_utf8(&mut [0; 4])).to_owned() };
    text.chars().map(plain).collect()
}

fn ascii_of(symbol: &str) -> &'static str {
    match symbol {
        "─" | "━" => "-",
        "│" | "┃" => "|",
        "✓" | "╭" | "╮" | "╰" | "╯" | "├" | "┤" | "┬" | "┴" | "┼" => "+",
        "●" => "*",
        "○" => "o",
        "◐" => "@",
        "✗" | "×" => "x",
        "▶" | "→" | "≥" => ">",
        "█" => "#",
        "←" => "<",
        "↑" => "^",
        "↓" => "v",
        "…" => "~",
        "·" => ".",
        _ => "?",
    }
}
