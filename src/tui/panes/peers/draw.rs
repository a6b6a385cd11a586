//! The peers table. Only the rows on the screen are formatted, whatever the
//! number of peers; the least important columns go first when it gets narrow.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use super::sort::SortBy;
use super::{Listed, Peers};
use crate::model::{EventKind, PeerId, PeerRow, PeerState, TestRate, clean, ellipsize};
use crate::tui::bindings::{Action, Scope};
use crate::tui::draw::{Drawn, Pen, Spot, frame, provenance};
use crate::tui::fmt;
use crate::tui::lists::keep_in_view;
use crate::tui::pane::Pane;
use crate::tui::panes::component::Filterable as _;
use crate::tui::theme::Theme;

/// A column of the table.
#[derive(Debug, Clone, Copy)]
struct Column {
    by: SortBy,
    title: &'static str,
    width: u16,
    /// Numbers stand at the right of their column.
    right: bool,
    /// Higher goes first when there is too little room.
    drop: u8,
}

const COLUMNS: [Column; 12] = [
    Column { by: SortBy::Peer, title: "PEER", width: 6, right: false, drop: 0 },
    Column { by: SortBy::Name, title: "NAME", width: 8, right: false, drop: 1 },
    Column { by: SortBy::State, title: "STATE", width: 11, right: false, drop: 0 },
    Column { by: SortBy::Path, title: "PATH", width: 7, right: false, drop: 2 },
    Column { by: SortBy::Nat, title: "NAT", width: 5, right: false, drop: 5 },
    Column { by: SortBy::Rtt, title: "RTT", width: 6, right: true, drop: 3 },
    Column { by: SortBy::Loss, title: "LOSS", width: 5, right: true, drop: 8 },
    Column { by: SortBy::Up, title: "UP", width: 6, right: true, drop: 9 },
    Column { by: SortBy::Down, title: "DOWN", width: 6, right: true, drop: 9 },
    Column { by: SortBy::Ok, title: "OK", width: 7, right: true, drop: 4 },
    Column { by: SortBy::Seen, title: "SEEN", width: 6, right: true, drop: 6 },
    Column { by: SortBy::From, title: "FROM", width: 4, right: false, drop: 7 },
];
/// Cursor, state glyph and a space.
const MARGIN: u16 = 4;
/// What spare room is for, the first first: most names whole, any IPv4 address
/// with its port and how many more there are, where a peer is known from in whole
/// words, longer names.
const NAME: u16 = 12;
const ADDRESS: u16 = 24;
const FROM: u16 = 9;
const NAME_MAX: u16 = 24;

/// The columns that fit, each as wide as it can be, and the room for an address. Those of
/// path tests are there once there was one.
fn fit(width: u16, any_tested: bool) -> (Vec<Column>, u16) {
    let mut columns = COLUMNS.to_vec();
    columns.retain(|c| any_tested || !matches!(c.by, SortBy::Loss | SortBy::Up | SortBy::Down));
    let need = |columns: &[Column]| MARGIN + columns.iter().map(|c| c.width + 1).sum::<u16>();
    while need(&columns) > width && columns.len() > 2 {
        let Some(worst) = columns.iter().map(|c| c.drop).max() else { break };
        columns.retain(|c| c.drop != worst);
    }
    let mut spare = width.saturating_sub(need(&columns));
    let grow = |columns: &mut [Column], spare: &mut u16, by: SortBy, to: u16| {
        if let Some(column) = columns.iter_mut().find(|c| c.by == by) {
            let more = to.saturating_sub(column.width).min(*spare);
            column.width += more;
            *spare -= more;
        }
    };
    grow(&mut columns, &mut spare, SortBy::Name, NAME);
    let address = if spare > ADDRESS { ADDRESS } else { 0 };
    spare -= if address > 0 { address + 1 } else { 0 };
    if spare >= FROM - 4 {
        grow(&mut columns, &mut spare, SortBy::From, FROM);
    }
    grow(&mut columns, &mut spare, SortBy::Name, NAME_MAX);
    (columns, if address > 0 { address + spare } else { 0 })
}

