//! The block in RAM, word by word: the one contract between the firmware and the host.
//!
//! The agent writes it, the host reads it, and both compile this file. Everything is a `u32`, little endian,
//! 4-aligned. The parts lie in the order in which a refresh wants them, so that one ascending burst from the
//! block's start fetches what changes often:
//!
//! ```text
//!   offset 0    header      16 words, each stands alone (a debugger reads words atomically)
//!               heaps       one frame of 8 words for each heap and 2 words behind it, the first 32-aligned
//!               marks       2 words for each thread: lowest SP, last saved SP; no frame, each word stands alone
//!               threads     one frame: first, slots of 6 words, last
//!               regions     one frame: first, slots of 5 words, last
//! ```
//!
//! A *frame* is guarded by Lamport's two counters ("Concurrent Reading and Writing", CACM 20(11), 1977). A debug
//! port reads ascending addresses, so the writer bumps the counter at the highest address, writes the payload, and
//! then bumps the one at the lowest. A single ascending read of the frame is consistent when the two are equal.
//!
//! A *slot* carries a tag: [`LIVE`] or [`EMPTY`] in the top bit, a generation in the rest. A slot that is used
//! again has a new generation, so that the host never takes a new thread for an old one. The generation counts up
//! when a slot is freed: a slot never used is `EMPTY | 0`, its first owner `LIVE | 0`, then `EMPTY | 1`, and so on.
//!
//! *Marks* lie outside of any frame, and before the thread table. They are cleared when a thread is retired, before its
//! slot can be used again. A host that reads both in one burst may still hold the old thread's marks beside the new
//! thread's slot, so it drops the marks of a slot in the one refresh in which it first sees a generation.

/// First word of an initialised block: the bytes `hwtr` read as a little-endian word.
pub const MAGIC: u32 = u32::from_le_bytes(*b"hwtr");

/// Version of this layout, `major << 16 | minor`. A host reads every block with its own major: a newer minor only
/// makes tables longer or strides wider. 1.1 has two more words behind each heap's frame.
pub const ABI: u32 = 1 << 16 | 1;

/// The word the agent paints unused stack with. No valid address, instruction or small number looks like it.
pub const PAINT: u32 = 0xCCCC_CCCC;

/// Bytes at the low end of each painted stack that must stay painted: when one of them changes, the stack is spent.
pub const GUARD_BYTES: u32 = 32;

/// Word indices in the header.
pub mod header {
    /// [`MAGIC`](super::MAGIC), written last.
    pub const MAGIC: usize = 0;
    /// [`ABI`](super::ABI).
    pub const ABI: usize = 1;
    /// Size of the whole block in bytes.
    pub const SIZE: usize = 2;
    /// Low word of the firmware's build id, as in the symbol `HIGHWATER_BUILD_ID`.
    pub const BUILD_ID_LOW: usize = 3;
    /// High word of the firmware's build id.
    pub const BUILD_ID_HIGH: usize = 4;
    /// The word stacks are painted with, see [`PAINT`](super::PAINT).
    pub const PAINT: usize = 5;
    /// Counts the starts of the firmware since the last power cycle, when the block lies in uninitialised RAM; else 1.
    pub const BOOTS: usize = 6;
    /// Grows while the firmware runs: the host tells a stalled or cached block by it.
    pub const HEARTBEAT: usize = 7;
    /// Index of the running thread's slot plus one; 0 when unknown.
    pub const RUNNING: usize = 8;
    /// Where the heap frames are, see [`table`](super::table).
    pub const HEAPS: usize = 9;
    /// Where the marks are.
    pub const MARKS: usize = 10;
    /// Where the thread table is.
    pub const THREADS: usize = 11;
    /// Where the region table is.
    pub const REGIONS: usize = 12;
    /// Registrations that found no free slot, since the start.
    pub const REFUSED: usize = 13;
    /// Words in the header; 14 and 15 are reserved and zero.
    pub const WORDS: usize = 16;
}

