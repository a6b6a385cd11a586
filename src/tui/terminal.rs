//! The terminal: its modes, and what is written to it. Writing happens in a
//! thread of its own, so that a terminal that takes nothing never stops the
//! console, and what the console changed is undone however it ends.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::style::Print;
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen,
};
use crossterm::{cursor, queue, style};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::termios::{self, OptionalActions, Termios};
use tokio::sync::Notify;

/// How long the end of the console waits for the terminal to take what undoes
/// its modes.
const LAST_WORDS: Duration = Duration::from_millis(700);
/// Bigger screens are drawn only up to here: 1000 columns.
const MAX_WIDTH: u16 = 1000;
/// See [`MAX_WIDTH`].
const MAX_HEIGHT: u16 = 500;

/// What the console takes of the terminal beside the screen and the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Features {
    /// Clicks and the wheel.
    pub(super) mouse: bool,
    /// The title.
    pub(super) title: bool,
}

/// What the console has of the terminal; `None` while it does not run.
static BEFORE: Mutex<Option<Held>> = Mutex::new(None);

struct Held {
    /// The modes before the console changed them.
    modes: Termios,
    /// What it took, and has to give back.
    features: Features,
}

/// Clicks and the wheel (1000), in coordinates without an end (1006). Nothing of
/// mere motion: nobody asks for it, and it would wake us at every move.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
/// Undoes [`MOUSE_ON`].
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";
/// Keeps the title that is there (22;2), and brings it back (23;2).
const TITLE_PUSH: &str = "\x1b[22;2t";
/// See [`TITLE_PUSH`].
const TITLE_POP: &str = "\x1b[23;2t";

fn before() -> std::sync::MutexGuard<'static, Option<Held>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether there is a terminal at both ends.
pub(super) fn is_there() -> bool {
    termios::isatty(rustix::stdio::stdin()) && termios::isatty(rustix::stdio::stdout())
}

/// What puts the screen in order for us.
fn enter_sequence(features: Features, keep_title: bool) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    queue!(out, EnterAlternateScreen, cursor::Hide, EnableBracketedPaste, Clear(ClearType::All))?;
    if features.mouse {
        queue!(out, Print(MOUSE_ON))?;
    }
    if keep_title {
        queue!(out, Print(TITLE_PUSH))?;
    }
    Ok(out)
}

/// What gives it back.
fn leave_sequence(features: Features) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    queue!(out, EndSynchronizedUpdate)?;
    if features.mouse {
        queue!(out, Print(MOUSE_OFF))?;
    }
    if features.title {
        // Where nothing keeps titles an old one is worse than none.
        queue!(out, Print("\x1b]2;\x07"), Print(TITLE_POP))?;
    }
    queue!(
        out,
        DisableBracketedPaste,
        style::ResetColor,
        // A tmux that was resized meanwhile would leave our rows on the shell's.
        Clear(ClearType::All),
        cursor::MoveTo(0, 0),
        LeaveAlternateScreen,
        cursor::Show
    )?;
    Ok(out)
}

/// Gives the terminal back from wherever we are: for the panic hook. Does
/// nothing if the console does not hold it.
pub(super) fn restore_now() {
    let Some(Held { modes, features }) = before().take() else { return };
    let out = rustix::stdio::stdout();
    let mut ready = [PollFd::new(&out, PollFlags::OUT)];
    let patience = Timespec { tv_sec: 0, tv_nsec: 300_000_000 };
    if rustix::event::poll(&mut ready, Some(&patience)).is_ok_and(|n| n > 0)
        && let Ok(bytes) = leave_sequence(features)
    {
        let _ = write_all(&bytes);
    }
    let _ = termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &modes);
}

fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(rustix::stdio::stdout(), bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => wait_until_writable(),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Somebody else may have made the descriptor non-blocking.
fn wait_until_writable() {
    let out = rustix::stdio::stdout();
    let _ = rustix::event::poll(&mut [PollFd::new(&out, PollFlags::OUT)], None);
}

/// The writing thread's state, shared with the console.
#[derive(Debug, Default)]
struct Shared {
    /// Jobs that were queued and are not written.
    pending: AtomicUsize,
    failed: AtomicBool,
    changed: Notify,
}

struct Job {
    bytes: Vec<u8>,
    done: Option<mpsc::Sender<()>>,
}

/// The terminal while the console holds it. Dropping it gives it back.
pub(super) struct Terminal {
    jobs: mpsc::SyncSender<Job>,
    shared: Arc<Shared>,
    shown: Buffer,
    next: Buffer,
    features: Features,
    /// The title as we last set it.
    titled: String,
}

impl Terminal {
    /// Takes the terminal: raw mode, alternate screen, no cursor, and the
    /// features.
    pub(super) fn take(features: Features) -> io::Result<Self> {
        // Whether there is colour is decided in the theme alone; with NO_COLOR
        // set crossterm would write empty parameters that reset bold.
        style::force_color_output(true);
        let shared = Arc::new(Shared::default());
        // Frames are drawn only when nothing is queued; beside one there is room
        // for a clipboard text, for the end and for a new beginning.
        let (jobs, queue) = mpsc::sync_channel::<Job>(4);
        let state = shared.clone();
        thread::Builder::new()
            .name("terminal-writer".to_owned())
            .spawn(move || write_jobs(&queue, &state))?;
        let (shown, next, titled) = (Buffer::default(), Buffer::default(), String::new());
        let mut terminal = Self { jobs, shared, shown, next, features, titled };
        terminal.enter()?;
        Ok(terminal)
    }

    /// Takes it again after [`Self::leave`].
    pub(super) fn enter(&mut self) -> io::Result<()> {
        let stdin = rustix::stdio::stdin();
        let modes = termios::tcgetattr(stdin)?;
        let mut raw = modes.clone();
        raw.make_raw();
        let mut held = before();
        // Whoever continues us without having asked us to give it back (a shell
        // after SIGSTOP) finds the old title kept already.
        let first = held.is_none();
        if first {
            *held = Some(Held { modes, features: self.features });
        }
        drop(held);
        termios::tcsetattr(stdin, OptionalActions::Now, &raw)?;
        let keep_title = self.features.title && first;
        self.submit(enter_sequence(self.features, keep_title)?, None);
        self.titled.clear();
        // Nothing of ours is on the screen now.
        self.shown = Buffer::empty(self.area());
        Ok(())
    }

    /// Gives it back, and waits a moment until it was taken.
    pub(super) fn leave(&mut self) {
        let Some(Held { modes, features }) = before().take() else { return };
        if let Ok(bytes) = leave_sequence(features) {
            let (done, wait) = mpsc::channel();
            self.submit(bytes, Some(done));
            // A sender that could not be queued is dropped: no waiting then.
            let _ = wait.recv_timeout(LAST_WORDS);
        }
        let _ = termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &modes);
    }

    fn submit(&self, bytes: Vec<u8>, done: Option<mpsc::Sender<()>>) {
        // Counted first: the thread may have written it before we return.
        self.shared.pending.fetch_add(1, Ordering::SeqCst);
        if self.jobs.try_send(Job { bytes, done }).is_err() {
            self.shared.pending.fetch_sub(1, Ordering::SeqCst);
            tracing::debug!(target: "punchdeck::console", "the terminal takes nothing");
        }
    }

    /// The size of the screen now.
    #[allow(clippy::unused_self)]
    pub(super) fn area(&self) -> Rect {
        let (width, height) = termios::tcgetwinsize(rustix::stdio::stdout())
            .ok()
            .map(|size| (size.ws_col, size.ws_row))
            .filter(|(w, h)| *w > 0 && *h > 0)
            .unwrap_or((80, 24));
        Rect::new(0, 0, width.min(MAX_WIDTH), height.min(MAX_HEIGHT))
    }

    /// Whether the last frame has reached the terminal.
    pub(super) fn is_idle(&self) -> bool {
        self.shared.pending.load(Ordering::SeqCst) == 0
    }

    /// Whether writing failed: there is no terminal any more.
    pub(super) fn is_gone(&self) -> bool {
        self.shared.failed.load(Ordering::SeqCst)
    }

    /// What to wait on until [`Self::is_idle`] or [`Self::is_gone`] may have
    /// changed.
    pub(super) fn changes(&self) -> impl Future<Output = ()> + use<> {
        let shared = self.shared.clone();
        async move { shared.changed.notified().await }
    }

    /// Draws a frame and writes what differs from the one before, and the title
    /// if that is another; nothing if nothing is. Returns what painting comes to.
    pub(super) fn draw<T>(
        &mut self,
        title: &str,
        paint: impl FnOnce(Rect, &mut Buffer) -> T,
    ) -> io::Result<T> {
        let area = self.area();
        self.next.resize(area);
        self.next.reset();
        let painted = paint(area, &mut self.next);

        let mut out = Vec::new();
        let resized = self.shown.area != area;
        if resized {
            self.shown = Buffer::empty(area);
            queue!(out, BeginSynchronizedUpdate, Clear(ClearType::All))?;
        }
        let mut changes = self.shown.diff_iter(&self.next).peekable();
        if changes.peek().is_some() {
            if !resized {
                queue!(out, BeginSynchronizedUpdate)?;
            }
            CrosstermBackend::new(&mut out).draw(changes)?;
        }
        if !out.is_empty() {
            queue!(out, EndSynchronizedUpdate)?;
        }
        if self.features.title && self.titled != title {
            title.clone_into(&mut self.titled);
            queue!(out, Print(format!("\x1b]2;{title}\x07")))?;
        }
        if !out.is_empty() {
            self.submit(out, None);
        }
        std::mem::swap(&mut self.shown, &mut self.next);
        Ok(painted)
    }

    /// Puts a text on the terminal's clipboard, if it takes OSC 52.
    pub(super) fn copy(&self, text: &str) -> io::Result<()> {
        let mut out = Vec::new();
        queue!(out, CopyToClipboard::to_clipboard_from(text))?;
        self.submit(out, None);
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.leave();
    }
}

fn write_jobs(queue: &mpsc::Receiver<Job>, shared: &Shared) {
    while let Ok(job) = queue.recv() {
        if write_all(&job.bytes).is_err() {
            shared.failed.store(true, Ordering::SeqCst);
        }
        shared.pending.fetch_sub(1, Ordering::SeqCst);
        if let Some(done) = job.done {
            let _ = done.send(());
        }
        shared.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_entered_is_left_again() {
        let all = Features { mouse: true, title: true };
        let enter = String::from_utf8(enter_sequence(all, true).unwrap()).unwrap();
        let leave = String::from_utf8(leave_sequence(all).unwrap()).unwrap();
        for mode in ["?1049", "?2004", "?1000", "?1006"] {
            assert!(enter.contains(&format!("{mode}h")) && leave.contains(&format!("{mode}l")), "{mode}");
        }
        assert!(enter.contains("?25l") && leave.contains("?25h"));
        assert!(enter.contains(TITLE_PUSH) && leave.contains(TITLE_POP));
        let none = Features { mouse: false, title: false };
        for bytes in [enter_sequence(none, false).unwrap(), leave_sequence(none).unwrap()] {
            let text = String::from_utf8(bytes).unwrap();
            assert!(
                !text.contains("?100") && !text.contains(";2t"),
                "what is not taken is left alone: {text:?}"
            );
        }
    }
}
