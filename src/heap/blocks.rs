//! The blocks of a heap, where each one begins with the agent's header: the size asked for, and who asked.
//!
//! Most allocators tell their blocks apart: the header lies behind the allocator's own, and a block that has none was asked
//! for past the agent. Of one that tells only what is free, sizes lead from block to block between two holes. A header
//! stays what it is while its block lives, so what was read is kept, and a read is spent on new blocks and on those beside
//! which a hole came, went or moved: they may be others by now. Whether the whole is true is held against the agent's
//! counters: as many blocks, and together the bytes that were asked for. Where it is not, a block gave its place to another
//! of the same size, and all headers are looked at again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use highwater_agent::layout::owner;

use super::fit::Rule;
use super::rows::{Rows, Table};
use super::{Counted, HeapLook};
use crate::memory::Memory;
use crate::model::heap::free_runs;
use crate::model::snapshot::{Block, BlockState, Heap, Trust};
use crate::region::Region;

/// Headers that one look reads.
const HEADERS: usize = 64;
/// Headers of known blocks that one look reads again.
const AGAIN: usize = 1;
/// What lies in newlib-nano between a chunk's header and a block of `memalign`, when it is too small to be a chunk.
const NANO_GAP: u32 = 8;
/// How long known blocks are believed without another look at their headers.
const BELIEF: Duration = Duration::from_millis(250);

/// One block in use that says who asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// All of it, from its header to where the next one may begin.
    pub range: Region,
    /// Bytes that were asked for.
    pub asked: u32,
    /// Where the caller's part begins, in bytes from the start.
    pub front: u32,
    /// Return addresses of those who asked, the innermost first; 0 where none is known.
    pub callers: Vec<u32>,
    /// When it was first seen, since the attach.
    pub seen: Duration,
}

/// The blocks of one heap that say who asked for them.
#[derive(Clone, Debug, PartialEq)]
pub struct NotedBlocks {
    /// They, in address order.
    pub blocks: Vec<Noted>,
    /// What that is worth.
    pub trust: Trust,
    /// When they last agreed with the heap's counters, since the attach.
    pub confirmed: Option<Duration>,
}

/// The blocks of one heap, kept from look to look.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    known: BTreeMap<u32, Noted>,
    /// Where blocks and holes met when the known blocks were read, in address order.
    edges: Vec<u32>,
    /// The known blocks agreed with the counters, when these were so many calls.
    agreed: Option<(u32, u32)>,
    confirmed: Option<Duration>,
    looked: Option<Duration>,
    next: u32,
}

/// What the counters say of the blocks in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Bytes asked for.
    pub bytes: u32,
    /// Blocks.
    pub blocks: u32,
    /// Successful calls of alloc and of free: whether anything happened.
    pub calls: (u32, u32),
}

/// A heap as far as its allocator tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// Where the heap is.
    pub range: Region,
    /// Its free parts in address order.
    pub free: Vec<Region>,
    /// What lies between them, in address order.
    pub used: Vec<Used>,
}

/// Something of a heap that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Used {
    /// Any number of blocks, without a gap.
    Stretch(Region),
    /// One block, and the allocator's own bytes in front.
    Block(Region, u32),
}

/// The noted blocks of all heaps.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    heaps: BTreeMap<u32, Blocks>,
    tables: BTreeMap<u32, Rows>,
}

impl Notes {
    /// Divides what is in use of each heap whose blocks say who asked for them; what agrees with the heap's counters
    /// becomes its blocks.
    pub fn refresh(&mut self, memory: &mut Memory<'_>, looks: &mut [HeapLook]) {
        for look in looks {
            if let Some(table) = look.rows {
                self.look_at_table(memory, table, look);
                continue;
            }
            let heap = &look.heap;
            let (Some(parts), Some(witness), true) = (&heap.blocks, look.witness, heap.callers > 0) else { continue };
            let Some(ground) = Ground::of(parts) else { continue };
            // Not by the blocks that the walker counts: some may have been asked for past the agent.
            let account = memory.words(witness.at).and_then(|words| (witness.count)(&words)).map(Account::of);
            let trust = heap.used.map_or(Trust::Gap, |used| used.trust);
            let blocks = self.heaps.entry(heap.range.start()).or_default();
            // Free parts that are older than the counters do not say where the blocks of now begin.
            let agrees = account.is_some_and(|account| match trust {
                Trust::Exact => blocks.look(memory, &ground, heap.callers, account),
                _ => blocks.agrees(account),
            });
            if agrees && trust == Trust::Exact {
                look.heap = divided(look.heap.clone(), &blocks.list());
            }
            look.noted = Some(NotedBlocks {
                blocks: blocks.list(),
                trust: if agrees { trust } else { Trust::Stale },
                confirmed: blocks.confirmed,
            });
        }
    }

