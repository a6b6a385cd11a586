//! Enums and lists on the wire, so that neither a value of the future nor a
//! false length does harm.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serializer};

/// A NAT type as one byte; a number nobody here knows is `Unknown`. `Unknown`
/// is the smallest, so that of two equal records the better-read one wins.
pub(super) mod nat {
    use super::{Deserialize, Deserializer, Serializer};
    use crate::model::NatType;

    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub(in crate::core::wire) fn serialize<S: Serializer>(nat: &NatType, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u8(match nat {
            NatType::Unknown => 0,
            NatType::None => 1,
            NatType::FullCone => 2,
            NatType::AddressRestricted => 3,
            NatType::PortRestricted => 4,
            NatType::Symmetric => 5,
        })
    }

    pub(in crate::core::wire) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<NatType, D::Error> {
        Ok(match u8::deserialize(d)? {
            1 => NatType::None,
            2 => NatType::FullCone,
            3 => NatType::AddressRestricted,
            4 => NatType::PortRestricted,
            5 => NatType::Symmetric,
            _ => NatType::Unknown,
        })
    }
}

/// A path as one byte; not stated and not known are both `None`.
pub(super) mod path {
    use super::{Deserialize, Deserializer, Serializer};
    use crate::model::Path;

    #[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub(in crate::core::wire) fn serialize<S: Serializer>(
        path: &Option<Path>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.serialize_u8(match path {
            None => 0,
            Some(Path::Direct) => 1,
            Some(Path::Punched) => 2,
            Some(Path::Relayed) => 3,
        })
    }

    pub(in crate::core::wire) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<Path>, D::Error> {
        Ok(match u8::deserialize(d)? {
            1 => Some(Path::Direct),
            2 => Some(Path::Punched),
            3 => Some(Path::Relayed),
            _ => None,
        })
    }
}

/// How somebody stands with a peer, as one byte; a number nobody here knows is `Never`.
pub(super) mod link_status {
    use super::{Deserialize, Deserializer, Serializer};
    use crate::model::PeerLinkStatus;

    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub(in crate::core::wire) fn serialize<S: Serializer>(
        status: &PeerLinkStatus,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.serialize_u8(match status {
            PeerLinkStatus::Never => 0,
            PeerLinkStatus::Linked => 1,
            PeerLinkStatus::Relayed => 2,
            PeerLinkStatus::Left => 3,
            PeerLinkStatus::Silent => 4,
            PeerLinkStatus::Ended => 5,
        })
    }

    pub(in crate::core::wire) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<PeerLinkStatus, D::Error> {
        Ok(match u8::deserialize(d)? {
            1 => PeerLinkStatus::Linked,
            2 => PeerLinkStatus::Relayed,
            3 => PeerLinkStatus::Left,
            4 => PeerLinkStatus::Silent,
            5 => PeerLinkStatus::Ended,
            _ => PeerLinkStatus::Never,
        })
    }
}

/// A flag at the end of a message, which not everybody says.
#[allow(clippy::unnecessary_wraps)] // serde's signature
pub(super) fn flag<'de, D: Deserializer<'de>>(d: D) -> Result<bool, D::Error> {
    Ok(bool::deserialize(d).unwrap_or(false))
}

/// Elements for which room is made before they are read. The rest grows as
/// they come, so a list costs memory by its bytes, never by its stated length.
const ROOM_AHEAD: usize = 4;

/// Reads a list of at most `MAX` elements; a longer one does not parse.
pub(super) fn at_most<'de, D, T, const MAX: usize>(d: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct List<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for List<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            if let Some(stated) = seq.size_hint()
                && stated > MAX
            {
                return Err(serde::de::Error::invalid_length(stated, &self));
            }
            let mut list = Vec::with_capacity(ROOM_AHEAD.min(seq.size_hint().unwrap_or(0)));
            while let Some(element) = seq.next_element()? {
                if list.len() == MAX {
                    return Err(serde::de::Error::invalid_length(MAX + 1, &self));
                }
                list.push(element);
            }
            Ok(list)
        }
    }

    d.deserialize_seq(List::<T, MAX>(PhantomData))
}

/// Reads a list that only its frame's length bounds.
pub(super) fn any_number<'de, D, T>(d: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    at_most::<D, T, { usize::MAX - 1 }>(d)
}
