//! The linear figure: a raster, read like text, in which one cell is always the same number of bytes.
//!
//! ```text
//!           RAM 64 KiB, true to size, high to low →  a cell is 64 B
//! 2001_0000 ┌────────────────────────────────────────┐
//!           │                █▒▒▒▒▒▌················ │ ╮ ISR ↓
//! 2000_f000 │········································│ │ heap 48.9 K ↑
//! ```

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::schematic;
use crate::model::Model;
use crate::model::snapshot::{MemoryMap, Part, PartKind, Snapshot, Stack, Trust};
use crate::region::Region;
use crate::tui::bar;
use crate::tui::lookup::{self, Condition};
use crate::tui::paint::{self, Canvas, fit};
use crate::tui::state::{AddressOrder, State};
use crate::units;

/// Rows of the flash figure: title, frame, the raster and what is in use.
pub(crate) const FLASH_ROWS: u16 = 9;

/// One range as rows of cells.
#[derive(Clone, Copy, Debug)]
struct Raster {
    range: Region,
    /// Bytes of a cell: a power of two.
    cell: u32,
    /// The cells, without frame and addresses.
    area: Rect,
    order: AddressOrder,
}

impl Raster {
    /// The bytes of a cell, counted from the top left.
    fn bytes(&self, index: u64) -> Option<Region> {
        let from = u32::try_from(index * u64::from(self.cell)).ok().filter(|from| *from < self.range.size())?;
        Some(match self.order {
            AddressOrder::LowFirst => self.range.slice(from, self.cell),
            AddressOrder::HighFirst => {
                let rest = self.range.bottom(self.range.size() - from);
                rest.top(self.cell)
            }
        })
    }

    fn row(&self, row: u16) -> impl Iterator<Item = Region> + '_ {
        let first = u64::from(row) * u64::from(self.area.width);
        (first..first + u64::from(self.area.width)).map_while(|index| self.bytes(index))
    }

    /// The row of a part's first cell as it is read in an order of addresses.
    fn row_of(&self, part: Region, from: AddressOrder) -> Option<u16> {
        let end = match from {
            AddressOrder::HighFirst => u32::try_from(part.end().saturating_sub(1)).ok()?,
            AddressOrder::LowFirst => part.start(),
        };
        let before = match self.order {
            AddressOrder::HighFirst => self.range.from(end).size().saturating_sub(1),
            AddressOrder::LowFirst => self.range.below(end).size(),
        };
        let row = u64::from(self.cell) * u64::from(self.area.width.max(1));
        u16::try_from(u64::from(before) / row).ok()
    }

    /// All bytes of a row.
    fn row_bytes(&self, row: u16) -> Option<Region> {
        let first = self.row(row).next()?;
        let last = self.row(row).last()?;
        Some(first.hull(last))
    }
}

fn rows(range: Region, cell: u32, width: u16) -> u64 {
    u64::from(range.size()).div_ceil(u64::from(cell) * u64::from(width.max(1)))
}

/// For each range the smallest power of two with which all take at most so many rows: the tallest gives way first,
/// so that a small memory is not one cell beside a large one.
fn cell_sizes(ranges: &[Region], width: u16, height: u16) -> Vec<u32> {
    let mut cells = vec![4u32; ranges.len()];
    let all = |cells: &[u32]| ranges.iter().zip(cells).map(|(range, cell)| rows(*range, *cell, width)).sum::<u64>();
    while all(&cells) > u64::from(height.max(paint::count(ranges.len()))) {
        let tallest = (0..cells.len()).max_by_key(|index| rows(ranges[*index], cells[*index], width));
        let Some(next) = tallest.and_then(|index| Some((index, cells[index].checked_mul(2)?))) else { break };
        cells[next.0] = next.1;
    }
    cells
}

/// The widths of what stands beside the cells.
struct Margins {
    address: u16,
    names: u16,
}

