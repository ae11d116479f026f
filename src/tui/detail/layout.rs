//! Where the figure, the list and the word stand, and how many words a row has.

use ratatui::layout::{Position, Rect};

use super::View;
use super::calls::Call;
use crate::tui::frame::Density;
use crate::tui::lookup::Condition;
use crate::tui::paint::{self, Canvas, fit};
use crate::tui::state::Cursor;
use crate::units;

/// Words between two gaps.
const GROUP: u16 = 16;
/// Words of a row, the fewest first: a small stack is shown large.
const ROWS: [u16; 3] = [16, 32, 64];
/// Cells of an address and of a depth, with the blanks after them.
const ADDRESS: u16 = 10;
const DEPTH: u16 = 10;
/// Cells of a row of the widest figure, without gaps.
const WIDEST: u16 = 128;

/// Where things stand.
pub(super) struct Layout {
    /// The cells of the figure, addresses not included.
    pub(super) grid: Rect,
    /// Words of a row.
    pub(super) per_row: u16,
    /// Cells of a word.
    pub(super) cell: u16,
    /// Rows of the whole stack, those out of sight included.
    pub(super) rows: usize,
    /// Where addresses stand.
    x: u16,
    depth: bool,
    header: u16,
    rule: Option<u16>,
    /// The list of calls.
    pub(super) list: Rect,
    /// Columns of the list.
    pub(super) columns: u16,
    /// Rows below the list, for what is to be said about it.
    pub(super) note: Option<Rect>,
    /// The marks that were seen.
    pub(super) marks: Option<Rect>,
    /// What is said about the selected call: a panel, or one line.
    pub(super) word: Option<Rect>,
}

impl Layout {
    /// `marks` are the rows that the marks would like to have.
    pub(super) fn of(body: Rect, density: Density, view: &View<'_>, marks: u16) -> Self {
        if density >= Density::Normal { Self::beside(body, density, view, marks) } else { Self::above(body, view) }
    }

    /// The list at the right of the figure, and a panel below both.
    fn beside(body: Rect, density: Density, view: &View<'_>, marks: u16) -> Self {
        let roomy = body.height >= 24;
        let list_width = if density == Density::Wide { 44 } else { 28 };
        let panel = if body.height >= 18 { 5 } else { 1 };
        let top = body.y + 1 + u16::from(roomy);
        let bottom = body.bottom().saturating_sub(panel + 1);
        let x = body.x + ADDRESS + DEPTH - 1;
        let width = body.right().saturating_sub(x + 3 + list_width);
        // The limit and what lies below it have a row each.
        let height = bottom.saturating_sub(top + 2);
        let (per_row, cell) = divide(view.count(), width, height);
        let rows = view.count().div_ceil(usize::from(per_row));
        let shown = height.min(paint::count(rows));
        let grid = Rect { x, y: top, width: row_cells(per_row, cell), height: shown };
        // What is said about the selected call stands at the bottom, or right below a figure that has room.
        let list_x = (grid.right() + 3).max(x + 40);
        // The calls come first: they keep two thirds of the column.
        let marks = marks.min(bottom.saturating_sub(top) / 3);
        let list_end = bottom.saturating_sub(3 + marks + u16::from(marks > 0));
        let list_width = body.right().saturating_sub(list_x).min(if density == Density::Wide { 64 } else { 48 });
        Self {
            grid,
            per_row,
            cell,
            rows,
            x: body.x,
            depth: true,
            header: body.y,
            rule: roomy.then_some(body.y + 1),
            list: Rect { x: list_x, y: top, width: list_width, height: list_end.saturating_sub(top) },
            columns: 1,
            note: Some(Rect { x: list_x, y: list_end, width: body.right().saturating_sub(list_x), height: 3 }),
            marks: (marks > 1).then(|| Rect { x: list_x, y: bottom - marks, width: list_width, height: marks }),
            word: Some(Rect { y: body.bottom().saturating_sub(panel), height: panel, ..body }),
        }
    }

    /// The figure over the list, and a line about the selected call.
    fn above(body: Rect, view: &View<'_>) -> Self {
        let list = match body.height {
            ..8 => 0,
            8..14 => 1,
            _ => 2,
        };
        let line = u16::from(list > 0);
        let x = body.x + ADDRESS;
        // The header and the limit have a row each.
        let height = body.height.saturating_sub(2 + list + line);
        let (per_row, cell) = divide(view.count(), body.right().saturating_sub(x), height);
        let rows = view.count().div_ceil(usize::from(per_row));
        let grid = Rect { x, y: body.y + 1, width: row_cells(per_row, cell), height: height.min(paint::count(rows)) };
        let bottom = body.bottom();
        let columns = if body.width >= 72 { 2 } else { 1 };
        // A small stack leaves its rows to the list.
        let list_y = grid.bottom() + 1;
        Self {
            grid,
            per_row,
            cell,
            rows,
            x: body.x,
            depth: false,
            header: body.y,
            rule: None,
            list: Rect { y: list_y, height: bottom.saturating_sub(list_y + line), ..body },
            columns,
            note: None,
            marks: None,
            word: (line > 0).then_some(Rect { y: bottom.saturating_sub(1), height: 1, ..body }),
        }
    }

    /// How many calls the list shows at once, with the two lines that cut it.
    pub(super) fn list_rows(&self) -> usize {
        (usize::from(self.list.height) * usize::from(self.columns)).saturating_sub(2)
    }

    /// Rows that the figure has no room for.
    pub(super) fn hidden_rows(&self) -> usize {
        self.rows.saturating_sub(usize::from(self.grid.height))
    }

