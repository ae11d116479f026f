//! Zephyr's sys_heap (`lib/heap/heap.h`), under k_heap and the kernel's own pools.
//!
//! ```text
//!   z_heap | chunk 0: its own bytes | chunk { left size, size << 1 | used } ... | end_chunk: a header of size 0
//! ```
//!
//! Chunks count in units of 8 bytes. A header is two u16 while `end_chunk` fits into 15 bits and
//! CONFIG_SYS_HEAP_BIG_ONLY is off, else two u32.
//!
//! With CONFIG_SYS_HEAP_CANARIES a chunk ends with a `z_heap_chunk_trailer` (Zephyr 4.4). Where that option is an extension
//! from before, a `z_heap_custom_header` of 8 bytes lies in front of the words of every chunk but the first and the last,
//! and `z_heap` has the numbers `magic_num_used` and `magic_num_free`.

use super::chain::{self, Step};
use super::{Walk, Walker};
use crate::image::Image;
use crate::memory::Memory;
use crate::model::snapshot::{Block, BlockState, Measured, Trust};
use crate::region::Region;

/// `CHUNK_UNIT`.
const UNIT: u32 = 8;
/// The largest `end_chunk` of a heap with small headers (`big_heap_chunks`).
const SMALL: u32 = 0x7fff;
/// The most bytes of a guard or a trailer that are believed.
const MOST_EXTRA: u32 = 64;

/// One heap, by its `struct sys_heap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SysHeap {
    pointer: u32,
    end_chunk: u32,
    stats: Option<Stats>,
    /// Where the most bytes ever allocated lie in `struct z_heap`, as its other counters count them.
    most: Option<u32>,
    extra: Extra,
}

/// Where the runtime statistics lie in `struct z_heap` (CONFIG_SYS_HEAP_RUNTIME_STATS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stats {
    free: u32,
    allocated: u32,
}

/// What this build keeps in each chunk besides its header, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Extra {
    /// In front of the header, in every chunk but the first and the last.
    guard: u32,
    /// At the chunk's end.
    trailer: u32,
}

/// What a version counts of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Convention {
    /// Bytes of each chunk that are not counted.
    left_out: u32,
    /// A free chunk that is no larger is not counted at all: nothing could be allocated in it.
    undersized: u32,
}

impl SysHeap {
    /// The heaps of this firmware.
    #[must_use]
    pub fn find(image: &Image) -> Vec<Self> {
        if !image.symbols.iter().any(|symbol| symbol.name == "sys_heap_init") {
            return Vec::new();
        }
        let types = image.types();
        let Some(inner) = types.find("z_heap") else { return Vec::new() };
        let field = |path: &str| inner.field(path).map(|field| field.offset);
        let Some(end_chunk) = field("end_chunk") else { return Vec::new() };
        let stats = || Some(Stats { free: field("free_bytes")?, allocated: field("allocated_bytes")? });
        let size = |name: &str| types.find(name)?.size().filter(|size| *size <= MOST_EXTRA);
        let guard = size("z_heap_custom_header").or_else(|| field("magic_num_used").map(|_| UNIT));
        let extra = Extra { guard: guard.unwrap_or(0), trailer: size("z_heap_chunk_trailer").unwrap_or(0) };
        let heaps = types.holders("sys_heap").into_iter().filter_map(|(heap, held)| {
            let pointer = heap.checked_add(types.offset(held, &["heap"])?)?;
            Some(Self { pointer, end_chunk, stats: stats(), most: field("max_allocated_bytes"), extra })
        });
        heaps.collect()
    }

    /// What Zephyr may count of chunks with headers of `header` bytes: before 4.2 what a program may use of a chunk, in
    /// 4.2 and 4.3 whole chunks, since 4.4 what it may use again (`chunksz_to_bytes`, `chunk_usable_bytes`).
    fn conventions(&self, header: u32) -> [Convention; 4] {
        let Extra { guard, trailer } = self.extra;
        // A chunk with a guard has room for the links of a free one in front of the payload, and counts whatever its size.
        let undersized = |header| if guard > 0 { 0 } else { header };
        let usable = |trailer| Convention { left_out: header + trailer, undersized: undersized(header + trailer) };
        [
            Convention { left_out: 0, undersized: undersized(header) },
            usable(0),
            usable(trailer),
            // A trailer takes whole units.
            usable(trailer.next_multiple_of(UNIT)),
        ]
    }

