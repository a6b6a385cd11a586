//! What others say of a peer that is known: whether it counts, and against what.
//!
//! What is signed with the key that the peer stated itself counts as its word,
//! whoever brings it, and nothing else does. Where no such key is known, nobody
//! displaces what another said but by one step in a time and never in what a peer
//! is called or where it is; unless somebody unrelated says the same. Everything
//! else waits until the peer was asked.

use super::admission::{Refusal, Teller};
use super::claims::Claims;
use super::{Entry, Held};
use crate::core::limits::{HEARSAY_STEP_EVERY, VERSION_JUMP_MAX};
use crate::core::wire::Record;
use crate::core::{Now, proof};

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It counts, if it is the greater one.
    Merge,
    /// It takes the place of what others said before.
    Replace,
    /// It says nothing newer: only when the peer was seen counts.
    Sighting,
    /// It does not count.
    Refuse(Refusal),
}

/// Judges what one says of a peer that is not linked. Notes in both what was found
/// out about their proofs.
pub(super) fn judge(entry: &mut Entry, new: &mut Held, by: Teller, claims: &mut Claims, now: Now) -> Verdict {
    let first_hand = entry.known.first_hand.is_some();
    let Some(held) = entry.known.effective_mut() else { return Verdict::Merge };
    let newer = new.record.version > held.record.version;
    if same_key(&held.record, &new.record) {
        return judge_signed(held, new, first_hand);
    }
    if first_hand && held.record.proof.is_some() {
        // Only the peer itself can change its key.
        return if newer { Verdict::Refuse(Refusal::Unproven) } else { Verdict::Sighting };
    }
    let unsigned = held.record.proof.is_none() && new.record.proof.is_none();
    if unsigned && new.record.version < held.record.version {
        return Verdict::Sighting;
    }
    let signed = new.record.proof.is_some();
    if signed {
        if !proof::holds(&new.record) {
            return Verdict::Refuse(Refusal::Forged);
        }
        new.proven = true;
    } else if new.record.version.saturating_sub(held.record.version) > VERSION_JUMP_MAX {
        return Verdict::Refuse(Refusal::VersionJump);
    }
    if new.record.version == held.record.version && proof::same_in_public(&held.record, &new.record) {
        // Nodes of earlier versions pass records on without their proofs.
        let bare = held.record.proof.is_some() && !signed;
        let contradicts = held.record.proof.is_some() && signed;
        if bare || new.record.says_the_same(&held.record) && !signed {
            return Verdict::Sighting;
        }
        if !contradicts {
            return Verdict::Merge;
        }
    }
    // Everybody may take back what he said himself.
    if !first_hand && entry.heard_from == Some(by.peer) {
        return if unsigned { Verdict::Merge } else { Verdict::Replace };
    }
    if unsigned && is_step(&held.record, &new.record) {
        let waits = entry.stepped.is_some_and(|at| now.mono.since(at) < HEARSAY_STEP_EVERY);
        if !waits {
            entry.stepped = Some(now.mono);
            return Verdict::Merge;
        }
    }
    match (claims.add(&new.record, by, now), first_hand) {
        (true, false) => Verdict::Replace,
        (true, true) if newer => Verdict::Merge,
        _ => Verdict::Refuse(Refusal::Unproven),
    }
}

/// Both are signed with one key. A signature is looked at only where it decides
/// something, since it costs as much as a hundred records without.
fn judge_signed(held: &mut Held, new: &mut Held, first_hand: bool) -> Verdict {
    let same_version = new.record.version == held.record.version;
    if same_version && new.record.says_the_same(&held.record) {
        return Verdict::Sighting;
    }
    let holds = |new: &mut Held| {
        new.proven = new.proven || proof::holds(&new.record);
        new.proven
    };
    if new.record.version > held.record.version {
        return if holds(new) { Verdict::Merge } else { Verdict::Refuse(Refusal::Forged) };
    }
    if first_hand {
        return Verdict::Sighting;
    }
    // The first word on somebody is believed as it comes: now it shows.
    held.proven = held.proven || proof::holds(&held.record);
    match (held.proven, same_version) {
        (true, false) => Verdict::Sighting,
        (proven, _) if holds(new) => {
            if proven {
                Verdict::Merge
            } else {
                Verdict::Replace
            }
        }
        _ => Verdict::Refuse(Refusal::Forged),
    }
}

fn same_key(a: &Record, b: &Record) -> bool {
    matches!((a.proof, b.proof), (Some(a), Some(b)) if a.key == b.key)
}

/// Whether a record is the next one, and leaves alone who the peer is and where.
fn is_step(held: &Record, new: &Record) -> bool {
    if held.version.checked_add(1) != Some(new.version) {
        return false;
    }
    if new.name == held.name && new.addresses == held.addresses {
        return true;
    }
    // What is said to neighbours alone may have been left out on the way.
    let there = Record { addresses: held.addresses.clone(), name: held.name.clone(), ..new.clone() };
    proof::same_in_public(&there, new)
}
