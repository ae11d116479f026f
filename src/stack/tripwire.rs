//! Where to aim the few watchpoint comparators of a core: which blocks cover a range, and whose guards come first.
//!
//! An overflow comes from above, so a range is covered from its end down, without a gap:
//!
//! ```text
//!   limit        2000_4cc8        4cd0                    4ce0        4ce8
//!                    |<-- 8 bytes -->|<----- 16 bytes ------>|<-- 8 -->|     three aligned blocks for a 32-byte guard
//! ```

use crate::model::snapshot::Stack;
use crate::region::Region;

/// Bytes at the limit of a stack that are watched when its kernel names no guard.
const LEAST_GUARD: u32 = 32;

/// What one comparator can watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// An aligned power of two of at most so many bytes (v6-M, v7-M: `DWT_MASKn`).
    Block {
        /// Bytes.
        largest: u32,
    },
    /// Any range of whole words (v8-M: a linked pair, which counts as one here).
    Range,
}

impl Reach {
    /// The largest piece that one comparator can watch at the end of `range`.
    #[must_use]
    pub fn at_end_of(self, range: Region) -> Region {
        match self {
            Self::Range => range,
            Self::Block { largest } => {
                let end = range.end();
                let mut size = 4;
                while size < largest && end.is_multiple_of(u64::from(2 * size)) && 2 * size <= range.size() {
                    size *= 2;
                }
                range.top(size)
            }
        }
    }
}

/// The pieces of `range`, which is whole words, that `comparators` of them can watch, from its end down without a gap.
#[must_use]
pub fn cover(range: Region, reach: Reach, comparators: usize) -> Vec<Region> {
    let mut pieces = Vec::new();
    let mut left = range.whole_words();
    while pieces.len() < comparators && !left.is_empty() {
        let piece = reach.at_end_of(left);
        left = left.below(piece.start());
        pieces.push(piece);
    }
    pieces
}

/// The largest piece of `range` that one comparator can watch; of several, the one at the highest address.
#[must_use]
pub fn largest(range: Region, reach: Reach) -> Option<Region> {
    let pieces = cover(range, reach, usize::MAX);
    pieces.into_iter().rev().max_by_key(|piece| piece.size())
}

/// What is to be watched for one stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aim {
    /// Whose: [`Stack::id`].
    pub stack: String,
    /// The range that should be watched: the guard, or what lies below the mark.
    pub wanted: Region,
    /// The pieces of it that are.
    pub pieces: Vec<Region>,
}

impl Aim {
    /// Whether nothing of what should be watched is left out.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.pieces.iter().map(|piece| piece.size()).sum::<u32>() == self.wanted.size()
    }
}

/// The guard of a stack: what its kernel leaves unused at the limit, or the last words.
#[must_use]
pub fn guard(stack: Region, told: u32) -> Region {
    stack.whole_words().bottom(told.max(LEAST_GUARD))
}

/// Aims at the guards of the stacks with the least headroom: all of the first one's guard, then the largest piece of
/// each next one's while there are comparators. `guard_of` gives a stack's guard, and none for one to leave out.
#[must_use]
pub fn aim(
    stacks: &[Stack],
    reach: Reach,
    comparators: usize,
    guard_of: impl Fn(&Stack) -> Option<Region>,
) -> Vec<Aim> {
    let mut ranked: Vec<(&Stack, Region)> = stacks
        .iter()
        .filter_map(|stack| Some((stack, guard_of(stack)?)))
        .filter(|(_, guard)| !guard.is_empty())
        .collect();
    // A stack without a mark may be as near to its end as any, but nothing says so: it comes last.
    ranked.sort_by_key(|(stack, _)| (stack.margin().unwrap_or(u32::MAX), stack.range));
    let mut left = comparators;
    let mut aims = Vec::new();
    for (stack, wanted) in ranked {
        let pieces = match aims.is_empty() {
            true => cover(wanted, reach, left),
            false => largest(wanted, reach).into_iter().take(left).collect(),
        };
        if pieces.is_empty() {
            break;
        }
        left -= pieces.len();
        aims.push(Aim { stack: stack.id.clone(), wanted, pieces });
    }
    aims
}

