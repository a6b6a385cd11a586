//! What an operator does in the console, task by task: the real binary in a real terminal,
//! on real nodes, and the screen that comes of it.

#[path = "pty/node.rs"]
mod node;
mod pty;

use anyhow::{Result, ensure};
use node::{BINARY, Node};
use portable_pty::CommandBuilder;
use pty::{Console, END};

const ENTER: &str = "\r";

fn leave(mut console: Console) -> Result<()> {
    console.press("\x03")?;
    console.wait_for_end(END)
}

#[test]
fn a_pasted_address_is_dialled_and_who_answers_is_told() -> Result<()> {
    let (hub, node) = (Node::start(None)?, Node::start(None)?);
    let addr = hub.addr()?;
    node.addr()?;
    let mut console = node.attach(&[], 120, 36)?;
    console.wait_for("alone")?;
    console.press(&format!("\x1b[200~{addr}\x1b[201~"))?;
    console.wait_for(&format!("connect {addr}"))?;
    console.press(ENTER)?;
    console.wait_for("answered, direct after")?;
    // Nobody is there, and that is told and counted.
    console.press(&format!(":connect 127.0.0.1:1{ENTER}"))?;
    console.wait_for("connect 127.0.0.1:1: ")?;
    console.wait_for("✗ connect 127.0.0.1:1")?;
    console.press("e")?;
    console.wait_for("127.0.0.1:1: failed once")?;
    leave(console)
}

#[test]
fn an_address_is_put_into_the_bootstrap_list_of_a_node_that_is_alone_and_it_joins() -> Result<()> {
    let (hub, node) = (Node::start(None)?, Node::start(None)?);
    let addr = hub.addr()?;
    node.addr()?;
    let mut console = node.attach(&[], 120, 36)?;
    console.wait_for("alone")?;
    console.press("!")?;
    console.wait_for("nothing to dial: no peer is cached")?;
    console.wait_for(":bootstrap add ADDR or :connect ADDR names somebody")?;
    console.press("\x1b")?;
    console.wait_until("the list to close", |screen| !screen.contents().contains("Warnings ─"))?;
    console.press(&format!(":bootstrap add {addr}{ENTER}"))?;
    console.wait_for("done, 1 until the node stops")?;
    console.wait_for("linked      direct")?;
    console.press(&format!(":bootstrap list{ENTER}"))?;
    console.wait_for(&format!(":bootstrap remove {addr}"))?;
    leave(console)
}

#[test]
fn what_is_shown_is_exported_and_a_file_that_is_there_is_asked_about() -> Result<()> {
    let hub = Node::start(None)?;
    let node = Node::start(Some(&hub))?;
    node.addr()?;
    let mut console = node.attach(&[], 120, 36)?;
    console.wait_for("linked      direct")?;
    let file = node.home.path().join("peers.csv");
    let export = format!(":export peers {}{ENTER}", file.display());
    console.press(&export)?;
    console.wait_for("wrote 1 row to ")?;
    let text = std::fs::read_to_string(&file)?;
    ensure!(text.starts_with("addresses,") && text.lines().count() == 2, "{text}");
    std::fs::write(&file, "mine")?;
    console.press(&export)?;
    console.wait_for("is there already")?;
    ensure!(std::fs::read_to_string(&file)? == "mine");
    console.press("y")?;
    console.wait_for("wrote 1 row to ")?;
    console.wait_until("the question to close", |screen| !screen.contents().contains("Sure?"))?;
    ensure!(std::fs::read_to_string(&file)? == text);
    leave(console)
}

#[test]
fn marked_peers_are_synced_together_after_a_count() -> Result<()> {
    let hub = Node::start(None)?;
    let others = [Node::start(Some(&hub))?, Node::start(Some(&hub))?];
    for node in &others {
        node.addr()?;
    }
    let mut console = hub.attach(&[], 120, 36)?;
    console.wait_for("links 2: 2d")?;
    console.press("1gvvs")?;
    console.wait_for("Sync: 2 marked peers?")?;
    console.press("y")?;
    console.wait_for("1 of 1 peers")?;
    console.press("\x1b")?;
    console.wait_until("the marks to go", |screen| !screen.contents().contains("2 marked"))?;
    leave(console)
}

#[test]
fn a_node_with_links_is_left_only_after_a_question_and_the_same_key_answers_it() -> Result<()> {
    let hub = Node::start(None)?;
    let addr = hub.addr()?;
    let home = tempfile::tempdir()?;
    let mut command = CommandBuilder::new(BINARY);
    command.env_clear();
    command.env("HOME", home.path());
    command.args(["--bind", "127.0.0.1:0", "--data-dir", "data", "--bootstrap", &addr]);
    command.cwd(home.path());
    let mut console = Console::start(command, 120, 36, true)?;
    console.wait_for("links 1: 1d")?;
    console.press("q")?;
    console.wait_for("Leave? The node ends with this console")?;
    console.press("n")?;
    console.wait_until("the question to close", |screen| !screen.contents().contains("Leave?"))?;
    console.press("?")?;
    console.wait_for("shows every key and what it does")?;
    console.press("\t")?;
    console.wait_for("goes back to one page")?;
    console.press("\x1b")?;
    console.wait_until("the help to close", |screen| !screen.contents().contains("goes back to one page"))?;
    console.press("q")?;
    console.wait_for("Leave?")?;
    console.press("q")?;
    console.wait_for_end(END)?;
    console.is_given_back()
}
