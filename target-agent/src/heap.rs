//! Counters of a heap, and an allocator that keeps them.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::critical;
use crate::layout::heap::{ALLOCATED, ALLOCS, FAILED_SIZE, FAILURES, FIRST, FREED, FREES, LAST, OWNERS, PEAK, WORDS};
use crate::table::framed;

/// The counters of one heap: bytes handed out and given back, calls, failures, and the peak.
///
/// They come from [`Block::heap`](crate::Block::heap). A firmware in Rust leaves them to [`Tracked`]; one whose
/// allocator is written otherwise calls the hooks itself, best while it holds the allocator's own lock.
#[repr(transparent)]
pub struct HeapCounters([AtomicU32; WORDS]);

impl HeapCounters {
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; WORDS])
    }

    #[inline(always)]
    fn add(&self, word: usize, amount: u32) -> u32 {
        let sum = self.0[word].load(Relaxed).wrapping_add(amount);
        self.0[word].store(sum, Relaxed);
        sum
    }

    #[inline(always)]
    fn change(&self, body: impl FnOnce()) {
        critical::with(|| framed(&self.0[FIRST], &self.0[LAST], body));
    }

    #[inline(always)]
    fn count_alloc(&self, bytes: u32, freed: u32) {
        let used = self.add(ALLOCATED, bytes).wrapping_sub(freed);
        self.add(ALLOCS, 1);
        if used > self.0[PEAK].load(Relaxed) {
            self.0[PEAK].store(used, Relaxed);
        }
    }

    /// Counts a block of `bytes` bytes that was handed out. Call it after the allocation.
    ///
    /// # Cost
    ///
    /// 52 bytes of flash, 22 instructions, all but four of them with interrupts masked.
    #[inline]
    pub fn on_alloc(&self, bytes: u32) {
        self.change(|| self.count_alloc(bytes, self.0[FREED].load(Relaxed)));
    }

    /// Counts a block of `bytes` bytes that is given back. Call it before the block is free, so that another thread's
    /// allocation of the same memory cannot be counted first.
    ///
    /// # Cost
    ///
    /// 36 bytes of flash, 16 instructions, all but four of them with interrupts masked.
    #[inline]
    pub fn on_free(&self, bytes: u32) {
        self.change(|| {
            self.add(FREED, bytes);
            self.add(FREES, 1);
        });
    }

    /// Counts a block of `old` bytes that became one of `new` bytes: a free and an allocation at once, so that the
    /// number of blocks stays right and the peak does not count both.
    ///
    /// # Cost
    ///
    /// 64 bytes of flash, 27 instructions, all but four of them with interrupts masked.
    #[inline]
    pub fn on_realloc(&self, old: u32, new: u32) {
        self.change(|| {
            let freed = self.add(FREED, old);
            self.add(FREES, 1);
            self.count_alloc(new, freed);
        });
    }

    /// Counts an allocation that failed, of a size that is not known.
    ///
    /// # Cost
    ///
    /// As [`on_failure_of`](Self::on_failure_of).
    #[inline]
    pub fn on_failure(&self) {
        self.on_failure_of(0);
    }

    /// Counts an allocation of `bytes` bytes that failed.
    ///
    /// # Cost
    ///
    /// 32 bytes of flash, 14 instructions, all but four of them with interrupts masked.
    #[inline]
    pub fn on_failure_of(&self, bytes: u32) {
        self.change(|| {
            self.add(FAILURES, 1);
            self.0[FAILED_SIZE].store(bytes, Relaxed);
        });
    }

    /// Counts a block that was handed out with a header which names `depth` callers.
    #[inline(always)]
    pub(crate) fn on_owned(&self, depth: u32, bytes: u32) {
        self.change(|| {
            self.0[OWNERS].store(depth, Relaxed);
            self.count_alloc(bytes, self.0[FREED].load(Relaxed));
        });
    }

    #[cfg(test)]
    pub(crate) fn failed_size(&self) -> u32 {
        self.0[FAILED_SIZE].load(Relaxed)
    }
}

/// An allocator whose blocks are counted.
///
/// It counts the bytes that were asked for; what the allocator adds for headers and rounding is the host's to find.
/// An allocation is counted after it was made and a free before it takes effect, so that a thread that comes between
/// sees at most what is really in use: the peak is "at least".
///
/// ```
/// # use std::alloc::System;
/// use highwater_agent::Tracked;
///
/// highwater_agent::block!(threads: 1, heaps: 1, regions: 1);
///
/// #[global_allocator]
/// static ALLOCATOR: Tracked<System> = Tracked::new(System, HIGHWATER.heap::<0>());
/// ```
pub struct Tracked<A> {
    inner: A,
    counters: &'static HeapCounters,
}

