//! From settings to a node that may start: the data directory's lock, then the
//! identity. In this order, so that a start that is refused touches no identity.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::Failure;
use super::ctl::socket_of;
use crate::config::{ConfigError, ConfigErrors, Key, Resolved};
use crate::control::{self, SocketPath};
use crate::identity;
use crate::model::PeerId;
use crate::node::keys;
use crate::node::lock::DataDirLock;
use crate::node::options::NodeOptions;

/// What of the settings depends on this host: the control socket's path, and the
/// group that may use it.
///
/// # Errors
/// What does not fit, with where it stands.
pub(super) fn fits_host(resolved: &Resolved) -> Result<SocketPath, ConfigErrors> {
    let config = &resolved.config;
    let mut errors = Vec::new();
    let invalid = |key: Key, allowed: String| ConfigError::Invalid {
        key: key.name(),
        value: key.toml(config).unwrap_or_default(),
        at: resolved.origin(key),
        allowed,
    };
    let socket = socket_of(config).and_then(|socket| socket.check_place().map(|()| socket));
    if let Err(error) = &socket {
        let key = if config.socket.is_some() { Key::Socket } else { Key::DataDir };
        errors.push(invalid(key, format!("{}; {error}", key.allowed())));
    }
    if config.control_group.as_ref().is_some_and(|group| control::group_id(group).is_err()) {
        errors.push(invalid(Key::ControlGroup, "a group of this host, by name or number".to_owned()));
    }
    match socket {
        Ok(socket) if errors.is_empty() => Ok(socket),
        _ => Err(ConfigErrors(errors)),
    }
}

/// A directory that was there before us keeps its mode; its owner is told of one
/// that lets others look at what we keep.
pub(super) fn warn_of_mode(data_dir: &Path) {
    let Ok(found) = std::fs::metadata(data_dir) else { return };
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let dir = data_dir.display();
        tracing::warn!("the data directory {dir} has mode {mode:04o}, others reach it; chmod 700 {dir}");
    }
}

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
