//! Nodes on the lab's hosts: started here or as processes, stopped, killed,
//! started again as who they were.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use super::{Happening, NatLab};
use crate::control::SOCKET_FILE;
use crate::lab::child::Child;
use crate::lab::network::NetworkError;
use crate::lab::{LabError, NETWORK};
use crate::model::PeerId;
use crate::node::Node;
use crate::node::feed::Feed;
use crate::node::keys::KeyBytes;
use crate::node::lock::DataDirLock;
use crate::node::options::NodeOptions;

/// Public nodes that a passive one is linked to by IPv4, before it takes IPv6.
const FOURTH_WANTED: usize = 3;

/// What runs on a host.
#[derive(Debug)]
pub(super) enum Runs {
    Nothing,
    Here(Box<Node>),
    Apart(Child),
}

impl Slot {
    /// Every address of its host: what a node gets from its owner most often.
    fn any(&self) -> IpAddr {
        self.ip6.map_or(Ipv4Addr::UNSPECIFIED.into(), |_| Ipv6Addr::UNSPECIFIED.into())
    }

    /// Where it is to be dialled: by IPv6 where both ends have it.
    fn seen_from(&self, ip6: Option<Ipv6Addr>) -> SocketAddr {
        let both = self.ip6.filter(|_| ip6.is_some());
        both.map_or(self.addr, |ip| (ip, self.addr.port()).into())
    }
}

impl Runs {
    /// Whether there is room for another.
    pub(super) fn ended(&mut self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Here(node) => node.has_ended(),
            Self::Apart(child) => child.has_ended(),
        }
    }
}

/// A host's node, whether it runs or not.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) addr: SocketAddr,
    /// Its host's IPv6 address, if it has one.
    pub(super) ip6: Option<Ipv6Addr>,
    pub(super) dir: PathBuf,
    pub(super) keys: KeyBytes,
    pub(super) id: PeerId,
    pub(super) runs: Runs,
    /// Killed in this process: its host stays cut until it is started again, as
    /// the library's endpoint goes on answering with a goodbye for some seconds.
    pub(super) muted: bool,
    /// By how many milliseconds its clock is off, if it runs in this process.
    pub(super) clock: Arc<AtomicI64>,
}

impl NatLab {
    /// Who a host's node is, whether it runs or not.
    ///
    /// # Errors
    /// [`LabError::Network`] if there is no such host.
    pub async fn peer_id(&self, host: &str) -> Result<PeerId, LabError> {
        Ok(slot(&mut *self.slots.lock().await, host)?.id)
    }

    /// Where the control socket of a host's node is, if it runs as a process.
    ///
    /// # Errors
    /// [`LabError::Network`] if there is no such host.
    pub async fn control_socket(&self, host: &str) -> Result<PathBuf, LabError> {
        Ok(slot(&mut *self.slots.lock().await, host)?.dir.join(SOCKET_FILE))
    }

    /// Where a host's node listens, by its own address.
    ///
    /// # Errors
    /// [`LabError::Network`] if there is no such host.
    pub async fn addr(&self, host: &str) -> Result<SocketAddr, LabError> {
        Ok(slot(&mut *self.slots.lock().await, host)?.addr)
    }

    /// One more feed of a node that runs in this process; its events begin now.
    ///
    /// # Errors
    /// [`LabError::State`] if it does not run here.
    pub async fn feed(&self, host: &str) -> Result<Feed, LabError> {
        match &slot(&mut *self.slots.lock().await, host)?.runs {
            Runs::Here(node) => Ok(node.feed()),
            Runs::Apart(_) => Err(state(host, "in a process of its own")),
            Runs::Nothing => Err(state(host, "not running")),
        }
    }

    /// Starts a host's node in this process, with the identity and the cache it
    /// had before.
    ///
    /// # Errors
    /// [`LabError::State`] if it runs already.
    pub async fn start_node(&self, host: &str) -> Result<Feed, LabError> {
        let bootstrap = self.bootstrap_for(host).await?;
        self.start_with(host, bootstrap.into_iter().collect(), false, None, NETWORK).await
    }

    /// The same in another network than all others.
    ///
    /// # Errors
    /// [`LabError::State`] if it runs already.
    pub async fn start_in(&self, host: &str, network: &str) -> Result<Feed, LabError> {
        self.start_with(host, Vec::new(), true, None, network).await
    }

