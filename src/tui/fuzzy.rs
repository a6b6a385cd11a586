//! Finding by a few letters: the letters of a pattern stand in a text in their
//! order, and the better they stand there the higher it ranks. Pure.

/// The letter begins a word.
const WORD: i32 = 8;
/// It begins the text.
const FIRST: i32 = 4;
/// The letter follows the one before.
const RUN: i32 = 6;
/// Letters lie between it and the one before.
const GAP: i32 = 2;
/// The text is the pattern.
const WHOLE: i32 = 20;
/// Longer texts are not looked at to their end.
const LONGEST: usize = 128;

/// Where and how well a pattern stands in a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Match {
    /// Higher is better.
    pub(crate) score: i32,
    /// The places of its letters, counted in characters.
    pub(crate) at: Vec<usize>,
}

/// Finds a pattern in a text, whatever their cases; `None` if it is not there.
/// The empty pattern is everywhere.
pub(crate) fn fuzzy(pattern: &str, text: &str) -> Option<Match> {
    let lower = |s: &str| -> Vec<char> { s.chars().take(LONGEST).flat_map(char::to_lowercase).collect() };
    let (pattern, text) = (lower(pattern), lower(text));
    let mut rest = text.iter();
    if !pattern.iter().all(|p| rest.any(|t| t == p)) {
        return None;
    }
    let Some(last) = pattern.len().checked_sub(1) else { return Some(Match::default()) };
    let starts = |i: usize| i == 0 || (text[i].is_alphanumeric() && !text[i - 1].is_alphanumeric());
    // best[j][i]: the best score with letter j of the pattern at place i, and
    // where the letter before it stands then.
    let mut best: Vec<Vec<Option<(i32, usize)>>> = Vec::with_capacity(pattern.len());
    for (j, p) in pattern.iter().enumerate() {
        let mut row = vec![None; text.len()];
        // The best of the letter before, at least one place away.
        let mut away: Option<(i32, usize)> = None;
        for i in 0..text.len() {
            if let (Some(above), Some(far)) = (j.checked_sub(1), i.checked_sub(2))
                && let Some((score, _)) = best[above][far]
                && away.is_none_or(|(most, _)| score > most)
            {
                away = Some((score, far));
            }
            if text[i] != *p {
                continue;
            }
            let here = if starts(i) { WORD } else { 0 };
            row[i] = match j.checked_sub(1) {
                None => Some((here + if i == 0 { FIRST } else { 0 }, i)),
                Some(above) => {
                    let beside = i.checked_sub(1).and_then(|b| best[above][b].map(|(s, _)| (s + RUN, b)));
                    let away = away.map(|(s, at)| (s - GAP, at));
                    beside.into_iter().chain(away).max_by_key(|(s, _)| *s).map(|(s, at)| (s + here, at))
                }
            };
        }
        best.push(row);
    }
    let (score, mut place) = (0..text.len())
        .filter_map(|i| best[last][i].map(|(score, _)| (score, i)))
        .max_by_key(|(score, i)| (*score, usize::MAX - i))?;
    let mut at = vec![place];
    for j in (1..=last).rev() {
        place = best[j][place]?.1;
        at.push(place);
    }
    at.reverse();
    let whole = if pattern == text { WHOLE } else { 0 };
    // Of two texts that hold it equally well the shorter one is meant.
    let length = i32::try_from(text.len()).unwrap_or(i32::MAX) / 8;
    Some(Match { score: score + whole - length, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked<'a>(pattern: &str, texts: &[&'a str]) -> Vec<&'a str> {
        let mut found: Vec<_> = texts.iter().filter_map(|t| Some((fuzzy(pattern, t)?.score, *t))).collect();
        found.sort_by_key(|(score, _)| -score);
        found.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn the_letters_stand_in_their_order_whatever_their_case() {
        assert_eq!(fuzzy("SyA", "sync-all").map(|m| m.at), Some(vec![0, 1, 5]));
        assert_eq!(fuzzy("ays", "sync-all"), None);
        assert_eq!(fuzzy("", "anything"), Some(Match::default()));
        assert_eq!(fuzzy("x", ""), None);
    }

    #[test]
    fn beginnings_of_words_and_runs_go_before_scattered_letters() {
        assert_eq!(ranked("sa", &["clear-small-thing", "sync-all"])[0], "sync-all");
        assert_eq!(
            ranked("sort", &["sxoxrxtx-scattered", "sort-inverse", "sort"]),
            ["sort", "sort-inverse", "sxoxrxtx-scattered"]
        );
        assert_eq!(ranked("nat", &["connect-attempt", "lab-nat", "nat-probe"])[0], "nat-probe");
    }

    #[test]
    fn the_best_place_is_marked_and_not_the_first() {
        assert_eq!(fuzzy("nat", "lan-lab-nat").map(|m| m.at), Some(vec![8, 9, 10]));
    }

    #[test]
    fn the_exact_text_wins() {
        assert_eq!(ranked("punch", &["punch-again", "punch"])[0], "punch");
    }

    #[test]
    fn letters_of_other_alphabets_count_as_one_place_each() {
        assert_eq!(fuzzy("世é", "x世界é").map(|m| m.at), Some(vec![1, 3]));
    }
}
