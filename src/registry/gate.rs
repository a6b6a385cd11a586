//! Who may ask how often. One bucket for each address and each reporter, and no
//! more of them than fit.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::core::Mono;
use crate::core::bucket::Bucket;
use crate::core::limits::{REGISTRY_GETS_PER_IP, REGISTRY_POSTS_PER_IP, REGISTRY_POSTS_PER_REPORTER};
use crate::model::PeerId;

/// Buckets kept of a kind; a full one says nothing and goes first.
const BUCKETS_MAX: usize = 20_000;

/// A rule for each of many.
#[derive(Debug)]
struct Rule<K> {
    per_minute: f64,
    buckets: HashMap<K, Bucket>,
}

impl<K: Hash + Eq> Rule<K> {
    fn new(per_minute: f64) -> Self {
        Self { per_minute, buckets: HashMap::new() }
    }

    fn allows(&mut self, who: K, now: Mono) -> bool {
        if self.buckets.len() >= BUCKETS_MAX && !self.buckets.contains_key(&who) {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            if self.buckets.len() >= BUCKETS_MAX {
                return false;
            }
        }
        let fresh = || Bucket::new(self.per_minute, self.per_minute / 60.0, now);
        self.buckets.entry(who).or_insert_with(fresh).take(now)
    }
}

/// All rules.
#[derive(Debug)]
pub(super) struct Gate {
    begun: Instant,
    posts: Mutex<Rule<IpAddr>>,
    gets: Mutex<Rule<IpAddr>>,
    reporters: Mutex<Rule<PeerId>>,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            posts: Mutex::new(Rule::new(REGISTRY_POSTS_PER_IP)),
            gets: Mutex::new(Rule::new(REGISTRY_GETS_PER_IP)),
            reporters: Mutex::new(Rule::new(REGISTRY_POSTS_PER_REPORTER)),
        }
    }

    pub(super) fn post(&self, from: IpAddr) -> bool {
        self.ask(&self.posts, one(from))
    }

    pub(super) fn get(&self, from: IpAddr) -> bool {
        self.ask(&self.gets, one(from))
    }

    pub(super) fn reporter(&self, who: PeerId) -> bool {
        self.ask(&self.reporters, who)
    }

    fn ask<K: Hash + Eq>(&self, rule: &Mutex<Rule<K>>, who: K) -> bool {
        let now = Mono(self.begun.elapsed());
        rule.lock().unwrap_or_else(PoisonError::into_inner).allows(who, now)
    }
}

/// One customer: an IPv4 address, or the /64 that an IPv6 host has to itself.
fn one(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_minute_and_a_host_s_ipv6_addresses_share_one() {
        let mut rule = Rule::new(3.0);
        let at = Mono::from_millis;
        let (a, b) = (one("198.18.0.1".parse().unwrap()), one("::ffff:198.18.0.2".parse().unwrap()));
        assert_eq!((0..5).filter(|_| rule.allows(a, at(0))).count(), 3);
        assert!(rule.allows(b, at(0)));
        assert!(rule.allows(a, at(20_000)) && !rule.allows(a, at(20_000)));
        assert_eq!(one("2001:db8::1".parse().unwrap()), one("2001:db8::ffff:2".parse().unwrap()));
        assert_ne!(one("2001:db8::1".parse().unwrap()), one("2001:db8:0:1::1".parse().unwrap()));
    }

    #[test]
    fn many_addresses_do_not_fill_the_memory() {
        let mut rule = Rule::new(1.0);
        for n in 0..BUCKETS_MAX as u32 {
            assert!(rule.allows(n, Mono::default()));
        }
        assert!(!rule.allows(u32::MAX, Mono::default()), "while all of them are in use");
        assert!(rule.allows(u32::MAX, Mono::from_millis(61_000)));
        assert_eq!(rule.buckets.len(), 1);
    }
}
