//! `waiter`: does next to nothing, when it is told to.

use core::hint::black_box;

use crate::kernel;

/// The thread.
pub extern "C" fn run() -> ! {
    let mut sum = 0u32;
    loop {
        kernel::wait();
        sum = black_box(sum.wrapping_add(kernel::now()));
    }
}