fn margins(area: Rect) -> Margins {
    if area.width >= 64 { Margins { address: 10, names: 20 } } else { Margins { address: 5, names: 15 } }
}

/// Each range takes a title, a frame and its rows.
fn rasters(area: Rect, ranges: &[Region], margins: &Margins, state: &State) -> Vec<Raster> {
    let width = area.width.saturating_sub(margins.address + 2 + margins.names).max(1);
    let frames = paint::count(ranges.len()).saturating_mul(3);
    let sizes = cell_sizes(ranges, width, area.height.saturating_sub(frames));
    let mut y = area.y;
    ranges
        .iter()
        .zip(sizes)
        .map(|(range, cell)| {
            let height = u16::try_from(rows(*range, cell, width)).unwrap_or(u16::MAX);
            let top = y.saturating_add(2);
            let cells = Rect { x: area.x + margins.address + 1, y: top, width, height };
            y = top.saturating_add(height).saturating_add(1);
            Raster { range: *range, cell, area: cells, order: state.map.order }
        })
        .collect()
}

fn in_order<'a>(memories: &[&'a MemoryMap], state: &State) -> Vec<&'a MemoryMap> {
    let mut memories = memories.to_vec();
    if state.map.order == AddressOrder::HighFirst {
        memories.reverse();
    }
    memories
}

/// Draws all memories, each to its own scale.
pub(crate) fn draw(canvas: &mut Canvas<'_>, area: Rect, memories: &[&MemoryMap], model: &Model, state: &State) {
    let memories = in_order(memories, state);
    let ranges: Vec<Region> = memories.iter().map(|memory| memory.range).collect();
    let margins = margins(area);
    for (raster, memory) in rasters(area, &ranges, &margins, state).iter().zip(&memories) {
        let title = (memory.name.as_str(), schematic::memory_size(memory));
        draw_raster(canvas, area, raster, title, &margins, model, state);
        names(canvas, area, raster, &memory.parts, model, state);
    }
}

/// Draws one part alone.
pub(crate) fn draw_part(canvas: &mut Canvas<'_>, area: Rect, part: &Part, model: &Model, state: &State) {
    let margins = margins(area);
    for raster in rasters(area, &[part.range], &margins, state) {
        let title = (part.name.as_str(), units::memory(part.range.size().into()));
        draw_raster(canvas, area, &raster, title, &margins, model, state);
        names(canvas, area, &raster, &part.parts, model, state);
    }
}

/// Draws flash without names, and says how much of it is in use.
pub(crate) fn draw_flash(canvas: &mut Canvas<'_>, area: Rect, memories: &[&MemoryMap], model: &Model, state: &State) {
    let memories = in_order(memories, state);
    let ranges: Vec<Region> = memories.iter().map(|memory| memory.range).collect();
    let margins = Margins { address: 10, names: 0 };
    let above = Rect { height: area.height.saturating_sub(1), ..area };
    for (raster, memory) in rasters(above, &ranges, &margins, state).iter().zip(&memories) {
        let title = (memory.name.as_str(), schematic::memory_size(memory));
        draw_raster(canvas, area, raster, title, &margins, model, state);
    }
    let parts = || memories.iter().flat_map(|memory| &memory.parts);
    let sum = |used: bool| -> u64 {
        let counted = parts().filter(|part| !used || !matches!(part.kind, PartKind::Unclaimed | PartKind::Free));
        counted.map(|part| u64::from(part.range.size())).sum()
    };
    // Of a memory that is only known to reach as far as what lies in it, no share is in use.
    let text = if memories.iter().all(|memory| memory.size_known) {
        format!("{} in use", bar::percent(Some(sum(true)), sum(false)))
    } else {
        format!("{} in use", units::memory(sum(true)))
    };
    canvas.right(area.right(), area.bottom().saturating_sub(1), &text, canvas.theme.styles.muted);
}

