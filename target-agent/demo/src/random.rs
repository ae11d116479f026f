//! A small random number generator, so that a seed decides depths, sizes and pauses.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::cpu;

static STATE: AtomicU32 = AtomicU32::new(0);

/// Starts the sequence of `seed`.
pub fn begin(seed: u32) {
    STATE.store(seed ^ 0x9e37_79b9, Relaxed);
    // The first numbers of xorshift are alike for seeds that are.
    for _ in 0..8 {
        next();
    }
}

fn next() -> u32 {
    cpu::masked(|| {
        let mut x = STATE.load(Relaxed).max(1);
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        STATE.store(x, Relaxed);
        x
    })
}

/// A number from `low` to `high`, both included.
pub fn between(low: u32, high: u32) -> u32 {
    low + next() % (high - low + 1)
}
