//! The schematic figure: every part has a row, stacks as bars that compare, a heap as a box in the memory's frame.
//!
//! ```text
//!           RAM 64 KiB                                         peak
//! 2001_0000 ┌────────────────────────────────────────────────────────────┐
//! 2000_fc00 │  ISR stack      1.0 K ↓ █▒▒▒▒▒▒▒▒▌········┊····   38 %     │
//!           │ ╭─ heap 48.9 K ↑  now 28 %  peak 44 % ───────────────────╮ │
//! 2000_4cc8▸│ │  growth       4.0 K ↓ ██▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▌·   89 % ! │ │
//! 2000_4ac0 │ │  uart_rx_buf  520 B   ╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱ hit next │ │
//! ```

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::bands::{Band, Figure, Row};
use super::columns::Columns;
use crate::model::Model;
use crate::model::alert::AlertKind;
use crate::model::snapshot::{Heap, MemoryKind, MemoryMap, Part, PartKind, Snapshot, Stack, StackKind};
use crate::tui::bar::{self, Bar, Marks};
use crate::tui::lookup::{self, Condition};
use crate::tui::paint::{self, Canvas, fit, share};
use crate::tui::state::{AddressOrder, State};
use crate::tui::theme::Theme;
use crate::units;

/// What a figure is drawn with.
pub(crate) struct Sketch<'a> {
    pub(crate) model: &'a Model,
    pub(crate) state: &'a State,
    pub(crate) columns: Columns,
    /// The id of the selected part.
    pub(crate) selected: Option<&'a str>,
    /// The rows of fixed neighbours turn their hatch.
    pub(crate) tall: bool,
}

/// The rows that are shown: when not all fit, one is for the note that says so.
pub(crate) fn visible(figure: &Figure<'_>, height: u16) -> u16 {
    if figure.rows.len() > usize::from(height) { height.saturating_sub(1) } else { height }
}

/// The first row to show so that the selected band is in sight.
pub(crate) fn offset(figure: &Figure<'_>, selected: Option<&str>, height: u16) -> usize {
    let height = usize::from(visible(figure, height));
    let hidden = figure.rows.len().saturating_sub(height);
    let row = selected.and_then(|id| {
        figure.rows.iter().position(|row| matches!(row, Row::Band(band, _) if figure.bands[*band].has(id)))
    });
    row.map_or(0, |row| row.saturating_sub(height / 2)).min(hidden)
}

/// Draws the rows from `offset` on.
pub(crate) fn draw(canvas: &mut Canvas<'_>, area: Rect, figure: &Figure<'_>, sketch: &Sketch<'_>) {
    let offset = offset(figure, sketch.selected, area.height);
    let count = usize::from(visible(figure, area.height));
    for (y, (index, row)) in (area.y..area.bottom()).zip(figure.rows.iter().enumerate().skip(offset).take(count)) {
        sides(canvas, y, figure, index, sketch);
        match row {
            Row::Title(memory) => title(canvas, y, memory, sketch),
            Row::Top(memory) => top(canvas, area, y, memory, sketch),
            Row::HeapTop(part) => heap_top(canvas, area, y, part, sketch),
            Row::Band(band, line) => band_row(canvas, y, &figure.bands[*band], *line, sketch),
            Row::HeapBottom => heap_bottom(canvas, y, sketch),
            Row::Rule => {
                let end = sketch.columns.frame_right.unwrap_or(area.right());
                let glyph = canvas.theme.glyphs.frame.horizontal;
                canvas.fill(sketch.columns.frame_left + 1, end, y, glyph, canvas.theme.styles.muted);
            }
            Row::Bottom(memory) => bottom(canvas, y, memory, sketch),
        }
    }
    let hidden = figure.rows.len().saturating_sub(count);
    if hidden > 0 {
        let (up, down) = (canvas.theme.glyphs.up, canvas.theme.glyphs.down);
        let text = match (offset, hidden.saturating_sub(offset)) {
            (0, below) => format!("{below} more {down}"),
            (above, 0) => format!("{above} more {up}"),
            (above, below) => format!("{above} more {up}   {below} more {down}"),
        };
        canvas.text(sketch.columns.name, area.bottom().saturating_sub(1), &text, canvas.theme.styles.strong);
    }
}

