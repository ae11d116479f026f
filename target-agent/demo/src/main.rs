//! The firmware behind `highwater demo`: a small preemptive kernel on the memory layout that highwater draws.
//!
//! It starts like a device in the field does: vectors and a bootloader at the bottom of flash, then the application,
//! which copies its vectors to RAM. Three threads have static stacks; five more have stacks on the heap, with buffers
//! between them, so that an overflow has a victim. What goes wrong, and when, is the [`scenario`]'s to say.

#![no_std]
#![no_main]

extern crate alloc;

mod bootloader;
mod census;
mod cpu;
mod heap;
mod kernel;
mod ledger;
mod memory;
mod random;
mod report;
mod scenario;
mod startup;
mod threads;
mod truth;

use highwater_agent::{Region, RegionKind, ThreadKind};

highwater_agent::block!(threads: 10, heaps: 1, regions: 8, section: ".uninit.HIGHWATER");

/// The hash of the sources, for the test that tells an ELF older than them. It is not loaded.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".highwater.sources")]
#[used]
static SOURCES: [u8; SOURCES_TEXT.len()] = *SOURCES_TEXT;
const SOURCES_TEXT: &[u8; include_bytes!(concat!(env!("OUT_DIR"), "/sources.txt")).len()] =
    include_bytes!(concat!(env!("OUT_DIR"), "/sources.txt"));

/// The application's first Rust code: on the interrupt stack, with interrupts masked.
#[unsafe(no_mangle)]
extern "C" fn application_main() -> ! {
    let boots = HIGHWATER.init(HIGHWATER_BUILD_ID);
    let (scenario, seed) = scenario::read();
    ledger::begin(boots, scenario as u32, seed);
    random::begin(seed);

    for (name, kind, part) in [
        (c"RAM vectors", RegionKind::Vectors, memory::ram_vectors()),
        (c"vector table", RegionKind::Vectors, memory::vector_table()),
        (c"bootloader", RegionKind::Bootloader, memory::bootloader()),
    ] {
        // A full block is counted by the agent, and the firmware runs on without the name.
        let _ = HIGHWATER.register_region(&Region::new(name, kind, part.start, part.end - part.start));
    }
    heap::begin();

    let isr = memory::isr_stack();
    kernel::register_isr_stack(isr.start, isr.end - isr.start);
    kernel::spawn(c"main", ThreadKind::Main, threads::main::run, memory::main_stack(), 2);
    kernel::spawn(c"timer", ThreadKind::Timer, threads::timer::run, memory::timer_stack(), 7);
    kernel::spawn(c"idle", ThreadKind::Idle, threads::idle::run, memory::idle_stack(), 0);
    kernel::start()
}
