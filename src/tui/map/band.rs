//! One band of the schematic figure: its address, name, size, texture, and the word at its end.
//!
//! ```text
//! 2000_4cc8▸│ │  growth       4.0 K ↓ ██▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▌·   89 % ! │ │
//! 2000_4ac0 │ │  uart_rx_buf  520 B   ╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱ hit next │ │
//! ```

use ratatui::style::Style;

use super::bands::Band;
use super::schematic::Sketch;
use crate::model::snapshot::{Heap, MemoryKind, MemoryMap, Part, PartKind, Snapshot, Stack, StackKind};
use crate::tui::bar::{Bar, Marks};
use crate::tui::lookup::{self, Condition};
use crate::tui::paint::{self, Canvas, fit, share};
use crate::tui::state::AddressOrder;
use crate::tui::theme::Theme;
use crate::units;

/// How a band stands in its danger.
struct Look<'a> {
    stack: Option<(&'a Stack, Condition)>,
    attacker: Option<Condition>,
    selected: bool,
}

impl Look<'_> {
    fn danger(&self) -> bool {
        self.stack.is_some_and(|(_, condition)| condition.is_danger())
    }
}

/// Draws one row of a band.
pub(super) fn draw(canvas: &mut Canvas<'_>, y: u16, band: &Band<'_>, line: u16, sketch: &Sketch<'_>) {
    let snapshot = &sketch.model.snapshot;
    let limit = sketch.state.stack_limit;
    let columns = &sketch.columns;
    let look = Look {
        stack: lookup::stack(snapshot, band.part()).map(|stack| (stack, Condition::of(stack, limit))),
        attacker: lookup::attacker(snapshot, band.range(), limit).map(|(_, condition)| condition),
        selected: sketch.selected.is_some_and(|id| band.has(id)),
    };
    address(canvas, y, band, line, &look, sketch);
    let name = if band.heap.is_some() { columns.nested } else { columns.name };
    if line == 0 {
        heading(canvas, y, name, band, &look, sketch);
    } else if line == 1 {
        left(canvas, y, name, &look);
    }
    let cells = columns.bar_width;
    match look.stack {
        Some((stack, _)) => {
            let bar = Bar::of(snapshot, stack, limit, Marks::Limit);
            let bar = if line == 0 { bar } else { bar.again() };
            canvas.spans(columns.bar, y, &bar.spans(cells, canvas.theme));
        }
        None => fill(canvas, y, band, line, &look, sketch),
    }
    if line == 0 && columns.arrow.is_some() {
        chip(canvas, y, &look, sketch);
    }
}

fn address(canvas: &mut Canvas<'_>, y: u16, band: &Band<'_>, line: u16, look: &Look<'_>, sketch: &Sketch<'_>) {
    let styles = canvas.theme.styles;
    let columns = &sketch.columns;
    // An address stands at its region's foot: below everything, in whichever order.
    let foot = match sketch.state.map.order {
        AddressOrder::HighFirst => band.rows.saturating_sub(1),
        AddressOrder::LowFirst => 0,
    };
    if line == foot {
        let style = if look.selected { styles.strong } else { styles.muted };
        canvas.text(columns.address, y, &columns.address_text(band.range().start().into()), style);
    }
    if line == 0 && look.selected {
        let pointer = canvas.theme.glyphs.pointer;
        canvas.text(columns.frame_left.saturating_sub(1), y, pointer, styles.strong);
    }
}

fn heading(canvas: &mut Canvas<'_>, y: u16, x: u16, band: &Band<'_>, look: &Look<'_>, sketch: &Sketch<'_>) {
    let theme = canvas.theme;
    let styles = theme.styles;
    let columns = &sketch.columns;
    let size = units::short(band.range().size().into());
    let room = columns.size_end.saturating_sub(x + paint::width(&size).max(5) + 1);
    let text = fit(&name(band, &sketch.model.snapshot), room, theme);
    let (danger, victim) = (look.danger(), look.attacker.is_some());
    if look.selected {
        let style = if danger { styles.danger_chip } else { styles.chip };
        canvas.text(x.saturating_sub(1), y, &format!(" {text} "), style);
    } else {
        let style = match (danger, victim, look.stack.is_some()) {
            (true, _, _) => styles.danger_text,
            (_, true, _) => styles.danger,
            (_, _, true) => styles.ink,
            _ => styles.muted,
        };
        canvas.text(x, y, &text, style);
    }
    canvas.right(columns.size_end, y, &size, styles.muted);
    let (down, up) = match sketch.state.map.order {
        AddressOrder::HighFirst => (theme.glyphs.down, theme.glyphs.up),
        AddressOrder::LowFirst => (theme.glyphs.up, theme.glyphs.down),
    };
    if let Some(arrow) = columns.arrow {
        if look.stack.is_some() {
            let style = if danger { styles.danger_text } else { styles.strong };
            canvas.text(arrow, y, down, style);
        } else if is_tail(band) {
            canvas.text(arrow, y, up, styles.strong);
        }
    }
}

