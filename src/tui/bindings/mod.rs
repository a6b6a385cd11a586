//! The one table of key bindings. The dispatcher, the footer, the help, the
//! palette and `punchdeck keys` are all made from it; nothing else knows a key.
//! Which keys are in force is a [`Keymap`]: the table's, with what the
//! configuration changes.

mod key;
mod keymap;
mod table;

use strum::VariantArray;
use tui_input::InputRequest;

use crate::model::{NatType, NextAction};

pub(crate) use key::Key;
pub(crate) use keymap::Bound;
pub use keymap::{Keymap, KeymapError};

/// What the keys mean just now. A key means what it does in the innermost scope that has it:
/// that of a pane, of a replay, and of all panes; or of what lies over them alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, VariantArray)]
pub(crate) enum Scope {
    /// The panes.
    Main,
    /// The relays, on somebody whom we serve.
    Served,
    /// The rates and times.
    Kpi,
    /// The events.
    Events,
    /// A file instead of a node.
    Replay,
    /// The why view of a peer.
    Why,
    /// The lab's nodes and wires.
    Lab,
    /// The choice of a NAT.
    Nat,
    /// The drills.
    Drills,
    /// The fleet.
    Fleet,
    /// Two nodes of the fleet beside each other.
    Compared,
    /// The palette.
    Palette,
    /// The help.
    Help,
    /// The search of the help being typed.
    Search,
    /// A question that wants yes or no.
    Confirm,
    /// A question that wants a name.
    Name,
    /// The filter being typed.
    Prompt,
}

impl Scope {
    /// Every scope.
    pub(crate) const ALL: &'static [Self] = Self::VARIANTS;

    /// A heading for it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Main => "Panes",
            Self::Served => "Relays, on a peer that we serve",
            Self::Kpi => "KPI",
            Self::Events => "Events",
            Self::Replay => "Replay",
            Self::Why => "Why view",
            Self::Help => "Help",
            Self::Lab => "Lab",
            Self::Nat => "Lab, choice of a NAT",
            Self::Drills => "Drills",
            Self::Fleet => "Fleet",
            Self::Compared => "Fleet, two nodes compared",
            Self::Confirm => "Questions",
            Self::Name => "Questions that want a name",
            Self::Prompt => "Filter line",
            Self::Palette => "Palette",
            Self::Search => "Search of the help",
        }
    }

    /// Where that is, in a sentence.
    pub(crate) fn place(self) -> &'static str {
        match self {
            Self::Main => "in the panes",
            Self::Served => "on a peer that we serve",
            Self::Kpi => "in the KPI pane",
            Self::Events => "in the events",
            Self::Replay => "in a replay",
            Self::Why => "in the why view",
            Self::Help => "in the help",
            Self::Lab => "in the lab",
            Self::Nat => "in the choice of a NAT",
            Self::Drills => "in the drills",
            Self::Fleet => "in the fleet",
            Self::Compared => "in a comparison",
            Self::Confirm => "in a question",
            Self::Name => "where a name is wanted",
            Self::Prompt => "in the filter line",
            Self::Palette => "in the palette",
            Self::Search => "in the search of the help",
        }
    }

    /// Whether keys that it has not mean there what they mean in all panes.
    pub(crate) fn is_within_main(self) -> bool {
        matches!(self, Self::Served | Self::Kpi | Self::Events | Self::Replay)
    }

    /// Whether characters are text there, and no keys.
    pub(crate) fn is_typing(self) -> bool {
        matches!(self, Self::Prompt | Self::Palette | Self::Search | Self::Name)
    }
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// Has the node do something.
    Node(NodeCommand),
    /// Has the lab do something.
    Lab(LabKey),
    OpenLab,
    OpenDrills,
    OpenFleet,
    /// Looks at the fleet otherwise, or asks something of it.
    Fleet(FleetKey),
    ChooseNat,
    Why,
    /// To the first moment that shows the chosen event.
    GoToEvent,
    /// Ends what the chosen peer holds here as a relay's client.
    EndServed,
    Filter,
    /// Back to now; else without the filter.
    Back,
    Sort,
    SortInverse,
    /// To the next span of time.
    NextSpan,
    Freeze,
    /// Plays a file, or stops.
    Play,
    /// Goes through the moments that are kept.
    Step(Step),
    /// Writes what is remembered to a file.
    Snap,
    /// Pseudonyms for peers, addresses and names.
    Mask,
    Zoom,
    CopyId,
    CopyAddress,
    CopyWhy,
    Palette,
    Search,
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
    PaletteDo,
    PaletteComplete,
    SearchKeep,
    SearchCancel,
    FilterKeep,
    FilterCancel,
    FilterComplete,
    /// Changes a line that is typed, or moves its cursor.
    Edit(InputRequest),
    Older,
    Newer,
    Suspend,
    Quit,
}

