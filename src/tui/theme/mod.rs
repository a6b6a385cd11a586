//! Colours and glyphs, resolved once at start. A state never shows by colour
//! alone: a glyph and a word always stand beside it.
//!
//! `auto` is the terminal's own palette: what is behind its text cannot be asked
//! everywhere. The other themes bring their own background, so that their contrast
//! is known; with few colours they, too, use the terminal's own.

mod colour;
mod depth;
mod glyphs;
mod palette;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use self::colour::Rgb;
use self::depth::Depth;
pub use self::glyphs::GlyphChoice;
use self::palette::Palette;
use crate::model::ThemeChoice;

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
    /// Text and background where a theme brings its own.
    base: Option<(Color, Color)>,
    /// Whether only ASCII may reach the terminal.
    pub(crate) ascii: bool,
}

impl Theme {
    /// The theme for a choice and an environment. There is no colour where
    /// `NO_COLOR` is set or the terminal has none, whatever is chosen.
    pub(crate) fn named(
        choice: ThemeChoice,
        glyphs: GlyphChoice,
        env: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let set = |name: &str| env(name).filter(|v| !v.is_empty());
        let look = match (choice, Depth::detect(set)) {
            (ThemeChoice::Mono, _) | (_, Depth::None) => Self::mono(),
            (choice, Depth::Eight | Depth::Sixteen) => Self::own(choice),
            (choice, depth) => {
                Palette::of(choice).map_or_else(|| Self::own(choice), |palette| Self::of(palette, depth))
            }
        };
        Self { ascii: glyphs.is_ascii(set), ..look }
    }

    /// `auto`, with or without colours where that is given.
    #[cfg(test)]
    pub(crate) fn resolve(
        colours: Option<bool>,
        glyphs: GlyphChoice,
        env: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let choice = if colours == Some(false) { ThemeChoice::Mono } else { ThemeChoice::Auto };
        Self::named(choice, glyphs, env)
    }

    /// The first eight colours, which every terminal with colours has; its own
    /// palette decides how they look on its background. What is dim is no colour
    /// of its own: the bright black of many terminals cannot be seen.
    fn own(choice: ThemeChoice) -> Self {
        let plain = Style::new();
        let faint = plain.add_modifier(Modifier::DIM);
        let [accent, good, warn, bad] = match choice {
            // Yellow and cyan cannot be read on white.
            ThemeChoice::Light => [Color::Blue, Color::Green, Color::Magenta, Color::Red],
            ThemeChoice::ColourBlind => [Color::Cyan, Color::Blue, Color::Yellow, Color::Red],
            _ => [Color::Cyan, Color::Green, Color::Yellow, Color::Red],
        };
        let strong = match choice {
            // As much as the terminal gives.
            ThemeChoice::HighContrast => Modifier::BOLD,
            _ => Modifier::empty(),
        };
        let faint = if choice == ThemeChoice::HighContrast { plain } else { faint };
        let [accent, good, warn, bad] = [accent, good, warn, bad].map(|c| plain.fg(c).add_modifier(strong));
        Self::from(accent, faint, faint, [good, warn, bad], None)
    }

    /// A theme's own colours, all or as many as there are.
    fn of(palette: &Palette, depth: Depth) -> Self {
        let number = depth::nearest(palette.background);
        let background = match depth {
            Depth::True => true_colour(palette.background),
            _ => depth::drawn(number),
        };
        let drawn = |colour: Rgb| match depth {
            Depth::True => true_colour(colour),
            _ => depth::drawn(depth::nearest_readable(colour, number, palette.least)),
        };
        let style = |colour| Style::new().fg(drawn(colour));
        let states = [style(palette.good), style(palette.warn), style(palette.bad)];
        let base = Some((drawn(palette.text), background));
        Self::from(style(palette.accent), style(palette.quiet), style(palette.dim), states, base)
    }

    fn from(
        accent: Style,
        quiet: Style,
        dim: Style,
        [good, warn, bad]: [Style; 3],
        base: Option<(Color, Color)>,
    ) -> Self {
        let plain = Style::new();
        Self {
            accent,
            quiet,
            dim,
            good,
            warn,
            bad,
            strong: plain.add_modifier(Modifier::BOLD),
            // One bar, whatever colours the cells in it had.
            selected: plain.fg(Color::Reset).remove_modifier(Modifier::DIM).add_modifier(Modifier::REVERSED),
            banner: warn.add_modifier(Modifier::REVERSED),
            base,
            ascii: false,
        }
    }