/// Whether the heap grows into this band.
fn is_tail(band: &Band<'_>) -> bool {
    band.part().kind == PartKind::Free
        && band.heap.is_some_and(|heap| heap.range.end() == band.range().end() && heap.parts.len() > 1)
}

fn left(canvas: &mut Canvas<'_>, y: u16, x: u16, look: &Look<'_>) {
    let Some((stack, condition)) = look.stack else { return };
    let Some(margin) = stack.margin() else { return };
    let styles = canvas.theme.styles;
    // A stack in danger is told to the byte.
    let (text, style) = if condition.is_danger() {
        (format!("{} left", units::bytes(margin.into())), styles.danger_text)
    } else {
        (format!("{} left", units::short(margin.into())), styles.muted)
    };
    canvas.text(x, y, &text, style);
}

/// What a band is called.
pub(crate) fn name(band: &Band<'_>, snapshot: &Snapshot) -> String {
    if band.parts.len() > 1 {
        return run_name(band.parts);
    }
    let part = band.part();
    if part.kind == PartKind::Unclaimed && !snapshot.memories.iter().any(|memory| is_ram_with(memory, part)) {
        return "free".to_owned();
    }
    if part.kind == PartKind::Heap {
        return "totals only".to_owned();
    }
    match lookup::stack(snapshot, part) {
        Some(stack) if stack.kind != StackKind::User && !stack.name.ends_with("stack") => {
            format!("{} stack", stack.name)
        }
        Some(stack) => stack.name.clone(),
        None => part.name.clone(),
    }
}

fn is_ram_with(memory: &MemoryMap, part: &Part) -> bool {
    memory.kind == MemoryKind::Ram && memory.range.covers(part.range)
}

/// What a run of parts is called: `9 blocks`, `7 blk 2 free`, `globals`.
pub(crate) fn run_name(parts: &[Part]) -> String {
    let count = |kinds: &[PartKind]| parts.iter().filter(|part| kinds.contains(&part.kind)).count();
    let (blocks, free) = (count(&[PartKind::Block, PartKind::Blocks]), count(&[PartKind::Free]));
    if blocks + free < parts.len() {
        return "globals".to_owned();
    }
    match (blocks, free) {
        (blocks, 0) => format!("{blocks} blocks"),
        // In a heap of very many, how many does not fit beside the size.
        (10.., _) | (_, 10..) => "blocks, free".to_owned(),
        (blocks, free) => format!("{blocks} blk {free} free"),
    }
}

/// The texture of a band that is not a stack.
fn fill(canvas: &mut Canvas<'_>, y: u16, band: &Band<'_>, line: u16, look: &Look<'_>, sketch: &Sketch<'_>) {
    let (styles, glyphs) = (canvas.theme.styles, canvas.theme.glyphs);
    let columns = &sketch.columns;
    let heap = band.heap.and_then(|part| lookup::heap(&sketch.model.snapshot, part));
    match band.part().kind {
        PartKind::Block | PartKind::Free | PartKind::Blocks if band.parts.len() > 1 => {
            each_cell(canvas, y, band, line, sketch, |canvas, index, all| {
                block_cell(index, all, band, heap, look, canvas.theme)
            });
        }
        PartKind::Block => {
            let style = if look.attacker.is_some() { styles.danger } else { styles.level };
            canvas.fill(columns.bar, columns.bar + columns.bar_width, y, glyphs.block, style);
        }
        PartKind::Unclaimed if band.parts.len() == 1 => {}
        PartKind::Free => {
            let order = sketch.state.map.order;
            each_cell(canvas, y, band, line, sketch, |canvas, index, all| {
                free_cell(index, all, band, heap, order, canvas.theme)
            });
        }
        PartKind::Blocks | PartKind::Heap => {
            let order = sketch.state.map.order;
            each_cell(canvas, y, band, line, sketch, |canvas, index, all| {
                heap_cell(index, all, heap, order, canvas.theme)
            });
        }
        _ => {
            let glyph = if sketch.tall && band.turned { glyphs.hatch_back } else { glyphs.hatch };
            let style = if look.attacker.is_some() { styles.danger } else { styles.muted };
            canvas.fill(columns.bar, columns.bar + columns.bar_width, y, glyph, style);
        }
    }
}

