//! What passes through one reservation. It answers whom it has heard, and aims at
//! nobody: a datagram leaves only towards an address that sent something in, and
//! only a little before that address has shown that it is where it says.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::Ground;
use crate::core::Mono;
use crate::core::bucket::Bucket;
use crate::core::limits::{
    SERVED_ADDRESSES_MAX, SERVED_BURST, SERVED_BYTES_PER_SECOND, SERVED_DATAGRAM_MAX, SERVED_HEARD,
    SERVED_UNPROVEN_BYTES,
};
use crate::model::{DropReason, plain_addr};

/// Why a datagram did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dropped {
    /// Nothing came from where it should go, or too long ago.
    Unheard,
    /// Where it should go has not answered yet, and got enough for a first answer.
    Unproven,
    /// It should go to this host, or to no host at all.
    Forbidden,
    /// It is longer than any that we carry.
    TooLong,
    /// The holder sends more than we carry for one.
    FastOut,
    /// The holder is sent more than we carry for one.
    FastIn,
    /// The holder reads too slowly.
    Full,
    /// The system did not take it.
    NotSent,
}

impl Dropped {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Unheard,
        Self::Unproven,
        Self::Forbidden,
        Self::TooLong,
        Self::FastOut,
        Self::FastIn,
        Self::Full,
        Self::NotSent,
    ];

    /// What it is counted under.
    pub fn counted_as(self) -> DropReason {
        match self {
            Self::Unheard => DropReason::RelayedUnheard,
            Self::Unproven => DropReason::RelayedUnproven,
            Self::Forbidden => DropReason::RelayedToThisHost,
            Self::TooLong => DropReason::RelayedTooLong,
            Self::FastOut => DropReason::RelayedTooFastOut,
            Self::FastIn => DropReason::RelayedTooFastIn,
            Self::Full => DropReason::RelayedToSlowReader,
            Self::NotSent => DropReason::RelayedNotSent,
        }
    }
}

/// How many datagrams did not pass, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drops([u64; Dropped::ALL.len()]);

impl Drops {
    /// How many for that reason.
    pub fn of(&self, why: Dropped) -> u64 {
        self.0[why as usize]
    }

    /// How many altogether.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    fn count(&mut self, why: Dropped, many: u64) {
        self.0[why as usize] += many;
    }
}

/// What went through a reservation since it began, and what did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of datagrams sent for the holder.
    pub bytes_tx: u64,
    /// Bytes of datagrams that came for it.
    pub bytes_rx: u64,
    /// What did not pass.
    pub drops: Drops,
}

impl Traffic {
    /// Adds what went through another one.
    pub(super) fn add(&mut self, other: &Self) {
        self.bytes_tx += other.bytes_tx;
        self.bytes_rx += other.bytes_rx;
        for why in Dropped::ALL {
            self.drops.count(why, other.drops.of(why));
        }
    }
}

/// An address that sent something in.
#[derive(Debug, Clone, Copy)]
struct Heard {
    /// When it last did.
    last: Mono,
    /// When it was last of any use.
    used: Mono,
    /// Bytes that went to it since it was new.
    sent: u64,
    /// Whether it sent again after something went to it.
    proven: bool,
}

/// The rules of one reservation, and what it remembers.
#[derive(Debug)]
pub struct Gate {
    ground: Ground,
    heard: BTreeMap<SocketAddr, Heard>,
    tx: Bucket,
    rx: Bucket,
    traffic: Traffic,
}

impl Gate {
    /// A reservation through which nothing went yet.
    pub fn new(ground: Ground, now: Mono) -> Self {
        let bucket = || Bucket::new(SERVED_BURST, SERVED_BYTES_PER_SECOND, now);
        Self { ground, heard: BTreeMap::new(), tx: bucket(), rx: bucket(), traffic: Traffic::default() }
    }

    /// The addresses of this host are these now.
    pub fn set_own(&mut self, own: impl IntoIterator<Item = IpAddr>) {
        self.ground.set_own(own);
    }

    /// A datagram came from outside. Whether it is for the holder.
    ///
    /// # Errors
    /// Why it is dropped; it is counted.
    pub fn came(&mut self, from: SocketAddr, len: usize, now: Mono) -> Result<(), Dropped> {
        let fits = if len > SERVED_DATAGRAM_MAX {
            Err(Dropped::TooLong)
        } else if !self.rx.take_many(len as f64, now) {
            Err(Dropped::FastIn)
        } else {
            Ok(())
        };
        fits.inspect_err(|why| self.dropped(*why, 1))?;
        self.traffic.bytes_rx += len as u64;
        self.remember(plain_addr(from), now);
        Ok(())
    }

    /// The holder wants a datagram sent. Whether it may be.
    ///
    /// # Errors
    /// Why it is dropped; it is counted.
    pub fn may_go(&mut self, to: SocketAddr, len: usize, now: Mono) -> Result<(), Dropped> {
        self.check(plain_addr(to), len, now).inspect_err(|why| self.dropped(*why, 1))?;
        self.traffic.bytes_tx += len as u64;
        Ok(())
    }

    fn check(&mut self, to: SocketAddr, len: usize, now: Mono) -> Result<(), Dropped> {
        if len > SERVED_DATAGRAM_MAX {
            return Err(Dropped::TooLong);
        }
        if self.ground.forbids(to.ip()) {
            return Err(Dropped::Forbidden);
        }
        let heard = self.heard.get_mut(&to).filter(|h| now.since(h.last) <= SERVED_HEARD);
        let heard = heard.ok_or(Dropped::Unheard)?;
        if !heard.proven && heard.sent + len as u64 > SERVED_UNPROVEN_BYTES {
            return Err(Dropped::Unproven);
        }
        if !self.tx.take_many(len as f64, now) {
            return Err(Dropped::FastOut);
        }
        heard.sent += len as u64;
        heard.used = now;
        Ok(())
    }

    /// So many datagrams were dropped outside.
    pub fn dropped(&mut self, why: Dropped, many: u64) {
        self.traffic.drops.count(why, many);
    }

    /// What went through so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    fn remember(&mut self, from: SocketAddr, now: Mono) {
        if let Some(heard) = self.heard.get_mut(&from) {
            if now.since(heard.last) > SERVED_HEARD {
                // Whoever is there now need not be who was there then.
                (heard.sent, heard.proven) = (0, false);
            }
            heard.proven |= heard.sent > 0;
            (heard.last, heard.used) = (now, now);
            return;
        }
        if self.heard.len() >= SERVED_ADDRESSES_MAX {
            // A forged source costs nothing, so no number of them drives out one
            // that has answered.
            let stale = |h: &Heard| now.since(h.last) > SERVED_HEARD;
            let worst = self.heard.iter().min_by_key(|(_, h)| (h.proven && !stale(h), h.used));
            let worst = worst.map(|(addr, _)| *addr);
            worst.and_then(|addr| self.heard.remove(&addr));
        }
        self.heard.insert(from, Heard { last: now, used: now, sent: 0, proven: false });
    }

    /// How many addresses are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.heard.len()
    }
}
