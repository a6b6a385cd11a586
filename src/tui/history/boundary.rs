//! The console's recording boundary. Whatever comes in passes it, and is recorded here as it
//! was told; what the rest of the console gets of it bears pseudonyms where that was
//! asked for, and what the console wants done is about those who are really
//! meant again. So no view can show what is to be hidden: it never has it.

use std::sync::Arc;

use super::bundle::{About, Bundle, FORMAT, Holds};
use super::mask::Mask;
use super::others::{Other, Others};
use super::record::Record;
use crate::model::{Command, LogLevel, LogLine, PeerId, Snapshot, Stamp, clean};
use crate::tui::entry::{Entry, LogLines, Timeline};
use crate::tui::fleet::FleetView;
use crate::tui::lab::LabView;
use crate::tui::message::{Effect, Gone, Input};

/// What the console remembers, as it was told.
#[derive(Debug)]
pub(crate) struct RecordingBoundary {
    mask: Option<Mask>,
    /// The pseudonyms of this run, while they are not shown.
    spare: Option<Mask>,
    live: Arc<Snapshot>,
    record: Record,
    entries: Timeline,
    lines: LogLines,
    lab: Option<Arc<LabView>>,
    fleet: Option<Arc<FleetView>>,
    about: Option<About>,
    /// The peer that is selected, as far as somebody said so.
    selected: Option<PeerId>,
    /// Nodes that the console was on before.
    others: Others,
}

impl RecordingBoundary {
    /// On a node whose state is that.
    pub(crate) fn new(live: Arc<Snapshot>) -> Self {
        let mut record = Record::default();
        record.take(&live);
        Self {
            mask: None,
            spare: None,
            live,
            record,
            entries: Timeline::default(),
            lines: LogLines::default(),
            lab: None,
            fleet: None,
            about: None,
            selected: None,
            others: Others::default(),
        }
    }

    /// On a file; `None` if there is no moment in it.
    pub(crate) fn on_file(bundle: Bundle) -> Option<Self> {
        let live = bundle.record.at(bundle.record.last()?)?;
        Some(Self {
            mask: None,
            spare: None,
            live,
            record: bundle.record,
            entries: Timeline::default().with(bundle.entries),
            lines: LogLines::default().with(bundle.lines),
            lab: bundle.lab,
            fleet: None,
            about: Some(bundle.about),
            selected: None,
            others: Others::default(),
        })
    }

    /// What comes in, as the rest of the console may see it. `now`: the node's
    /// time.
    pub(crate) fn admit(&mut self, input: Input, now: Stamp) -> Input {
        match input {
            Input::Snapshot(snapshot) => Input::Snapshot(self.take(snapshot)),
            Input::NodeBack(snapshot) => Input::NodeBack(self.take(snapshot)),
            Input::Switched(snapshot) => {
                self.go_to(snapshot.node.peer_id);
                Input::Switched(self.take(snapshot))
            }
            Input::Event(event) => {
                self.record_entry(Entry::Event(Arc::clone(&event)));
                Input::Event(match &mut self.mask {
                    Some(mask) => Arc::new(mask.event(&event)),
                    None => event,
                })
            }
            Input::EventsLost(events) => {
                self.record_entry(Entry::Lost { at: now, events });
                Input::EventsLost(events)
            }
            Input::Outcome(outcome) => {
                if !outcome.command.is_question() {
                    let entry = Entry::Outcome { at: now, outcome: Arc::clone(&outcome) };
                    self.record_entry(entry);
                }
                Input::Outcome(match &mut self.mask {
                    Some(mask) => Arc::new(mask.outcome(&outcome)),
                    None => outcome,
                })
            }
            Input::Fault(text) => {
                self.record_entry(Entry::Fault { at: now, text: text.clone() });
                Input::Fault(self.text(text))
            }
            Input::Lines(mut lines, dropped) => {
                if dropped > 0 {
                    let text = format!("{dropped} log lines were dropped: the console was behind");
                    let target = "console".to_owned();
                    lines.push(LogLine { at: now, level: LogLevel::Warn, target, text });
                }
                for line in &lines {
                    self.lines.push(line.clone(), true);
                }
                if let Some(mask) = &self.mask {
                    lines = lines.iter().map(|line| mask.line(line)).collect();
                }
                Input::Lines(lines, dropped)
            }
            Input::LogAnew(lines) => {
                self.lines = LogLines::default().with(lines.clone());
                Input::LogAnew(self.lines())
            }
            Input::Fleet(view) => {
                self.fleet = Some(Arc::clone(&view));
                Input::Fleet(match &mut self.mask {
                    Some(mask) => mask.fleet(&view),
                    None => view,
                })
            }
            Input::Lab(view) => {
                self.lab = Some(Arc::clone(&view));
                Input::Lab(match &mut self.mask {
                    Some(mask) => mask.lab(&view),
                    None => view,
                })
            }
            Input::Sent(command, result) => Input::Sent(self.masked_command(command), result),
            Input::NodeGone(Gone::Lost { detail }) => {
                Input::NodeGone(Gone::Lost { detail: self.text(detail) })
            }
            Input::Snapped(Err(why)) => Input::Snapped(Err(self.text(why))),
            // Of the console, its operator and time.
            same @ (Input::Key(_)
            | Input::Mouse(_)
            | Input::Paste(_)
            | Input::OutcomesLost(_)
            | Input::NodeGone(Gone::Stopped)
            | Input::Snapped(Ok(_))
            | Input::LabBusy
            | Input::FleetBusy
            | Input::SuspendRefused
            | Input::Tick) => same,
        }
    }