/// The part at a cell.
pub(crate) fn hit(area: Rect, memories: &[&MemoryMap], state: &State, x: u16, y: u16) -> Option<String> {
    let memories = in_order(memories, state);
    let ranges: Vec<Region> = memories.iter().map(|memory| memory.range).collect();
    let rasters = rasters(area, &ranges, &margins(area), state);
    let (raster, memory) = rasters.iter().zip(&memories).find(|(raster, _)| raster.area.contains((x, y).into()))?;
    let index = u64::from(y - raster.area.y) * u64::from(raster.area.width) + u64::from(x - raster.area.x);
    let (part, inner) = main_part(&memory.parts, raster.bytes(index)?)?;
    Some(inner.unwrap_or(part).id.clone())
}

fn draw_raster(
    canvas: &mut Canvas<'_>,
    area: Rect,
    raster: &Raster,
    (name, size): (&str, String),
    margins: &Margins,
    model: &Model,
    state: &State,
) {
    let theme = canvas.theme;
    let (styles, frame) = (theme.styles, theme.glyphs.frame);
    let cells = raster.area;
    let left = cells.x.saturating_sub(1);
    let top = cells.y.saturating_sub(1);
    let x = canvas.text(left, top.saturating_sub(1), &fit(name, 16, theme), styles.strong);
    let reading = match (state.map.order, margins.names) {
        // Beside small figures there is no room for it.
        (_, ..20) => "",
        (AddressOrder::HighFirst, _) => ", read from high to low",
        (AddressOrder::LowFirst, _) => ", read from low to high",
    };
    let text = format!(" {size}{reading}, a cell is {}", units::memory(raster.cell.into()));
    canvas.text(x, top.saturating_sub(1), &text, styles.muted);
    let right = cells.right();
    for (y, ends) in
        [(top, (frame.top_left, frame.top_right)), (cells.bottom(), (frame.bottom_left, frame.bottom_right))]
    {
        let x = canvas.text(left, y, ends.0, styles.muted);
        canvas.fill(x, right, y, frame.horizontal, styles.muted);
        canvas.text(right, y, ends.1, styles.muted);
    }
    let short = margins.address < 10;
    let address = |address: u64| {
        let text = units::address(address);
        if short { text[text.len() - 4..].to_owned() } else { text }
    };
    if state.map.order == AddressOrder::HighFirst {
        canvas.text(area.x, top, &address(raster.range.end()), styles.muted);
    }
    for row in 0..cells.height.min(area.bottom().saturating_sub(cells.y)) {
        let y = cells.y + row;
        canvas.text(left, y, frame.vertical, styles.muted);
        canvas.text(right, y, frame.vertical, styles.muted);
        // A row's lowest address, every other row and at the last.
        if let Some(bytes) = raster.row_bytes(row).filter(|_| row % 2 == 1 || row + 1 == cells.height) {
            canvas.text(area.x, y, &address(bytes.start().into()), styles.muted);
        }
        for (x, bytes) in (cells.x..).zip(raster.row(row)) {
            let (glyph, style) = look(bytes, canvas, model, state, raster);
            canvas.text(x, y, glyph, style);
        }
    }
}

/// The part that has the most of these bytes, and the heap's part in it.
fn main_part(parts: &[Part], bytes: Region) -> Option<(&Part, Option<&Part>)> {
    let most = |parts: &[Part]| {
        let shared = |part: &Part| part.range.intersection(bytes).map_or(0, Region::size);
        let from = parts.partition_point(|part| part.range.end() <= bytes.start().into());
        let near = parts[from..].iter().enumerate().take_while(|(_, part)| u64::from(part.range.start()) < bytes.end());
        // Danger is not rounded away: where a cell is shared, a stack shows.
        near.max_by_key(|(_, part)| (part.stack.is_some(), shared(part))).map(|(index, _)| from + index)
    };
    let part = &parts[most(parts)?];
    Some((part, most(&part.parts).map(|index| &part.parts[index])))
}

