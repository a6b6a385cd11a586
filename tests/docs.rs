//! The documentation holds together: every link leads somewhere, and the book's
//! table of contents names every page.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README, ARCHITECTURE and all pages of the book.
fn pages() -> Vec<PathBuf> {
    let book = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = book.filter(|p| p.extension().is_some_and(|e| e == "md")).collect();
    all.extend(["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(|name| root().join(name)));
    all
}

/// Where the links of a page lead, without those in blocks of code.
fn links(text: &str) -> Vec<String> {
    let mut code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        code ^= line.starts_with("```");
        if !code {
            let ends = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            found.extend(ends.map(|(link, _)| link.to_owned()));
        }
    }
    found
}

/// A heading as the anchor that leads to it.
fn anchor(heading: &str) -> String {
    let lower = heading.to_lowercase();
    let kept = lower.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().trim().replace(' ', "-")
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text).iter().filter(|l| !l.starts_with("http")) {
            let (file, section) = link.split_once('#').map_or((link.as_str(), None), |(f, s)| (f, Some(s)));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let headings = || {
                let text = fs::read_to_string(&target).unwrap_or_default();
                text.lines().filter(|l| l.starts_with('#')).map(anchor).collect::<Vec<_>>()
            };
            if !target.exists() || section.is_some_and(|s| !headings().iter().any(|h| h == s)) {
                broken.push(format!("{}: {link}", page.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_books_table_of_contents_names_every_page() {
    let contents = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let named: BTreeSet<String> = links(&contents).into_iter().collect();
    let pages = pages().into_iter().filter(|p| p.parent().unwrap().ends_with("docs"));
    let there: BTreeSet<String> = pages
        .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
        .filter(|name| name != "SUMMARY.md")
        .collect();
    assert_eq!(named, there);
}