impl<A> Tracked<A> {
    /// Counts the blocks of `inner` in `counters`.
    ///
    /// # Cost
    ///
    /// One word of RAM.
    pub const fn new(inner: A, counters: &'static HeapCounters) -> Self {
        Self { inner, counters }
    }

    /// The allocator inside, for what it needs before it can be used.
    pub const fn inner(&self) -> &A {
        &self.inner
    }

    fn counted(&self, block: *mut u8, size: u32) -> *mut u8 {
        if block.is_null() {
            self.counters.on_failure_of(size);
        } else {
            self.counters.on_alloc(size);
        }
        block
    }
}

// SAFETY: every call goes to the inner allocator with its arguments unchanged, and every result comes back unchanged;
// the counters neither allocate nor panic.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Tracked<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, which is the inner allocator's too.
        self.counted(unsafe { self.inner.alloc(layout) }, word(layout.size()))
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the inner allocator's too.
        self.counted(unsafe { self.inner.alloc_zeroed(layout) }, word(layout.size()))
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.counters.on_free(word(layout.size()));
        // SAFETY: the caller keeps the contract of `dealloc`, which is the inner allocator's too.
        unsafe { self.inner.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `realloc`, which is the inner allocator's too.
        let moved = unsafe { self.inner.realloc(block, layout, new_size) };
        if moved.is_null() {
            self.counters.on_failure_of(word(new_size));
        } else {
            self.counters.on_realloc(word(layout.size()), word(new_size));
        }
        moved
    }
}

#[allow(clippy::cast_possible_truncation, reason = "targets have 32-bit addresses")]
pub(crate) fn word(size: usize) -> u32 {
    size as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::System;

    static COUNTERS: HeapCounters = HeapCounters::new();

    fn counter(word: usize) -> u32 {
        COUNTERS.0[word].load(Relaxed)
    }

    /// An allocator that refuses large blocks.
    struct Small;

    // SAFETY: null is a permitted answer, and all else is the system's allocator.
    unsafe impl GlobalAlloc for Small {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            if layout.size() > 1000 {
                return core::ptr::null_mut();
            }
            // SAFETY: the caller keeps the contract.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: the caller keeps the contract.
            unsafe { System.dealloc(block, layout) }
        }
    }

    #[test]
    fn every_call_is_counted_once() {
        let heap = Tracked::new(Small, &COUNTERS);
        let layout = Layout::from_size_align(100, 4).unwrap();
        // SAFETY: the layouts have a size, and each block is given back with the layout it has.
        unsafe {
            let first = heap.alloc(layout);
            let second = heap.alloc_zeroed(layout);
            assert_eq!(*second.add(99), 0);
            assert_eq!(counter(PEAK), 200);
            let second = heap.realloc(second, layout, 300);
            assert_eq!(counter(PEAK), 400);
            assert!(heap.realloc(first, layout, 2000).is_null(), "too large, and the old block stays");
            assert!(heap.alloc(Layout::from_size_align(1001, 4).unwrap()).is_null());
            heap.dealloc(first, layout);
            heap.dealloc(second, Layout::from_size_align(300, 4).unwrap());
        }
        assert_eq!(counter(ALLOCATED), 500);
        assert_eq!(counter(FREED), 500);
        assert_eq!((counter(ALLOCS), counter(FREES)), (3, 3));
        assert_eq!((counter(FAILURES), counter(FAILED_SIZE)), (2, 1001));
        assert_eq!(counter(PEAK), 400);
        assert_eq!(counter(FIRST), counter(LAST));
        assert_eq!(counter(FIRST), 7, "one change of the frame for each call");
    }

    #[test]
    fn the_peak_is_right_when_the_counters_wrap() {
        let counters = HeapCounters::new();
        counters.0[ALLOCATED].store(u32::MAX - 10, Relaxed);
        counters.0[FREED].store(u32::MAX - 10, Relaxed);
        counters.on_alloc(50);
        assert_eq!(counters.0[PEAK].load(Relaxed), 50);
        counters.on_free(50);
        counters.on_alloc(20);
        assert_eq!(counters.0[PEAK].load(Relaxed), 50);
    }
}
