//! The one table of key bindings. The dispatcher, the footer, the help and
//! `punchdeck keys` are all made from it; nothing else knows a key.

use std::fmt::{self, Write as _};

use crate::model::{NatType, NextAction};
use crate::tui::app::Step;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What the keys mean just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// The panes.
    Main,
    /// The why view of a peer.
    Why,
    /// The help.
    Help,
    /// The lab's nodes and wires.
    Lab,
    /// The choice of a NAT.
    Nat,
    /// The drills.
    Drills,
    /// A question that wants yes or no.
    Confirm,
    /// A line being typed.
    Prompt,
}

impl Scope {
    /// Every scope.
    pub(crate) const ALL: [Self; 8] =
        [Self::Main, Self::Why, Self::Lab, Self::Nat, Self::Drills, Self::Help, Self::Confirm, Self::Prompt];

    /// A heading for it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Main => "Panes",
            Self::Why => "Why view",
            Self::Help => "Help",
            Self::Lab => "Lab",
            Self::Nat => "Lab, choice of a NAT",
            Self::Drills => "Drills",
            Self::Confirm => "Questions",
            Self::Prompt => "Filter line",
        }
    }
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// Has the node do something.
    Order(Order),
    /// Has the lab do something.
    Lab(LabKey),
    OpenLab,
    OpenDrills,
    ChooseNat,
    Why,
    Filter,
    /// Back to now; else without the filter.
    Back,
    Sort,
    SortInverse,
    Freeze,
    /// Goes through the moments that are kept.
    Step(Step),
    /// Writes what is remembered to a file.
    Snap,
    Zoom,
    Copy,
    NextPane,
    PrevPane,
    Pane(u8),
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Help,
    Close,
    Yes,
    No,
    Apply,
    Cancel,
    Erase,
    EraseAll,
    Complete,
    Older,
    Newer,
    Suspend,
    Quit,
}

/// What a key has the node do; each becomes a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Order {
    Sync,
    SyncAll,
    Connect,
    Punch,
    Relay,
    Failover,
    Disconnect,
    NatProbe,
}

/// What a key has the lab do; what it is done to is the chosen row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LabKey {
    /// Cut or heal.
    Cut,
    /// Kill or start again.
    Kill,
    Nat(NatType),
    Flush,
    Show,
    Undo,
    /// Start the chosen drill.
    Start,
    CallOff,
}

/// What an action can cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Danger {
    /// Changes only what is shown.
    None,
    /// Sends something over the network.
    Traffic,
    /// Interrupts something that works; asks first.
    Disruptive,
}

/// One key, as a person names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    code: KeyCode,
    ctrl: bool,
}

const fn key(c: char) -> Key {
    Key { code: KeyCode::Char(c), ctrl: false }
}

const fn ctrl(c: char) -> Key {
    Key { code: KeyCode::Char(c), ctrl: true }
}

const fn named(code: KeyCode) -> Key {
    Key { code, ctrl: false }
}

