//! The blocks of a heap in address order, one cell for a power of two of bytes, the last address at the top left.

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::paint::{Canvas, count, width};
use super::super::state::State;
use super::super::theme::Theme;
use crate::model::snapshot::{Block, BlockState, Heap, LiveBlock, Snapshot, Stack};
use crate::region::Region;
use crate::units;

/// Cells of an address and the gap behind it.
const ADDRESS: u16 = 11;
/// How long a block is lit after it was first seen.
const NEWS: Duration = Duration::from_secs(1);

/// How many bytes a cell is, and how many cells a row has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    pub(super) cell: u32,
    columns: u16,
}

/// The finest scale at which the heap has room in `area`.
pub(super) fn scale(area: Rect, heap: &Heap) -> Option<Scale> {
    let columns = area.width.checked_sub(ADDRESS)?;
    let columns = if columns >= 16 { columns / 16 * 16 } else { columns };
    let room = u64::from(columns) * u64::from(area.height);
    let fits = |cell: &u32| (heap.range.end() - u64::from(heap.range.start())).div_ceil(u64::from(*cell)) <= room;
    (3..31).map(|power| 1 << power).find(fits).map(|cell| Scale { cell, columns })
}

/// The rows of `area` that the heap needs.
pub(super) fn height(area: Rect, heap: &Heap) -> u16 {
    let rows = |scale: Scale| heap.range.size().div_ceil(scale.cell).div_ceil(u32::from(scale.columns));
    scale(area, heap).map_or(area.height, |scale| u16::try_from(rows(scale)).unwrap_or(area.height))
}

/// What is looked at: the owner whose blocks are marked, the block under the cursor, the place of the asked one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marked {
    pub(super) owner: Option<usize>,
    pub(super) block: Option<Region>,
    pub(super) asked: Option<Region>,
}

pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    area: Rect,
    snapshot: &Snapshot,
    heap: &Heap,
    state: &State,
    marked: Marked,
) {
    let Some(Scale { cell, columns }) = scale(area, heap) else { return };
    let muted = canvas.theme.styles.muted;
    let cells = heap.range.size().div_ceil(cell);
    for index in 0..cells {
        // From the end down: the cell at the start may be a short one.
        let end = heap.range.end_address().saturating_sub(index.saturating_mul(cell));
        let range = Region::between(end.saturating_sub(cell).max(heap.range.start()), end);
        let (row, column) = (index / u32::from(columns), index % u32::from(columns));
        let y = area.y.saturating_add(u16::try_from(row).unwrap_or(u16::MAX));
        if y >= area.bottom() {
            return;
        }
        if column == 0 {
            let low = end.saturating_sub(cell.saturating_mul(u32::from(columns))).max(heap.range.start());
            canvas.text(area.x, y, &units::address(low.into()), muted);
        }
        let (glyph, style) = look(canvas.theme, snapshot, heap, state, marked, range);
        canvas.text(area.x + ADDRESS + u16::try_from(column).unwrap_or(0), y, glyph, style);
    }
    names(canvas, area, heap, Scale { cell, columns });
}

/// What a cell looks like. Of several small blocks in it, the highest counts.
fn look<'a>(
    theme: &'a Theme,
    snapshot: &Snapshot,
    heap: &Heap,
    state: &State,
    marked: Marked,
    cell: Region,
) -> (&'a str, Style) {
    let (glyphs, styles) = (&theme.glyphs, &theme.styles);
    let inside = |range: Option<Region>| range.is_some_and(|range| range.overlaps(cell));
    if inside(marked.asked) {
        return ("?", styles.strong);
    }
    if heap.high_water.is_some_and(|line| cell.contains(line)) {
        return (glyphs.line_up, styles.strong);
    }
    let block = heap.live.iter().flatten().rev().find(|block| block.range.overlaps(cell));
    let Some(block) = block else {
        let is_free = |block: &Block| block.state == BlockState::Free && block.range.overlaps(cell);
        return match &heap.blocks {
            Some(blocks) if !blocks.iter().any(is_free) => (glyphs.used, styles.level),
            _ if heap.high_water.is_some_and(|line| cell.start() >= line) => (glyphs.never, styles.muted),
            Some(_) => (glyphs.freed, styles.muted),
            None => (glyphs.hatch, styles.muted),
        };
    };
    if inside(marked.block) {
        return (glyphs.used, styles.strong);
    }
    if let Some(stack) = snapshot.stacks.iter().find(|stack| block.range.covers(stack.range)) {
        return stack_look(theme, stack, state.stack_limit, cell);
    }
    if block.seen > Duration::ZERO && snapshot.at.saturating_sub(block.seen) < NEWS {
        return ("+", styles.lit);
    }
    if marked.owner == Some(block.owner) {
        let leaks = heap.owner_of(block).is_some_and(|owner| owner.leaks);
        return (glyphs.owner, if leaks { styles.danger } else { styles.strong });
    }
    let begins = block.range.end() <= cell.end() && block.range.size() > cell.size();
    (if begins { glyphs.line_up } else { glyphs.used }, styles.level)
}

/// A stack's three textures, as on every screen.
fn stack_look<'a>(theme: &'a Theme, stack: &Stack, limit: u8, cell: Region) -> (&'a str, Style) {
    let (glyphs, styles) = (&theme.glyphs, &theme.styles);
    let style =
        if super::super::lookup::Condition::of(stack, limit).is_danger() { styles.danger } else { styles.level };
    let depth = stack.range.from(cell.start().max(stack.range.start())).size();
    if stack.current.is_some_and(|current| depth <= current.bytes) {
        (glyphs.used, style)
    } else if stack.deepest().is_some_and(|deepest| depth <= deepest.bytes) {
        (glyphs.touched, style)
    } else {
        (glyphs.never, styles.muted)
    }
}

/// The names of stacks and buffers, at the low end of their block where the row has room.
fn names(canvas: &mut Canvas<'_>, area: Rect, heap: &Heap, scale: Scale) {
    let chip = canvas.theme.styles.chip;
    let named = heap.live.iter().flatten().filter_map(|block: &LiveBlock| Some((block.range, block.holds.as_ref()?)));
    for (range, name) in named {
        let text = format!(" {} ", super::super::paint::safe(name.trim_end_matches(" stack"), canvas.theme));
        let last = heap.range.end_address().saturating_sub(range.start()).saturating_sub(1) / scale.cell;
        let (row, column) = (last / u32::from(scale.columns), last % u32::from(scale.columns));
        let cells = width(&text);
        let room = (range.size() / scale.cell).min(column + 1);
        if u32::from(cells) > room {
            continue;
        }
        let y = area.y.saturating_add(count(row as usize));
        if y < area.bottom() {
            canvas.right(area.x + ADDRESS + count(column as usize) + 1, y, &text, chip);
        }
    }
}
