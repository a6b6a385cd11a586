//! Takes the pictures of `assets/screens`: the real program in a terminal, on a
//! real fleet of the lab. Nothing in them is made up; each run gives other ids
//! and times.
//!
//! ```text
//! cargo build && cargo run --example screens            # or with the path of another binary
//! ```
//!
//! Each picture is written as a text and as an SVG of the cells that the terminal
//! has.

#[path = "../tests/pty/mod.rs"]
mod pty;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use portable_pty::CommandBuilder;
use pty::Console;
use vt100::{Cell, Color, Screen};

/// Where they go.
const DIR: &str = "assets/screens";
/// A cell in the picture's units.
const CELL: (f64, f64) = (8.4, 17.0);
/// The sixteen colours of a terminal on a dark ground.
const PALETTE: [&str; 16] = [
    "#1b1f24", "#e5534b", "#57ab5a", "#c69026", "#539bf5", "#b083f0", "#39c5cf", "#adbac7", "#768390",
    "#ff938a", "#6bc46d", "#daaa3f", "#6cb6ff", "#dcbdfb", "#56d4dd", "#ffffff",
];
const GROUND: &str = "#1b1f24";
const INK: &str = "#d3dbe3";

fn main() -> Result<()> {
    let binary = match std::env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => beside_us()?,
    };
    ensure!(binary.is_file(), "there is no {}: cargo build makes it", binary.display());
    fs::create_dir_all(DIR)?;
    lab(&binary)
}

/// The program that was built with this one.
fn beside_us() -> Result<PathBuf> {
    let us = std::env::current_exe()?;
    let target = us.parent().and_then(Path::parent).context("no directory of builds")?;
    Ok(target.join("punchdeck"))
}

/// A node behind a symmetric NAT, in the lab with its usual eight nodes.
fn lab(binary: &Path) -> Result<()> {
    let home = tempfile::tempdir()?;
    let mut command = CommandBuilder::new(binary);
    command.arg("lab");
    command.env_clear();
    command.env("HOME", home.path());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let mut console = Console::start(command, 140, 40, true)?;
    console.wait_for("links 7")?;
    // Until its NAT is measured and a first link has left its relay or not.
    std::thread::sleep(Duration::from_secs(45));
    console.press("s")?;
    console.wait_for("sync")?;
    take(&console, "six-panes", 1)?;

    console.press("/path=relayed\r\r")?;
    console.wait_for("Why is")?;
    take(&console, "why", 2)?;
    console.press("q")?;
    pause();
    console.press("\x1b")?;
    pause();

    console.press("6z")?;
    take(&console, "kpi", 1)?;
    console.press("z1l")?;
    take(&console, "lab", 1)?;
    console.press("q")?;
    pause();

    console.resize(100, 30)?;
    take(&console, "four-panes", 1)?;
    console.resize(80, 24)?;
    take(&console, "one-pane", 1)?;
    console.press("q")?;
    console.wait_for_end(Duration::from_secs(60))
}

fn pause() {
    std::thread::sleep(Duration::from_millis(500));
}

/// Writes what is on the screen after some seconds.
fn take(console: &Console, name: &str, seconds: u64) -> Result<()> {
    std::thread::sleep(Duration::from_secs(seconds));
    let (text, picture) = console.look(|screen| (text(screen), svg(screen)));
    fs::write(format!("{DIR}/{name}.txt"), text)?;
    fs::write(format!("{DIR}/{name}.svg"), picture)?;
    Ok(())
}

fn text(screen: &Screen) -> String {
    let mut text = String::new();
    for line in screen.rows(0, screen.size().1.get()) {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How a cell looks: its ink, its ground, and whether it is bold or faint.
#[derive(Debug, Clone, PartialEq)]
struct Look {
    ink: String,
    ground: String,
    bold: bool,
    faint: bool,
}

impl Look {
    fn of(cell: &Cell) -> Self {
        let (mut ink, mut ground) = (colour(cell.fgcolor(), INK), colour(cell.bgcolor(), GROUND));
        if cell.inverse() {
            std::mem::swap(&mut ink, &mut ground);
        }
        Self { ink, ground, bold: cell.bold(), faint: cell.dim() }
    }
}

fn colour(colour: Color, default: &str) -> String {
    match colour {
        Color::Default => default.to_owned(),
        Color::Idx(n) => indexed(n),
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
    }
}

/// The colours of a terminal with 256: sixteen of its own, a cube, and greys.
fn indexed(n: u8) -> String {
    if let Some(own) = PALETTE.get(usize::from(n)) {
        return (*own).to_owned();
    }
    if n >= 232 {
        let grey = 8 + 10 * (n - 232);
        return format!("#{grey:02x}{grey:02x}{grey:02x}");
    }
    let step = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
    let n = n - 16;
    format!("#{:02x}{:02x}{:02x}", step(n / 36), step(n / 6 % 6), step(n % 6))
}

fn svg(screen: &Screen) -> String {
    let (rows, columns) = (screen.size().0.get(), screen.size().1.get());
    let (width, height) = (f64::from(columns) * CELL.0 + 16.0, f64::from(rows) * CELL.1 + 16.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{GROUND}\"/>\n"
    );
    for row in 0..rows {
        let cells = (0..columns).filter_map(|column| Some((column, screen.cell(row, column)?)));
        let mut run: Option<(u16, u16, Look, String)> = None;
        for (column, cell) in cells {
            let (look, text) = (Look::of(cell), cell.contents());
            let text = if text.is_empty() { " " } else { text };
            match &mut run {
                Some((_, count, of, so_far)) if *of == look => {
                    *count += 1;
                    so_far.push_str(text);
                }
                _ => {
                    if let Some(run) = run.take() {
                        draw(&mut out, row, &run);
                    }
                    run = Some((column, 1, look, text.to_owned()));
                }
            }
        }
        if let Some(run) = run {
            draw(&mut out, row, &run);
        }
    }
    out.push_str("</svg>\n");
    out
}

/// A run of cells that look alike, each at its own place whatever the font.
fn draw(out: &mut String, row: u16, (column, count, look, text): &(u16, u16, Look, String)) {
    let (x, y) = (8.0 + f64::from(*column) * CELL.0, 8.0 + f64::from(row) * CELL.1);
    let width = f64::from(*count) * CELL.0;
    if look.ground != GROUND {
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{}\"/>",
            CELL.1, look.ground
        );
    }
    if text.trim().is_empty() {
        return;
    }
    let bold = if look.bold { " font-weight=\"bold\"" } else { "" };
    let faint = if look.faint { " opacity=\"0.6\"" } else { "" };
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
         xml:space=\"preserve\" fill=\"{}\"{bold}{faint}>{text}</text>",
        y + 13.0,
        look.ink
    );
}
