//! Who may ask how often. One bucket for each address and each reporter, and no
//! more of them than fit. And who has shown so many wrong tokens that it has to wait.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::core::Mono;
use crate::core::bucket::Bucket;
use crate::core::limits::{
    REGISTRY_GETS_PER_IP, REGISTRY_GUESS_PAUSE, REGISTRY_GUESS_PAUSE_MAX, REGISTRY_GUESSES_FREE,
    REGISTRY_NEWCOMER_EVERY, REGISTRY_NEWCOMERS_PER_IP, REGISTRY_POSTS_PER_IP, REGISTRY_POSTS_PER_REPORTER,
};
use crate::model::PeerId;

/// Buckets kept of a kind; a full one says nothing and goes first.
const BUCKETS_MAX: usize = 20_000;

/// What an address is remembered by that guesses; after that long without a guess
/// nothing is.
const GUESSES_FORGOTTEN: Duration = Duration::from_secs(3600);
/// Wrong tokens of an address that are known again: a node that has an old one shows it
/// again and again, and guesses nothing by it.
const KNOWN_AGAIN: usize = 8;

/// A rule for each of many.
#[derive(Debug)]
struct Rule<K> {
    burst: f64,
    per_second: f64,
    buckets: HashMap<K, Bucket>,
}

impl<K: Hash + Eq> Rule<K> {
    fn new(per_minute: f64) -> Self {
        Self { burst: per_minute, per_second: per_minute / 60.0, buckets: HashMap::new() }
    }

    fn allows(&mut self, who: K, now: Mono) -> bool {
        if self.buckets.len() >= BUCKETS_MAX && !self.buckets.contains_key(&who) {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            if self.buckets.len() >= BUCKETS_MAX {
                return false;
            }
        }
        let fresh = || Bucket::new(self.burst, self.per_second, now);
        self.buckets.entry(who).or_insert_with(fresh).take(now)
    }
}

/// What an address has shown that was wrong.
#[derive(Debug, Default)]
struct Wrong {
    different: u32,
    last: Mono,
    until: Mono,
    known: VecDeque<u64>,
}

/// Who guesses at the token.
#[derive(Debug, Default)]
struct Guesses {
    of: HashMap<IpAddr, Wrong>,
    /// Nobody outside can tell what is remembered of a token.
    hasher: RandomState,
}

impl Guesses {
    /// How long it has to wait before a token of it is looked at.
    fn wait(&self, who: IpAddr, now: Mono) -> Option<Duration> {
        let left = self.of.get(&who)?.until.since(now);
        (!left.is_zero()).then_some(left)
    }

    fn wrong(&mut self, who: IpAddr, token: &[u8], now: Mono) {
        if self.of.len() >= BUCKETS_MAX && !self.of.contains_key(&who) {
            self.of.retain(|_, wrong| now.since(wrong.last) < GUESSES_FORGOTTEN);
            // Whoever has so many addresses is not held up by more memory.
            if self.of.len() >= BUCKETS_MAX {
                return;
            }
        }
        let hash = self.hasher.hash_one(token);
        let wrong = self.of.entry(who).or_default();
        if now.since(wrong.last) >= GUESSES_FORGOTTEN {
            *wrong = Wrong::default();
        }
        wrong.last = now;
        if wrong.known.contains(&hash) {
            return;
        }
        wrong.known.truncate(KNOWN_AGAIN - 1);
        wrong.known.push_front(hash);
        wrong.different = wrong.different.saturating_add(1);
        if let Some(more) = wrong.different.checked_sub(REGISTRY_GUESSES_FREE) {
            let pause = REGISTRY_GUESS_PAUSE.saturating_mul(1 << more.min(16));
            wrong.until = now + pause.min(REGISTRY_GUESS_PAUSE_MAX);
        }
    }
}

/// All rules.
#[derive(Debug)]
pub(super) struct Gate {
    begun: Instant,
    guesses: Mutex<Guesses>,
    posts: Mutex<Rule<IpAddr>>,
    gets: Mutex<Rule<IpAddr>>,
    reporters: Mutex<Rule<PeerId>>,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            guesses: Mutex::default(),
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

    /// How long an address has to wait before it may show a token again.
    pub(super) fn guess_wait(&self, from: IpAddr) -> Option<Duration> {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner).wait(one(from), self.now())
    }

    /// An address has shown a wrong token.
    pub(super) fn guessed(&self, from: IpAddr, token: &[u8]) {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner).wrong(one(from), token, self.now());
    }

    fn now(&self) -> Mono {
        Mono(self.begun.elapsed())
    }

    fn ask<K: Hash + Eq>(&self, rule: &Mutex<Rule<K>>, who: K) -> bool {
        rule.lock().unwrap_or_else(PoisonError::into_inner).allows(who, self.now())
    }
}

/// How many reporters that nobody knows an address may bring.
#[derive(Debug)]
pub(super) struct Newcomers(Rule<IpAddr>);

impl Newcomers {
    pub(super) fn new() -> Self {
        let per_second = 1.0 / REGISTRY_NEWCOMER_EVERY.as_secs_f64();
        Self(Rule { burst: REGISTRY_NEWCOMERS_PER_IP, per_second, buckets: HashMap::new() })
    }

    pub(super) fn allow(&mut self, from: IpAddr, now: Mono) -> bool {
        self.0.allows(one(from), now)
    }
}

/// One customer: an IPv4 address, or the /64 that an IPv6 host has to itself.
pub(super) fn one(ip: IpAddr) -> IpAddr {
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
    fn who_guesses_waits_longer_and_longer_and_who_repeats_an_old_token_does_not() {
        let (mut guesses, guesser, old) =
            (Guesses::default(), one([198, 18, 0, 1].into()), one([198, 18, 0, 2].into()));
        let mut now = Mono::default();
        for _ in 0..1_000 {
            guesses.wrong(old, b"of last year", now);
            now = now + Duration::from_millis(1);
        }
        assert_eq!(guesses.wait(old, now), None);
        let mut waits = Vec::new();
        for n in 0..30_u32 {
            guesses.wrong(guesser, &n.to_be_bytes(), now);
            let wait = guesses.wait(guesser, now).unwrap_or_default();
            waits.push(wait.as_secs());
            now = now + wait;
            assert_eq!(guesses.wait(guesser, now), None);
        }
        assert_eq!(waits[..9], [0, 0, 0, 0, 1, 2, 4, 8, 16]);
        assert_eq!(waits[29], 300);
        guesses.wrong(guesser, b"another", now + GUESSES_FORGOTTEN);
        assert_eq!(guesses.wait(guesser, now + GUESSES_FORGOTTEN), None);
    }

    #[test]
    fn an_address_brings_a_few_hundred_reporters_and_then_one_a_minute() {
        let (mut newcomers, ip) = (Newcomers::new(), [198, 18, 0, 1].into());
        let brought =
            |n: &mut Newcomers, ms| (0..1_000).filter(|_| n.allow(ip, Mono::from_millis(ms))).count();
        assert_eq!(brought(&mut newcomers, 0), 256);
        assert_eq!(brought(&mut newcomers, 120_000), 2);
        assert!(newcomers.allow([198, 18, 0, 2].into(), Mono::default()));
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
