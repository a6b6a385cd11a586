//! The log pane's source: a layer for the process-wide subscriber, and the
//! widget that shows what it caught. It starts no thread; what was caught is
//! moved into the widget's buffer when a frame is drawn.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;
use tokio::sync::Notify;
use tracing::span;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use tui_logger::{
    ExtLogRecord, LevelFilter, LogFormatter, TuiLoggerWidget, TuiTracingSubscriberLayer, TuiWidgetEvent,
    TuiWidgetState,
};

use super::app::Move;
use super::theme::Theme;
use super::view::hint;

/// Lines kept for scrolling back.
const KEPT: usize = 5_000;
/// Lines caught between two frames; more are counted and dropped.
const CAUGHT: usize = 2_000;

/// Lines caught so far in this process.
static SEEN: AtomicU64 = AtomicU64::new(0);
static INSTALLED: OnceLock<()> = OnceLock::new();
static NEWS: Notify = Notify::const_new();

/// A layer that catches log lines for the console, with `targets` in front of
/// it: what they refuse is not even formatted.
///
/// The lines are process-wide, so there is one such layer: a second call
/// returns `None`.
pub fn log_layer<S>(targets: Targets) -> Option<impl Layer<S> + Send + Sync + 'static>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a> + 'static,
{
    INSTALLED.set(()).ok()?;
    tui_logger::set_hot_buffer_depth(CAUGHT);
    tui_logger::set_buffer_depth(KEPT);
    // The targets in front decide; nothing is to be filtered twice.
    tui_logger::set_default_level(LevelFilter::Trace);
    Some(Layer::<S>::with_filter(Tap(TuiTracingSubscriberLayer), targets))
}

/// Passes everything on and says that something came.
struct Tap(TuiTracingSubscriberLayer);

impl<S> Layer<S> for Tap
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attrs: &span::Attributes<'_>, id: &span::Id, cx: Context<'_, S>) {
        self.0.on_new_span(attrs, id, cx);
    }

    fn on_event(&self, event: &tracing::Event<'_>, cx: Context<'_, S>) {
        self.0.on_event(event, cx);
        SEEN.fetch_add(1, Ordering::Relaxed);
        NEWS.notify_one();
    }
}

/// Waits until a line was caught.
pub(super) async fn news() {
    NEWS.notified().await;
}

/// Whether log lines are shown, and how far one scrolled back in them.
#[derive(Default)]
pub(crate) enum Logs {
    /// None are caught in this process, or a test wants none.
    #[default]
    Off,
    /// The node runs elsewhere, and so does its log.
    Elsewhere,
    /// The lines that the layer caught.
    On(TuiWidgetState),
}

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::On(_)) { "On" } else { "Off" })
    }
}

impl Logs {
    /// On if a layer is installed in this process.
    pub(crate) fn of_process() -> Self {
        if INSTALLED.get().is_some() { Self::On(TuiWidgetState::new()) } else { Self::Off }
    }

    /// Scrolls by pages; the last row follows what comes.
    pub(crate) fn go(&self, step: Move) {
        if let Self::On(state) = self {
            state.transition(match step {
                Move::Up(_) | Move::Top => TuiWidgetEvent::PrevPageKey,
                Move::Down(_) => TuiWidgetEvent::NextPageKey,
                Move::Bottom => TuiWidgetEvent::EscapeKey,
            });
        }
    }

    /// Draws the newest lines, or those scrolled to.
    pub(crate) fn draw(&self, theme: &Theme, area: Rect, buf: &mut Buffer) {
        match self {
            Self::Off => {
                hint(theme, "no log is caught", area, buf);
            }
            Self::Elsewhere => {
                let text = "the node keeps its log: punchdeck.log in its data directory, or its service's";
                hint(theme, text, area, buf);
            }
            Self::On(state) => {
                tui_logger::move_events();
                if SEEN.load(Ordering::Relaxed) == 0 {
                    hint(theme, "nothing logged yet", area, buf);
                    return;
                }
                TuiLoggerWidget::default()
                    .formatter(Box::new(OneLine { theme: theme.clone() }))
                    .state(state)
                    .render(area, buf);
            }
        }
    }
}

/// One row a line: time, level as a word, target, message.
struct OneLine {
    theme: Theme,
}

impl LogFormatter for OneLine {
    fn min_width(&self) -> u16 {
        8
    }

    fn format(&self, width: usize, line: &ExtLogRecord) -> Vec<Line<'_>> {
        let (word, style) = match line.level.as_str() {
            "ERROR" => ("error", self.theme.bad),
            "WARN" => ("warn", self.theme.warn),
            "INFO" => ("info", Style::new()),
            "DEBUG" => ("debug", self.theme.dim),
            _ => ("trace", self.theme.dim),
        };
        let time = line.timestamp.strftime("%H:%M:%S").to_string();
        let head = 1 + time.len() + 7;
        let text = format!("{}:{}", short_target(line.target()), line.msg());
        let text = crate::model::ellipsize(&text, width.saturating_sub(head), '…');
        vec![Line::from(vec![
            Span::styled(format!(" {time} "), self.theme.dim),
            Span::styled(format!("{word:<5} "), style),
            Span::raw(text),
        ])]
    }
}

/// The last part of a module path: the crate is known, the room is small.
fn short_target(target: &str) -> &str {
    target.rsplit("::").next().unwrap_or(target)
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::prelude::*;

    use super::*;

    #[test]
    fn there_is_one_layer_in_a_process_and_it_shows_what_its_targets_let_through() {
        let targets = Targets::new().with_target("shown_here", tracing::Level::INFO);
        let layer = log_layer::<tracing_subscriber::Registry>(targets.clone()).expect("the first");
        assert!(log_layer::<tracing_subscriber::Registry>(targets).is_none());

        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "shown_here", peers = 7, "synced \u{1b}[31mall");
            tracing::debug!(target: "shown_here", "too fine");
            tracing::error!(target: "another", "not asked for");
        });

        let area = Rect::new(0, 0, 60, 4);
        let mut buf = Buffer::empty(area);
        let theme = Theme::resolve(Some(false), crate::tui::GlyphChoice::Unicode, |_| None);
        Logs::of_process().draw(&theme, area, &mut buf);
        let text: String = buf.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        assert!(text.contains("info  shown_here: synced [31mall peers: 7"), "{text}");
        assert!(!text.contains("too fine") && !text.contains("not asked"), "{text}");
    }
}