/// Word indices in a heap's frame. All counters wrap; `used = allocated - freed` stays right when they do.
pub mod heap {
    /// Lamport's counter at the lowest address: written last.
    pub const FIRST: usize = 0;
    /// Bytes given back since the start.
    pub const FREED: usize = 1;
    /// Calls of free since the start.
    pub const FREES: usize = 2;
    /// Bytes handed out since the start.
    pub const ALLOCATED: usize = 3;
    /// Calls of alloc that succeeded since the start.
    pub const ALLOCS: usize = 4;
    /// Calls of alloc that failed since the start.
    pub const FAILURES: usize = 5;
    /// The most bytes ever in use at once.
    pub const PEAK: usize = 6;
    /// Lamport's counter at the highest address: written first.
    pub const LAST: usize = 7;
    /// Words in the frame.
    pub const FRAME: usize = 8;
    /// Bytes that the last failed allocation asked for; 0 when none failed. It stands alone, behind the frame, and may
    /// be newer than the frame's count of failures. Since 1.1.
    pub const FAILED_SIZE: usize = 8;
    /// How many callers the [`owner`](super::owner) header in front of each block names; 0 when blocks have none. It
    /// stands alone. Since 1.1.
    pub const OWNERS: usize = 9;
    /// Words for a heap: the stride in the header. A block of ABI 1.0 has the frame only.
    pub const WORDS: usize = 10;
}

/// Word indices in the header that each block of a heap begins with, when [`heap::OWNERS`] says how many callers it
/// names.
///
/// The block is what the allocator inside hands out, and begins at an address that is aligned as the caller asked:
///
/// ```text
///   offset 0           size asked for | log2 of the alignment << 27
///          4           return address of the innermost caller, 0 when unknown
///          8           the next one, when the depth is more than 1, and so on up to the depth
///          front       what the caller got; `front` is the header's size rounded up to the alignment
/// ```
///
/// The header is written when the block is handed out, before it is counted. With the sizes a reader goes from block to
/// block between two holes; the sum of the sizes and the number of blocks must be what the counters say.
pub mod owner {
    /// `size | log2(alignment) << 27`: see [`pack`].
    pub const ASKED: usize = 0;
    /// The first of the return addresses.
    pub const CALLERS: usize = 1;
    /// The most callers that a header names.
    pub const MAX_DEPTH: usize = 8;
    /// The bits of [`ASKED`] that hold the size.
    pub const SIZE: u32 = (1 << 27) - 1;

    /// Bytes from the start of a block to what its caller got: the header, rounded up to the alignment.
    #[must_use]
    pub const fn front(depth: usize, align: usize) -> usize {
        let header = 4 * (CALLERS + depth);
        if align <= 4 { header } else { (header + align - 1) & !(align - 1) }
    }

    /// The first word of a header; `align` is a power of two.
    #[must_use]
    pub const fn pack(size: u32, align: usize) -> u32 {
        (size & SIZE) | align.trailing_zeros() << 27
    }

    /// Size and alignment from the first word of a header.
    #[must_use]
    pub const fn unpack(asked: u32) -> (u32, usize) {
        (asked & SIZE, 1 << (asked >> 27))
    }
}

/// Word indices in a row of a table of owners, which a region of the kind [`Owners`](super::RegionKind::Owners) names: for
/// heaps whose blocks have no room for a header.
///
/// The table begins with one word, how often a block found no free row or was given back without one; the rows are behind
/// it. They change while the frame of the heap is open, so that what was read between two equal looks at the frame is whole,
/// and the heap's counters count the blocks that have a row.
pub mod owner_row {
    /// Address of what the program got; 0 when the row is free.
    pub const PART: usize = 0;
    /// Bytes that were asked for.
    pub const ASKED: usize = 1;
    /// Return address of the caller, 0 when unknown.
    pub const CALLER: usize = 2;
    /// Words in a row.
    pub const WORDS: usize = 3;
}

/// Word indices in a thread's pair of marks.
pub mod mark {
    /// Lowest SP seen at a context switch; falls only, until the slot is used again. 0 when never seen.
    pub const LOWEST: usize = 0;
    /// SP saved at the thread's last switch out. 0 when never seen.
    pub const SAVED: usize = 1;
    /// Words in a pair.
    pub const WORDS: usize = 2;
}

