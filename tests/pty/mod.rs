//! A program in a pseudo-terminal: keys go in, and the screen comes out as a
//! person sees it.

#![allow(dead_code)] // not every test program uses all of it

use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, SlavePty, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

/// What every end of the console has to keep.
pub const END: Duration = Duration::from_secs(2);
/// Far more than anything here takes, for a host under load.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a frame begins with: the synchronized update.
const FRAME: &[u8] = b"\x1b[?2026h";

/// The console in a terminal of its own.
pub struct Console {
    pub child: Box<dyn Child + Send + Sync>,
    pub master: Option<Box<dyn MasterPty + Send>>,
    pub slave: Option<Box<dyn SlavePty + Send>>,
    pub keys: Option<Box<dyn std::io::Write + Send>>,
    shown: Arc<(Mutex<vt100::Parser>, Condvar)>,
    written: Arc<AtomicU64>,
    /// Every byte of it.
    output: Arc<Mutex<Vec<u8>>>,
    frames: Arc<AtomicU64>,
    pub before: String,
}

impl Console {
    /// Starts a command in a terminal of that size. Unless `read`, nobody takes
    /// what it writes.
    pub fn start(mut command: CommandBuilder, cols: u16, rows: u16, read: bool) -> Result<Self> {
        let pty = native_pty_system().openpty(size(cols, rows))?;
        let before = modes_of(&*pty.master)?;
        command.env("LC_ALL", "C.UTF-8");
        if command.get_env("TERM").is_none_or(|term| term != "dumb") {
            command.env("TERM", "xterm-256color");
        }
        let child = pty.slave.spawn_command(command)?;
        let keys = pty.master.take_writer()?;
        let (height, width) =
            (NonZero::new(rows).context("no rows")?, NonZero::new(cols).context("no columns")?);
        let shown = Arc::new((Mutex::new(vt100::Parser::new(height, width, 0)), Condvar::new()));
        let written = Arc::new(AtomicU64::new(0));
        let all = Arc::new(Mutex::new(Vec::new()));
        let console = Self {
            child,
            master: Some(pty.master),
            slave: Some(pty.slave),
            keys: Some(keys),
            shown,
            written,
            output: all,
            frames: Arc::new(AtomicU64::new(0)),
            before,
        };
        if read {
            console.read()?;
        }
        Ok(console)
    }

    /// Takes what it writes from now on.
    pub fn read(&self) -> Result<()> {
        let mut output = self.master.as_ref().context("hung up")?.try_clone_reader()?;
        let (shown, all) = (self.shown.clone(), self.output.clone());
        let (written, frames) = (self.written.clone(), self.frames.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // How much of the beginning of a frame has been seen.
            let mut seen = 0;
            while let Ok(n) = output.read(&mut bytes) {
                if n == 0 {
                    return;
                }
                written.fetch_add(n as u64, Ordering::Relaxed);
                all.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes[..n]);
                for byte in &bytes[..n] {
                    seen = if *byte == FRAME[seen] { seen + 1 } else { usize::from(*byte == FRAME[0]) };
                    if seen == FRAME.len() {
                        frames.fetch_add(1, Ordering::Relaxed);
                        seen = 0;
                    }
                }
                shown.0.lock().unwrap_or_else(PoisonError::into_inner).process(&bytes[..n]);
                shown.1.notify_all();
            }
        });
        Ok(())
    }

    pub fn press(&mut self, keys: &str) -> Result<()> {
        self.keys.as_mut().context("hung up")?.write_all(keys.as_bytes())?;
        Ok(())
    }

    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        let id = self.child.process_id().and_then(|id| i32::try_from(id).ok());
        let pid = id.and_then(Pid::from_raw).context("no process id")?;
        kill_process(pid, signal)?;
        Ok(())
    }

    pub fn resize(&mut self, cols: u16, rows: u16) -> Result<()> {
        if let (Some(height), Some(width)) = (NonZero::new(rows), NonZero::new(cols)) {
            let mut parser = self.shown.0.lock().unwrap_or_else(PoisonError::into_inner);
            parser.screen_mut().set_size(height, width);
        }
        self.master.as_ref().context("hung up")?.resize(size(cols, rows))
    }

    pub fn modes(&self) -> Result<String> {
        modes_of(&**self.master.as_ref().context("hung up")?)
    }

    /// Bytes that it has written to the terminal.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// How often it has written a text, control sequences and all.
    pub fn wrote(&self, text: &str) -> usize {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.windows(text.len()).filter(|window| *window == text.as_bytes()).count()
    }

    /// Whether everything that it has written so far is ASCII.
    pub fn wrote_only_ascii(&self) -> bool {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).is_ascii()
    }

    /// Clicks at a place of the screen, counted from 0.
    pub fn click(&mut self, (column, row): (u16, u16)) -> Result<()> {
        let (column, row) = (column + 1, row + 1);
        self.press(&format!("\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m"))
    }

    /// Where a text stands on the screen.
    pub fn find(&self, text: &str) -> Result<(u16, u16)> {
        let screen = self.screen();
        let found = screen.lines().enumerate().find_map(|(row, line)| {
            let before = line.split_once(text)?.0;
            Some((u16::try_from(before.chars().count()).ok()?, u16::try_from(row).ok()?))
        });
        found.with_context(|| format!("{text:?} is not on the screen:\n{screen}"))
    }

    /// Frames that it has drawn.
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// What is on the screen, cell by cell.
    pub fn look<T>(&self, at: impl FnOnce(&vt100::Screen) -> T) -> T {
        at(self.shown.0.lock().unwrap_or_else(PoisonError::into_inner).screen())
    }

    pub fn screen(&self) -> String {
        self.shown.0.lock().unwrap_or_else(PoisonError::into_inner).screen().contents()
    }

    /// Whether the terminal is as it was: its modes, and the main screen.
    pub fn is_given_back(&self) -> Result<()> {
        ensure!(self.modes()? == self.before, "the terminal's modes did not come back");
        self.wait_until("the screen to come back", |screen| {
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
        })
    }

    pub fn wait_for(&self, text: &str) -> Result<()> {
        self.wait_until(&format!("{text:?}"), |screen| screen.contents().contains(text))
    }

    pub fn wait_until(&self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) -> Result<()> {
        let parser = self.shown.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self.shown.1.wait_timeout_while(parser, PATIENCE, |parser| !is_so(parser.screen()));
        let (parser, timeout) = wait.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            bail!("waited for {what} in vain; the screen:\n{}", parser.screen().contents());
        }
        Ok(())
    }

    /// Waits until it has written a text so often.
    pub fn wait_to_write(&self, text: &str, times: usize, what: &str) -> Result<()> {
        self.wait_until(what, |_| self.wrote(text) == times)
    }

    /// Waits for its end with exit code 0.
    pub fn wait_for_end(&mut self, within: Duration) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < within {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "it ended with {status:?}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("it did not end within {within:?}")
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The terminal's modes as a text; the type itself belongs to another crate.
fn modes_of(master: &dyn MasterPty) -> Result<String> {
    Ok(format!("{:?}", master.get_termios().context("no modes to read")?))
}

fn size(cols: u16, rows: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}
