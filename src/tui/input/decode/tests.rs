//! The decoder in virtual time.

use proptest::prelude::*;

use super::*;

const WAIT: Duration = Duration::from_millis(50);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What comes of bytes that all come at once.
fn at_once(bytes: &[u8]) -> Vec<Event> {
    let mut decoder = Decoder::new(WAIT);
    let mut events = decoder.take(bytes, Duration::ZERO);
    events.extend(decoder.on_timeout(ms(10_000)));
    events
}

/// The same with a gap before each byte.
fn with_gaps(bytes: &[u8], gaps: impl Iterator<Item = Duration>) -> Vec<Event> {
    let (mut decoder, mut now, mut events) = (Decoder::new(WAIT), Duration::ZERO, Vec::new());
    for (byte, gap) in bytes.iter().zip(gaps) {
        now += gap;
        events.extend(decoder.on_timeout(now));
        events.extend(decoder.take(&[*byte], now));
    }
    events.extend(decoder.on_timeout(now + ms(10_000)));
    events
}

fn wheel(kind: MouseEventKind) -> Event {
    Event::Mouse(MouseEvent { kind, column: 9, row: 4, modifiers: KeyModifiers::NONE })
}

/// What terminals send, and what it is.
fn known() -> Vec<(&'static [u8], Event)> {
    let shift = |code| key_with(code, KeyModifiers::SHIFT);
    vec![
        (b"q", key(KeyCode::Char('q'))),
        (b"Q", shift(KeyCode::Char('Q'))),
        ("ö".as_bytes(), key(KeyCode::Char('ö'))),
        ("€".as_bytes(), key(KeyCode::Char('€'))),
        (b"\r", key(KeyCode::Enter)),
        (b"\t", key(KeyCode::Tab)),
        (b"\x7f", key(KeyCode::Backspace)),
        (b"\x03", key_with(KeyCode::Char('c'), KeyModifiers::CONTROL)),
        (b"\x1bx", key_with(KeyCode::Char('x'), KeyModifiers::ALT)),
        (b"\x1b[A", key(KeyCode::Up)),
        (b"\x1b[B", key(KeyCode::Down)),
        (b"\x1b[C", key(KeyCode::Right)),
        (b"\x1b[D", key(KeyCode::Left)),
        (b"\x1bOB", key(KeyCode::Down)),
        (b"\x1b[H", key(KeyCode::Home)),
        (b"\x1b[4~", key(KeyCode::End)),
        (b"\x1b[5~", key(KeyCode::PageUp)),
        (b"\x1b[6~", key(KeyCode::PageDown)),
        (b"\x1b[3~", key(KeyCode::Delete)),
        (b"\x1b[Z", shift(KeyCode::BackTab)),
        (b"\x1b[1;5C", key_with(KeyCode::Right, KeyModifiers::CONTROL)),
        (b"\x1b[3;2~", shift(KeyCode::Delete)),
        (b"\x1b\x1b[A", key_with(KeyCode::Up, KeyModifiers::ALT)),
        (b"\x1bOP", key(KeyCode::F(1))),
        (b"\x1b[[B", key(KeyCode::F(2))),
        (b"\x1b[13~", key(KeyCode::F(3))),
        (b"\x1b[15~", key(KeyCode::F(5))),
        (b"\x1b[21~", key(KeyCode::F(10))),
        (b"\x1b[24~", key(KeyCode::F(12))),
        (b"\x1b[<64;10;5M", wheel(MouseEventKind::ScrollUp)),
        (b"\x1b[<65;10;5M", wheel(MouseEventKind::ScrollDown)),
        (b"\x1b[<0;10;5M", wheel(MouseEventKind::Down(MouseButton::Left))),
        (b"\x1b[<0;10;5m", wheel(MouseEventKind::Up(MouseButton::Left))),
        (b"\x1b[<2;10;5M", wheel(MouseEventKind::Down(MouseButton::Right))),
        (b"\x1b[Ma*%", wheel(MouseEventKind::ScrollDown)),
        (b"\x1b[200~qqq\x1b[B\n\x1b[201~", Event::Paste("qqq\u{1b}[B\n".to_owned())),
    ]
}

