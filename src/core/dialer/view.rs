//! What the dialer sees of the rest of the node.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::core::book::NetPrefix;
use crate::model::{PeerId, SendTrouble};

/// What the dialer must know of a peer to choose.
#[derive(Debug, Clone)]
pub struct Prospect {
    /// The peer.
    pub peer: PeerId,
    /// The addresses at which it can be dialled.
    pub addresses: Vec<SocketAddr>,
    /// Whether we ever dialled it with success, or it kept a link to us.
    pub tried: bool,
    /// Where it answered a dial of ours: no claim.
    pub reached: Option<SocketAddr>,
    /// The version of what names the others.
    pub word: u64,
    /// The peer that told us of it, if one did.
    pub teller: Option<PeerId>,
}

impl Prospect {
    pub(super) fn prefix(&self) -> Option<NetPrefix> {
        self.addresses.first().and_then(|addr| NetPrefix::of(*addr))
    }
}

/// The rest of the node, as the dialer sees it.
pub trait View {
    /// Peers by quality, the best first, without ourselves.
    fn best(&self, count: usize) -> Vec<Prospect>;
    /// One peer.
    fn prospect(&self, peer: &PeerId) -> Option<Prospect>;
    /// Whether a connection stands or an attempt runs.
    fn is_busy(&self, peer: &PeerId) -> bool;
    /// Whether an attempt towards that address runs, or a link goes there.
    fn is_busy_addr(&self, addr: &SocketAddr) -> bool;
    /// Whether the peer is known to be at that address.
    fn is_at(&self, peer: &PeerId, addr: &SocketAddr) -> bool;
    /// Whether the host lets us send to one of these.
    ///
    /// # Errors
    /// What keeps us from all of them.
    fn way(&self, addrs: &[SocketAddr]) -> Result<(), SendTrouble>;
    /// Whether it lets us send to everybody.
    fn is_open(&self) -> bool;
    /// Links that are up.
    fn links(&self) -> usize;
    /// Those of them that we dialled.
    fn outbound(&self) -> usize;
    /// The networks that those lead to.
    fn outbound_prefixes(&self) -> BTreeSet<NetPrefix>;
    /// Peers we never shook hands with, to which nothing stands or runs.
    fn untried(&self) -> Vec<PeerId>;
    /// Attempts that run.
    fn attempts(&self) -> usize;
    /// Those of them that gossip caused.
    fn gossip_attempts(&self) -> usize;
}
