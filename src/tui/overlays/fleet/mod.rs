//! The fleet: its nodes or the matrix of their links, which of them is chosen, what two ends
//! disagree about and for how long, and what a key asks.

mod compared;
mod matrix;
mod nodes;

use std::sync::Arc;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::model::truth::NOTICED_WITHIN;
use crate::model::{Comparison, Disagreement, Member, Standing, disagreements};
use crate::tui::bindings::FleetKey;
use crate::tui::draw::{Drawn, Pen};
use crate::tui::fleet::{FleetCommand, FleetSaid, FleetView};
use crate::tui::lists::Move;

/// What is shown of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Page {
    /// A line a node.
    #[default]
    Nodes,
    /// What each says of its link to each.
    Matrix,
}

/// What the console knows of its fleet.
#[derive(Debug)]
pub(crate) struct FleetPanel {
    view: Arc<FleetView>,
    page: Page,
    /// Whether the order is by name, and not the worst first.
    by_name: bool,
    /// The nodes in the order in which they are shown, by their place in the view.
    order: Vec<usize>,
    /// The chosen node, by its name: rows move.
    chosen: Option<String>,
    /// The chosen column of the matrix, by its node's name.
    column: Option<String>,
    /// The node that another one is to be compared with.
    marked: Option<String>,
    /// The node that the console was on before.
    before: Option<String>,
    /// What ends disagree about, and since when, by the console's time.
    disagreed: Vec<(Disagreement, Duration)>,
    /// The first line on the screen.
    top: usize,
    /// The first line of a comparison on the screen.
    compared_top: usize,
}

impl FleetPanel {
    /// On the state that comes first.
    pub(crate) fn new(view: Arc<FleetView>, at: Duration) -> Self {
        let mut panel = Self {
            chosen: Some(view.shown.clone()),
            view: Arc::clone(&view),
            page: Page::default(),
            by_name: false,
            order: Vec::new(),
            column: None,
            marked: None,
            before: None,
            disagreed: Vec::new(),
            top: 0,
            compared_top: 0,
        };
        panel.take(view, at);
        panel
    }

    /// Takes in the newest state. Returns what came of the last command, if that is new.
    pub(crate) fn on_view(&mut self, view: Arc<FleetView>, at: Duration) -> Option<FleetSaid> {
        let said = view.said.clone().filter(|said| self.view.said.as_ref() != Some(said));
        if view.shown != self.view.shown {
            self.before = Some(self.view.shown.clone());
        }
        self.take(view, at);
        said
    }

    fn take(&mut self, view: Arc<FleetView>, at: Duration) {
        let since = |found: &Disagreement| {
            self.disagreed.iter().find(|(known, _)| known.is_same(found)).map_or(at, |(_, since)| *since)
        };
        self.disagreed = disagreements(&view.nodes)
            .into_iter()
            .map(|found| {
                let since = since(&found);
                (found, since)
            })
            .collect();
        self.view = view;
        self.put_in_order();
    }

    /// Shows the same nodes under other names.
    pub(crate) fn tell_anew(&mut self, view: Arc<FleetView>) {
        let place = |name: &Option<String>| {
            name.as_ref().and_then(|name| self.view.nodes.iter().position(|node| node.name == *name))
        };
        let places = [&self.chosen, &self.column, &self.marked, &self.before].map(place);
        let [chosen, column, marked, before] =
            places.map(|place| place.and_then(|place| view.nodes.get(place)).map(|node| node.name.clone()));
        (self.chosen, self.column, self.marked, self.before) = (chosen, column, marked, before);
        // The same ends, in the same order.
        let sinces: Vec<Duration> = self.disagreed.iter().map(|(_, since)| *since).collect();
        self.disagreed = disagreements(&view.nodes).into_iter().zip(sinces).collect();
        self.view = view;
        self.put_in_order();
    }

