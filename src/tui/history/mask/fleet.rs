//! A fleet under pseudonyms. What its operator calls a node need not be what the node calls
//! itself: so which name stands for which is kept, and a command finds the node again.

use std::sync::Arc;

use super::Mask;
use crate::model::{
    Both, Brief, BriefLink, BriefReservation, Comparison, Member, Named, PeerId, PeerPrefix, Side, Silence,
    Standing, Trouble,
};
use crate::tui::fleet::{FleetCommand, FleetSaid, FleetView};

impl Mask {
    /// A fleet, as it may be seen.
    pub(in crate::tui::history) fn fleet(&mut self, view: &FleetView) -> Arc<FleetView> {
        // Who is known by now may be named in what is said.
        let names: Vec<String> =
            view.nodes.iter().enumerate().map(|(n, node)| self.member_name(n, node)).collect();
        self.members = names.iter().cloned().zip(view.nodes.iter().map(|node| node.name.clone())).collect();
        let nodes = view
            .nodes
            .iter()
            .zip(names)
            .map(|(node, name)| Member { name, standing: self.standing(&node.standing) });
        let nodes = nodes.collect();
        let said = |said: &FleetSaid| FleetSaid { n: said.n, done: said.done, text: self.text(&said.text) };
        Arc::new(FleetView {
            at: view.at,
            shown: self.masked_member(&view.shown),
            nodes,
            doing: view.doing.as_ref().map(|text| self.text(text)),
            said: view.said.as_ref().map(said),
            compared: view.compared.as_ref().map(|compared| self.comparison(compared)),
        })
    }

    /// What is asked of the fleet, about who is really meant.
    pub(in crate::tui::history) fn fleet_command(&self, command: FleetCommand) -> FleetCommand {
        let real = |name: String| {
            let found = self.members.iter().find(|(masked, _)| *masked == name);
            found.map_or(name, |(_, real)| real.clone())
        };
        match command {
            FleetCommand::Show(name) => FleetCommand::Show(real(name)),
            FleetCommand::Compare(names) => FleetCommand::Compare(names.map(real)),
        }
    }

    fn masked_member(&self, name: &str) -> String {
        let found = self.members.iter().find(|(_, real)| real == name);
        found.map_or_else(|| self.text(name), |(masked, _)| masked.clone())
    }

    /// Who has not said who he is bears his place for a name.
    fn member_name(&mut self, place: usize, node: &Member) -> String {
        if let Some(id) = node.peer_id() {
            return self.name(id, &node.name);
        }
        let masked = format!("node-{}", place + 1);
        self.learn(&node.name, &masked);
        masked
    }

    fn standing(&mut self, standing: &Standing) -> Standing {
        match standing {
            Standing::Asked => Standing::Asked,
            Standing::Here { brief, at } => Standing::Here { brief: Arc::new(self.brief(brief)), at: *at },
            Standing::Silent { why, since, again, last } => Standing::Silent {
                why: Silence { kind: why.kind, detail: why.detail.as_ref().map(|text| self.text(text)) },
                since: *since,
                again: *again,
                last: last.as_ref().map(|brief| Arc::new(self.brief(brief))),
            },
            Standing::Older { program } => Standing::Older { program: program.clone() },
        }
    }

    fn brief(&mut self, brief: &Brief) -> Brief {
        Brief {
            peer_id: self.id(brief.peer_id),
            name: self.name(brief.peer_id, &brief.name),
            version: brief.version.clone(),
            network: self.network(&brief.network),
            up_s: brief.up_s,
            phase: brief.phase,
            nat: brief.nat,
            links: brief.links.iter().map(|l| BriefLink { peer: self.prefix(l.peer), ..*l }).collect(),
            foreign: brief.foreign,
            holds: brief
                .holds
                .iter()
                .map(|h| BriefReservation { relay: self.prefix(h.relay), ..*h })
                .collect(),
            serves: brief.serves,
            wrong: brief.wrong.iter().map(|trouble| self.trouble(trouble)).collect(),
        }
    }

    fn trouble(&self, trouble: &Trouble) -> Trouble {
        match trouble {
            Trouble::UsedTwice { peer, own } => Trouble::UsedTwice { peer: self.prefix(*peer), own: *own },
            Trouble::RelaySilent { relay } => Trouble::RelaySilent { relay: self.prefix(*relay) },
            other @ (Trouble::NoWay { .. }
            | Trouble::Isolated { .. }
            | Trouble::NothingToDial
            | Trouble::NotSaved { .. }
            | Trouble::PeersSilent { .. }
            | Trouble::Unreachable { .. }
            | Trouble::NoProbePorts
            | Trouble::CacheSetAside
            | Trouble::Other) => other.clone(),
        }
    }

    /// The beginning of the pseudonym of who is known, and of nobody's else.
    fn prefix(&self, of: PeerPrefix) -> PeerPrefix {
        let mut from = [0; 32];
        from[..of.0.len()].copy_from_slice(&of.0);
        let next = self.ids.range(PeerId(from)..).next();
        match next.filter(|(id, _)| PeerPrefix::from(**id) == of) {
            Some((_, masked)) => (*masked).into(),
            None => PeerId(self.digest(b"prefix", &of.0)).into(),
        }
    }

    fn comparison(&mut self, compared: &Comparison) -> Arc<Comparison> {
        let both = |mask: &mut Self, both: &Both| Both { peer: mask.named(&both.peer), held: both.held };
        Arc::new(Comparison {
            sides: compared.sides.each_ref().map(|side| self.side(side)),
            alike: compared.alike,
            differ: compared.differ.iter().map(|peer| both(self, peer)).collect(),
            differing: compared.differing,
        })
    }

    fn side(&mut self, side: &Side) -> Side {
        Side {
            name: self.masked_member(&side.name),
            peer_id: self.id(side.peer_id),
            version: side.version.clone(),
            network: self.network(&side.network),
            nat: side.nat,
            known: side.known,
            link: side.link,
            alone: side.alone.iter().map(|peer| self.named(peer)).collect(),
            only: side.only,
        }
    }

    fn named(&mut self, peer: &Named) -> Named {
        let name = peer.name.as_ref().map(|name| self.name(peer.peer_id, name));
        Named { peer_id: self.id(peer.peer_id), name }
    }
}
