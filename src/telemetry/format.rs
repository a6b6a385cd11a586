//! How a line is written: for people, or for programs.
//!
//! Both are made from the same fields. A person reads the kind of an event in
//! its message and knows peers by the beginning of their ids; a program finds
//! both whole, in fields of their own.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing_subscriber::field::{RecordFields, VisitOutput};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};
use tracing_subscriber::{Layer, Registry, fmt as lines};

use super::LogQueue;

/// The kind of an event; for people it stands in the message already.
const KIND: &str = "kind";
/// A peer's id.
const PEER_ID: &str = "peer_id";
/// As much of an id as people are shown everywhere.
const SHORT: usize = 6;

/// Lines for people.
pub(super) fn text(queue: &LogQueue, colours: bool) -> impl Layer<Registry> + Send + Sync + use<> {
    lines::layer().fmt_fields(ForPeople).with_ansi(colours).with_writer(queue.writer())
}

/// One flat object a line: `timestamp`, `level`, `target`, `message`, and the
/// fields.
pub(super) fn json(queue: &LogQueue) -> impl Layer<Registry> + Send + Sync + use<> {
    lines::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(queue.writer())
}

struct ForPeople;

impl<'w> FormatFields<'w> for ForPeople {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Shortening(DefaultVisitor::new(writer, true));
        fields.record(&mut visitor);
        visitor.0.finish()
    }
}

/// Leaves out what only programs want.
struct Shortening<'w>(DefaultVisitor<'w>);

impl Visit for Shortening<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            KIND => {}
            PEER_ID => self.0.record_str(field, value.get(..SHORT).unwrap_or(value)),
            _ => self.0.record_str(field, value),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.0.record_error(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.record_debug(field, value);
    }
}