    /// The counter that fits no convention which the other one fits too: its offset, and what is wrong with it.
    fn miscounted(
        &self,
        memory: &mut Memory<'_>,
        heap: u32,
        header: u32,
        walk: &Walk,
    ) -> Option<Option<(u32, String)>> {
        let Some(stats) = self.stats else { return Some(None) };
        let free_told = memory.word(heap.checked_add(stats.free)?)?;
        let used_told = memory.word(heap.checked_add(stats.allocated)?)?;
        let sum = |state, convention: Convention| -> u32 {
            let counts = |block: &&Block| {
                block.state == state && (state == BlockState::Used || block.range.size() > convention.undersized)
            };
            let blocks = walk.blocks.iter().filter(counts);
            blocks.map(|block| block.range.size().saturating_sub(convention.left_out)).sum()
        };
        let sums = self
            .conventions(header)
            .map(|convention| (sum(BlockState::Free, convention), sum(BlockState::Used, convention)));
        if sums.contains(&(free_told, used_told)) {
            return Some(None);
        }
        let by_free = sums.iter().find(|(free, _)| *free == free_told);
        Some(Some(match by_free {
            Some((_, used)) => (stats.allocated, format!("{used} B are in use, and {used_told} B are counted")),
            None => {
                let (free, _) = sums.iter().find(|(_, used)| *used == used_told).unwrap_or(&sums[0]);
                (stats.free, format!("{free} B are free, and {free_told} B are counted"))
            }
        }))
    }
}

impl SysHeap {
    /// The most bytes that were ever in use. Where whole chunks are counted, as Zephyr 4.2 does, that is exact; where their
    /// headers are not, nobody knows how many chunks there were then.
    fn peak(&self, memory: &mut Memory<'_>, heap: u32, walk: &Walk) -> Option<Measured> {
        let most = memory.word(heap.checked_add(self.most?)?)?;
        let counted = memory.word(heap.checked_add(self.stats?.allocated)?)?;
        let sum = |state| -> u32 {
            walk.blocks.iter().filter(|block| block.state == state).map(|block| block.range.size()).sum()
        };
        let (used, own) = (sum(BlockState::Used), sum(BlockState::Own));
        let counts_whole = walk.damage.is_none() && used > 0 && counted == used;
        let bytes = own.checked_add(most).filter(|bytes| walk.ranges.iter().any(|range| *bytes <= range.size()))?;
        let trust = if counts_whole { Trust::Exact } else { Trust::AtLeast };
        (most >= counted).then_some(Measured { bytes, trust })
    }
}