/// Draws the table.
pub(super) fn draw(peers: &Peers, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) -> Drawn {
    let nothing = Drawn { rows: 1, top: peers.top, below: 0 };
    let sort = peers.sort;
    let arrow = if sort.inverse { "↓" } else { "↑" };
    let shown = peers.len();
    let (present, total) = peers.passing();
    let filter = peers.filter.text();
    let right = if filter.is_empty() {
        format!("sort {} {arrow} ─ {}", sort.by.name(), fmt::count(total as u64, "peer"))
    } else {
        let unread = frame::unread(peers.filter.wrong());
        format!("sort {} {arrow} ─ filter \"{filter}\"{unread} {present} of {total}", sort.by.name())
    };
    let marked = peers.marked.len();
    let right = if marked > 0 { format!("{marked} marked ─ {right}") } else { right };
    let inner = frame::pane(pen, Pane::Peers, &right, area, buf);
    if inner.height < 2 {
        return nothing;
    }
    if shown == 0 {
        let key = pen.keys.key_of(Scope::Main, Action::Back);
        let text = if total == 0 {
            "no peers known yet".to_owned()
        } else {
            format!("no peer matches the filter ({key} clears it)")
        };
        frame::hint(pen.theme, &text, inner, buf);
        return nothing;
    }

    let (columns, address) = fit(inner.width, peers.any_tested);
    heading(&columns, address, pen, sort.by, inner, buf);
    let rows = usize::from(inner.height - 1);
    let cursor = peers.cursor();
    let top = keep_in_view(peers.top, cursor, rows, shown);
    let acting = pen.acting == Pane::Peers;
    for (at, y) in (top..shown.min(top + rows)).zip(inner.y + 1..) {
        let Some(Listed { row, left }) = peers.row(at) else { break };
        let line = Rect { y, height: 1, ..inner };
        pen.mark(line, Spot::Row(Pane::Peers, at));
        let left = left.then(|| what_happened(pen, row.peer_id));
        draw_row(row, left, &columns, address, pen, line, buf);
        if peers.marked.contains(&row.peer_id) {
            buf.set_string(line.x + 1, y, "*", pen.theme.accent);
        }
        if cursor == Some(at) {
            frame::mark_selected(pen, acting, line, buf);
        }
    }
    let place = match (cursor, peers.hidden_selection()) {
        (Some(at), _) => format!("{} of {shown}", at + 1),
        (None, Some(id)) => format!("{} is not shown; none selected", id.short()),
        (None, None) => String::new(),
    };
    if !place.is_empty() {
        frame::note(pen, &place, area, buf);
    }
    if let Some(Listed { row, left: false }) = cursor.and_then(|at| peers.row(at)) {
        let room = usize::from(area.width.saturating_sub(34));
        frame::note_left(pen, &provenance::of_row(pen, row, room), area, buf);
    }
    Drawn { rows, top, below: 0 }
}

fn heading(columns: &[Column], address: u16, pen: &Pen<'_>, sorted: SortBy, inner: Rect, buf: &mut Buffer) {
    let mut x = inner.x + MARGIN;
    for column in columns {
        let width = column.width;
        if let Some(at) = SortBy::ALL.iter().position(|by| *by == column.by) {
            pen.mark(Rect { x, width, height: 1, ..inner }, Spot::Column(Pane::Peers, at));
        }
        let style = if column.by == sorted { pen.theme.accent } else { pen.theme.dim };
        cell(buf, (x, inner.y), width, column.right, column.title, style);
        x += width + 1;
    }
    if address > 0 {
        cell(buf, (x, inner.y), address, false, "ADDRESS", pen.theme.dim);
    }
}

