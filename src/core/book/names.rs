//! Who was linked here under which name, and when. A name is claimed by whoever
//! likes it; what counts is who a person dealt with under it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::limits::{NAME_REMEMBERED, NAME_USERS_MAX, NAMES_MAX};
use crate::model::{PeerId, Stamp};

/// A peer was linked under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameUse {
    /// The name, as it is shown.
    pub name: String,
    /// The peer that was linked under the name.
    pub peer: PeerId,
    /// For the first time.
    pub since: Stamp,
    /// For the last time, to the minute.
    pub until: Stamp,
}

/// A use is written down anew when it is this much longer, in milliseconds.
const STEP_MS: i64 = 60_000;

/// The names under which peers were linked.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_name: BTreeMap<String, Vec<NameUse>>,
}

impl Names {
    /// A peer is linked under a name now. Whether that is news.
    pub(super) fn used(&mut self, peer: PeerId, name: &str, now: Stamp) -> bool {
        if name.is_empty() {
            return false;
        }
        if let Some(known) =
            self.by_name.get_mut(name).and_then(|all| all.iter_mut().find(|u| u.peer == peer))
        {
            let news = now.0.saturating_sub(known.until.0) >= STEP_MS;
            known.until = known.until.max(now);
            return news;
        }
        self.put(NameUse { name: name.to_owned(), peer, since: now, until: now }, now);
        true
    }

    /// Takes in what was stored.
    pub(super) fn load(&mut self, stored: impl IntoIterator<Item = NameUse>, now: Stamp) {
        for used in stored {
            self.put(used, now);
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &NameUse> {
        self.by_name.values().flatten()
    }

    /// The peers that used a name lately.
    pub(super) fn users(&self, name: &str, now: Stamp) -> impl Iterator<Item = &NameUse> {
        let lately = move |used: &&NameUse| used.until.age_at(now) <= NAME_REMEMBERED;
        self.by_name.get(name).into_iter().flatten().filter(lately)
    }

    fn put(&mut self, used: NameUse, now: Stamp) {
        if self.by_name.len() >= NAMES_MAX && !self.by_name.contains_key(&used.name) {
            self.make_room(now);
        }
        let users = self.by_name.entry(used.name.clone()).or_default();
        users.push(used);
        // Who used it longest is whom somebody would be taken for.
        if users.len() > NAME_USERS_MAX
            && let Some(at) = shortest(users)
        {
            users.remove(at);
        }
    }

    fn make_room(&mut self, now: Stamp) {
        self.by_name.retain(|_, users| {
            users.retain(|used| used.until.age_at(now) <= NAME_REMEMBERED);
            !users.is_empty()
        });
        if self.by_name.len() >= NAMES_MAX {
            let longest = |users: &Vec<NameUse>| users.iter().map(span).max();
            let least = self.by_name.iter().min_by_key(|(_, users)| longest(users));
            let least = least.map(|(name, _)| name.clone());
            least.and_then(|name| self.by_name.remove(&name));
        }
    }
}

fn span(used: &NameUse) -> i64 {
    used.until.0.saturating_sub(used.since.0)
}

fn shortest(users: &[NameUse]) -> Option<usize> {
    users.iter().enumerate().min_by_key(|(_, used)| span(used)).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> PeerId {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        PeerId(bytes)
    }

    fn at(minutes: i64) -> Stamp {
        Stamp(1_800_000_000_000 + minutes * 60_000)
    }

    const DAY: i64 = 24 * 60;

    #[test]
    fn a_name_is_remembered_with_its_users_for_thirty_days() {
        let mut names = Names::default();
        assert!(names.used(id(1), "db", at(0)), "news");
        assert!(!names.used(id(1), "db", Stamp(at(0).0 + 5_000)), "not each time");
        assert!(names.used(id(1), "db", at(10)));
        assert!(names.used(id(2), "db", at(20)));
        let users = |names: &Names, now| names.users("db", now).map(|u| u.peer).collect::<Vec<_>>();
        assert_eq!(users(&names, at(30)), [id(1), id(2)]);
        assert_eq!(users(&names, at(10 + 30 * DAY + 1)), [id(2)]);
        assert!(users(&names, at(60 * DAY)).is_empty());
        assert!(!names.used(id(3), "", at(0)), "no name is no name");
        let mut again = Names::default();
        again.load(names.all().cloned().collect::<Vec<_>>(), at(30));
        assert_eq!(users(&again, at(30)), [id(1), id(2)]);
    }

    #[test]
    fn who_had_a_name_for_long_is_not_pushed_out_by_those_who_take_it() {
        let mut names = Names::default();
        names.used(id(0), "db", at(0));
        names.used(id(0), "db", at(2 * DAY));
        for n in 1..1_000 {
            names.used(id(n), "db", at(2 * DAY));
        }
        assert!(names.users("db", at(2 * DAY)).any(|used| used.peer == id(0)));
        assert_eq!(names.users("db", at(2 * DAY)).count(), NAME_USERS_MAX);
        for n in 1..NAMES_MAX as u32 + 100 {
            names.used(id(n), &format!("name {n}"), at(2 * DAY));
        }
        assert!(names.by_name.len() <= NAMES_MAX);
        assert!(names.users("db", at(2 * DAY)).any(|used| used.peer == id(0)));
    }
}