/// The frames that pass a row at its sides.
fn sides(canvas: &mut Canvas<'_>, y: u16, figure: &Figure<'_>, index: usize, sketch: &Sketch<'_>) {
    let columns = &sketch.columns;
    let (styles, glyphs) = (canvas.theme.styles, canvas.theme.glyphs);
    let inside = match figure.rows[index] {
        Row::Title(_) | Row::Top(_) | Row::Bottom(_) => return,
        Row::HeapTop(_) | Row::HeapBottom | Row::Rule => None,
        Row::Band(band, _) => figure.bands[band].heap,
    };
    let ends = |row: Option<&Row<'_>>| matches!(row, None | Some(Row::Top(_) | Row::Title(_)));
    let zoomed = !matches!(figure.rows[0], Row::Title(_) | Row::Top(_));
    let next = figure.rows.get(index + 1);
    if !zoomed {
        // Without a bottom row, the frame's foot stands beside the last band.
        let glyph = if ends(next) { glyphs.frame.bottom_left } else { glyphs.frame.vertical };
        canvas.text(columns.frame_left, y, glyph, styles.muted);
        if let Some(right) = columns.frame_right {
            let glyph = if ends(next) { glyphs.frame.bottom_right } else { glyphs.frame.vertical };
            canvas.text(right, y, glyph, styles.muted);
        }
    }
    if inside.is_some() {
        let last = match next {
            Some(Row::Band(band, _)) => figure.bands[*band].heap.is_none(),
            Some(Row::HeapBottom) => false,
            _ => true,
        };
        let glyph = if last { glyphs.heap.bottom_left } else { glyphs.heap.vertical };
        canvas.text(columns.heap_left, y, glyph, styles.muted);
        if let Some(right) = columns.frame_right {
            let glyph = if last { glyphs.heap.bottom_right } else { glyphs.heap.vertical };
            canvas.text(right.saturating_sub(2), y, glyph, styles.muted);
        }
    }
}

fn memory_size(memory: &MemoryMap) -> String {
    let size = units::memory(memory.range.size().into());
    if memory.size_known { size } else { format!("{size} or more") }
}

fn title(canvas: &mut Canvas<'_>, y: u16, memory: &MemoryMap, sketch: &Sketch<'_>) {
    let styles = canvas.theme.styles;
    let columns = &sketch.columns;
    let x = canvas.text(columns.frame_left, y, &fit(&memory.name, 24, canvas.theme), styles.strong);
    canvas.text(x + 1, y, &memory_size(memory), styles.muted);
    if memory.kind == MemoryKind::Ram && memory_has_stacks(memory) {
        canvas.text(columns.chip + 1, y, "peak", styles.muted);
    }
}

fn memory_has_stacks(memory: &MemoryMap) -> bool {
    memory.parts.iter().any(|part| part.stack.is_some() || part.parts.iter().any(|inner| inner.stack.is_some()))
}

fn top(canvas: &mut Canvas<'_>, area: Rect, y: u16, memory: &MemoryMap, sketch: &Sketch<'_>) {
    let (styles, frame) = (canvas.theme.styles, canvas.theme.glyphs.frame);
    let columns = &sketch.columns;
    let x = canvas.text(columns.frame_left, y, frame.top_left, styles.muted);
    let right = columns.frame_right.unwrap_or(area.right());
    canvas.fill(x, right, y, frame.horizontal, styles.muted);
    if let Some(right) = columns.frame_right {
        canvas.text(right, y, frame.top_right, styles.muted);
    }
    if columns.narrow {
        let x = canvas.text(x, y, " ", styles.muted);
        let x = canvas.text(x, y, &fit(&memory.name, 12, canvas.theme), styles.strong);
        let mut text = format!(" {} ", memory_size(memory));
        if memory.kind == MemoryKind::Ram && right.saturating_sub(x) > 30 {
            text.push_str(&format!("at {} ", units::address(memory.range.start().into())));
        }
        canvas.text(x, y, &text, styles.muted);
    } else if sketch.state.map.order == AddressOrder::HighFirst {
        canvas.text(columns.address, y, &columns.address_text(memory.range.end()), styles.muted);
    }
}

fn bottom(canvas: &mut Canvas<'_>, y: u16, memory: &MemoryMap, sketch: &Sketch<'_>) {
    let (styles, frame) = (canvas.theme.styles, canvas.theme.glyphs.frame);
    let columns = &sketch.columns;
    let x = canvas.text(columns.frame_left, y, frame.bottom_left, styles.muted);
    if let Some(right) = columns.frame_right {
        canvas.fill(x, right, y, frame.horizontal, styles.muted);
        canvas.text(right, y, frame.bottom_right, styles.muted);
    }
    if sketch.state.map.order == AddressOrder::LowFirst {
        canvas.text(columns.address, y, &columns.address_text(memory.range.end()), styles.muted);
    }
}