/// Aims at what lies below the mark of one stack, as far down as the comparators reach: nothing at or above `mark`.
#[must_use]
pub fn below_mark(stack: &Stack, mark: u32, reach: Reach, comparators: usize) -> Option<Aim> {
    let wanted = stack.range.whole_words().below(mark & !3);
    let pieces = cover(wanted, reach, comparators);
    (!pieces.is_empty()).then(|| Aim { stack: stack.id.clone(), wanted, pieces })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::snapshot::{Measured, StackKind, Trust};

    const BLOCK: Reach = Reach::Block { largest: 1 << 15 };

    fn stack(id: &str, start: u32, size: u32, peak: Option<u32>) -> Stack {
        Stack {
            id: id.into(),
            name: id.into(),
            kind: StackKind::User,
            control_block: None,
            range: Region::new(start, size),
            current: None,
            lowest_sp: None,
            peak: peak.map(|bytes| Measured { bytes, trust: Trust::Exact }),
            worst_case: None,
            worst_case_note: None,
            recursion: None,
            rescanned: None,
            victim: None,
            overflowed: false,
            limit_whole: true,
            unwritten: None,
            priority: None,
            state: None,
            cpu: None,
        }
    }

    #[test]
    fn the_guard_of_the_fullest_stack_is_covered_wholly_and_the_rest_in_part() {
        let stacks = [
            stack("idle", 0x2000_2840, 512, Some(176)),
            stack("growth", 0x2000_4cc8, 4096, Some(4000)),
            stack("unpainted", 0x2000_8000, 512, None),
        ];
        let guard_of = |stack: &Stack| Some(guard(stack.range, 32));
        let aims = aim(&stacks, BLOCK, 4, guard_of);
        let told: Vec<(&str, Vec<Region>, bool)> =
            aims.iter().map(|aim| (aim.stack.as_str(), aim.pieces.clone(), aim.is_whole())).collect();
        assert_eq!(
            told,
            [
                (
                    "growth",
                    vec![Region::new(0x2000_4ce0, 8), Region::new(0x2000_4cd0, 16), Region::new(0x2000_4cc8, 8)],
                    true
                ),
                ("idle", vec![Region::new(0x2000_2840, 32)], true),
            ]
        );
        let pairs = aim(&stacks, Reach::Range, 2, guard_of);
        assert_eq!(pairs.iter().map(|aim| aim.pieces.len()).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(aim(&stacks, BLOCK, 0, guard_of), []);
    }

    #[test]
    fn below_a_mark_the_pieces_grow_downward() {
        let growth = stack("growth", 0x2000_4cc8, 4096, Some(1000));
        let aim = below_mark(&growth, 0x2000_5a34, BLOCK, 4).expect("there is room");
        assert_eq!(aim.pieces.iter().map(|piece| piece.size()).collect::<Vec<_>>(), [4, 16, 32, 512]);
        assert_eq!(below_mark(&growth, 0x2000_4cc8, BLOCK, 4), None);
    }

    proptest! {
        /// Pieces are what a comparator can watch, lie in the range, and leave no gap from its end down.
        #[test]
        fn a_cover_has_no_gap(start in 0u32..4096, words in 1u32..600, count in 1usize..9, bits in 2u32..12) {
            let range = Region::new(0x2000_0000 + 4 * start, 4 * words);
            let reach = Reach::Block { largest: 1 << bits };
            let mut end = range.end();
            for piece in cover(range, reach, count) {
                prop_assert!(piece.size().is_power_of_two() && piece.size() <= 1 << bits);
                prop_assert_eq!(piece.start() % piece.size(), 0);
                prop_assert!(range.covers(piece));
                prop_assert_eq!(piece.end(), end);
                end = u64::from(piece.start());
            }
            let all = cover(range, reach, usize::MAX);
            prop_assert_eq!(all.iter().map(|piece| piece.size()).sum::<u32>(), range.size());
        }
    }
}
