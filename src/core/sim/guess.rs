//! Sockets and datagrams of guessed punches in the simulated network.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{Delivery, Net};
use crate::core::engine::{GuessAction, GuessInput, Input};
use crate::core::guessing::RunId;

/// The sockets of runs are bound from here on.
const FIRST_SOCKET: u16 = 20_000;

/// What is open, and what was sent.
#[derive(Debug, Default)]
pub(in crate::core) struct Guessed {
    /// Sockets by node and the port outside: of which run, towards whom.
    open: BTreeMap<(usize, u16), (RunId, SocketAddr)>,
    /// Sockets so far.
    opened: u16,
    /// Where each run was met: the port outside.
    met: BTreeMap<(usize, RunId), u16>,
    /// Every datagram: by which node, from and to where.
    pub(in crate::core) sent: Vec<(usize, SocketAddr, SocketAddr)>,
    /// The most sockets that a node had open at once.
    pub(in crate::core) most_open: usize,
    /// When each datagram left, of each node.
    pub(in crate::core) when: BTreeMap<usize, Vec<crate::core::Mono>>,
    /// What the host has left of open files, if that is little.
    pub(in crate::core) files: Option<u16>,
}

impl Guessed {
    /// Sockets of a node that are open.
    pub(in crate::core) fn open(&self, n: usize) -> usize {
        self.open.keys().filter(|(node, _)| *node == n).count()
    }

    /// At which ports a node was met.
    pub(in crate::core) fn met_at(&self, n: usize) -> Vec<u16> {
        self.met.iter().filter(|((node, _), _)| *node == n).map(|(_, port)| *port).collect()
    }

    /// Datagrams that a node sent.
    pub(in crate::core) fn sent_by(&self, n: usize) -> Vec<SocketAddr> {
        self.sent.iter().filter(|(node, ..)| *node == n).map(|(.., to)| *to).collect()
    }
}

impl Net {
    pub(super) fn guess(&mut self, n: usize, action: GuessAction) {
        match action {
            GuessAction::Open { run, towards, count, .. } => {
                let opened = count.min(self.guessed.files.unwrap_or(count));
                for _ in 0..opened {
                    self.guess_open(n, run, towards);
                }
                self.guessed.files = self.guessed.files.map(|left| left - opened);
                self.guessed.most_open = self.guessed.most_open.max(self.guessed.open(n));
                let trouble = (opened < count).then(|| "too many open files".to_owned());
                let open = u16::try_from(self.guessed.open(n)).unwrap();
                self.input(n, Input::Guess(GuessInput::Opened { run, open, trouble }));
            }
            GuessAction::Probe { to, .. } => {
                for to in to {
                    let from = self.sends_to(n, to);
                    self.guess_send(n, from, to);
                }
            }
            GuessAction::Dial { run, to, .. } => {
                let from = self.guessed.met.get(&(n, run)).copied();
                self.guess_close(n, run);
                let Some(port) = from else { return };
                let from = SocketAddr::new(self.nodes[n].addr.ip(), port);
                let target = self.at_ip(to);
                let lets = target.filter(|t| self.lets_in(*t, to.port(), from) && self.passes(n, *t));
                if let Some(target) = lets {
                    self.connect([n, target], [to, from], None);
                }
            }
            GuessAction::Close(run) => self.guess_close(n, run),
        }
    }

    fn guess_open(&mut self, n: usize, run: RunId, towards: SocketAddr) {
        self.guessed.opened += 1;
        let local = FIRST_SOCKET + self.guessed.opened;
        let from = self.sends_from(n, local, towards);
        self.guessed.open.insert((n, from.port()), (run, towards));
        self.guess_send(n, from, towards);
    }

    fn guess_send(&mut self, n: usize, from: SocketAddr, to: SocketAddr) {
        self.guessed.sent.push((n, from, to));
        self.guessed.when.entry(n).or_default().push(self.now.mono);
        self.post(self.latency, Delivery::Guess { from, to });
    }

    fn guess_close(&mut self, n: usize, run: RunId) {
        self.guessed.open.retain(|(node, _), (of, _)| *node != n || *of != run);
    }

    /// What arrives at a socket that is open, through a router that lets it in.
    pub(super) fn guess_arrives(&mut self, from: SocketAddr, to: SocketAddr) {
        let target = self.at_ip(to);
        let gets_in = |n: &usize| self.nodes[*n].up && self.gets_to(*n, to.port(), from).is_some();
        let Some(n) = target.filter(gets_in) else {
            return;
        };
        let Some((run, towards)) = self.guessed.open.get(&(n, to.port())).copied() else { return };
        if towards == from {
            self.guessed.met.entry((n, run)).or_insert(to.port());
            self.input(n, Input::Guess(GuessInput::Met { run, from }));
        }
    }
}
