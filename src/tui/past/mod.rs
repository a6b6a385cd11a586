//! What the console remembers of its node: the moments of the last minutes.
//! It knows no screen and no key.

mod record;

pub(crate) use record::Record;
