//! Zephyr's sys_heap (`lib/heap/heap.h`), under k_heap and the kernel's own pools.
//!
//! ```text
//!   z_heap | chunk 0: its own bytes | chunk { left size, size << 1 | used } ... | end_chunk: a header of size 0
//! ```
//!
//! Chunks count in units of 8 bytes. A header is two u16 while `end_chunk` fits into 15 bits, else two u32.

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

/// One heap, by its `struct sys_heap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SysHeap {
    pointer: u32,
    end_chunk: u32,
    stats: Option<Stats>,
    /// Where the most bytes ever allocated lie in `struct z_heap`, as its other counters count them.
    most: Option<u32>,
}

/// Where the runtime statistics lie in `struct z_heap` (CONFIG_SYS_HEAP_RUNTIME_STATS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stats {
    free: u32,
    allocated: u32,
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
        let heaps = types.holders("sys_heap").into_iter().filter_map(|(heap, held)| {
            let pointer = heap.checked_add(types.offset(held, &["heap"])?)?;
            Some(Self { pointer, end_chunk, stats: stats(), most: field("max_allocated_bytes") })
        });
        heaps.collect()
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
        let header = if end > SMALL { 8 } else { 4 };
        let range = Region::new(heap, end.checked_mul(UNIT)?.checked_add(header)?);
        if end == 0 || range.size() != end * UNIT + header {
            return None;
        }
        let last = heap + end * UNIT;
        let mut left = 0;
        let mut walk = chain::follow(range, |at| {
            let words = memory.words(Region::new(at, header))?;
            let (before, size_and_used) = match words.as_slice() {
                [before, size] => (*before, *size),
                _ => (words[0] & 0xffff, words[0] >> 16),
            };
            let size_at = at + header / 2;
            let (size, used) = (size_and_used >> 1, size_and_used & 1 == 1);
            if before != left && at != heap {
                return Some(Step::Wrong(at, format!("a left size of {before} chunks where {left} lie before it")));
            }
            if at == last {
                return Some(match (size, used) {
                    (0, true) => Step::Block(Block::new(range.from(at), header, BlockState::Own)),
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
            Some(Step::Block(Block::new(Region::new(at, bytes), inner, state)))
        })?;
        walk.peak = self.peak(memory, heap, &walk);
        let Some(stats) = self.stats else { return Some(walk) };
        let whole = walk.damage.is_none() && walk.blocks.iter().all(|block| block.state != BlockState::Lost);
        let sum = |state| -> u32 {
            walk.blocks.iter().filter(|block| block.state == state).map(|block| block.payload.size()).sum()
        };
        for (offset, found, what) in
            [(stats.free, sum(BlockState::Free), "free"), (stats.allocated, sum(BlockState::Used), "in use")]
        {
            let told = memory.word(heap.checked_add(offset)?)?;
            if whole && walk.damage.is_none() && told != found {
                let what = format!("{found} B are {what}, and {told} B are counted");
                walk.damage = Some(chain::damaged(&[], heap + offset, what));
            }
        }
        Some(walk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::testing::{damage_is_found, told, walk};
    use crate::source::testing::Bytes;

    fn check(small: bool) {
        let (pointer, heap) = (0x2000_0000, 0x2000_0100);
        let chunks: [(u32, bool); 6] = [(8, true), (5, true), (9, false), (2, true), (30, false), (7, true)];
        let end: u32 = if small { chunks.iter().map(|(size, _)| size).sum() } else { SMALL + 1 };
        let mut bytes = Bytes::new(Region::new(pointer, 0x100 + (end + 2) * UNIT));
        let header = if small { 4 } else { 8 };
        let (mut at, mut left, mut words) = (heap, 0, Vec::new());
        let mut sums = [0, 0];
        let mut put = |bytes: &mut Bytes, size: u32, used: bool| {
            let value = size << 1 | u32::from(used);
            if small {
                bytes.poke(at, left | value << 16);
                words.push(at);
            } else {
                bytes.poke(at, left);
                bytes.poke(at + 4, value);
                words.extend([at, at + 4]);
            }
            (at, left) = (at + size * UNIT, size);
        };
        for (index, (size, used)) in chunks.into_iter().enumerate() {
            // In a large heap the last block takes what is left.
            let size = if index == 5 { end - chunks[..5].iter().map(|(size, _)| size).sum::<u32>() } else { size };
            put(&mut bytes, size, used);
            if index > 0 {
                sums[usize::from(used)] += size * UNIT - header;
            }
        }
        put(&mut bytes, 0, true);
        bytes.poke(pointer, heap);
        for (offset, word) in [(8, end), (16, sums[0]), (20, sums[1])] {
            bytes.poke(heap + offset, word);
        }
        let walker = SysHeap { pointer, end_chunk: 8, stats: Some(Stats { free: 16, allocated: 20 }), most: None };
        let found = walk(&walker, &mut bytes).expect("it is set up");
        assert_eq!(found.damage, None);
        let states: Vec<BlockState> = told(&found).iter().map(|(state, _)| *state).collect();
        use BlockState::{Free, Used};
        assert_eq!(states, [Used, Free, Used, Free, Used]);
        // Nothing lies before the first chunk, so nobody reads what it says of that.
        damage_is_found(&walker, &mut bytes, &words[1..]);
    }

    #[test]
    fn heaps_with_small_and_with_large_headers_are_walked_and_their_damage_is_found() {
        check(true);
        check(false);
    }
}
