//! Screen 1: memories in address order, what is selected explained, and the flash beside it.
//!
//! ```text
//! Normal: RAM | detail      Wide: RAM | flash | detail      Small: RAM, or the detail of what is zoomed
//!             | flash                                              flash
//! ```

pub(crate) mod band;
pub(crate) mod bands;
pub(crate) mod columns;
pub(crate) mod detail;
pub(crate) mod linear;
pub(crate) mod schematic;
pub(crate) mod words;

use ratatui::layout::Rect;

use super::frame::Density;
use super::lookup;
use super::paint::Canvas;
use super::state::{Scale, State};
use crate::model::Model;
use crate::model::snapshot::{MemoryKind, MemoryMap, Part, PartKind, Snapshot};
use bands::{Ask, Figure, Row};
use columns::Columns;
use schematic::Sketch;

/// Where the panes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panes {
    pub(crate) ram: Rect,
    pub(crate) flash: Option<Rect>,
    pub(crate) detail: Option<Rect>,
}

/// What fills the figure of RAM.
#[derive(Clone, Copy, Debug)]
enum Subject<'a> {
    /// All memories of RAM.
    Memories,
    /// A heap, as a figure of its parts.
    Heap(&'a Part),
    /// One part, cell by cell.
    Part(&'a Part),
}

fn subject<'a>(snapshot: &'a Snapshot, state: &State) -> Subject<'a> {
    let zoomed = state.map.zoom.as_deref().and_then(|id| lookup::part(snapshot, id));
    match zoomed {
        None => Subject::Memories,
        Some(part) if part.kind == PartKind::Heap && state.map.scale == Scale::Schematic => Subject::Heap(part),
        Some(part) => Subject::Part(part),
    }
}

fn memories(snapshot: &Snapshot, kind: MemoryKind) -> Vec<&MemoryMap> {
    snapshot.memories.iter().filter(|memory| memory.kind == kind).collect()
}

/// Divides the body.
pub(crate) fn panes(body: Rect, density: Density, model: &Model, state: &State) -> Panes {
    let flash = memories(&model.snapshot, MemoryKind::Flash);
    let gap = |after: Rect, space: u16| {
        let x = after.right() + space;
        Rect { x, width: body.right().saturating_sub(x), ..body }
    };
    let ram = |width: u16| Rect { width: width.min(body.width), ..body };
    match density {
        Density::Small => Panes { ram: body, flash: None, detail: None },
        Density::Wide => {
            let ram = ram(92 + body.width.saturating_sub(198) / 3);
            let rest = gap(ram, 4);
            if flash.is_empty() {
                return Panes { ram, flash: None, detail: Some(rest) };
            }
            let flash = Rect { width: 46, ..rest };
            Panes { ram, flash: Some(flash), detail: Some(gap(flash, 4)) }
        }
        Density::Narrow | Density::Normal => {
            let (ram, right) = if density == Density::Normal {
                let ram = ram(72 + (body.width.saturating_sub(118)) / 3);
                (ram, gap(ram, 3))
            } else {
                let ram = ram(51 + (body.width - 80) / 2);
                (ram, gap(ram, 2))
            };
            if flash.is_empty() {
                return Panes { ram, flash: None, detail: Some(right) };
            }
            let narrow = density == Density::Narrow;
            let rows = match state.map.scale {
                Scale::Linear if !narrow => linear::FLASH_ROWS,
                _ => {
                    let ask = ask(&model.snapshot, state, right, density, None);
                    let least = Ask { height: 0, ..ask };
                    let fits = super::paint::count(bands::figure(&flash, &least).rows.len());
                    let full: u16 = flash.iter().map(|memory| super::paint::count(memory.parts.len()) + 3).sum();
                    if narrow { fits } else { full.max(fits) }
                }
            };
            // The detail keeps more than half: it explains, flash only lists.
            let rows = rows.min(body.height * 9 / 20);
            let detail = Rect { height: body.height - rows - u16::from(!narrow), ..right };
            let flash = Rect { y: body.bottom() - rows, height: rows, ..right };
            Panes { ram, flash: Some(flash), detail: Some(detail) }
        }
    }
}

