//! What two ends of a link say to each other to test one of its connections.

use serde::{Deserialize, Serialize};

use super::Nonce;

/// How much a test may take: what was asked for, or what was agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestTerms {
    /// How long it lasts, in milliseconds.
    pub for_ms: u32,
    /// Load each way, in bytes per second.
    pub rate: u32,
    /// Load each way, in bytes.
    pub bytes: u32,
}

/// "Let us test this connection."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestOffer {
    /// Names the run, and stands in what belongs to it.
    pub run: Nonce,
    /// Which connection, by the name that both ends have for it.
    pub channel: [u8; 16],
    /// What is asked for.
    pub terms: TestTerms,
}

/// Why an offer was turned down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
pub enum NoTest {
    /// The operator lets nobody test, or not this peer.
    NoConsent,
    /// Another test is under way.
    Busy,
    /// There were too many of late.
    TooOften,
    /// There is no such connection.
    NoPath,
    /// Something that this program does not know.
    Other,
}

impl From<NoTest> for u8 {
    fn from(value: NoTest) -> Self {
        match value {
            NoTest::NoConsent => 1,
            NoTest::Busy => 2,
            NoTest::TooOften => 3,
            NoTest::NoPath => 4,
            NoTest::Other => 255,
        }
    }
}

impl From<u8> for NoTest {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::NoConsent,
            2 => Self::Busy,
            3 => Self::TooOften,
            4 => Self::NoPath,
            _ => Self::Other,
        }
    }
}

/// The answer to a [`TestOffer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestAnswer {
    /// The offer's.
    pub run: Nonce,
    /// What is agreed to, never more than was asked for; or why nothing is.
    pub result: Result<TestTerms, NoTest>,
}

/// "It is over for me."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestOver {
    /// Which run.
    pub run: Nonce,
}
