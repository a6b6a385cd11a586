//! Colours and glyphs, resolved once at start. A state never shows by colour
//! alone: a glyph and a word always stand beside it.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};
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

/// The styles and the character set in use.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Theme {
    /// The one accent: focus, keys, selection.
    pub(crate) accent: Style,
    /// Borders and other furniture.
    pub(crate) quiet: Style,
    /// Secondary text.
    pub(crate) dim: Style,
    /// Something works.
    pub(crate) good: Style,
    /// Something wants watching.
    pub(crate) warn: Style,
    /// Something is broken.
    pub(crate) bad: Style,
    /// Headings.
    pub(crate) strong: Style,
    /// The selected row.
    pub(crate) selected: Style,
    /// Banners that must be seen.
    pub(crate) banner: Style,
    /// The banner of what strangers can do here.
    pub(crate) alarm: Style,
    /// Whether only ASCII may reach the terminal.
    pub(crate) ascii: bool,
}

impl Theme {
    /// The theme for a choice and an environment. Unless colours are chosen,
    /// there are some except where `NO_COLOR` is set or the terminal is `dumb`.
    pub(crate) fn resolve(
        colours: Option<bool>,
        glyphs: GlyphChoice,
        env: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let set = |name: &str| env(name).filter(|v| !v.is_empty());
        let coloured = colours.unwrap_or_else(|| {
            set("NO_COLOR").is_none() && set("TERM").is_none_or(|t| t != "dumb" && !t.ends_with("-m"))
        });
        let ascii = match glyphs {
            GlyphChoice::Ascii => true,
            GlyphChoice::Unicode => false,
            GlyphChoice::Auto => {
                let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
                !locale.is_some_and(|l| {
                    let l = l.to_ascii_lowercase();
                    l.contains("utf-8") || l.contains("utf8")
                })
            }
        };
        Self { ascii, ..if coloured { Self::coloured() } else { Self::mono() } }
    }

    /// The sixteen colours every terminal has; the terminal's own palette
    /// decides how they look on its background.
    fn coloured() -> Self {
        let plain = Style::new();
        Self {
            accent: plain.fg(Color::Cyan),
            quiet: plain.fg(Color::DarkGray),
            dim: plain.fg(Color::DarkGray),
            good: plain.fg(Color::Green),
            warn: plain.fg(Color::Yellow),
            bad: plain.fg(Color::Red),
            strong: plain.add_modifier(Modifier::BOLD),
            // One bar, whatever colours the cells in it had.
            selected: plain.fg(Color::Reset).add_modifier(Modifier::REVERSED),
            banner: plain.fg(Color::Yellow).add_modifier(Modifier::REVERSED),
            alarm: plain.fg(Color::Red).add_modifier(Modifier::REVERSED),
            ascii: false,
        }
    }

    /// No colour at all, not even "default".
    fn mono() -> Self {
        let plain = Style::new();
        Self {
            accent: plain.add_modifier(Modifier::BOLD),
            quiet: plain.add_modifier(Modifier::DIM),
            dim: plain.add_modifier(Modifier::DIM),
            good: plain,
            warn: plain.add_modifier(Modifier::BOLD),
            bad: plain.add_modifier(Modifier::BOLD),
            strong: plain.add_modifier(Modifier::BOLD),
            selected: plain.add_modifier(Modifier::REVERSED),
            banner: plain.add_modifier(Modifier::REVERSED),
            alarm: plain.add_modifier(Modifier::REVERSED),
            ascii: false,
        }
    }

    /// Replaces what an ASCII terminal cannot show, cell by cell, so that no
    /// text from anywhere slips through and no column moves.
    pub(crate) fn finish(&self, buf: &mut Buffer) {
        if !self.ascii {
            return;
        }
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
        "▶" | "→" => ">",
        "←" => "<",
        "↑" => "^",
        "↓" => "v",
        "…" => "~",
        "·" => ".",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;

    fn resolve(vars: &[(&str, &str)]) -> Theme {
        Theme::resolve(None, GlyphChoice::Auto, |name| {
            vars.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn no_color_means_no_colour_anywhere_in_the_theme() {
        let theme = resolve(&[("NO_COLOR", "1"), ("LANG", "C.UTF-8")]);
        for style in [
            theme.accent,
            theme.quiet,
            theme.dim,
            theme.good,
            theme.warn,
            theme.bad,
            theme.strong,
            theme.selected,
            theme.banner,
            theme.alarm,
        ] {
            assert_eq!((style.fg, style.bg), (None, None));
        }
        assert!(resolve(&[("NO_COLOR", "")]).accent.fg.is_some(), "an empty NO_COLOR does not count");
    }

    #[test]
    fn the_locale_decides_about_ascii_and_lc_all_wins() {
        assert!(!resolve(&[("LANG", "de_DE.utf8")]).ascii);
        assert!(resolve(&[("LANG", "en_US.UTF-8"), ("LC_ALL", "C")]).ascii);
        assert!(resolve(&[]).ascii);
        assert!(!resolve(&[("LC_ALL", ""), ("LANG", "C.UTF-8")]).ascii, "empty is not set");
        assert!(!Theme::resolve(None, GlyphChoice::Unicode, |_| None).ascii);
        assert!(Theme::resolve(None, GlyphChoice::Ascii, |_| Some("de_DE.utf8".into())).ascii);
    }

    #[test]
    fn in_ascii_mode_nothing_else_reaches_the_terminal() {
        let theme = Theme::resolve(Some(false), GlyphChoice::Ascii, |_| None);
        let mut buf = Buffer::empty(Rect::new(0, 0, 12, 1));
        buf.set_string(0, 0, "╭ 世 ● → é x", Style::new());
        theme.finish(&mut buf);
        let line: String = buf.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        assert_eq!(line, "+ ?? * > ? x");
    }
}
