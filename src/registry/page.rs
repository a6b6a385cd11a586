//! `/`: one HTML file with its own style and script.
//!
//! A browser runs nothing in it but what bears this answer's nonce, and lets it
//! talk to nobody but us: a name with markup in it stays text even if the
//! script had a hole. The figures of the moment are in it, for the script to
//! begin with and for a browser without scripts.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::answers::{KpiPage, Overview, WINDOW_DEFAULT};
use super::http::{App, LetIn};
use crate::model::{CriterionView, Unit};

const PAGE: &str = include_str!("../../assets/registry.html");

pub(super) async fn page(
    State(app): State<Arc<App>>,
    Extension(LetIn(let_in)): Extension<LetIn>,
) -> Response {
    let overview = if let_in { app.ledger.overview(WINDOW_DEFAULT, None).await.ok() } else { None };
    let nonce = format!("{:032x}", rand::random::<u128>());
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    let html = PAGE
        .replace("__NONCE__", &nonce)
        .replace("__SUMMARY__", &overview.as_ref().map(|o| summary(&o.kpi)).unwrap_or_default())
        .replace("__FIRST__", &overview.map_or_else(|| "null".to_owned(), |o| data(&o)));
    (headers, html).into_response()
}

/// JSON inside HTML: no character of it ends the element that it stands in.
fn data(overview: &Overview) -> String {
    let json = serde_json::to_string(overview).unwrap_or_else(|_| "null".to_owned());
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}

/// For browsers without scripts. There is no text of anybody's in it.
fn summary(kpi: &KpiPage) -> String {
    if kpi.last_report_s.is_none() {
        return "<p>nobody has reported yet</p>".to_owned();
    }
    let rows: String = kpi.kpi.criteria.iter().map(row).collect();
    format!(
        "<p>the last hour, {} nodes</p><table><tr><th>criterion</th><th>measured</th><th>value</th>\
         <th>target</th><th></th></tr>{rows}</table>",
        kpi.population.nodes
    )
}

fn row(c: &CriterionView) -> String {
    let time = c.unit == Unit::Ms;
    let value = match c.value {
        None => "-".to_owned(),
        Some(ms) if time => format!("{ms:.0} ms"),
        Some(rate) => format!("{:.1} %", rate * 100.0),
    };
    let parts = if time {
        format!("{} ms over {}", c.numerator, c.denominator)
    } else {
        format!("{} of {}", c.numerator, c.denominator)
    };
    let verdict = match c.met {
        None => "nothing measured",
        Some(true) => "met",
        Some(false) => "missed",
    };
    let few = if c.met.is_some() && c.n_too_small { ", n too small" } else { "" };
    format!(
        "<tr><td>{}</td><td>{parts}</td><td>{value}</td><td>{}</td><td>{verdict}{few}</td></tr>",
        c.title, c.target
    )
}