#[test]
fn every_sequence_is_one_event() {
    for (bytes, event) in known() {
        assert_eq!(at_once(bytes), [event], "{bytes:?}");
    }
}

#[test]
fn a_lone_escape_is_a_key_after_the_wait_and_not_before() {
    let mut decoder = Decoder::new(WAIT);
    assert!(decoder.take(b"\x1b", ms(100)).is_empty());
    assert_eq!(decoder.timeout(), Some(ms(150)));
    assert!(decoder.on_timeout(ms(149)).is_empty());
    assert_eq!(decoder.on_timeout(ms(150)), [key(KeyCode::Esc)]);
    assert_eq!(decoder.timeout(), None);
}

#[test]
fn an_escape_and_a_key_after_the_wait_are_two_keys() {
    let mut decoder = Decoder::new(WAIT);
    assert!(decoder.take(b"\x1b", ms(0)).is_empty());
    assert_eq!(decoder.on_timeout(ms(60)), [key(KeyCode::Esc)]);
    assert_eq!(decoder.take(b"q", ms(60)), [key(KeyCode::Char('q'))]);
}

#[test]
fn two_escapes_are_two() {
    assert_eq!(at_once(b"\x1b\x1b"), [key(KeyCode::Esc), key(KeyCode::Esc)]);
}

#[test]
fn the_rest_of_a_sequence_is_waited_for_longer() {
    let mut decoder = Decoder::new(WAIT);
    assert!(decoder.take(b"\x1b[", ms(0)).is_empty());
    assert!(decoder.on_timeout(ms(400)).is_empty());
    assert_eq!(decoder.take(b"B", ms(400)), [key(KeyCode::Down)]);
}

#[test]
fn what_is_cut_off_or_unknown_is_no_key() {
    for bytes in
        [&b"\x1b[999~"[..], b"\x1b[?64;1c", b"\x1b[12;40R", b"\x1b[1;2", b"\x1b[<65;1", b"\xff", b"\xe2\x82"]
    {
        assert_eq!(at_once(bytes), [], "{bytes:?}");
    }
    assert_eq!(at_once(b"\x1b[1;2\x1b[B"), [key(KeyCode::Down)], "the next one is whole");
    let endless = [&b"\x1b["[..], &[b'1'; 100], b"q"].concat();
    assert!(at_once(&endless).len() < 50, "bounded");
}

#[test]
fn a_paste_is_never_read_as_keys_however_slow() {
    let mut decoder = Decoder::new(WAIT);
    let mut events = decoder.take(b"\x1b[200~rm -rf", ms(0));
    events.extend(decoder.on_timeout(ms(60_000)));
    assert_eq!((events, decoder.timeout()), (Vec::new(), None));
    assert_eq!(decoder.take(b" q\x1b[201~", ms(60_000)), [Event::Paste("rm -rf q".to_owned())]);
    let much = [&b"\x1b[200~"[..], &vec![b'x'; 3 * PASTE_MAX], b"\x1b[201~"].concat();
    let [Event::Paste(text)] = &at_once(&much)[..] else { panic!("no paste") };
    assert_eq!(text.len(), PASTE_MAX);
}

proptest! {
    #[test]
    fn gaps_at_any_byte_change_nothing(
        which in prop::collection::vec(0..known().len(), 1..8),
        gaps in prop::collection::vec(0_u64..50, 200),
    ) {
        let all = known();
        let bytes: Vec<u8> = which.iter().flat_map(|n| all[*n].0).copied().collect();
        let events: Vec<Event> = which.iter().map(|n| all[*n].1.clone()).collect();
        prop_assert_eq!(&with_gaps(&bytes, gaps.into_iter().map(ms)), &events);
        prop_assert_eq!(at_once(&bytes), events);
    }

    #[test]
    fn no_bytes_upset_it(bytes in prop::collection::vec(any::<u8>(), 0..300), gaps in prop::collection::vec(0_u64..2000, 300)) {
        with_gaps(&bytes, gaps.into_iter().map(ms));
    }
}
