//! Clicks and the wheel, on a screen as it was drawn.

use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Rect;

use super::*;
use crate::tui::view;

const LARGE: (u16, u16) = (140, 40);
const SMALL: (u16, u16) = (80, 24);

struct Screen {
    bench: Bench,
    buffer: Buffer,
}

impl Screen {
    fn new(bench: Bench, (width, height): (u16, u16)) -> Self {
        let mut screen = Self { bench, buffer: Buffer::empty(Rect::new(0, 0, width, height)) };
        screen.draw();
        screen
    }

    fn draw(&mut self) {
        self.buffer.reset();
        let area = self.buffer.area;
        let picture = view::draw(&self.bench.app, area, &mut self.buffer);
        self.bench.app.on_drawn(picture.layout);
    }

    fn keys(&mut self, keys: &str) {
        self.bench.keys(keys);
        self.draw();
    }

    /// Where a text stands.
    #[track_caller]
    fn find(&self, text: &str) -> (u16, u16) {
        let area = self.buffer.area;
        for y in 0..area.height {
            let line: Vec<_> = (0..area.width).filter_map(|x| self.buffer.cell((x, y))).collect();
            for x in 0..line.len() {
                let rest: String = line[x..].iter().map(|cell| cell.symbol()).collect();
                if rest.starts_with(text) {
                    return (u16::try_from(x).unwrap(), y);
                }
            }
        }
        panic!("{text:?} is not on the screen");
    }

    fn mouse(&mut self, kind: MouseEventKind, (column, row): (u16, u16)) -> Vec<Effect> {
        let event = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
        let effects = self.bench.send(Input::Mouse(event));
        self.draw();
        effects
    }

    #[track_caller]
    fn click(&mut self, text: &str) -> Vec<Effect> {
        let at = self.find(text);
        self.mouse(MouseEventKind::Down(MouseButton::Left), at)
    }

    #[track_caller]
    fn wheel(&mut self, text: &str, kind: MouseEventKind) {
        let at = self.find(text);
        self.mouse(kind, at);
    }

    fn app(&self) -> &App {
        &self.bench.app
    }
}

fn many_peers() -> Bench {
    let first = demo::busy().peers[0].clone();
    Bench::new(with_peers(|peers| {
        for n in 0..60 {
            let mut row = PeerRow::clone(&first);
            row.peer_id = demo::id([0xe0, n, 1]);
            row.name = Some(format!("extra-{n:02}"));
            peers.push(Arc::new(row));
        }
    }))
}

#[test]
fn a_click_focuses_the_pane_and_selects_the_row() {
    let mut s = Screen::new(busy(), LARGE);
    s.click("3 Relays");
    assert_eq!(s.app().panes.focus(), Pane::Relays);
    s.click("home-ber   linked");
    assert_eq!(s.app().panes.focus(), Pane::Peers);
    assert_eq!(s.app().panes.peers.selected(), Some(demo::id([0x77, 0xc2, 0xab])));
    s.click("standby");
    assert_eq!((s.app().panes.focus(), s.app().panes.relays.held().cursor()), (Pane::Relays, Some(1)));
    s.click("nobody we know is connected");
    let chosen = s.app().panes.escalation.attempts().selected_peer();
    assert_eq!(
        (s.app().panes.focus(), chosen),
        (Pane::Escalation, Some(demo::id([0xc0, 0xff, 0xee]))),
        "the whole ladder"
    );
}

#[test]
fn what_a_click_selected_stays_selected_wherever_the_focus_goes() {
    let mut s = Screen::new(busy(), LARGE);
    s.click("nobody we know is connected");
    let chosen = s.app().panes.escalation.attempts().cursor().unwrap();
    s.click("1 Peers");
    let mut snapshot = Snapshot::clone(&demo::busy());
    let attempts = Arc::make_mut(&mut snapshot.attempts);
    let first = Attempt { id: crate::model::AttemptId(90), ..(*attempts.live[0]).clone() };
    attempts.live.insert(0, Arc::new(first));
    s.bench.send(Input::Snapshot(Arc::new(snapshot)));
    assert_eq!(s.app().panes.escalation.attempts().cursor(), Some(chosen + 1));
}

#[test]
fn a_click_on_a_heading_sorts_by_it_and_another_one_inverts() {
    let mut s = Screen::new(busy(), LARGE);
    s.click("RTT      OK");
    assert_eq!(s.app().panes.peers.sort().0, "rtt");
    assert!(!s.app().panes.peers.sort().1);
    s.click("RTT      OK");
    assert!(s.app().panes.peers.sort().1);
    s.click("PEER   NAME");
    assert_eq!((s.app().panes.peers.sort().0, s.app().panes.peers.sort().1), ("peer", false));
    s.click("OUR ADDRESS");
    assert_eq!(s.app().panes.relays.held().sort(), ("address", false));
    s.click("OUR ADDRESS");
    assert_eq!(s.app().panes.relays.held().sort(), ("address", true));
}