fn look(bytes: Region, canvas: &Canvas<'_>, model: &Model, state: &State, raster: &Raster) -> (&'static str, Style) {
    let (styles, glyphs) = (canvas.theme.styles, canvas.theme.glyphs);
    let snapshot = &model.snapshot;
    let Some(memory) = snapshot.memories.iter().find(|memory| memory.range.overlaps(bytes)) else {
        return (" ", styles.muted);
    };
    let Some((outer, inner)) = main_part(&memory.parts, bytes) else { return (" ", styles.muted) };
    let part = inner.unwrap_or(outer);
    if let Some(stack) = lookup::stack(snapshot, part) {
        return stack_cell(stack, bytes, canvas, state, raster);
    }
    let attacked = lookup::attacker(snapshot, part.range, state.stack_limit).is_some();
    match part.kind {
        PartKind::Unclaimed => (" ", styles.muted),
        PartKind::Free => {
            let line = if raster.order == AddressOrder::HighFirst { glyphs.line_up } else { glyphs.line };
            match lookup::heap(snapshot, outer).and_then(|heap| heap.high_water) {
                Some(high_water) if bytes.contains(high_water) && part.range.contains(high_water) => {
                    (line, styles.strong)
                }
                Some(high_water) if bytes.start() < high_water => (glyphs.freed, styles.muted),
                Some(_) => (glyphs.never, styles.muted),
                None => (" ", styles.muted),
            }
        }
        // Only totals are known, and they have no place.
        PartKind::Blocks | PartKind::Heap => (" ", styles.muted),
        PartKind::Block => (glyphs.block, if attacked { styles.danger } else { styles.level }),
        _ => {
            let turned = parity(&memory.parts, outer, inner);
            let glyph = if turned { glyphs.hatch_back } else { glyphs.hatch };
            (glyph, if attacked { styles.danger } else { styles.muted })
        }
    }
}

/// Neighbouring fixed parts turn the hatch.
fn parity(parts: &[Part], outer: &Part, inner: Option<&Part>) -> bool {
    let (siblings, part) = inner.map_or((parts, outer), |inner| (outer.parts.as_slice(), inner));
    siblings.partition_point(|sibling| sibling.range.start() < part.range.start()) % 2 == 1
}

fn stack_cell(
    stack: &Stack,
    bytes: Region,
    canvas: &Canvas<'_>,
    state: &State,
    raster: &Raster,
) -> (&'static str, Style) {
    let (styles, glyphs) = (canvas.theme.styles, canvas.theme.glyphs);
    let danger = Condition::of(stack, state.stack_limit).is_danger();
    let level = if danger { styles.danger } else { styles.level };
    let used = stack.current.map_or(Region::default(), |current| stack.range.top(current.bytes));
    let touched = stack.deepest().map_or(used, |deepest| stack.range.top(deepest.bytes));
    let painted = stack.peak.is_some_and(|peak| !matches!(peak.trust, Trust::Gap | Trust::Unpainted));
    let line = if raster.order == AddressOrder::HighFirst { glyphs.line } else { glyphs.line_up };
    let below = bytes.gap_to(touched);
    let last = bytes.start() <= stack.range.start() && touched.start() > stack.range.start();
    if used.overlaps(bytes) {
        (glyphs.used, level)
    } else if touched.overlaps(bytes) && !(last && painted) {
        (glyphs.touched, level)
    } else if painted && (below.is_some_and(|gap| gap < raster.cell) || (last && touched.overlaps(bytes))) {
        (line, styles.strong)
    } else if painted {
        (glyphs.never, styles.muted)
    } else {
        (" ", styles.muted)
    }
}

