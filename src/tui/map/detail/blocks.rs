//! What the pane says of a stretch of heap in use: the largest of its blocks, and who asked for them.

use ratatui::text::{Line, Span};

use super::{Block, Paper};
use crate::model::heap::{self, BlockState};
use crate::model::snapshot::{Heap, Part, PartKind};
use crate::tui::paint::{self, fit, safe, spread};
use crate::units;

/// The most blocks that are listed.
const MOST: usize = 6;

impl Paper<'_> {
    /// The blocks within a part of a heap; `None` when they are not known.
    pub(super) fn heap_blocks(&self, part: &Part) -> Option<Block> {
        if part.kind != PartKind::Block {
            return None;
        }
        let heap = self.model.snapshot.heaps.iter().find(|heap| heap.range.covers(part.range))?;
        let mut inside: Vec<&heap::Block> = heap
            .blocks
            .iter()
            .flat_map(|blocks| blocks.iter())
            .filter(|block| matches!(block.state, BlockState::Used | BlockState::Stretch))
            .filter(|block| part.range.covers(block.range))
            .collect();
        // The first in address order of those that are as large.
        inside.sort_by_key(|block| (std::cmp::Reverse(block.range.size()), block.range.start()));
        let heading = match inside.len() {
            0 => return None,
            1 => "one block, key 3 shows the heap".to_owned(),
            all if all <= MOST => format!("{all} blocks, key 3 shows the heap"),
            all => format!("the largest of {all} blocks, key 3 shows all"),
        };
        let heading = Line::from(self.strong(fit(&heading, self.cells, self.theme)));
        let rows = inside.into_iter().take(MOST).map(|block| self.heap_block(heap, block));
        Some(Block { rank: 3, lines: std::iter::once(heading).chain(rows).collect() })
    }

    /// `2000_6778   receive_packet alloc.rs:44   96 B`
    fn heap_block(&self, heap: &Heap, block: &heap::Block) -> Line<'static> {
        let address = units::address(block.range.start().into());
        let size = units::bytes(block.range.size().into());
        let live = heap.block_at(block.range.start());
        let name = match (live, block.state) {
            (Some(_), _) => heap.block_name(block.range.start()),
            (None, BlockState::Stretch) => "a block or several".to_owned(),
            (None, _) => "a block".to_owned(),
        };
        let place = live.and_then(|live| heap.owner_of(live)?.site.place()).map(|place| safe(&place, self.theme));
        let room = self.cells.saturating_sub(paint::width(&address) + paint::width(&size) + 5);
        let name = fit(&name, room, self.theme);
        let place = place.filter(|place| paint::width(&name) + 1 + paint::width(place) <= room);
        let mut left = vec![self.muted(format!("{address}   ")), self.ink(name)];
        left.extend(place.map(|place| Span::styled(format!(" {place}"), self.theme.styles.muted)));
        spread(left, vec![self.muted(size)], self.cells)
    }
}
