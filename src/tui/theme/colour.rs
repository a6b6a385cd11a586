//! Colours as numbers: contrast as WCAG 2 counts it, and how far two colours are
//! from each other for an eye (CIE 1976).

/// A colour of the screen (sRGB).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rgb(pub(super) u8, pub(super) u8, pub(super) u8);

/// Its parts as amounts of light, 0 to 1.
pub(super) fn light(Rgb(r, g, b): Rgb) -> [f64; 3] {
    [r, g, b].map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    })
}

fn luminance(colour: Rgb) -> f64 {
    let [r, g, b] = light(colour);
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// The contrast of two colours, 1 to 21.
pub(super) fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// How far two colours are from each other; about 2 can just be told apart.
pub(super) fn distance(a: Rgb, b: Rgb) -> f64 {
    distance_of_light(light(a), light(b))
}

/// The same for amounts of light.
pub(super) fn distance_of_light(a: [f64; 3], b: [f64; 3]) -> f64 {
    let (a, b) = (lab(a), lab(b));
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// Amounts of light as CIE XYZ, by the white of a screen (D65).
const XYZ: [[f64; 3]; 3] = [
    [0.412_4 / 0.950_47, 0.357_6 / 0.950_47, 0.180_5 / 0.950_47],
    [0.212_6, 0.715_2, 0.072_2],
    [0.019_3 / 1.088_83, 0.119_2 / 1.088_83, 0.950_5 / 1.088_83],
];

fn lab(light: [f64; 3]) -> [f64; 3] {
    let [x, y, z] = XYZ.map(|row| {
        let part: f64 = row.iter().zip(light).map(|(m, part)| m * part).sum();
        if part > 0.008_856 { part.cbrt() } else { 7.787 * part + 16.0 / 116.0 }
    });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_the_standard() {
        assert!((contrast(Rgb(0, 0, 0), Rgb(255, 255, 255)) - 21.0).abs() < 0.01);
        // The grey that is known for just passing on white.
        assert!((contrast(Rgb(0x76, 0x76, 0x76), Rgb(255, 255, 255)) - 4.54).abs() < 0.01);
    }

    #[test]
    fn distance_is_none_between_equals_and_a_hundred_from_black_to_white() {
        assert!(distance(Rgb(9, 8, 7), Rgb(9, 8, 7)) < 1e-9);
        assert!((distance(Rgb(0, 0, 0), Rgb(255, 255, 255)) - 100.0).abs() < 0.1);
    }
}
