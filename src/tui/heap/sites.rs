//! Who holds the blocks: the places in the program that asked for them.
//!
//! ```text
//!  call site            where                blocks     bytes      B/min
//!  ◆ remember_packet    alloc.rs:72  ████          31    3968 B       +512
//! ```

use ratatui::layout::Rect;

use super::{Order, compared, place};
use crate::model::Model;
use crate::model::growth::{self, Grown};
use crate::model::snapshot::{CallSite, Heap, Owner};
use crate::tui::paint::{self, Canvas};
use crate::tui::state::State;
use crate::units;

/// A call site in the list.
pub(super) struct Row {
    pub(super) site: CallSite,
    blocks: String,
    bytes: String,
    /// What its bar is long for.
    share: u32,
    rate: Option<f64>,
    leaks: bool,
}

/// The call sites with what they hold, or with how much more than at the baseline.
pub(super) fn rows(model: &Model, heap: &Heap, state: &State) -> Vec<Row> {
    if let Some((before, time)) = compared(model, heap, state) {
        let mut grown = growth::since(before, heap).unwrap_or_default();
        if state.heap.order == Order::Bytes {
            grown.sort_by_key(|grown| std::cmp::Reverse(grown.bytes.unsigned_abs()));
        }
        let row = |grown: Grown| Row {
            blocks: format!("{:+}", grown.blocks),
            bytes: format!("{:+} B", grown.bytes),
            share: u32::try_from(grown.bytes).unwrap_or(0),
            rate: growth::per_minute(grown.bytes, time),
            leaks: heap.owners.iter().flatten().any(|owner| owner.leaks && owner.site == grown.site),
            site: grown.site,
        };
        return grown.into_iter().map(row).collect();
    }
    let owners: Vec<&Owner> = match state.heap.order {
        Order::Growth => growth::by_growth(heap),
        Order::Bytes => heap.owners.iter().flatten().collect(),
    };
    let row = |owner: &Owner| Row {
        site: owner.site.clone(),
        blocks: owner.blocks.to_string(),
        bytes: units::bytes(owner.bytes.into()),
        share: owner.bytes,
        rate: owner.growth,
        leaks: owner.leaks,
    };
    owners.into_iter().map(row).collect()
}

/// The selected row; the first when there is none.
pub(super) fn selected(rows: &[Row], state: &State) -> usize {
    rows.iter().position(|row| Some(&row.site) == state.heap.owner.as_ref()).unwrap_or(0)
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, heap: &Heap, state: &State, rows: &[Row], titles: [&str; 3]) {
    let styles = canvas.theme.styles;
    if rows.is_empty() || area.height < 2 {
        return;
    }
    let wide = area.width >= 70;
    let name_width = if wide { 22 } else { 16 };
    let end = area.right();
    let columns = [end.saturating_sub(22), end.saturating_sub(10), end];
    let place_width = if area.width >= 100 { 20 } else { 15 };
    canvas.text(area.x + 2, area.y, "call site", styles.muted);
    for ((end, title), sorts) in columns.into_iter().zip(titles).zip([None, Some(Order::Bytes), Some(Order::Growth)]) {
        let sorts = sorts == Some(state.heap.order);
        canvas.right(end, area.y, title, if sorts { styles.strong } else { styles.muted });
    }
    let at = selected(rows, state);
    let room = usize::from(area.height - 1);
    let first = at.saturating_sub(room.saturating_sub(1));
    for ((index, row), y) in rows.iter().enumerate().skip(first).zip(area.y + 1..area.bottom()) {
        let ink = if row.leaks { styles.danger_text } else { styles.ink };
        if index == at {
            canvas.text(area.x, y, canvas.theme.glyphs.owner, ink);
        }
        let name = paint::fit(row.site.short(), name_width, canvas.theme);
        canvas.text(area.x + 2, y, &name, if index == at { styles.chip } else { ink });
        let place = place(&row.site);
        let x = area.x + 4 + name_width;
        let end = columns[0].saturating_sub(7);
        canvas.text(x, y, &paint::fit(&place, end.saturating_sub(x).min(place_width), canvas.theme), styles.muted);
        bar(canvas, x + place_width + 1, end, y, heap, row);
        canvas.right(columns[0], y, &row.blocks, ink);
        canvas.right(columns[1], y, &row.bytes, ink);
        let rate = row.rate.map_or_else(
            || "-".to_owned(),
            |rate| if rate.abs() < 0.5 { "0".to_owned() } else { format!("{rate:+.0}") },
        );
        canvas.right(columns[2], y, &rate, ink);
    }
}

/// What share of all that is in use it is, as a bar.
fn bar(canvas: &mut Canvas<'_>, x: u16, end: u16, y: u16, heap: &Heap, row: &Row) {
    let Some(used) = heap.used.filter(|_| end >= x + 4 && row.share > 0) else { return };
    let cells = paint::share(row.share.into(), used.bytes.into(), end - x).max(1);
    let style = if row.leaks { canvas.theme.styles.danger } else { canvas.theme.styles.level };
    let glyph = canvas.theme.glyphs.used;
    canvas.fill(x, x + cells, y, glyph, style);
}
