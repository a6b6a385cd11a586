//! How many colours a terminal has, by what its environment says, and a colour in
//! as many as there are: the nearest one that can still be read.

use ratatui::style::Color;

use super::colour::{Rgb, contrast, distance};

/// How many colours there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    /// None at all.
    None,
    /// The first eight, whose looks the terminal decides.
    Eight,
    /// Those and their bright halves.
    Sixteen,
    /// And a cube and a scale of greys, whose looks are fixed.
    Many,
    /// Any.
    True,
}

impl Depth {
    /// By `NO_COLOR`, `COLORTERM` and `TERM`; empty is not set.
    pub(super) fn detect(env: impl Fn(&str) -> Option<String>) -> Self {
        let term = env("TERM").unwrap_or_default();
        let bare = matches!(term.as_str(), "dumb" | "vt100" | "vt102" | "vt220") || term.ends_with("-m");
        if env("NO_COLOR").is_some() || bare {
            return Self::None;
        }
        if matches!(env("COLORTERM").as_deref(), Some("truecolor" | "24bit")) || term.ends_with("-direct") {
            return Self::True;
        }
        if term.contains("256color") {
            return Self::Many;
        }
        let eight = matches!(term.as_str(), "linux" | "ansi" | "cygwin") || term.ends_with("-8color");
        if eight { Self::Eight } else { Self::Sixteen }
    }
}

/// A colour of the 256 by its number, from the 16th on; those before are the
/// terminal's own.
fn indexed(n: u8) -> Rgb {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    if n >= 232 {
        let grey = 8 + 10 * (n - 232);
        return Rgb(grey, grey, grey);
    }
    let n = usize::from(n.saturating_sub(16));
    Rgb(STEPS[n / 36], STEPS[n / 6 % 6], STEPS[n % 6])
}

/// The nearest of the 256 colours.
pub(super) fn nearest(colour: Rgb) -> u8 {
    best(colour, |_| true)
}

/// The nearest of them that has this contrast on a background.
pub(super) fn nearest_readable(colour: Rgb, on: u8, least: f64) -> u8 {
    best(colour, |c| contrast(c, indexed(on)) >= least)
}

fn best(colour: Rgb, fits: impl Fn(Rgb) -> bool) -> u8 {
    let all = (16..=255).filter(|n| fits(indexed(*n)));
    all.min_by(|a, b| distance(indexed(*a), colour).total_cmp(&distance(indexed(*b), colour))).unwrap_or(15)
}

/// The colour with that number, as it is drawn.
pub(super) fn drawn(n: u8) -> Color {
    Color::Indexed(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(vars: &[(&str, &str)]) -> Depth {
        Depth::detect(|name| vars.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn the_environment_says_how_many_colours_there_are_and_no_color_wins() {
        assert_eq!(detect(&[("COLORTERM", "truecolor"), ("TERM", "xterm-256color")]), Depth::True);
        assert_eq!(detect(&[("COLORTERM", "24bit")]), Depth::True);
        assert_eq!(detect(&[("TERM", "xterm-direct")]), Depth::True);
        assert_eq!(detect(&[("TERM", "tmux-256color"), ("COLORTERM", "yes")]), Depth::Many);
        assert_eq!(detect(&[("TERM", "xterm")]), Depth::Sixteen);
        assert_eq!(detect(&[]), Depth::Sixteen);
        assert_eq!(detect(&[("TERM", "linux")]), Depth::Eight);
        for term in ["dumb", "vt100", "xterm-m"] {
            assert_eq!(detect(&[("TERM", term), ("COLORTERM", "truecolor")]), Depth::None);
        }
        assert_eq!(detect(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")]), Depth::None);
    }

    #[test]
    fn the_numbers_are_the_colours_of_xterm() {
        assert_eq!(indexed(16), Rgb(0, 0, 0));
        assert_eq!(indexed(196), Rgb(255, 0, 0));
        assert_eq!(indexed(231), Rgb(255, 255, 255));
        assert_eq!(indexed(244), Rgb(128, 128, 128));
        assert_eq!(nearest(Rgb(250, 3, 2)), 196);
    }

    #[test]
    fn a_colour_that_could_not_be_read_gives_way_to_the_nearest_that_can() {
        let black = nearest(Rgb(0, 0, 0));
        let dark_blue = Rgb(0, 0, 95);
        assert!(contrast(indexed(nearest(dark_blue)), indexed(black)) < 4.5);
        assert!(contrast(indexed(nearest_readable(dark_blue, black, 4.5)), indexed(black)) >= 4.5);
    }
}