#[test]
fn the_wheel_moves_what_is_under_it_and_leaves_the_focus() {
    let mut s = Screen::new(many_peers(), SMALL);
    let before = s.app().panes.peers.selected();
    s.wheel("extra-", MouseEventKind::ScrollDown);
    assert_eq!(s.app().panes.peers.top(), 3);
    assert_ne!(s.app().panes.peers.selected(), before, "the selection is never out of view");
    assert_eq!(s.app().panes.peers.cursor(), Some(3));
    s.wheel("extra-", MouseEventKind::ScrollUp);
    assert_eq!(
        (s.app().panes.peers.top(), s.app().panes.peers.cursor()),
        (0, Some(3)),
        "and moves no more than that"
    );

    let mut s = Screen::new(busy(), LARGE);
    s.keys("7");
    s.wheel("connected 41", MouseEventKind::ScrollDown);
    assert_eq!((s.app().panes.focus(), s.app().panes.kpi.top()), (Pane::Events, 3));
    let peer = s.app().panes.peers.cursor();
    s.wheel("standby", MouseEventKind::ScrollDown);
    assert_eq!((s.app().panes.focus(), s.app().panes.relays.held().cursor()), (Pane::Events, Some(1)));
    assert_eq!(s.app().panes.peers.cursor(), peer);
}

#[test]
fn tabs_and_the_keys_of_the_footer_are_clicked() {
    let mut s = Screen::new(busy(), SMALL);
    s.click("5 NAT");
    assert_eq!(s.app().panes.focus(), Pane::Nat);
    s.click("1 Peers");
    assert_eq!(s.click("S all"), [Effect::Send(Command::Sync { peer: None })]);
    s.click("? help");
    assert_eq!(s.app().scope(), Scope::Help);
    s.click("esc close ");
    assert!(s.app().overlays.is_empty());
    let mut s = Screen::new(busy(), LARGE);
    s.click("5 NAT");
    assert_eq!(s.app().panes.focus(), Pane::Nat, "the names of the panes that have no place, too");
}

#[test]
fn what_lies_on_top_takes_the_click_and_nothing_below_it_moves() {
    let mut s = Screen::new(busy(), LARGE);
    let before = (s.app().panes.focus(), s.app().panes.peers.selected());
    s.keys("?");
    s.mouse(MouseEventKind::Down(MouseButton::Left), (2, 5));
    s.mouse(MouseEventKind::Down(MouseButton::Left), (60, 8));
    assert_eq!(
        (s.app().panes.focus(), s.app().panes.peers.selected(), s.app().scope()),
        (before.0, before.1, Scope::Help)
    );
    s.wheel("Help ─", MouseEventKind::ScrollDown);
    assert!(matches!(s.app().overlays.top(), Some(Overlay::Help(help)) if help.top() == 3));
}

#[test]
fn a_row_of_the_palette_is_chosen_by_a_click_and_done_by_another() {
    let mut s = Screen::new(busy(), LARGE);
    s.keys(":");
    assert!(s.click("sync-all").is_empty());
    assert_eq!(s.app().scope(), Scope::Palette);
    assert_eq!(s.click("sync-all"), [Effect::Send(Command::Sync { peer: None })]);
    assert!(s.app().overlays.is_empty());
}

#[test]
fn rows_of_the_lab_and_of_the_drills_are_chosen_by_a_click() {
    let mut s = Screen::new(in_lab(), LARGE);
    s.keys("l");
    s.click("port-1");
    assert_eq!(s.app().panels.lab.as_ref().map(LabPanel::row), Some(3));
    s.click("east ─ south");
    assert_eq!(s.app().panels.lab.as_ref().map(LabPanel::row), Some(6));
    s.keys("d");
    s.click("chaos_partition");
    assert_eq!(s.app().panels.lab.as_ref().map(LabPanel::drill), Some(1));
    s.wheel("chaos_partition", MouseEventKind::ScrollUp);
    assert_eq!(s.app().panels.lab.as_ref().map(LabPanel::drill), Some(0));
}

#[test]
fn a_click_elsewhere_keeps_the_filter_that_was_being_typed() {
    let mut s = Screen::new(busy(), LARGE);
    s.keys("/lab");
    s.click("lab-7");
    assert!(s.app().prompt().is_none());
    assert_eq!(s.app().panes.peers.filter(), "lab");
    assert_eq!(s.app().panes.peers.cursor(), Some(2));
}

#[test]
fn a_terminal_that_is_too_small_has_nothing_to_click() {
    let mut s = Screen::new(busy(), (39, 9));
    assert!(s.mouse(MouseEventKind::Down(MouseButton::Left), (3, 3)).is_empty());
    assert!(s.app().layout.regions.is_empty());
}

#[test]
fn the_title_says_who_how_many_links_and_what_is_wrong_without_control_characters() {
    let mut b = busy();
    assert_eq!(b.app.title(), "vps-fra-1: 4 links");
    b.at += Duration::from_secs(4);
    b.send(Input::Tick);
    assert_eq!(b.app.title(), "! vps-fra-1: stale, 4 links");
    let mut snapshot = Snapshot::clone(&demo::busy());
    let mut node = snapshot.node.as_ref().clone();
    node.name = "a\u{7}b\u{1b}]2;c".to_owned();
    snapshot.node = Arc::new(node);
    let b = Bench::new(Arc::new(snapshot));
    assert!(b.app.title().chars().all(|c| !c.is_control()), "{:?}", b.app.title());
}