/// The names in the margin, each at its part's first row, and a bracket for a heap.
fn names(canvas: &mut Canvas<'_>, area: Rect, raster: &Raster, parts: &[Part], model: &Model, state: &State) {
    let styles = canvas.theme.styles;
    let bracket = raster.area.right() + 2;
    let visible = raster.area.height.min(area.bottom().saturating_sub(raster.area.y));
    let heaps: Vec<&Part> = parts.iter().filter(|part| part.kind == PartKind::Heap).collect();
    for row in 0..visible {
        let y = raster.area.y + row;
        let Some(bytes) = raster.row_bytes(row) else { continue };
        if heaps.iter().any(|heap| heap.range.overlaps(bytes)) {
            let above = row.checked_sub(1).and_then(|row| raster.row_bytes(row));
            let below = raster.row_bytes(row + 1);
            let in_heap =
                |bytes: Option<Region>| bytes.is_some_and(|bytes| heaps.iter().any(|heap| heap.range.overlaps(bytes)));
            let glyphs = canvas.theme.glyphs.heap;
            let glyph = match (in_heap(above), in_heap(below)) {
                (false, _) => glyphs.top_right,
                (_, false) => glyphs.bottom_right,
                _ => glyphs.vertical,
            };
            canvas.text(bracket, y, glyph, styles.muted);
        }
    }
    labels(canvas, area, raster, parts, model, state);
}

/// The names, each beside a row that has some of its part: the first one with room. What is selected and what is in danger
/// comes first, then stacks and heaps; a row that has more names than room ends with a sign.
fn labels(canvas: &mut Canvas<'_>, area: Rect, raster: &Raster, parts: &[Part], model: &Model, state: &State) {
    let selected = state.selected_part(&model.snapshot).map(|part| part.id.as_str());
    let bracket = raster.area.right() + 2;
    let visible = raster.area.height.min(area.bottom().saturating_sub(raster.area.y));
    let mut ends = vec![bracket + 2; usize::from(visible)];
    let mut left_out = vec![false; usize::from(visible)];
    let rank = |part: &&Part| {
        let stack = lookup::stack(&model.snapshot, part);
        let is_in_danger = stack.is_some_and(|stack| Condition::of(stack, state.stack_limit).is_danger());
        match part.kind {
            _ if is_in_danger || selected == Some(part.id.as_str()) => 0,
            PartKind::Stack | PartKind::Heap => 1,
            PartKind::Unclaimed => 3,
            _ => 2,
        }
    };
    let mut ranked: Vec<&Part> = named(parts, raster.order).collect();
    ranked.sort_by_key(rank);
    for part in ranked {
        let Some(first) = raster.row_of(part.range, raster.order).filter(|row| *row < visible) else { continue };
        let room = area.right().saturating_sub(bracket + 2);
        let spans = label(part, &model.snapshot, selected, canvas, state, room);
        let width = paint::spans_width(&spans);
        if width == 0 {
            continue;
        }
        let last = raster.row_of(part.range, turned(raster.order)).unwrap_or(first);
        let mut rows = first..visible.min(last.saturating_add(1));
        let Some(row) = rows.find(|row| ends[usize::from(*row)] + width <= area.right()) else {
            left_out[usize::from(first)] = true;
            continue;
        };
        let y = raster.area.y + row;
        if selected == Some(part.id.as_str()) {
            canvas.text(bracket, y, canvas.theme.glyphs.pointer_left, canvas.theme.styles.strong);
        }
        ends[usize::from(row)] = canvas.spans(ends[usize::from(row)], y, &spans) + 1;
    }
    for ((end, y), _) in ends.iter().zip(raster.area.y..).zip(left_out).filter(|(_, left_out)| *left_out) {
        let sign = fit("  ", 1, canvas.theme);
        canvas.text((*end).min(area.right().saturating_sub(1)), y, &sign, canvas.theme.styles.muted);
    }
}

fn turned(order: AddressOrder) -> AddressOrder {
    match order {
        AddressOrder::HighFirst => AddressOrder::LowFirst,
        AddressOrder::LowFirst => AddressOrder::HighFirst,
    }
}

