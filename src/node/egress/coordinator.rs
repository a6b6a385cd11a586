//! A stranger asks our coordinator to aim another one at an address of its own
//! choice. The library's control messages are JSON behind a mark, each on a
//! stream of its own.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ant_quic::HighLevelConnection;
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::stranger::Visit;
use crate::model::{Evidence, PeerId, Reason, clean, plain_addr};

/// The mark and the version of the library's control messages.
const MARK: &[u8] = b"AQCC\x01";
/// The longest message that is read.
const MESSAGE_MAX: usize = 64 * 1024;
/// How long a request is good for, by this host's clock.
const GOOD_FOR: Duration = Duration::from_secs(10);
/// How long an answer on this host may take.
const WITHIN: Duration = Duration::from_secs(1);

/// Has `asker` ask; `aimed` says whether it was told.
pub(super) async fn try_it(asker: (PeerId, &Visit), aimed: (PeerId, &Visit)) -> Evidence {
    let other = |detail: String| Evidence::NotMeasured { reason: Reason::Other { detail: clean(&detail) } };
    // The third party is ours as well: what the aimed one sends there ends here.
    let here = plain_addr(asker.1.connection.remote_address()).ip();
    let third = match UdpSocket::bind((here, 0)).await.and_then(|s| Ok((s.local_addr()?, s))) {
        Ok(third) => third,
        Err(error) => return other(error.to_string()),
    };
    let request = request(asker.0, aimed.0, third.0);
    if let Err(error) = say(&asker.1.connection, &request).await {
        return other(error);
    }
    let told = async {
        while let Some(message) = hear(&aimed.1.connection).await {
            if aims_at(&message, third.0) {
                return Evidence::PassedOn;
            }
        }
        std::future::pending().await
    };
    let refused = async {
        while let Some(message) = hear(&asker.1.connection).await {
            if let Some(why) = refusal(&message) {
                return why;
            }
        }
        std::future::pending().await
    };
    let answer = async {
        tokio::select! {
            biased;
            evidence = told => evidence,
            evidence = refused => evidence,
        }
    };
    let silent = Evidence::NotMeasured { reason: Reason::timed_out(WITHIN) };
    timeout(WITHIN, answer).await.unwrap_or(silent)
}

fn request(asker: PeerId, aimed: PeerId, third: SocketAddr) -> Value {
    let expires = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + GOOD_FOR;
    json!({
        "request_id": rand::random::<u64>(),
        "expires_at_unix_ms": u64::try_from(expires.as_millis()).unwrap_or(u64::MAX),
        "message": { "CoordinationRequest": {
            "initiator": asker.0,
            "target": aimed.0,
            "round": 1,
            "initiator_addrs": [third],
        }},
    })
}

async fn say(connection: &HighLevelConnection, message: &Value) -> Result<(), String> {
    let bytes = [MARK, message.to_string().as_bytes()].concat();
    let mut stream = connection.open_uni().await.map_err(|e| e.to_string())?;
    stream.write_all(&bytes).await.map_err(|e| e.to_string())?;
    stream.finish().map_err(|e| e.to_string())
}

/// The next control message; none when the connection is gone.
async fn hear(connection: &HighLevelConnection) -> Option<Value> {
    loop {
        let mut stream = connection.accept_uni().await.ok()?;
        let Ok(bytes) = stream.read_to_end(MESSAGE_MAX).await else { continue };
        let message = bytes.strip_prefix(MARK).and_then(|json| serde_json::from_slice(json).ok());
        if message.is_some() {
            return message;
        }
    }
}

/// Whether a message tells its reader to send to that address.
fn aims_at(message: &Value, third: SocketAddr) -> bool {
    ["CoordinationAccepted", "CoordinationOffer"].into_iter().any(|kind| {
        let addrs = message["message"][kind]["initiator_addrs"].as_array();
        addrs.is_some_and(|a| a.iter().any(|a| a.as_str() == Some(&third.to_string())))
    })
}

/// What a refusal shows: that strangers are refused, or that the test was no
/// test.
fn refusal(message: &Value) -> Option<Evidence> {
    let why = message["message"]["CoordinationRejected"]["reason"].as_str()?;
    let reason = match why {
        "Unauthenticated" => return Some(Evidence::Refused),
        "RateLimited" => Reason::RateLimited,
        "UnknownTarget" => Reason::UnknownTarget,
        "Expired" => Reason::RequestExpired,
        other => Reason::Other { detail: clean(other) },
    };
    Some(Evidence::NotMeasured { reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_of_a_refused_stranger_closes_the_coordinator() {
        let rejected = |why: &str| json!({ "message": { "CoordinationRejected": { "reason": why } } });
        assert_eq!(refusal(&rejected("Unauthenticated")), Some(Evidence::Refused));
        for why in ["RateLimited", "UnknownTarget", "Expired", "InternalError"] {
            assert!(matches!(refusal(&rejected(why)), Some(Evidence::NotMeasured { .. })), "{why}");
        }
        assert_eq!(refusal(&json!({ "message": { "CoordinationAccepted": {} } })), None);
    }

    #[test]
    fn a_message_aims_where_it_names_the_very_address() {
        let third: SocketAddr = "127.0.0.1:4000".parse().unwrap();
        let message =
            |addr: &str| json!({ "message": { "CoordinationAccepted": { "initiator_addrs": [addr] } } });
        assert!(aims_at(&message("127.0.0.1:4000"), third));
        assert!(!aims_at(&message("127.0.0.1:4001"), third));
    }
}