    fn put_in_order(&mut self) {
        let nodes = &self.view.nodes;
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        if self.by_name {
            order.sort_by(|a, b| nodes[*a].name.cmp(&nodes[*b].name));
        } else {
            let wrong = |at: usize| nodes[at].brief().map(|brief| &brief.wrong);
            order.sort_by(|a, b| (nodes[*a].rank(), wrong(*a)).cmp(&(nodes[*b].rank(), wrong(*b))));
        }
        self.order = order;
        // A lab tells of its nodes only after its console is there.
        if self.chosen().is_none() {
            let shown = self.named(Some(&self.view.shown)).or_else(|| self.rows().next());
            self.chosen = shown.map(|node| node.name.clone());
        }
    }

    /// The fleet is looked at anew.
    pub(crate) fn open(&mut self) {
        self.top = 0;
    }

    /// The nodes in the order in which they are shown.
    fn rows(&self) -> impl Iterator<Item = &Member> {
        self.order.iter().filter_map(|at| self.view.nodes.get(*at))
    }

    fn named(&self, name: Option<&String>) -> Option<&Member> {
        self.view.nodes.iter().find(|node| Some(&node.name) == name)
    }

    /// The chosen node.
    fn chosen(&self) -> Option<&Member> {
        self.named(self.chosen.as_ref())
    }

    /// The node of the chosen column.
    fn column(&self) -> Option<&Member> {
        self.named(self.column.as_ref()).or_else(|| self.rows().next())
    }

    /// Where a node stands among the rows.
    fn place(&self, name: Option<&String>) -> usize {
        self.rows().position(|node| Some(&node.name) == name).unwrap_or(0)
    }

    /// Moves the choice.
    pub(crate) fn go(&mut self, step: Move) {
        let last = self.order.len().saturating_sub(1);
        let at = step.apply(self.place(self.chosen.as_ref()), last);
        self.choose(at);
    }

    /// Chooses a row.
    pub(crate) fn choose(&mut self, row: usize) {
        let found = self.rows().nth(row).map(|node| node.name.clone());
        if found.is_some() {
            self.chosen = found;
        }
    }

    /// Moves the choice of a column.
    fn go_aside(&mut self, step: Move) {
        let last = self.order.len().saturating_sub(1);
        let now = self.column().map(|node| node.name.clone());
        let at = step.apply(self.place(now.as_ref()), last);
        let found = self.rows().nth(at).map(|node| node.name.clone());
        self.column = found;
    }

    /// Scrolls a comparison.
    pub(crate) fn go_compared(&mut self, step: Move) {
        self.compared_top = step.apply(self.compared_top, usize::MAX);
    }

    /// What lasts long enough that it is not the one end which heard of it first.
    fn findings(&self, at: Duration) -> impl Iterator<Item = &Disagreement> {
        let old = move |(_, since): &&(Disagreement, Duration)| at.saturating_sub(*since) >= NOTICED_WITHIN;
        self.disagreed.iter().filter(old).map(|(found, _)| found)
    }

    /// What two nodes disagree about, however lately.
    fn disagreement(&self, one: &str, other: &str) -> Option<&Disagreement> {
        let between = |(found, _): &&(Disagreement, Duration)| {
            let [a, b] = &found.ends;
            (a == one && b == other) || (a == other && b == one)
        };
        self.disagreed.iter().find(between).map(|(found, _)| found)
    }

    /// The newest comparison.
    pub(crate) fn compared(&self) -> Option<&Arc<Comparison>> {
        self.view.compared.as_ref()
    }

    /// Whether the matrix is shown.
    pub(crate) fn is_matrix(&self) -> bool {
        self.page == Page::Matrix
    }

    /// What a key asks for, or why it cannot.
    pub(crate) fn possible(&self, key: FleetKey) -> Result<(), String> {
        match key {
            FleetKey::Show => self.to_show().map(|_| ()),
            FleetKey::Back => self.to_return().map(|_| ()),
            FleetKey::Compare => answering(self.chosen()).map(|_| ()),
            FleetKey::Left | FleetKey::Right if self.page == Page::Nodes => {
                Err("only the matrix has columns".to_owned())
            }
            FleetKey::Left | FleetKey::Right | FleetKey::Turn | FleetKey::Order => Ok(()),
        }
    }

