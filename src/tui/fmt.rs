//! Values as texts: ages, durations, byte counts, times of day. Pure; it
//! never reads a clock or a time zone of its own.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::model::Stamp;

/// A text that changes by itself, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ageing {
    /// The text as of now.
    pub(crate) text: String,
    /// How long until it reads differently.
    pub(crate) changes_in: Duration,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Whole seconds below a minute, whole minutes above.
fn coarse(seconds: u64) -> String {
    match seconds {
        0..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m", seconds / MINUTE),
        HOUR..DAY => format!("{}h{:02}m", seconds / HOUR, seconds % HOUR / MINUTE),
        _ => format!("{}d{:02}h", seconds / DAY, seconds % DAY / HOUR),
    }
}

/// A time in minutes and seconds: `2 min 3 s`.
pub(crate) fn exactly(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..MINUTE => format!("{seconds} s"),
        seconds @ MINUTE..HOUR => format!("{} min {} s", seconds / MINUTE, seconds % MINUTE),
        seconds => format!("{} h {} min", seconds / HOUR, seconds % HOUR / MINUTE),
    }
}

/// How long ago `stamp` was, in steps of a second below a minute and of a
/// minute above.
pub(crate) fn age(stamp: Stamp, now: Stamp) -> Ageing {
    let age = stamp.age_at(now);
    let step = if age.as_secs() < MINUTE { 1000 } else { u128::from(MINUTE) * 1000 };
    let into = age.as_millis() % step;
    Ageing {
        text: coarse(age.as_secs()),
        changes_in: Duration::from_millis(u64::try_from(step - into).unwrap_or(1000)),
    }
}

/// How long until `stamp`, with the same steps as [`age`]; `now` once it came.
pub(crate) fn countdown(stamp: Stamp, now: Stamp) -> Ageing {
    let left = u64::try_from(stamp.0.saturating_sub(now.0)).unwrap_or(0);
    if left == 0 {
        return Ageing { text: "now".to_owned(), changes_in: Duration::MAX };
    }
    let seconds = left.div_ceil(1000);
    // The last second at which it still reads the same.
    let last = if seconds < MINUTE { seconds } else { seconds / MINUTE * MINUTE };
    let changes = left - (last - 1) * 1000;
    Ageing { text: format!("in {}", coarse(seconds)), changes_in: Duration::from_millis(changes) }
}

/// A measured duration: milliseconds below a second, seconds above.
pub(crate) fn elapsed(ms: u64) -> String {
    match ms {
        0..100_000 => crate::model::took(ms),
        _ => coarse(ms / 1000),
    }
}

