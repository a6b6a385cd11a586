//! What we hold: our reservations on relays.

use ratatui::style::Style;
use ratatui::text::Line;

use super::table::{Cells, Column, column, name, table};
use crate::model::{EventKind, PeerId, RelayRole, ReservationRow, ReservationState};
use crate::tui::draw::Pen;
use crate::tui::fmt;
use crate::tui::lists::Rows;
use crate::tui::theme::Theme;

pub(super) const COLUMNS: [Column; 9] = [
    column("ROLE", false, 0),
    column("RELAY", false, 0),
    column("NAME", false, 4),
    column("OUR ADDRESS", false, 1),
    column("STATE", false, 0),
    column("RTT", true, 2),
    column("ENDS", false, 3),
    column("UP", true, 5),
    column("DOWN", true, 5),
];
/// The place of the state in them; its glyph stands in front of the line.
const STATE: usize = 4;

/// What this table is.
pub(super) fn title(held: &Rows<ReservationRow>) -> String {
    match held.iter().filter(|(_, left)| !left).count() {
        0 => "Reservations we hold on relays: none".to_owned(),
        n => format!("Reservations we hold on relays: {n}"),
    }
}

/// A line for each reservation under a heading; nothing where there is none.
pub(super) fn lines(held: &Rows<ReservationRow>, pen: &Pen<'_>, room: usize) -> Vec<Line<'static>> {
    let rows: Vec<Cells<9>> = held.iter().map(|(row, left)| cells(pen, row, left)).collect();
    if rows.is_empty() { Vec::new() } else { table(pen.theme, &COLUMNS, &rows, room) }
}

/// What became of a reservation that we hold no more.
fn what_happened(pen: &Pen<'_>, relay: PeerId) -> &'static str {
    let word = pen.events.latest(relay, |kind| match kind {
        EventKind::RelayDead { .. } => Some("dead"),
        EventKind::RelayReleased => Some("released"),
        EventKind::RelayRefused { .. } => Some("refused"),
        EventKind::RelayFailed { .. } => Some("no answer"),
        _ => None,
    });
    word.unwrap_or("gone")
}

fn cells(pen: &Pen<'_>, row: &ReservationRow, left: bool) -> Cells<9> {
    let dash = || "-".to_owned();
    let glyph = if left { ("×", pen.theme.warn) } else { look(row.state, pen.theme) };
    let mut styles = [if left { pen.theme.dim } else { Style::new() }; 9];
    styles[STATE] = glyph.1;
    if !left && row.role == RelayRole::Active {
        styles[0] = pen.theme.strong;
    }
    let texts = [
        // What we hold no more has no role; another one has it.
        if left { "ended" } else { row.role.name() }.to_owned(),
        row.relay.short(),
        name(pen, row.relay),
        row.public_addr.map_or_else(dash, |addr| addr.to_string()),
        if left { what_happened(pen, row.relay) } else { row.state.name() }.to_owned(),
        fmt::rtt(row.rtt_ms),
        match (row.state, row.expires.filter(|_| !left)) {
            (_, None) => dash(),
            // As long as the relay answers it is renewed with each answer.
            (ReservationState::Ready, Some(_)) => "renewed".to_owned(),
            (_, Some(at)) => pen.countdown(at),
        },
        fmt::short_bytes(row.bytes_tx),
        fmt::short_bytes(row.bytes_rx),
    ];
    Cells { glyph, texts, styles }
}

/// A reservation's state as a glyph and a style; the word stands in its column.
fn look(state: ReservationState, theme: &Theme) -> (&'static str, Style) {
    match state {
        ReservationState::Reserving => ("◐", theme.accent),
        ReservationState::Ready => ("●", theme.good),
        ReservationState::Suspect => ("!", theme.warn),
    }
}
