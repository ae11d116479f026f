//! Looks at every word of every stack, for the demo's own accounts.
//!
//! The look is exact: a scan from the limit upwards to the first word that is not paint. It takes a while, so it runs
//! in the idle thread with interrupts on, and counts only when no other thread ran meanwhile.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use highwater_agent::layout::PAINT;

use crate::truth::{self, STACKS, stack};
use crate::{cpu, heap, kernel, ledger};

/// Milliseconds between two looks.
const PERIOD: u32 = 64;

/// The interrupt stack and the idle thread's own: the two that are used while the idle thread looks.
const RESTLESS: [usize; 2] = [0, 3];

static LAST: AtomicU32 = AtomicU32::new(0);

/// Looks at the stacks if it is time to, publishes what it found, and sleeps until the next interrupt while what was
/// published is still true. Does nothing when it is not time, or when another thread came between.
pub fn take() {
    if kernel::now().wrapping_sub(LAST.load(Relaxed)) < PERIOD {
        return;
    }
    let before = ledger::get(truth::SWITCHES);
    let mut peaks = [0; STACKS];
    for (index, peak) in peaks.iter_mut().enumerate() {
        *peak = peak_of(index);
    }
    cpu::masked(|| {
        if ledger::get(truth::SWITCHES) != before {
            return;
        }
        ledger::set(truth::HEAP_OCCUPIED, heap::occupied());
        for index in RESTLESS {
            peaks[index] = peak_of(index);
        }
        for (index, peak) in peaks.into_iter().enumerate() {
            ledger::set(ledger::of_stack(index, stack::PEAK), peak);
        }
        ledger::add(truth::GENERATION, 1);
        LAST.store(kernel::now(), Relaxed);
        ledger::set(truth::QUIET, 1);
        cpu::wait_for_interrupt();
        ledger::set(truth::QUIET, 0);
    });
}

/// Bytes of a stack from its top to the deepest word that is not paint.
#[inline(never)]
fn peak_of(index: usize) -> u32 {
    let Some((base, size)) = kernel::stack_bounds(index) else { return 0 };
    let mut clean = 0;
    // SAFETY: the stack is memory, and aligned; the reads are volatile since other threads write there.
    while clean < size && unsafe { ((base + clean) as *const u32).read_volatile() } == PAINT {
        clean += 4;
    }
    size - clean
}
