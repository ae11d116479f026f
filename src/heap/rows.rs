//! Who asked for each block of a heap, where the agent keeps a table of that because the blocks have no room for a header.
//!
//! The table changes while the heap's frame of counters is open: what was read between two equal looks at the counters is
//! whole, and has as many blocks and bytes as they count. Blocks that have no row are in neither, so that both are "at
//! least" from the first of them on.

use std::time::Duration;

use highwater_agent::layout::owner_row;

use super::blocks::{Account, Noted};
use super::{HeapLook, Witness};
use crate::memory::Memory;
use crate::model::snapshot::{Block, BlockState, Trust};
use crate::region::Region;

/// The most rows of a table that are read.
pub const MAX_ROWS: u32 = 1024;
/// Looks at a table that changes while it is read.
const TRIES: usize = 3;

/// Where a table is, and what its first word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// The rows.
    pub rows: Region,
    /// How often a block found no free row, or was given back without one, since the start.
    pub lost: u32,
}

impl Table {
    /// The table of that region; `None` when its first word could not be read.
    #[must_use]
    pub fn read(memory: &mut Memory<'_>, region: Region) -> Option<Self> {
        let lost = memory.word(region.start())?;
        let rows = region.top(region.size().checked_sub(4)?);
        let row = 4 * owner_row::WORDS as u32;
        Some(Self { rows: rows.bottom((rows.size() / row).min(MAX_ROWS) * row), lost })
    }

    /// What blocks and bytes that are in the table are worth as those of the heap.
    #[must_use]
    pub fn trust(self) -> Trust {
        if self.lost == 0 { Trust::Exact } else { Trust::AtLeast }
    }
}

/// The rows of one heap, kept from look to look.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The blocks that have one, in address order.
    pub known: Vec<Noted>,
    /// When they last agreed with the counters, since the attach.
    pub confirmed: Option<Duration>,
    calls: Option<(u32, u32)>,
}

impl Rows {
    /// Reads the table, unless nothing happened since; says whether what is known is what the counters count.
    pub fn look(&mut self, memory: &mut Memory<'_>, table: Table, look: &HeapLook) -> bool {
        let Some(witness) = look.witness else { return false };
        for _ in 0..TRIES {
            let Some(account) = account(memory, witness) else { return false };
            if self.calls == Some(account.calls) {
                self.confirmed = Some(memory.now());
                return true;
            }
            let Some(words) = memory.words(table.rows) else { return false };
            memory.forget_within(witness.at);
            let found = self.found(&words, look, memory.now());
            let bytes = found.iter().fold(0u32, |sum, block| sum.wrapping_add(block.asked));
            let agrees = bytes == account.bytes && found.len() == account.blocks as usize;
            if agrees && self::account(memory, witness) == Some(account) {
                (self.known, self.calls, self.confirmed) = (found, Some(account.calls), Some(memory.now()));
                return true;
            }
            memory.forget_within(table.rows);
        }
        false
    }

    fn found(&self, words: &[u32], look: &HeapLook, now: Duration) -> Vec<Noted> {
        let walked =
            look.heap.blocks.as_deref().filter(|_| look.heap.used.is_some_and(|used| used.trust == Trust::Exact));
        let rows = words.chunks_exact(owner_row::WORDS);
        let rows = rows.filter(|row| look.heap.range.contains(row[owner_row::PART]));
        let mut found: Vec<Noted> = rows.map(|row| noted(row, walked.unwrap_or_default(), now)).collect();
        found.sort_unstable_by_key(|block| block.range.start());
        for block in &mut found {
            let known = self.known.binary_search_by_key(&block.range.start(), |known| known.range.start());
            let known = known.ok().map(|index| &self.known[index]);
            if let Some(known) = known.filter(|known| known.asked == block.asked && known.callers == block.callers) {
                block.seen = known.seen;
            }
        }
        found
    }
}

fn account(memory: &mut Memory<'_>, witness: Witness) -> Option<Account> {
    memory.words(witness.at).and_then(|words| (witness.count)(&words)).map(Account::of)
}