    /// No colour at all, not even "default".
    fn mono() -> Self {
        let plain = Style::new();
        let (bold, faint) = (plain.add_modifier(Modifier::BOLD), plain.add_modifier(Modifier::DIM));
        let mark = plain.add_modifier(Modifier::REVERSED);
        Self { selected: mark, banner: mark, ..Self::from(bold, faint, faint, [plain, bold, bold], None) }
    }

    /// The last hand on a frame: the theme's own ground under everything, and
    /// nothing but ASCII where that is asked for.
    pub(crate) fn finish(&self, buf: &mut Buffer) {
        if let Some((text, background)) = self.base {
            for cell in &mut buf.content {
                if cell.fg == Color::Reset {
                    cell.fg = text;
                }
                if cell.bg == Color::Reset {
                    cell.bg = background;
                }
            }
        }
        if self.ascii {
            glyphs::to_ascii(buf);
        }
    }

    /// The terminal's title, as far as the terminal can show it.
    pub(crate) fn title(&self, title: String) -> String {
        if self.ascii { glyphs::text_to_ascii(&title) } else { title }
    }
}

fn true_colour(Rgb(r, g, b): Rgb) -> Color {
    Color::Rgb(r, g, b)
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;

    fn named(choice: ThemeChoice, vars: &[(&str, &str)]) -> Theme {
        Theme::named(choice, GlyphChoice::Auto, |name| {
            vars.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned())
        })
    }

    fn resolve(vars: &[(&str, &str)]) -> Theme {
        named(ThemeChoice::Auto, vars)
    }

    fn styles(theme: &Theme) -> [Style; 9] {
        [
            theme.accent,
            theme.quiet,
            theme.dim,
            theme.good,
            theme.warn,
            theme.bad,
            theme.strong,
            theme.selected,
            theme.banner,
        ]
    }

    #[test]
    fn no_color_means_no_colour_anywhere_in_any_theme() {
        for choice in ThemeChoice::ALL {
            let theme = named(choice, &[("NO_COLOR", "1"), ("LANG", "C.UTF-8"), ("COLORTERM", "truecolor")]);
            for style in styles(&theme) {
                assert_eq!((style.fg, style.bg), (None, None), "{choice}");
            }
            assert_eq!(theme.base, None, "{choice}");
        }
        assert!(resolve(&[("NO_COLOR", "")]).accent.fg.is_some(), "an empty NO_COLOR does not count");
    }

    #[test]
    fn auto_uses_the_terminals_own_colours_whatever_it_could_do() {
        let theme = resolve(&[("COLORTERM", "truecolor"), ("TERM", "xterm-256color")]);
        let own = [Color::Cyan, Color::Green, Color::Yellow, Color::Red];
        assert_eq!([theme.accent, theme.good, theme.warn, theme.bad].map(|s| s.fg), own.map(Some));
        assert_eq!(theme.base, None);
        // Bright black is what many terminals have behind their text.
        assert_eq!((theme.dim.fg, theme.quiet.fg), (None, None));
    }

    #[test]
    fn a_theme_comes_in_as_many_colours_as_there_are() {
        let dark = |vars| named(ThemeChoice::Dark, vars);
        let full = dark(&[("COLORTERM", "truecolor")]);
        assert!(matches!(full.good.fg, Some(Color::Rgb(..))));
        assert!(matches!(full.base, Some((Color::Rgb(..), Color::Rgb(..)))));
        let many = dark(&[("TERM", "xterm-256color")]);
        assert!(matches!(many.good.fg, Some(Color::Indexed(16..))), "{:?}", many.good);
        let few = dark(&[("TERM", "xterm")]);
        assert_eq!((few.good.fg, few.base), (Some(Color::Green), None));
        let eight = dark(&[("TERM", "linux")]);
        for style in styles(&eight) {
            let bright = [Color::DarkGray, Color::LightRed, Color::LightGreen, Color::Gray, Color::White];
            assert!(style.fg.is_none_or(|c| !bright.contains(&c)), "only the first eight: {style:?}");
        }
    }

    #[test]
    fn a_theme_with_a_ground_of_its_own_leaves_no_cell_to_the_terminal() {
        let theme = named(ThemeChoice::Light, &[("COLORTERM", "truecolor"), ("LANG", "C.UTF-8")]);
        let mut buf = Buffer::empty(Rect::new(0, 0, 4, 1));
        buf.set_string(0, 0, "ab", theme.bad);
        theme.finish(&mut buf);
        let (text, background) = theme.base.unwrap();
        assert!(buf.content.iter().all(|c| c.bg == background));
        assert_eq!((Some(buf.content[0].fg), buf.content[3].fg), (theme.bad.fg, text));
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
