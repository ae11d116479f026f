//! What is known of the target at one moment: plain data, every number with its trust.
//!
//! The sampler fills it from measurements, the model adds what only time can tell, and views read it. Nothing here
//! does any I/O.

use std::time::Duration;

pub use super::heap::{
    Block, BlockState, CallSite, Damage, Heap, LiveBlock, Obstacle, Owner, SizeClass, Suspect, Unwalked,
};
pub use crate::image::values::Row;
use crate::region::Region;

/// Everything known at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Time since the attach, by the injected clock (emulated time in lockstep).
    pub at: Duration,
    /// Counts the target's resets seen since the attach: marks and history do not carry over one.
    pub epoch: u32,
    /// What the target is.
    pub target: Target,
    /// Whether the numbers are fresh.
    pub health: Health,
    /// The memories, each with its regions, in ascending address order; flash and RAM alike.
    pub memories: Vec<MemoryMap>,
    /// All stacks: threads, main, idle, timer, interrupt.
    pub stacks: Vec<Stack>,
    /// All heaps.
    pub heaps: Vec<Heap>,
    /// What the link did for this refresh.
    pub link: Link,
    /// Hints: what is not known and what the user can do about it, in whole sentences.
    pub hints: Vec<String>,
    /// The words of the stack that somebody looks at; nothing is read for it while nobody does.
    pub detail: Option<StackWords>,
    /// The first bytes of the block that somebody looks at; nothing is read for it while nobody does.
    pub excerpt: Option<Excerpt>,
    /// The fields of the static that somebody looks at; nothing is read for it while nobody does.
    pub values: Option<StaticValues>,
    /// The tripwire, when this run was asked for one.
    pub tripwire: Option<super::catch::Tripwire>,
}

/// What the tool is looking at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// File name of the ELF, without its folder.
    pub elf: String,
    /// The firmware's build id as hexadecimal text.
    pub build_id: Option<String>,
    /// The chip, as probe-rs names it.
    pub chip: Option<String>,
    /// The core: `Cortex-M3`.
    pub core: Option<String>,
    /// Who told of the threads: `agent 1.0`, `bare metal`.
    pub kernel: Option<String>,
    /// Where the bytes come from: `sim`, a probe's name, `file` when there is no target.
    pub source: String,
    /// The firmware was built for a floating-point unit: exceptions push the extended frame.
    pub has_float: bool,
    /// How often the ELF was built anew and taken over since the start.
    pub rebuilds: u32,
}

/// Whether the numbers are fresh, and what the link is doing about it when they are not.
#[derive(Clone, Debug, PartialEq)]
pub enum Health {
    /// There is no target: a static picture from the ELF.
    Static,
    /// Memory that was saved earlier, from a file: it does not change.
    Saved,
    /// The last refresh came through.
    Live,
    /// The target sleeps or does not answer for now; the numbers are from `since`.
    Stale {
        /// Time of the last good refresh, since the attach.
        since: Duration,
        /// Why, in words.
        why: String,
    },
    /// The link is gone and is being opened again.
    Reconnecting {
        /// Time of the last good refresh, since the attach.
        since: Duration,
        /// Why, in words.
        why: String,
    },
}

/// How much a number can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trust {
    /// Measured, and nothing can hide behind it.
    Exact,
    /// A lower bound: it may be more (a high-water mark by paint before all of the stack was read).
    AtLeast,
    /// Worked out, not measured.
    Estimated,
    /// Read while it changed, and the two halves may not belong together.
    Torn,
    /// Older than the last refresh.
    Stale,
    /// Nobody painted this stack: there is no mark to read.
    Unpainted,
    /// It could not be read.
    Gap,
}

/// A number of bytes and its worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Bytes.
    pub bytes: u32,
    /// What it is worth.
    pub trust: Trust,
}

/// One physical memory and what lies in it.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryMap {
    /// `RAM`, `Flash`, `CCM`.
    pub name: String,
    /// Flash or RAM.
    pub kind: MemoryKind,
    /// Its address range.
    pub range: Region,
    /// Whether the range is known (chip or linker symbols) or only spans what the ELF puts there.
    pub size_known: bool,
    /// Its parts in ascending address order, without gap or overlap: their sizes add up to the range's.
    pub parts: Vec<Part>,
}

/// Flash or RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemoryKind {
    /// Holds its content without power; not written by the running program.
    Flash,
    /// Written by the running program.
    Ram,
}

