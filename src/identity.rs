//! The node's key pair on disk.
