//! What a terminal sends, as keys, clicks and pastes: bytes and the time in, events
//! out. A slow line cuts sequences in two wherever it likes, so the beginning of one
//! is waited for: a lone escape for a set time, what can be nothing but a sequence
//! for longer. A sequence that nobody knows is dropped whole, never read as keys.

use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

const ESC: u8 = 0x1b;
/// How long the rest of what began as a sequence is waited for: nobody types these
/// bytes, so only a line that lost them makes us wait in vain.
const REST: Duration = Duration::from_secs(1);
/// No sequence of a terminal is as long.
const SEQUENCE_MAX: usize = 64;
/// What of a paste is kept: more than any field of the console takes.
const PASTE_MAX: usize = 1 << 20;
const PASTE_END: &[u8] = b"\x1b[201~";

/// What the bytes so far are the beginning of.
enum Step {
    /// So many bytes are done with; what they meant, if anything.
    Done(usize, Option<Event>),
    /// So many bytes, and a paste begins.
    Paste(usize),
    /// Bytes are missing.
    More,
}

/// The decoder.
#[derive(Debug)]
pub(super) struct Decoder {
    /// How long a lone escape is waited for.
    wait: Duration,
    held: Vec<u8>,
    /// When the last byte came.
    last: Duration,
    pasted: Option<Vec<u8>>,
}

impl Decoder {
    /// `wait`: how long a lone escape may be the beginning of something.
    pub(super) fn new(wait: Duration) -> Self {
        Self { wait, held: Vec::new(), last: Duration::ZERO, pasted: None }
    }

    /// Takes what came.
    pub(super) fn take(&mut self, bytes: &[u8], now: Duration) -> Vec<Event> {
        // What came late may have been read late.
        let mut events = Vec::new();
        self.held.extend_from_slice(bytes);
        self.last = now;
        self.decode(&mut events);
        events
    }

    /// When [`Self::on_timeout`] wants to be called.
    pub(super) fn timeout(&self) -> Option<Duration> {
        // A paste ends by its mark alone: what comes after a pause is no command.
        if self.held.is_empty() || self.pasted.is_some() {
            return None;
        }
        let is_sequence = self.held.iter().any(|byte| *byte != ESC);
        Some(self.last + if is_sequence { REST.max(self.wait) } else { self.wait })
    }

    /// The rest did not come.
    pub(super) fn on_timeout(&mut self, now: Duration) -> Vec<Event> {
        let mut events = Vec::new();
        if self.timeout().is_some_and(|at| at <= now) {
            let held = std::mem::take(&mut self.held);
            match held[..] {
                [ESC, c @ (b'[' | b'O')] => events.push(key_with(KeyCode::Char(c.into()), KeyModifiers::ALT)),
                _ => {
                    let escapes = held.iter().take_while(|byte| **byte == ESC).count();
                    // The beginning of something that nobody will see the end of.
                    if escapes == held.len() {
                        events.extend((0..escapes).map(|_| key(KeyCode::Esc)));
                    }
                }
            }
        }
        events
    }

    fn decode(&mut self, events: &mut Vec<Event>) {
        loop {
            if let Some(pasted) = &mut self.pasted {
                let end = self.held.windows(PASTE_END.len()).position(|window| window == PASTE_END);
                // The mark itself may have come in part.
                let text = end.unwrap_or_else(|| self.held.len() - begun(&self.held, PASTE_END));
                let room = PASTE_MAX.saturating_sub(pasted.len());
                pasted.extend_from_slice(&self.held[..text.min(room)]);
                self.held.drain(..text + end.map_or(0, |_| PASTE_END.len()));
                if end.is_none() {
                    return;
                }
                let pasted = self.pasted.take().unwrap_or_default();
                events.push(Event::Paste(String::from_utf8_lossy(&pasted).into_owned()));
            }
            if self.held.is_empty() {
                return;
            }
            match step(&self.held) {
                Step::Done(count, event) => {
                    self.held.drain(..count);
                    events.extend(event);
                }
                Step::Paste(count) => {
                    self.held.drain(..count);
                    self.pasted = Some(Vec::new());
                }
                Step::More => return,
            }
        }
    }
}

/// How many of the last bytes may be the beginning of a mark.
fn begun(bytes: &[u8], mark: &[u8]) -> usize {
    (1..mark.len()).rev().find(|len| bytes.ends_with(&mark[..*len])).unwrap_or(0)
}

fn key(code: KeyCode) -> Event {
    key_with(code, KeyModifiers::NONE)
}

