//! The first words in a closed fleet: a nonce each, a proof each, and only then names.
//!
//! The opener says its nonce; the other end its own and a proof; the opener its proof
//! and its Hello, and from there on it is as in any fleet.

use super::membership::Claim;
use super::{Link, LinkOut, Phase};
use crate::core::link::ConnId;
use crate::core::wire::{Frame, Hello};
use crate::model::{CloseCode, DropReason};

impl Link {
    /// Begins the conversation on a stream that we opened.
    pub(super) fn say_first(&mut self, id: ConnId, hello: &dyn Fn() -> Hello, out: &mut Vec<LinkOut>) {
        if self.config.secret.is_some() {
            self.say_nonce(id, out);
        } else {
            self.say_hello(id, hello(), out);
        }
    }

    fn say_nonce(&mut self, id: ConnId, out: &mut Vec<LinkOut>) {
        if let Some(nonce) = self.conn(id).map(|c| c.info.nonce) {
            self.write_frame(id, &Frame::Nonce { nonce }, out);
        }
    }

    /// The other end wants to see a proof.
    pub(super) fn on_nonce(&mut self, id: ConnId, nonce: [u8; 32], out: &mut Vec<LinkOut>) {
        if self.config.secret.is_none() {
            // It is of a closed fleet, and we are of none.
            return self.refuse(id, CloseCode::Network, DropReason::OtherNetwork, out);
        }
        let Some(conn) = self.conn_mut(id) else { return };
        if !matches!(conn.phase, Phase::Shaking { .. }) || conn.proof.nonce.is_some() {
            return out.push(LinkOut::Stopped(DropReason::SecondNonce));
        }
        conn.proof.nonce = Some(nonce);
        if !self.is_opener() {
            self.say_nonce(id, out);
            self.say_proof(id, out);
        }
    }

    fn say_proof(&mut self, id: ConnId, out: &mut Vec<LinkOut>) {
        let proof = self.config.secret.as_ref().and_then(|secret| {
            let conn = self.conn(id)?;
            let (from, to) = (&self.config.me, &self.peer);
            let (binding, nonce) = (&conn.info.binding, &conn.info.nonce);
            Some(secret.prove(&Claim { binding, nonce, asked: conn.proof.nonce.as_ref()?, from, to }))
        });
        if let Some(proof) = proof {
            self.write_frame(id, &Frame::Proof { proof }, out);
        }
    }

    /// The other end says that it is a member.
    pub(super) fn on_proof(
        &mut self,
        id: ConnId,
        proof: [u8; 32],
        hello: &dyn Fn() -> Hello,
        out: &mut Vec<LinkOut>,
    ) {
        let Some(conn) = self.conn(id) else { return };
        if !matches!(conn.phase, Phase::Shaking { .. }) || conn.proof.holds {
            return out.push(LinkOut::Stopped(DropReason::SecondProof));
        }
        let holds = self.config.secret.as_ref().zip(conn.proof.nonce).is_some_and(|(secret, nonce)| {
            let (from, to) = (&self.peer, &self.config.me);
            let (binding, asked) = (&conn.info.binding, &conn.info.nonce);
            secret.holds(&proof, &Claim { binding, nonce: &nonce, asked, from, to })
        });
        if !holds {
            return self.refuse(id, CloseCode::Network, DropReason::NoProof, out);
        }
        if let Some(conn) = self.conn_mut(id) {
            conn.proof.holds = true;
        }
        if self.is_opener() {
            self.say_proof(id, out);
            self.say_hello(id, hello(), out);
        }
    }

    /// Whether the other end of a connection has shown what it has to before its Hello
    /// is looked at.
    pub(super) fn may_say_hello(&self, id: ConnId, theirs: &Hello) -> Result<(), (CloseCode, DropReason)> {
        let shown = self.config.secret.is_none() || self.conn(id).is_some_and(|c| c.proof.holds);
        match theirs.proof {
            _ if shown => Ok(()),
            // A member by the rules of before: it has to be told that it is too old.
            Some(_) => Err((CloseCode::Version, DropReason::OlderHandshake)),
            None => Err((CloseCode::Network, DropReason::NoProof)),
        }
    }
}
