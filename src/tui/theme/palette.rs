//! The colours of the themes that bring their own, foreground and background: so
//! they can be read on any terminal, whatever it has behind its text.

use super::colour::Rgb;
use crate::model::ThemeChoice;

/// The colours of a theme.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette {
    pub(super) background: Rgb,
    pub(super) text: Rgb,
    pub(super) accent: Rgb,
    pub(super) quiet: Rgb,
    pub(super) dim: Rgb,
    pub(super) good: Rgb,
    pub(super) warn: Rgb,
    pub(super) bad: Rgb,
    /// The least contrast of all that (WCAG 2: AA is 4.5, AAA is 7).
    pub(super) least: f64,
}

const DARK: Palette = Palette {
    background: Rgb(0x16, 0x1a, 0x21),
    text: Rgb(0xd8, 0xde, 0xe9),
    accent: Rgb(0x7f, 0xc8, 0xe8),
    quiet: Rgb(0x86, 0x90, 0xa2),
    dim: Rgb(0x9a, 0xa5, 0xb8),
    good: Rgb(0x8f, 0xd6, 0x94),
    warn: Rgb(0xeb, 0xcb, 0x6b),
    bad: Rgb(0xff, 0x8f, 0x88),
    least: 4.5,
};

const LIGHT: Palette = Palette {
    background: Rgb(0xfb, 0xfb, 0xf8),
    text: Rgb(0x1d, 0x23, 0x2b),
    accent: Rgb(0x00, 0x5f, 0x87),
    quiet: Rgb(0x68, 0x6e, 0x78),
    dim: Rgb(0x56, 0x5d, 0x68),
    good: Rgb(0x1a, 0x6e, 0x2e),
    warn: Rgb(0x7a, 0x52, 0x00),
    bad: Rgb(0xb3, 0x26, 0x1e),
    least: 4.5,
};

const HIGH_CONTRAST: Palette = Palette {
    background: Rgb(0x00, 0x00, 0x00),
    text: Rgb(0xff, 0xff, 0xff),
    accent: Rgb(0x6f, 0xf5, 0xff),
    quiet: Rgb(0xc0, 0xc0, 0xc0),
    dim: Rgb(0xd8, 0xd8, 0xd8),
    good: Rgb(0x7c, 0xff, 0x7c),
    warn: Rgb(0xff, 0xe1, 0x4d),
    bad: Rgb(0xff, 0x9d, 0x94),
    least: 7.0,
};

/// Blue, yellow and a dark orange: an eye without the red or the green cones
/// tells them apart by hue and by lightness (after Okabe and Ito).
const COLOUR_BLIND: Palette = Palette {
    background: Rgb(0x10, 0x14, 0x1a),
    text: Rgb(0xe6, 0xe6, 0xe6),
    accent: Rgb(0xff, 0xff, 0xff),
    quiet: Rgb(0x8c, 0x94, 0xa0),
    dim: Rgb(0xa0, 0xa8, 0xb4),
    good: Rgb(0x5c, 0xb8, 0xff),
    warn: Rgb(0xff, 0xf0, 0x7a),
    bad: Rgb(0xe0, 0x60, 0x0f),
    least: 4.5,
};

impl Palette {
    /// Of a theme; `None` where the terminal's own colours are used.
    pub(super) fn of(choice: ThemeChoice) -> Option<&'static Self> {
        match choice {
            ThemeChoice::Auto | ThemeChoice::Mono => None,
            ThemeChoice::Dark => Some(&DARK),
            ThemeChoice::Light => Some(&LIGHT),
            ThemeChoice::HighContrast => Some(&HIGH_CONTRAST),
            ThemeChoice::ColourBlind => Some(&COLOUR_BLIND),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::colour::{contrast, distance_of_light, light};
    use super::super::depth::{nearest, nearest_readable};
    use super::*;

    /// Every foreground, by its role.
    fn foregrounds(palette: &Palette) -> [(&'static str, Rgb); 7] {
        [
            ("text", palette.text),
            ("accent", palette.accent),
            ("quiet", palette.quiet),
            ("dim", palette.dim),
            ("good", palette.good),
            ("warn", palette.warn),
            ("bad", palette.bad),
        ]
    }

    fn all() -> impl Iterator<Item = (ThemeChoice, &'static Palette)> {
        ThemeChoice::ALL.into_iter().filter_map(|choice| Some((choice, Palette::of(choice)?)))
    }

    #[test]
    fn every_foreground_can_be_read_on_its_background() {
        let mut seen = 0;
        for (choice, palette) in all() {
            let least = if choice == ThemeChoice::HighContrast { 7.0 } else { 4.5 };
            for (role, colour) in foregrounds(palette) {
                let got = contrast(colour, palette.background);
                assert!(got >= least, "{choice} {role}: {got:.2}, at least {least}");
                seen += 1;
            }
            assert!(palette.least >= least);
        }
        assert_eq!(seen, 4 * 7);
    }

    /// What an eye without one kind of cones sees (Machado et al. 2009), as
    /// amounts of light.
    fn seen_without(cones: [[f64; 3]; 3], colour: Rgb) -> [f64; 3] {
        let light = light(colour);
        cones.map(|row| row.iter().zip(light).map(|(m, part)| m * part).sum::<f64>().clamp(0.0, 1.0))
    }

    const RED: [[f64; 3]; 3] = [
        [0.152_286, 1.052_583, -0.204_868],
        [0.114_503, 0.786_281, 0.099_216],
        [-0.003_882, -0.048_116, 1.051_998],
    ];
    const GREEN: [[f64; 3]; 3] = [
        [0.367_322, 0.860_646, -0.227_968],
        [0.280_085, 0.672_501, 0.047_413],
        [-0.011_820, 0.042_940, 0.968_881],
    ];

    /// The least distance between good, warn and bad for both eyes.
    fn least_distance(palette: &Palette) -> f64 {
        let pairs = [(palette.good, palette.warn), (palette.good, palette.bad), (palette.warn, palette.bad)];
        let eyes = [RED, GREEN].into_iter();
        let all = eyes.flat_map(|cones| {
            pairs.map(|(a, b)| distance_of_light(seen_without(cones, a), seen_without(cones, b)))
        });
        all.fold(f64::MAX, f64::min)
    }

    #[test]
    fn good_warn_and_bad_differ_for_eyes_without_red_or_green_cones() {
        let blind = least_distance(&COLOUR_BLIND);
        assert!(blind >= 30.0, "{blind:.1}");
        // That is not so by itself: the dark theme's red and green come close.
        let dark = least_distance(&DARK);
        assert!(dark < 20.0, "{dark:.1}");
    }

    #[test]
    fn in_256_colours_every_foreground_can_be_read_as_well() {
        for (choice, palette) in all() {
            let background = nearest(palette.background);
            for (role, colour) in foregrounds(palette) {
                let n = nearest_readable(colour, background, palette.least);
                assert!(n >= 16, "{choice} {role}: of the colours that look alike everywhere");
            }
        }
    }
}