fn key_with(code: KeyCode, modifiers: KeyModifiers) -> Event {
    Event::Key(KeyEvent::new(code, modifiers))
}

fn with_alt(event: Event) -> Event {
    match event {
        Event::Key(key) => key_with(key.code, key.modifiers | KeyModifiers::ALT),
        other => other,
    }
}

/// The first thing in the bytes, of which there is at least one.
fn step(bytes: &[u8]) -> Step {
    match bytes {
        [ESC] | [ESC, ESC] => Step::More,
        [ESC, b'[', rest @ ..] => control_sequence(rest).after(2),
        [ESC, b'O', rest @ ..] => shifted(rest).after(2),
        // Some terminals say alt so.
        [ESC, ESC, b'[' | b'O', ..] => step(&bytes[1..]).after(1).map(with_alt),
        [ESC, ESC, ..] => Step::Done(1, Some(key(KeyCode::Esc))),
        [ESC, rest @ ..] => plain(rest).after(1).map(with_alt),
        _ => plain(bytes),
    }
}

impl Step {
    /// With so many bytes before.
    fn after(self, before: usize) -> Self {
        match self {
            Self::Done(count, event) => Self::Done(count + before, event),
            Self::Paste(count) => Self::Paste(count + before),
            Self::More => Self::More,
        }
    }

    fn map(self, f: impl FnOnce(Event) -> Event) -> Self {
        match self {
            Self::Done(count, event) => Self::Done(count, event.map(f)),
            other => other,
        }
    }
}

/// A character, or a key that has one of the old control codes.
fn plain(bytes: &[u8]) -> Step {
    let Some(first) = bytes.first().copied() else { return Step::More };
    let ctrl = |c: u8| key_with(KeyCode::Char(c.into()), KeyModifiers::CONTROL);
    let event = match first {
        b'\r' | b'\n' => key(KeyCode::Enter),
        b'\t' => key(KeyCode::Tab),
        0x7f => key(KeyCode::Backspace),
        0 => ctrl(b' '),
        0x01..=0x1a => ctrl(first - 1 + b'a'),
        0x1c..=0x1f => ctrl(first - 0x1c + b'4'),
        _ => return character(bytes),
    };
    Step::Done(1, Some(event))
}

fn character(bytes: &[u8]) -> Step {
    let longest = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(longest) {
        Ok(text) => text,
        Err(error) => match error.error_len() {
            _ if error.valid_up_to() > 0 => {
                std::str::from_utf8(&longest[..error.valid_up_to()]).unwrap_or_default()
            }
            None => return Step::More,
            Some(len) => return Step::Done(len, None),
        },
    };
    let Some(c) = valid.chars().next() else { return Step::More };
    let modifiers = if c.is_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
    Step::Done(c.len_utf8(), Some(key_with(KeyCode::Char(c), modifiers)))
}

/// After `ESC O`: keys of the application mode.
fn shifted(bytes: &[u8]) -> Step {
    let Some(last) = bytes.first() else { return Step::More };
    if *last < b' ' {
        // Another one begins.
        return Step::Done(0, None);
    }
    Step::Done(1, cursor(*last).map(key))
}

/// Keys that are told by the last byte alone.
fn cursor(last: u8) -> Option<KeyCode> {
    Some(match last {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'F' => KeyCode::End,
        b'H' => KeyCode::Home,
        b'M' => KeyCode::Enter,
        b'P'..=b'S' => KeyCode::F(last - b'P' + 1),
        _ => return None,
    })
}

/// After `ESC [`.
fn control_sequence(bytes: &[u8]) -> Step {
    match bytes {
        [] | [b'[' | b'M'] | [b'M', _] | [b'M', _, _] => return Step::More,
        // Function keys of the Linux console.
        [b'[', last, ..] => {
            let code = (b'A'..=b'E').contains(last).then(|| KeyCode::F(last - b'A' + 1));
            return Step::Done(2, code.map(key));
        }
        // The mouse of terminals that know no other way: three bytes of any kind.
        [b'M', button, column, row, ..] => {
            let at = |byte: u8| u16::from(byte.saturating_sub(33));
            return Step::Done(
                4,
                button.checked_sub(32).and_then(|b| mouse(b, at(*column), at(*row), false)),
            );
        }
        _ => {}
    }
    let Some(end) = bytes.iter().position(|byte| !(0x20..=0x3f).contains(byte)) else {
        return if bytes.len() > SEQUENCE_MAX { Step::Done(bytes.len(), None) } else { Step::More };
    };
    if !(0x40..=0x7e).contains(&bytes[end]) {
        // It was cut off: what follows is something of its own.
        return Step::Done(end, None);
    }
    let (parameters, last, count) = (&bytes[..end], bytes[end], end + 1);
    if (parameters, last) == (&b"200"[..], b'~') {
        return Step::Paste(count);
    }
    Step::Done(count, meaning(parameters, last))
}

