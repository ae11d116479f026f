//! The heap: a first-fit allocator, counted by the agent, and counted once more by the demo itself.

use core::alloc::{GlobalAlloc, Layout};

use embedded_alloc::LlffHeap;
use highwater_agent::Owned;

use crate::{HIGHWATER, cpu, ledger, memory, truth};

#[global_allocator]
static ALLOCATOR: Accounted = Accounted;

/// The allocator that the agent counts. It notes three callers, without the demo's own accounts:
/// the library's two, and whoever asked.
static HEAP: Owned<LlffHeap, 3, 1> = Owned::new(LlffHeap::empty(), HIGHWATER.heap::<0>());

/// Gives the heap its memory, and registers it.
pub fn begin() {
    let heap = memory::heap();
    let size = heap.end - heap.start;
    // SAFETY: the memory is the linker script's heap, nothing else uses it, and this runs once.
    unsafe { HEAP.inner().init(heap.start as usize, size as usize) }
    // A full block is counted by the agent.
    let _ = HIGHWATER.register_heap::<0>(c"heap", heap.start, size);
}

/// Bytes in use as the allocator counts them.
pub fn occupied() -> u32 {
    HEAP.inner().used() as u32
}

/// Keeps the demo's own accounts. Interrupts are masked over the whole of a call, so that these accounts, the agent's
/// and the heap agree whenever an interrupt or a debugger can look.
struct Accounted;

fn handed_out(bytes: usize) {
    ledger::add(truth::HEAP_ALLOCATED, bytes as u32);
    ledger::add(truth::HEAP_ALLOCS, 1);
    let used = ledger::add(truth::HEAP_USED, bytes as u32);
    ledger::set(truth::HEAP_PEAK, used.max(ledger::get(truth::HEAP_PEAK)));
}

fn given_back(bytes: usize) {
    ledger::add(truth::HEAP_FREED, bytes as u32);
    ledger::add(truth::HEAP_FREES, 1);
    ledger::add(truth::HEAP_USED, (bytes as u32).wrapping_neg());
}

fn failed() {
    ledger::add(truth::HEAP_FAILURES, 1);
}

// SAFETY: every call goes to the tracked heap with its arguments unchanged, and every result comes back unchanged.
unsafe impl GlobalAlloc for Accounted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        cpu::masked(|| {
            // SAFETY: the caller keeps the contract of `alloc`.
            let block = unsafe { HEAP.alloc(layout) };
            if block.is_null() {
                failed()
            } else {
                handed_out(layout.size())
            }
            block
        })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        cpu::masked(|| {
            given_back(layout.size());
            // SAFETY: the caller keeps the contract of `dealloc`.
            unsafe { HEAP.dealloc(block, layout) }
        });
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        cpu::masked(|| {
            // SAFETY: the caller keeps the contract of `realloc`.
            let moved = unsafe { HEAP.realloc(block, layout, new_size) };
            if moved.is_null() {
                failed();
            } else {
                given_back(layout.size());
                handed_out(new_size);
            }
            moved
        })
    }
}
