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
    /// The log.
    Logs,
    /// A file instead of a node.
    Replay,
    /// The why view of a peer.
    Why,
    /// The test of the paths to a peer.
    Test,
    /// The lab's nodes and wires.
    Lab,
    /// The choice of a NAT.
    Nat,
    /// The drills.
    Drills,
    /// The targets of the log.
    Targets,
    /// A list of what is wrong, or of who failed.
    Listing,
    /// The palette.
    Palette,
    /// The help.
    Help,
    /// The search of the help being typed.
    Search,
    /// A question that wants yes or no.
    Confirm,
    /// The question whether to leave.
    Leave,
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
            Self::Logs => "Logs",
            Self::Replay => "Replay",
            Self::Why => "Why view",
            Self::Test => "Path test",
            Self::Help => "Help",
            Self::Lab => "Lab",
            Self::Nat => "Lab, choice of a NAT",
            Self::Drills => "Drills",
            Self::Targets => "Log targets",
            Self::Listing => "Warnings and failures",
            Self::Leave => "The question whether to leave",
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
            Self::Logs => "in the logs",
            Self::Replay => "in a replay",
            Self::Why => "in the why view",
            Self::Test => "in a path test",
            Self::Help => "in the help",
            Self::Lab => "in the lab",
            Self::Nat => "in the choice of a NAT",
            Self::Drills => "in the drills",
            Self::Targets => "among the log targets",
            Self::Listing => "in a list",
            Self::Leave => "in the question whether to leave",
            Self::Confirm => "in a question",
            Self::Name => "where a name is wanted",
            Self::Prompt => "in the filter line",
            Self::Palette => "in the palette",
            Self::Search => "in the search of the help",
        }
    }

    /// Whether keys that it has not mean there what they mean in all panes.
    pub(crate) fn is_within_main(self) -> bool {
        matches!(self, Self::Served | Self::Kpi | Self::Events | Self::Logs | Self::Replay)
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
    ChooseNat,
    Why,
    /// Tests the paths to a peer.
    Test,
    /// Calls that off.
    EndTest,
    /// To the first moment that shows the chosen event.
    GoToEvent,
    /// What is wrong now.
    Warnings,
    /// Who failed most.
    Failures,
    /// Where the chosen row of a list leads.
    Follow,
    /// Marks a row, or takes the mark away.
    Mark,
    /// The targets of the log.
    Targets,
    /// What is shown of the chosen target.
    Show(Way),
    /// What the node's log keeps of it for a while.
    Keep(Way),
    /// What the configuration says is kept again.
    KeepAsConfigured,
    /// What is typed out: the palette with its first word.
    Order(Word),
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
    /// Every key in the help, or one page of them again.
    EveryKey,
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
    /// Leaves; asks first where a node with links would end.
    Leave,
    /// Leaves at once.
    Quit,
}

/// The first word of what is typed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Word {
    Connect,
    Bootstrap,
    Export,
    Drill,
}

impl Word {
    /// As it is typed.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Bootstrap => "bootstrap",
            Self::Export => "export",
            Self::Drill => "drill",
        }
    }

    /// What it can cost.
    pub(crate) fn danger(self) -> Danger {
        match self {
            Self::Connect | Self::Bootstrap | Self::Drill => Danger::Traffic,
            Self::Export => Danger::None,
        }
    }
}

/// Towards more or towards less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    Less,
    More,
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
            Self::ChooseNat | Self::Order(Word::Drill) => true,
            action if action.is_for_the_node() => true,
            Self::Lab(key) => key != LabKey::Show,
            _ => false,
        }
    }

    /// Whether the node is to do it.
    pub(crate) fn is_for_the_node(self) -> bool {
        matches!(
            self,
            Self::Node(_)
                | Self::EndServed
                | Self::Test
                | Self::EndTest
                | Self::Keep(_)
                | Self::KeepAsConfigured
                | Self::Order(Word::Connect | Word::Bootstrap)
        )
    }

    /// Whether it is about one peer, whoever that is.
    pub(crate) fn is_about_a_peer(self) -> bool {
        match self {
            Self::Why | Self::Test | Self::CopyId | Self::CopyAddress | Self::CopyWhy => true,
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
                | Action::Leave
                | Action::Close
                | Action::No
                | Action::FilterCancel
                | Action::SearchCancel
        )
    }
}

/// The action that does what the node proposes, and what it is in words.
pub(crate) fn action_of(step: NextAction) -> (Action, &'static str) {
    let (command, words) = match step {
        NextAction::Connect => (NodeCommand::Connect, "run the ladder"),
        NextAction::Punch => (NodeCommand::Punch, "punch again"),
        NextAction::Relay => (NodeCommand::Relay, "connect through a relay"),
        NextAction::Failover => (NodeCommand::Failover, "use another relay"),
        NextAction::SyncAll => (NodeCommand::SyncAll, "ask all links for what they know"),
        NextAction::NatProbe => (NodeCommand::NatProbe, "probe our NAT again"),
        NextAction::Test => return (Action::Test, "test the path again"),
    };
    (Action::Node(command), words)
}

#[cfg(test)]
mod tests;
