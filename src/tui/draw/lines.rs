//! Log lines, drawn by tui-logger's widget. Its buffer is one for the whole process and has
//! no way to a chosen line, so it is handed what is on the screen and nothing else: a
//! record for each line, whose message is the line's place, and a formatter that looks up
//! there what we have made of it. Time, words, masks and the moment so stay ours.

use std::sync::{Mutex, PoisonError};

use log::{Level, Record};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget as _;
use tui_logger::{Drain, ExtLogRecord, LogFormatter, TuiLoggerWidget};
use unicode_width::UnicodeWidthChar as _;

/// Records that tui-logger takes before they are to be moved; it loses more.
const AT_A_TIME: usize = 1_000;

/// The buffer is filled and drawn by one at a time: tests draw consoles beside each other.
static BUFFER: Mutex<()> = Mutex::new(());

/// What we have made of each line, by its place.
struct Made(Vec<Vec<Line<'static>>>);

impl LogFormatter for Made {
    fn min_width(&self) -> u16 {
        1
    }

    fn format(&self, _: usize, record: &ExtLogRecord) -> Vec<Line<'_>> {
        let made = record.msg().parse().ok().and_then(|at: usize| self.0.get(at));
        // It counts down from what it is given, and nothing would be less than that.
        made.filter(|lines| !lines.is_empty()).cloned().unwrap_or_else(|| vec![Line::default()])
    }
}

/// Draws lines, each on as many rows as it was made into: the last ones, where there is
/// no room for all.
pub(crate) fn draw(made: Vec<Vec<Line<'static>>>, area: Rect, buf: &mut Buffer) {
    if made.is_empty() || area.is_empty() {
        return;
    }
    let _alone = BUFFER.lock().unwrap_or_else(PoisonError::into_inner);
    // Another depth is an empty buffer.
    tui_logger::set_buffer_depth(made.len());
    let drain = Drain::new();
    for place in 0..made.len() {
        drain
            .log(&Record::builder().level(Level::Error).target("line").args(format_args!("{place}")).build());
        if (place + 1) % AT_A_TIME == 0 {
            tui_logger::move_events();
        }
    }
    tui_logger::move_events();
    TuiLoggerWidget::default().formatter(Box::new(Made(made))).render(area, buf);
}

/// Breaks a text behind a head into lines of a width, at spaces where it can be; further
/// lines are indented.
pub(crate) fn wrap(head: Vec<Span<'static>>, text: &str, width: usize, indent: usize) -> Vec<Line<'static>> {
    let mut line = Line::from(head);
    let mut lines = Vec::new();
    let mut rest = text;
    loop {
        let room = width.saturating_sub(line.width()).max(1);
        let fits = fitting(rest, room);
        if fits == rest.len() {
            line.push_span(Span::raw(rest.to_owned()));
            lines.push(line);
            return lines;
        }
        let space = rest[..fits].rfind(' ').filter(|at| *at > 0);
        // Where a space follows what fits, nothing is broken.
        let at = if rest[fits..].starts_with(' ') { fits } else { space.unwrap_or(fits) };
        line.push_span(Span::raw(rest[..at].to_owned()));
        rest = rest[at..].trim_start_matches(' ');
        lines.push(std::mem::replace(&mut line, Line::from(Span::raw(" ".repeat(indent)))));
        if rest.is_empty() {
            return lines;
        }
    }
}

/// How many bytes of a text fit into a room; one character does always.
fn fitting(text: &str, room: usize) -> usize {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > room && at > 0 {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[Line<'_>]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_long_line_goes_on_below_and_nothing_of_it_is_lost_at_the_border() {
        let head = || vec![Span::raw("12:00 ")];
        assert_eq!(texts(&wrap(head(), "short", 20, 2)), ["12:00 short"]);
        let lines = wrap(head(), "the peer did not answer in time", 20, 2);
        assert_eq!(texts(&lines), ["12:00 the peer did", "  not answer in time"]);
        let word = wrap(head(), &"x".repeat(40), 20, 2);
        assert_eq!(texts(&word).concat().matches('x').count(), 40);
        assert!(word.iter().all(|line| line.width() <= 20));
        assert_eq!(wrap(head(), "日本語日本語日本語", 12, 2).len(), 3, "wide characters count double");
    }

    #[test]
    fn the_last_lines_are_drawn_where_there_is_no_room_for_all_and_from_the_top_where_there_is() {
        let made = |n: usize| (0..n).map(|n| vec![Line::from(format!("line {n}"))]).collect::<Vec<_>>();
        let drawn = |n, height| {
            let area = Rect::new(0, 0, 10, height);
            let mut buf = Buffer::empty(area);
            draw(made(n), area, &mut buf);
            (0..height).map(|y| (0..10).map(|x| buf[(x, y)].symbol()).collect::<String>()).collect::<Vec<_>>()
        };
        assert_eq!(drawn(3, 2), ["line 1    ", "line 2    "]);
        assert_eq!(drawn(1, 2), ["line 0    ", "          "]);
        let many = drawn(2_500, 3);
        assert_eq!(many[2], "line 2499 ", "more than the widget takes at a time");
    }
}