/// Draws one row of a band cell by cell; `look` is given the cell, counted from the lowest address, and how many there are.
fn each_cell(
    canvas: &mut Canvas<'_>,
    y: u16,
    band: &Band<'_>,
    line: u16,
    sketch: &Sketch<'_>,
    look: impl Fn(&Canvas<'_>, u16, u16) -> (&'static str, Style),
) {
    let cells = sketch.columns.bar_width;
    let all = band.rows * cells;
    for cell in 0..cells {
        let from_top = line * cells + cell;
        let index = if sketch.state.map.order == AddressOrder::HighFirst { all - 1 - from_top } else { from_top };
        let (glyph, style) = look(canvas, index, all);
        canvas.text(sketch.columns.bar + cell, y, glyph, style);
    }
}

/// A cell of a run of blocks and free parts, counted from its lowest address. As many cells are blocks as there are bytes in
/// blocks, and they stand where those are: small blocks between large holes are seen.
fn block_cell(
    index: u16,
    all: u16,
    band: &Band<'_>,
    heap: Option<&Heap>,
    look: &Look<'_>,
    theme: &Theme,
) -> (&'static str, Style) {
    let (styles, glyphs) = (&theme.styles, &theme.glyphs);
    let range = band.range();
    let (size, all) = (u64::from(range.size()).max(1), u64::from(all.max(1)));
    let cells_up_to = |cell: u16| {
        let end = u64::from(range.start()) + size * u64::from(cell) / all;
        let below = |part: &Part| end.saturating_sub(part.range.start().into()).min(part.range.size().into());
        let used: u64 = band.parts.iter().filter(|part| part.kind != PartKind::Free).map(below).sum();
        // Rounded to the nearest.
        (used * all * 2 + size) / (size * 2)
    };
    let start = u64::from(range.start()) + size * u64::from(index) / all;
    let part = band.parts.iter().rfind(|part| u64::from(part.range.start()) <= start);
    match part.map(|part| part.kind) {
        // Behind damage nothing tells.
        Some(PartKind::Blocks) => ("?", styles.muted),
        _ if cells_up_to(index + 1) > cells_up_to(index) => {
            (glyphs.block, if look.attacker.is_some() { styles.danger } else { styles.level })
        }
        _ if heap.and_then(|heap| heap.high_water).is_some_and(|water| start >= water.into()) => {
            (glyphs.never, styles.muted)
        }
        _ => (glyphs.freed, styles.muted),
    }
}

/// A cell of a free part, counted from its lowest address.
fn free_cell(
    index: u16,
    all: u16,
    band: &Band<'_>,
    heap: Option<&Heap>,
    order: AddressOrder,
    theme: &Theme,
) -> (&'static str, Style) {
    let (styles, glyphs) = (&theme.styles, &theme.glyphs);
    let range = band.range();
    let Some(high_water) = heap.and_then(|heap| heap.high_water) else { return (" ", styles.muted) };
    let touched = share(range.below(high_water).size().into(), range.size().into(), all);
    let line = if order == AddressOrder::HighFirst { glyphs.line_up } else { glyphs.line };
    match index {
        _ if !range.contains(high_water) && high_water > range.start() => (glyphs.freed, styles.muted),
        index if index < touched => (glyphs.freed, styles.muted),
        index if index == touched && high_water > range.start() => (line, styles.strong),
        _ => (glyphs.never, styles.muted),
    }
}