impl Walker for SysHeap {
    fn name(&self) -> &'static str {
        "sys_heap"
    }

    fn object(&self) -> Option<u32> {
        Some(self.pointer)
    }

    fn wants(&self) -> Vec<Region> {
        vec![Region::new(self.pointer, 4)]
    }

    fn walk(&self, memory: &mut Memory<'_>) -> Option<Walk> {
        let heap = memory.word(self.pointer).filter(|heap| *heap != 0 && heap % UNIT == 0)?;
        let end = memory.word(heap.checked_add(self.end_chunk)?)?;
        // Nothing lies before the first chunk. A small header of it is one word, and has a size.
        let is_big = end > SMALL || memory.word(heap)? == 0;
        let words = if is_big { 8 } else { 4 };
        let range = Region::new(heap, end.checked_mul(UNIT)?.checked_add(words)?);
        if end == 0 || range.size() != end * UNIT + words {
            return None;
        }
        // A chunk that has a guard keeps the place of the links as well.
        let header = if self.extra.guard > 0 { self.extra.guard + 2 * words } else { words };
        let last = heap + end * UNIT;
        let mut left = 0;
        let mut walk = chain::follow(range, |at| {
            let place = if at == heap || at == last { at } else { at.checked_add(self.extra.guard)? };
            let fields = memory.words(Region::new(place, words))?;
            let (before, size_and_used) = match fields.as_slice() {
                [before, size] => (*before, *size),
                _ => (fields[0] & 0xffff, fields[0] >> 16),
            };
            let size_at = place + words / 2;
            let (size, used) = (size_and_used >> 1, size_and_used & 1 == 1);
            if before != left && at != heap {
                return Some(Step::Wrong(place, format!("a left size of {before} chunks where {left} lie before it")));
            }
            if at == last {
                return Some(match (size, used) {
                    (0, true) => Step::Block(Block::new(range.from(at), words, BlockState::Own)),
                    _ => Step::Wrong(size_at, "an end marker with a size".into()),
                });
            }
            let bytes = size.checked_mul(UNIT).filter(|bytes| *bytes > 0 && *bytes <= last - at);
            let Some(bytes) = bytes else { return Some(Step::Wrong(size_at, format!("a block of {size} chunks"))) };
            if at == heap && !used {
                return Some(Step::Wrong(size_at, "the heap's own chunk is free".into()));
            }
            left = size;
            let state = match (at == heap, used) {
                (true, _) => BlockState::Own,
                (_, true) => BlockState::Used,
                (_, false) => BlockState::Free,
            };
            let inner = if state == BlockState::Own { bytes } else { header };
            let mut block = Block::new(Region::new(at, bytes), inner, state);
            block.payload = block.payload.bottom(block.payload.size().saturating_sub(self.extra.trailer));
            Some(Step::Block(block))
        })?;
        walk.peak = self.peak(memory, heap, &walk);
        let whole = walk.damage.is_none() && walk.blocks.iter().all(|block| block.state != BlockState::Lost);
        if whole && let Some((offset, what)) = self.miscounted(memory, heap, header, &walk)? {
            walk.damage = Some(chain::damaged(&[], heap + offset, what));
        }
        Some(walk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::testing::{damage_is_found, told, walk};
    use crate::source::testing::Bytes;

    const POINTER: u32 = 0x2000_0000;
    const HEAP: u32 = 0x2000_0100;
    const FREE: u32 = 16;
    const ALLOCATED: u32 = 20;

    /// What a version counts of a heap: the bytes of each chunk that it leaves out, and whether a free chunk without room
    /// counts.
    type Counts = (u32, fn(u32) -> bool);

    fn walker(extra: Extra) -> SysHeap {
        let stats = Some(Stats { free: FREE, allocated: ALLOCATED });
        SysHeap { pointer: POINTER, end_chunk: 8, stats, most: None, extra }
    }

    /// A heap of those chunks behind its own, and the addresses of all words of headers. The last chunk of a heap that is
    /// large by its size takes what is left.
    fn lay(chunks: &[(u32, bool)], header: u32, end: u32, guard: u32, counts: Counts) -> (Bytes, Vec<u32>) {
        let mut bytes = Bytes::new(Region::new(POINTER, 0x100 + (end + 2) * UNIT));
        let (mut at, mut left, mut words) = (HEAP, 0, Vec::new());
        let mut sums = [0, 0];
        let mut put = |bytes: &mut Bytes, size: u32, used: bool, guard: u32| {
            let (value, place) = (size << 1 | u32::from(used), at + guard);
            if header == 4 {
                bytes.poke(place, left | value << 16);
                words.push(place);
            } else {
                bytes.poke(place, left);
                bytes.poke(place + 4, value);
                words.extend([place, place + 4]);
            }
            (at, left) = (at + size * UNIT, size);
        };
        let own = 8;
        put(&mut bytes, own, true, 0);
        let mut rest = end - own;
        for (index, (size, used)) in chunks.iter().enumerate() {
            let size = if index + 1 == chunks.len() { rest } else { *size };
            put(&mut bytes, size, *used, guard);
            if *used || (counts.1)(size) {
                sums[usize::from(*used)] += size * UNIT - counts.0;
            }
            rest -= size;
        }
        put(&mut bytes, 0, true, 0);
        bytes.poke(POINTER, HEAP);
        for (offset, word) in [(8, end), (FREE, sums[0]), (ALLOCATED, sums[1])] {
            bytes.poke(HEAP + offset, word);
        }
        (bytes, words)
    }

    const CHUNKS: [(u32, bool); 5] = [(5, true), (9, false), (2, true), (30, false), (7, true)];
    const END: u32 = 8 + 5 + 9 + 2 + 30 + 7;

    fn check(header: u32, end: u32, extra: Extra, counts: Counts) -> Walk {
        let what = format!("headers of {header} B, {end} chunks, {extra:?}, {} B left out", counts.0);
        let walker = walker(extra);
        let (mut bytes, words) = lay(&CHUNKS, header, end, extra.guard, counts);
        let found = walk(&walker, &mut bytes).expect("it is set up");
        assert_eq!(found.damage, None, "{what}");
        let states: Vec<BlockState> = told(&found).iter().map(|(state, _)| *state).collect();
        use BlockState::{Free, Used};
        assert_eq!(states, [Used, Free, Used, Free, Used], "{what}");
        // Nothing lies before the first chunk, so nobody reads what it says of that.
        damage_is_found(&walker, &mut bytes, &words[1..]);
        for counter in [HEAP + FREE, HEAP + ALLOCATED] {
            let offset = bytes.range.offset_of(counter).expect("inside the memory") as usize;
            for wrong in [1u8, 4, 8, 0x80] {
                bytes.content[offset] ^= wrong;
                let damage = walk(&walker, &mut bytes).expect("it is set up").damage.expect(&what);
                // A wrong one may be right by the other convention: then the other one is wrong.
                let is_counter = [FREE, ALLOCATED].contains(&(damage.address - HEAP));
                assert!(is_counter && damage.suspect.is_none(), "{what}: {wrong}: {damage:?}");
                bytes.content[offset] ^= wrong;
            }
        }
        found
    }

    const NOTHING: Extra = Extra { guard: 0, trailer: 0 };

    #[test]
    fn heaps_with_small_and_with_large_headers_are_walked_and_their_damage_is_found() {
        check(4, END, NOTHING, (4, |_| true));
        check(8, SMALL + 1, NOTHING, (8, |_| true));
        // CONFIG_SYS_HEAP_BIG_ONLY.
        check(8, END, NOTHING, (8, |_| true));
    }

    #[test]
    fn counters_of_whole_chunks_are_right_as_well_as_those_of_what_can_be_used() {
        check(4, END, NOTHING, (0, |_| true));
        check(8, SMALL + 1, NOTHING, (0, |_| true));
        check(8, END, NOTHING, (0, |_| true));
        // One counter by each convention is what no version counts.
        let (mut bytes, _) = lay(&CHUNKS, 4, END, 0, (4, |_| true));
        bytes.poke(HEAP + FREE, (9 + 30) * UNIT);
        assert!(walk(&walker(NOTHING), &mut bytes).expect("it is set up").damage.is_some());
    }

    #[test]
    fn a_free_chunk_without_room_for_a_payload_counts_in_no_version() {
        // In a large heap a header alone fills a chunk, which is on no free list.
        let chunks = [(5, true), (1, false), (4, true), (30, false), (7, true)];
        for left_out in [0, 8] {
            let (mut bytes, _) = lay(&chunks, 8, 8 + 47, 0, (left_out, |size| size > 1));
            assert_eq!(walk(&walker(NOTHING), &mut bytes).expect("it is set up").damage, None, "{left_out}");
        }
    }

    #[test]
    fn canaries_are_no_payload_wherever_the_version_has_them() {
        let payload = |walk: &Walk| {
            let first = walk.blocks.iter().find(|block| block.state == BlockState::Used).expect("one is in use");
            (first.payload.start() - first.range.start(), first.payload.size())
        };
        // At the end of each chunk, of a word and of two; its counters leave it out.
        let trailer = |trailer| Extra { guard: 0, trailer };
        assert_eq!(payload(&check(4, END, trailer(8), (12, |_| true))), (4, 5 * UNIT - 12));
        assert_eq!(payload(&check(8, SMALL + 1, trailer(8), (16, |_| true))), (8, 5 * UNIT - 16));
        assert_eq!(payload(&check(4, END, trailer(4), (8, |_| true))), (4, 5 * UNIT - 8));
        assert_eq!(payload(&check(4, END, trailer(4), (12, |_| true))), (4, 5 * UNIT - 8));
        // In front of each header but the first and the last, with the place of the links behind it.
        let guard = Extra { guard: 8, trailer: 0 };
        assert_eq!(payload(&check(4, END, guard, (0, |_| true))), (16, 5 * UNIT - 16));
        assert_eq!(payload(&check(8, SMALL + 1, guard, (0, |_| true))), (24, 5 * UNIT - 24));
    }
}
