//! The machine alone, and many of them in one simulated network.

mod fleet;
mod hostile;
mod net;
mod protocol;
