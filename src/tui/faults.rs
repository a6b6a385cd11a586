//! Panics. One in the console's own thread gives the terminal back before the
//! message is printed; one in any other thread must not touch a live screen,
//! so it is noted here and shown as a faulted task.

use std::collections::VecDeque;
use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, Once, PoisonError};
use std::thread::{self, ThreadId};

use tokio::sync::Notify;

use super::terminal;

/// Notes kept until the console takes them.
const KEPT: usize = 64;

static HOOK: Once = Once::new();
/// The thread of the console, while there is one.
static CONSOLE: Mutex<Option<ThreadId>> = Mutex::new(None);
static NOTES: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());
static NEWS: Notify = Notify::const_new();

/// While it lives, panics are handled as the module says; afterwards as before.
#[derive(Debug)]
pub(super) struct Watch(());

impl Watch {
    /// Makes the calling thread the console's.
    pub(super) fn start() -> Self {
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                let console = *CONSOLE.lock().unwrap_or_else(PoisonError::into_inner);
                match console {
                    Some(id) if id != thread::current().id() => note(info),
                    Some(_) => {
                        terminal::restore_now();
                        before(info);
                    }
                    None => before(info),
                }
            }));
        });
        set_console(Some(thread::current().id()));
        Self(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        set_console(None);
    }
}

fn set_console(id: Option<ThreadId>) {
    *CONSOLE.lock().unwrap_or_else(PoisonError::into_inner) = id;
}

fn note(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let what = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let place = info.location().map_or_else(String::new, |l| format!(" at {}:{}", l.file(), l.line()));
    let text = format!("{} panicked{place}: {what}", thread::current().name().unwrap_or("a thread"));
    tracing::error!(target: "punchdeck::console", "{text}");
    let mut notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    if notes.len() < KEPT {
        notes.push_back(text);
    }
    drop(notes);
    NEWS.notify_one();
}

/// Waits until there may be something to [`take`].
pub(super) async fn news() {
    NEWS.notified().await;
}

/// The panics of other threads since the last call.
pub(super) fn take() -> Vec<String> {
    NOTES.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_another_thread_is_noted_and_the_console_lives_on() {
        let watch = Watch::start();
        let handle =
            thread::Builder::new().name("gossip".to_owned()).spawn(|| panic!("lost its head")).unwrap();
        assert!(handle.join().is_err());
        let notes = take();
        assert!(
            notes.iter().any(|n| n.starts_with("gossip panicked at ") && n.ends_with(": lost its head")),
            "{notes:?}"
        );
        drop(watch);
    }
}
