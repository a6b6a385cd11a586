//! One direction of a wire: when each frame comes out, if it does. Time comes in
//! as an argument and chance as a seed, so a lane is tested without waiting.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::Conditions;

/// Frames under way: at 1500 bytes 6 MB, which fills 200 ms at 250 Mbit/s.
const FRAMES_MAX: usize = 4096;
/// How long a frame waits for a slow line before it is dropped instead; the
/// buffer of a home router.
const BACKLOG_MAX: Duration = Duration::from_millis(250);
/// How long a frame is held back so that later ones overtake it.
const HELD_BACK: Duration = Duration::from_millis(12);
/// What Ethernet puts before a packet.
const HEADER: usize = 14;
const UDP: u8 = 17;

/// What became of a frame that was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Queued,
    Lost,
    TooLong,
    NoUdp,
    Cut,
    Overflowed,
}

#[derive(Debug)]
pub(super) struct Lane {
    /// By when they are due.
    queue: VecDeque<(Instant, Vec<u8>)>,
    /// When the last frame is due that was not held back.
    last_due: Option<Instant>,
    /// When the line has sent everything that was put in.
    line_free: Option<Instant>,
    rng: StdRng,
}

impl Lane {
    pub(super) fn new(seed: u64) -> Self {
        Self { queue: VecDeque::new(), last_due: None, line_free: None, rng: StdRng::seed_from_u64(seed) }
    }

    /// Puts a frame in.
    pub(super) fn push(&mut self, frame: &[u8], conditions: &Conditions, now: Instant) -> Fate {
        if conditions.cut {
            return Fate::Cut;
        }
        if conditions.mtu.is_some_and(|mtu| frame.len() > HEADER + usize::from(mtu)) {
            return Fate::TooLong;
        }
        if conditions.no_udp && carries_udp(frame) {
            return Fate::NoUdp;
        }
        if conditions.loss > 0.0 && self.rng.random_bool(conditions.loss.clamp(0.0, 1.0)) {
            return Fate::Lost;
        }
        let begins = self.line_free.map_or(now, |free| free.max(now));
        if self.queue.len() >= FRAMES_MAX || begins - now > BACKLOG_MAX {
            return Fate::Overflowed;
        }
        let sent = match conditions.rate {
            Some(rate) => begins + Duration::from_secs_f64(frame.len() as f64 * 8.0 / rate.max(1) as f64),
            None => begins,
        };
        self.line_free = conditions.rate.map(|_| sent);
        let jitter = conditions.jitter.mul_f64(self.rng.random::<f64>());
        let due = sent + conditions.delay + jitter;
        // A shorter delay than before overtakes nobody.
        let due = self.last_due.map_or(due, |last| due.max(last));
        let held_back = conditions.reorder > 0.0 && self.rng.random_bool(conditions.reorder.clamp(0.0, 1.0));
        let due = if held_back {
            due + HELD_BACK
        } else {
            self.last_due = Some(due);
            due
        };
        let at = self.queue.partition_point(|(other, _)| *other <= due);
        self.queue.insert(at, (due, frame.to_vec()));
        Fate::Queued
    }

    /// The next frame that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.next_due()? > now {
            return None;
        }
        self.queue.pop_front().map(|(_, frame)| frame)
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.queue.front().map(|(due, _)| *due)
    }

    /// Loses all that is under way; says how much.
    pub(super) fn clear(&mut self) -> usize {
        (self.line_free, self.last_due) = (None, None);
        std::mem::take(&mut self.queue).len()
    }
}

