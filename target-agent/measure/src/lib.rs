//! Each hook of the agent as a function of its own, for `measure.sh` to look at.

#![no_std]

use core::alloc::{GlobalAlloc, Layout};

use highwater_agent::{HeapCounters, Owned, Region, RegionId, Thread, ThreadId, ThreadState, stack};

highwater_agent::block!(threads: 8, heaps: 1, regions: 4);

macro_rules! hooks {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)? $body:block)*) => {
        $(
            /// One hook.
            #[unsafe(no_mangle)]
            pub fn $name($($argument: $kind),*) $(-> $result)? $body
        )*
    };
}

/// An allocator that costs nothing: what is left is the agent's.
struct Nothing;

// SAFETY: null is a permitted answer.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::hint::black_box(core::ptr::null_mut())
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

static ONE: Owned<Nothing, 1> = Owned::new(Nothing, HIGHWATER.heap::<0>());
static THREE: Owned<Nothing, 3> = Owned::new(Nothing, HIGHWATER.heap::<0>());

hooks! {
    fn measure_init() { HIGHWATER.init(HIGHWATER_BUILD_ID); }
    fn measure_thread_add(thread: &Thread) -> Option<ThreadId> { HIGHWATER.register_thread(thread).ok() }
    fn measure_thread_retire(id: ThreadId) -> bool { HIGHWATER.retire_thread(id) }
    fn measure_region_add(region: &Region) -> Option<RegionId> { HIGHWATER.register_region(region).ok() }
    fn measure_region_retire(id: RegionId) -> bool { HIGHWATER.retire_region(id) }
    fn measure_alloc(heap: &HeapCounters, bytes: u32) { heap.on_alloc(bytes); }
    fn measure_free(heap: &HeapCounters, bytes: u32) { heap.on_free(bytes); }
    fn measure_realloc(heap: &HeapCounters, old: u32, new: u32) { heap.on_realloc(old, new); }
    fn measure_failure(heap: &HeapCounters, bytes: u32) { heap.on_failure_of(bytes); }
    // SAFETY: nothing runs these; their code is only looked at.
    fn measure_owned_1(layout: Layout) -> *mut u8 { unsafe { ONE.alloc(layout) } }
    // SAFETY: as above.
    fn measure_owned_3(layout: Layout) -> *mut u8 { unsafe { THREE.alloc(layout) } }
    // SAFETY: as above.
    fn measure_owned_free(block: *mut u8, layout: Layout) { unsafe { THREE.dealloc(block, layout) } }
    fn measure_heartbeat() { HIGHWATER.heartbeat(); }
    fn measure_state(id: ThreadId) { HIGHWATER.set_state(id, ThreadState::Ready); }
    fn measure_running(id: ThreadId) { HIGHWATER.set_running(Some(id)); }
    fn measure_switch(id: ThreadId, sp: u32) { HIGHWATER.on_switch(id, sp); }
    // SAFETY: nothing runs these; their code is only looked at.
    fn measure_paint(base: *mut u32, bytes: usize) { unsafe { stack::paint(base, bytes) } }
    // SAFETY: as above.
    fn measure_paint_below_sp(base: *mut u32) { unsafe { stack::paint_below_sp(base) } }
    // SAFETY: as above.
    fn measure_guard(base: *const u32) -> bool { unsafe { stack::guard_is_whole(base) } }
}