/// Word indices in a thread's slot.
pub mod thread {
    /// [`LIVE`](super::LIVE) or [`EMPTY`](super::EMPTY), and the generation.
    pub const TAG: usize = 0;
    /// Lowest address of the stack.
    pub const BASE: usize = 1;
    /// Size of the stack in bytes.
    pub const SIZE: usize = 2;
    /// `kind | state << 8 | priority << 16 | flags << 24`; the state and the priority may be newer than the rest of the
    /// frame. The only flag is [`PAINTED`](super::PAINTED).
    pub const INFO: usize = 3;
    /// Address of the name, NUL-terminated or ended by the host's bound; 0 when there is none.
    pub const NAME: usize = 4;
    /// Address of the thread's entry function, from which the host works out its static worst case; 0 when unknown.
    pub const ENTRY: usize = 5;
    /// Words in a slot.
    pub const WORDS: usize = 6;
}

/// Word indices in a region's slot.
pub mod region {
    /// [`LIVE`](super::LIVE) or [`EMPTY`](super::EMPTY), and the generation.
    pub const TAG: usize = 0;
    /// `kind | index << 8`; the index of a heap is that of its frame.
    pub const INFO: usize = 1;
    /// Lowest address.
    pub const BASE: usize = 2;
    /// Size in bytes.
    pub const SIZE: usize = 3;
    /// Address of the name, NUL-terminated or ended by the host's bound; 0 when there is none.
    pub const NAME: usize = 4;
    /// Words in a slot.
    pub const WORDS: usize = 5;
}

/// Bit of [`thread::INFO`]: the stack was painted, with the word that the header names.
pub const PAINTED: u32 = 1 << 24;

/// Top bit of a tag: the slot is in use.
pub const LIVE: u32 = 1 << 31;
/// Top bit of a tag: the slot is free.
pub const EMPTY: u32 = 0;
/// The bits of a tag that hold the generation.
pub const GENERATION: u32 = LIVE - 1;

/// A table's place in one word: `offset | stride << 16 | count << 24`, offset and stride in bytes.
///
/// The offset of a framed table is that of its first counter; its slots start one word later.
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "the assertion bounds all three")]
pub const fn table(offset: usize, stride: usize, count: usize) -> u32 {
    assert!(
        offset < 1 << 16 && stride < 1 << 8 && count < 1 << 8,
        "the block is too large for its own table of contents"
    );
    (offset as u32) | (stride as u32) << 16 | (count as u32) << 24
}

/// Offset in bytes of a table packed by [`table`].
#[must_use]
pub const fn table_offset(packed: u32) -> u32 {
    packed & 0xffff
}

/// Stride in bytes of a table packed by [`table`].
#[must_use]
pub const fn table_stride(packed: u32) -> u32 {
    packed >> 16 & 0xff
}

/// Number of entries of a table packed by [`table`].
#[must_use]
pub const fn table_count(packed: u32) -> u32 {
    packed >> 24
}

/// What a thread is, the low byte of [`thread::INFO`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ThreadKind {
    /// The main thread.
    Main = 1,
    /// The interrupt or scheduler stack (MSP); not a thread of its own.
    Isr = 2,
    /// The idle thread.
    Idle = 3,
    /// The kernel's timer thread.
    Timer = 4,
    /// Any other thread.
    User = 5,
}

/// What a thread is doing, the second byte of [`thread::INFO`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ThreadState {
    /// Not told.
    Unknown = 0,
    /// Can run, and waits for its turn.
    Ready = 1,
    /// Runs now.
    Running = 2,
    /// Waits for an event.
    Blocked = 3,
    /// Waits for time to pass.
    Delayed = 4,
    /// Has ended; its stack may be reused.
    Ended = 5,
}

/// What a registered region is, the low byte of [`region::INFO`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RegionKind {
    /// A vector table.
    Vectors = 1,
    /// Static data.
    Data = 2,
    /// A heap; the second byte is the index of its frame.
    Heap = 3,
    /// A buffer, static or in a heap.
    Buffer = 4,
    /// A bootloader.
    Bootloader = 5,
    /// Program code.
    Code = 6,
    /// Anything else.
    Other = 7,
    /// A table of a heap's blocks and who asked for each; the second byte is the index of the heap's frame.
    Owners = 8,
}