fn ask<'a>(
    snapshot: &'a Snapshot,
    state: &'a State,
    area: Rect,
    density: Density,
    selected: Option<&'a str>,
) -> Ask<'a> {
    Ask {
        snapshot,
        height: area.height,
        narrow: density < Density::Normal,
        tall: density == Density::Wide,
        order: state.map.order,
        selected,
        limit: state.stack_limit,
    }
}

fn ram_figure<'a>(
    model: &'a Model,
    state: &'a State,
    area: Rect,
    density: Density,
    selected: Option<&'a str>,
) -> Figure<'a> {
    let ask = ask(&model.snapshot, state, area, density, selected);
    match subject(&model.snapshot, state) {
        Subject::Heap(heap) => bands::heap_figure(heap, &ask),
        Subject::Memories | Subject::Part(_) => {
            let ram = memories(&model.snapshot, MemoryKind::Ram);
            // A single pane has the flash below the RAM, or nobody could reach it.
            let below =
                if density == Density::Small { memories(&model.snapshot, MemoryKind::Flash) } else { Vec::new() };
            bands::figure(&below.into_iter().chain(ram).collect::<Vec<_>>(), &ask)
        }
    }
}

fn flash_figure<'a>(
    model: &'a Model,
    state: &'a State,
    area: Rect,
    density: Density,
    selected: Option<&'a str>,
) -> Figure<'a> {
    let ask = ask(&model.snapshot, state, area, density, selected);
    bands::figure(&memories(&model.snapshot, MemoryKind::Flash), &ask)
}

fn selected_id<'a>(model: &'a Model, state: &State) -> Option<&'a str> {
    state.selected_part(&model.snapshot).map(|part| part.id.as_str())
}

/// Draws the screen: each pane in its own place, so that none draws into its neighbour.
pub(crate) fn draw(canvas: &mut Canvas<'_>, body: Rect, density: Density, model: &Model, state: &State) {
    let panes = panes(body, density, model, state);
    let mut ram = Canvas::new(canvas.buffer, panes.ram, canvas.theme);
    draw_ram(&mut ram, panes.ram, density, model, state);
    if let Some(area) = panes.flash {
        let mut flash = Canvas::new(canvas.buffer, area, canvas.theme);
        draw_flash(&mut flash, area, density, model, state);
    }
    if let Some(area) = panes.detail {
        detail::draw(canvas, area, model, state, density);
    }
}

fn draw_ram(canvas: &mut Canvas<'_>, area: Rect, density: Density, model: &Model, state: &State) {
    let snapshot = &model.snapshot;
    match (subject(snapshot, state), state.map.scale) {
        // A single pane explains what is zoomed, which a raster without words would not.
        (Subject::Part(_), _) if density == Density::Small => detail::draw(canvas, area, model, state, density),
        (Subject::Part(part), _) => linear::draw_part(canvas, area, part, model, state),
        (Subject::Memories, Scale::Linear) => {
            linear::draw(canvas, area, &memories(snapshot, MemoryKind::Ram), model, state);
        }
        _ => {
            let selected = selected_id(model, state);
            let figure = ram_figure(model, state, area, density, selected);
            let columns = Columns::ram(area, density < Density::Normal);
            let sketch = Sketch { model, state, columns, selected, tall: density == Density::Wide };
            schematic::draw(canvas, area, &figure, &sketch);
            if figure.rows.is_empty() {
                canvas.text(area.x, area.y, "no RAM is known", canvas.theme.styles.muted);
            }
        }
    }
}