    /// Gives a host's node that does not run another port.
    ///
    /// # Errors
    /// [`LabError::State`] if it runs.
    pub async fn move_port(&self, host: &str, port: u16) -> Result<(), LabError> {
        let mut slots = self.slots.lock().await;
        let slot = slot(&mut slots, host)?;
        idle(host, &mut slot.runs)?;
        slot.addr.set_port(port);
        Ok(())
    }

    /// Has a host's node that does not run be who another one is, from its next start.
    pub(super) async fn take_identity(&self, host: &str, of: &str) -> Result<(), LabError> {
        let mut slots = self.slots.lock().await;
        let (keys, id) = {
            let other = slot(&mut slots, of)?;
            (other.keys.clone(), other.id)
        };
        let slot = slot(&mut slots, host)?;
        idle(host, &mut slot.runs)?;
        (slot.keys, slot.id) = (keys, id);
        drop(slots);
        self.note(Happening::Twinned { host: host.to_owned(), of: of.to_owned() });
        Ok(())
    }

    /// The same for a passive node: it dials every public node that runs and
    /// nobody else, so that it can measure its NAT and be measured itself.
    ///
    /// # Errors
    /// [`LabError::State`] if it runs already.
    pub async fn start_passive(&self, host: &str) -> Result<Feed, LabError> {
        let ip6 = slot(&mut *self.slots.lock().await, host)?.ip6;
        let fourth = self.topology.host.iter().any(|h| h.name == host && h.ipv4);
        let mut public = Vec::new();
        for other in self.topology.host.iter().filter(|h| self.topology.is_public(h) && h.name != host) {
            let mut slots = self.slots.lock().await;
            let slot = slot(&mut slots, &other.name)?;
            if !matches!(slot.runs, Runs::Nothing) {
                // As nodes by themselves do: IPv4 until its NAT can be measured.
                let sixth = ip6.filter(|_| !fourth || public.len() >= FOURTH_WANTED);
                public.push(slot.seen_from(sixth));
            }
        }
        self.start_with(host, public, true, None, NETWORK).await
    }

    /// The same for one that dials the bootstrap and nobody else, and has no news
    /// once it is linked: it knows its address from the start.
    ///
    /// # Errors
    /// [`LabError::State`] if it runs already.
    pub async fn start_bootstrap_only(&self, host: &str) -> Result<Feed, LabError> {
        let bootstrap = self.bootstrap_for(host).await?;
        let ip = self.addr(host).await?.ip();
        self.start_with(host, bootstrap.into_iter().collect(), true, Some(ip), NETWORK).await
    }

    async fn start_with(
        &self,
        host: &str,
        bootstrap: Vec<SocketAddr>,
        passive: bool,
        ip: Option<IpAddr>,
        network: &str,
    ) -> Result<Feed, LabError> {
        let mut slots = self.slots.lock().await;
        let slot = slot(&mut slots, host)?;
        idle(host, &mut slot.runs)?;
        let lock = DataDirLock::acquire(&slot.dir)?;
        if std::mem::take(&mut slot.muted) {
            self.network.lock().await.heal(host)?;
        }
        let bind = (ip.unwrap_or(slot.any()), slot.addr.port()).into();
        let (dir, keys) = (slot.dir.clone(), slot.keys.clone());
        let options = NodeOptions {
            bootstrap,
            passive,
            registry: self.registry.clone(),
            hard_nat: self.hard_nat,
            clock_off: Arc::clone(&slot.clock),
            ..NodeOptions::new(dir, keys, host, network, bind)
        };
        let started = self.on_host(host, move || Node::start(options, lock)).await?;
        let (node, feed) = started.map_err(|source| LabError::Node { name: host.to_owned(), source })?;
        slot.runs = Runs::Here(Box::new(node));
        drop(slots);
        self.note(Happening::Started { host: host.to_owned(), pid: None });
        Ok(feed)
    }

