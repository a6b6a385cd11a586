//! Large caches that change, and a console without a terminal.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;

use super::{NOW, ago, busy, peer};
use crate::model::{LogLevel, LogLine, PeerRow, PeerState, Snapshot, ThemeChoice};
use crate::tui::app::App;
use crate::tui::logs::LogSource;
use crate::tui::message::Input;
use crate::tui::terminal::{Features, Terminal};
use crate::tui::theme::{GlyphChoice, Theme};
use crate::tui::{faults, view};

/// A cache of `count` peers; `round` moves on a hundred of them.
pub fn large(count: u32, round: u32) -> Arc<Snapshot> {
    let states = [PeerState::Linked, PeerState::Known, PeerState::Unreachable, PeerState::Known];
    let rows = (0..count).map(|i| {
        let spread = i.wrapping_mul(2_654_435_761);
        let state = states[(spread >> 8) as usize % states.len()];
        // Evenly spread, in the order of the ids.
        let head = (u64::from(i) * 0x00ff_ffff / u64::from(count.max(1))).to_be_bytes();
        let mut row = peer([head[5], head[6], head[7]], &format!("node-{i}"), state);
        row.peer_id.0[3..7].copy_from_slice(&i.to_be_bytes());
        row.attempts = spread % 50;
        row.successes = row.attempts * 2 / 3;
        row.rtt_ms = state.is_up().then(|| f64::from(spread % 4000) / 10.0);
        row.last_seen = Some(ago(u64::from(spread % 100_000)));
        Arc::new(row)
    });
    let mut peers: Vec<Arc<PeerRow>> = rows.collect();
    touch(&mut peers, round, 100);
    let snapshot = Snapshot::clone(&busy());
    Arc::new(Snapshot { seq: u64::from(round) + 1, peers: Arc::new(peers), ..snapshot })
}

/// The same cache with a hundred rows changed, the others shared.
pub fn next_round(snapshot: &Snapshot, round: u32) -> Arc<Snapshot> {
    changed(snapshot, round, 100)
}

/// The same cache with so many rows changed, the others shared.
pub fn changed(snapshot: &Snapshot, round: u32, count: usize) -> Arc<Snapshot> {
    let mut peers = Vec::clone(&snapshot.peers);
    touch(&mut peers, round, count);
    let at = snapshot.at.after(Duration::from_millis(100));
    Arc::new(Snapshot { seq: snapshot.seq + 1, at, peers: Arc::new(peers), ..snapshot.clone() })
}

/// Takes the terminal as the console does, and panics in its thread.
///
/// # Panics
/// Always.
#[allow(clippy::panic)]
pub fn panic_on_screen(after: Duration) -> ! {
    let _watch = faults::Watch::start();
    let terminal = Terminal::take(Features { mouse: true, title: true });
    std::thread::sleep(after);
    let held = terminal.is_ok();
    panic!("on purpose, with the terminal held: {held}");
}

fn touch(peers: &mut [Arc<PeerRow>], round: u32, count: usize) {
    let len = peers.len().max(1);
    for i in 0..peers.len().min(count) {
        let at = (i * 97 + round as usize * 31) % len;
        let row = Arc::make_mut(&mut peers[at]);
        row.rtt_ms = Some(f64::from(round % 100) + i as f64 / 10.0);
        row.state =
            if (round as usize + i).is_multiple_of(2) { PeerState::Linked } else { PeerState::Suspect };
        row.last_seen = Some(NOW);
    }
}

/// A console that draws into memory.
#[derive(Debug)]
pub struct Screen {
    app: App,
    shown: Buffer,
    next: Buffer,
    at: Duration,
}

impl Screen {
    /// A console of that size on a snapshot, in colour and with symbols.
    pub fn new(snapshot: Arc<Snapshot>, width: u16, height: u16) -> Self {
        let theme = Theme::named(ThemeChoice::Auto, GlyphChoice::Unicode, |_| None);
        let app = App::new(snapshot, theme, TimeZone::UTC, LogSource::Off);
        let blank = Buffer::empty(Rect::new(0, 0, width, height));
        Self { app, shown: blank.clone(), next: blank, at: Duration::ZERO }
    }

    /// Hands a new snapshot in.
    pub fn snapshot(&mut self, snapshot: Arc<Snapshot>) {
        self.at += Duration::from_millis(100);
        self.app.update(Input::Snapshot(snapshot), self.at);
    }

    /// Gives the log the whole screen, and fills it with so many lines.
    pub fn log(&mut self, count: u32) {
        let targets = ["punchdeck::core::gossip", "punchdeck::core::link", "punchdeck::node::driver"];
        let line = |n: u32| LogLine {
            at: NOW,
            level: LogLevel::Info,
            target: targets[n as usize % targets.len()].to_owned(),
            text: format!("line {n} of a log that somebody reads: peer 1b88f0 path direct rtt 81 ms"),
        };
        self.app.update(Input::Lines((0..count).map(line).collect(), 0), self.at);
        self.keys("8z");
    }

    /// Types a text.
    pub fn keys(&mut self, text: &str) {
        for c in text.chars() {
            let code = match c {
                '\n' => KeyCode::Enter,
                '\u{1b}' => KeyCode::Esc,
                c => KeyCode::Char(c),
            };
            self.app.update(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)), self.at);
        }
    }

    /// Draws one frame and returns how many cells would be written.
    pub fn frame(&mut self) -> usize {
        self.next.reset();
        let picture = view::draw(&self.app, self.next.area, &mut self.next);
        self.app.on_drawn(picture.layout);
        let changed = self.shown.diff_iter(&self.next).count();
        std::mem::swap(&mut self.shown, &mut self.next);
        changed
    }
}
