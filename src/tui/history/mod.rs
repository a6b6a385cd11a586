//! What the console remembers of its node: the moments of the last minutes, the
//! file that they can be written to, and the boundary that all of it passes, behind
//! which pseudonyms stand for whom they hide.

mod boundary;
mod bundle;
mod mask;
mod moments;
mod others;
mod record;

pub(crate) use boundary::RecordingBoundary;
pub(crate) use bundle::About;
pub use bundle::{Bundle, BundleError};
pub(crate) use moments::{History, Moment, Place};
