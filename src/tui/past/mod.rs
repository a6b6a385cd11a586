//! What the console remembers of its node: the moments of the last minutes, and
//! the file that they can be written to. It knows no screen and no key.

mod bundle;
mod record;

pub(crate) use bundle::{About, FORMAT, Holds};
pub use bundle::{Bundle, BundleError};
pub(crate) use record::Record;
