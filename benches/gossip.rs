//! A full sync of 10 000 records: pages made and encoded, frames cut and
//! decoded, records held to the rules and merged into a book that has an older
//! version of each. Target for the three together: 40 ms of CPU. Once more with
//! records that are signed and all changed, which has no target: each costs a
//! signature to look at.

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use rand::SeedableRng;
use rand::rngs::StdRng;

use punchdeck::core::Now;
use punchdeck::core::book::{Book, CacheEntry};
use punchdeck::core::gossip::{Gossip, LinkContext, Output};
use punchdeck::core::proof::RecordSeed;
use punchdeck::core::wire::{Frame, FrameReader, Message, Record, RelayAddr};
use punchdeck::model::{CommandId, NatType, PeerId, Source};

/// With the sender's own record 10 000 in all.
const OTHERS: u32 = 9_999;
const NOW: Now = Now::START;
const LINK: LinkContext = LinkContext { outbound: true, ..LinkContext::PUBLIC };

fn id(n: u32) -> PeerId {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&n.wrapping_mul(2_654_435_761).to_be_bytes());
    PeerId(bytes)
}

/// A record of ordinary size: four addresses, a relay, three homes.
fn record(n: u32, version: u64) -> Record {
    let [_, c, b, a] = n.to_be_bytes();
    let v4 = |port: u16| SocketAddr::from(([11 + (b & 0x3f), a, c, 1], port));
    let v6 = |port: u16| SocketAddr::from(([0x2001, 0x2, u16::from(a), u16::from(b), 0, 0, 0, 1], port));
    Record {
        name: format!("node-{n:05}"),
        nat: NatType::PortRestricted,
        addresses: vec![v4(9_000), v4(9_001), v6(9_000), v6(9_001)],
        relays: vec![RelayAddr { relay: id(n / 2), addr: v4(9_100) }],
        homes: vec![id(n + 1), id(n + 2), id(n + 3)],
        age_s: 0,
        ..Record::new(id(n), version)
    }
}

/// The same as its subject signs it.
fn signed(n: u32, version: u64) -> Record {
    let record = record(n, version);
    let signer = RecordSeed::derive(&n.to_be_bytes(), "bench").signer().unwrap();
    Record { proof: signer.prove(&record), ..record }
}

fn node(me: u32, version: u64) -> (Gossip, Book) {
    node_of(me, version, record)
}

fn node_of(me: u32, version: u64, record: fn(u32, u64) -> Record) -> (Gossip, Book) {
    let mut book = Book::new(id(me));
    book.load(
        (0..OTHERS).map(|n| (n, record(n, version))).map(|(n, record)| CacheEntry {
            proof: record.proof,
            record: Some(record),
            seen: Some(NOW.stamp),
            ..CacheEntry::bare(id(n), Source::Cache, NOW.stamp)
        }),
        NOW,
    );
    (Gossip::new(record(me, 1), StdRng::seed_from_u64(u64::from(me)), NOW), book)
}

/// The pages that a new link is sent, as frames.
fn encode(gossip: &mut Gossip, book: &mut Book) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    gossip.link_up(id(20_001), LINK, book, NOW, &mut out);
    gossip.room(id(20_001), usize::MAX, book, NOW, &mut out);
    let mut frames = Vec::new();
    for output in out {
        if let Output::Send { message, .. } = output {
            frames.push(message.encode(1, frames.len() as u64).unwrap());
        }
    }
    frames
}

fn decode(frames: &[Vec<u8>]) -> Vec<Message> {
    let mut reader = FrameReader::new();
    let mut messages = Vec::new();
    for chunk in frames.iter().flat_map(|frame| frame.chunks(16 * 1024)) {
        reader.push(chunk);
        while let Some(raw) = reader.next().unwrap() {
            if let Frame::Message { message, .. } = Frame::decode(&raw).unwrap() {
                messages.push(message);
            }
        }
    }
    messages
}

/// A node that asked for a full sync.
fn asker() -> (Gossip, Book) {
    asker_of(record)
}

fn asker_of(record: fn(u32, u64) -> Record) -> (Gossip, Book) {
    let (mut gossip, mut book) = node_of(20_001, 1, record);
    gossip.link_up(id(20_000), LINK, &mut book, NOW, &mut Vec::new());
    gossip.sync(None, CommandId(1), &book, NOW, &mut Vec::new()).unwrap();
    (gossip, book)
}

fn merge(gossip: &mut Gossip, book: &mut Book, messages: Vec<Message>) {
    let mut out = Vec::new();
    for message in messages {
        gossip.on_message(id(20_000), message, book, NOW, &mut out);
    }
    for output in out {
        black_box(output);
    }
}

fn full_sync(c: &mut Criterion) {
    let frames = {
        let (mut gossip, mut book) = node(20_000, 2);
        encode(&mut gossip, &mut book)
    };
    let messages = decode(&frames);
    let (mut gossip, mut book) = asker();
    merge(&mut gossip, &mut book, messages.clone());
    let updated = book.iter().filter(|(_, e)| e.record().is_some_and(|r| r.version == 2)).count();
    assert_eq!(updated, OTHERS as usize, "the merge takes all of them in: {:?}", gossip.counters());

    let mut group = c.benchmark_group("full_sync_10k");
    group.sample_size(20).measurement_time(Duration::from_secs(8));
    group.bench_function("encode", |b| {
        b.iter_batched_ref(|| node(20_000, 2), |(g, book)| encode(g, book), BatchSize::PerIteration);
    });
    group.bench_function("decode", |b| b.iter(|| decode(black_box(&frames))));
    group.bench_function("merge", |b| {
        b.iter_batched(
            || (asker(), messages.clone()),
            |((mut g, mut book), messages)| {
                merge(&mut g, &mut book, messages);
                (g, book)
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("all", |b| {
        b.iter_batched(
            || (node(20_000, 2), asker()),
            |((mut g, mut book), (mut asker, mut their_book))| {
                let messages = decode(&encode(&mut g, &mut book));
                merge(&mut asker, &mut their_book, messages);
                (g, book, asker, their_book)
            },
            BatchSize::PerIteration,
        );
    });
    let frames = {
        let (mut gossip, mut book) = node_of(20_000, 2, signed);
        encode(&mut gossip, &mut book)
    };
    let messages = decode(&frames);
    let (mut gossip, mut book) = asker_of(signed);
    merge(&mut gossip, &mut book, messages.clone());
    let updated = book.iter().filter(|(_, e)| e.record().is_some_and(|r| r.version == 2)).count();
    assert_eq!(updated, OTHERS as usize, "and all signed ones: {:?}", gossip.counters());
    group.sample_size(10);
    group.bench_function("merge_signed", |b| {
        b.iter_batched(
            || (asker_of(signed), messages.clone()),
            |((mut g, mut book), messages)| {
                merge(&mut g, &mut book, messages);
                (g, book)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, full_sync);
criterion_main!(benches);
