//! `idle`: sleeps, and keeps the demo's own accounts of the stacks.

use crate::{census, cpu};

/// The thread.
pub extern "C" fn run() -> ! {
    loop {
        census::take();
        cpu::wait_for_interrupt();
    }
}
