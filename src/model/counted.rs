//! What limits and rules stopped, in words: names of the core have dots where they say
//! which part it was.

/// Names with dots, and what they mean.
const WORDS: [(&str, &str); 20] = [
    ("cache.evicted", "peers let go because the cache is full"),
    ("cache.prefix_share", "peers not taken: their network has its share of the cache"),
    ("cache.source_share", "peers not taken: who told of them has his share of the cache"),
    ("gossip.delta_dropped", "changes not taken: too many from one link"),
    ("gossip.digest", "digests not compared: too many from one link"),
    ("gossip.digest_no_room", "digests not sent: the link had no room"),
    ("gossip.digest_too_long", "digests longer than any can be"),
    ("gossip.digest_unasked", "parts of a digest that nobody asked for"),
    ("gossip.drill_lost", "changes lost on purpose, for a drill"),
    ("gossip.intake", "records not taken: too many from one link"),
    ("gossip.serve", "questions for records not answered: too many from one link"),
    ("gossip.serve_queue", "questions for records not answered: too many at once"),
    ("gossip.serve_records", "records not sent: too many for one link"),
    ("gossip.stalled", "answers that stopped before their end"),
    ("record.about_linked", "records of a peer that is linked and speaks for itself"),
    ("record.about_us", "records about ourselves"),
    ("record.addresses", "addresses that nobody can have"),
    ("record.gone", "records of peers that are gone, with nothing new"),
    ("record.version_jump", "records whose version is too far above the known one"),
    ("record.version", "records that were no news"),
];

/// A counter in words.
pub fn counted(name: &str) -> String {
    match WORDS.iter().find(|(known, _)| *known == name) {
        Some((_, words)) => (*words).to_owned(),
        None => name.replace(['.', '_'], " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_part_stays_in_a_counter() {
        for name in ["gossip.digest_unasked", "something.new_here", "who-has rate"] {
            let words = counted(name);
            assert!(!words.contains('.') && !words.contains('_'), "{words}");
        }
    }
}
