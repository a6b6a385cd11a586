//! A fleet that a person changes by hand, whatever it runs on. What is changed
//! shows in what it is now beside what it was built as, and can be undone.

#[cfg(target_os = "linux")]
mod nat;

use std::time::Duration;

use super::drill::{Act, Arena, ArenaError};
#[cfg(target_os = "linux")]
use super::fleet::NatLab;
use super::loopback::LoopbackFleet;
use crate::model::{NatType, PeerId};
use crate::node::feed::Feed;

/// What the fleet runs on.
#[derive(Debug)]
pub enum Ground {
    /// Behind real NATs.
    #[cfg(target_os = "linux")]
    Nat(Box<NatLab>),
    /// On 127.0.0.1, without any.
    Loopback(LoopbackFleet),
}

/// A node, and the host that it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// Its name, and its host's.
    pub name: String,
    /// Who it is.
    pub peer_id: PeerId,
    /// Where its host is.
    pub region: String,
    /// The router before its host: its name, its NAT now, its NAT as built.
    pub router: Option<(String, NatType, NatType)>,
    /// Whether it runs.
    pub running: bool,
    /// Whether its host is cut off.
    pub cut: bool,
    /// What is wrong with its host's uplink, a phrase each.
    pub faults: Vec<String>,
}

/// A wire between two regions.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The regions.
    pub between: [String; 2],
    /// There and back.
    pub rtt: Duration,
    /// Whether it is cut.
    pub cut: bool,
    /// What is wrong with it, a phrase each.
    pub faults: Vec<String>,
    /// Whether that is as it was built.
    pub as_built: bool,
}

/// Where something can go wrong by a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Where {
    /// The uplink of a host.
    Uplink(String),
    /// The wire between two regions.
    Link([String; 2]),
}

/// What something that was done came to: nodes that run anew, with their feeds.
pub type Anew = Vec<(String, Feed)>;

impl Ground {
    /// What kind of fleet it is.
    pub fn kind(&self) -> &'static str {
        match self {
            #[cfg(target_os = "linux")]
            Self::Nat(_) => "nat lab",
            Self::Loopback(_) => "loopback",
        }
    }

    /// Whether there are links and NATs that could be changed.
    pub fn has_network(&self) -> bool {
        !matches!(self, Self::Loopback(_))
    }

    /// Its nodes as they are now.
    ///
    /// # Errors
    /// What the lab says, in words.
    pub async fn spots(&mut self) -> Result<Vec<Spot>, String> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Nat(lab) => nat::spots(lab).await.map_err(|e| e.to_string()),
            Self::Loopback(fleet) => Ok(fleet
                .members()
                .into_iter()
                .map(|member| Spot {
                    name: member.name,
                    peer_id: member.peer_id,
                    region: "host".to_owned(),
                    router: None,
                    running: member.running,
                    cut: false,
                    faults: Vec::new(),
                })
                .collect()),
        }
    }

    /// The wires between its regions as they are now.
    pub async fn spans(&self) -> Vec<Span> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Nat(lab) => {
                let span = |(between, now): ([String; 2], super::Conditions)| Span {
                    rtt: now.delay * 2,
                    cut: now.cut,
                    faults: now.faults(),
                    as_built: now.faults() == lab.topology().between(&between).faults(),
                    between,
                };
                lab.links().await.into_iter().map(span).collect()
            }
            Self::Loopback(_) => Vec::new(),
        }
    }

    /// One more feed of a node that runs; its events begin now.
    ///
    /// # Errors
    /// If it does not run, in words.
    pub async fn feed(&mut self, node: &str) -> Result<Feed, String> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Nat(lab) => lab.feed(node).await.map_err(|e| e.to_string()),
            Self::Loopback(fleet) => {
                let member = fleet.members().into_iter().find(|m| m.name == node);
                member.and_then(|m| m.feed).ok_or_else(|| format!("{node} does not run"))
            }
        }
    }

    /// Cuts the wire between two regions, or joins it again.
    ///
    /// # Errors
    /// Why not, in words.
    #[cfg_attr(not(target_os = "linux"), allow(unused_variables))]
    pub async fn cut_link(&mut self, between: &[String; 2], cut: bool) -> Result<(), String> {
        let [a, b] = between;
        match self {
            #[cfg(target_os = "linux")]
            Self::Nat(lab) => lab.cut_link(a, b, cut).await.map_err(|e| e.to_string()),
            Self::Loopback(_) => Err(format!("there is no wire between {a} and {b}")),
        }
    }

    /// Has the next thing go wrong with the wire between two regions, or with the
    /// uplink of a host; in the end nothing. Says what is wrong then.
    ///
    /// # Errors
    /// Why not, in words.
    #[cfg_attr(not(target_os = "linux"), allow(unused_variables))]
    pub async fn next_fault(&mut self, at: &Where) -> Result<Vec<String>, String> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Nat(lab) => lab.next_fault(at).await.map_err(|e| e.to_string()),
            Self::Loopback(_) => Err("there are no wires".to_owned()),
        }
    }

    /// Does something to a host, a router or a node.
    ///
    /// # Errors
    /// Why not, in words.
    pub async fn act(&mut self, act: Act) -> Result<Anew, String> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Nat(lab) => nat::act(lab, act).await.map_err(|e| e.to_string()),
            Self::Loopback(fleet) => {
                let started = if let Act::Start { node, .. } = &act { Some(node.clone()) } else { None };
                let act = match act {
                    // The nearest thing: its nodes are threads of this process.
                    Act::Kill(node) => Act::Stop(node),
                    act => act,
                };
                fleet.act(act).await.map_err(|e: ArenaError| e.to_string())?;
                let Some(node) = started else { return Ok(Vec::new()) };
                let feed = self.feed(&node).await?;
                Ok(vec![(node, feed)])
            }
        }
    }

    /// Undoes everything that was changed.
    ///
    /// # Errors
    /// What could not be undone, in words; the rest is.
    pub async fn undo(&mut self) -> Result<Anew, String> {
        #[cfg(target_os = "linux")]
        if let Self::Nat(lab) = self {
            // Nodes are started apart: their ports may still be held.
            let mut anew = Vec::new();
            lab.restore_network().await.map_err(|e| e.to_string())?;
            for host in lab.topology().host.clone() {
                if !lab.is_running(&host.name).await.map_err(|e| e.to_string())? {
                    anew.extend(nat::start(lab, &host.name).await.map_err(|e| e.to_string())?);
                }
            }
            return Ok(anew);
        }
        let down: Vec<Spot> = self.spots().await?.into_iter().filter(|spot| !spot.running).collect();
        let mut anew = Vec::new();
        for spot in down {
            anew.extend(self.act(Act::Start { node: spot.name, passive: false }).await?);
        }
        Ok(anew)
    }

    /// Ends everything.
    pub async fn stop(self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Nat(lab) => lab.stop().await,
            Self::Loopback(fleet) => fleet.stop().await,
        }
    }
}
