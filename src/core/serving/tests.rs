//! Each rule of the relay service, one by one, and none of them broken by anything
//! that anybody sends or asks.

mod gate;
mod who;

use crate::core::{Mono, Now};

fn ms(ms: u64) -> Mono {
    Mono::from_millis(ms)
}

fn secs(s: u64) -> Mono {
    ms(s * 1_000)
}

fn later(s: u64) -> Now {
    Now::START.plus(std::time::Duration::from_secs(s))
}
