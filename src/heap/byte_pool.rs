//! ThreadX's byte pools (`tx_byte_pool_create.c`, `tx_byte_pool_search.c` of ThreadX 5 to 6.4).
//!
//! ```text
//!   block { next, TX_BYTE_BLOCK_FREE or the pool that owns it } ... last block { pool's start, the pool }
//! ```

use std::sync::Arc;

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

/// The longest name that is read, in bytes.
const NAME_LIMIT: u32 = 32;
/// The most pools that are followed besides those with statics.
const MAX_LISTED: u32 = 8;

/// One pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BytePool {
    place: Place,
    fields: Fields,
}

/// Where a pool's control block is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// A static of the program.
    Static(u32),
    /// The one of that number among those that are no statics, in the kernel's list: where the list begins, the word that
    /// counts it, and the statics.
    Listed { head: u32, count: u32, index: u32, statics: Arc<[u32]> },
}

/// The offsets of the fields of `TX_BYTE_POOL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fields {
    id: u32,
    name: u32,
    available: u32,
    start: u32,
    size: u32,
    next: u32,
}

impl BytePool {
    /// The pools of this firmware: those whose control blocks are statics, and what else the kernel's list may lead to.
    #[must_use]
    pub fn find(image: &Image) -> Vec<Self> {
        let Some(head) = image.symbols.address("_tx_byte_pool_created_ptr") else { return Vec::new() };
        let types = image.types();
        let fields = || {
            let kind = types.find("TX_BYTE_POOL_STRUCT")?;
            let offset = |name: &str| Some(kind.field(name)?.offset);
            Some(Fields {
                id: offset("tx_byte_pool_id")?,
                name: offset("tx_byte_pool_name")?,
                available: offset("tx_byte_pool_available")?,
                start: offset("tx_byte_pool_start")?,
                size: offset("tx_byte_pool_size")?,
                next: offset("tx_byte_pool_created_next")?,
            })
        };
        let Some(fields) = fields() else { return Vec::new() };
        let statics: Arc<[u32]> =
            types.holders("TX_BYTE_POOL_STRUCT").into_iter().map(|(address, _)| address).collect();
        let placed = statics.iter().map(|address| Place::Static(*address));
        let count = image.symbols.address("_tx_byte_pool_created_count");
        let listed = count.into_iter().flat_map(|count| {
            let statics = &statics;
            (0..MAX_LISTED).map(move |index| Place::Listed { head, count, index, statics: Arc::clone(statics) })
        });
        placed.chain(listed).map(|place| Self { place, fields }).collect()
    }

    /// The control block, when there is such a pool now.
    fn control(&self, memory: &mut Memory<'_>) -> Option<u32> {
        let (head, count, wanted, statics) = match &self.place {
            Place::Static(address) => return Some(*address),
            Place::Listed { head, count, index, statics } => (*head, *count, *index, statics),
        };
        let count = memory.word(count)?.min(MAX_LISTED + u32::try_from(statics.len()).unwrap_or(0));
        let (mut pool, mut met) = (memory.word(head)?, 0);
        for _ in 0..count {
            if pool % 4 != 0 || memory.word(pool.checked_add(self.fields.id)?)? != POOL_ID {
                return None;
            }
            if !statics.contains(&pool) {
                if met == wanted {
                    return Some(pool);
                }
                met += 1;
            }
            pool = memory.word(pool.checked_add(self.fields.next)?)?;
        }
        None
    }

    fn name_of(&self, memory: &mut Memory<'_>, pool: u32) -> Option<String> {
        let text = memory.word(pool.checked_add(self.fields.name)?).filter(|text| *text != 0)?;
        let bytes = memory.read(Region::new(text, NAME_LIMIT))?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        let name = crate::units::printable(&String::from_utf8_lossy(&bytes[..end]), NAME_LIMIT as usize);
        (!name.trim().is_empty()).then_some(name)
    }
}

impl Walker for BytePool {
    fn name(&self) -> &'static str {
        "byte pool"
    }

    fn wants(&self) -> Vec<Region> {
        match &self.place {
            Place::Static(address) => {
                let Fields { id, name, available, start, size, .. } = self.fields;
                let end = [id, name, available, start, size].into_iter().max().unwrap_or(0).saturating_add(4);
                vec![Region::new(*address, end)]
            }
            Place::Listed { head, count, .. } => vec![Region::new(*head, 4), Region::new(*count, 4)],
        }
    }

    fn walk(&self, memory: &mut Memory<'_>) -> Option<Walk> {
        let (pool, fields) = (self.control(memory)?, self.fields);
        let field = |memory: &mut Memory<'_>, offset: u32| memory.word(pool.checked_add(offset)?);
        if field(memory, fields.id)? != POOL_ID {
            return None;
        }
        let (start, size) = (field(memory, fields.start)?, field(memory, fields.size)?);
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
                owner if owner == pool => BlockState::Used,
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
        let available = field(memory, fields.available)?;
        let lost = walk.blocks.iter().any(|block| block.state == BlockState::Lost);
        if walk.damage.is_none() && !lost && free != available {
            let what = format!("{free} B are free, and {available} B are counted");
            walk.damage = Some(chain::damaged(&[], pool.saturating_add(fields.available), what));
        }
        walk.name = self.name_of(memory, pool);
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
        let name = 0x2000_0040;
        for (offset, word) in [(0, POOL_ID), (4, name), (8, free), (24, start), (28, size), (44, control)] {
            bytes.poke(control + offset, word);
        }
        bytes.poke(name, u32::from_le_bytes(*b"net\0"));
        let fields = Fields { id: 0, name: 4, available: 8, start: 24, size: 28, next: 44 };
        let pool = BytePool { place: Place::Static(control), fields };
        let found = walk(&pool, &mut bytes).expect("it is set up");
        assert_eq!(found.damage, None);
        assert_eq!(
            told(&found),
            sizes.map(|(size, used)| (if used { BlockState::Used } else { BlockState::Free }, size))
        );
        assert_eq!(found.name.as_deref(), Some("net"));
        damage_is_found(&pool, &mut bytes, &words);
        // Only the kernel's list leads to it, or to nobody else.
        let (head, count) = (0x2000_0060, 0x2000_0064);
        bytes.poke(head, control);
        bytes.poke(count, 1);
        for (index, statics, expected) in [(0, vec![], true), (1, vec![], false), (0, vec![control], false)] {
            let place = Place::Listed { head, count, index, statics: statics.into() };
            let listed = walk(&BytePool { place, fields }, &mut bytes);
            assert_eq!(listed, expected.then(|| found.clone()), "{index}");
        }
        bytes.poke(control + 44, 0x10);
        bytes.poke(count, 9);
        let place = Place::Listed { head, count, index: 1, statics: Arc::default() };
        assert_eq!(walk(&BytePool { place, fields }, &mut bytes), None, "a list that leads nowhere");
    }
}
