//! `timer`: what is due at fixed times.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::kernel::{self, TaskId};

static NOTIFIED: AtomicU32 = AtomicU32::new(0);

/// Notifies `task` twice a second from now on.
pub fn notify_regularly(task: TaskId) {
    NOTIFIED.store(task.to_word(), Relaxed);
}

/// The thread.
pub extern "C" fn run() -> ! {
    let mut due = kernel::now();
    loop {
        kernel::sleep(50);
        if kernel::now().wrapping_sub(due) >= 500 {
            due = kernel::now();
            if let Some(task) = TaskId::from_word(NOTIFIED.load(Relaxed)) {
                kernel::notify(task);
            }
        }
    }
}