    /// Starts a host's node as a process of its own, `program run --headless`,
    /// which a kill ends without a word.
    ///
    /// # Errors
    /// [`LabError::State`] if it runs already, [`LabError::Child`] if there is
    /// no process.
    pub async fn start_process(&self, host: &str, program: &Path) -> Result<u32, LabError> {
        let bootstrap = self.bootstrap_for(host).await?;
        let device = self.network.lock().await.host(host)?.device.clone();
        let mut slots = self.slots.lock().await;
        let slot = slot(&mut slots, host)?;
        idle(host, &mut slot.runs)?;
        if std::mem::take(&mut slot.muted) {
            self.network.lock().await.heal(host)?;
        }
        let log = self.dir.path().join(format!("{host}.log"));
        let bind = (slot.any(), slot.addr.port()).into();
        let child = Child::start(&device, program, &slot.dir, &slot.keys, bind, bootstrap, &log)?;
        let pid = child.pid();
        slot.runs = Runs::Apart(child);
        drop(slots);
        self.note(Happening::Started { host: host.to_owned(), pid: Some(pid) });
        Ok(pid)
    }

    /// Ends a node with a goodbye to its peers.
    ///
    /// # Errors
    /// [`LabError::State`] if it does not run.
    pub async fn stop_node(&self, host: &str) -> Result<(), LabError> {
        match self.take(host).await? {
            Runs::Nothing => return Err(state(host, "not running")),
            Runs::Here(node) => node.stop().await,
            Runs::Apart(child) => child.terminate().await?,
        }
        self.note(Happening::Stopped { host: host.to_owned() });
        Ok(())
    }

    /// Ends a node so that its peers hear nothing of it: a process by SIGKILL;
    /// a node in this process behind a cut uplink, which shows the same outside.
    ///
    /// # Errors
    /// [`LabError::State`] if it does not run.
    pub async fn kill_node(&self, host: &str) -> Result<(), LabError> {
        match self.take(host).await? {
            Runs::Nothing => return Err(state(host, "not running")),
            Runs::Apart(child) => {
                child.kill().await?;
                self.note(Happening::Killed { host: host.to_owned() });
            }
            Runs::Here(node) => {
                let was_cut = self.network.lock().await.uplink(host)?.cut;
                self.network.lock().await.cut(host)?;
                // For its peers it is dead from here on.
                self.note(Happening::Killed { host: host.to_owned() });
                node.stop().await;
                slot(&mut *self.slots.lock().await, host)?.muted = !was_cut;
            }
        }
        Ok(())
    }

    /// Runs something on a host's own runtime: what it opens is in the host's
    /// network.
    ///
    /// # Errors
    /// [`LabError::Network`] if there is no such host, or it panicked.
    pub async fn on_host<T: Send + 'static, F>(
        &self,
        host: &str,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> Result<T, LabError>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let device = self.network.lock().await.host(host)?.device.clone();
        let running = device.spawn(move |_| work()).map_err(|e| place(host, &e))?;
        running.await.map_err(|e| place(host, &e))
    }

    /// Whom a host's node is told to dial: the bootstrap, unless it is that.
    async fn bootstrap_for(&self, host: &str) -> Result<Option<SocketAddr>, LabError> {
        let Some(first) = self.topology.bootstrap().filter(|b| b.name != host) else { return Ok(None) };
        let fourth = self.topology.host.iter().any(|h| h.name == host && h.ipv4);
        let mut slots = self.slots.lock().await;
        let first = slot(&mut slots, &first.name)?;
        Ok(Some(if fourth { first.addr } else { first.seen_from(first.ip6) }))
    }

    async fn take(&self, host: &str) -> Result<Runs, LabError> {
        let mut slots = self.slots.lock().await;
        Ok(std::mem::replace(&mut slot(&mut slots, host)?.runs, Runs::Nothing))
    }
}

pub(super) fn slot<'a>(slots: &'a mut BTreeMap<String, Slot>, host: &str) -> Result<&'a mut Slot, LabError> {
    let known = slots.keys().cloned().collect::<Vec<_>>().join(", ");
    slots
        .get_mut(host)
        .ok_or_else(|| NetworkError::Unknown { kind: "host", name: host.to_owned(), known }.into())
}

fn idle(host: &str, runs: &mut Runs) -> Result<(), LabError> {
    if runs.ended() { Ok(()) } else { Err(state(host, "running already")) }
}

pub(super) fn state(host: &str, state: &'static str) -> LabError {
    LabError::State { name: host.to_owned(), state }
}

fn place(host: &str, error: &dyn std::fmt::Display) -> LabError {
    NetworkError::Place { place: host.to_owned(), detail: format!("{error:#}") }.into()
}
