//! How proofs travel: at the end of the message that carries their records, where a node
//! that knows none does not look.

use serde::ser::SerializeSeq;
use serde::{Deserializer, Serialize, Serializer};

use super::{Proof, Record, lenient};
use crate::core::limits::PAGE_RECORDS_MAX;

/// The proofs of these records, each with the place of its record.
pub(super) struct ProofsOf<'a>(pub(super) &'a [Record]);

impl Serialize for ProofsOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let proven = || self.0.iter().enumerate().filter_map(|(at, r)| Some((at as u16, r.proof?)));
        let mut list = serializer.serialize_seq(Some(proven().count()))?;
        for each in proven() {
            list.serialize_element(&each)?;
        }
        list.end()
    }
}

/// Proofs as they were read. A sender that knows none says nothing here.
#[derive(Default)]
pub(super) struct Proofs(Vec<(u16, Proof)>);

impl Proofs {
    #[allow(clippy::unnecessary_wraps)] // serde's signature
    pub(super) fn read<'de, D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self(lenient::at_most::<_, _, PAGE_RECORDS_MAX>(d).unwrap_or_default()))
    }

    /// Puts each to its record.
    pub(super) fn onto(self, mut records: Vec<Record>) -> Vec<Record> {
        for (at, proof) in self.0 {
            if let Some(record) = records.get_mut(usize::from(at)) {
                record.proof = Some(proof);
            }
        }
        records
    }
}
