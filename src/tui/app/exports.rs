//! What the console shows as a text for a file: a JSON object a line, or a table where the
//! file's name ends in `.csv`. What is masked on the screen is masked in it.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use super::App;
use crate::model::KpiSeries;
use crate::model::contract::{EventLine, Peers, WhyReport, rfc3339};
use crate::tui::bindings::{Action, Scope};
use crate::tui::commands::Tone;
use crate::tui::entry::Entry;
use crate::tui::fmt;
use crate::tui::message::{Effect, Export, ExportEnd};
use crate::tui::overlays::Exported;

impl App {
    /// What is to be written, and where.
    pub(super) fn exported(&self, what: Exported, file: &str) -> Result<Export, String> {
        let rows = match what {
            Exported::Events => self.events(),
            Exported::Peers => Peers::new(self.shown()).peers.iter().map(row).collect(),
            Exported::Kpi => self.shown().kpi.series.iter().flat_map(points).collect(),
            Exported::Why => vec![row(&self.explanation()?)],
        };
        if rows.is_empty() {
            return Err(format!("there are no {} to write", what.name()));
        }
        let path = PathBuf::from(file);
        let text = if is_table(&path) { table(&rows) } else { lines(&rows) };
        Ok(Export { path, text, rows: rows.len(), over: false })
    }

    /// What came of it; where a file is there already somebody is asked.
    pub(super) fn on_exported(&mut self, export: Export, end: ExportEnd) {
        let path = export.path.display();
        match end {
            ExportEnd::Done(bytes) => {
                let rows = fmt::count(export.rows as u64, "row");
                let text = format!("wrote {rows} to {path} ({})", fmt::bytes(bytes));
                self.say(Tone::Good, text);
            }
            ExportEnd::IsThere => {
                let text = format!("{path} is there already. Write over it?");
                self.put_question(text, None, Effect::Export(Export { over: true, ..export }));
            }
            ExportEnd::Failed(why) => {
                let text = format!("nothing was written to {path}: {why}");
                self.say(Tone::Bad, text);
            }
        }
    }

    /// The events that are shown, oldest first; not what the console adds to them.
    fn events(&self) -> Vec<Value> {
        let log = self.panes.events.log();
        let mut rows: Vec<Value> = log
            .newest()
            .filter_map(|entry| match entry {
                Entry::Event(event) => Some(row(&EventLine::new(event))),
                _ => None,
            })
            .collect();
        rows.reverse();
        rows
    }

    fn explanation(&self) -> Result<WhyReport, String> {
        let peer = self.known(self.target())?.peer_id;
        let answer = self.overlays.asked(peer).and_then(|asked| asked.answer.as_deref());
        let key = self.settings.keys.key_of(Scope::Main, Action::Why);
        let why = answer.ok_or_else(|| format!("the node gave no explanation yet ({key} asks for it)"))?;
        Ok(WhyReport::new(why, self.shown().at, |step| self.settings.keys.key_of_next(step)))
    }
}

fn row(what: &impl Serialize) -> Value {
    serde_json::to_value(what).unwrap_or_default()
}

/// Attempts over time: a row for each part of a span.
fn points(series: &KpiSeries) -> impl Iterator<Item = Value> {
    let part_ms = series.part_ms;
    series.points.iter().map(move |point| {
        let mut fields = match row(point) {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        fields.insert("from".to_owned(), rfc3339(point.from).into());
        fields.insert("part_ms".to_owned(), part_ms.into());
        Value::Object(fields)
    })
}

fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"))
}

fn lines(rows: &[Value]) -> String {
    rows.iter().fold(String::new(), |out, row| out + &row.to_string() + "\n")
}

/// As RFC 4180 has it. Fields are those of all rows, in the order of their names; what is
/// no plain value stands as JSON in its field.
fn table(rows: &[Value]) -> String {
    let mut names: Vec<&String> = rows.iter().filter_map(Value::as_object).flat_map(Map::keys).collect();
    names.sort_unstable();
    names.dedup();
    let mut out = line(names.iter().map(|name| (*name).clone()));
    for row in rows {
        out += &line(names.iter().map(|name| match row.get(*name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }));
    }
    out
}

fn line(fields: impl Iterator<Item = String>) -> String {
    let quoted = fields.map(|field| {
        let plain = !field.contains([',', '"', '\n', '\r']);
        if plain { field } else { format!("\"{}\"", field.replace('"', "\"\"")) }
    });
    quoted.collect::<Vec<_>>().join(",") + "\r\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_has_a_column_for_each_field_and_keeps_commas_and_quotes() {
        let rows = [json!({"b": "x,\"y\"", "a": 1}), json!({"a": null, "c": ["z"]})];
        assert_eq!(table(&rows), "a,b,c\r\n1,\"x,\"\"y\"\"\",\r\n,,\"[\"\"z\"\"]\"\r\n");
        assert_eq!(lines(&rows[..1]), "{\"a\":1,\"b\":\"x,\\\"y\\\"\"}\n");
        assert!(is_table(Path::new("x.CSV")) && !is_table(Path::new("x.jsonl")));
    }
}