/// What a key has the node do; each becomes a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum NodeCommand {
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
    /// Have the next thing go wrong with a wire.
    Spoil,
    Show,
    Undo,
    /// Start the chosen drill.
    Start,
    CallOff,
}

/// What a key does in the fleet; what it is done to is the chosen node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FleetKey {
    /// To the console of the chosen node.
    Show,
    /// To that of the node before.
    Back,
    /// Holds two nodes beside each other.
    Compare,
    /// From the nodes to the matrix, and back.
    Turn,
    /// From the worst first to the order of names, and back.
    Order,
    /// A column to the left.
    Left,
    /// A column to the right.
    Right,
}

/// A way through the moments that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// To where something last changed.
    Back,
    /// To where something changes next.
    Forth,
    /// A minute back.
    LeapBack,
    /// A minute forth.
    LeapForth,
}

/// What an action can cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Danger {
    /// Changes only what is shown.
    None,
    /// Sends something over the network.
    Traffic,
    /// Interrupts something that works; asks first.
    Disruptive,
    /// Kills something; wants its name typed.
    Destructive,
}

impl Danger {
    /// What follows a sentence about the action.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::None | Self::Traffic => "",
            Self::Disruptive => " (asks first)",
            Self::Destructive => " (wants the name typed)",
        }
    }

    /// As a mark beside a key.
    pub(crate) fn glyph(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Traffic => "~",
            Self::Disruptive => "!",
            Self::Destructive => "!!",
        }
    }

    /// In a word; empty where it costs nothing.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Traffic => "traffic",
            Self::Disruptive => "disrupts",
            Self::Destructive => "destroys",
        }
    }
}

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    /// Its stable name: what the configuration calls it.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) action: Action,
    /// The keys that it has unless the configuration says otherwise, with
    /// spaces between.
    pub(crate) keys: &'static str,
    /// Where it works.
    pub(crate) scopes: &'static [Scope],
    /// One or two words for the footer; empty if it does not stand there.
    pub(crate) label: &'static str,
    /// A sentence for the help.
    pub(crate) help: &'static str,
    /// What it can cost.
    pub(crate) danger: Danger,
}

impl Action {
    /// Whether it changes anything but what is shown.
    pub(crate) fn changes_something(self) -> bool {
        match self {
            Self::ChooseNat => true,
            action if action.is_for_the_node() => true,
            Self::Lab(key) => key != LabKey::Show,
            _ => false,
        }
    }

    /// Whether the node is to do it.
    pub(crate) fn is_for_the_node(self) -> bool {
        matches!(self, Self::Node(_) | Self::EndServed)
    }

    /// Whether it is about one peer, whoever that is.
    pub(crate) fn is_about_a_peer(self) -> bool {
        match self {
            Self::Why | Self::CopyId | Self::CopyAddress | Self::CopyWhy => true,
            Self::Node(command) => {
                !matches!(command, NodeCommand::SyncAll | NodeCommand::Failover | NodeCommand::NatProbe)
            }
            _ => false,
        }
    }

    /// Whether it is one to look for by name: not a way of moving about.
    pub(crate) fn is_found(self) -> bool {
        !matches!(
            self,
            Self::Up
                | Self::Down
                | Self::PageUp
                | Self::PageDown
                | Self::Top
                | Self::Bottom
                | Self::Close
                | Self::Palette
        )
    }
}

impl Binding {
    /// Whether somebody without a key for it could not get help or out.
    pub(crate) fn is_essential(&self) -> bool {
        matches!(
            self.action,
            Action::Help
                | Action::Quit
                | Action::Close
                | Action::No
                | Action::FilterCancel
                | Action::SearchCancel
        )
    }
}

/// The command that does what the node proposes, and what it is in words.
pub(crate) fn node_command_of(step: NextAction) -> (NodeCommand, &'static str) {
    match step {
        NextAction::Connect => (NodeCommand::Connect, "run the ladder"),
        NextAction::Punch => (NodeCommand::Punch, "punch again"),
        NextAction::Relay => (NodeCommand::Relay, "connect through a relay"),
        NextAction::Failover => (NodeCommand::Failover, "use another relay"),
        NextAction::SyncAll => (NodeCommand::SyncAll, "ask all links for what they know"),
        NextAction::NatProbe => (NodeCommand::NatProbe, "probe our NAT again"),
    }
}

#[cfg(test)]
mod tests;