    fn look_at_table(&mut self, memory: &mut Memory<'_>, table: Table, look: &mut HeapLook) {
        let rows = self.tables.entry(look.heap.range.start()).or_default();
        let agrees = rows.look(memory, table, look);
        if agrees && look.heap.used.is_some_and(|used| used.trust == Trust::Exact) {
            look.heap = divided(look.heap.clone(), &rows.known);
        }
        look.noted = Some(NotedBlocks {
            blocks: rows.known.clone(),
            trust: if agrees { table.trust() } else { Trust::Stale },
            confirmed: rows.confirmed,
        });
    }

    /// Forgets what was seen: the target was reset.
    pub fn clear(&mut self) {
        self.heaps.clear();
        self.tables.clear();
    }
}

/// The heap with its blocks told apart, which fill what was in use.
fn divided(heap: Heap, noted: &[Noted]) -> Heap {
    let Some(parts) = heap.blocks.clone() else { return heap };
    let mut blocks = Vec::with_capacity(parts.len() + noted.len());
    for part in parts.iter() {
        let first = noted.partition_point(|block| block.range.start() < part.range.start());
        let within = noted[first..].iter().take_while(|block| part.range.covers(block.range));
        let filled: u32 = within.clone().map(|block| block.range.size()).sum();
        if !matches!(part.state, BlockState::Stretch | BlockState::Used) || filled != part.range.size() {
            blocks.push(part.clone());
            continue;
        }
        blocks.extend(within.map(|block| Block {
            requested: Some(block.asked),
            owner: block.callers.first().copied().filter(|caller| *caller != 0),
            ..Block::new(block.range, block.front, BlockState::Used)
        }));
    }
    let damage = heap.damage.clone();
    heap.with_blocks(blocks.into(), damage, Trust::Exact)
}

impl Ground {
    /// What a walk says of a heap; `None` when it has no blocks.
    fn of(parts: &[Block]) -> Option<Self> {
        let range = parts.first()?.range.hull(parts.last()?.range);
        let used = parts.iter().filter_map(|part| match part.state {
            BlockState::Stretch => Some(Used::Stretch(part.range)),
            BlockState::Used => Some(Used::Block(part.range, part.range.below(part.payload.start()).size())),
            BlockState::Free | BlockState::Own | BlockState::Lost => None,
        });
        Some(Self { range, free: free_runs(parts).collect(), used: used.collect() })
    }
}

impl Account {
    pub(super) fn of(counted: Counted) -> Self {
        Self {
            bytes: counted.allocated.wrapping_sub(counted.freed),
            blocks: counted.allocs.wrapping_sub(counted.frees),
            calls: (counted.allocs, counted.frees),
        }
    }
}

impl Blocks {
    /// Looks for the blocks in `ground`, each with a header that names `depth` callers, and says whether they agree
    /// with the account; what does not may be older, or not be whole yet.
    pub fn look(&mut self, memory: &mut Memory<'_>, ground: &Ground, depth: u32, account: Account) -> bool {
        let now = memory.now();
        let age = self.looked.map(|looked| now.saturating_sub(looked));
        let period = if self.agrees(account) { BELIEF } else { Duration::ZERO };
        if age.is_none_or(|age| age >= period) {
            self.looked = Some(now);
            self.walk(memory, ground, depth, account, now);
        }
        if self.agrees(account) {
            self.confirmed = Some(now);
        }
        self.agrees(account)
    }

    /// The blocks of the last look, in address order.
    #[must_use]
    pub fn list(&self) -> Vec<Noted> {
        self.known.values().cloned().collect()
    }

    fn agrees(&self, account: Account) -> bool {
        self.agreed == Some(account.calls)
    }

