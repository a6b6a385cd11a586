//! What the console remembers of its node: the moments of the last minutes, the
//! file that they can be written to, and the door through which all of it comes
//! and behind which pseudonyms stand for whom they hide.

mod bundle;
mod door;
mod mask;
mod record;

pub(crate) use bundle::About;
pub use bundle::{Bundle, BundleError};
pub(crate) use door::Door;