/// A named range of one memory. A heap's parts lie in it, and fill it without gap or overlap when there are any.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Stable across refreshes and, as far as its owner has a name, across builds: `ram/heap/stack:growth`.
    pub id: String,
    /// What a person calls it.
    pub name: String,
    /// What it is.
    pub kind: PartKind,
    /// Where it is.
    pub range: Region,
    /// Fixed at link time (not allocated at run time).
    pub is_static: bool,
    /// Room that the linker left for a stack, and no reservation: it becomes smaller when something else becomes larger.
    pub is_room: bool,
    /// Index into [`Snapshot::stacks`], when it is a stack.
    pub stack: Option<usize>,
    /// Index into [`Snapshot::heaps`], when it is a heap.
    pub heap: Option<usize>,
    /// What lies in it (a heap's blocks), in ascending address order.
    pub parts: Vec<Part>,
}

/// What a part of a memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartKind {
    /// Vector table, in flash or its copy in RAM.
    Vectors,
    /// Bootloader.
    Bootloader,
    /// Code.
    Code,
    /// Read-only data.
    Constants,
    /// Initial values of `.data`, in flash.
    DataImage,
    /// Initialised globals (RW).
    Data,
    /// Zero-initialised globals (ZI).
    Bss,
    /// Memory that keeps its content over a reset (`.uninit`, `.noinit`).
    Uninit,
    /// A stack.
    Stack,
    /// A heap.
    Heap,
    /// A block of a heap, in use.
    Block,
    /// A part of a heap that is free.
    Free,
    /// A part of a heap of which only totals are known: blocks or free.
    Blocks,
    /// A registered buffer.
    Buffer,
    /// Anything else that the ELF or the agent names.
    Other,
    /// Claimed by nobody.
    Unclaimed,
}

/// What a stack belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StackKind {
    /// The main thread's, or the only one.
    Main,
    /// The interrupts' and the scheduler's (MSP).
    Isr,
    /// The idle thread's.
    Idle,
    /// The timer thread's.
    Timer,
    /// Any other thread's.
    User,
}

/// One stack. It grows down: first use at the top, the limit at the bottom.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    /// Stable across refreshes: address and generation, not the name, tell stacks apart.
    pub id: String,
    /// The thread's name, made printable.
    pub name: String,
    /// Whose it is.
    pub kind: StackKind,
    /// Where it is.
    pub range: Region,
    /// The control block of its thread, where the kernel keeps one that is known.
    pub control_block: Option<Region>,
    /// In use now, or at the thread's last switch out. `None` when nothing tells it without halting the core.
    pub current: Option<Measured>,
    /// Bytes used at the lowest SP ever seen.
    pub lowest_sp: Option<Measured>,
    /// Bytes between the first use and the deepest word ever written, by paint.
    pub peak: Option<Measured>,
    /// Static worst case from the call graph, in bytes: estimated when it is a bound, at least when something in it could
    /// not be followed.
    pub worst_case: Option<Measured>,
    /// Why the worst case is no bound, in one sentence; `None` when it is, and when there is none.
    pub worst_case_note: Option<String>,
    /// A function of its thread whose calls come back to itself: no run shows how deep they can go.
    pub recursion: Option<String>,
    /// Time of the last rescan of all that was never touched, since the attach.
    pub rescanned: Option<Duration>,
    /// What an overflow hits next, and where it begins to be hit.
    pub victim: Option<Victim>,
    /// The guard at the limit is broken.
    pub overflowed: bool,
    /// The word at the limit was read, and is what its kernel or the paint left there: whoever goes beyond changes it.
    pub limit_whole: bool,
    /// Bytes between the deepest that was written and the lowest SP that was seen, where all of the stack was read: a frame that
    /// was reserved and not used.
    pub unwritten: Option<u32>,
    /// The thread's priority as its kernel counts it.
    pub priority: Option<i32>,
    /// What the thread does, in a word.
    pub state: Option<String>,
    /// The share of the time in which it ran lately, from 0 to 1, where its kernel counts that.
    pub cpu: Option<f32>,
}

impl Stack {
    /// The worst number of bytes in use that anything proves: by paint, or by the lowest SP when that is deeper.
    #[must_use]
    pub fn deepest(&self) -> Option<Measured> {
        match (self.peak, self.lowest_sp) {
            (Some(peak), Some(sp)) if sp.bytes > peak.bytes => Some(sp),
            (peak, sp) => peak.or(sp),
        }
    }

    /// Bytes never used so far.
    #[must_use]
    pub fn margin(&self) -> Option<u32> {
        let deepest = self.deepest()?;
        // A peak is counted from the end of the last whole word, a stack pointer from the very end.
        let is_counted = self.peak == Some(deepest);
        let cut = if is_counted { self.range.end() - self.range.whole_words().end() } else { 0 };
        let left = u64::from(self.range.size()).saturating_sub(cut).saturating_sub(deepest.bytes.into());
        u32::try_from(left).ok()
    }
}

