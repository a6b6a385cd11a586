//! What the node, the console, the JSON and the tests share: plain data.
//!
//! Nothing here acts. A value in this module was measured, claimed by a peer
//! or derived, and says which; a value nobody knows is `None`, never zero.

mod attempt;
mod brief;
mod command;
mod compare;
pub mod contract;
mod counted;
mod event;
mod fleet;
mod id;
mod kpi;
mod log;
mod nat;
mod pathtest;
mod peer;
mod policy;
mod reason;
mod relay;
mod report;
mod sections;
mod snapshot;
mod text;
mod time;
mod totals;
pub mod truth;
mod why;

pub use attempt::{
    Attempt, AttemptId, AttemptOutcome, Cause, GuessReport, NextStep, Since, StageKind, StageOutcome,
    StageReport, stage_place,
};
pub use brief::{Brief, BriefLink, BriefReservation, PeerPrefix, PhaseKind, Trouble};
pub use command::{Command, CommandId, Done, EchoReport, Failure, LinkReport, Outcome, SyncReport};
pub use compare::{Both, Comparison, Held, Named, Seen, Side};
pub use counted::counted;
pub use event::{Event, EventKind, SendTrouble};
pub use fleet::{
    About, Disagreement, Member, Rank, Sight, Silence, SilenceKind, Standing, disagreement, disagreements,
};
pub use id::{ParsePeerIdError, PeerId};
pub use kpi::{CriterionView, Interval, KpiAnswer, KpiPoint, KpiSeries, KpiView, Moved, Propagation};
pub use log::{LogLevel, LogLine};
pub use nat::{Behaviour, MappingLifetime, NatSpell, NatType, NatView, PortOrder, Vantage};
pub use pathtest::{PathTest, TestCount, TestPhase, TestRate, TestRtt, Tested, TestedPath};
pub use peer::{AlsoCalled, LinkRow, Path, PeerRow, PeerState, Source};
pub use policy::{
    ESCAPE_WAIT, HardNat, NoProbePorts, ProbePorts, PunchConsent, RelayMode, TestConsent, ThemeChoice,
};
pub use reason::{CloseCode, Reason};
pub use relay::{Failover, RelayRole, RelaysView, ReservationRow, ReservationState, ServedEnd, ServedRow};
pub use report::{
    AttemptFact, Batch, Fact, FailoverFact, LinkCounts, MovedFact, NodeFact, ParseReportIdError,
    REPORT_SCHEMA, RelayLoad, Report, ReportId, Reporter, ReportingState, ReportingView,
};
pub use sections::Sections;
pub use snapshot::{
    AttemptsView, CacheView, Counters, GossipView, NodeInfo, Phase, SaveState, Snapshot, UsedTwice, twice_at,
};
pub use text::{SHOWN_TEXT_MAX, clean, clean_sentence, ellipsize, printable, visible};
pub use time::{Stamp, millis, took};
pub use totals::{TIME_BOUNDS_MS, Times, Totals};
pub use why::{Confidence, NextAction, Provenance, Sureness, Why, WhyCause, WhyFact, WhyLine, WhyNats};

/// Rewrites an IPv4-mapped IPv6 address (`::ffff:a.b.c.d`) to plain IPv4.
///
/// A dual-stack socket shows its IPv4 peers mapped; every address is made
/// plain before it is shown, compared or gossiped.
pub fn plain_addr(addr: std::net::SocketAddr) -> std::net::SocketAddr {
    std::net::SocketAddr::new(addr.ip().to_canonical(), addr.port())
}