/// Whether a frame is UDP, or a part of such a packet.
fn carries_udp(frame: &[u8]) -> bool {
    let at = |n: usize| frame.get(n).copied();
    match [at(12), at(13)] {
        [Some(0x08), Some(0x00)] => at(HEADER + 9) == Some(UDP),
        // Of a part, the header behind says what it is a part of.
        [Some(0x86), Some(0xdd)] if at(HEADER + 6) == Some(44) => at(HEADER + 40) == Some(UDP),
        [Some(0x86), Some(0xdd)] => at(HEADER + 6) == Some(UDP),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const FRAME: &[u8] = &[0; 1250]; // 10 000 bits

    fn delayed(delay: Duration) -> Conditions {
        Conditions { delay, ..Conditions::default() }
    }

    #[test]
    fn a_frame_comes_out_after_the_delay_and_not_before() {
        let (mut lane, now) = (Lane::new(1), Instant::now());
        assert_eq!(lane.push(FRAME, &delayed(40 * MS), now), Fate::Queued);
        assert_eq!(lane.next_due(), Some(now + 40 * MS));
        assert!(lane.pop(now + 39 * MS).is_none());
        assert_eq!(lane.pop(now + 40 * MS).as_deref(), Some(FRAME));
        assert!(lane.pop(now + 100 * MS).is_none());
    }

    #[test]
    fn a_rate_spaces_frames_and_its_backlog_overflows() {
        let (mut lane, now) = (Lane::new(1), Instant::now());
        let slow = Conditions { rate: Some(1_000_000), ..Conditions::default() };
        assert_eq!(lane.push(FRAME, &slow, now), Fate::Queued);
        assert_eq!(lane.push(FRAME, &slow, now), Fate::Queued);
        assert!(lane.pop(now + 9 * MS).is_none(), "it takes 10 ms to send");
        assert!(lane.pop(now + 10 * MS).is_some());
        assert!(lane.pop(now + 19 * MS).is_none());
        assert!(lane.pop(now + 20 * MS).is_some());
        let fates: Vec<Fate> = (0..100).map(|_| lane.push(FRAME, &slow, now)).collect();
        assert!(fates.contains(&Fate::Overflowed), "250 ms wait at most");
        assert!(lane.queue.len() <= 26, "{}", lane.queue.len());
    }

    #[test]
    fn jitter_stretches_and_never_reorders() {
        let (mut lane, now) = (Lane::new(7), Instant::now());
        let shaky = Conditions { jitter: 20 * MS, ..delayed(10 * MS) };
        for n in 0..100u8 {
            lane.push(&[n], &shaky, now);
        }
        let mut out = Vec::new();
        for ms in 0..=30 {
            while let Some(frame) = lane.pop(now + ms * MS) {
                assert!(ms >= 10, "{ms}");
                out.push(frame[0]);
            }
        }
        assert_eq!(out, (0..100).collect::<Vec<u8>>());
    }

    #[test]
    fn loss_is_about_what_was_asked_and_repeats_with_its_seed() {
        let lossy = Conditions { loss: 0.2, ..Conditions::default() };
        let lost = |seed| {
            let mut lane = Lane::new(seed);
            let now = Instant::now();
            (0..2000).map(|_| lane.push(&[], &lossy, now) == Fate::Lost).collect::<Vec<bool>>()
        };
        assert_eq!(lost(3), lost(3));
        assert_ne!(lost(3), lost(4));
        let share = lost(3).iter().filter(|l| **l).count();
        assert!((320..480).contains(&share), "{share} of 2000");
    }

    #[test]
    fn what_is_longer_than_the_path_takes_is_lost_and_nothing_else() {
        let (mut lane, now) = (Lane::new(1), Instant::now());
        let narrow = Conditions { mtu: Some(1280), ..Conditions::default() };
        assert_eq!(lane.push(&[0; 14 + 1280], &narrow, now), Fate::Queued);
        assert_eq!(lane.push(&[0; 14 + 1281], &narrow, now), Fate::TooLong);
    }

    #[test]
    fn udp_is_blocked_in_both_families_and_tcp_passes() {
        let (mut lane, now) = (Lane::new(1), Instant::now());
        let blocked = Conditions { no_udp: true, ..Conditions::default() };
        let fourth = |protocol: u8| {
            let mut frame = [0; 60];
            (frame[12], frame[13], frame[23]) = (0x08, 0x00, protocol);
            frame
        };
        let sixth = |protocol: u8, behind: u8| {
            let mut frame = [0; 80];
            (frame[12], frame[13], frame[20], frame[54]) = (0x86, 0xdd, protocol, behind);
            frame
        };
        assert_eq!(lane.push(&fourth(17), &blocked, now), Fate::NoUdp);
        assert_eq!(lane.push(&fourth(6), &blocked, now), Fate::Queued);
        assert_eq!(lane.push(&sixth(17, 0), &blocked, now), Fate::NoUdp);
        assert_eq!(lane.push(&sixth(44, 17), &blocked, now), Fate::NoUdp);
        assert_eq!(lane.push(&sixth(6, 17), &blocked, now), Fate::Queued);
        assert_eq!(lane.push(&fourth(17), &Conditions::default(), now), Fate::Queued);
    }

    #[test]
    fn about_as_many_frames_are_overtaken_as_was_asked_and_none_is_lost() {
        let shuffled = Conditions { reorder: 0.1, ..Conditions::default() };
        let (mut lane, now) = (Lane::new(5), Instant::now());
        let mut out = Vec::new();
        for n in 0..1000_u32 {
            let at = now + n * MS;
            lane.push(&n.to_be_bytes(), &shuffled, at);
            while let Some(frame) = lane.pop(at) {
                out.push(u32::from_be_bytes(*frame.first_chunk().unwrap()));
            }
        }
        while let Some(frame) = lane.pop(now + 2000 * MS) {
            out.push(u32::from_be_bytes(*frame.first_chunk().unwrap()));
        }
        let mut newest = 0;
        let late = out.iter().filter(|n| {
            newest = newest.max(**n);
            newest > **n
        });
        let late = late.count();
        assert!((60..140).contains(&late), "{late} of 1000");
        out.sort_unstable();
        assert_eq!(out, (0..1000).collect::<Vec<u32>>());
    }

    #[test]
    fn a_cut_takes_nothing_and_loses_what_is_under_way() {
        let (mut lane, now) = (Lane::new(1), Instant::now());
        lane.push(FRAME, &delayed(40 * MS), now);
        assert_eq!(lane.push(FRAME, &Conditions { cut: true, ..delayed(40 * MS) }, now), Fate::Cut);
        assert_eq!(lane.clear(), 1);
        assert!(lane.pop(now + 1000 * MS).is_none());
    }
}