/// What became of a peer that left the cache, in a word for the state's column.
fn what_happened(pen: &Pen<'_>, peer: PeerId) -> &'static str {
    let word = pen.events.latest(peer, |kind| match kind {
        EventKind::PeerLeft => Some("said bye"),
        EventKind::PeerRemoved { .. } => Some("removed"),
        _ => None,
    });
    word.unwrap_or("gone")
}

/// A name under which somebody else was linked lately: who, where there is room.
fn with_doubt(row: &PeerRow, name: &str, width: u16, pen: &Pen<'_>) -> String {
    let name = clean(name);
    let whole = provenance::also(pen, row).map(|also| format!("{name} {also}"));
    match whole.filter(|whole| whole.width() <= width.into()) {
        Some(whole) => whole,
        None => ellipsize(&name, usize::from(width).saturating_sub(1), '…') + "!",
    }
}

fn draw_row(
    row: &PeerRow,
    left: Option<&'static str>,
    columns: &[Column],
    address: u16,
    pen: &Pen<'_>,
    line: Rect,
    buf: &mut Buffer,
) {
    let theme = pen.theme;
    let (glyph, state_style) = match left {
        Some(_) => ("×", theme.warn),
        None => state_look(row.state, theme),
    };
    let y = line.y;
    buf.set_string(line.x + 2, y, glyph, state_style);
    let hearsay = if row.first_hand { Style::new() } else { theme.dim };
    let mut x = line.x + MARGIN;
    for column in columns {
        let width = column.width;
        let (text, style) = match column.by {
            SortBy::Peer => (row.peer_id.short(), Style::new()),
            SortBy::Name => match &row.name {
                Some(name) if row.also.is_some() => (with_doubt(row, name, width, pen), theme.warn),
                Some(name) => (ellipsize(&clean(name), width.into(), '…'), hearsay),
                None => ("-".to_owned(), theme.dim),
            },
            SortBy::State => (left.unwrap_or(row.state.name()).to_owned(), state_style),
            SortBy::Path => {
                row.path.map_or_else(|| ("-".to_owned(), theme.dim), |p| (p.name().to_owned(), Style::new()))
            }
            SortBy::Nat => {
                let mark = if row.first_hand || row.nat_type.short() == "?" { "" } else { "~" };
                (format!("{mark}{}", row.nat_type.short()), hearsay)
            }
            SortBy::Rtt if row.state.is_up() => (fmt::rtt(row.rtt_ms), Style::new()),
            // Not measured now.
            SortBy::Rtt => (
                row.rtt_ms.map_or_else(|| "-".to_owned(), |_| format!("~{}", fmt::rtt(row.rtt_ms))),
                theme.dim,
            ),
            SortBy::Loss => (loss(row), Style::new()),
            SortBy::Up => (rate(row.tested.as_ref().and_then(|tested| tested.up)), Style::new()),
            SortBy::Down => (rate(row.tested.as_ref().and_then(|tested| tested.down)), Style::new()),
            SortBy::Ok => (ratio(row, width), Style::new()),
            SortBy::Seen => (row.last_seen.map_or_else(|| "-".to_owned(), |at| pen.age(at)), Style::new()),
            SortBy::From => (row.source.name().chars().take(width.into()).collect(), theme.dim),
        };
        let style = if left.is_some() && column.by != SortBy::State { theme.dim } else { style };
        cell(buf, (x, y), width, column.right, &text, style);
        x += width + 1;
    }
    if address > 0 {
        let text = row.addresses.first().map_or_else(|| "-".to_owned(), ToString::to_string);
        let more =
            if row.addresses.len() > 1 { format!(" +{}", row.addresses.len() - 1) } else { String::new() };
        let room = usize::from(address).saturating_sub(more.len());
        cell(buf, (x, y), address, false, &(ellipsize(&text, room, '…') + &more), theme.dim);
    }
}

/// The loss of its path as it was last tested.
fn loss(row: &PeerRow) -> String {
    match row.tested.as_ref().and_then(|tested| tested.loss) {
        Some(loss) if loss < 0.999_5 => format!("{:.1}%", loss * 100.0),
        Some(_) => "100%".to_owned(),
        None => "-".to_owned(),
    }
}

/// What its path carries, in millions of bits per second.
fn rate(rate: Option<TestRate>) -> String {
    let Some(rate) = rate else { return "-".to_owned() };
    let sign = if rate.at_least { "≥" } else { "" };
    match rate.mbit {
        mbit if mbit < 9.995 => format!("{sign}{mbit:.2}M"),
        mbit if mbit < 99.95 => format!("{sign}{mbit:.1}M"),
        mbit => format!("{sign}{mbit:.0}M"),
    }
}

/// Successes over attempts; whole thousands where it would not fit.
fn ratio(row: &PeerRow, width: u16) -> String {
    if row.attempts == 0 {
        return "-".to_owned();
    }
    let full = format!("{}/{}", row.successes, row.attempts);
    if full.len() <= usize::from(width) {
        return full;
    }
    format!("{}k/{}k", row.successes / 1000, row.attempts / 1000)
}

fn cell(buf: &mut Buffer, (x, y): (u16, u16), width: u16, right: bool, text: &str, style: Style) {
    let pad = if right { width.saturating_sub(u16::try_from(text.width()).unwrap_or(width)) } else { 0 };
    buf.set_stringn(x + pad, y, text, usize::from(width - pad), style);
}

/// A peer's state as a glyph and a style; the word stands in its column.
pub(crate) fn state_look(state: PeerState, theme: &Theme) -> (&'static str, Style) {
    match state {
        PeerState::Linked => ("●", theme.good),
        PeerState::Suspect => ("!", theme.warn),
        PeerState::Foreign => ("○", theme.good),
        PeerState::Connecting => ("◐", theme.accent),
        PeerState::Known => ("·", theme.dim),
        PeerState::Unreachable => ("✗", theme.bad),
        PeerState::HeldOff => ("─", theme.warn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_tables_lose_the_least_important_columns_first_and_never_the_peer() {
        let names = |width| fit(width, false).0.iter().map(|c| c.title).collect::<Vec<_>>().join(" ");
        assert_eq!(names(100), "PEER NAME STATE PATH NAT RTT OK SEEN FROM");
        assert_eq!(names(72), "PEER NAME STATE PATH NAT RTT OK SEEN");
        assert_eq!(names(50), "PEER NAME STATE PATH RTT");
        assert_eq!(names(38), "PEER NAME STATE");
        assert_eq!(names(20), "PEER STATE");
    }

    #[test]
    fn spare_room_goes_to_names_then_an_address_then_whole_words() {
        let widths = |width| {
            let (columns, address) = fit(width, false);
            let of = |by| columns.iter().find(|c| c.by == by).map_or(0, |c| c.width);
            (of(SortBy::Name), address, of(SortBy::From))
        };
        assert_eq!(widths(73), (8, 0, 4));
        assert_eq!(widths(77), (12, 0, 4));
        assert_eq!(widths(82), (12, 0, 9));
        assert_eq!(widths(102), (12, 24, 4), "half of 200 columns");
        assert_eq!(widths(200), (24, 105, 9));
    }

    #[test]
    fn the_columns_never_take_more_than_there_is() {
        for width in 24..250 {
            for tested in [false, true] {
                let (columns, address) = fit(width, tested);
                let used = MARGIN + columns.iter().map(|c| c.width + 1).sum::<u16>() + address;
                assert!(used <= width, "{width}");
            }
        }
    }

    #[test]
    fn loss_and_rates_stand_where_there_is_room_once_a_path_was_tested() {
        let names = |width, tested| {
            let names: Vec<&str> = fit(width, tested).0.iter().map(|c| c.title).collect();
            names.join(" ")
        };
        assert_eq!(names(100, true), "PEER NAME STATE PATH NAT RTT LOSS UP DOWN OK SEEN FROM");
        assert_eq!(names(80, true), "PEER NAME STATE PATH NAT RTT LOSS OK SEEN FROM");
        assert_eq!(names(73, true), names(73, false), "nothing else makes way for them");
    }

    #[test]
    fn what_was_tested_is_told_in_few_columns() {
        let mbit = |mbit, at_least| rate(Some(TestRate { mbit, at_least }));
        assert_eq!(
            [mbit(1.53, true), mbit(18.64, false), mbit(99.97, true), rate(None)],
            ["≥1.53M", "18.6M", "≥100M", "-"]
        );
    }
}
