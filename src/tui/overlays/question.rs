//! A question before something that cannot simply be taken back.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Widget, Wrap};

use crate::tui::bindings::{Action, Scope};
use crate::tui::draw::{Drawn, Pen, frame};
use crate::tui::line::TextLine;
use crate::tui::message::Effect;

/// A question, and what a yes does.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// In words.
    text: String,
    /// The name that has to be typed, if a key is not enough, and what is typed of it.
    name: Option<(String, TextLine)>,
    effect: Effect,
}

impl Question {
    /// A question that a key answers; or, where there is a `name`, typing that.
    pub(crate) fn new(text: String, name: Option<String>, effect: Effect) -> Self {
        Self { text, name: name.map(|name| (name, TextLine::default())), effect }
    }

    /// In words.
    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What the keys mean.
    pub(super) fn scope(&self) -> Scope {
        match (&self.name, &self.effect) {
            (Some(_), _) => Scope::Name,
            (None, Effect::Quit) => Scope::Leave,
            (None, _) => Scope::Confirm,
        }
    }

    /// What is typed, to be changed.
    pub(super) fn line_mut(&mut self) -> Option<&mut TextLine> {
        self.name.as_mut().map(|(_, line)| line)
    }

    /// The name that has to be typed, if something else is.
    pub(crate) fn missing(&self) -> Option<&str> {
        let (name, line) = self.name.as_ref()?;
        (name != line.text().trim()).then_some(name)
    }

    /// What a yes does.
    pub(crate) fn into_effect(self) -> Effect {
        self.effect
    }

    /// Draws it in a box; its keys stand in the footer and below it.
    pub(super) fn draw(&self, pen: &Pen<'_>, body: Rect, buf: &mut Buffer) -> Drawn {
        let width = 60.min(body.width);
        let area = frame::centred(body, width, if self.name.is_some() { 8 } else { 6 });
        Clear.render(area, buf);
        let inner = frame::boxed(Line::styled(" Sure? ", pen.theme.strong), pen.theme.warn, area, buf);
        let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
        Paragraph::new(self.text.as_str())
            .wrap(Wrap { trim: true })
            .render(Rect { height: inner.height.saturating_sub(1), ..inner }, buf);
        if let Some((name, line)) = &self.name {
            let label = format!("type {name} to do it:");
            let line = frame::typed(pen, &label, line, inner.width.into(), true);
            frame::put(buf, (inner.x, inner.bottom() - 3), &line, inner.width);
        }
        let mut spans = Vec::new();
        for action in [Action::Yes, Action::No] {
            if let Some(bound) = pen.keys.find(self.scope(), action) {
                spans.push(Span::styled(bound.key(), pen.theme.accent));
                spans.push(Span::raw(format!(" {}   ", bound.label)));
            }
        }
        buf.set_line(inner.x, inner.bottom() - 1, &Line::from(spans), inner.width);
        Drawn::default()
    }
}
