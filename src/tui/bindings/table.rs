//! The table of bindings itself. A line is an action's stable name, what it
//! does, its keys as they would stand in the configuration, where they work, a
//! word for the footer (empty: it does not stand there), what it can cost, and a
//! sentence for the help. Lines stand in the order of the footer and the help.

use tui_input::InputRequest as Edit;

use super::{Action, Binding, Danger, FleetKey, LabKey, NodeCommand, Scope, Step};
use crate::model::NatType;

const PEER: &[Scope] = &[Scope::Main, Scope::Why];
const MAIN: &[Scope] = &[Scope::Main];
const SCROLL: &[Scope] =
    &[Scope::Main, Scope::Why, Scope::Lab, Scope::Drills, Scope::Fleet, Scope::Compared, Scope::Help];
const LAB: &[Scope] = &[Scope::Lab];
const NAT: &[Scope] = &[Scope::Nat];
const FLEET: &[Scope] = &[Scope::Fleet];
const DRILLS: &[Scope] = &[Scope::Drills];
const NAME: &[Scope] = &[Scope::Name];
const PALETTE: &[Scope] = &[Scope::Palette];
const HELP: &[Scope] = &[Scope::Help];
const SEARCH: &[Scope] = &[Scope::Search];
const TYPING: &[Scope] = &[Scope::Prompt, Scope::Palette, Scope::Search, Scope::Name];
const EVERYWHERE: &[Scope] = &[
    Scope::Main,
    Scope::Why,
    Scope::Lab,
    Scope::Nat,
    Scope::Drills,
    Scope::Fleet,
    Scope::Compared,
    Scope::Palette,
    Scope::Help,
    Scope::Search,
    Scope::Confirm,
    Scope::Name,
    Scope::Prompt,
];
const OVERVIEWS: &[Scope] = &[Scope::Main, Scope::Why, Scope::Lab, Scope::Drills, Scope::Fleet];

macro_rules! table {
    ($($name:literal: $action:expr, $keys:literal, $scopes:expr, $label:literal, $danger:ident,
        $help:literal;)*) => {
        &[$(Binding {
            name: $name,
            action: $action,
            keys: $keys,
            scopes: $scopes,
            label: $label,
            danger: Danger::$danger,
            help: $help,
        }),*]
    };
}

