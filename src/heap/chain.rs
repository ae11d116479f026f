//! A walk from block to block, as most allocators lay them out: each header tells where the next one is.

use super::{MAX_BLOCKS, Walk};
use crate::model::snapshot::{Block, BlockState, Damage, Suspect};
use crate::region::Region;

/// What the header at an address says.
pub(super) enum Step {
    /// A block that begins there, and ends before or at the end of the range.
    Block(Block),
    /// The word at that address cannot be right, and why.
    Wrong(u32, String),
}

/// Follows the blocks of one range from its start to its end. `step` tells of the block at an address, and `None` when
/// it could not be read, which ends the walk with nothing. What lies behind damage, and behind more blocks than are
/// walked, is lost.
pub(super) fn follow(range: Region, mut step: impl FnMut(u32) -> Option<Step>) -> Option<Walk> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut rest = range;
    let mut damage = None;
    while !rest.is_empty() && blocks.len() < MAX_BLOCKS {
        let wrong = match step(rest.start())? {
            Step::Block(block) if block.range.start() == rest.start() && fits(rest, block.range) => {
                rest = rest.top(rest.size() - block.range.size());
                blocks.push(block);
                continue;
            }
            Step::Block(block) => {
                (rest.start(), format!("a block of {} B in the last {} B", block.range.size(), rest.size()))
            }
            Step::Wrong(address, what) => (address, what),
        };
        damage = Some(damaged(&blocks, wrong.0, wrong.1));
        break;
    }
    if !rest.is_empty() {
        blocks.push(Block::new(rest, rest.size(), BlockState::Lost));
    }
    Some(Walk { ranges: vec![range], blocks: blocks.into(), damage, ..Walk::default() })
}

fn fits(rest: Region, block: Region) -> bool {
    !block.is_empty() && rest.covers(block)
}

/// Damage at `address` behind `blocks`: the last of them is whose owner may have written too far.
pub(super) fn damaged(blocks: &[Block], address: u32, what: String) -> Damage {
    let before = blocks.iter().rfind(|block| block.range.start() < address);
    Damage { address, what, suspect: before.map(|block| Suspect::Block(block.range)) }
}