fn draw_flash(canvas: &mut Canvas<'_>, area: Rect, density: Density, model: &Model, state: &State) {
    if state.map.scale == Scale::Linear && density == Density::Normal {
        linear::draw_flash(canvas, area, &memories(&model.snapshot, MemoryKind::Flash), model, state);
        return;
    }
    let selected = selected_id(model, state);
    let figure = flash_figure(model, state, area, density, selected);
    let columns = Columns::flash(area, density < Density::Normal);
    let sketch = Sketch { model, state, columns, selected, tall: density == Density::Wide };
    schematic::draw(canvas, area, &figure, &sketch);
}

/// The legend's entries.
pub(crate) fn legend(theme: &super::theme::Theme, state: &State) -> Vec<(String, ratatui::style::Style, String)> {
    let (glyphs, styles) = (&theme.glyphs, &theme.styles);
    let mut entries = vec![
        (glyphs.used.repeat(2), styles.level, "in use now".to_owned()),
        (glyphs.touched.repeat(2), styles.level, "touched before".to_owned()),
        (glyphs.line.to_owned(), styles.strong, "high water".to_owned()),
        (glyphs.never.repeat(2), styles.muted, "never touched".to_owned()),
        (glyphs.freed.repeat(2), styles.muted, "freed".to_owned()),
        (glyphs.block.repeat(2), styles.level, "block".to_owned()),
        (glyphs.hatch.repeat(2), styles.muted, "fixed".to_owned()),
    ];
    if state.map.scale == Scale::Schematic {
        entries.push((glyphs.limit.to_owned(), styles.muted, format!("{} % limit", state.stack_limit)));
    }
    entries
}

/// The ids that the arrow keys walk through, as they stand on the screen, and which of them are in flash.
pub(crate) fn order(body: Rect, density: Density, model: &Model, state: &State) -> (Vec<String>, Vec<String>) {
    let panes = panes(body, density, model, state);
    let selected = selected_id(model, state);
    let ids = |figure: &Figure<'_>| {
        figure
            .rows
            .iter()
            .filter_map(|row| match row {
                Row::HeapTop(part) => Some(part.id.clone()),
                Row::Band(band, 0) => Some(figure.bands[*band].part().id.clone()),
                _ => None,
            })
            .collect::<Vec<String>>()
    };
    let mut ram = ids(&ram_figure(model, state, panes.ram, density, selected));
    // A heap without known parts has one band of its own, which is the same thing as its box.
    ram.dedup();
    let flash = panes.flash.map(|area| ids(&flash_figure(model, state, area, density, selected))).unwrap_or_default();
    (ram, flash)
}

/// The id of the part at a cell.
pub(crate) fn hit(body: Rect, density: Density, model: &Model, state: &State, x: u16, y: u16) -> Option<String> {
    let panes = panes(body, density, model, state);
    let selected = selected_id(model, state);
    let at = ratatui::layout::Position { x, y };
    let row_of = |figure: &Figure<'_>, area: Rect| {
        let offset = schematic::offset(figure, selected, area.height);
        let shown = schematic::visible(figure, area.height);
        match figure.rows.get(offset + usize::from((y - area.y).min(shown.saturating_sub(1))))? {
            Row::HeapTop(part) => Some(part.id.clone()),
            Row::Band(band, _) => Some(figure.bands[*band].part().id.clone()),
            _ => None,
        }
    };
    if panes.ram.contains(at) {
        let snapshot = &model.snapshot;
        return match (subject(snapshot, state), state.map.scale) {
            (Subject::Part(_), _) => None,
            (Subject::Memories, Scale::Linear) => {
                linear::hit(panes.ram, &memories(snapshot, MemoryKind::Ram), state, x, y)
            }
            _ => row_of(&ram_figure(model, state, panes.ram, density, selected), panes.ram),
        };
    }
    let area = panes.flash.filter(|area| area.contains(at))?;
    if state.map.scale == Scale::Linear && density == Density::Normal {
        return None;
    }
    row_of(&flash_figure(model, state, area, density, selected), area)
}