    /// The console goes to a node: to one that it was on before it comes back.
    fn go_to(&mut self, id: PeerId) {
        let (record, entries) = (std::mem::take(&mut self.record), std::mem::take(&mut self.entries));
        let selected = self.selected.take();
        let left = self.live.node.peer_id;
        // The same one was started anew: what was is no past of this run.
        if left == id {
            return;
        }
        self.others.leave(Other { id: left, record, entries, selected });
        if let Some(other) = self.others.return_to(id) {
            (self.record, self.entries, self.selected) = (other.record, other.entries, other.selected);
        }
    }

    /// Notes which peer is selected, as it is shown.
    pub(crate) fn note_selected(&mut self, selected: Option<PeerId>) {
        self.selected = match &self.mask {
            Some(mask) => selected.map(|id| mask.real_id(id)),
            None => selected,
        };
    }

    /// Which peer was selected when the node was left, as it is shown.
    pub(crate) fn selected(&mut self) -> Option<PeerId> {
        let selected = self.selected?;
        Some(match &mut self.mask {
            Some(mask) => mask.id(selected),
            None => selected,
        })
    }

    fn record_entry(&mut self, entry: Entry) {
        self.entries.push_in_order(entry, true);
    }

    fn take(&mut self, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        self.record.take(&snapshot);
        self.live = snapshot;
        self.live()
    }

    /// A text, as it may be seen.
    pub(crate) fn text(&self, text: String) -> String {
        match &self.mask {
            Some(mask) => mask.text(&text),
            None => text,
        }
    }

    fn masked_command(&mut self, command: Command) -> Command {
        match &mut self.mask {
            Some(mask) => mask.command(&command),
            None => command,
        }
    }

    /// What the console wants done, about whom it is really meant.
    pub(crate) fn release(&self, effect: Effect) -> Effect {
        match (&self.mask, effect) {
            (Some(mask), Effect::Send(command)) => Effect::Send(mask.real_command(command)),
            (Some(mask), Effect::Lab(command)) => Effect::Lab(mask.lab_command(command)),
            (Some(mask), Effect::Fleet(command)) => Effect::Fleet(mask.fleet_command(command)),
            (_, effect) => effect,
        }
    }

    /// Whether pseudonyms are shown.
    pub(crate) fn is_masked(&self) -> bool {
        self.mask.is_some()
    }

