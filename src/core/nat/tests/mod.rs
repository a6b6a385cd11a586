//! Every NAT type in virtual time, with real responders, loss and liars.

mod lifetime;
mod net;
mod schedule;
mod types;
