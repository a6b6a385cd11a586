//! From settings to a node that may start: the data directory's lock, then the
//! identity. In this order, so that a start that is refused touches no identity.

use super::Failure;
use crate::config::Resolved;
use crate::identity;
use crate::model::PeerId;
use crate::node::keys;
use crate::node::lock::DataDirLock;
use crate::node::options::NodeOptions;

/// All that a node needs.
#[derive(Debug)]
pub struct Prepared {
    /// To be held as long as the node runs.
    pub lock: DataDirLock,
    /// What the node is told.
    pub options: NodeOptions,
    /// Who it is.
    pub peer_id: PeerId,
    /// Whether the identity was made just now.
    pub new_identity: bool,
}

/// Checks, locks, and loads or makes the identity.
///
/// # Errors
/// With exit code 2: a data directory that another node holds, a key that cannot
/// be read or written.
pub fn prepare(resolved: &Resolved) -> Result<Prepared, Failure> {
    let dir = &resolved.config.data_dir;
    let lock = DataDirLock::acquire(dir)?;
    let identity = identity::load_or_create(dir, keys::generate, keys::check)?;
    let peer_id = keys::peer_id(&identity.keys.public).map_err(Failure::usage)?;
    let new_identity = identity.created;
    Ok(Prepared { lock, options: resolved.node_options(identity.keys), peer_id, new_identity })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Host, Sources, resolve};

    fn settings(dir: &Path) -> Resolved {
        resolve(&Sources {
            host: Host { config_file: None, data_dir: Some(dir.to_owned()), name: "x".into() },
            file: None,
            env: Vec::new(),
            flags: Vec::new(),
        })
        .unwrap()
    }

    #[test]
    fn a_prepared_node_keeps_its_identity_over_restarts_and_its_directory_to_itself() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(&dir.path().join("data"));
        let first = prepare(&settings).unwrap();
        assert!(first.new_identity);
        assert_eq!(prepare(&settings).unwrap_err().code(), 2, "the directory is taken");
        let id = first.peer_id;
        drop(first);
        let second = prepare(&settings).unwrap();
        assert!(!second.new_identity);
        assert_eq!(second.peer_id, id);
    }

    #[test]
    fn a_data_directory_with_other_files_in_it_is_used_and_they_stay() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("notes"), "mine").unwrap();
        prepare(&settings(dir.path())).unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("notes")).unwrap(), "mine");
    }
}
