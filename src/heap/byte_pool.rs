//! ThreadX's byte pools (`tx_byte_pool_create.c`, `tx_byte_pool_search.c` of ThreadX 5 to 6.4).
//!
//! ```text
//!   block { next, TX_BYTE_BLOCK_FREE or the pool that owns it } ... last block { pool's start, the pool }
//! ```

use super::chain::{self, Step};
use super::{Walk, Walker};
use crate::image::Image;
use crate::memory::Memory;
use crate::model::snapshot::{Block, BlockState};
use crate::region::Region;

/// A pointer and an `ALIGN_TYPE`.
const HEADER: u32 = 8;
/// `TX_BYTE_BLOCK_FREE` of tx_byte_pool.h.
const FREE: u32 = 0xFFFF_EEEE;
/// `TX_BYTE_POOL_ID` of tx_byte_pool.h.
const POOL_ID: u32 = 0x4259_5445;

/// One pool, by its control block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BytePool {
    pool: u32,
    id: u32,
    available: u32,
    start: u32,
    size: u32,
}

impl BytePool {
    /// The pools whose control blocks are statics.
    #[must_use]
    pub fn find(image: &Image) -> Vec<Self> {
        if image.symbols.get("_tx_byte_pool_created_ptr").is_none() {
            return Vec::new();
        }
        let types = image.types();
        let pools = types.holders("TX_BYTE_POOL_STRUCT").into_iter().filter_map(|(pool, held)| {
            let offset = |name: &str| types.offset(held, &[name]);
            Some(Self {
                pool,
                id: offset("tx_byte_pool_id")?,
                available: offset("tx_byte_pool_available")?,
                start: offset("tx_byte_pool_start")?,
                size: offset("tx_byte_pool_size")?,
            })
        });
        pools.collect()
    }
}

impl Walker for BytePool {
    fn name(&self) -> &'static str {
        "byte pool"
    }

    fn wants(&self) -> Vec<Region> {
        let end = self.id.max(self.available).max(self.start).max(self.size) + 4;
        vec![Region::new(self.pool, end)]
    }

    fn walk(&self, memory: &mut Memory<'_>) -> Option<Walk> {
        let field = |memory: &mut Memory<'_>, offset: u32| memory.word(self.pool.checked_add(offset)?);
        if field(memory, self.id)? != POOL_ID {
            return None;
        }
        let (start, size) = (field(memory, self.start)?, field(memory, self.size)?);
        let range = Region::new(start, size);
        if size < 2 * HEADER || start % 4 != 0 || size % 4 != 0 || range.size() != size {
            return None;
        }
        let last = range.top(HEADER).start();
        let mut walk = chain::follow(range, |at| {
            let header = memory.words(Region::new(at, HEADER))?;
            let (next, owner) = (header[0], header[1]);
            let state = match owner {
                FREE => BlockState::Free,
                owner if owner == self.pool => BlockState::Used,
                owner => return Some(Step::Wrong(at + 4, format!("an owner {owner:08x} that is no pool"))),
            };
            if at == last {
                return Some(match (state, next) {
                    (BlockState::Used, next) if next == start => {
                        Step::Block(Block::new(range.from(at), HEADER, BlockState::Own))
                    }
                    (BlockState::Used, next) => Step::Wrong(at, format!("a link to {next:08x} behind the last block")),
                    _ => Step::Wrong(at + 4, "a last block that is free".into()),
                });
            }
            if next % 4 != 0 || next <= at || next > last || next - at < HEADER {
                return Some(Step::Wrong(at, format!("a link to {next:08x}")));
            }
            Some(Step::Block(Block::new(Region::between(at, next), HEADER, state)))
        })?;
        let free: u32 =
            walk.blocks.iter().filter(|block| block.state == BlockState::Free).map(|block| block.range.size()).sum();
        let available = field(memory, self.available)?;
        let lost = walk.blocks.iter().any(|block| block.state == BlockState::Lost);
        if walk.damage.is_none() && !lost && free != available {
            let what = format!("{free} B are free, and {available} B are counted");
            walk.damage = Some(chain::damaged(&[], self.pool + self.available, what));
        }
        Some(walk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::testing::{damage_is_found, told, walk};
    use crate::source::testing::Bytes;

    #[test]
    fn a_pool_is_walked_and_its_damage_is_found() {
        let mut bytes = Bytes::new(Region::new(0x2000_0000, 0x400));
        let (control, start, size) = (0x2000_0000, 0x2000_0100, 0x200);
        let sizes = [(0x40, true), (0x24, false), (0x14, true), (0x80, false), (0x40, false), (0xc0, true)];
        let (mut at, mut free, mut words) = (start, 0, Vec::new());
        for (size, used) in sizes {
            bytes.poke(at, at + size);
            bytes.poke(at + 4, if used { control } else { FREE });
            words.extend([at, at + 4]);
            free += if used { 0 } else { size };
            at += size;
        }
        assert_eq!(at, start + size - HEADER);
        bytes.poke(at, start);
        bytes.poke(at + 4, control);
        words.extend([at, at + 4]);
        for (offset, word) in [(0, POOL_ID), (8, free), (24, start), (28, size)] {
            bytes.poke(control + offset, word);
        }
        let pool = BytePool { pool: control, id: 0, available: 8, start: 24, size: 28 };
        let found = walk(&pool, &mut bytes).expect("it is set up");
        assert_eq!(found.damage, None);
        assert_eq!(
            told(&found),
            sizes.map(|(size, used)| (if used { BlockState::Used } else { BlockState::Free }, size))
        );
        damage_is_found(&pool, &mut bytes, &words);
    }
}
