//! The table of bindings itself. A line is an action's stable name, what it
//! does, its keys as they would stand in the configuration, where they work, a
//! word for the footer (empty: it does not stand there), what it can cost, and a
//! sentence for the help. Lines stand in the order of the footer and the help.

use tui_input::InputRequest as Edit;

use super::{Action, Binding, Danger, LabKey, NodeCommand, Scope, Step, Way, Word};
use crate::model::NatType;

const PEER: &[Scope] = &[Scope::Main, Scope::Why];
const TESTED: &[Scope] = &[Scope::Main, Scope::Why, Scope::Test];
const TEST: &[Scope] = &[Scope::Test];
const MAIN: &[Scope] = &[Scope::Main];
const SCROLL: &[Scope] = &[
    Scope::Main,
    Scope::Why,
    Scope::Test,
    Scope::Lab,
    Scope::Drills,
    Scope::Targets,
    Scope::Listing,
    Scope::Help,
];
const TARGETS: &[Scope] = &[Scope::Targets];
const LISTING: &[Scope] = &[Scope::Listing];
const LAB: &[Scope] = &[Scope::Lab];
const NAT: &[Scope] = &[Scope::Nat];
const DRILLS: &[Scope] = &[Scope::Drills];
const NAME: &[Scope] = &[Scope::Name];
const PALETTE: &[Scope] = &[Scope::Palette];
const HELP: &[Scope] = &[Scope::Help];
const SEARCH: &[Scope] = &[Scope::Search];
const TYPING: &[Scope] = &[Scope::Prompt, Scope::Palette, Scope::Search, Scope::Name];
const EVERYWHERE: &[Scope] = &[
    Scope::Main,
    Scope::Why,
    Scope::Test,
    Scope::Lab,
    Scope::Nat,
    Scope::Drills,
    Scope::Targets,
    Scope::Listing,
    Scope::Leave,
    Scope::Palette,
    Scope::Help,
    Scope::Search,
    Scope::Confirm,
    Scope::Name,
    Scope::Prompt,
];
const OVERVIEWS: &[Scope] =
    &[Scope::Main, Scope::Why, Scope::Test, Scope::Lab, Scope::Drills, Scope::Targets, Scope::Listing];

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
    "log-targets": Action::Targets, "t", &[Scope::Logs], "targets", None,
        "what is shown of each part of the program, and what the node's log keeps of it";
    "log-show-less": Action::Show(Way::Less), "left", TARGETS, "show less", None,
        "hide the finest lines of the chosen target";
    "log-show-more": Action::Show(Way::More), "right", TARGETS, "show more", None,
        "show finer lines of the chosen target";
    "log-keep-more": Action::Keep(Way::More), "+", TARGETS, "keep more", Traffic,
        "have the node's log keep finer lines of the chosen target for ten minutes";
    "log-keep-less": Action::Keep(Way::Less), "-", TARGETS, "keep less", Traffic,
        "have the node's log keep fewer lines of the chosen target for ten minutes";
    "log-reset": Action::KeepAsConfigured, "0", TARGETS, "as configured", Traffic,
        "have the node's log keep what its configuration says";
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
    "mark": Action::Mark, "v", MAIN, "mark", None,
        "mark the selected peer, and go on; sync, connect and disconnect then act on all marked ones, after a question";
    "connect-address": Action::Order(Word::Connect), "", PEER, "", Traffic,
        "dial an address: connect 198.18.0.1:9000, or ID@198.18.0.1:9000 for nobody else; an address can be pasted, too";
    "bootstrap": Action::Order(Word::Bootstrap), "", PEER, "", Traffic,
        "what is dialled when nobody is known, until the node stops: bootstrap add ADDR, remove ADDR, or list";
    "export": Action::Order(Word::Export), "", PEER, "", None,
        "write what is shown to a file: export events|peers|why|kpi FILE; .csv makes a table, else a JSON object a line";
    "drill": Action::Order(Word::Drill), "", PEER, "", Traffic,
        "run a drill as you want it: drill NAME for=10m nodes=16 topology=NAME repeat=3";
    "warnings": Action::Warnings, "!", PEER, "warnings", None,
        "what is wrong now, over all panes, the worst first, and what can be done about it";
    "failures": Action::Failures, "e", PEER, "failures", None,
        "who failed most in the last 10 min, 1 h or 24 h, and why";
    "follow": Action::Follow, "enter", LISTING, "go there", None, "to what the chosen row is about";
    "next-failures": Action::NextSpan, "o", LISTING, "span", None, "the failures of the next span of time";
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
    "sort": Action::Sort, "o", MAIN, "sort", None,
        "sort the focused table by its next column";
    "next-span": Action::NextSpan, "o", &[Scope::Kpi], "span", None, "show the next span of time";
    "sort-inverse": Action::SortInverse, "O", MAIN, "", None, "turn that order around";
    "nat-probe": Action::Node(NodeCommand::NatProbe), "n", PEER, "NAT", Traffic, "measure our own NAT again";
    "test": Action::Test, "T", TESTED, "test", Traffic,
        "test each path that stands to the selected peer, 5 s each: round trip, jitter, loss, rates, mtu";
    "test-call-off": Action::EndTest, "x", TEST, "call off", Traffic,
        "call the test off; what was measured until then stays";
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
    "close-test": Action::Close, "esc q", TEST, "close", None,
        "call a test that runs off; else back to where you were";
    "close-help": Action::Close, "esc ? q", &[Scope::Help], "close", None, "back to where you were";
    "close-list": Action::Close, "esc q", LISTING, "close", None, "back to where you were";
    "close-targets": Action::Close, "esc q t", TARGETS, "close", None, "back to the log";
    "close-lab": Action::Close, "esc q", &[Scope::Lab, Scope::Nat, Scope::Drills], "close", None,
        "back to where you were";
    "yes": Action::Yes, "y Y", &[Scope::Confirm], "yes, do it", None, "do what is asked";
    "no": Action::No, "n N esc q", &[Scope::Confirm], "no", None, "do nothing";
    "leave-yes": Action::Yes, "q y Y enter", &[Scope::Leave], "yes, leave", None, "leave, and stop the node";
    "leave-no": Action::No, "esc n N", &[Scope::Leave], "no", None, "stay";
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
    "every-key": Action::EveryKey, "tab", HELP, "every key", None,
        "every key with what it does and why some do nothing now, or one page of them again";
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
    "quit": Action::Leave, "q", MAIN, "quit", None,
        "leave the console and stop the node in it; asks first while it has links (q again leaves)";
    "quit-anywhere": Action::Quit, "ctrl-c", EVERYWHERE, "", None,
        "leave the console from anywhere, and stop the node in it";
};
