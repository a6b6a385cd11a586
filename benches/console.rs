//! One frame of the console over 10 000 peers at 200x50, up to the cells that
//! would be written: the target is 2 ms.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use punchdeck::tui::demo::{self, Screen};

const PEERS: u32 = 10_000;

fn frames(c: &mut Criterion) {
    let snapshot = demo::large(PEERS, 0);

    let mut screen = Screen::new(snapshot.clone(), 200, 50);
    c.bench_function("frame_10k_peers_unchanged", |b| b.iter(|| black_box(screen.frame())));

    let mut screen = Screen::new(snapshot.clone(), 200, 50);
    let (mut round, mut last) = (0, snapshot);
    c.bench_function("frame_10k_peers_100_changed", |b| {
        b.iter_batched(
            || {
                round += 1;
                last = demo::next_round(&last, round);
                last.clone()
            },
            |snapshot| {
                screen.snapshot(snapshot);
                black_box(screen.frame())
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, frames);
criterion_main!(benches);
