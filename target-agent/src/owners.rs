//! An allocator whose blocks say who asked for them.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::null_mut;

use crate::heap::{HeapCounters, word};
use crate::layout::owner;

/// An allocator whose blocks are counted, as [`Tracked`](crate::Tracked) does, and begin with a header for the host:
/// the size that was asked for, and `DEPTH` return addresses, the innermost first.
///
/// The return address of `GlobalAlloc::alloc` itself lies in the standard library, in the code of a `Vec` or a `Box`,
/// unless the compiler put that inline. Symbols are the host's to know, so the agent records as many callers as it is
/// told to, and the host names the first one that is neither the library nor an allocator. The callers are found by
/// the frame pointers that Rust keeps in r7 on Cortex-M; on other processors they are recorded as 0, unknown. A walk
/// ends where the next frame does not lie within 1 KiB above the last one. The library's own calls are one to four deep,
/// by what is asked for and how it was optimised: a depth of 3 is enough for `Box`, `Vec::with_capacity` and
/// `try_reserve`, 4 for `Vec::push`. `SKIP` callers are left out, for an allocator of the firmware's own around this one.
///
/// # Cost
///
/// `4 + 4 * DEPTH` bytes of heap for each block, rounded up to the block's own alignment: 8 with a depth of 1, 16 with
/// 3. At a depth of 3 the code of an allocation, counters and failing included, is 262 bytes and 102 instructions beside
/// the inner allocator's, 10 of which run once for each caller.
pub struct Owned<A, const DEPTH: usize = 1, const SKIP: usize = 0> {
    inner: A,
    counters: &'static HeapCounters,
}

impl<A, const DEPTH: usize, const SKIP: usize> Owned<A, DEPTH, SKIP> {
    /// Counts the blocks of `inner` in `counters`, and notes in each one who asked for it.
    ///
    /// # Cost
    ///
    /// One word of RAM.
    pub const fn new(inner: A, counters: &'static HeapCounters) -> Self {
        const { assert!(DEPTH >= 1 && DEPTH <= owner::MAX_DEPTH, "a block has room for 1 to 8 callers") };
        Self { inner, counters }
    }

    /// The allocator inside, for what it needs before it can be used.
    pub const fn inner(&self) -> &A {
        &self.inner
    }

    /// The block with its header, and where the caller's part of it begins. `None` when it is larger than a header
    /// can say, which is larger than the memory of any microcontroller.
    #[inline(always)]
    fn whole(layout: Layout, size: usize) -> Option<(Layout, usize)> {
        let front = owner::front(DEPTH, layout.align());
        if size > owner::SIZE as usize {
            return None;
        }
        let align = if layout.align() < 4 { 4 } else { layout.align() };
        // SAFETY: the alignment is a layout's or 4, and such a size is far from overflowing when it is rounded up.
        let whole = unsafe { Layout::from_size_align_unchecked(front + size, align) };
        Some((whole, front))
    }

    /// Writes the header, and gives the caller's part.
    ///
    /// # Safety
    ///
    /// `block` has room for the header and is aligned to words.
    #[inline(always)]
    unsafe fn noted(&self, block: *mut u8, front: usize, align: usize, size: usize) -> *mut u8 {
        let header = block.cast::<u32>();
        // SAFETY: the caller says that the header fits; a debugger may look, so each word is written at once.
        unsafe {
            header.write_volatile(owner::pack(word(size), align));
            note_callers::<DEPTH, SKIP>(header.add(1));
            block.add(front)
        }
    }

    #[inline(always)]
    unsafe fn obtain(&self, layout: Layout, alloc: impl FnOnce(Layout) -> *mut u8) -> *mut u8 {
        let Some((whole, front)) = Self::whole(layout, layout.size()) else {
            self.counters.on_failure_of(word(layout.size()));
            return null_mut();
        };
        let block = alloc(whole);
        if block.is_null() {
            self.counters.on_failure_of(word(layout.size()));
            return block;
        }
        // SAFETY: the block was asked for with room for the header.
        let part = unsafe { self.noted(block, front, layout.align(), layout.size()) };
        self.counters.on_owned(DEPTH as u32, word(layout.size()));
        part
    }
}

