//! The console on a real pseudo-terminal: what it does to the terminal, and
//! that it gives it back however it ends. This program runs itself again as the
//! console, on a made-up node, so the harness is its own.

mod pty;

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::{Arguments, Trial};
use portable_pty::CommandBuilder;
use pty::{Console, END};
use punchdeck::node::feed::{COMMAND_BACKLOG, CommandSender, EVENT_BACKLOG, Feed, OUTCOME_BACKLOG};
use punchdeck::tui::{self, demo};
use rustix::process::Signal;

/// Says to this program that it is to be the console, and what is to happen.
const ROLE: &str = "PUNCHDECK_TEST_CONSOLE";

fn main() {
    if let Ok(role) = std::env::var(ROLE) {
        let code = be_the_console(&role);
        std::process::exit(code);
    }
    let signal = |s: Signal| move |c: &mut Console| c.signal(s);
    let trials = vec![
        trial("quitting_gives_the_terminal_back", "", |c| gives_back(c, |c| c.press("q"))),
        trial("ctrl_c_gives_the_terminal_back", "", |c| gives_back(c, |c| c.press("\x03"))),
        trial("sigterm_gives_the_terminal_back", "", move |c| gives_back(c, signal(Signal::TERM))),
        trial("sighup_gives_the_terminal_back", "", move |c| gives_back(c, signal(Signal::HUP))),
        trial("sigint_gives_the_terminal_back", "", move |c| gives_back(c, signal(Signal::INT))),
        Trial::test("a_vanished_terminal_ends_it", || {
            vanished_terminal().map_err(|e| format!("{e:#}").into())
        }),
        trial("a_panic_in_another_thread_shows_as_a_fault_on_an_unharmed_screen", "panic", |c| {
            c.wait_for("A TASK FAULTED: gossip panicked")?;
            let screen = c.screen();
            ensure!(!screen.contains("RUST_BACKTRACE") && screen.contains("vps-nyc"), "{screen}");
            gives_back(c, |c| c.press("q"))
        }),
        trial("the_end_of_the_node_is_shown_and_does_not_end_the_console", "gone", |c| {
            c.wait_for("THE NODE HAS STOPPED")?;
            gives_back(c, |c| c.press("q"))
        }),
        trial("keys_reach_it_and_a_paste_is_no_command", "", |c| {
            c.wait_for("Peers")?;
            c.press("?")?;
            c.wait_for("Help")?;
            c.press("\x1b")?;
            c.wait_until("the panes again", |screen| !screen.contents().contains("Help"))?;
            c.press("\x1b[200~qqq\x1b[201~")?;
            c.press("7")?;
            c.wait_for("[7 Events]")?;
            gives_back(c, |c| c.press("q"))
        }),
        trial(
            "after_a_stop_nobody_asked_for_the_title_is_still_the_old_one",
            "",
            stopped_without_being_asked,
        ),
        trial("the_mouse_is_taken_clicks_and_scrolls_and_is_given_back", "", the_mouse),
        trial("without_the_mouse_and_the_title_both_stay_the_terminals", "plain", |c| {
            c.wait_for("Peers")?;
            c.press("?")?;
            c.wait_for("Help")?;
            ensure!(c.wrote("\x1b[?1000") == 0 && c.wrote("\x1b]2;") == 0 && c.wrote(";2t") == 0);
            gives_back_now(c)
        }),
        trial("the_title_says_who_and_what_is_wrong_once_each_and_the_old_one_comes_back", "gone", |c| {
            c.wait_for("THE NODE HAS STOPPED")?;
            c.press("?")?;
            c.wait_for("Help")?;
            ensure!(c.wrote("\x1b[22;2t") == 1, "the title that was there is kept once");
            c.wait_to_write("\x1b]2;vps-fra-1: 4 links\x07", 1, "the title, when it changes")?;
            c.wait_to_write("\x1b]2;! vps-fra-1: node stopped, 4 links\x07", 1, "what is wrong")?;
            gives_back_now(c)?;
            c.wait_to_write("\x1b[23;2t", 1, "the old title")?;
            Ok(())
        }),
        trial("in_ascii_mode_every_byte_is_ascii_the_title_s_too", "ascii", |c| {
            c.wait_for("Peers")?;
            c.wait_to_write("\x1b]2;k?ln: 4 links\x07", 1, "the title")?;
            for key in ["?", "\x1b", "2", "3", "4", "5", "6", "7", "1"] {
                c.press(key)?;
                // Longer than a lone escape is waited for: else it is one sequence.
                std::thread::sleep(Duration::from_millis(150));
            }
            c.press("7")?;
            c.wait_for("[7 Events]")?;
            gives_back_now(c)?;
            ensure!(c.wrote_only_ascii(), "{}", c.screen());
            Ok(())
        }),
        trial("the_palette_takes_a_paste_and_copies_to_the_clipboard", "", |c| {
            c.wait_for("Peers")?;
            c.press(":")?;
            c.wait_for("Palette")?;
            c.press("\x1b[200~copy-id home\n\x1b[201~")?;
            c.wait_for("copy-id 77c2ab home-ber")?;
            c.press("\r")?;
            c.wait_for("the id of 77c2ab home-ber went to the terminal's clipboard")?;
            c.wait_to_write("\x1b]52;c;NzdjMmFi", 1, "the id, which begins with 77c2ab")?;
            gives_back(c, |c| c.press("q"))
        }),
        trial("a_slow_line_that_cuts_every_sequence_at_every_byte_changes_nothing", "slow line", |c| {
            c.wait_for("Peers")?;
            c.press("?")?;
            c.wait_for("Help")?;
            // Every key, which is more than one page.
            c.press("\t")?;
            c.wait_for("lines 1-")?;
            let slow = |c: &mut Console, sequences: &[&str]| {
                sequences.iter().try_for_each(|sequence| press_slowly(c, sequence))
            };
            slow(c, &["\x1b[B", "\x1bOB", "\x1b[1;2B"])?;
            c.wait_for("lines 4-")?;
            slow(c, &["\x1b[<65;40;10M"])?;
            c.wait_for("lines 7-")?;
            // A lone escape would end the help, and a letter would do what its key does.
            slow(
                c,
                &["\x1bOP", "\x1b[12~", "\x1b[15~", "\x1b[24;5~", "\x1b[[C", "\x1b[200~q[]\x1b[Bq\x1b[201~"],
            )?;
            slow(c, &["\x1b[<64;40;10M", "\x1b[A"])?;
            c.wait_for("lines 3-")?;
            press_slowly(c, "\x1b")?;
            c.wait_until("the panes again", |screen| !screen.contents().contains("Help"))?;
            gives_back(c, |c| c.press("q"))
        }),
        trial("it_follows_the_size_of_the_terminal", "", |c| {
            c.wait_for("Peers")?;
            c.resize(39, 9)?;
            c.wait_for("needs 40x10, has 39x9")?;
            c.resize(80, 24)?;
            c.wait_for("[1 Peers]")?;
            gives_back(c, |c| c.press("q"))
        }),
        trial("the_first_key_after_a_new_size_is_taken", "", |c| {
            c.wait_for("[1 Peers]")?;
            c.press("7")?;
            c.wait_for("[7 Events]")?;
            for (cols, key, shows) in [(90, "3", "[3 Relays]"), (80, "6", "[6 KPI]")] {
                c.resize(cols, 24)?;
                c.wait_until("the new size", |screen| {
                    screen.rows(0, cols).nth(2).is_some_and(|l| l.chars().count() == usize::from(cols))
                })?;
                c.press(key)?;
                c.wait_for(shows)?;
            }
            gives_back(c, |c| c.press("q"))
        }),
        trial("two_hundred_sizes_in_two_seconds_end_in_the_screen_of_the_last", "busy node", |c| {
            c.wait_for("Peers")?;
            for n in 0..200_u16 {
                c.resize(1 + n * 7 % 230, 1 + n * 13 % 70)?;
                std::thread::sleep(Duration::from_millis(10));
            }
            c.resize(80, 24)?;
            // A whole frame of this size, and nothing of those before.
            c.wait_until("the screen of the last size", |screen| {
                let lines: Vec<_> = screen.rows(0, 80).collect();
                lines.get(1).is_some_and(|l| l.starts_with("[1 Peers]"))
                    && lines.get(21).is_some_and(|l| l.starts_with('╰') && l.ends_with('╯'))
                    && lines.last().is_some_and(|l| l.contains("q quit"))
            })?;
            c.press("?")?;
            c.wait_for("Help")?;
            c.press("\x1b")?;
            c.wait_until("the panes again", |screen| !screen.contents().contains("Help"))?;
            gives_back(c, |c| c.press("q"))
        }),
        Trial::test("a_panic_in_the_console_gives_the_terminal_back_before_it_is_told", || {
            console_panic().map_err(|e| format!("{e:#}").into())
        }),
        trial("where_no_shell_would_resume_it_ctrl_z_is_refused", "", |c| {
            c.wait_for("Peers")?;
            c.press("\x1a")?;
            c.wait_for("there is no shell here that would resume us")?;
            gives_back(c, |c| c.press("q"))
        }),
        Trial::test("a_shell_gets_the_terminal_with_ctrl_z_and_fg_brings_the_console_back", || {
            suspended().map_err(|e| format!("{e:#}").into())
        }),
        Trial::test("a_terminal_that_takes_nothing_does_not_keep_it_from_ending", || {
            let end = |signal| stuck_terminal(signal).map_err(|e| format!("{signal:?}: {e:#}"));
            [Signal::TERM, Signal::HUP].into_iter().try_for_each(end).map_err(Into::into)
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn trial(
    name: &str,
    role: &'static str,
    test: impl FnOnce(&mut Console) -> Result<()> + Send + 'static,
) -> Trial {
    Trial::test(name, move || {
        let run = || test(&mut start(role, true)?);
        run().map_err(|e| format!("{e:#}").into())
    })
}

/// Byte by byte, as over a line that is slow.
fn press_slowly(c: &mut Console, keys: &str) -> Result<()> {
    for byte in keys.bytes() {
        c.press(&char::from(byte).to_string())?;
        std::thread::sleep(Duration::from_millis(8));
    }
    Ok(())
}

/// Waits for the first screen, ends the console, and looks at what is left.
fn gives_back(c: &mut Console, end: impl FnOnce(&mut Console) -> Result<()>) -> Result<()> {
    c.wait_for("Peers")?;
    ensure!(c.modes()? != c.before, "the console runs in raw mode");
    end(c)?;
    c.wait_for_end(END)?;
    c.is_given_back()
}

fn the_mouse(c: &mut Console) -> Result<()> {
    c.wait_for("Peers")?;
    c.wait_until("the mouse to be taken", |screen| {
        screen.mouse_protocol_mode() == vt100::MouseProtocolMode::PressRelease
            && screen.mouse_protocol_encoding() == vt100::MouseProtocolEncoding::Sgr
    })?;
    let row = c.find("home-ber")?;
    c.click(row)?;
    c.wait_for("▶ ● 77c2ab")?;
    let heading = c.find("NAME ")?;
    c.click(heading)?;
    c.wait_for("sort name ↑")?;
    c.click(heading)?;
    c.wait_for("sort name ↓")?;
    let tab = c.find("7 Events")?;
    c.click(tab)?;
    c.wait_for("[7 Events]")?;
    let help = c.find("? help")?;
    c.click(help)?;
    c.wait_for("Help")?;
    // Every key, which is more than one page.
    c.press("\t")?;
    c.wait_for("lines 1-")?;
    // The wheel, over the help.
    c.press("\x1b[<65;40;10M")?;
    c.wait_for("lines 4-")?;
    c.press("\x1b")?;
    c.wait_until("the panes again", |screen| !screen.contents().contains("Help"))?;
    // Back from the shell it is there again.
    c.press("\x1a")?;
    c.wait_for("there is no shell here that would resume us")?;
    ensure!(c.wrote("\x1b[?1000h") == 2 && c.wrote("\x1b[?1000l") == 1);
    gives_back_now(c)
}

/// Under a shell with job control, with the mouse and the title taken.
fn suspended() -> Result<()> {
    let mut command = CommandBuilder::new("/bin/bash");
    command.args(["--norc", "--noprofile", "-i"]);
    command.env("PS1", "shell> ");
    command.env(ROLE, "");
    let mut c = Console::start(command, 80, 24, true)?;
    c.wait_for("shell>")?;
    // What ends with the shell's own line editing is its business.
    let program = std::env::current_exe()?;
    c.press(&format!("{}\r", program.display()))?;
    c.wait_for("[1 Peers]")?;
    c.press("\x1a")?;
    c.wait_for("Stopped")?;
    c.wait_until("the terminal as a shell wants it", |screen| {
        !screen.alternate_screen() && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
    })?;
    c.wait_to_write("\x1b[23;2t", 1, "the shell's own title")?;
    c.press("fg\r")?;
    c.wait_for("[1 Peers]")?;
    c.wait_until("the mouse again", |screen| {
        screen.mouse_protocol_mode() == vt100::MouseProtocolMode::PressRelease
    })?;
    c.wait_to_write("\x1b]2;vps-fra-1: 4 links\x07", 2, "the title again")?;
    c.press("q")?;
    c.wait_until("the shell again", |screen| !screen.alternate_screen())?;
    c.press("exit\r")?;
    c.wait_for_end(END)
}

/// A stop that nobody can be asked about: the terminal is taken again as it is.
fn stopped_without_being_asked(c: &mut Console) -> Result<()> {
    c.wait_for("[1 Peers]")?;
    c.wait_to_write("\x1b[22;2t", 1, "the old title kept")?;
    c.signal(Signal::STOP)?;
    c.signal(Signal::CONT)?;
    c.wait_to_write("\x1b[?1049h", 2, "the screen again")?;
    ensure!(c.wrote("\x1b[22;2t") == 1, "what it had written itself was kept as the old title");
    gives_back(c, |c| c.press("q"))?;
    ensure!(c.wrote("\x1b[23;2t") == 1);
    Ok(())
}

/// The same where another pane than the peers is on the screen.
fn gives_back_now(c: &mut Console) -> Result<()> {
    c.press("\x03")?;
    c.wait_for_end(END)?;
    c.is_given_back()
}

fn vanished_terminal() -> Result<()> {
    let mut c = start("", false)?;
    let mut output = c.master.as_ref().context("hung up")?.try_clone_reader()?;
    let (mut seen, mut bytes) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&seen).contains("Peers") {
        let n = output.read(&mut bytes)?;
        seen.extend_from_slice(&bytes[..n]);
    }
    // Everything that holds our end of the terminal.
    drop(output);
    (c.keys, c.master, c.slave) = (None, None, None);
    c.wait_for_end(END)
}

fn stuck_terminal(signal: Signal) -> Result<()> {
    let mut c = start("busy node", false)?;
    // Nobody reads, so nothing can be waited for; the writer is stuck when the
    // terminal's buffer of a few KiB is full.
    std::thread::sleep(Duration::from_secs(2));
    c.signal(signal)?;
    c.wait_for_end(END)?;
    ensure!(c.modes()? == c.before, "the terminal's modes did not come back");
    Ok(())
}

fn console_panic() -> Result<()> {
    let mut c = start("console panic", true)?;
    c.wait_until("the alternate screen", vt100::Screen::alternate_screen)?;
    ensure!(c.modes()? != c.before, "the console runs in raw mode");
    c.wait_for("on purpose, with the terminal held: true")?;
    c.is_given_back()?;
    let mut waited = 0;
    while c.child.try_wait()?.is_none() {
        ensure!(waited < END.as_millis(), "it does not end");
        std::thread::sleep(Duration::from_millis(10));
        waited += 10;
    }
    let screen = c.screen();
    ensure!(screen.contains("panicked at"), "{screen}");
    Ok(())
}

/// This program again, as the console.
fn start(role: &str, read: bool) -> Result<Console> {
    let mut command = CommandBuilder::new(std::env::current_exe()?);
    command.env(ROLE, role);
    Console::start(command, 80, 24, read)
}

/// The child's part: the console on a made-up node.
fn be_the_console(role: &str) -> i32 {
    if role == "console panic" {
        demo::panic_on_screen(Duration::from_millis(500));
    }
    let (commands, mut queue) = CommandSender::channel();
    let busy_node = role == "busy node";
    let mut first = if busy_node { demo::large(COMMAND_BACKLOG as u32 * 16, 0) } else { demo::busy() };
    let mut glyphs = tui::GlyphChoice::default();
    if role == "ascii" {
        let node = &mut std::sync::Arc::make_mut(&mut first).node;
        "köln".clone_into(&mut std::sync::Arc::make_mut(node).name);
        glyphs = tui::GlyphChoice::Ascii;
    }
    let (snapshots_in, snapshots) = tokio::sync::watch::channel(first.clone());
    let (events_in, events) = tokio::sync::broadcast::channel(EVENT_BACKLOG);
    let (outcomes_in, outcomes) = tokio::sync::broadcast::channel(OUTCOME_BACKLOG);
    let feed = Feed { snapshots, events, outcomes, commands, presence: None, logs: None };
    let takes = role != "plain";
    // A host under load may take its time, which is no matter of the line.
    let escape_wait =
        if role == "slow line" { Duration::from_millis(800) } else { punchdeck::model::ESCAPE_WAIT };
    let role = role.to_owned();
    std::thread::spawn(move || {
        let (_open, mut last) = ((events_in, outcomes_in), first);
        for round in 1.. {
            std::thread::sleep(Duration::from_millis(100));
            while queue.try_recv().is_ok() {}
            match (role.as_str(), round) {
                ("panic", 3) => {
                    let thread = std::thread::Builder::new().name("gossip".to_owned());
                    let _ = thread.spawn(|| panic!("on purpose"));
                }
                ("gone", 3) => return,
                ("busy node", _) => last = demo::next_round(&last, round),
                _ => {}
            }
            let _ = snapshots_in.send(last.clone());
        }
    });
    match tui::run(
        feed,
        tui::Options { mouse: takes, title: takes, glyphs, escape_wait, ..tui::Options::default() },
    ) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}