/// A cell of a heap of which only totals are known, counted from its lowest address.
fn heap_cell(index: u16, all: u16, heap: Option<&Heap>, order: AddressOrder, theme: &Theme) -> (&'static str, Style) {
    let (styles, glyphs) = (&theme.styles, &theme.glyphs);
    let Some((heap, used)) = heap.and_then(|heap| Some((heap, heap.used?))) else { return ("?", styles.muted) };
    let size = u64::from(heap.range.size());
    let level = |bytes: u32| share(bytes.into(), size, all).max(u16::from(bytes > 0));
    let used = level(used.bytes);
    let peak = heap.peak.map(|peak| level(peak.bytes).max(used));
    let line = if order == AddressOrder::HighFirst { glyphs.line_up } else { glyphs.line };
    match (index, peak) {
        (index, _) if index < used => (glyphs.used, styles.level),
        (index, Some(peak)) if index < peak => (glyphs.touched, styles.level),
        (index, Some(peak)) if index == peak => (line, styles.strong),
        (_, Some(_)) => (glyphs.never, styles.muted),
        (_, None) => (" ", styles.muted),
    }
}

/// The word at a band's end: its peak, that it is past its limit, or that it is hit.
fn chip(canvas: &mut Canvas<'_>, y: u16, look: &Look<'_>, sketch: &Sketch<'_>) {
    let styles = canvas.theme.styles;
    let columns = &sketch.columns;
    let narrow = columns.narrow;
    if let Some((stack, condition)) = look.stack.filter(|_| look.danger() || look.attacker.is_none()) {
        let percent = lookup::peak_percent(stack);
        let number = percent.map_or_else(|| "-".to_owned(), |percent| percent.to_string());
        let unit = match (percent, narrow) {
            (None, _) => "",
            (_, true) => "%",
            (_, false) => " %",
        };
        match condition {
            Condition::Overflowed | Condition::GuardBroken if narrow => {
                canvas.text(columns.chip, y, " OVER!", styles.danger_chip);
            }
            Condition::Overflowed | Condition::GuardBroken => {
                canvas.text(columns.chip, y, " OVERFLOW ", styles.danger_chip);
            }
            Condition::PastLimit if narrow => {
                canvas.text(columns.chip, y, &format!("{number:>3}{unit} !"), styles.danger_chip);
            }
            Condition::PastLimit => {
                canvas.text(columns.chip, y, &format!("{number:>4}{unit} ! "), styles.danger_chip);
            }
            Condition::Calm => {
                let x = columns.chip + if narrow { 0 } else { 1 };
                let x = canvas.text(x, y, &format!("{number:>3}{unit}"), styles.ink);
                if lookup::just_grown(sketch.model, stack) {
                    canvas.text(x + u16::from(!narrow), y, "+", styles.lit);
                }
            }
        }
        return;
    }
    let Some(condition) = look.attacker else { return };
    let text = match (condition, narrow) {
        (Condition::Overflowed, true) => "  hit?",
        (Condition::Overflowed, false) => "likely hit",
        (_, true) => " next",
        (_, false) => "hit next",
    };
    canvas.text(columns.chip, y, text, styles.danger);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::Region;
    use crate::tui::map::bands::Band;

    #[test]
    fn small_blocks_between_large_holes_are_drawn_where_they_are() {
        let theme = Theme::default();
        let check = |sizes: &[(u32, PartKind)], expected: &str| {
            let mut at = 0x2000_0000;
            let parts: Vec<Part> = sizes
                .iter()
                .map(|(size, kind)| {
                    let range = Region::new(at, *size);
                    at += size;
                    let (id, name) = (format!("{at:x}"), String::new());
                    Part {
                        id,
                        name,
                        kind: *kind,
                        range,
                        is_static: false,
                        is_room: false,
                        stack: None,
                        heap: None,
                        parts: Vec::new(),
                    }
                })
                .collect();
            let band = Band { parts: &parts, heap: None, rows: 1, turned: false };
            let look = Look { stack: None, attacker: None, selected: false };
            let drawn: String = (0..8).map(|cell| block_cell(cell, 8, &band, None, &look, &theme).0).collect();
            assert_eq!(drawn, expected, "{sizes:?}");
        };
        use PartKind::{Block, Blocks, Free};
        // A quarter is in use, in four pieces: two cells of eight, apart.
        check(&[(8, Block), (24, Free)].repeat(4), "╳░░░╳░░░");
        check(&[(32, Free), (32, Block)], "░░░░╳╳╳╳");
        check(&[(12, Block), (52, Free), (64, Blocks)], "╳░░░????");
        check(&[(64, Block), (64, Block)], "╳╳╳╳╳╳╳╳");
    }
}