/// The table.
pub(crate) static BINDINGS: &[Binding] = table! {
    "why": Action::Why, "enter", MAIN, "why", None,
        "why the selected peer is what it is: attempt, reasons, evidence";
    "go-to-event": Action::GoToEvent, "enter", &[Scope::Events], "go there", None,
        "to the first moment that shows the chosen event";
    "sync": Action::Node(NodeCommand::Sync), "s", PEER, "sync", Traffic,
        "exchange records with the selected peer (needs a link)";
    "sync-all": Action::Node(NodeCommand::SyncAll), "S", PEER, "all", Traffic,
        "exchange records with every linked peer";
    "connect": Action::Node(NodeCommand::Connect), "c", PEER, "connect", Traffic,
        "run the ladder to the selected peer now; lifts a hold-off";
    "punch": Action::Node(NodeCommand::Punch), "p", PEER, "punch", Traffic,
        "run the punch stage alone to the selected peer, and report what came of it";
    "relay": Action::Node(NodeCommand::Relay), "r", PEER, "relay", Traffic,
        "run the relay stage alone to the selected peer, and report what came of it";
    "failover": Action::Node(NodeCommand::Failover), "f", PEER, "failover", Traffic,
        "hand relayed links over to the standby relay";
    "disconnect": Action::Node(NodeCommand::Disconnect), "x", PEER, "disconnect", Disruptive,
        "close the link to the selected peer and hold off automatic dials for 60 s";
    "end-served": Action::EndServed, "x", &[Scope::Served], "end it", Disruptive,
        "end the reservation of the chosen peer here, and give it none for 10 min; its link stays";
    "filter": Action::Filter, "/", MAIN, "filter", None,
        "show only some peers: a text, or nat=symmetric path!=direct rtt>80 name~vps seen<5m; in the events: kind=relay peer=vps-1; in the logs: words";
    "back": Action::Back, "esc", MAIN, "clear filter", None,
        "back to now from another moment; else everything again, without the filter";
    "freeze": Action::Freeze, "space", MAIN, "freeze", None,
        "hold the screen still; the node goes on, and what is missed is counted";
    "play": Action::Play, "space", &[Scope::Replay], "play", None, "play the file as time went, or stop";
    "moment-before": Action::Step(Step::Back), "[", PEER, "back", None,
        "back to the moment at which something last changed, up to ten minutes";
    "moment-after": Action::Step(Step::Forth), "]", PEER, "forward", None,
        "forward to the moment at which something changes next, and at last to now";
    "minute-before": Action::Step(Step::LeapBack), "{", PEER, "", None, "a minute back";
    "minute-after": Action::Step(Step::LeapForth), "}", PEER, "", None, "a minute forward";
    "lab": Action::OpenLab, "l", MAIN, "lab", None,
        "the lab: cut and heal, kill and start, change a NAT, go to another node";
    "drills": Action::OpenDrills, "d", MAIN, "drills", None,
        "the drills: run one on a fleet of its own, and see its verdict (in the lab)";
    "fleet": Action::OpenFleet, "F", MAIN, "fleet", None,
        "the fleet: how each node is, what each says of its links, where two ends disagree";
    "fleet-back": Action::Fleet(FleetKey::Back), "backspace", &[Scope::Main, Scope::Fleet], "", None,
        "back to the node of the fleet that the console was on before";
    "sort": Action::Sort, "o", MAIN, "sort", None,
        "sort the focused table by its next column";
    "next-span": Action::NextSpan, "o", &[Scope::Kpi], "span", None, "show the next span of time";
    "sort-inverse": Action::SortInverse, "O", MAIN, "", None, "turn that order around";
    "nat-probe": Action::Node(NodeCommand::NatProbe), "n", PEER, "NAT", Traffic, "measure our own NAT again";
    "zoom": Action::Zoom, "z", MAIN, "zoom", None, "give the focused pane the whole screen, and back";
    "copy-id": Action::CopyId, "y", PEER, "copy", None,
        "copy the selected peer's full id to the terminal's clipboard (OSC 52)";
    "copy-address": Action::CopyAddress, "", PEER, "", None,
        "copy the address of the selected peer's link, or the first it claims";
    "copy-why": Action::CopyWhy, "", PEER, "", None,
        "copy the explanation of the selected peer as text, once the node gave one";
    "snap": Action::Snap, "w", PEER, "snap", None,
        "write what is remembered, up to ten minutes, to a file for punchdeck replay: moments, events, log, lab";
    "mask": Action::Mask, "m", PEER, "", None,
        "pseudonyms for peers, addresses and names, on the screen, in copies and in snaps; again to undo it";
    "lab-show": Action::Lab(LabKey::Show), "enter", LAB, "go there", None,
        "put the console on the chosen node";
    "lab-cut": Action::Lab(LabKey::Cut), "x", LAB, "cut", Traffic,
        "cut the chosen node's uplink or wire without a word; again to heal it";
    "lab-spoil": Action::Lab(LabKey::Spoil), "w", LAB, "spoil", Traffic,
        "have the next thing go wrong with the wire: MTU, UDP blocked, loss, reordering, nothing";
    "lab-kill": Action::Lab(LabKey::Kill), "K", LAB, "kill", Destructive,
        "kill the chosen node without a goodbye; again to start it as who it was";
    "lab-nat": Action::ChooseNat, "t", LAB, "NAT", Traffic, "change the NAT before the chosen node";
    "lab-rebind": Action::Lab(LabKey::Flush), "b", LAB, "rebind", Traffic,
        "have the NAT before the chosen node forget its mappings";
    "lab-undo": Action::Lab(LabKey::Undo), "u", LAB, "undo all", Traffic,
        "undo every change; the end of the console does it too";
    "lab-drills": Action::OpenDrills, "d", LAB, "drills", None,
        "the drills: run one on a fleet of its own, and see its verdict";
    "nat-none": Action::Lab(LabKey::Nat(NatType::None)), "n", NAT, "none", Traffic, "no translation";
    "nat-full-cone": Action::Lab(LabKey::Nat(NatType::FullCone)), "f", NAT, "full cone", Traffic, "full cone";
    "nat-address-restricted": Action::Lab(LabKey::Nat(NatType::AddressRestricted)), "a", NAT,
        "address", Traffic,
        "address-restricted cone";
    "nat-port-restricted": Action::Lab(LabKey::Nat(NatType::PortRestricted)), "p", NAT, "port", Traffic,
        "port-restricted cone";
    "nat-symmetric": Action::Lab(LabKey::Nat(NatType::Symmetric)), "s", NAT, "symmetric", Traffic,
        "symmetric";
    "fleet-show": Action::Fleet(FleetKey::Show), "enter", FLEET, "go there", None,
        "put the console on the chosen node; what was seen of the others is kept";
    "fleet-turn": Action::Fleet(FleetKey::Turn), "tab", FLEET, "matrix", None,
        "from the nodes to the matrix of their links, and back";
    "fleet-compare": Action::Fleet(FleetKey::Compare), "D", FLEET, "compare", None,
        "compare two nodes: once on the one, once on the other";
    "fleet-order": Action::Fleet(FleetKey::Order), "o", FLEET, "order", None,
        "the worst first, or by name";
    "fleet-left": Action::Fleet(FleetKey::Left), "left h", FLEET, "", None, "one column of the matrix left";
    "fleet-right": Action::Fleet(FleetKey::Right), "right l", FLEET, "", None,
        "one column of the matrix right";
    "drill-start": Action::Lab(LabKey::Start), "enter", DRILLS, "start", Traffic,
        "start the chosen drill on a fleet of its own; one that kills wants its name typed";
    "drill-call-off": Action::Lab(LabKey::CallOff), "a", DRILLS, "call off", Traffic,
        "call the running drill off; what it did is undone";
    "next-pane": Action::NextPane, "tab", MAIN, "", None, "focus the next pane";
    "previous-pane": Action::PrevPane, "shift-tab", MAIN, "", None, "focus the pane before";
    "focus-peers": Action::Pane(1), "1", MAIN, "", None, "focus the peers";
    "focus-escalation": Action::Pane(2), "2", MAIN, "", None, "focus the escalation ladders";
    "focus-relays": Action::Pane(3), "3", MAIN, "", None, "focus the relays";
    "focus-gossip": Action::Pane(4), "4", MAIN, "", None, "focus gossip";
    "focus-nat": Action::Pane(5), "5", MAIN, "", None, "focus our NAT";
    "focus-kpi": Action::Pane(6), "6", MAIN, "", None, "focus the rates and times";
    "focus-events": Action::Pane(7), "7", MAIN, "", None, "focus the events";
    "focus-logs": Action::Pane(8), "8", MAIN, "", None, "focus the logs";
    "up": Action::Up, "up k", SCROLL, "", None, "one row up";
    "down": Action::Down, "down j", SCROLL, "", None, "one row down";
    "page-up": Action::PageUp, "pgup", SCROLL, "", None, "one page up";
    "page-down": Action::PageDown, "pgdn", SCROLL, "", None, "one page down";
    "top": Action::Top, "home g", SCROLL, "", None, "to the first row";
    "bottom": Action::Bottom, "end G", SCROLL, "", None, "to the last row; events and logs follow what comes";
    "close-why": Action::Close, "esc enter q", &[Scope::Why], "close", None, "back to the panes";
    "close-help": Action::Close, "esc ? q", &[Scope::Help], "close", None, "back to where you were";
    "close-lab": Action::Close, "esc q", &[Scope::Lab, Scope::Nat, Scope::Drills], "close", None,
        "back to where you were";
    "close-fleet": Action::Close, "esc q F", FLEET, "close", None, "back to where you were";
    "close-compared": Action::Close, "esc q", &[Scope::Compared], "close", None, "back to the fleet";
    "yes": Action::Yes, "y Y", &[Scope::Confirm], "yes, do it", None, "do what is asked";
    "no": Action::No, "n N esc q", &[Scope::Confirm], "no", None, "do nothing";
    "filter-keep": Action::FilterKeep, "enter", &[Scope::Prompt], "keep the filter", None,
        "keep the filter as it stands";
    "filter-cancel": Action::FilterCancel, "esc", &[Scope::Prompt], "back to the filter before", None,
        "back to the filter that was set before";
    "filter-complete": Action::FilterComplete, "tab", &[Scope::Prompt], "complete", None,
        "complete a key or a value, and list what it may be";
    "filter-older": Action::Older, "up", &[Scope::Prompt], "", None, "the filter that was kept before";
    "filter-newer": Action::Newer, "down", &[Scope::Prompt], "", None, "the filter that was kept after";
    "name-confirm": Action::Yes, "enter", NAME, "do it", None, "do it, if the name is right";
    "name-cancel": Action::No, "esc", NAME, "no", None, "do nothing";
    "palette-do": Action::PaletteDo, "enter", PALETTE, "do it", None,
        "do what is chosen, or select the peer that is";
    "palette-close": Action::Close, "esc", PALETTE, "close", None, "back to where you were";
    "palette-complete": Action::PaletteComplete, "tab", PALETTE, "complete", None,
        "write out what is chosen; a peer may follow an action, as in: punch home";
    "palette-up": Action::Up, "up ctrl-p", PALETTE, "", None, "one row up";
    "palette-down": Action::Down, "down ctrl-n", PALETTE, "", None, "one row down";
    "palette-page-up": Action::PageUp, "pgup", PALETTE, "", None, "one page up";
    "palette-page-down": Action::PageDown, "pgdn", PALETTE, "", None, "one page down";
    "search": Action::Search, "/", HELP, "search", None, "show only the keys with some words in them";
    "search-keep": Action::SearchKeep, "enter", SEARCH, "keep", None, "keep what was found, and read on";
    "search-cancel": Action::SearchCancel, "esc", SEARCH, "all again", None, "show every key again";
    "cursor-left": Action::Edit(Edit::GoToPrevChar), "left ctrl-b", TYPING, "", None, "one character left";
    "cursor-right": Action::Edit(Edit::GoToNextChar), "right ctrl-f", TYPING, "", None, "one character right";
    "word-left": Action::Edit(Edit::GoToPrevWord), "ctrl-left alt-b", TYPING, "", None, "one word left";
    "word-right": Action::Edit(Edit::GoToNextWord), "ctrl-right alt-f", TYPING, "", None, "one word right";
    "line-start": Action::Edit(Edit::GoToStart), "home ctrl-a", TYPING, "", None,
        "to the beginning of the line";
    "line-end": Action::Edit(Edit::GoToEnd), "end ctrl-e", TYPING, "", None, "to the end of the line";
    "erase": Action::Edit(Edit::DeletePrevChar), "backspace ctrl-h", TYPING, "", None,
        "erase the character before the cursor";
    "erase-next": Action::Edit(Edit::DeleteNextChar), "delete ctrl-d", TYPING, "", None,
        "erase the character under the cursor";
    "erase-word": Action::Edit(Edit::DeletePrevWord), "ctrl-w", TYPING, "", None,
        "erase the word before the cursor";
    "erase-rest": Action::Edit(Edit::DeleteTillEnd), "ctrl-k", TYPING, "", None,
        "erase everything from the cursor on";
    "erase-line": Action::Edit(Edit::DeleteLine), "ctrl-u", TYPING, "", None, "erase the line";
    "palette": Action::Palette, ":", OVERVIEWS, "palette", None, "find an action or a peer by a few letters";
    "help": Action::Help, "?", OVERVIEWS, "help", None,
        "what every key does, and why some do nothing now";
    "suspend": Action::Suspend, "ctrl-z", EVERYWHERE, "", None,
        "suspend; a node in this process stands still until the shell's fg";
    "quit": Action::Quit, "q", MAIN, "quit", None, "leave the console and stop the node in it";
    "quit-anywhere": Action::Quit, "ctrl-c", EVERYWHERE, "", None,
        "leave the console from anywhere, and stop the node in it";
};