    /// Shows pseudonyms from now on, or no longer. Who was shown as `before` is
    /// shown as what comes back.
    pub(crate) fn set_mask(&mut self, on: bool) -> impl Fn(PeerId) -> PeerId + use<> {
        let old = self.mask.clone();
        if on && self.mask.is_none() {
            let mut mask = self.spare.take().unwrap_or_else(Mask::new);
            // Who is known by now may be named in what happened before.
            mask.meet_all(&self.record);
            self.mask = Some(mask);
        } else if !on {
            self.spare = self.mask.take().or(self.spare.take());
        }
        let new = self.mask.clone();
        move |before| {
            let real = old.as_ref().map_or(before, |mask| mask.real_id(before));
            new.clone().as_mut().map_or(real, |mask| mask.id(real))
        }
    }

    /// The newest state, as it may be seen.
    pub(crate) fn live(&mut self) -> Arc<Snapshot> {
        match &mut self.mask {
            Some(mask) => mask.snapshot(&self.live),
            None => Arc::clone(&self.live),
        }
    }

    /// What was at a time, as it may be seen.
    pub(crate) fn at(&mut self, at: Stamp) -> Option<Arc<Snapshot>> {
        let snapshot = self.record.at(at)?;
        Some(match &mut self.mask {
            Some(mask) => mask.snapshot(&snapshot),
            None => snapshot,
        })
    }

    /// When the moments are that can be gone to.
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// Keeps the newest state as a moment, whatever changed.
    pub(crate) fn keep(&mut self) {
        if self.about.is_none() {
            let live = Arc::clone(&self.live);
            self.record.take_anyway(&live);
        }
    }

    /// What happened so far, as it may be seen.
    pub(crate) fn entries(&mut self) -> Vec<Entry> {
        match &mut self.mask {
            Some(mask) => self.entries.all().map(|entry| mask.entry(entry)).collect(),
            None => self.entries.all().cloned().collect(),
        }
    }

    /// The log so far, as it may be seen.
    pub(crate) fn lines(&self) -> Vec<LogLine> {
        match &self.mask {
            Some(mask) => self.lines.all().map(|line| mask.line(line)).collect(),
            None => self.lines.all().cloned().collect(),
        }
    }

    /// The lab, as it may be seen.
    pub(crate) fn lab(&mut self) -> Option<Arc<LabView>> {
        let view = self.lab.clone()?;
        Some(match &mut self.mask {
            Some(mask) => mask.lab(&view),
            None => view,
        })
    }

    /// The fleet, as it may be seen.
    pub(crate) fn fleet(&mut self) -> Option<Arc<FleetView>> {
        let view = self.fleet.clone()?;
        Some(match &mut self.mask {
            Some(mask) => mask.fleet(&view),
            None => view,
        })
    }

    /// What the file says of itself, as it may be seen.
    pub(crate) fn about(&mut self) -> Option<About> {
        let about = self.about.clone()?;
        Some(match &mut self.mask {
            Some(mask) => about.masked(mask),
            None => about,
        })
    }

    /// Everything that is remembered. It shares what it holds with the console,
    /// so that it can be written elsewhere; it is masked only when it is written.
    pub(crate) fn bundle(&mut self, now: Stamp) -> Bundle {
        self.keep();
        let node = &self.live.node;
        let holds = Holds {
            moments: self.record.len() as u64,
            entries: self.entries.all().len() as u64,
            log_lines: self.lines.all().len() as u64,
            lab: self.lab.is_some(),
        };
        Bundle {
            about: About {
                format: FORMAT,
                program: env!("CARGO_PKG_VERSION").to_owned(),
                made: self.about.as_ref().map_or(now, |about| about.made),
                masked: self.about.as_ref().is_some_and(|about| about.masked),
                peer_id: node.peer_id,
                name: clean(&node.name),
                network: clean(&node.network),
                holds,
            },
            record: self.record.clone(),
            entries: self.entries.all().cloned().collect(),
            lines: self.lines.all().cloned().collect(),
            lab: self.lab.clone(),
            mask: self.mask.clone(),
        }
    }
}
