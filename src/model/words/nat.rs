//! What was seen of a NAT.

use std::fmt;

use super::joined;
use crate::model::NatEvidence;

impl fmt::Display for NatEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let socket = |local: &Option<std::net::SocketAddr>| {
            local.map_or_else(|| "our socket".to_owned(), |local| local.to_string())
        };
        match self {
            Self::OneAddress { agreeing, answered, local, external } => {
                write!(f, "{agreeing} of {answered} observers see {} as {external}", socket(local))
            }
            Self::ManyPorts { agreeing, answered, local, ports, mapping: Some(mapping) } => write!(
                f,
                "{agreeing} of {answered} observers see {} at different ports ({}): {mapping}",
                socket(local),
                joined(ports, ", ")
            ),
            Self::ManyPorts { answered, local, ports, mapping: None, .. } => {
                write!(f, "{answered} observers see {} at ports {}", socket(local), joined(ports, ", "))
            }
            Self::Dissent { by, seen } => write!(f, "{} says {seen}: noted, not believed", by.short()),
            Self::Unanswered { silent, asked } => write!(f, "{silent} of {asked} asked did not answer"),
            Self::NothingTranslated => f.write_str("the address outside is our own: nothing is translated"),
            Self::StrangerCameIn { from } => {
                write!(f, "a dial-back from {}, which this probe had not contacted, came in", from.short())
            }
            Self::StrangersStayedOut { sent, addresses } => write!(
                f,
                "{sent} dial-backs from {addresses} addresses that this probe had not contacted stayed out"
            ),
            Self::DialBacksNotSent => f.write_str(
                "some dial-backs were not sent: our peers send few, and only where our link comes from",
            ),
            Self::OtherPortCameIn { from } => {
                write!(f, "an answer from another port of {} came in", from.short())
            }
            Self::OtherPortsStayedOut { contacts } => {
                write!(f, "answers from another port of {contacts} contacted peers stayed out")
            }
            Self::Firewall => f.write_str("no NAT, but a firewall keeps out whom we did not contact"),
            Self::Hairpinning(true) => f.write_str("hairpinning works"),
            Self::Hairpinning(false) => f.write_str("hairpinning does not work"),
            Self::AddressChanged => f.write_str("our address is another one"),
            Self::Contradicted { by, seen } => {
                write!(f, "{} sees us at {seen}, where it or others did not: it changed", by.short())
            }
        }
    }
}
