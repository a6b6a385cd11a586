//! Whom we serve: reservations that peers hold on us.

use ratatui::style::Style;
use ratatui::text::Line;

use super::table::{Cells, Column, column, name, table};
use crate::model::{RelayMode, ServedRow};
use crate::tui::draw::Pen;
use crate::tui::fmt;
use crate::tui::lists::Rows;

pub(super) const COLUMNS: [Column; 9] = [
    column("FOR", false, 0),
    column("PEER", false, 0),
    column("NAME", false, 3),
    column("ITS ADDRESS", false, 1),
    column("UP", true, 4),
    column("DOWN", true, 4),
    column("UP/S", true, 0),
    column("DOWN/S", true, 0),
    column("DROPPED", true, 2),
];
/// The place of what was dropped in them.
const DROPPED: usize = 8;

/// What this table is, and what it comes to.
pub(super) fn title(pen: &Pen<'_>) -> String {
    let relays = &pen.shown.relays;
    let so_far = fmt::bytes(relays.served_bytes);
    match (relays.served.len(), relays.mode) {
        (0, RelayMode::Off) => format!("Peers we serve as a relay: none, the relay is off; {so_far} so far"),
        (0, RelayMode::Network) => format!("Peers we serve as a relay: none now; {so_far} so far"),
        (n, _) => format!("Peers we serve as a relay: {n}; {so_far} so far"),
    }
}

/// A line for each peer under a heading; nothing where there is none.
pub(super) fn lines(served: &Rows<ServedRow>, pen: &Pen<'_>, room: usize) -> Vec<Line<'static>> {
    let rows: Vec<Cells<9>> = served.iter().map(|(row, left)| cells(pen, row, left)).collect();
    if rows.is_empty() { Vec::new() } else { table(pen.theme, &COLUMNS, &rows, room) }
}

fn cells(pen: &Pen<'_>, row: &ServedRow, left: bool) -> Cells<9> {
    let speed = |rate: Option<u64>| {
        rate.filter(|_| !left).map_or_else(|| "-".to_owned(), |n| format!("{}/s", fmt::short_bytes(n)))
    };
    let mut styles = [if left { pen.theme.dim } else { Style::new() }; 9];
    if row.dropped > 0 {
        styles[DROPPED] = pen.theme.warn;
    }
    let texts = [
        if left { "ended".to_owned() } else { pen.age(row.since) },
        row.peer_id.short(),
        name(pen, row.peer_id),
        row.public_addr.to_string(),
        fmt::short_bytes(row.bytes_tx),
        fmt::short_bytes(row.bytes_rx),
        speed(row.tx_per_s),
        speed(row.rx_per_s),
        row.dropped.to_string(),
    ];
    Cells { glyph: if left { ("×", pen.theme.warn) } else { ("●", pen.theme.good) }, texts, styles }
}
