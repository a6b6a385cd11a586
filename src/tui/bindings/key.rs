//! One key: as a terminal reports it, and as a person writes it.

use std::fmt;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// One key, with what is held down beside it. Shift is part of the character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    code: KeyCode,
    ctrl: bool,
    alt: bool,
}

/// Keys that bear a name.
const NAMED: [(&str, KeyCode); 16] = [
    ("space", KeyCode::Char(' ')),
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("shift-tab", KeyCode::BackTab),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
];

/// What a key looks like, for whoever wrote something else.
pub(crate) const LOOKS: &str = "a key is a character (f, F, ?), space, enter, esc, tab, shift-tab, backspace, delete, \
     insert, up, down, left, right, pgup, pgdn, home, end, f1 to f12, or one of these after ctrl- or alt-";

impl Key {
    /// The key of an event.
    pub(crate) fn of(event: &KeyEvent) -> Option<Self> {
        if event.modifiers.intersects(KeyModifiers::SUPER | KeyModifiers::META | KeyModifiers::HYPER) {
            return None;
        }
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let code = match event.code {
            KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
            KeyCode::Char(c) if ctrl => KeyCode::Char(c.to_ascii_lowercase()),
            code => code,
        };
        Some(Self { code, ctrl, alt: event.modifiers.contains(KeyModifiers::ALT) })
    }

    /// The event of a key.
    #[cfg(test)]
    pub(crate) fn event(self) -> KeyEvent {
        let ctrl = if self.ctrl { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
        let alt = if self.alt { KeyModifiers::ALT } else { KeyModifiers::NONE };
        KeyEvent::new(self.code, ctrl | alt)
    }

    /// The character that it types where something is typed.
    pub(crate) fn typed(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if !self.ctrl && !self.alt => Some(c),
            _ => None,
        }
    }

    /// Reads a key as a person writes it.
    ///
    /// # Errors
    /// Why it is none, or none that a terminal can send.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (mut rest, mut ctrl, mut alt) = (text, false, false);
        loop {
            // A lone "-" after a prefix is the key itself.
            if let Some(after) = rest.strip_prefix("ctrl-").filter(|after| !after.is_empty() && !ctrl) {
                (rest, ctrl) = (after, true);
            } else if let Some(after) = rest.strip_prefix("alt-").filter(|after| !after.is_empty() && !alt) {
                (rest, alt) = (after, true);
            } else {
                break;
            }
        }
        let code = code_of(rest).ok_or_else(|| LOOKS.to_owned())?;
        let code = if ctrl { with_ctrl(code)? } else { code };
        Ok(Self { code, ctrl, alt })
    }
}

fn code_of(text: &str) -> Option<KeyCode> {
    if let Some((_, code)) = NAMED.iter().find(|(name, _)| *name == text) {
        return Some(*code);
    }
    let mut chars = text.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        return (!c.is_control() && c != ' ').then_some(KeyCode::Char(c));
    }
    let number = text.strip_prefix('f')?.parse().ok()?;
    (1..=12).contains(&number).then_some(KeyCode::F(number))
}

/// A key with ctrl, if a terminal tells it from others.
fn with_ctrl(code: KeyCode) -> Result<KeyCode, String> {
    match code {
        KeyCode::Char(c) => match c.to_ascii_lowercase() {
            'i' => Err("a terminal sends ctrl-i as tab".to_owned()),
            'j' | 'm' => Err(format!("a terminal sends ctrl-{c} as enter")),
            c if c.is_ascii_lowercase() || c == ' ' => Ok(KeyCode::Char(c)),
            c => Err(format!("a terminal has no ctrl-{c}; ctrl- goes with letters, space and arrows")),
        },
        KeyCode::Enter | KeyCode::Esc | KeyCode::Tab | KeyCode::BackTab | KeyCode::Backspace => {
            Err("a terminal does not tell it from the key without ctrl-".to_owned())
        }
        code => Ok(code),
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctrl {
            f.write_str("ctrl-")?;
        }
        if self.alt {
            f.write_str("alt-")?;
        }
        match (self.code, NAMED.iter().find(|(_, code)| *code == self.code)) {
            (_, Some((name, _))) => f.write_str(name),
            (KeyCode::Char(c), None) => write!(f, "{c}"),
            (KeyCode::F(n), None) => write!(f, "f{n}"),
            (other, None) => write!(f, "{other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shift_is_part_of_the_character_and_super_is_none_of_ours() {
        let shifted = KeyEvent::new(KeyCode::Char('S'), KeyModifiers::SHIFT);
        assert_eq!(Key::of(&shifted), Key::parse("S").ok());
        let back = KeyEvent::new(KeyCode::Tab, KeyModifiers::SHIFT);
        assert_eq!(Key::of(&back), Key::parse("shift-tab").ok());
        assert_eq!(Key::of(&KeyEvent::new(KeyCode::Char('q'), KeyModifiers::SUPER)), None);
    }

    #[test]
    fn what_is_written_is_read_and_shown_as_it_was() {
        for text in
            ["f", "F", "?", "-", "é", "space", "ctrl-f", "alt-x", "ctrl-alt-x", "ctrl-up", "f1", "f12"]
        {
            assert_eq!(Key::parse(text).map(|k| k.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(Key::parse("ctrl-F"), Key::parse("ctrl-f"), "a terminal sends the same");
    }

    #[test]
    fn what_no_terminal_sends_is_refused_with_the_reason() {
        for (text, why) in [
            ("ctrl-m", "as enter"),
            ("ctrl-i", "as tab"),
            ("ctrl-1", "ctrl- goes with letters"),
            ("ctrl-enter", "without ctrl-"),
            ("f13", "f1 to f12"),
            ("strg-x", "a key is a character"),
            ("", "a key is a character"),
            (" ", "space"),
            ("ctrl-", "after ctrl-"),
        ] {
            let error = Key::parse(text).unwrap_err();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_key_with_ctrl_or_alt_types_nothing() {
        assert_eq!(Key::parse("q").unwrap().typed(), Some('q'));
        for text in ["ctrl-q", "alt-q", "enter"] {
            assert_eq!(Key::parse(text).unwrap().typed(), None, "{text}");
        }
    }
}