    /// Does what a key asks; what is left to be done by others.
    pub(crate) fn on_key(&mut self, key: FleetKey) -> FleetDone {
        match key {
            FleetKey::Show => self.to_show().map_or(FleetDone::Nothing, FleetDone::Ask),
            FleetKey::Back => self.to_return().map_or(FleetDone::Nothing, FleetDone::Ask),
            FleetKey::Compare => self.compare(),
            FleetKey::Left => {
                self.go_aside(Move::Up(1));
                FleetDone::Nothing
            }
            FleetKey::Right => {
                self.go_aside(Move::Down(1));
                FleetDone::Nothing
            }
            FleetKey::Turn => {
                self.page = if self.is_matrix() { Page::Nodes } else { Page::Matrix };
                self.top = 0;
                FleetDone::Nothing
            }
            FleetKey::Order => {
                self.by_name = !self.by_name;
                self.put_in_order();
                FleetDone::Nothing
            }
        }
    }

    fn to_show(&self) -> Result<FleetCommand, String> {
        let name = &answering(self.chosen())?.name;
        if *name == self.view.shown {
            return Err(format!("the console is on {name} already"));
        }
        Ok(FleetCommand::Show(name.clone()))
    }

    fn to_return(&self) -> Result<FleetCommand, String> {
        let before = self.before.as_ref().ok_or("the console was on no other node before")?;
        Ok(FleetCommand::Show(answering(self.named(Some(before)))?.name.clone()))
    }

    /// The first press takes a node, the second compares it with another one.
    fn compare(&mut self) -> FleetDone {
        let Some(chosen) = self.chosen.clone() else { return FleetDone::Nothing };
        match self.marked.take() {
            Some(marked) if marked == chosen => FleetDone::Nothing,
            Some(marked) => {
                self.compared_top = 0;
                FleetDone::Ask(FleetCommand::Compare([marked, chosen]))
            }
            None => {
                self.marked = Some(chosen.clone());
                FleetDone::Marked(chosen)
            }
        }
    }

    /// Draws it.
    pub(super) fn draw(&self, pen: &Pen<'_>, body: Rect, buf: &mut Buffer) -> Drawn {
        match self.page {
            Page::Nodes => nodes::draw(self, pen, body, buf),
            Page::Matrix => matrix::draw(self, pen, body, buf),
        }
    }

    /// Draws the newest comparison.
    pub(super) fn draw_compared(&self, pen: &Pen<'_>, body: Rect, buf: &mut Buffer) -> Drawn {
        let Some(compared) = self.compared() else { return Drawn::default() };
        compared::draw(compared, pen, (self.compared_top, body), buf)
    }

    /// Takes in how it was drawn.
    pub(super) fn on_drawn(&mut self, drawn: Drawn) {
        self.top = drawn.top;
    }

    /// Takes in how the comparison was drawn.
    pub(super) fn on_compared_drawn(&mut self, drawn: Drawn) {
        self.compared_top = drawn.top;
    }
}

/// What is left to be done of what a key asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FleetDone {
    /// Nothing.
    Nothing,
    /// That, by whoever asks the nodes.
    Ask(FleetCommand),
    /// This node waits for another one to be compared with.
    Marked(String),
}

/// The node, if it can be asked anything.
fn answering(node: Option<&Member>) -> Result<&Member, String> {
    let node = node.ok_or("no node is chosen")?;
    match &node.standing {
        Standing::Silent { .. } => Err(format!("{} does not answer", node.name)),
        Standing::Asked => Err(format!("{} has not answered yet", node.name)),
        Standing::Here { .. } | Standing::Older { .. } => Ok(node),
    }
}
