//! The picture itself: lines over time, in percent of each one's own size.
//!
//! A cell has two by four dots; in ASCII it is one dot. The mean is solid, and what lies between the least and the
//! most is drawn as every other dot.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::lines::Line;
use crate::model::history::{Column, Span};
use crate::tui::paint::{Canvas, count};
use crate::tui::theme::Theme;

/// The bits of a cell's dots, by column and row.
const DOTS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
/// The first of the 256 characters with such dots.
const BRAILLE: u32 = 0x2800;

/// How fine a cell is.
#[derive(Clone, Copy)]
pub(super) struct Grain {
    across: usize,
    down: usize,
}

impl Grain {
    pub(super) fn of(theme: &Theme) -> Self {
        if theme.glyphs.ascii { Self { across: 1, down: 1 } } else { Self { across: 2, down: 4 } }
    }

    /// Columns of a picture that is so many cells wide.
    pub(super) fn columns(self, cells: u16) -> usize {
        usize::from(cells) * self.across
    }

    /// The cell of a column.
    pub(super) fn cell(self, column: usize) -> u16 {
        count(column / self.across)
    }
}

/// What is drawn in one cell.
#[derive(Clone, Copy, Default)]
struct Cell {
    dots: u8,
    /// A mean goes through it, not only what lies between the least and the most.
    solid: bool,
    /// The line that was drawn last in it.
    line: Option<usize>,
}

/// The lines of a picture in its cells.
pub(super) struct Plot {
    area: Rect,
    grain: Grain,
    cells: Vec<Cell>,
    /// Cells across in which nothing was measured of any line, and should have been.
    gaps: Vec<bool>,
    /// Where each line ends, in cells from the top.
    ends: Vec<Option<u16>>,
}

