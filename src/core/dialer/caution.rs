//! What keeps our dials from being aimed at somebody by what we are told.
//!
//! Where a peer answered us before is ours to dial. Where it only says that it is,
//! or others say so, we go gently: few dials a second, one for a host in a while,
//! longer and longer where nobody answers, and not again on the same word where
//! three came to nothing. Who names the dead is himself listened to later and later.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use rand::rngs::StdRng;

use super::Prospect;
use crate::core::Mono;
use crate::core::backoff::{Backoff, HEARSAY};
use crate::core::book::NetPrefix;
use crate::core::bucket::Bucket;
use crate::core::limits::{
    CAUTION_MAX, GOSSIP_DIAL_PER_IP, GOSSIP_DIALS_AT_ONCE, GOSSIP_DIALS_PER_SECOND, SOURCE_MISSES_FREE,
    WORD_FAILURES, WORD_FORGOTTEN,
};
use crate::model::PeerId;

/// Who named a peer: another one; of one that came by itself its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Teller(PeerId),
    Net(NetPrefix),
}

/// How often in a row something came to nothing, and until when it is left alone.
#[derive(Debug)]
struct Misses<K> {
    of: BTreeMap<K, (u32, Mono)>,
    /// So many cost nothing.
    free: u32,
    rule: Backoff,
}

impl<K: Ord + Copy> Misses<K> {
    fn new(free: u32, rule: Backoff) -> Self {
        Self { of: BTreeMap::new(), free, rule }
    }

    fn missed(&mut self, what: K, now: Mono, rng: &mut StdRng) {
        if self.of.len() >= CAUTION_MAX && !self.of.contains_key(&what) {
            let first = self.of.iter().min_by_key(|(_, (_, until))| *until).map(|(what, _)| *what);
            first.and_then(|what| self.of.remove(&what));
        }
        let (count, until) = self.of.entry(what).or_insert((0, now));
        *count = count.saturating_add(1);
        if *count > self.free {
            *until = now + self.rule.after(*count - self.free, rng);
        }
    }

    fn answered(&mut self, what: &K) {
        self.of.remove(what);
    }

    fn until(&self, what: &K) -> Option<Mono> {
        self.of.get(what).map(|(_, until)| *until)
    }
}

/// A dial that runs: where it went on somebody's word.
#[derive(Debug)]
struct Running {
    addresses: Vec<SocketAddr>,
    word: u64,
    source: Option<Source>,
}

/// Which of a prospect's addresses may be dialled now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// These.
    Dial(Vec<SocketAddr>),
    /// None before then.
    Wait(Mono),
    /// None on what is said of it now.
    Never,
}

#[derive(Debug)]
pub(super) struct Caution {
    /// Our own bind is loopback: nobody outside can be aimed at.
    loopback: bool,
    visited: BTreeMap<IpAddr, Mono>,
    rate: Bucket,
    hosts: Misses<IpAddr>,
    sources: Misses<Source>,
    /// Failures at an address, by the version of what named it.
    words: BTreeMap<(PeerId, SocketAddr), (u64, u32, Mono)>,
    running: BTreeMap<PeerId, Running>,
}

impl Caution {
    pub(super) fn new(loopback: bool, now: Mono) -> Self {
        Self {
            loopback,
            visited: BTreeMap::new(),
            rate: Bucket::new(GOSSIP_DIALS_AT_ONCE as f64, GOSSIP_DIALS_PER_SECOND, now),
            hosts: Misses::new(0, HEARSAY),
            sources: Misses::new(SOURCE_MISSES_FREE, HEARSAY),
            words: BTreeMap::new(),
            running: BTreeMap::new(),
        }
    }

    /// Whether a prospect is held to the rates of what gossip names.
    pub(super) fn is_paced(&self, prospect: &Prospect) -> bool {
        !prospect.tried && !self.loopback
    }

