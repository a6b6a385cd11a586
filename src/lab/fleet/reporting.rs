//! A registry in the lab's own network, on its first public host.

use std::path::Path;
use std::time::Duration;

use super::NatLab;
use super::nodes::slot;
use crate::core::token::Token;
use crate::lab::LabError;
use crate::lab::drill::was_interrupted;
use crate::node::{RegistryOptions, RegistryUrl};
use crate::registry::{Options, RETENTION_DEFAULT, Registry};

/// Its port; no node has it.
const PORT: u16 = 9_080;

impl NatLab {
    /// Starts a registry that every node reports to that is started later. Its
    /// reports are in `keep`, going on with those of an interrupted drill of that
    /// length, or go with the lab.
    ///
    /// # Errors
    /// [`LabError::Registry`] if it does not start.
    pub(in crate::lab) async fn start_registry(
        &mut self,
        keep: Option<&Path>,
        time: Duration,
    ) -> Result<Registry, LabError> {
        let failed = |why: &dyn std::fmt::Display| LabError::Registry(why.to_string());
        let host = self.topology.bootstrap().ok_or_else(|| failed(&"there is no public host"))?.name.clone();
        if let Some(db) = keep.filter(|db| !was_interrupted(db, time)) {
            // Of an earlier run that came to its end.
            for file in [db.to_owned(), db.with_extension("db-wal"), db.with_extension("db-shm")] {
                match std::fs::remove_file(&file) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&error)),
                    _ => {}
                }
            }
        }
        // Wider than one host it wants a token. It is read by nobody: the lab's
        // wires are in this process.
        let token = Token::new(&hex::encode(rand::random::<[u8; 16]>()));
        let listen = (self.addr(&host).await?.ip(), PORT).into();
        let db = keep.map_or_else(|| self.dir.path().join("registry.db"), Path::to_owned);
        let options =
            Options { listen, db, token: token.clone(), retention: RETENTION_DEFAULT, proxies: Vec::new() };
        let started = self.on_host(&host, move || Registry::start(options)).await?;
        let registry = started.map_err(|error| failed(&error))?;
        let url = RegistryUrl::parse(&format!("http://{}", registry.addr())).map_err(|why| failed(&why))?;
        self.registry = Some(RegistryOptions { url, token });
        Ok(registry)
    }

    /// Has a host's node that does not run forget whom it knew; it stays who it
    /// is.
    pub(in crate::lab) async fn forget(&self, host: &str) -> Result<(), LabError> {
        let cache = slot(&mut *self.slots.lock().await, host)?.dir.join("cache");
        match std::fs::remove_dir_all(cache) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(LabError::Registry(error.to_string()))
            }
            _ => Ok(()),
        }
    }
}
