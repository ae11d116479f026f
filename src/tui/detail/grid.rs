//! The figure: a cell or more for each word, first use at the top left.

use ratatui::style::Style;

use super::View;
use super::calls::Call;
use super::layout::Layout;
use crate::model::snapshot::Health;
use crate::tui::paint::{self, Canvas};
use crate::units;

/// What a word says by its texture.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Texture {
    /// In use now.
    Used,
    /// Written before, by calls that have returned.
    Touched,
    /// Still paint, wherever it lies.
    Never,
    /// Nothing tells.
    Unknown,
}

fn texture(view: &View<'_>, index: usize) -> Texture {
    let depth = u32::try_from(4 * index).unwrap_or(u32::MAX);
    let used = view.now.is_some_and(|now| depth < now);
    let touched = depth < view.deepest;
    let paint = view.words.and_then(|words| words.paint);
    // Paint inside the touched part is a word that a frame skipped.
    let painted = paint.is_some() && view.word(index) == paint;
    match (used, touched) {
        _ if painted => Texture::Never,
        (true, _) => Texture::Used,
        (false, true) => Texture::Touched,
        (false, false) if view.peak.is_some() => Texture::Never,
        (false, false) => Texture::Unknown,
    }
}

/// One row while it is drawn: the cells that a label must not cover.
struct Row {
    y: u16,
    /// Numbers of the row's words.
    words: std::ops::Range<usize>,
    taken: Vec<std::ops::Range<u16>>,
}

/// Draws the rows from `first` on.
pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    layout: &Layout,
    view: &View<'_>,
    calls: &[Call<'_>],
    selected: Option<usize>,
    first: usize,
) {
    let per_row = usize::from(layout.per_row);
    for (y, number) in (layout.grid.top()..layout.grid.bottom()).zip(first..layout.rows) {
        let words = number * per_row..((number + 1) * per_row).min(view.count());
        let mut row = Row { y, words, taken: Vec::new() };
        let depth = u32::try_from(4 * row.words.start).unwrap_or(u32::MAX);
        layout.draw_address(canvas, view, y, depth, false);
        if past_limit(view, &row) {
            // The gutter tells the danger where there is no red.
            canvas.text(layout.grid.x.saturating_sub(1), y, "!", canvas.theme.styles.danger_text);
        }
        words_of(canvas, layout, view, &row);
        letters(canvas, layout, view, calls, selected, &mut row);
        marks(canvas, layout, view, &mut row);
    }
}

/// Whether a word of the row was used past the limit.
fn past_limit(view: &View<'_>, row: &Row) -> bool {
    let depth = |index: usize| u32::try_from(4 * index).unwrap_or(u32::MAX);
    view.deepest > view.limit && depth(row.words.end) > view.limit && depth(row.words.start) < view.deepest
}

fn words_of(canvas: &mut Canvas<'_>, layout: &Layout, view: &View<'_>, row: &Row) {
    let (styles, glyphs) = (canvas.theme.styles, canvas.theme.glyphs);
    for (index, column) in row.words.clone().zip(0..) {
        let depth = u32::try_from(4 * index).unwrap_or(u32::MAX);
        let (glyph, style) = match texture(view, index) {
            Texture::Used => (glyphs.used, view.level(depth, canvas.theme)),
            Texture::Touched => (glyphs.touched, view.level(depth, canvas.theme)),
            Texture::Never => (glyphs.never, styles.muted),
            Texture::Unknown => continue,
        };
        let x = layout.column(column);
        canvas.fill(x, x + layout.cell, row.y, glyph, style);
    }
}

