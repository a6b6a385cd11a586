//! One term of a filter.

use std::fmt::Write as _;

use super::Parse;
use super::field::{Field, Kind, word_of};
use crate::model::{PeerRow, Stamp};

/// How two values are compared. Longer ones first: `!=` before `=`.
const OPERATORS: [(&str, Operator); 8] = [
    ("!=", Operator::IsNot),
    ("!~", Operator::HasNot),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("=", Operator::Is),
    ("~", Operator::Has),
    ("<", Operator::Below),
    (">", Operator::Above),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Is,
    IsNot,
    Has,
    HasNot,
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Operator {
    pub(super) fn sign(self) -> &'static str {
        OPERATORS.iter().find(|(_, operator)| *operator == self).map_or("", |(sign, _)| sign)
    }

    /// Those that a kind of value knows.
    fn of(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::Text => &[Self::Is, Self::IsNot, Self::Has, Self::HasNot],
            Kind::OneOf => &[Self::Is, Self::IsNot],
            Kind::Number(_) | Kind::Age => {
                &[Self::Is, Self::IsNot, Self::Below, Self::AtMost, Self::Above, Self::AtLeast]
            }
        }
    }

    fn compares(self, value: f64, with: f64) -> bool {
        let same = (value - with).abs() < 1e-9;
        match self {
            Self::Is | Self::Has => same,
            Self::IsNot | Self::HasNot => !same,
            Self::Below => value < with && !same,
            Self::AtMost => value < with || same,
            Self::Above => value > with && !same,
            Self::AtLeast => value > with || same,
        }
    }

    pub(super) fn is_negative(self) -> bool {
        matches!(self, Self::IsNot | Self::HasNot)
    }
}

/// A term that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Term {
    /// Looked for everywhere. `hex`: it can be the beginning of an id.
    Word { needle: String, hex: bool },
    /// A text, in lower case.
    Text { field: Field, operator: Operator, value: String },
    /// One of a few names.
    OneOf { field: Field, not: bool, value: &'static str },
    /// A number in the field's unit.
    Number { field: Field, operator: Operator, value: f64 },
}

impl Parse for Term {
    fn parse(word: &str) -> Result<Self, String> {
        if word.matches('"').count() % 2 == 1 {
            return Err("the closing quote is missing".to_owned());
        }
        let Some((key, operator, value)) = split(word) else {
            let needle = word.replace('"', "").to_lowercase();
            let hex = needle.chars().all(|c| c.is_ascii_hexdigit());
            return Ok(Self::Word { needle, hex });
        };
        let Some(field) = Field::by_key(key) else {
            let keys = Field::ALL.iter().copied().map(Field::key).collect::<Vec<_>>().join(", ");
            return Err(format!("there is no {key:?}; keys: {keys}"));
        };
        let (key, kind) = (field.key(), field.kind());
        if !Operator::of(kind).contains(&operator) {
            let signs: Vec<&str> = Operator::of(kind).iter().map(|o| o.sign()).collect();
            return Err(format!("{key} takes {}", signs.join(" ")));
        }
        if value.is_empty() {
            return Err(format!("a value is missing behind {key}{}", operator.sign()));
        }
        match kind {
            Kind::Text => Ok(Self::Text { field, operator, value: value.to_lowercase() }),
            Kind::OneOf => {
                let value = one_of(field, &value.to_lowercase())?;
                Ok(Self::OneOf { field, not: operator == Operator::IsNot, value })
            }
            Kind::Number(unit) => {
                let number = value.parse().map_err(|_| format!("{key} is a number of {unit}"))?;
                Ok(Self::Number { field, operator, value: number })
            }
            Kind::Age => {
                let says = || format!("{key} is a time such as 30s, 5m, 2h or 1d");
                Ok(Self::Number { field, operator, value: seconds(&value).ok_or_else(says)? })
            }
        }
    }
}

