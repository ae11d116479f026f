//! The tree: one row a group, function or static.

use ratatui::layout::Rect;

use super::state::Entry;
use super::{bar, bytes};
use crate::tui::paint::{self, Canvas};
use crate::tui::table;

/// Cells of a column of bytes, and of the number of symbols.
const BYTES: u16 = 10;
const COUNT: u16 = 8;
/// Cells of the bar: a quarter of the width, between these, where there is room for one.
const BAR: (u16, u16) = (16, 40);
/// The least room that a name keeps.
const NAME: u16 = 24;

pub(super) fn draw(canvas: &mut Canvas<'_>, header: u16, area: Rect, rows: &[Entry<'_>], selected: usize) {
    let styles = canvas.theme.styles;
    let glyphs = canvas.theme.glyphs;
    let count_end = area.right();
    let ram_end = count_end.saturating_sub(COUNT + 1);
    let flash_end = ram_end.saturating_sub(BYTES + 1);
    let numbers = flash_end.saturating_sub(BYTES);
    let bar_cells = (area.width / 4).clamp(BAR.0, BAR.1);
    let bar_at = numbers.saturating_sub(bar_cells + 1);
    let bars = bar_at >= area.x + NAME + 3;
    let name_end = if bars { bar_at } else { numbers };
    canvas.text(area.x + 2, header, "name", styles.muted);
    if bars {
        canvas.text(bar_at, header, "of its group", styles.muted);
    }
    for (title, end) in [("flash", flash_end), ("RAM", ram_end), ("symbols", count_end)] {
        canvas.right(end, header, title, styles.muted);
    }
    let offset = table::offset(Some(selected), rows.len(), usize::from(area.height));
    for ((index, row), y) in rows.iter().enumerate().skip(offset).zip(area.top()..area.bottom()) {
        let is_selected = index == selected;
        let style = match row.node.level {
            _ if is_selected => styles.strong,
            None => styles.muted,
            Some(_) => styles.ink,
        };
        if is_selected {
            canvas.text(area.x, y, glyphs.pointer, styles.strong);
        }
        let depth = paint::count(row.path.len() - 1) * 2;
        let x = area.x + 2 + depth.min(NAME / 2);
        let turn = match (row.node.children.is_empty(), row.is_open) {
            (true, _) => " ",
            (false, true) => glyphs.sorted_down,
            (false, false) => glyphs.closed,
        };
        canvas.text(x, y, turn, styles.muted);
        let room = name_end.saturating_sub(x + 3);
        canvas.text(x + 2, y, &paint::fit_path(&row.node.name, room, canvas.theme), style);
        if bars {
            let bar = bar(row.node.taken(), row.of, bar_cells, canvas);
            canvas.text(bar_at, y, &bar, if row.node.level.is_some() { styles.level } else { styles.muted });
        }
        canvas.right(flash_end, y, &bytes(row.node.flash), style);
        canvas.right(ram_end, y, &bytes(row.node.ram), style);
        if row.node.things > 0 {
            canvas.right(count_end, y, &row.node.things.to_string(), styles.muted);
        }
    }
}