/// The block of a row: the allocator's, where that was walked, else what the program got.
fn noted(row: &[u32], walked: &[Block], now: Duration) -> Noted {
    let (part, asked) = (row[owner_row::PART], row[owner_row::ASKED]);
    let index = walked.partition_point(|block| block.range.end() <= u64::from(part));
    let block = walked.get(index).filter(|block| block.state == BlockState::Used && block.range.contains(part));
    let range = block.map_or(Region::new(part, asked), |block| block.range);
    Noted { range, asked, front: part - range.start(), callers: vec![row[owner_row::CALLER]], seen: now }
}

#[cfg(test)]
mod tests {
    use super::super::Counted;
    use super::*;
    use crate::source::link::LinkCost;
    use crate::source::testing::Bytes;

    const RAM: Region = Region::new(0x2000_0000, 0x1000);
    const HEAP: Region = Region::new(0x2000_0800, 0x800);
    const TABLE: Region = Region::new(0x2000_0100, 4 + 12 * 8);
    const COUNTERS: Region = Region::new(0x2000_0000, 16);

    fn counted(words: &[u32]) -> Option<Counted> {
        Some(Counted {
            freed: words[1],
            frees: words[3],
            allocated: words[0],
            allocs: words[2],
            failures: 0,
            peak: 0,
            failed_size: None,
            callers: 0,
            torn: false,
        })
    }

    fn target(rows: &[(u32, u32, u32)]) -> Bytes {
        let mut ram = Bytes::new(RAM);
        for (row, at) in rows.iter().zip((TABLE.start() + 4..).step_by(12)) {
            for (word, at) in [row.0, row.1, row.2].into_iter().zip((at..).step_by(4)) {
                ram.poke(at, word);
            }
        }
        let live = rows.iter().filter(|row| row.0 != 0);
        ram.poke(COUNTERS.start(), live.clone().map(|row| row.1).sum::<u32>() + 7);
        ram.poke(COUNTERS.start() + 4, 7);
        ram.poke(COUNTERS.start() + 8, live.count() as u32 + 1);
        ram.poke(COUNTERS.start() + 12, 1);
        ram
    }

    fn look(rows: &mut Rows, ram: &mut Bytes) -> (bool, Trust) {
        let mut memory = Memory::new(ram, LinkCost::default(), 1 << 16);
        let witness = Some(Witness { at: COUNTERS, count: counted });
        let table = Table::read(&mut memory, TABLE).expect("it is RAM");
        (rows.look(&mut memory, table, &HeapLook { witness, ..HeapLook::unknown("heap", HEAP) }), table.trust())
    }

    #[test]
    fn rows_that_are_in_use_are_blocks_when_the_counters_agree() {
        let mut ram = target(&[(HEAP.start() + 64, 20, 0x101), (0, 5, 5), (HEAP.start() + 8, 30, 0)]);
        let mut rows = Rows::default();
        assert_eq!(look(&mut rows, &mut ram), (true, Trust::Exact));
        let told: Vec<(u32, u32, u32)> =
            rows.known.iter().map(|block| (block.range.start(), block.asked, block.callers[0])).collect();
        assert_eq!(told, [(HEAP.start() + 8, 30, 0), (HEAP.start() + 64, 20, 0x101)]);
        ram.poke(TABLE.start(), 3);
        assert_eq!(look(&mut rows, &mut ram), (true, Trust::AtLeast), "three blocks found no row");
    }

    #[test]
    fn what_the_counters_do_not_count_is_not_believed_and_the_last_is_kept() {
        let mut rows = Rows::default();
        assert!(look(&mut rows, &mut target(&[(HEAP.start(), 20, 0x101)])).0);
        for wrong in [(HEAP.end_address(), 20, 0x101), (3, 20, 0)] {
            let mut ram = target(&[(HEAP.start(), 20, 0x101), wrong]);
            assert!(!look(&mut rows, &mut ram).0, "{wrong:?} is not in the heap");
            assert_eq!(rows.known.len(), 1);
        }
        let mut ram = target(&[(HEAP.start(), 20, 0x101), (HEAP.start() + 64, 8, 0)]);
        ram.poke(COUNTERS.start(), 1000);
        assert!(!look(&mut rows, &mut ram).0);
    }
}
