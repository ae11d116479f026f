// Where the demo keeps its own accounts: the words of the symbol `DEMO_TRUTH`.
//
// The firmware counts everything a second time, in another way than the agent does, for tests to compare with. The
// tool never reads it. Tests include this file with `#[path]`, so it holds constants only.
//
// How to compare: run the firmware until `QUIET` is 1, stop it there, and read truth, block and stacks without
// running it in between. At that moment the idle thread has just scanned all stacks word by word, no other thread or
// interrupt ran since, and it sleeps with interrupts masked until the next tick: every word here and in the block is
// exact. That comes every 64 ms or so and lasts for up to a millisecond of the firmware's time. `GENERATION` tells two
// such moments apart. At other times the peaks are those of the last scan; the words under "live" are right whenever
// interrupts are not masked. A reset in such a moment leaves `QUIET` at 1 until the startup code clears it, so after a
// reset wait for `TICKS` to have started over, too.

/// [`MAGIC_VALUE`], once the firmware has begun to keep accounts.
pub const MAGIC: usize = 0;
/// The number of words in all.
pub const SIZE: usize = 1;
/// Grows with each scan of the stacks.
pub const GENERATION: usize = 2;
/// 1 while everything is exact, else 0.
pub const QUIET: usize = 3;
/// The scenario: 0 calm, 1 overflow, 2 leak, 3 fragmentation.
pub const SCENARIO: usize = 4;
/// The seed.
pub const SEED: usize = 5;
/// Starts since RAM lost power.
pub const BOOTS: usize = 6;
/// Live: milliseconds since the start.
pub const TICKS: usize = 7;
/// Live: context switches to another thread.
pub const SWITCHES: usize = 8;
/// Live: bytes in use, as asked for.
pub const HEAP_USED: usize = 9;
/// Live: the most bytes ever in use.
pub const HEAP_PEAK: usize = 10;
/// Live: bytes handed out since the start.
pub const HEAP_ALLOCATED: usize = 11;
/// Live: bytes given back since the start.
pub const HEAP_FREED: usize = 12;
/// Live: allocations that succeeded.
pub const HEAP_ALLOCS: usize = 13;
/// Live: blocks given back.
pub const HEAP_FREES: usize = 14;
/// Live: allocations that failed.
pub const HEAP_FAILURES: usize = 15;
/// Bytes in use as the allocator counts them, with rounding; from the last scan.
pub const HEAP_OCCUPIED: usize = 16;
/// Live: the first stack that was seen beyond its guard, as index plus one; 0 while there is none.
pub const OVERFLOWED: usize = 17;
/// Live: the tick at which that was seen.
pub const OVERFLOW_TICK: usize = 18;
/// Live: the tick at which a stack was first seen above 80 %; 0 while none was.
pub const DANGER_TICK: usize = 19;
/// Live: words of `uart_rx_buf` found overwritten at the last look.
pub const VICTIM_WORDS: usize = 20;
/// 1 after an exception or a panic that should not be; the firmware then stands still.
pub const FAULT: usize = 21;
/// The number of stacks below.
pub const STACK_COUNT: usize = 22;
/// The first of the stacks: [`STACKS`] entries of [`stack::WORDS`] words.
pub const FIRST_STACK: usize = 24;
/// Room for so many stacks.
pub const STACKS: usize = 10;
/// Words in all.
pub const WORDS: usize = FIRST_STACK + STACKS * stack::WORDS;

/// The content of [`MAGIC`]: the bytes `true`.
pub const MAGIC_VALUE: u32 = u32::from_le_bytes(*b"true");

/// Word indices in a stack's entry. The order is that of the threads' slots in the agent's block.
pub mod stack {
    /// Lowest address.
    pub const BASE: usize = 0;
    /// Size in bytes.
    pub const SIZE: usize = 1;
    /// Bytes from the top down to the deepest word that is not paint; the whole size when the guard's lowest word is
    /// gone. From the last scan.
    pub const PEAK: usize = 2;
    /// Live: the lowest stack pointer at a context switch; 0 when never switched out, and for the interrupt stack.
    pub const LOWEST: usize = 3;
    /// Live: the stack pointer at the last context switch.
    pub const SAVED: usize = 4;
    /// Words in an entry.
    pub const WORDS: usize = 5;
}