fn letters(
    canvas: &mut Canvas<'_>,
    layout: &Layout,
    view: &View<'_>,
    calls: &[Call<'_>],
    selected: Option<usize>,
    row: &mut Row,
) {
    let styles = canvas.theme.styles;
    for (number, call) in calls.iter().enumerate() {
        for index in call.traces.iter().filter_map(|trace| view.index(trace.address)) {
            if !row.words.contains(&index) {
                continue;
            }
            let x = layout.column(paint::count(index - row.words.start));
            let text = call.letter.to_string();
            // In a wide word the selected letter fills it, and so stands out among the others.
            let text = if selected == Some(number) { text.repeat(usize::from(layout.cell)) } else { text };
            canvas.text(x, row.y, &text, styles.chip);
            row.taken.push(x..x + layout.cell);
        }
    }
}

/// The SP, the high-water line and the worst case, each named where there is room beside it.
fn marks(canvas: &mut Canvas<'_>, layout: &Layout, view: &View<'_>, row: &mut Row) {
    let (styles, glyphs) = (canvas.theme.styles, canvas.theme.glyphs);
    let peak = view.peak.map(|peak| peak as usize / 4);
    // Where both meet, the line keeps its cell and the SP steps back by one.
    let sp = view.now.map(|now| now as usize / 4).map(|sp| if Some(sp) == peak { sp.saturating_sub(1) } else { sp });
    // The worst case steps past the line, where they meet. What was used is the bound that a smaller one is not.
    let worst = view.worst().map(|worst| worst as usize / 4).map(|at| if Some(at) == peak { at + 1 } else { at });
    let bytes = |bytes: u32| units::bytes(bytes.into());
    let named = [
        (sp, glyphs.lowest, view.now.map(|now| format!("SP now, {}", bytes(now)))),
        (peak, glyphs.line, view.peak.map(|peak| format!("high water, {}", bytes(peak)))),
        (worst, glyphs.worst, view.worst().map(|worst| format!("static worst case, {}", bytes(worst)))),
    ];
    let here = |index: Option<usize>| index.filter(|index| row.words.contains(index));
    let cells: Vec<Option<u16>> = named
        .iter()
        .map(|(index, ..)| here(*index).map(|index| layout.column(paint::count(index - row.words.start))))
        .collect();
    row.taken.extend(cells.iter().flatten().map(|x| *x..x + 1));
    for ((_, glyph, words), x) in named.into_iter().zip(cells) {
        let Some(x) = x else { continue };
        canvas.text(x, row.y, glyph, styles.strong);
        // What was only computed is said less loudly than what was seen.
        let style = if glyph == glyphs.worst { styles.ink } else { styles.strong };
        if let Some(words) = words {
            name(canvas, layout, row, x, &words, style);
        }
    }
    if view.peak.is_none() {
        unpainted(canvas, layout, view, row);
    }
}

/// Writes a mark's name at its right, or else at its left, unless that would hide something that is no texture.
fn name(canvas: &mut Canvas<'_>, layout: &Layout, row: &mut Row, x: u16, words: &str, style: Style) {
    let width = paint::width(words) + 2;
    let right = x + 1..x + 1 + width;
    let left = x.saturating_sub(width)..x;
    let end = layout.column(paint::count(row.words.len().saturating_sub(1))) + layout.cell;
    let free = |cells: &std::ops::Range<u16>| {
        cells.start >= layout.grid.x
            && cells.end <= end.max(layout.grid.right())
            && row.taken.iter().all(|taken| taken.end <= cells.start || taken.start >= cells.end)
    };
    if let Some(cells) = [right, left].into_iter().find(free) {
        canvas.text(cells.start, row.y, &format!(" {words} "), style);
        row.taken.push(cells);
    }
}

/// Says at the first word of which nothing is known why that is.
fn unpainted(canvas: &mut Canvas<'_>, layout: &Layout, view: &View<'_>, row: &Row) {
    let first = (view.deepest as usize).div_ceil(4);
    let next_row = first.next_multiple_of(usize::from(layout.per_row));
    let muted = canvas.theme.styles.muted;
    for index in [first, next_row] {
        let words = match view.snapshot.health {
            Health::Static => "not measured",
            _ => "not painted: nothing tells what was used",
        };
        if row.words.contains(&index) && index < view.count() {
            let x = layout.column(paint::count(index - row.words.start)) + 2;
            if x + paint::width(words) <= layout.grid.right() {
                canvas.text(x, row.y, words, muted);
                return;
            }
        }
    }
}