/// What a control sequence means, if we know it.
fn meaning(parameters: &[u8], last: u8) -> Option<Event> {
    let text = std::str::from_utf8(parameters).ok()?;
    if let Some(place) = text.strip_prefix('<') {
        let mut numbers = place.split(';').map(|n| n.parse::<u16>().ok());
        let (button, column, row) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let up = match last {
            b'M' => false,
            b'm' => true,
            _ => return None,
        };
        return mouse(u8::try_from(button).ok()?, column.saturating_sub(1), row.saturating_sub(1), up);
    }
    // Of a parameter only what is before its colon, and of modifiers their number.
    let number = |part: &str| part.split(':').next().and_then(|n| n.parse::<u8>().ok());
    let mut parts = text.split(';');
    let first = parts.next().and_then(number);
    let modifiers = parts.next().and_then(number).map_or(KeyModifiers::NONE, modifiers);
    let code = match (last, first) {
        (b'Z', _) => return Some(key_with(KeyCode::BackTab, modifiers | KeyModifiers::SHIFT)),
        (b'I', None) => return Some(Event::FocusGained),
        (b'O', None) => return Some(Event::FocusLost),
        // Where the cursor is, and nothing that anybody asked.
        (b'R', Some(2..)) | (b'~', None) | (b'M', _) => return None,
        (b'~', Some(number)) => numbered(number)?,
        (last, _) => cursor(last)?,
    };
    Some(key_with(code, modifiers))
}

fn numbered(number: u8) -> Option<KeyCode> {
    Some(match number {
        1 | 7 => KeyCode::Home,
        2 => KeyCode::Insert,
        3 => KeyCode::Delete,
        4 | 8 => KeyCode::End,
        5 => KeyCode::PageUp,
        6 => KeyCode::PageDown,
        11..=15 => KeyCode::F(number - 10),
        17..=21 => KeyCode::F(number - 11),
        23..=26 => KeyCode::F(number - 12),
        28 | 29 => KeyCode::F(number - 13),
        31..=34 => KeyCode::F(number - 14),
        _ => return None,
    })
}

/// One more than a sum of shift 1, alt 2, ctrl 4, super 8, hyper 16, meta 32.
fn modifiers(number: u8) -> KeyModifiers {
    let held = number.saturating_sub(1);
    [
        (1, KeyModifiers::SHIFT),
        (2, KeyModifiers::ALT),
        (4, KeyModifiers::CONTROL),
        (8, KeyModifiers::SUPER),
        (16, KeyModifiers::HYPER),
        (32, KeyModifiers::META),
    ]
    .into_iter()
    .filter(|(bit, _)| held & bit != 0)
    .fold(KeyModifiers::NONE, |all, (_, one)| all | one)
}

/// A click, a move or the wheel, as xterm counts buttons.
fn mouse(code: u8, column: u16, row: u16, up: bool) -> Option<Event> {
    let (number, moves) = ((code & 0b11) | ((code & 0b1100_0000) >> 4), code & 0b10_0000 != 0);
    let button = match number {
        0 => MouseButton::Left,
        1 => MouseButton::Middle,
        _ => MouseButton::Right,
    };
    let kind = match (number, moves) {
        (0..=2, _) if up => MouseEventKind::Up(button),
        (0..=2, false) => MouseEventKind::Down(button),
        (0..=2, true) => MouseEventKind::Drag(button),
        (3, false) => MouseEventKind::Up(MouseButton::Left),
        (3..=5, true) => MouseEventKind::Moved,
        (4, false) => MouseEventKind::ScrollUp,
        (5, false) => MouseEventKind::ScrollDown,
        (6, false) => MouseEventKind::ScrollLeft,
        (7, false) => MouseEventKind::ScrollRight,
        _ => return None,
    };
    let held = [(4, KeyModifiers::SHIFT), (8, KeyModifiers::ALT), (16, KeyModifiers::CONTROL)];
    let modifiers = held
        .into_iter()
        .filter(|(bit, _)| code & bit != 0)
        .fold(KeyModifiers::NONE, |all, (_, one)| all | one);
    Some(Event::Mouse(MouseEvent { kind, column, row, modifiers }))
}

#[cfg(test)]
mod tests;
