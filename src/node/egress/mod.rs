//! The node's test of itself: what do the library's relay and coordinator, which
//! nobody can switch off, let strangers do here?
//!
//! Two throw-away strangers connect to where we listen and try. Everything they
//! send ends at sockets of ours on this host; nothing leaves it. What could not
//! be tried is `unknown`, never `closed`.

mod coordinator;
mod host;
mod session;
mod stranger;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ant_quic::Node;
use tokio::time::{Instant, sleep};

use self::host::{Host, Way};
use self::session::Session;
use self::stranger::{Stranger, Visit};
use super::keys::KeyError;
use super::transport;
use crate::core::engine::SelfTested;
use crate::model::{Evidence, PeerId, Reason};

/// How long the node may take to know a stranger that is connected to it.
const KNOWN_WITHIN: Duration = Duration::from_secs(1);
/// Between two looks whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Tests one node.
pub(super) struct SelfTester {
    node: Node,
    me: PeerId,
    /// Where the node listens.
    listens: SocketAddr,
    /// Who tries the relay and asks the coordinator, and who is to be aimed.
    /// They stay the same while the node runs, so that it can tell them from
    /// peers.
    asker: Stranger,
    aimed: Stranger,
}

impl SelfTester {
    /// For the node `me`, which listens there.
    ///
    /// # Errors
    /// [`KeyError`] if no keys can be made.
    pub(super) fn new(node: Node, me: PeerId, listens: SocketAddr) -> Result<Self, KeyError> {
        Ok(Self { node, me, listens, asker: Stranger::new()?, aimed: Stranger::new()? })
    }

    /// Whether that is no peer, but one of the test's strangers.
    pub(super) fn is_stranger(&self, peer: &PeerId) -> bool {
        self.strangers().contains(peer)
    }

    /// Who they are.
    pub(super) fn strangers(&self) -> [PeerId; 2] {
        [self.asker.id, self.aimed.id]
    }

    /// Makes the test; takes up to ten seconds, and where everything works as
    /// the library wants it a tenth of one.
    pub(super) async fn test(&self) -> SelfTested {
        let host = Host::new(self.listens.ip()).await;
        let reached = host.reached(&mut Way::Host).await;
        let seen = match self.visit(&self.asker, &reached).await {
            Ok(asker) => {
                let relay = relay(&host, &reached, &asker).await;
                let coordinator = self.coordinator(&reached, &asker).await;
                asker.leave().await;
                SelfTested { relay, coordinator }
            }
            Err(reason) => SelfTested {
                relay: without_session(&host, &reached, reason.clone()),
                coordinator: Evidence::NotMeasured { reason },
            },
        };
        for stranger in self.strangers() {
            // The library takes down whoever was connected; they are nobody. It
            // may do so later than this: a restart forgets them for good.
            self.node.bootstrap_cache().remove(&ant_quic::PeerId(stranger.0)).await;
        }
        seen
    }

    /// Connects to the node, where this process reaches it.
    async fn visit(&self, stranger: &Stranger, reached: &[IpAddr]) -> Result<Visit, Reason> {
        let ip = self.listens.ip();
        let ip = if ip.is_unspecified() { reached.first().copied() } else { Some(ip) };
        let unreached = || Reason::Other { detail: "this process reaches no address of its host".into() };
        let at = SocketAddr::new(ip.ok_or_else(unreached)?, self.listens.port());
        stranger.visit(self.me, at).await
    }

    async fn coordinator(&self, reached: &[IpAddr], asker: &Visit) -> Evidence {
        let aimed = match self.visit(&self.aimed, reached).await {
            Ok(aimed) => aimed,
            Err(reason) => return Evidence::NotMeasured { reason },
        };
        // To a coordinator that does not know it yet it would be no target.
        let until = Instant::now() + KNOWN_WITHIN;
        while transport::connection(&self.node, &self.aimed.id).is_none() && Instant::now() < until {
            sleep(LOOK_EVERY).await;
        }
        let seen = coordinator::try_it((self.asker.id, asker), (self.aimed.id, &aimed)).await;
        aimed.leave().await;
        seen
    }
}

/// A stranger's datagrams through our relay to addresses of this host.
async fn relay(host: &Host, reached: &[IpAddr], stranger: &Visit) -> Evidence {
    let mut session = match Session::open(&stranger.connection).await {
        Ok(session) => session,
        Err(reason) => return without_session(host, reached, reason),
    };
    let at = host.reached(&mut Way::Relay(&mut session)).await;
    if !at.is_empty() {
        return Evidence::Arrived { at };
    }
    // Silence means something only if the session works at all.
    if session.carries_in(host).await {
        Evidence::NotForwarded { to: host.addresses() }
    } else {
        without_session(host, reached, Reason::NothingCameBack)
    }
}

/// What can be said where no stranger gets to the relay from here. Where the
/// host lets this process send nothing to its addresses, that goes for the
/// relay, too; but a relay that could send and was not tried is unknown.
fn without_session(host: &Host, reached: &[IpAddr], reason: Reason) -> Evidence {
    let to = host.addresses();
    if reached.is_empty() && !to.is_empty() {
        Evidence::NotSent { to }
    } else {
        Evidence::NotMeasured { reason }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn what_was_not_tried_is_closed_only_if_the_process_can_send_nothing() {
        let host = Host::new(Ipv4Addr::LOCALHOST.into()).await;
        let reached = host.reached(&mut Way::Host).await;
        assert!(reached.contains(&Ipv4Addr::LOCALHOST.into()), "nothing confines this test");
        let evidence = without_session(&host, &reached, Reason::RelayLost);
        assert_eq!(evidence, Evidence::NotMeasured { reason: Reason::RelayLost });
        let to = host.addresses();
        assert_eq!(without_session(&host, &[], Reason::RelayLost), Evidence::NotSent { to });
    }
}