impl Plot {
    /// Draws the lines; the last one lies on top.
    pub(super) fn new(area: Rect, lines: &[&Line<'_>], span: Span, theme: &Theme) -> Self {
        let grain = Grain::of(theme);
        let width = usize::from(area.width);
        let mut plot = Self {
            area,
            grain,
            cells: vec![Cell::default(); width * usize::from(area.height)],
            gaps: vec![false; width],
            ends: Vec::new(),
        };
        if area.is_empty() {
            return plot;
        }
        let mut measured = vec![false; width];
        for (index, line) in lines.iter().enumerate() {
            let columns = line.columns(span, grain.columns(area.width));
            for (at, column) in columns.iter().enumerate() {
                let cell = usize::from(grain.cell(at));
                measured[cell] |= column.envelope().is_some();
                plot.gaps[cell] |= *column == Column::Gap;
            }
            plot.draw_line(index, line, &columns);
        }
        for (gap, measured) in plot.gaps.iter_mut().zip(measured) {
            *gap &= !measured;
        }
        plot
    }

    fn draw_line(&mut self, index: usize, line: &Line<'_>, columns: &[Column]) {
        let mut before: Option<usize> = None;
        let mut end = None;
        for (x, column) in columns.iter().enumerate() {
            let Some(envelope) = column.envelope() else {
                before = None;
                continue;
            };
            let row = |value: f64| self.row(line.kept.percent(value));
            let (top, mean, bottom) = (row(envelope.most.into()), row(envelope.mean), row(envelope.least.into()));
            for y in top..=bottom {
                if (x + y) % 2 == 0 || y == mean {
                    self.set(x, y, index, y == mean);
                }
            }
            if let Some(before) = before.filter(|_| !envelope.broken) {
                for y in before.min(mean)..=before.max(mean) {
                    self.set(x, y, index, true);
                }
            }
            before = Some(mean);
            end = Some(count(mean / self.grain.down));
        }
        self.ends.push(end);
    }

    /// The row of dots at which a share lies, from the top.
    fn row(&self, percent: f64) -> usize {
        let last = usize::from(self.area.height) * self.grain.down - 1;
        let above = (percent.clamp(0.0, 100.0) / 100.0 * last as f64).round() as usize;
        last - above.min(last)
    }

    /// The row of cells at which a share lies, from the top.
    pub(super) fn line_at(&self, percent: f64) -> u16 {
        if self.area.is_empty() { 0 } else { count(self.row(percent) / self.grain.down) }
    }

    fn set(&mut self, x: usize, y: usize, line: usize, solid: bool) {
        let (column, row) = (x / self.grain.across, y / self.grain.down);
        let Some(cell) = self.cells.get_mut(row * usize::from(self.area.width) + column) else { return };
        cell.dots |= DOTS[x % self.grain.across][y % self.grain.down];
        cell.solid = solid || (cell.solid && cell.line == Some(line));
        cell.line = Some(line);
    }

    /// The cells, over what lies behind them.
    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, lines: &[&Line<'_>]) {
        let glyphs = canvas.theme.glyphs;
        let muted = canvas.theme.styles.muted;
        for (x, _) in self.gaps.iter().enumerate().filter(|(_, gap)| **gap) {
            for y in self.area.top()..self.area.bottom() {
                canvas.text(self.area.x + count(x), y, glyphs.hatch, muted);
            }
        }
        let width = usize::from(self.area.width);
        for (at, cell) in self.cells.iter().enumerate() {
            let Some(line) = cell.line.and_then(|line| lines.get(line)) else { continue };
            let glyph = match (glyphs.ascii, cell.solid, line.letter) {
                (true, true, Some(letter)) => letter,
                (true, ..) => ':',
                (false, ..) => char::from_u32(BRAILLE + u32::from(cell.dots)).unwrap_or(' '),
            };
            let (x, y) = (self.area.x + count(at % width), self.area.y + count(at / width));
            canvas.text(x, y, glyph.encode_utf8(&mut [0; 4]), line.style);
        }
    }

    /// Names each line with its letter, right of where it ends.
    pub(super) fn name_ends(&self, canvas: &mut Canvas<'_>, lines: &[&Line<'_>]) {
        let mut used: Vec<(u16, u16)> = Vec::new();
        for (line, end) in lines.iter().zip(&self.ends) {
            let (Some(letter), Some(row)) = (line.letter, *end) else { continue };
            let taken = used.iter().filter(|(other, _)| *other == row).count();
            let x = self.area.right() + 1 + count(taken);
            if taken == 0 {
                canvas.text(self.area.right(), self.area.y + row, canvas.theme.glyphs.pointer_left, line.style);
            }
            let style = if line.danger { canvas.theme.styles.danger_text } else { line.style };
            canvas.text(x, self.area.y + row, letter.encode_utf8(&mut [0; 4]), style);
            used.push((row, x));
        }
    }

    /// What lies behind the lines: the grid at these shares and the limit.
    pub(super) fn draw_grid(&self, canvas: &mut Canvas<'_>, shares: &[u8], limit: u8) {
        let (glyphs, muted) = (canvas.theme.glyphs, canvas.theme.styles.muted);
        for share in shares.iter().filter(|share| **share != limit) {
            let y = self.area.y + self.line_at(f64::from(*share));
            for x in (self.area.left()..self.area.right()).step_by(4) {
                canvas.text(x, y, glyphs.never, muted);
            }
        }
        let y = self.area.y + self.line_at(f64::from(limit));
        canvas.fill(self.area.left(), self.area.right(), y, glyphs.dashes, muted);
        canvas.text(self.area.x + 2, y, &format!(" limit {limit} % "), muted);
    }

    /// A line from top to bottom, behind the lines.
    pub(super) fn draw_moment(&self, canvas: &mut Canvas<'_>, x: u16, style: Style) {
        for y in self.area.top()..self.area.bottom() {
            canvas.text(x, y, canvas.theme.glyphs.frame.vertical, style);
        }
    }
}
