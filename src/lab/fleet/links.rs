//! What a lab's nodes and wires are now, and cutting a wire between regions.

use super::nodes::slot;
use super::{Happening, LabError, NatLab};
use crate::lab::Conditions;

impl NatLab {
    /// Whether a host's node runs.
    ///
    /// # Errors
    /// [`LabError::Network`] if there is no such host.
    pub async fn is_running(&self, host: &str) -> Result<bool, LabError> {
        Ok(!slot(&mut *self.slots.lock().await, host)?.runs.ended())
    }

    /// Whether somebody cut a host off; a killed node's silence is none.
    ///
    /// # Errors
    /// [`LabError::Network`] if there is no such host.
    pub async fn is_cut(&self, host: &str) -> Result<bool, LabError> {
        let muted = slot(&mut *self.slots.lock().await, host)?.muted;
        Ok(self.network.lock().await.uplink(host)?.cut && !muted)
    }

    /// Whether the port of a host's node is free: the library lets go of it up to
    /// seven seconds after the node has ended.
    ///
    /// # Errors
    /// [`LabError::Network`] if there is no such host.
    pub async fn is_port_free(&self, host: &str) -> Result<bool, LabError> {
        let port = self.addr(host).await?.port();
        Ok(self.socket_at(host, port).await.is_ok())
    }

    /// The wires between regions, and what each is set to.
    pub async fn links(&self) -> Vec<([String; 2], Conditions)> {
        let network = self.network.lock().await;
        network.links.iter().map(|link| (link.between.clone(), link.wire.conditions())).collect()
    }

    /// Cuts the wire between two regions without a word, or joins it again; the
    /// rest of what it does stays.
    ///
    /// # Errors
    /// [`LabError::Network`] if there is no such wire.
    pub async fn cut_link(&self, a: &str, b: &str, cut: bool) -> Result<(), LabError> {
        let mut network = self.network.lock().await;
        let conditions = Conditions { cut, ..network.link_state(a, b)?.0 };
        network.set_link(a, b, conditions)?;
        drop(network);
        self.note(Happening::LinkSet { between: [a.to_owned(), b.to_owned()], conditions });
        Ok(())
    }
}
