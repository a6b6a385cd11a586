//! Log lines for whoever shows them: a console here, or one that attaches.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::model::{LogLevel, LogLine, Stamp, printable};

/// The longest text of a line, in bytes.
const TEXT_MAX: usize = 2_000;

/// A layer that hands every line on. What it hands it to must not wait.
#[derive(Debug)]
pub struct Tap<F>(pub F);

impl<S: tracing::Subscriber, F: Fn(LogLine) + 'static> Layer<S> for Tap<F> {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        (self.0)(line_of(event));
    }
}

fn line_of(event: &tracing::Event<'_>) -> LogLine {
    let mut text = Text::default();
    event.record(&mut text);
    let level = match *event.metadata().level() {
        tracing::Level::ERROR => LogLevel::Error,
        tracing::Level::WARN => LogLevel::Warn,
        tracing::Level::INFO => LogLevel::Info,
        tracing::Level::DEBUG => LogLevel::Debug,
        tracing::Level::TRACE => LogLevel::Trace,
    };
    LogLine {
        at: Stamp(jiff::Timestamp::now().as_millisecond()),
        level,
        target: event.metadata().target().to_owned(),
        text: text.line(),
    }
}

/// The message, and behind it the fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn line(self) -> String {
        let mut text = printable(&(self.message + &self.fields));
        if let Some((cut, _)) = text.char_indices().find(|(at, _)| *at >= TEXT_MAX) {
            text.truncate(cut);
        }
        text
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String never fails.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}: {value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value}"),
            name => write!(self.fields, " {name}: {value}"),
        };
    }
}