// SAFETY: each block comes from the inner allocator, large enough for the header and the caller's part behind it; the
// header is a multiple of the alignment, so the part is aligned as the block is.
unsafe impl<A: GlobalAlloc, const DEPTH: usize, const SKIP: usize> GlobalAlloc for Owned<A, DEPTH, SKIP> {
    // A frame of its own: the first caller is then whoever called this.
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`; the whole block has a size.
        unsafe { self.obtain(layout, |whole| self.inner.alloc(whole)) }
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        unsafe { self.obtain(layout, |whole| self.inner.alloc_zeroed(whole)) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.counters.on_free(word(layout.size()));
        if let Some((whole, front)) = Self::whole(layout, layout.size()) {
            // SAFETY: `alloc` gave this part of a block with this layout.
            unsafe { self.inner.dealloc(block.sub(front), whole) }
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let (Some((old, front)), Some(_)) = (Self::whole(layout, layout.size()), Self::whole(layout, new_size)) else {
            self.counters.on_failure_of(word(new_size));
            return null_mut();
        };
        // SAFETY: `alloc` gave this part of a block with this layout, and the new size was checked.
        let moved = unsafe { self.inner.realloc(block.sub(front), old, front + new_size) };
        if moved.is_null() {
            self.counters.on_failure_of(word(new_size));
            return moved;
        }
        // SAFETY: the moved block has room for the header.
        let part = unsafe { self.noted(moved, front, layout.align(), new_size) };
        self.counters.on_realloc(word(layout.size()), word(new_size));
        part
    }
}

/// Writes the callers of the function that this ends up in: the addresses they will return to, 0 where none is known.
///
/// # Safety
///
/// There is room for `DEPTH` words.
#[cfg(highwater_cortex_m)]
#[inline(always)]
unsafe fn note_callers<const DEPTH: usize, const SKIP: usize>(to: *mut u32) {
    /// No frame of a small firmware is larger, and nothing beyond it is read.
    const REACH: u32 = 1024;
    let (mut below, mut frame): (u32, u32);
    // SAFETY: this copies two registers.
    unsafe {
        core::arch::asm!("mov {}, sp", "mov {}, r7", out(reg) below, out(reg) frame, options(nomem, nostack, preserves_flags));
    }
    let mut index = 0;
    while index < DEPTH + SKIP {
        let mut caller = 0;
        if frame.wrapping_sub(below) < REACH && frame & 3 == 0 {
            let pair = frame as *const u32;
            // SAFETY: the words lie on the stack that runs, just above its pointer: a saved r7 and a saved LR.
            unsafe {
                below = frame.wrapping_add(8);
                frame = pair.read_volatile();
                caller = pair.add(1).read_volatile();
            }
        }
        if index >= SKIP {
            // SAFETY: the caller says that there is room.
            unsafe { to.add(index - SKIP).write_volatile(caller) }
        }
        index += 1;
    }
}

/// Writes that no caller is known.
///
/// # Safety
///
/// There is room for `DEPTH` words.
#[cfg(not(highwater_cortex_m))]
#[inline(always)]
unsafe fn note_callers<const DEPTH: usize, const SKIP: usize>(to: *mut u32) {
    for index in 0..DEPTH {
        // SAFETY: the caller says that there is room.
        unsafe { to.add(index).write_volatile(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::System;

    #[test]
    fn blocks_are_aligned_and_say_what_was_asked_for() {
        static COUNTERS: HeapCounters = HeapCounters::new();
        let heap: Owned<System, 3> = Owned::new(System, &COUNTERS);
        for align in [1, 2, 4, 8, 16, 64, 256] {
            let layout = Layout::from_size_align(100, align).unwrap();
            // SAFETY: the layout has a size, and the block is given back with the layout it has.
            unsafe {
                let block = heap.alloc_zeroed(layout);
                assert_eq!(block.addr() % align, 0);
                assert_eq!(*block.add(99), 0);
                block.write_bytes(7, 100);
                let front = owner::front(3, align);
                assert_eq!(owner::unpack(block.sub(front).cast::<u32>().read()), (100, align));
                let block = heap.realloc(block, layout, 300);
                assert_eq!((*block, *block.add(99)), (7, 7), "the content moved along");
                assert_eq!(owner::unpack(block.sub(front).cast::<u32>().read()), (300, align));
                heap.dealloc(block, Layout::from_size_align(300, align).unwrap());
            }
        }
    }

    #[test]
    fn what_no_header_can_say_fails_and_is_counted_with_its_size() {
        static COUNTERS: HeapCounters = HeapCounters::new();
        let heap: Owned<System> = Owned::new(System, &COUNTERS);
        let size = owner::SIZE as usize + 1;
        // SAFETY: the layout has a size.
        assert!(unsafe { heap.alloc(Layout::from_size_align(size, 8).unwrap()) }.is_null());
        assert_eq!(COUNTERS.failed_size(), word(size));
    }
}
