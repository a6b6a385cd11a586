//! Locks whose holders cannot panic, so that a poisoned one says nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The lock of a mutex.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
