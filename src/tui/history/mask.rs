//! Pseudonyms for whatever identifies somebody: peer ids, addresses, names, the
//! network's name. The same is always called the same, within one run; who does
//! not have the run's key cannot tell who is meant.
//!
//! An id becomes another id, an IPv4 address one of 240.0.0.0/4 (which nobody
//! has), an IPv6 address one of `2001:db8::/32` (for documentation), a port another
//! port, a name `peer-` and the first digits of the pseudonymous id. Loopback and
//! unspecified addresses identify nobody and stay. Times, counts, versions, NAT
//! types and the regions of a lab stay too.

mod fleet;
mod parts;
mod text;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use aws_lc_rs::hmac;

use super::record::Record;
use crate::model::{PeerId, PeerRow, Snapshot, clean};
use crate::tui::lab::{LabCommand, LabView};

/// Addresses of class E: reserved, and never given to anybody.
const NOBODYS: u8 = 240;

/// Peers that are known to have been met; of more, only those that are there.
const MET_MAX: usize = 50_000;
/// Names of one peer that are known in texts. It may call itself anything, and
/// again and again; the oldest are forgotten.
const NAMES_OF_ONE: usize = 8;

/// The pseudonyms of a run.
#[derive(Debug, Clone)]
pub(crate) struct Mask {
    key: hmac::Key,
    /// Who is who: the pseudonym of each id that was met.
    ids: BTreeMap<PeerId, PeerId>,
    /// And back.
    real: HashMap<PeerId, PeerId>,
    /// Names that were met and what stands for them, by their first words.
    names: HashMap<String, Vec<(String, String)>>,
    /// And back.
    real_names: HashMap<String, String>,
    /// Whose a pseudonym of a name is: no two have the same.
    owners: HashMap<String, PeerId>,
    /// The names that one stands for, the oldest first, with their first words.
    met: HashMap<String, VecDeque<(String, String)>>,
    /// What the nodes of a fleet are called, and what their operator calls them.
    members: Vec<(String, String)>,
    /// Rows that were masked, so that only changed ones are masked again.
    rows: BTreeMap<PeerId, (Arc<PeerRow>, Arc<PeerRow>)>,
    /// The peers that were masked last, with what came of it.
    last: Option<Peers>,
}

type Peers = (Arc<Vec<Arc<PeerRow>>>, Arc<Vec<Arc<PeerRow>>>);

impl Mask {
    /// Pseudonyms of a new run.
    pub(crate) fn new() -> Self {
        Self::with_key(&rand::random::<[u8; 32]>())
    }