impl Key {
    /// The key of an event. Shift is part of the character already.
    pub(crate) fn of(event: &KeyEvent) -> Option<Self> {
        if event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META) {
            return None;
        }
        let code = match event.code {
            KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
            code => code,
        };
        Some(Self { code, ctrl: event.modifiers.contains(KeyModifiers::CONTROL) })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctrl {
            f.write_str("ctrl-")?;
        }
        match self.code {
            KeyCode::Char(' ') => f.write_str("space"),
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::Enter => f.write_str("enter"),
            KeyCode::Esc => f.write_str("esc"),
            KeyCode::Tab => f.write_str("tab"),
            KeyCode::BackTab => f.write_str("shift-tab"),
            KeyCode::Backspace => f.write_str("backspace"),
            KeyCode::Up => f.write_str("up"),
            KeyCode::Down => f.write_str("down"),
            KeyCode::PageUp => f.write_str("pgup"),
            KeyCode::PageDown => f.write_str("pgdn"),
            KeyCode::Home => f.write_str("home"),
            KeyCode::End => f.write_str("end"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Binding {
    /// What it does.
    pub(crate) action: Action,
    /// The keys; the first is the one that is shown.
    pub(crate) keys: &'static [Key],
    /// Where it works.
    pub(crate) scopes: &'static [Scope],
    /// One or two words for the footer; empty if it does not stand there.
    pub(crate) label: &'static str,
    /// A sentence for the help.
    pub(crate) help: &'static str,
    /// What it can cost.
    pub(crate) danger: Danger,
}

const PEER: &[Scope] = &[Scope::Main, Scope::Why];
const MAIN: &[Scope] = &[Scope::Main];
const SCROLL: &[Scope] = &[Scope::Main, Scope::Why, Scope::Lab, Scope::Drills, Scope::Help];
const THEN: &[Scope] = &[Scope::Main, Scope::Why];
const LAB: &[Scope] = &[Scope::Lab];
const NAT: &[Scope] = &[Scope::Nat];
const DRILLS: &[Scope] = &[Scope::Drills];

macro_rules! binding {
    ($action:expr, $keys:expr, $scopes:expr, $label:expr, $danger:ident, $help:expr) => {
        Binding {
            action: $action,
            keys: $keys,
            scopes: $scopes,
            label: $label,
            help: $help,
            danger: Danger::$danger,
        }
    };
}

/// The table, in the order of the footer and the help.
pub(crate) const BINDINGS: &[Binding] = &[
    binding!(
        Action::Why,
        &[named(KeyCode::Enter)],
        MAIN,
        "why",
        None,
        "why the selected peer is what it is: attempt, reasons, evidence; in the events: to that moment"
    ),
    binding!(
        Action::Order(Order::Sync),
        &[key('s')],
        PEER,
        "sync",
        Traffic,
        "exchange records with the selected peer (needs a link)"
    ),
    binding!(
        Action::Order(Order::SyncAll),
        &[key('S')],
        MAIN,
        "all",
        Traffic,
        "exchange records with every linked peer"
    ),
    binding!(
        Action::Order(Order::Connect),
        &[key('c')],
        PEER,
        "connect",
        Traffic,
        "run the ladder to the selected peer now; lifts a hold-off"
    ),
    binding!(
        Action::Order(Order::Punch),
        &[key('p')],
        PEER,
        "punch",
        Traffic,
        "run the punch stage alone to the selected peer, and report what came of it"
    ),
    binding!(
        Action::Order(Order::Relay),
        &[key('r')],
        PEER,
        "relay",
        Traffic,
        "run the relay stage alone to the selected peer, and report what came of it"
    ),
    binding!(
        Action::Order(Order::Failover),
        &[key('f')],
        PEER,
        "failover",
        Traffic,
        "hand relayed links over to the standby relay"
    ),
    binding!(
        Action::Order(Order::Disconnect),
        &[key('x')],
        PEER,
        "disconnect",
        Disruptive,
        "close the link to the selected peer and hold off automatic dials for 60 s"
    ),
    binding!(
        Action::Filter,
        &[key('/')],
        MAIN,
        "filter",
        None,
        "show only some peers: a text, or nat=symmetric path!=direct rtt>80 name~vps seen<5m; in the events: kind=relay peer=vps-1; in the logs: words"
    ),
    binding!(
        Action::Back,
        &[named(KeyCode::Esc)],
        MAIN,
        "clear filter",
        None,
        "back to now from another moment; else everything again, without the filter"
    ),
    binding!(
        Action::Freeze,
        &[key(' ')],
        MAIN,
        "freeze",
        None,
        "hold the screen still; the node goes on, and what is missed is counted; plays a replay"
    ),
    binding!(
        Action::Step(Step::Back),
        &[key('[')],
        THEN,
        "back",
        None,
        "back to the moment at which something last changed, up to ten minutes"
    ),
    binding!(
        Action::Step(Step::Forth),
        &[key(']')],
        THEN,
        "forward",
        None,
        "forward to the moment at which something changes next, and at last to now"
    ),
    binding!(Action::Step(Step::LeapBack), &[key('{')], THEN, "", None, "a minute back"),
    binding!(Action::Step(Step::LeapForth), &[key('}')], THEN, "", None, "a minute forward"),
    binding!(
        Action::Snap,
        &[key('w')],
        THEN,
        "snap",
        None,
        "write the last ten minutes to a file that punchdeck replay opens: moments, events, log, lab"
    ),
    binding!(
        Action::OpenLab,
        &[key('l')],
        MAIN,
        "lab",
        None,
        "the lab: cut and heal, kill and start, change a NAT, go to another node"
    ),
    binding!(
        Action::OpenDrills,
        &[key('d')],
        MAIN,
        "drills",
        None,
        "the drills: run one on a fleet of its own, and see its verdict (in the lab)"
    ),
    binding!(Action::Sort, &[key('o')], MAIN, "sort", None, "sort the peers by the next column"),
    binding!(Action::SortInverse, &[key('O')], MAIN, "", None, "turn the order of the peers around"),
    binding!(Action::Order(Order::NatProbe), &[key('n')], PEER, "NAT", Traffic, "measure our own NAT again"),
    binding!(
        Action::Zoom,
        &[key('z')],
        MAIN,
        "zoom",
        None,
        "give the focused pane the whole screen, and back"
    ),
    binding!(
        Action::Copy,
        &[key('y')],
        PEER,
        "copy",
        None,
        "copy the selected peer's full id to the terminal's clipboard (OSC 52)"
    ),
    binding!(
        Action::Lab(LabKey::Show),
        &[named(KeyCode::Enter)],
        LAB,
        "go there",
        None,
        "put the console on the chosen node"
    ),
    binding!(
        Action::Lab(LabKey::Cut),
        &[key('x')],
        LAB,
        "cut",
        Traffic,
        "cut the chosen node's uplink or wire without a word; again to heal it"
    ),
    binding!(
        Action::Lab(LabKey::Kill),
        &[key('K')],
        LAB,
        "kill",
        Traffic,
        "kill the chosen node without a goodbye; again to start it as who it was"
    ),
    binding!(Action::ChooseNat, &[key('t')], LAB, "NAT", Traffic, "change the NAT before the chosen node"),
    binding!(
        Action::Lab(LabKey::Flush),
        &[key('b')],
        LAB,
        "rebind",
        Traffic,
        "have the NAT before the chosen node forget its mappings"
    ),
    binding!(
        Action::Lab(LabKey::Undo),
        &[key('u')],
        LAB,
        "undo all",
        Traffic,
        "undo every change; the end of the console does it too"
    ),
    binding!(
        Action::OpenDrills,
        &[key('d')],
        LAB,
        "drills",
        None,
        "the drills: run one on a fleet of its own, and see its verdict"
    ),
    binding!(Action::Lab(LabKey::Nat(NatType::None)), &[key('n')], NAT, "none", Traffic, "no translation"),
    binding!(
        Action::Lab(LabKey::Nat(NatType::FullCone)),
        &[key('f')],
        NAT,
        "full cone",
        Traffic,
        "full cone"
    ),
    binding!(
        Action::Lab(LabKey::Nat(NatType::AddressRestricted)),
        &[key('a')],
        NAT,
        "address",
        Traffic,
        "address-restricted cone"
    ),
    binding!(
        Action::Lab(LabKey::Nat(NatType::PortRestricted)),
        &[key('p')],
        NAT,
        "port",
        Traffic,
        "port-restricted cone"
    ),
    binding!(
        Action::Lab(LabKey::Nat(NatType::Symmetric)),
        &[key('s')],
        NAT,
        "symmetric",
        Traffic,
        "symmetric"
    ),
    binding!(
        Action::Lab(LabKey::Start),
        &[named(KeyCode::Enter)],
        DRILLS,
        "start",
        Traffic,
        "start the chosen drill on a fleet of its own"
    ),
    binding!(
        Action::Lab(LabKey::CallOff),
        &[key('a')],
        DRILLS,
        "call off",
        None,
        "call the running drill off; what it did is undone"
    ),
    binding!(Action::NextPane, &[named(KeyCode::Tab)], MAIN, "", None, "focus the next pane"),
    binding!(Action::PrevPane, &[named(KeyCode::BackTab)], MAIN, "", None, "focus the pane before"),
    binding!(Action::Pane(1), &[key('1')], MAIN, "", None, "focus the peers"),
    binding!(Action::Pane(2), &[key('2')], MAIN, "", None, "focus the escalation ladders"),
    binding!(Action::Pane(3), &[key('3')], MAIN, "", None, "focus the relays"),
    binding!(Action::Pane(4), &[key('4')], MAIN, "", None, "focus gossip"),
    binding!(Action::Pane(5), &[key('5')], MAIN, "", None, "focus our NAT"),
    binding!(Action::Pane(6), &[key('6')], MAIN, "", None, "focus the rates and times"),
    binding!(Action::Pane(7), &[key('7')], MAIN, "", None, "focus the events"),
    binding!(Action::Pane(8), &[key('8')], MAIN, "", None, "focus the logs"),
    binding!(Action::Up, &[named(KeyCode::Up), key('k')], SCROLL, "", None, "one row up"),
    binding!(Action::Down, &[named(KeyCode::Down), key('j')], SCROLL, "", None, "one row down"),
    binding!(Action::PageUp, &[named(KeyCode::PageUp)], SCROLL, "", None, "one page up"),
    binding!(Action::PageDown, &[named(KeyCode::PageDown)], SCROLL, "", None, "one page down"),
    binding!(Action::Top, &[named(KeyCode::Home), key('g')], SCROLL, "", None, "to the first row"),
    binding!(
        Action::Bottom,
        &[named(KeyCode::End), key('G')],
        SCROLL,
        "",
        None,
        "to the last row; events and logs follow what comes"
    ),
    binding!(
        Action::Close,
        &[named(KeyCode::Esc), named(KeyCode::Enter), key('q')],
        &[Scope::Why],
        "close",
        None,
        "back to the panes"
    ),
    binding!(
        Action::Close,
        &[named(KeyCode::Esc), key('?'), key('q')],
        &[Scope::Help],
        "close",
        None,
        "back to where you were"
    ),
    binding!(
        Action::Close,
        &[named(KeyCode::Esc), key('q')],
        &[Scope::Lab, Scope::Nat, Scope::Drills],
        "close",
        None,
        "back to where you were"
    ),
    binding!(Action::Yes, &[key('y'), key('Y')], &[Scope::Confirm], "yes, do it", None, "do what is asked"),
    binding!(
        Action::No,
        &[key('n'), key('N'), named(KeyCode::Esc), key('q')],
        &[Scope::Confirm],
        "no",
        None,
        "do nothing"
    ),
    binding!(
        Action::Apply,
        &[named(KeyCode::Enter)],
        &[Scope::Prompt],
        "keep the filter",
        None,
        "keep the filter as it stands"
    ),
    binding!(
        Action::Cancel,
        &[named(KeyCode::Esc)],
        &[Scope::Prompt],
        "back to the filter before",
        None,
        "back to the filter that was set before"
    ),
    binding!(
        Action::Erase,
        &[named(KeyCode::Backspace), ctrl('h')],
        &[Scope::Prompt],
        "",
        None,
        "erase the last character"
    ),
    binding!(
        Action::Complete,
        &[named(KeyCode::Tab)],
        &[Scope::Prompt],
        "complete",
        None,
        "complete a key or a value, and list what it may be"
    ),
    binding!(
        Action::Older,
        &[named(KeyCode::Up)],
        &[Scope::Prompt],
        "",
        None,
        "the filter that was kept before"
    ),
    binding!(
        Action::Newer,
        &[named(KeyCode::Down)],
        &[Scope::Prompt],
        "",
        None,
        "the filter that was kept after"
    ),
    binding!(Action::EraseAll, &[ctrl('u')], &[Scope::Prompt], "erase", None, "erase the line"),
    binding!(
        Action::Help,
        &[key('?')],
        &[Scope::Main, Scope::Why, Scope::Lab, Scope::Drills],
        "help",
        None,
        "what every key does, and why some do nothing now"
    ),
    binding!(
        Action::Suspend,
        &[ctrl('z')],
        &Scope::ALL,
        "",
        None,
        "suspend; a node in this process stands still until the shell's fg"
    ),
    binding!(Action::Quit, &[key('q')], MAIN, "quit", None, "leave the console and stop the node in it"),
    binding!(
        Action::Quit,
        &[ctrl('c')],
        &Scope::ALL,
        "",
        None,
        "leave the console from anywhere, and stop the node in it"
    ),
];

/// The binding of a key in a scope.
pub(crate) fn lookup(scope: Scope, key: Key) -> Option<&'static Binding> {
    BINDINGS.iter().find(|b| b.scopes.contains(&scope) && b.keys.contains(&key))
}

/// The bindings of a scope, in the order of the table.
pub(crate) fn of_scope(scope: Scope) -> impl Iterator<Item = &'static Binding> {
    BINDINGS.iter().filter(move |b| b.scopes.contains(&scope))
}

/// The key that is shown for an action, if it has one in that scope.
pub(crate) fn key_of(scope: Scope, action: Action) -> Option<Key> {
    of_scope(scope).find(|b| b.action == action).map(|b| b.keys[0])
}

/// The order that does what the node proposes, and what it is in words.
pub(crate) fn order_of(step: NextAction) -> (Order, &'static str) {
    match step {
        NextAction::Connect => (Order::Connect, "run the ladder"),
        NextAction::Punch => (Order::Punch, "punch again"),
        NextAction::Relay => (Order::Relay, "connect through a relay"),
        NextAction::Failover => (Order::Failover, "use another relay"),
        NextAction::NatProbe => (Order::NatProbe, "probe our NAT again"),
    }
}

/// The console's key for what the node proposes, where it explains a link.
pub fn key_of_next(step: NextAction) -> Option<String> {
    key_of(Scope::Why, Action::Order(order_of(step).0)).map(|key| key.to_string())
}

/// All keys of a binding in one text.
pub(crate) fn key_names(binding: &Binding) -> String {
    binding.keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Every key and what it does, as a plain text for a terminal or a file.
pub fn keys_text() -> String {
    let width = BINDINGS.iter().map(|b| key_names(b).len()).max().unwrap_or(0);
    let mut out = String::new();
    for scope in Scope::ALL {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(scope.title());
        out.push('\n');
        for binding in of_scope(scope) {
            let asks = if binding.danger == Danger::Disruptive { " (asks first)" } else { "" };
            let _ = writeln!(out, "  {:width$}  {}{asks}", key_names(binding), binding.help);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn no_two_bindings_of_one_scope_share_a_key() {
        for scope in Scope::ALL {
            let mut seen: HashMap<Key, Action> = HashMap::new();
            for binding in of_scope(scope) {
                for key in binding.keys {
                    if let Some(other) = seen.insert(*key, binding.action) {
                        panic!("{key} means {other:?} and {:?} in {scope:?}", binding.action);
                    }
                }
            }
        }
    }

    #[test]
    fn every_binding_is_reached_by_each_of_its_keys_in_each_of_its_scopes() {
        for binding in BINDINGS {
            assert!(!binding.keys.is_empty() && !binding.scopes.is_empty(), "{:?}", binding.action);
            for scope in binding.scopes {
                for key in binding.keys {
                    let modifiers = if key.ctrl { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
                    let event = KeyEvent::new(key.code, modifiers);
                    let found = lookup(*scope, Key::of(&event).unwrap()).map(|b| b.action);
                    assert_eq!(found, Some(binding.action), "{key} in {scope:?}");
                }
            }
        }
    }

    #[test]
    fn one_can_leave_from_everywhere_and_every_overlay_closes_with_escape() {
        for scope in Scope::ALL {
            assert_eq!(lookup(scope, ctrl('c')).map(|b| b.action), Some(Action::Quit));
            if scope != Scope::Main {
                assert!(lookup(scope, named(KeyCode::Esc)).is_some(), "{scope:?}");
            }
        }
    }

    #[test]
    fn the_filter_line_takes_every_plain_character() {
        for c in (' '..='~').chain(['é', '世']) {
            assert!(lookup(Scope::Prompt, key(c)).is_none(), "{c}");
        }
    }

    #[test]
    fn the_text_of_the_keys_names_each_binding() {
        let text = keys_text();
        for binding in BINDINGS {
            assert!(text.contains(binding.help), "{}", binding.help);
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn shift_is_part_of_the_character_and_alt_is_none_of_ours() {
        let shifted = KeyEvent::new(KeyCode::Char('S'), KeyModifiers::SHIFT);
        assert_eq!(Key::of(&shifted), Some(key('S')));
        let back = KeyEvent::new(KeyCode::Tab, KeyModifiers::SHIFT);
        assert_eq!(Key::of(&back), Some(named(KeyCode::BackTab)));
        assert_eq!(Key::of(&KeyEvent::new(KeyCode::Char('q'), KeyModifiers::ALT)), None);
    }
}
