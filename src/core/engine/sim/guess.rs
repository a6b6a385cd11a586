//! Sockets and datagrams of guessed punches in the simulated network.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{Delivery, Net};
use crate::core::engine::{GuessAction, GuessInput, Input};
use crate::core::guessing::RunId;
use crate::model::NatType;

/// What is open, and what was sent.
#[derive(Debug, Default)]
pub(in crate::core::engine) struct Guessed {
    /// Sockets by node and the port outside: of which run, towards whom.
    open: BTreeMap<(usize, u16), (RunId, SocketAddr)>,
    /// Where each run was met: the port outside.
    met: BTreeMap<(usize, RunId), u16>,
    /// How a symmetric router hands out its ports, where not at random: the step
    /// and the last one.
    pub(super) steps: BTreeMap<usize, (i16, u16)>,
    /// Every datagram: by which node, from and to where.
    pub(in crate::core::engine) sent: Vec<(usize, SocketAddr, SocketAddr)>,
    /// The most sockets that a node had open at once.
    pub(in crate::core::engine) most_open: usize,
    /// When each datagram left, of each node.
    pub(in crate::core::engine) when: BTreeMap<usize, Vec<crate::core::Mono>>,
    /// What the host has left of open files, if that is little.
    pub(in crate::core::engine) files: Option<u16>,
}

impl Guessed {
    /// Sockets of a node that are open.
    pub(in crate::core::engine) fn open(&self, n: usize) -> usize {
        self.open.keys().filter(|(node, _)| *node == n).count()
    }

    /// Whether a port outside is one of these.
    pub(super) fn is_taken(&self, n: usize, port: u16) -> bool {
        self.open.contains_key(&(n, port))
    }

    /// At which ports a node was met.
    pub(in crate::core::engine) fn met_at(&self, n: usize) -> Vec<u16> {
        self.met.iter().filter(|((node, _), _)| *node == n).map(|(_, port)| *port).collect()
    }

    /// Datagrams that a node sent.
    pub(in crate::core::engine) fn sent_by(&self, n: usize) -> Vec<SocketAddr> {
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
                    let from = self.seen_from(n, to);
                    self.contacted.insert((n, from.port(), to));
                    self.guess_send(n, from, to);
                }
            }
            GuessAction::Dial { run, to, .. } => {
                let from = self.guessed.met.get(&(n, run)).copied();
                self.guess_close(n, run);
                let Some(port) = from else { return };
                let from = SocketAddr::new(self.nodes[n].addr.ip(), port);
                let target = self.nodes.iter().position(|node| node.addr.ip() == to.ip());
                let lets = target.filter(|t| self.lets_in(*t, to.port(), from) && self.passes(n, *t));
                if let Some(target) = lets {
                    self.connect([n, target], [to, from], None);
                }
            }
            GuessAction::Close(run) => self.guess_close(n, run),
        }
    }

    fn guess_open(&mut self, n: usize, run: RunId, towards: SocketAddr) {
        let symmetric = self.nodes[n].nat == NatType::Symmetric;
        let port = if symmetric { self.fresh_port(n) } else { self.nodes[n].addr.port() };
        let from = SocketAddr::new(self.nodes[n].addr.ip(), port);
        self.guessed.open.insert((n, port), (run, towards));
        self.contacted.insert((n, port, towards));
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
        let target = self.nodes.iter().position(|node| node.addr.ip() == to.ip());
        let Some(n) = target.filter(|n| self.nodes[*n].up && self.lets_in(*n, to.port(), from)) else {
            return;
        };
        let Some((run, towards)) = self.guessed.open.get(&(n, to.port())).copied() else { return };
        if towards == from {
            self.guessed.met.entry((n, run)).or_insert(to.port());
            self.input(n, Input::Guess(GuessInput::Met { run, from }));
        }
    }
}