    fn with_key(key: &[u8; 32]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            ids: BTreeMap::new(),
            real: HashMap::new(),
            names: HashMap::new(),
            real_names: HashMap::new(),
            owners: HashMap::new(),
            met: HashMap::new(),
            members: Vec::new(),
            rows: BTreeMap::new(),
            last: None,
        }
    }

    /// 32 bytes that nobody without the key can make of a value.
    fn digest(&self, what: &[u8], value: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.key, &[what, value].concat());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&tag.as_ref()[..32]);
        bytes
    }

    /// The pseudonym of a peer.
    pub(crate) fn id(&mut self, id: PeerId) -> PeerId {
        if let Some(masked) = self.ids.get(&id) {
            return *masked;
        }
        let masked = PeerId(self.digest(b"id", &id.0));
        if self.ids.len() >= MET_MAX {
            self.forget_who_left();
        }
        self.ids.insert(id, masked);
        self.real.insert(masked, id);
        masked
    }

    /// Whose pseudonym it is; one that is none stays.
    pub(crate) fn real_id(&self, masked: PeerId) -> PeerId {
        self.real.get(&masked).copied().unwrap_or(masked)
    }

    fn ip(&self, ip: IpAddr) -> IpAddr {
        let ip = ip.to_canonical();
        if ip.is_loopback() || ip.is_unspecified() {
            return ip;
        }
        match ip {
            IpAddr::V4(v4) => {
                let d = self.digest(b"ip", &v4.octets());
                Ipv4Addr::new(NOBODYS + d[3] % 15, d[0], d[1], d[2]).into()
            }
            IpAddr::V6(v6) => {
                let d = self.digest(b"ip", &v6.octets());
                let word = |i: usize| u16::from_be_bytes([d[i], d[i + 1]]);
                Ipv6Addr::new(0x2001, 0x0db8, word(0), word(2), word(4), word(6), word(8), word(10)).into()
            }
        }
    }

    fn port(&self, port: u16) -> u16 {
        if port == 0 {
            return 0;
        }
        let d = self.digest(b"port", &port.to_be_bytes());
        1024 + u16::from_be_bytes([d[0], d[1]]) % (u16::MAX - 1024)
    }

    fn addr(&self, addr: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.ip(addr.ip()), self.port(addr.port()))
    }

    /// The pseudonym of a peer's name, which is known from now on.
    pub(super) fn name(&mut self, id: PeerId, name: &str) -> String {
        let digits = self.id(id).to_string();
        let of = |n: usize| format!("peer-{}", &digits[..n]);
        // As short as it can be told from the others.
        let is_free = |name: &String| self.owners.get(name).is_none_or(|owner| *owner == id);
        let masked = (4..digits.len()).map(of).find(is_free).unwrap_or_else(|| of(digits.len()));
        self.owners.insert(masked.clone(), id);
        self.learn(name, &masked);
        masked
    }

    pub(super) fn network(&mut self, name: &str) -> String {
        let masked = format!("net-{}", hex::encode(&self.digest(b"network", name.as_bytes())[..2]));
        self.learn(name, &masked);
        masked
    }

    /// Knows a name in texts, as it is and as it is shown.
    fn learn(&mut self, name: &str, masked: &str) {
        self.real_names.entry(masked.to_owned()).or_insert_with(|| name.to_owned());
        for name in [name.trim().to_owned(), clean(name)] {
            let word = text::first_word(&name).to_lowercase();
            let known = self.names.entry(word.clone()).or_default();
            if name.is_empty() || known.iter().any(|(real, _)| *real == name) {
                continue;
            }
            known.push((name.clone(), masked.to_owned()));
            // The longest is looked for first.
            known.sort_by_key(|(real, _)| std::cmp::Reverse(real.len()));
            let mine = self.met.entry(masked.to_owned()).or_default();
            mine.push_back((word, name));
            let oldest = if mine.len() > NAMES_OF_ONE { mine.pop_front() } else { None };
            if let Some(oldest) = oldest {
                self.unlearn(&oldest);
            }
        }
    }

    fn unlearn(&mut self, (word, name): &(String, String)) {
        if let Some(known) = self.names.get_mut(word) {
            known.retain(|(real, _)| real != name);
            if known.is_empty() {
                self.names.remove(word);
            }
        }
    }

    /// Who is there stays; the pseudonym of everybody else is the same when it is
    /// made again.
    fn forget_who_left(&mut self) {
        let Self { ids, real, rows, .. } = self;
        ids.retain(|id, _| rows.contains_key(id));
        real.retain(|_, id| rows.contains_key(id));
        let left = self.owners.extract_if(|_, id| !self.rows.contains_key(id));
        let left: Vec<String> = left.map(|(masked, _)| masked).collect();
        for masked in left {
            self.real_names.remove(&masked);
            for name in self.met.remove(&masked).into_iter().flatten() {
                self.unlearn(&name);
            }
        }
    }

    /// A whole state, with what was masked before taken over.
    pub(super) fn snapshot(&mut self, snapshot: &Snapshot) -> Arc<Snapshot> {
        let peers = match &self.last {
            Some((real, masked)) if Arc::ptr_eq(real, &snapshot.peers) => Arc::clone(masked),
            _ => self.peers(&snapshot.peers),
        };
        Arc::new(Snapshot { peers, ..self.rest(snapshot) })
    }

    fn peers(&mut self, rows: &Arc<Vec<Arc<PeerRow>>>) -> Arc<Vec<Arc<PeerRow>>> {
        // Names first: one may stand in the text of a row before its own.
        for row in rows.iter() {
            self.meet(row);
        }
        let mut old = std::mem::take(&mut self.rows);
        let mut masked = Vec::with_capacity(rows.len());
        for row in rows.iter() {
            let both = old
                .remove(&row.peer_id)
                .filter(|(real, _)| Arc::ptr_eq(real, row))
                .unwrap_or_else(|| (Arc::clone(row), Arc::new(self.row(row))));
            masked.push(Arc::clone(&both.1));
            self.rows.insert(row.peer_id, both);
        }
        // Rows stand in the order of their ids, and these are others.
        masked.sort_unstable_by_key(|row| row.peer_id);
        let masked = Arc::new(masked);
        self.last = Some((Arc::clone(rows), Arc::clone(&masked)));
        masked
    }

    /// Knows everybody who was ever there.
    pub(super) fn meet_all(&mut self, record: &Record) {
        for (rest, changes, _) in record.moments() {
            self.name(rest.node.peer_id, &rest.node.name);
            for row in changes.iter().filter_map(|(_, row)| row.as_ref()) {
                self.meet(row);
            }
        }
    }

    fn meet(&mut self, row: &PeerRow) {
        if let Some(name) = &row.name {
            if self.rows.get(&row.peer_id).is_none_or(|(real, _)| real.name.as_ref() != Some(name)) {
                self.name(row.peer_id, name);
            }
        } else {
            self.id(row.peer_id);
        }
    }

    /// The lab. Its nodes are peers, and called like them.
    pub(super) fn lab(&mut self, view: &LabView) -> Arc<LabView> {
        for node in &view.nodes {
            self.name(node.peer_id, &node.name);
        }
        Arc::new(self.lab_view(view))
    }

    /// What is asked of the lab, about who is really meant.
    pub(super) fn lab_command(&self, command: LabCommand) -> LabCommand {
        let real = |name: String| self.real_names.get(&name).cloned().unwrap_or(name);
        match command {
            LabCommand::Cut(name) => LabCommand::Cut(real(name)),
            LabCommand::Heal(name) => LabCommand::Heal(real(name)),
            LabCommand::Kill(name) => LabCommand::Kill(real(name)),
            LabCommand::Start(name) => LabCommand::Start(real(name)),
            LabCommand::SetNat(name, nat) => LabCommand::SetNat(real(name), nat),
            LabCommand::Flush(name) => LabCommand::Flush(real(name)),
            LabCommand::Spoil(name) => LabCommand::Spoil(real(name)),
            LabCommand::Show(name) => LabCommand::Show(real(name)),
            // Regions and drills bear no names of peers.
            other @ (LabCommand::CutLink(_)
            | LabCommand::HealLink(_)
            | LabCommand::SpoilLink(_)
            | LabCommand::Undo
            | LabCommand::Drill(_)
            | LabCommand::CallOff) => other,
        }
    }
}

#[cfg(test)]
mod tests;
