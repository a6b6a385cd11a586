//! One frame of the console over 10 000 peers at 200x50, up to the cells that
//! would be written: the target is 2 ms. And a log of 10 000 lines that is searched anew
//! and drawn: the target is 30 ms.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use punchdeck::tui::demo::{self, Screen};

const PEERS: u32 = 10_000;
const LINES: u32 = 10_000;

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

fn log(c: &mut Criterion) {
    let mut screen = Screen::new(demo::busy(), 200, 50);
    screen.log(LINES);
    c.bench_function("log_10k_lines_unchanged", |b| b.iter(|| black_box(screen.frame())));
    c.bench_function("log_10k_lines_searched_anew", |b| {
        b.iter(|| {
            screen.keys("/direct\n");
            let frame = screen.frame();
            screen.keys("\u{1b}");
            black_box(frame)
        });
    });
}

criterion_group!(benches, frames, log);
criterion_main!(benches);