/// The first bytes of what the owner of a block may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// Address of the first.
    pub start: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The words of one stack, from some way below its mark up to its first use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackWords {
    /// Whose: [`Stack::id`].
    pub id: String,
    /// Address of the first word.
    pub start: u32,
    /// The words in address order; the last one is the first that the stack uses.
    pub words: Vec<u32>,
    /// Where its SP is, or was at the thread's last switch out.
    pub sp: Option<u32>,
    /// The word it was painted with.
    pub paint: Option<u32>,
    /// When they were read, since the attach.
    pub at: Duration,
    /// The code addresses that calls and exceptions left in it, the deepest first.
    pub traces: Vec<Trace>,
}

/// What is in a static, field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticValues {
    /// Where it is.
    pub range: Region,
    /// The static itself, then its fields, each with its value in words.
    pub rows: Vec<Row>,
    /// Exact, or torn: it changed while it was read. What pointers lead to was read once.
    pub trust: Trust,
    /// Some fields are not read: together they are more than one refresh may read.
    pub is_cut: bool,
    /// When it was read, since the attach.
    pub at: Duration,
}

/// A word of a stack that a call or an exception likely put there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Where the word lies.
    pub address: u32,
    /// What it holds.
    pub value: u32,
    /// What put it there.
    pub kind: TraceKind,
    /// Whether it is in use.
    pub place: TracePlace,
    /// The function that it points into, by its author's name for it.
    pub function: Option<String>,
    /// How many bytes into that function.
    pub offset: u32,
    /// The function that was called there, where the instruction tells.
    pub calls: Option<String>,
    /// Bytes up to the trace before it in the chain: about the frame of `function`.
    pub frame: u32,
    /// It belongs to the likely deepest chain of calls: each one calls the function of the next.
    pub in_chain: bool,
}

/// What put a code address on a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TraceKind {
    /// A call: it is where the call returns to.
    Return,
    /// An exception: it is where the code was interrupted.
    Interrupted,
}

/// Where a trace lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TracePlace {
    /// Between the SP and the first use: the call has not returned.
    Now,
    /// Below the SP: an earlier call left it behind.
    LeftBehind,
    /// Nobody knows the SP.
    Unknown,
}

/// What lies just below a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Victim {
    /// What a person calls it: a symbol, a block, another stack, `unclaimed`, `end of RAM`.
    pub name: String,
    /// What it is, where that says more than the name: a static's type, `[u8; 520]`, or who asked for a heap block,
    /// `heap block of spawn, main.rs:31`.
    pub is: Option<String>,
    /// Where it is; empty at the end of the memory.
    pub range: Region,
}

impl Victim {
    /// Its name and what it is, in a line: `uart_rx_buf ([u8; 520])`.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.is {
            Some(is) => format!("{} ({is})", self.name),
            None => self.name.clone(),
        }
    }
}

/// What the link did: totals, and per refresh where it says so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Link {
    /// Refreshes per second, achieved over the last second.
    pub refresh_hz: f64,
    /// SWD transactions in the last refresh, where the source counts them.
    pub transactions_per_refresh: Option<u32>,
    /// USB commands in the last refresh, counted or computed from the link's packet size.
    pub usb_commands_per_refresh: Option<u32>,
    /// Bytes read in the last refresh.
    pub bytes_per_refresh: u32,
    /// Times the core entered debug state since the attach, where the source counts them.
    pub halts: Option<u32>,
    /// Writes to the target since the attach, words of memory and registers alike, where the source counts them.
    pub writes: Option<u32>,
    /// Ranges that could not be read in the last refresh.
    pub gaps: u32,
    /// Refreshes dropped because the screen was slower than the link, since the attach.
    pub drops: u64,
}

#[cfg(test)]
mod tests {
    use super::super::testing::stack;
    use super::*;

    #[test]
    fn what_is_left_of_a_stack_that_ends_within_a_word_is_left_of_its_whole_words() {
        let peak = |bytes| Some(Measured { bytes, trust: Trust::Exact });
        for (size, lowest_sp, expected) in [(400, None, 236), (402, None, 236), (402, peak(200), 202), (2, None, 0)] {
            let stack = Stack { range: Region::new(0x2000_0000, size), lowest_sp, ..stack("cut", 164) };
            assert_eq!(stack.margin(), Some(expected), "{size}");
        }
    }
}
