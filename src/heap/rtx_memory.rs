//! Keil RTX5's memory pools of blocks of any size (`rtx_memory.c` of CMSIS-RTX 5.5 to 5.9).
//!
//! ```text
//!   mem_head_t { size, used }   mem_block_t { next, info = length | type }   ...   mem_block_t { 0, most ever used }
//! ```
//!
//! A block's header holds its length; what lies between its end and `next` is free, without a header of its own.

use super::chain::{self, Step};
use super::{Place, Walk, Walker};
use crate::image::Image;
use crate::memory::Memory;
use crate::model::snapshot::{Block, BlockState};
use crate::region::Region;

/// `sizeof(mem_head_t)` and `sizeof(mem_block_t)`.
const HEADER: u32 = 8;
/// `MB_INFO_LEN_MASK`.
const LENGTH: u32 = 0xFFFF_FFFC;

/// One pool, by the pointer in `osRtxInfo` that leads to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtxMemory {
    name: &'static str,
    pointer: u32,
    /// The array that the kernel takes it from.
    array: Option<Region>,
}

impl RtxMemory {
    /// The pools of this firmware.
    #[must_use]
    pub fn find(image: &Image) -> Vec<Self> {
        let Some(info) = image.symbols.address("osRtxInfo") else { return Vec::new() };
        // The application may be described where the kernel is not: they share the type.
        let Some(kind) = image.types().find("osRtxInfo_t") else { return Vec::new() };
        let pools = [
            ("mem.stack", "RTX5 stack memory"),
            ("mem.mp_data", "RTX5 pool memory"),
            ("mem.mq_data", "RTX5 queue memory"),
            ("mem.common", "RTX5 memory"),
        ];
        pools
            .into_iter()
            .filter_map(|(path, name)| {
                let array = || image.symbols.get("os_mem").map(|symbol| symbol.range);
                let array = if path == "mem.common" { array() } else { None };
                Some(Self { name, pointer: info.checked_add(kind.field(path)?.offset)?, array })
            })
            .collect()
    }
}

impl Walker for RtxMemory {
    fn name(&self) -> &'static str {
        self.name
    }

    fn place(&self) -> Place {
        self.array.map_or(Place::Elsewhere, Place::At)
    }

    fn wants(&self) -> Vec<Region> {
        vec![Region::new(self.pointer, 4)]
    }

    fn walk(&self, memory: &mut Memory<'_>) -> Option<Walk> {
        let pool = memory.word(self.pointer).filter(|pool| *pool != 0 && pool % 8 == 0)?;
        let head = memory.words(Region::new(pool, HEADER))?;
        let (size, used) = (head[0], head[1]);
        let range = Region::new(pool, size);
        if size < 3 * HEADER || size % 8 != 0 || range.size() != size {
            return None;
        }
        let last = range.top(HEADER);
        let peak = memory.word(last.top(4).start())?;
        // Free from here on to that header.
        let mut hole: Option<Region> = None;
        let mut walk = chain::follow(range, |at| {
            if at == pool {
                return Some(Step::Block(Block::new(range.bottom(HEADER), HEADER, BlockState::Own)));
            }
            if let Some(free) = hole.take().filter(|free| !free.is_empty()) {
                return Some(Step::Block(Block::new(free, HEADER.min(free.size()), BlockState::Free)));
            }
            let header = memory.words(Region::new(at, HEADER))?;
            let (next, length) = (header[0], header[1] & LENGTH);
            if at == last.start() {
                return Some(match next {
                    0 => Step::Block(Block::new(last, HEADER, BlockState::Own)),
                    _ => Step::Wrong(at, "a link behind the last block".into()),
                });
            }
            let span = Region::between(at, next);
            if next % 8 != 0 || next <= at || next > last.start() {
                return Some(Step::Wrong(at, format!("a link to {next:08x}")));
            }
            let first = at == pool + HEADER;
            if length % 8 != 0 || length > span.size() || length <= HEADER && !(first && header[1] == 0) {
                return Some(Step::Wrong(at + 4, format!("a block of {length} B in {} B", span.size())));
            }
            Some(Step::Block(if length == 0 {
                // The header of the first block stays when the block is freed.
                Block::new(span, HEADER, BlockState::Free)
            } else {
                hole = Some(span.top(span.size() - length));
                Block::new(span.bottom(length), HEADER, BlockState::Used)
            }))
        })?;
        let taken: u32 =
            walk.blocks.iter().filter(|block| block.state == BlockState::Used).map(|block| block.range.size()).sum();
        let lost = walk.blocks.iter().any(|block| block.state == BlockState::Lost);
        if walk.damage.is_none() && !lost && taken + 2 * HEADER != used {
            let what = format!("{} B are in use, and {used} B are counted", taken + 2 * HEADER);
            walk.damage = Some(chain::damaged(&[], pool + 4, what));
        }
        walk.lowest_free = size.checked_sub(peak);
        Some(walk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::testing::{damage_is_found, told, walk};
    use crate::source::testing::Bytes;

    const POOL: u32 = 0x2000_0100;

    #[test]
    fn a_pool_is_walked_and_its_damage_is_found() {
        let mut bytes = Bytes::new(Region::new(0x2000_0000, 0x400));
        let size = 0x200;
        let first = POOL + HEADER;
        // In use, a hole behind it; in use; then free up to the last header.
        let blocks = [(first, first + 0x60, 0x40u32), (first + 0x60, POOL + size - 8, 0x31)];
        for (at, next, info) in blocks {
            bytes.poke(at, next);
            bytes.poke(at + 4, info);
        }
        bytes.poke(0x2000_0000, POOL);
        bytes.poke(POOL, size);
        bytes.poke(POOL + 4, 0x40 + 0x30 + 2 * HEADER);
        bytes.poke(POOL + size - 4, 0x150);
        let pool = RtxMemory { name: "RTX5 memory", pointer: 0x2000_0000, array: None };
        let found = walk(&pool, &mut bytes).expect("it is set up");
        assert_eq!((found.damage.as_ref(), found.lowest_free), (None, Some(0x200 - 0x150)));
        let (used, free) = (BlockState::Used, BlockState::Free);
        assert_eq!(told(&found), [(used, 0x40), (free, 0x20), (used, 0x30), (free, 0x200 - 16 - 0x60 - 0x30)]);
        let words: Vec<u32> = blocks.iter().flat_map(|(at, ..)| [*at, *at + 4]).chain([POOL + size - 8]).collect();
        damage_is_found(&pool, &mut bytes, &words);
    }
}