/// A span of whole units: `10 s`, `3 min`, `24 h`.
pub(crate) fn span(ms: u64) -> String {
    match ms / 1000 {
        s if s > 0 && s % 3600 == 0 => format!("{} h", s / 3600),
        s if s > 0 && s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// A round-trip time without a space, for tables; `-` if unknown.
pub(crate) fn rtt(ms: Option<f64>) -> String {
    match ms {
        Some(ms) if ms < 9.95 => format!("{ms:.1}ms"),
        Some(ms) if ms < 9_999.5 => format!("{ms:.0}ms"),
        Some(ms) => format!("{:.0}s", ms / 1e3),
        None => "-".to_owned(),
    }
}

/// A mean or percentile in milliseconds; `-` if unknown.
pub(crate) fn millis(ms: Option<f64>) -> String {
    match ms {
        Some(ms) if ms < 9.95 => format!("{ms:.1} ms"),
        Some(ms) if ms < 999.5 => format!("{ms:.0} ms"),
        Some(ms) => format!("{:.2} s", ms / 1e3),
        None => "-".to_owned(),
    }
}

/// A byte count with a binary unit.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A byte count for a narrow column: two digits at least where it is not whole.
pub(crate) fn short_bytes(n: u64) -> String {
    let mut value = n as f64;
    let mut unit = "";
    for next in ["K", "M", "G", "T"] {
        if value < 1000.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit.is_empty() || value >= 9.95 { format!("{value:.0}{unit}") } else { format!("{value:.1}{unit}") }
}

/// The time of day with milliseconds, in the given zone.
pub(crate) fn time_of_day(stamp: Stamp, zone: &TimeZone) -> String {
    match jiff::Timestamp::from_millisecond(stamp.0) {
        Ok(at) => at.to_zoned(zone.clone()).strftime("%H:%M:%S.%3f").to_string(),
        Err(_) => "-".to_owned(),
    }
}

/// Until when something was so: a time of that day, or a day.
pub(crate) fn until(at: Stamp, now: Stamp, zone: &TimeZone) -> String {
    let day = date(at, zone);
    if day == date(now, zone) { time_of_day(at, zone).chars().take(5).collect() } else { day }
}

/// The day, in the given zone.
pub(crate) fn date(stamp: Stamp, zone: &TimeZone) -> String {
    match jiff::Timestamp::from_millisecond(stamp.0) {
        Ok(at) => at.to_zoned(zone.clone()).strftime("%Y-%m-%d").to_string(),
        Err(_) => "-".to_owned(),
    }
}

/// Whether one or many: `1 peer`, `2 peers`.
pub(crate) fn count(n: u64, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age_of(ms: i64) -> (String, u64) {
        let a = age(Stamp(0), Stamp(ms));
        (a.text, u64::try_from(a.changes_in.as_millis()).unwrap())
    }

    #[test]
    fn an_age_steps_by_a_second_under_a_minute_and_by_a_minute_above() {
        assert_eq!(age_of(0), ("0s".into(), 1000));
        assert_eq!(age_of(12_345), ("12s".into(), 655));
        assert_eq!(age_of(59_999), ("59s".into(), 1));
        assert_eq!(age_of(60_000), ("1m".into(), 60_000));
        assert_eq!(age_of(3_600_000 * 3 + 12 * 60_000 + 1), ("3h12m".into(), 59_999));
        assert_eq!(age_of(86_400_000 * 2 + 4 * 3_600_000).0, "2d04h");
    }

    #[test]
    fn the_text_differs_exactly_when_it_says_it_will() {
        for ms in [0, 1, 999, 1000, 58_500, 59_000, 61_234, 3_599_999, 3_600_000] {
            let now = Stamp(ms);
            let a = age(Stamp(0), now);
            assert_eq!(age(Stamp(0), Stamp(now.after(a.changes_in).0 - 1)).text, a.text, "{ms}");
            assert_ne!(age(Stamp(0), now.after(a.changes_in)).text, a.text, "{ms}");
        }
        for left in [1, 999, 1000, 1001, 59_000, 60_000, 61_000, 119_000, 121_500] {
            let until = Stamp(left);
            let c = countdown(until, Stamp(0));
            let then = Stamp(i64::try_from(c.changes_in.as_millis()).unwrap());
            assert_ne!(countdown(until, then).text, c.text, "{left}");
        }
    }

    #[test]
    fn a_countdown_ends_in_now_and_a_future_stamp_has_no_age() {
        assert_eq!(countdown(Stamp(4200), Stamp(0)).text, "in 5s");
        assert_eq!(countdown(Stamp(5), Stamp(5)).text, "now");
        assert_eq!(age(Stamp(9_000), Stamp(0)).text, "0s");
    }

    #[test]
    fn numbers_carry_their_units_and_unknown_is_a_dash() {
        assert_eq!(rtt(None), "-");
        assert_eq!(rtt(Some(0.42)), "0.4ms");
        assert_eq!(rtt(Some(81.2)), "81ms");
        assert_eq!(elapsed(912), "912 ms");
        assert_eq!(elapsed(1040), "1.04 s");
        assert_eq!([10_000, 180_000, 86_400_000].map(span), ["10 s", "3 min", "24 h"]);
        assert_eq!(bytes(3), "3 B");
        assert_eq!(bytes(3_500_000), "3.3 MiB");
        assert_eq!(
            [999, 1000, 1229, 20_480, 1_048_576].map(short_bytes),
            ["999", "1.0K", "1.2K", "20K", "1.0M"]
        );
        assert_eq!(millis(None), "-");
        assert_eq!(count(1, "peer"), "1 peer");
        assert_eq!(count(0, "peer"), "0 peers");
    }

    #[test]
    fn a_time_of_day_is_told_in_the_given_zone() {
        let stamp = Stamp(1_767_276_128_114);
        assert_eq!(time_of_day(stamp, &TimeZone::UTC), "14:02:08.114");
        assert_eq!(time_of_day(stamp, &TimeZone::fixed(jiff::tz::offset(2))), "16:02:08.114");
    }
}