    /// The first row in sight, so that the cursor is.
    pub(super) fn first_row(
        &self,
        view: &View<'_>,
        calls: &[Call<'_>],
        selected: Option<usize>,
        cursor: Cursor,
    ) -> usize {
        let per_row = usize::from(self.per_row);
        let row = match (cursor, selected) {
            (Cursor::Row(row), _) => return row.min(self.hidden_rows()),
            (_, Some(call)) => view.index(calls[call].trace().address).map_or(0, |index| index / per_row),
            // Without a call the mark is what one looks for.
            (_, None) => view.deepest as usize / 4 / per_row,
        };
        row.saturating_sub(usize::from(self.grid.height) / 2).min(self.hidden_rows())
    }

    /// Where a word of a row stands.
    pub(super) fn column(&self, word: u16) -> u16 {
        self.grid.x + word * self.cell + word / GROUP
    }

    /// The word at a cell, counted from the first use.
    pub(super) fn word_at(&self, at: Position, first: usize) -> Option<usize> {
        if !self.grid.contains(at) {
            return None;
        }
        let word = (0..self.per_row).rev().find(|word| self.column(*word) <= at.x)?;
        Some((first + usize::from(at.y - self.grid.y)) * usize::from(self.per_row) + usize::from(word))
    }

    /// Draws an address and its depth beside a row.
    pub(super) fn draw_address(&self, canvas: &mut Canvas<'_>, view: &View<'_>, y: u16, depth: u32, strong: bool) {
        let styles = canvas.theme.styles;
        let style = if strong { styles.ink } else { styles.muted };
        canvas.text(self.x, y, &view.address(depth), style);
        if self.depth {
            canvas.right(self.x + ADDRESS + DEPTH - 3, y, &depth.to_string(), styles.muted);
        }
    }

    /// Draws the titles, the rules and what lies below the limit.
    pub(super) fn draw_frame(&self, canvas: &mut Canvas<'_>, body: Rect, view: &View<'_>, first: usize) {
        let (styles, glyphs) = (canvas.theme.styles, canvas.theme.glyphs);
        let (arrow, dot) = (if glyphs.ascii { "->" } else { "→" }, glyphs.dot);
        canvas.text(self.x, self.header, "SP here", styles.muted);
        if self.depth {
            canvas.right(self.x + ADDRESS + DEPTH - 3, self.header, "depth", styles.muted);
        }
        let cells =
            if self.cell == 1 { "one cell, one word".to_owned() } else { format!("{} cells, one word", self.cell) };
        let title = format!("{cells} {dot} reads as the stack grows {arrow}");
        canvas.text(self.grid.x, self.header, &fit(&title, body.right() - self.grid.x, canvas.theme), styles.muted);
        if self.depth {
            canvas.text(self.list.x, self.header, "calls", styles.strong);
            canvas.right(self.list.right(), self.header, "frame", styles.muted);
        }
        if let Some(y) = self.rule {
            canvas.fill(self.x, self.grid.right(), y, glyphs.frame.horizontal, styles.muted);
            canvas.fill(self.list.x, self.list.right(), y, glyphs.frame.horizontal, styles.muted);
        }
        self.draw_limit(canvas, body, view, self.hidden_rows().saturating_sub(first));
    }

    /// The end of the stack, in words when that is what the figure shows last.
    fn draw_limit(&self, canvas: &mut Canvas<'_>, body: Rect, view: &View<'_>, more: usize) {
        let (styles, glyphs) = (canvas.theme.styles, canvas.theme.glyphs);
        let y = self.grid.bottom();
        let words = match &view.stack.victim {
            Some(victim) if victim.range.is_empty() => format!("next below: {}", victim.name),
            Some(victim) => {
                let what = match view.condition {
                    Condition::Overflowed => "It was likely hit.",
                    _ => "An overflow overwrites it.",
                };
                format!("next below: {}, {}. {what}", victim.words(), units::bytes(victim.range.size().into()))
            }
            None => "the limit".to_owned(),
        };
        let style = if view.condition.is_danger() { styles.ink } else { styles.muted };
        self.draw_address(canvas, view, y, view.range.size(), true);
        if self.depth {
            canvas.fill(self.grid.x, self.grid.right(), y, glyphs.frame.horizontal, styles.strong);
            if more > 0 {
                let x = canvas.text(self.grid.x + 2, y, &format!(" {more} more rows "), styles.ink);
                canvas.text(x, y, &format!("{} ", glyphs.down), styles.ink);
            }
            let room = self.list.x.saturating_sub(self.grid.x + 1);
            canvas.text(self.grid.x, y + 1, &fit(&words, room, canvas.theme), style);
        } else {
            let words = if more > 0 { format!("{} {more} more rows, {words}", glyphs.down) } else { words };
            let room = body.right().saturating_sub(self.grid.x);
            canvas.text(self.grid.x, y, &fit(&words, room, canvas.theme), style);
        }
    }
}

/// Cells of a row, gaps included.
fn row_cells(per_row: u16, cell: u16) -> u16 {
    per_row * cell + per_row / GROUP - 1
}

/// Words of a row and cells of a word: as large as all of the stack fits, or else as much in sight as there can be.
fn divide(words: usize, width: u16, height: u16) -> (u16, u16) {
    let fitting = |per_row: u16| {
        let room = width.saturating_sub(per_row / GROUP - 1).min(WIDEST);
        (per_row, room / per_row)
    };
    let possible = || ROWS.into_iter().map(fitting).filter(|(_, cell)| *cell > 0);
    let whole = possible().find(|(per_row, _)| words.div_ceil(usize::from(*per_row)) <= usize::from(height));
    whole.or_else(|| possible().next_back()).unwrap_or((GROUP, 1))
}
