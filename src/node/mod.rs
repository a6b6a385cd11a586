//! The embedded runtime: the only code that talks to ant-quic, disk, clock and
//! tasks. It carries out what [`crate::core`] decides.

pub mod disk;
pub mod feed;
pub mod keys;
pub mod lock;
pub mod options;