    fn walk(&mut self, memory: &mut Memory<'_>, ground: &Ground, depth: u32, account: Account, now: Duration) {
        let edges = edges(ground);
        let moved = |edge: u32| edges.binary_search(&edge).is_ok() != self.edges.binary_search(&edge).is_ok();
        let beside = |block: &Noted| moved(block.range.start()) || moved(block.range.end_address());
        let mut again: BTreeSet<u32> =
            self.known.iter().filter(|(_, block)| beside(block)).map(|(start, _)| *start).collect();
        again.extend(self.turn(AGAIN));
        let mut found = self.step(memory, ground, depth, &again, now);
        if !found.agrees(account) && !again.is_empty() {
            // A header that was overwritten since says nothing of its block: what was known of it may still be true.
            found = self.step(memory, ground, depth, &BTreeSet::new(), now);
        }
        if !found.agrees(account) && !self.known.is_empty() {
            let all: BTreeSet<u32> = self.turn(HEADERS).into_iter().collect();
            let header = 4 * (owner::CALLERS as u32 + depth);
            memory.prefetch(&all.iter().map(|start| Region::new(*start, header)).collect::<Vec<_>>());
            found = self.step(memory, ground, depth, &all, now);
        }
        if found.agrees(account) {
            self.agreed = Some(account.calls);
        } else if !found.whole && found.left > 0 {
            // It leads nowhere: the heap changed meanwhile.
            return;
        }
        self.known = found.blocks;
        self.edges = edges;
    }

    /// The next so many known blocks, round and round.
    fn turn(&mut self, count: usize) -> Vec<u32> {
        let starts = |known: &BTreeMap<u32, Noted>, from: u32, count: usize| -> Vec<u32> {
            known.range(from..).map(|(start, _)| *start).take(count).collect()
        };
        let turn = starts(&self.known, self.next, count);
        self.next = match turn.last() {
            Some(last) if turn.len() == count => last.saturating_add(1),
            _ => 0,
        };
        if turn.len() < count && self.known.len() <= count {
            return starts(&self.known, 0, count);
        }
        turn
    }

    /// Goes from block to block in what is in use, and looks at the headers of those in `again` anew.
    fn step(
        &self,
        memory: &mut Memory<'_>,
        ground: &Ground,
        depth: u32,
        again: &BTreeSet<u32>,
        now: Duration,
    ) -> Found {
        let mut found = Found { blocks: BTreeMap::new(), whole: true, left: HEADERS };
        for used in &ground.used {
            let mut at = used.range();
            while !at.is_empty() {
                let known = self.known.get(&at.start()).filter(|block| used.may_be(at, block.range));
                let mut block = known.cloned();
                let looked = (block.is_none() || again.contains(&at.start())) && found.left > 0;
                if looked {
                    found.left -= 1;
                    block = match (used.read(memory, at, depth, now), used) {
                        (Some(read), _) => {
                            let same = |known: &Noted| Noted { seen: known.seen, ..read.clone() } == *known;
                            Some(block.filter(same).unwrap_or(read))
                        }
                        (None, Used::Stretch(_)) => block,
                        (None, Used::Block(..)) => None,
                    };
                }
                match (block, used) {
                    (Some(block), _) => {
                        at = Region::between(block.range.end_address(), used.range().end_address());
                        found.blocks.insert(block.range.start(), block);
                    }
                    // Whoever asked for it did so past the agent.
                    (None, Used::Block(..)) if looked => break,
                    (None, _) => {
                        found.whole = false;
                        break;
                    }
                }
            }
        }
        found
    }
}

impl Used {
    fn range(self) -> Region {
        match self {
            Self::Stretch(range) | Self::Block(range, _) => range,
        }
    }

    /// Whether a block that was known may be the one that begins what is left.
    fn may_be(self, left: Region, block: Region) -> bool {
        match self {
            Self::Stretch(_) => left.covers(block),
            Self::Block(range, _) => range == block,
        }
    }

