//! The demo's own accounts, at the symbol `DEMO_TRUTH`; what the words mean is in [`truth`].

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::truth::{self, stack};

#[unsafe(no_mangle)]
static DEMO_TRUTH: [AtomicU32; truth::WORDS] = [const { AtomicU32::new(0) }; truth::WORDS];

/// Begins the accounts of this start.
pub fn begin(boots: u32, scenario: u32, seed: u32) {
    set(truth::SIZE, truth::WORDS as u32);
    set(truth::BOOTS, boots);
    set(truth::SCENARIO, scenario);
    set(truth::SEED, seed);
    set(truth::MAGIC, truth::MAGIC_VALUE);
}

/// Reads a word.
pub fn get(word: usize) -> u32 {
    DEMO_TRUTH[word].load(Relaxed)
}

/// Writes a word.
pub fn set(word: usize, value: u32) {
    DEMO_TRUTH[word].store(value, Relaxed);
}

/// Adds to a word, and gives the sum. The caller masks interrupts, or is the only one that writes it.
pub fn add(word: usize, amount: u32) -> u32 {
    let sum = get(word).wrapping_add(amount);
    set(word, sum);
    sum
}

/// Where a word of a stack's entry is.
pub const fn of_stack(index: usize, word: usize) -> usize {
    truth::FIRST_STACK + index * stack::WORDS + word
}

/// Records where a thread's stack pointer stood when it was switched out.
pub fn switched_out(index: usize, base: u32, size: u32, sp: u32) {
    let lowest = of_stack(index, stack::LOWEST);
    set(of_stack(index, stack::SAVED), sp);
    if get(lowest) == 0 || sp < get(lowest) {
        set(lowest, sp);
        if sp < base + size / 5 && get(truth::DANGER_TICK) == 0 {
            set(truth::DANGER_TICK, get(truth::TICKS));
        }
        if sp < base + highwater_agent::layout::GUARD_BYTES && get(truth::OVERFLOWED) == 0 {
            set(truth::OVERFLOWED, index as u32 + 1);
            set(truth::OVERFLOW_TICK, get(truth::TICKS));
        }
    }
}

/// Records that something happened that should not.
pub fn fault() {
    set(truth::FAULT, 1);
}