/// The parts in reading order, a heap before what is in it.
fn named(parts: &[Part], order: AddressOrder) -> impl Iterator<Item = &Part> {
    let mut all: Vec<&Part> = parts.iter().flat_map(|part| std::iter::once(part).chain(part.parts.iter())).collect();
    all.sort_by_key(|part| match order {
        AddressOrder::HighFirst => (std::cmp::Reverse(part.range.end()), part.parts.is_empty()),
        AddressOrder::LowFirst => (std::cmp::Reverse(u64::MAX - u64::from(part.range.start())), part.parts.is_empty()),
    });
    all.into_iter()
}

fn label(
    part: &Part,
    snapshot: &Snapshot,
    selected: Option<&str>,
    canvas: &Canvas<'_>,
    state: &State,
    room: u16,
) -> Vec<Span<'static>> {
    let theme = canvas.theme;
    let (styles, glyphs) = (&theme.styles, &theme.glyphs);
    let is_selected = selected == Some(part.id.as_str());
    let attacked = lookup::attacker(snapshot, part.range, state.stack_limit).is_some();
    if let Some(stack) = lookup::stack(snapshot, part) {
        let condition = Condition::of(stack, state.stack_limit);
        let percent = bar::percent(stack.deepest().map(|deepest| deepest.bytes.into()), stack.range.size().into());
        let long = match condition {
            Condition::Overflowed | Condition::GuardBroken => " OVERFLOW".to_owned(),
            Condition::PastLimit => format!(" {percent} !"),
            Condition::Calm => String::new(),
        };
        // A stack in danger keeps its name and a sign, however narrow the margin is.
        let name = fit(&stack.name, room.saturating_sub(6).min(12), theme);
        let danger = match condition {
            Condition::Calm => "",
            _ if paint::width(&name) + paint::width(&long) + 4 <= room => &long,
            _ => " !",
        };
        let text = format!("{name} {}{danger}", glyphs.down);
        return vec![match (condition.is_danger(), is_selected) {
            (true, _) => Span::styled(format!(" {text} "), styles.danger_chip),
            (_, true) => Span::styled(format!(" {text} "), styles.chip),
            _ => Span::styled(text, styles.ink),
        }];
    }
    let shown = is_selected || attacked;
    match part.kind {
        PartKind::Heap => {
            let name = fit(&part.name, 10, theme);
            let style = if is_selected { styles.chip } else { styles.strong };
            let size = format!(" {} {}", units::short(part.range.size().into()), glyphs.up);
            let fits = paint::width(&name) + paint::width(&size) <= room;
            let size = if fits { size } else { format!(" {}", glyphs.up) };
            vec![Span::styled(name, style), Span::styled(size, styles.muted)]
        }
        PartKind::Block | PartKind::Free | PartKind::Blocks if !shown => Vec::new(),
        _ => {
            let style = match (is_selected, attacked) {
                (true, _) => styles.chip,
                (_, true) => styles.danger,
                _ => styles.muted,
            };
            vec![Span::styled(fit(&part.name, 14, theme), style)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_in_the_rows_from_its_first_cell_to_its_last() {
        let raster = |order| Raster {
            range: Region::new(0x2000_0000, 0x400),
            cell: 16,
            area: Rect { x: 0, y: 0, width: 8, height: 8 },
            order,
        };
        // Rows of 128 bytes: the part lies in four of them.
        let part = Region::between(0x2000_0060, 0x2000_0190);
        for (order, first, last) in [(AddressOrder::HighFirst, 4, 7), (AddressOrder::LowFirst, 0, 3)] {
            let raster = raster(order);
            assert_eq!((raster.row_of(part, order), raster.row_of(part, turned(order))), (Some(first), Some(last)));
            for row in 0..8 {
                let has_some = raster.row_bytes(row).is_some_and(|bytes| bytes.overlaps(part));
                assert_eq!(has_some, (first..=last).contains(&row), "{order:?} {row}");
            }
        }
    }
}
