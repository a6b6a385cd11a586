//! Why a link is what it is, asked of a node.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::lab::drill::arena::Arena;
use crate::lab::drill::run::{self, Run};
use crate::lab::drill::step::{DrillStep, too_long};
use crate::model::{Command, Done, WhyCause};

/// Each question has others asked too.
const ASKED_EVERY: Duration = Duration::from_secs(2);

/// Asks a node why its link to another one is what it is: `NAME` is 1 if that is the
/// cause, else 0.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// Who is asked.
    pub node: String,
    /// About whom.
    pub about: String,
    /// What is to be said.
    pub cause: WhyCause,
    /// Whether it is to run the ladder before.
    #[serde(default)]
    pub tried: bool,
    /// For how long it is asked again until that is said; once if left out.
    #[serde(default, with = "humantime_serde")]
    pub within: Duration,
    /// What is measured.
    #[serde(rename = "as")]
    pub name: String,
}

impl DrillStep for Why {
    fn words(&self) -> String {
        format!("ask {} why its link to {} is what it is", self.node, self.about)
    }

    fn flaw(&self) -> Option<String> {
        too_long(self.within)
    }

    fn measures(&self) -> Vec<String> {
        vec![self.name.clone()]
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        let (node, peer) = (&self.node, run.member(&self.about)?.peer_id);
        if self.tried {
            run.command(node, Command::Connect { peer }).await?;
        }
        let begun = Instant::now();
        loop {
            let outcome = run.command(node, Command::Why { peer }).await?;
            let why = if let Ok(Done::Explained(why)) = &outcome.result { Some(why) } else { None };
            let so = why.is_some_and(|why| why.cause() == self.cause);
            run.measure_if(&self.name, so);
            if so || begun.elapsed() >= self.within {
                let said = why.map_or_else(|| "no answer".to_owned(), |why| why.verdict_words());
                run.told.push(format!("{node}, asked why: {said}"));
                return Ok(());
            }
            tokio::time::sleep(ASKED_EVERY).await;
        }
    }
}