fn heap_top(canvas: &mut Canvas<'_>, area: Rect, y: u16, part: &Part, sketch: &Sketch<'_>) {
    let theme = canvas.theme;
    let (styles, frame) = (theme.styles, theme.glyphs.heap);
    let columns = &sketch.columns;
    let right = columns.frame_right.map_or(area.right(), |right| right.saturating_sub(2));
    let x = canvas.text(columns.heap_left, y, frame.top_left, styles.muted);
    canvas.fill(x, right, y, frame.horizontal, styles.muted);
    if columns.frame_right.is_some() {
        canvas.text(right, y, frame.top_right, styles.muted);
    }
    let selected = sketch.selected == Some(part.id.as_str());
    let name = fit(&part.name, 16, theme);
    let x = if columns.narrow { x } else { x + 1 };
    let (before, style, after) =
        if selected { (" ", styles.chip, " ") } else { (" ", styles.strong.patch(styles.muted), "") };
    let x = canvas.text(x, y, &format!("{before}{name}{after}"), style);
    let growth = match sketch.state.map.order {
        AddressOrder::HighFirst => theme.glyphs.up,
        AddressOrder::LowFirst => theme.glyphs.down,
    };
    let mut x = canvas.text(x, y, &format!(" {} {growth} ", units::short(part.range.size().into())), styles.muted);
    let gap = if columns.narrow { "" } else { " " };
    if let Some(heap) = lookup::heap(&sketch.model.snapshot, part) {
        let size = u64::from(heap.range.size());
        let numbers = [("now", heap.used), ("peak", heap.peak)];
        for (word, measured) in numbers {
            let percent = bar::percent(measured.map(|measured| measured.bytes.into()), size);
            let danger = word == "peak" && heap_in_danger(sketch.model, heap);
            let (text, style) = if danger {
                (format!("{gap}{word} {percent} ! "), styles.danger_text)
            } else {
                (format!("{gap}{word} {percent} "), styles.muted)
            };
            if x + paint::width(&text) < right {
                x = canvas.text(x, y, &text, style);
            }
        }
    }
}

pub(crate) fn heap_in_danger(model: &Model, heap: &Heap) -> bool {
    model.alerts.iter().any(|alert| {
        alert.until.is_none()
            && matches!(alert.kind, AlertKind::HeapLimit | AlertKind::HeapFailure)
            && alert.subject == heap.name
    })
}

fn heap_bottom(canvas: &mut Canvas<'_>, y: u16, sketch: &Sketch<'_>) {
    let (styles, frame) = (canvas.theme.styles, canvas.theme.glyphs.heap);
    let x = canvas.text(sketch.columns.heap_left, y, frame.bottom_left, styles.muted);
    if let Some(right) = sketch.columns.frame_right {
        canvas.fill(x, right.saturating_sub(2), y, frame.horizontal, styles.muted);
        canvas.text(right.saturating_sub(2), y, frame.bottom_right, styles.muted);
    }
}

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

fn band_row(canvas: &mut Canvas<'_>, y: u16, band: &Band<'_>, line: u16, sketch: &Sketch<'_>) {
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
        return "not read".to_owned();
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

/// What a run of parts is called: `9 blocks`, `7 blocks, 2 free`, `globals`.
pub(crate) fn run_name(parts: &[Part]) -> String {
    let count = |kinds: &[PartKind]| parts.iter().filter(|part| kinds.contains(&part.kind)).count();
    let (blocks, free) = (count(&[PartKind::Block, PartKind::Blocks]), count(&[PartKind::Free]));
    if blocks + free < parts.len() {
        return "globals".to_owned();
    }
    match (blocks, free) {
        (blocks, 0) => format!("{blocks} blocks"),
        (blocks, free) => format!("{blocks} blk, {free} free"),
    }
}

/// The texture of a band that is not a stack.
fn fill(canvas: &mut Canvas<'_>, y: u16, band: &Band<'_>, line: u16, look: &Look<'_>, sketch: &Sketch<'_>) {
    let (styles, glyphs) = (canvas.theme.styles, canvas.theme.glyphs);
    let columns = &sketch.columns;
    let cells = columns.bar_width;
    let kind = if band.parts.len() > 1 { PartKind::Block } else { band.part().kind };
    match kind {
        PartKind::Unclaimed => {}
        PartKind::Free | PartKind::Blocks | PartKind::Heap => {
            let heap = band.heap.and_then(|part| lookup::heap(&sketch.model.snapshot, part));
            let order = sketch.state.map.order;
            for cell in 0..cells {
                let all = band.rows * cells;
                let from_top = line * cells + cell;
                let index = if order == AddressOrder::HighFirst { all - 1 - from_top } else { from_top };
                let (glyph, style) = if kind == PartKind::Free {
                    free_cell(index, all, band, heap, order, canvas.theme)
                } else {
                    heap_cell(index, all, heap, order, canvas.theme)
                };
                canvas.text(columns.bar + cell, y, glyph, style);
            }
        }
        _ => {
            let glyph = if sketch.tall && band.turned { glyphs.hatch_back } else { glyphs.hatch };
            let style = if look.attacker.is_some() { styles.danger } else { styles.muted };
            canvas.fill(columns.bar, columns.bar + cells, y, glyph, style);
        }
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
            Condition::Overflowed if narrow => {
                canvas.text(columns.chip, y, " OVER!", styles.danger_chip);
            }
            Condition::Overflowed => {
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
        (Condition::Overflowed, true) => "   hit",
        (Condition::Overflowed, false) => "was hit",
        (_, true) => " next",
        (_, false) => "hit next",
    };
    canvas.text(columns.chip, y, text, styles.danger);
}
