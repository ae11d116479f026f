//! `main`: sets the device up, then writes a line about it now and then.

use core::alloc::Layout;
use core::fmt::Write;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use highwater_agent::{Region, RegionKind, ThreadKind};

use crate::report::Line;
use crate::{HIGHWATER, kernel, ledger, random, threads, truth};

/// The last lines of the log, one after the other, for a debugger to read.
#[used]
static LOG: [AtomicU32; 416] = [const { AtomicU32::new(0) }; 416];

/// The thread. The order of its allocations is the picture of the heap: blocks, stacks and buffers side by side, with
/// `uart_rx_buf` just below the stack of `growth`.
pub extern "C" fn run() -> ! {
    for size in [256, 264, 272, 264] {
        reserve(size);
    }
    let sensor = reserve(1024);
    let tx = buffer(c"uart_tx_buf", 528);
    let comms = reserve(2048);
    let rx = buffer(c"uart_rx_buf", 520);
    let growth = reserve(4096);
    let hole = reserve(1024);
    let alloc = reserve(1536);
    for size in [248, 248, 248, 248, 248, 248, 248, 248, 272] {
        reserve(size);
    }
    let waiter = reserve(768);
    release(hole);

    threads::comms::use_buffers(rx, tx);
    kernel::spawn(c"sensor", ThreadKind::User, threads::sensor::run, sensor, 5);
    kernel::spawn(c"comms", ThreadKind::User, threads::comms::run, comms, 4);
    kernel::spawn(c"growth", ThreadKind::User, threads::growth::run, growth, 3);
    kernel::spawn(c"alloc", ThreadKind::User, threads::alloc::run, alloc, 3);
    let waiter = kernel::spawn(c"waiter", ThreadKind::User, threads::waiter::run, waiter, 6);
    threads::timer::notify_regularly(waiter);

    let mut at = 0;
    loop {
        at = log_status(at);
        kernel::sleep(random::between(200, 300));
    }
}

/// A block that stays, or an empty range when the heap has none.
fn reserve(size: u32) -> Range<u32> {
    let Ok(layout) = Layout::from_size_align(size as usize, 8) else { return 0..0 };
    // SAFETY: the layout has a size.
    let start = unsafe { alloc::alloc::alloc(layout) } as u32;
    if start == 0 { 0..0 } else { start..start + size }
}

fn release(block: Range<u32>) {
    if let Ok(layout) = Layout::from_size_align(block.len(), 8) {
        // SAFETY: the block came from `reserve` with this layout, and nothing uses it.
        unsafe { alloc::alloc::dealloc(block.start as *mut u8, layout) }
    }
}

fn buffer(name: &'static core::ffi::CStr, size: u32) -> Range<u32> {
    let block = reserve(size);
    // A full block is counted by the agent, and the buffer works without a name.
    let _ = HIGHWATER.register_region(&Region::new(name, RegionKind::Buffer, block.start, size));
    block
}

/// Formats a line about the device and appends it to the log.
#[inline(never)]
fn log_status(mut at: usize) -> usize {
    let mut text = [0u8; 320];
    let mut line = Line::new(&mut text);
    // A line that is too long is cut off.
    let _ = writeln!(
        line,
        "[{:>8}] boot {} used {} of peak {} failures {} last sample {:?}",
        kernel::now(),
        ledger::get(truth::BOOTS),
        ledger::get(truth::HEAP_USED),
        ledger::get(truth::HEAP_PEAK),
        ledger::get(truth::HEAP_FAILURES),
        threads::sensor::last_samples(),
    );
    for word in line.bytes().chunks(4) {
        let mut bytes = [b' '; 4];
        bytes[..word.len()].copy_from_slice(word);
        LOG[at % LOG.len()].store(u32::from_le_bytes(bytes), Relaxed);
        at += 1;
    }
    at
}
