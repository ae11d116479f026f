//! A table from a list of columns: the header, the cells and the sorting all read the same list.

use std::cmp::{Ordering, Reverse};

use ratatui::text::Span;

use super::paint::{self, Canvas, spans_width};
use super::state::Direction;
use super::theme::Theme;

/// How wide a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// So many cells.
    Cells(u16),
    /// What the others leave, but at least so many.
    Rest(u16),
}

/// Where a cell's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// What rows are sorted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// What is not known comes after all that is.
    Number(Option<u64>),
    /// From A to Z when numbers go from large to small.
    Text(Reverse<String>),
}

/// One column of rows `R`; `K` tells columns apart.
pub(crate) struct Column<K, R> {
    pub(crate) key: K,
    pub(crate) title: &'static str,
    pub(crate) width: Width,
    pub(crate) side: Side,
    /// The least number of cells of the whole table at which it is shown.
    pub(crate) from: u16,
    /// Whether any row has something to show in it.
    pub(crate) wanted: fn(&[R]) -> bool,
    pub(crate) cell: fn(&R, u16, &Theme) -> Vec<Span<'static>>,
    /// What sorts by it, when it can.
    pub(crate) rank: Option<fn(&R) -> Rank>,
}

/// A column in its place.
pub(crate) struct Placed<'a, K, R> {
    pub(crate) column: &'a Column<K, R>,
    pub(crate) x: u16,
    pub(crate) cells: u16,
}

/// Gives each column that is shown its place.
pub(crate) fn place<'a, K, R>(
    columns: &'a [Column<K, R>],
    rows: &[R],
    x: u16,
    cells: u16,
    gap: u16,
) -> Vec<Placed<'a, K, R>> {
    let shown: Vec<&Column<K, R>> =
        columns.iter().filter(|column| cells >= column.from && (column.wanted)(rows)).collect();
    let fixed: u16 = shown.iter().map(|column| if let Width::Cells(cells) = column.width { cells } else { 0 }).sum();
    let gaps = paint::count(shown.len().saturating_sub(1)) * gap;
    let rest = cells.saturating_sub(fixed + gaps);
    let mut at = x;
    shown
        .into_iter()
        .map(|column| {
            let cells = match column.width {
                Width::Cells(cells) => cells,
                Width::Rest(least) => rest.max(least),
            };
            let placed = Placed { column, x: at, cells };
            at = at.saturating_add(cells).saturating_add(gap);
            placed
        })
        .collect()
}

/// Draws the titles; the one that sorts stands out and says which way.
pub(crate) fn header<K: PartialEq + Copy, R>(
    canvas: &mut Canvas<'_>,
    placed: &[Placed<'_, K, R>],
    y: u16,
    sort: Option<(K, Direction)>,
) {
    let (styles, glyphs) = (canvas.theme.styles, canvas.theme.glyphs);
    for Placed { column, x, cells } in placed {
        let sorted = sort.filter(|(key, _)| *key == column.key);
        let (text, style) = match sorted {
            Some((_, Direction::Falling)) => (format!("{} {}", column.title, glyphs.sorted_down), styles.strong),
            Some((_, Direction::Rising)) => (format!("{} {}", column.title, glyphs.sorted_up), styles.strong),
            None => (column.title.to_owned(), styles.muted),
        };
        let text = paint::fit(&text, *cells, canvas.theme);
        match column.side {
            Side::Left => canvas.text(*x, y, &text, style),
            Side::Right => canvas.text((x + cells).saturating_sub(paint::width(&text)), y, &text, style),
        };
    }
}

/// Draws one row.
pub(crate) fn row<K, R>(canvas: &mut Canvas<'_>, placed: &[Placed<'_, K, R>], y: u16, row: &R) {
    for Placed { column, x, cells } in placed {
        let spans = (column.cell)(row, *cells, canvas.theme);
        let x = match column.side {
            Side::Left => *x,
            Side::Right => (x + cells).saturating_sub(spans_width(&spans)),
        };
        canvas.spans(x, y, &spans);
    }
}

/// How two rows compare in a column.
pub(crate) fn compare<K, R>(column: &Column<K, R>, direction: Direction, one: &R, other: &R) -> Ordering {
    let Some(rank) = column.rank else { return Ordering::Equal };
    let order = rank(one).cmp(&rank(other));
    match direction {
        Direction::Falling => order.reverse(),
        Direction::Rising => order,
    }
}

/// The first row to show so that the one under the cursor is in sight.
pub(crate) fn offset(cursor: Option<usize>, all: usize, visible: usize) -> usize {
    let hidden = all.saturating_sub(visible);
    cursor.map_or(0, |cursor| cursor.saturating_sub(visible / 2)).min(hidden)
}