    /// The block that begins what is left, if it has a header that can be one's.
    fn read(self, memory: &mut Memory<'_>, left: Region, depth: u32, now: Duration) -> Option<Noted> {
        match self {
            // Every block is of this allocator's sizes, and none of them of no bytes.
            Self::Stretch(_) => {
                let header = Header::read(memory, left, depth).filter(|header| header.asked > 0)?;
                let size = Rule::TARGET.rounded(header.needs).filter(|size| *size <= left.size())?;
                Some(header.noted(left.bottom(size), 0, now))
            }
            Self::Block(_, own) => {
                let inside = left.top(left.size().checked_sub(own)?);
                if let Some(header) = Header::read(memory, inside, depth) {
                    return Some(header.noted(left, own, now));
                }
                // The walker cannot know that newlib-nano's memalign left a gap: the word before the block says so.
                let inside = inside.top(inside.size().checked_sub(NANO_GAP)?);
                let says = memory.word(inside.start().checked_sub(4)?)?;
                let header = Header::read(memory, inside, depth).filter(|_| says == NANO_GAP.wrapping_neg())?;
                Some(header.noted(left, own + NANO_GAP, now))
            }
        }
    }
}

/// What the agent's header says.
struct Header {
    asked: u32,
    front: u32,
    callers: Vec<u32>,
    /// Bytes of the block, as the agent asked the allocator for them.
    needs: u32,
}

impl Header {
    /// The header that begins `block`, if it can be one's.
    fn read(memory: &mut Memory<'_>, block: Region, depth: u32) -> Option<Self> {
        let words = memory.words(block.bottom(4 * (owner::CALLERS as u32 + depth)))?;
        let (asked, align) = owner::unpack(*words.get(owner::ASKED)?);
        let front = u32::try_from(owner::front(depth as usize, align)).ok()?;
        let needs = front.checked_add(asked).filter(|needs| *needs <= block.size())?;
        let callers = words.get(owner::CALLERS..)?.to_vec();
        let aligned = block.start().is_multiple_of(u32::try_from(align).ok()?);
        aligned.then_some(Self { asked, front, callers, needs })
    }

    /// The block that it belongs to, `own` bytes of which are the allocator's and lie before it.
    fn noted(self, range: Region, own: u32, now: Duration) -> Noted {
        Noted { range, asked: self.asked, front: own + self.front, callers: self.callers, seen: now }
    }
}

/// What one walk found.
struct Found {
    blocks: BTreeMap<u32, Noted>,
    /// Every byte that is in use belongs to a block.
    whole: bool,
    /// Headers that may still be read.
    left: usize,
}

impl Found {
    fn agrees(&self, account: Account) -> bool {
        let bytes = self.blocks.values().fold(0u32, |sum, block| sum.wrapping_add(block.asked));
        self.whole && bytes == account.bytes && self.blocks.len() == account.blocks as usize
    }
}

