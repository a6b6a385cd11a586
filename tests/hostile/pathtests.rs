//! Tests of a path: what a member can have the tested end send, hold and answer.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use punchdeck::core::limits::{
    DATAGRAMS_PER_LOOK, TEST_BYTES_MAX, TEST_FOR_MAX, TEST_OFFERS_PER_PEER, TEST_RATE_MAX,
    TEST_RUNS_PER_PEER, TESTS_SERVED_MAX,
};
use punchdeck::core::wire::{Echo, Message, NoTest, TestAnswer, TestOffer, TestOver, TestTerms};
use punchdeck::model::{CloseCode, DropReason, TestConsent};
use tokio::io::AsyncReadExt;

use super::code;
use super::peer::Scripted;
use crate::support::{TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("whoever_asks_for_a_test_without_end_gets_one_of_a_minute_at_most", greedy),
        trial("of_offers_to_test_so_many_are_agreed_to_and_so_many_answered", offers),
        trial("no_more_tests_are_served_at_once_than_few", at_once),
        trial("a_node_whose_operator_wants_no_tests_answers_none", unwilling),
        trial("load_that_nobody_agreed_to_ends_the_test", overload),
        trial("no_load_is_sent_to_who_does_not_ask_for_it_datagram_by_datagram", unasked),
        trial("datagrams_without_end_close_their_connection", datagram_flood),
        trial("a_stream_of_no_test_is_not_read", stray_stream),
    ]
}

const MUCH: TestTerms = TestTerms { for_ms: u32::MAX, rate: u32::MAX, bytes: u32::MAX };

fn offer(peer: &Scripted, run: u8, terms: TestTerms) -> Message {
    Message::TestOffer(TestOffer { run: [run; 16], channel: peer.channel, terms })
}

async fn answer(peer: &mut Scripted) -> Result<TestTerms, NoTest> {
    peer.hear(|m| if let Message::TestAnswer(TestAnswer { result, .. }) = m { Some(*result) } else { None })
        .await
}

/// All answers until now.
async fn answers(peer: &mut Scripted) -> Vec<Result<TestTerms, NoTest>> {
    peer.say(Message::Echo(Echo { id: 7, payload: vec![1] })).await;
    let mut all = Vec::new();
    peer.hear(|m| {
        all.extend(if let Message::TestAnswer(answer) = m { Some(answer.result) } else { None });
        matches!(m, Message::EchoReply(_)).then_some(())
    })
    .await;
    all
}

async fn greedy() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    peer.say(offer(&peer, 1, MUCH)).await;
    let most =
        TestTerms { for_ms: TEST_FOR_MAX.as_millis() as u32, rate: TEST_RATE_MAX, bytes: TEST_BYTES_MAX };
    assert_eq!(answer(&mut peer).await, Ok(most));
}

async fn offers() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    for run in 0..100 {
        peer.say(offer(&peer, run, MUCH)).await;
        peer.say(Message::TestOver(TestOver { run: [run; 16] })).await;
    }
    let all = answers(&mut peer).await;
    assert_eq!(all.iter().filter(|answer| answer.is_ok()).count(), TEST_RUNS_PER_PEER);
    assert_eq!(all.len(), TEST_OFFERS_PER_PEER);
    let dropped = 100 - TEST_OFFERS_PER_PEER as u64;
    node.until("dropped", |s| s.counters.0.get(&DropReason::TestOffers) == Some(&dropped)).await;
}

async fn at_once() {
    let node = TestNode::start("node", &[]).await;
    let mut peers = Vec::new();
    for run in 0..=TESTS_SERVED_MAX as u8 {
        let mut peer = Scripted::linked(&node).await;
        peer.say(offer(&peer, run, MUCH)).await;
        let agreed = answer(&mut peer).await;
        assert_eq!(agreed.is_ok(), usize::from(run) < TESTS_SERVED_MAX, "{run}: {agreed:?}");
        peers.push(peer);
    }
}

async fn unwilling() {
    let node = TestNode::with("node", &[], |o| o.path_test = TestConsent::Off).await;
    let mut peer = Scripted::linked(&node).await;
    peer.say(offer(&peer, 1, MUCH)).await;
    assert_eq!(answer(&mut peer).await, Err(NoTest::NoConsent));
    node.until_counted(DropReason::TestsWithoutConsent).await;
}

/// A run with its stream.
async fn begun(
    peer: &mut Scripted,
    terms: TestTerms,
) -> (ant_quic::HighLevelSendStream, ant_quic::HighLevelRecvStream) {
    peer.say(offer(peer, 1, terms)).await;
    answer(peer).await.unwrap();
    let (mut send, recv) = peer.connection.open_bi().await.unwrap();
    send.write_all(&[&b"pd-test1"[..], &[1; 16]].concat()).await.unwrap();
    (send, recv)
}

async fn overload() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    let terms = TestTerms { for_ms: 60_000, rate: 10_000, bytes: 10_000 };
    let (mut send, _recv) = begun(&mut peer, terms).await;
    let more = async { while send.write_all(&[0; 4096]).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), more).await.expect("it reads without end");
    peer.hear(|m| matches!(m, Message::TestOver(_)).then_some(())).await;
    node.until_counted(DropReason::TestLoadTooHigh).await;
}

async fn unasked() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    let (_send, mut recv) = begun(&mut peer, MUCH).await;
    let mut chunk = [0; 4096];
    // Nothing is heard of the test, so it is over after some seconds, and nothing came.
    let begun = Instant::now();
    let mut came = 0;
    while let Ok(n) = AsyncReadExt::read(&mut recv, &mut chunk).await {
        came += n;
        if n == 0 {
            break;
        }
    }
    assert_eq!(came, 0);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    peer.hear(|m| matches!(m, Message::TestOver(_)).then_some(())).await;
}

async fn datagram_flood() {
    let node = TestNode::start("node", &[]).await;
    let peer = Scripted::linked(&node).await;
    let flood = async {
        while peer.connection.close_reason().is_none() {
            for _ in 0..DATAGRAMS_PER_LOOK {
                let _ = peer.connection.send_datagram(bytes::Bytes::from_static(b""));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), flood).await.expect("it stays open");
    assert_eq!(peer.closed_with().await, code(CloseCode::Malformed));
    node.until_counted(DropReason::DatagramsWithoutEnd).await;
}

async fn stray_stream() {
    let node = TestNode::start("node", &[]).await;
    let peer = Scripted::linked(&node).await;
    let (mut send, _recv) = peer.connection.open_bi().await.unwrap();
    send.write_all(&[&b"pd-test1"[..], &[9; 16]].concat()).await.unwrap();
    let stopped = tokio::time::timeout(Duration::from_secs(10), send.stopped()).await;
    stopped.expect("it is still read").unwrap();
    node.until_counted(DropReason::StreamsOfNoTest).await;
}