    pub(super) fn forget_old(&mut self, now: Mono) {
        self.visited.retain(|_, at| now.since(*at) < GOSSIP_DIAL_PER_IP);
        self.words.retain(|_, (.., at)| now.since(*at) < WORD_FORGOTTEN);
    }

    /// Where a prospect may be dialled.
    pub(super) fn leave(&self, prospect: &Prospect, now: Mono) -> Leave {
        if self.loopback {
            return Leave::Dial(prospect.addresses.clone());
        }
        let source = source(prospect).filter(|_| !prospect.tried);
        let source_until = source.and_then(|source| self.sources.until(&source));
        let mut hosts = BTreeSet::new();
        let mut free = Vec::new();
        let mut first: Option<Mono> = None;
        for addr in &prospect.addresses {
            if prospect.reached == Some(*addr) {
                free.push(*addr);
                continue;
            }
            if self.is_spent(prospect, addr) {
                continue;
            }
            let visited = self.visited.get(&addr.ip()).map(|at| *at + GOSSIP_DIAL_PER_IP);
            let until = [visited, self.hosts.until(&addr.ip()), source_until].into_iter().flatten().max();
            match until.filter(|until| *until > now) {
                Some(until) => first = Some(first.map_or(until, |first| first.min(until))),
                None if hosts.insert(addr.ip()) => free.push(*addr),
                None => {}
            }
        }
        match first {
            _ if !free.is_empty() => Leave::Dial(free),
            Some(until) => Leave::Wait(until),
            None => Leave::Never,
        }
    }

    fn is_spent(&self, prospect: &Prospect, addr: &SocketAddr) -> bool {
        let said = self.words.get(&(prospect.peer, *addr));
        said.is_some_and(|(word, count, _)| *word == prospect.word && *count >= WORD_FAILURES)
    }

    /// Takes one dial off the rate of those that gossip causes.
    pub(super) fn take(&mut self, now: Mono) -> bool {
        self.rate.take(now)
    }

    /// These addresses of a prospect are dialled.
    pub(super) fn dialled(&mut self, prospect: &Prospect, now: Mono) {
        let claimed = prospect.addresses.iter().filter(|addr| prospect.reached != Some(**addr));
        let addresses: Vec<SocketAddr> = claimed.copied().collect();
        self.visited.extend(addresses.iter().map(|addr| (addr.ip(), now)));
        let (word, source) = (prospect.word, source(prospect).filter(|_| !prospect.tried));
        self.running.insert(prospect.peer, Running { addresses, word, source });
    }

    /// A dial towards a peer came to nothing, and not because we are offline.
    pub(super) fn failed(&mut self, peer: &PeerId, now: Mono, rng: &mut StdRng) {
        let Some(Running { addresses, word, source }) = self.running.remove(peer) else { return };
        for addr in addresses {
            self.hosts.missed(addr.ip(), now, rng);
            if self.words.len() >= CAUTION_MAX {
                let oldest = self.words.iter().min_by_key(|(_, (.., at))| *at).map(|(what, _)| *what);
                oldest.and_then(|what| self.words.remove(&what));
            }
            let said = self.words.entry((*peer, addr)).or_insert((word, 0, now));
            *said = if said.0 == word { (word, said.1 + 1, now) } else { (word, 1, now) };
        }
        if let Some(source) = source {
            self.sources.missed(source, now, rng);
        }
    }

    /// A dial towards a peer has ended otherwise: it answered, or was called off.
    pub(super) fn ended(&mut self, peer: &PeerId, answered: bool) {
        let Some(Running { addresses, source, .. }) = self.running.remove(peer) else { return };
        if answered {
            for addr in addresses {
                self.hosts.answered(&addr.ip());
            }
            if let Some(source) = source {
                self.sources.answered(&source);
            }
        }
    }
}

fn source(prospect: &Prospect) -> Option<Source> {
    let net = || prospect.addresses.first().and_then(|addr| NetPrefix::of(*addr)).map(Source::Net);
    prospect.teller.map(Source::Teller).or_else(net)
}
