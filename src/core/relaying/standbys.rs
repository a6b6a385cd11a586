//! The second lane under a link that runs over one: dialled as soon as the link
//! does, and again when it is gone, so that there is always one to go on over.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{RelayState, View};
use crate::core::Mono;
use crate::core::bucket::Bucket;
use crate::core::limits::{STANDBYS_BURST, STANDBYS_PER_MINUTE};
use crate::core::outbox::{Outbox, Wanted};
use crate::core::wire::RelayAddr;
use crate::model::{DropReason, Path, PeerId};

/// When a standby that did not come is dialled again; the last one repeats.
const AGAIN: [Duration; 4] =
    [Duration::from_secs(6), Duration::from_secs(15), Duration::from_secs(30), Duration::from_secs(60)];

/// A link that has no standby.
#[derive(Debug)]
struct Lacking {
    next: Mono,
    tries: usize,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Standbys {
    lacking: BTreeMap<PeerId, Lacking>,
    meters: BTreeMap<PeerId, Bucket>,
}

impl Standbys {
    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.lacking.values().map(|l| l.next).min()
    }
}

impl RelayState {
    /// Where a standby could be dialled: the end that dialled the lane does, and
    /// the other one only if it has itself no second reservation to be dialled at.
    fn standby_relays(&self, peer: &PeerId, view: View<'_>) -> Vec<RelayAddr> {
        let Some(lane) = view.peers().links.in_use(peer) else { return Vec::new() };
        let ours = self.relays.held().iter().any(|held| Some(held.at.relay) != lane.via);
        if lane.outbound || !ours { view.peers().other_relays(peer, lane.via) } else { Vec::new() }
    }

    /// Something is new: the link, its lanes, or what the peer says of its relays.
    pub(super) fn want_standby(&mut self, peer: PeerId, view: View<'_>, out: &mut Outbox) {
        if lacks_standby(&peer, view) {
            self.standbys.lacking.insert(peer, Lacking { next: view.mono(), tries: 0 });
            self.dial_standby(peer, view, out);
        } else {
            self.standbys.lacking.remove(&peer);
        }
    }

    fn dial_standby(&mut self, peer: PeerId, view: View<'_>, out: &mut Outbox) {
        let mut relays = self.standby_relays(&peer, view);
        // What the peer gave up meanwhile is not waited for.
        self.drop_handover_but(&peer, &relays, out);
        let nothing = relays.is_empty() || self.is_handing_over(&peer);
        let Some(lacking) = self.standbys.lacking.get_mut(&peer) else { return };
        lacking.next = view.mono() + AGAIN[lacking.tries.min(AGAIN.len() - 1)];
        if nothing {
            return;
        }
        let full = || Bucket::new(STANDBYS_BURST, STANDBYS_PER_MINUTE / 60.0, view.mono());
        let meter = self.standbys.meters.entry(peer).or_insert_with(full);
        if !meter.take(view.mono()) {
            lacking.next = view.mono() + meter.wait(view.mono());
            return out.stopped(DropReason::StandbysOfPeer);
        }
        // With the next try the next one has its turn.
        let first = lacking.tries % relays.len();
        relays.rotate_left(first);
        lacking.tries += 1;
        self.hand_over_as_told(peer, relays, view, out);
    }

    /// A lane stands by for a link: perhaps it is what we waited for.
    pub(super) fn on_stands_by(&mut self, peer: PeerId, view: View<'_>, out: &mut Outbox) {
        self.want_standby(peer, view, out);
        let via = view.peers().links.standby(&peer).and_then(|info| info.via);
        if let Some(via) = via.filter(|via| self.is_wanted_over(&peer, *via)) {
            out.want(Wanted::CarryOver(peer, via));
        }
    }

    pub(super) fn standbys_timeout(&mut self, view: View<'_>, out: &mut Outbox) {
        let due = |(peer, l): (&PeerId, &Lacking)| (l.next <= view.mono()).then_some(*peer);
        let due: Vec<PeerId> = self.standbys.lacking.iter().filter_map(due).collect();
        for peer in due {
            if lacks_standby(&peer, view) {
                self.dial_standby(peer, view, out);
            } else {
                self.standbys.lacking.remove(&peer);
            }
        }
        self.standbys.meters.retain(|_, bucket| !bucket.is_full(view.mono()));
    }
}

/// Whether a link runs over a lane and none over another relay stands by.
pub(super) fn lacks_standby(peer: &PeerId, view: View<'_>) -> bool {
    let Some(link) = view.peers().links.get(peer).filter(|l| l.keeps_standbys()) else { return false };
    let Some(lane) = link.in_use().filter(|i| i.path == Path::Relayed) else { return false };
    link.standby().is_none_or(|standby| standby.via == lane.via)
}
