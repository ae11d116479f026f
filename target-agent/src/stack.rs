//! Painting stacks, so that the host sees how deep each one was ever used.
//!
//! Unused stack is filled with [`PAINT`]; whatever a thread writes stays visible as a word that is not paint. The
//! lowest [`GUARD_BYTES`] are the guard: once one of its words changes, the stack is spent, and whatever lies below
//! it comes next.
//!
//! - The stack of a thread that does not run yet: [`paint`].
//! - The stack this code runs on: `paint_below_sp`, which exists on the targets only.
//! - The main stack of a cortex-m-rt firmware: its feature `paint-stack`, which uses the same word. Rust code that
//!   runs before `main` is not defined, so no Rust painter can do that as early.

use crate::layout::{GUARD_BYTES, PAINT};

/// Paints the stack of a thread that does not run yet.
///
/// # Safety
///
/// `base` is the stack's lowest address, 4-aligned, and valid for writes of `bytes` bytes. Nothing uses that memory
/// yet; the kernel's first frame goes there afterwards.
///
/// # Cost
///
/// 12 bytes of flash, 4 instructions for each word. Interrupts stay as they are.
pub unsafe fn paint(base: *mut u32, bytes: usize) {
    let words = bytes / size_of::<u32>();
    for index in 0..words {
        // SAFETY: the caller vouches for `bytes` bytes from `base` on.
        unsafe { base.add(index).write(PAINT) };
    }
}

/// Says whether the guard of a painted stack is whole, for a firmware that checks its own stacks.
///
/// # Safety
///
/// `base` is the stack's lowest address, 4-aligned, and valid for reads of [`GUARD_BYTES`] bytes.
///
/// # Cost
///
/// At most 8 words are read. Interrupts stay as they are.
#[must_use]
pub unsafe fn guard_is_whole(base: *const u32) -> bool {
    // SAFETY: the caller vouches for the guard. The reads are volatile, since the thread writes there behind the
    // compiler's back.
    (0..GUARD_BYTES as usize / size_of::<u32>()).all(|index| unsafe { base.add(index).read_volatile() } == PAINT)
}

/// Paints the stack this code runs on, from its lowest address up to the stack pointer.
///
/// An interrupt that comes meanwhile uses the memory below the stack pointer and is done with it before painting goes
/// on, so interrupts may stay on.
///
/// # Safety
///
/// `base` is the lowest address of the current stack (PSP's or MSP's, whichever is in use), 4-aligned, and everything
/// from there to the stack pointer belongs to it.
///
/// # Cost
///
/// 22 bytes of flash, 4 instructions for each word. Interrupts stay as they are.
#[cfg(any(highwater_cortex_m, target_arch = "riscv32"))]
#[inline]
pub unsafe fn paint_below_sp(base: *mut u32) {
    // SAFETY: the loop writes from `base` up to SP and not beyond, which the caller vouches for; it is assembly so
    // that it keeps nothing on the stack it paints.
    #[cfg(highwater_cortex_m)]
    unsafe {
        core::arch::asm!(
            "mov {end}, sp",
            "b 3f",
            "2:",
            "str {paint}, [{at}]",
            "adds {at}, #4",
            "3:",
            "cmp {at}, {end}",
            "blo 2b",
            at = inout(reg) base => _,
            end = out(reg) _,
            paint = in(reg) PAINT,
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "riscv32")]
    unsafe {
        core::arch::asm!(
            "j 3f",
            "2:",
            "sw {paint}, 0({at})",
            "addi {at}, {at}, 4",
            "3:",
            "bltu {at}, sp, 2b",
            at = inout(reg) base => _,
            paint = in(reg) PAINT,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_is_whole_until_one_of_its_words_changes() {
        let mut memory = [0u32; 64];
        let base = memory.as_mut_ptr();
        // SAFETY: `memory` has 64 words, and nothing else uses it.
        unsafe {
            paint(base, 63 * 4);
            assert!(guard_is_whole(base));
            base.add(8).write(0);
            assert!(guard_is_whole(base), "the ninth word is above the guard");
            base.add(7).write(0);
            assert!(!guard_is_whole(base));
        }
        assert_eq!((memory[62], memory[63]), (PAINT, 0));
    }
}
