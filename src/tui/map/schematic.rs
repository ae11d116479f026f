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

use super::band;
use super::bands::{Figure, Row};
use super::columns::Columns;
use crate::model::Model;
use crate::model::alert::AlertKind;
use crate::model::snapshot::{Heap, MemoryKind, MemoryMap, Part};
use crate::tui::bar;
use crate::tui::lookup;
use crate::tui::paint::{self, Canvas, fit};
use crate::tui::state::{AddressOrder, State};
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
            Row::Band(band, line) => band::draw(canvas, y, &figure.bands[*band], *line, sketch),
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

pub(super) fn memory_size(memory: &MemoryMap) -> String {
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
            && matches!(alert.kind, AlertKind::HeapLimit | AlertKind::HeapFailure | AlertKind::HeapCorrupt)
            && alert.heap.as_ref() == Some(&heap.id())
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
