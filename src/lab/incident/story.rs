//! Who took part, by pseudonym: what is told of an incident names nobody.

use std::net::{IpAddr, SocketAddr};

use crate::model::PeerId;

/// Those who took part, in the order in which they are met.
#[derive(Debug, Default)]
pub struct Actors {
    met: Vec<PeerId>,
    addresses: Vec<String>,
}

impl Actors {
    /// Begins with the two ends.
    pub fn new(here: Option<PeerId>, there: PeerId) -> Self {
        // Who asked need not be known: nobody then has the first name.
        let here = here.unwrap_or(PeerId([0; 32]));
        Self { met: vec![here, there], addresses: Vec::new() }
    }

    /// What somebody is called.
    pub fn call(&mut self, who: PeerId) -> String {
        let at = self.met.iter().position(|met| *met == who).unwrap_or_else(|| {
            self.met.push(who);
            self.met.len() - 1
        });
        match at {
            0 => "here".to_owned(),
            1 => "there".to_owned(),
            n => format!("helper-{}", n - 1),
        }
    }

    /// A sentence in which nobody is named and no address stands.
    pub fn retell(&mut self, text: &str) -> String {
        let words: Vec<String> = text.split(' ').map(|word| self.word(word)).collect();
        words.join(" ")
    }

    fn word(&mut self, word: &str) -> String {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '[' && c != ']');
        if bare.is_empty() {
            return word.to_owned();
        }
        let is_address = bare.parse::<SocketAddr>().is_ok() || bare.parse::<IpAddr>().is_ok();
        let other = if is_address {
            let at = self.addresses.iter().position(|known| known == bare).unwrap_or_else(|| {
                self.addresses.push(bare.to_owned());
                self.addresses.len() - 1
            });
            Some(format!("address-{}", at + 1))
        } else {
            let met = self.met.iter().copied().find(|met| met.short() == bare || met.to_string() == bare);
            met.map(|met| self.call(met)).or_else(|| is_id(bare).then(|| "somebody".to_owned()))
        };
        other.map_or_else(|| word.to_owned(), |other| word.replacen(bare, &other, 1))
    }
}

/// Whether a word looks like the beginning of an id.
fn is_id(word: &str) -> bool {
    word.len() >= 8 && word.chars().all(|c| c.is_ascii_hexdigit()) && word.chars().any(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_names_nobody_and_no_address() {
        let (here, there, helper) = (PeerId([1; 32]), PeerId([0xab; 32]), PeerId([0x77; 32]));
        let mut actors = Actors::new(Some(here), there);
        assert_eq!(actors.call(helper), "helper-1");
        let said = format!(
            "{}: it agreed, and is seen at 198.18.0.7:4000; {} and [2001:2::1]:9, 10.0.0.1",
            helper.short(),
            there.short()
        );
        let told = actors.retell(&said);
        assert_eq!(
            told, "helper-1: it agreed, and is seen at address-1; there and address-2, address-3",
            "from {said}"
        );
        assert_eq!(actors.retell("dial 198.18.0.7:4000, 3 times"), "dial address-1, 3 times");
        assert_eq!(actors.retell("deadbeef01 answers"), "somebody answers");
        assert_eq!(actors.retell("heard nothing after 30 s"), "heard nothing after 30 s");
    }
}
