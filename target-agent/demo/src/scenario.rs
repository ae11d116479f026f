//! What the demo is told to do, in two words that a simulator or a debugger writes before the reset is released.

/// `0xD0D0_0000` and the number of the scenario; anything else is calm.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".uninit.HIGHWATER_DEMO_SCENARIO")]
#[used]
static mut HIGHWATER_DEMO_SCENARIO: u32 = 0;

/// Seeds the random numbers; any value is good.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".uninit.HIGHWATER_DEMO_SEED")]
#[used]
static mut HIGHWATER_DEMO_SEED: u32 = 0;

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Scenario {
    /// Nothing: all stacks stay below 80 %, the heap is stable.
    Calm = 0,
    /// `growth` goes deeper and deeper, through its guard into `uart_rx_buf`.
    Overflow = 1,
    /// `alloc` forgets a few blocks a second until the heap is spent.
    Leak = 2,
    /// `alloc` frees every other block, until much is free and nothing fits.
    Fragmentation = 3,
}

/// The scenario and the seed of this start.
pub fn read() -> (Scenario, u32) {
    // SAFETY: the firmware only reads these words; the reads are volatile since they are written from outside.
    let (scenario, seed) = unsafe {
        ((&raw const HIGHWATER_DEMO_SCENARIO).read_volatile(), (&raw const HIGHWATER_DEMO_SEED).read_volatile())
    };
    let scenario = match scenario {
        0xD0D0_0001 => Scenario::Overflow,
        0xD0D0_0002 => Scenario::Leak,
        0xD0D0_0003 => Scenario::Fragmentation,
        _ => Scenario::Calm,
    };
    (scenario, seed)
}