/// Where blocks and holes meet, in address order.
fn edges(ground: &Ground) -> Vec<u32> {
    ground.free.iter().flat_map(|hole| [hole.start(), hole.end_address()]).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::link::LinkCost;
    use crate::source::testing::Bytes;

    const HEAP: Region = Region::new(0x2000_1000, 4096);

    fn lay(ram: &mut Bytes, sizes: &[u32]) -> (Ground, Account) {
        let mut at = HEAP.start();
        for size in sizes {
            ram.poke(at, owner::pack(*size, 4));
            ram.poke(at + 4, 0x101);
            at += Rule::TARGET.rounded(8 + size).unwrap();
        }
        let used = vec![Used::Stretch(HEAP.below(at))];
        let ground = Ground { range: HEAP, free: vec![HEAP.from(at)], used };
        (ground, Account { bytes: sizes.iter().sum(), blocks: sizes.len() as u32, calls: (sizes.len() as u32, 0) })
    }

    fn look(blocks: &mut Blocks, ram: &mut Bytes, ground: &Ground, account: Account) -> bool {
        let mut memory = Memory::new(ram, LinkCost::default(), 1 << 16);
        blocks.look(&mut memory, ground, 1, account)
    }

    #[test]
    fn more_blocks_than_one_look_may_read_are_found_in_several() {
        let mut ram = Bytes::new(HEAP);
        let sizes: Vec<u32> = (1..=100).map(|index| 1 + index % 30).collect();
        let (ground, account) = lay(&mut ram, &sizes);
        let mut blocks = Blocks::default();
        assert!(!look(&mut blocks, &mut ram, &ground, account), "not whole yet");
        assert!(look(&mut blocks, &mut ram, &ground, account));
        assert_eq!(blocks.list().iter().map(|block| block.asked).collect::<Vec<_>>(), sizes);
    }

    #[test]
    fn a_block_that_took_another_s_place_is_noticed_at_once() {
        // Freed and taken again between two looks: smaller, larger, as large, and two in the place of one.
        for (before, after) in [
            (&[40, 40, 40][..], &[40, 20, 40][..]),
            (&[40, 20, 40], &[40, 60, 40]),
            (&[40, 22, 40], &[40, 24, 40]),
            (&[40, 40, 40], &[40, 16, 16, 40]),
            (&[40, 16, 16, 40], &[40, 40, 40]),
        ] {
            let mut ram = Bytes::new(HEAP);
            let mut blocks = Blocks::default();
            let (ground, account) = lay(&mut ram, before);
            assert!(look(&mut blocks, &mut ram, &ground, account));
            let (ground, account) = lay(&mut ram, after);
            let account = Account { calls: (9, 9), ..account };
            assert!(look(&mut blocks, &mut ram, &ground, account), "{before:?} became {after:?}");
            assert_eq!(blocks.list().iter().map(|block| block.asked).collect::<Vec<_>>(), after);
        }
    }

    #[test]
    fn what_does_not_agree_with_the_counters_is_not_believed() {
        let mut ram = Bytes::new(HEAP);
        let (ground, account) = lay(&mut ram, &[10, 20, 30]);
        for wrong in [Account { bytes: 61, ..account }, Account { blocks: 2, ..account }] {
            assert!(!look(&mut Blocks::default(), &mut ram, &ground, wrong), "{wrong:?}");
        }
    }

    /// Blocks of an allocator with a header of 8 bytes, as heap_4 has; 0 stands for one that was asked for past the agent.
    fn lay_blocks(ram: &mut Bytes, sizes: &[u32]) -> (Ground, Account) {
        let mut used = Vec::new();
        let mut at = HEAP.start();
        for size in sizes {
            let range = Region::new(at, (8 + 8 + size).next_multiple_of(8).max(24));
            ram.poke(at + 8, if *size == 0 { 0x2000_1234 } else { owner::pack(*size, 8) });
            ram.poke(at + 12, 0x101);
            used.push(Used::Block(range, 8));
            at = range.end_address();
        }
        let asked: Vec<u32> = sizes.iter().copied().filter(|size| *size > 0).collect();
        let calls = (asked.len() as u32, 0);
        let ground = Ground { range: HEAP, free: vec![HEAP.from(at)], used };
        (ground, Account { bytes: asked.iter().sum(), blocks: calls.0, calls })
    }

    #[test]
    fn blocks_that_the_allocator_tells_apart_are_read_behind_its_own_header() {
        let mut ram = Bytes::new(HEAP);
        let (ground, account) = lay_blocks(&mut ram, &[40, 0, 3, 100]);
        let mut blocks = Blocks::default();
        assert!(look(&mut blocks, &mut ram, &ground, account));
        let told: Vec<(u32, u32, u32)> =
            blocks.list().iter().map(|block| (block.range.start() - HEAP.start(), block.front, block.asked)).collect();
        assert_eq!(
            told,
            [(0, 16, 40), (56 + 24, 16, 3), (56 + 24 + 24, 16, 100)],
            "one has nothing to do with the agent"
        );
        // One is freed and its place taken by two.
        let (ground, account) = lay_blocks(&mut ram, &[12, 8, 0, 3, 100]);
        let account = Account { calls: (5, 1), ..account };
        assert!(look(&mut blocks, &mut ram, &ground, account));
        assert_eq!(blocks.list().iter().map(|block| block.asked).collect::<Vec<_>>(), [12, 8, 3, 100]);
    }

    proptest! {
        #[test]
        fn damage_gives_no_block_outside_of_the_heap(words in proptest::collection::vec(any::<u32>(), 64)) {
            let mut ram = Bytes::new(HEAP);
            for (word, at) in words.iter().zip(HEAP.words().pages(4)) {
                ram.poke(at.start(), *word);
            }
            let range = HEAP.bottom(256);
            let account = Account { bytes: 0, blocks: 0, calls: (0, 0) };
            let parts = (0..16).map(|index| Used::Block(range.slice(16 * index, 16), 4 * (index % 4)));
            for used in [vec![Used::Stretch(range)], parts.collect()] {
                let mut blocks = Blocks::default();
                look(&mut blocks, &mut ram, &Ground { range, free: Vec::new(), used }, account);
                for block in blocks.list() {
                    prop_assert!(range.covers(block.range));
                    prop_assert!(block.front + block.asked <= block.range.size());
                }
            }
        }
    }
}