impl Term {
    pub(super) fn holds(&self, row: &PeerRow, now: Stamp, scratch: &mut String) -> bool {
        match self {
            Self::Word { needle, hex } => {
                (*hex && row.peer_id.has_prefix(needle)) || says(row, needle, scratch)
            }
            Self::Text { field, operator, value } => {
                let whole = matches!(operator, Operator::Is | Operator::IsNot);
                let fits = |text: &str| if whole { text == value } else { text.contains(value.as_str()) };
                let found = match field {
                    Field::Id if whole => row.peer_id.has_prefix(value),
                    Field::Id => fits(&row.peer_id.to_string()),
                    Field::Addr => addresses(row, scratch, fits),
                    _ => row.name.as_deref().is_some_and(|name| fits(&name.to_lowercase())),
                };
                found != operator.is_negative()
            }
            Self::OneOf { field, not, value } => (name_of(*field, row) == *value) != *not,
            Self::Number { field, operator, value } => {
                number_of(*field, row, now).is_some_and(|number| operator.compares(number, *value))
            }
        }
    }
}

/// A word as key, operator and value, if there is an operator in it.
pub(super) fn split(word: &str) -> Option<(&str, Operator, String)> {
    let at = word.find(['=', '!', '~', '<', '>'])?;
    let (sign, operator) = OPERATORS.iter().find(|(sign, _)| word[at..].starts_with(sign))?;
    Some((&word[..at], *operator, word[at + sign.len()..].replace('"', "")))
}

/// The value with that name, or the only one that begins so.
fn one_of(field: Field, text: &str) -> Result<&'static str, String> {
    let values = field.values();
    if let Some(value) = values.iter().find(|value| **value == text) {
        return Ok(value);
    }
    let begin: Vec<&str> = values.iter().copied().filter(|value| value.starts_with(text)).collect();
    match begin.as_slice() {
        [one] => Ok(one),
        _ => Err(format!("{} is one of {}", field.key(), values.join(", "))),
    }
}

fn seconds(text: &str) -> Option<f64> {
    let (number, unit) = match text.char_indices().last()? {
        (_, '0'..='9') => (text, 1.0),
        (at, 's') => (&text[..at], 1.0),
        (at, 'm') => (&text[..at], 60.0),
        (at, 'h') => (&text[..at], 3_600.0),
        (at, 'd') => (&text[..at], 86_400.0),
        _ => return None,
    };
    number.parse::<f64>().ok().filter(|n| *n >= 0.0).map(|n| n * unit)
}

fn says(row: &PeerRow, needle: &str, scratch: &mut String) -> bool {
    row.state.name().contains(needle)
        || row.nat_type.name().contains(needle)
        || row.path.is_some_and(|path| path.name().contains(needle))
        || row.source.name().contains(needle)
        || row.name.as_deref().is_some_and(|name| name.to_lowercase().contains(needle))
        || addresses(row, scratch, |addr| addr.contains(needle))
}

fn addresses(row: &PeerRow, scratch: &mut String, fits: impl Fn(&str) -> bool) -> bool {
    row.addresses.iter().any(|addr| {
        scratch.clear();
        let _ = write!(scratch, "{addr}");
        fits(scratch)
    })
}

fn name_of(field: Field, row: &PeerRow) -> &'static str {
    match field {
        Field::Nat => row.nat_type.name(),
        Field::Path => row.path.map_or("-", crate::model::Path::name),
        Field::State => word_of(row.state),
        _ => row.source.name(),
    }
}

/// The number in the field's unit; nothing where it is not known.
fn number_of(field: Field, row: &PeerRow, now: Stamp) -> Option<f64> {
    let tested = row.tested.as_ref();
    match field {
        Field::Rtt => row.rtt_ms,
        Field::Loss => tested?.loss.map(|loss| loss * 100.0),
        Field::Up => tested?.up.map(|rate| rate.mbit),
        Field::Down => tested?.down.map(|rate| rate.mbit),
        Field::Ok => row.success_rate().map(|rate| rate * 100.0),
        Field::Attempts => Some(f64::from(row.attempts)),
        _ => row.last_seen.map(|at| at.age_at(now).as_secs_f64()),
    }
}
