//! How many blocks there are of each size.
//!
//! ```text
//!  block sizes                     used / free
//!   ≤64 B ███████░░                    13 / 4
//!   128 B ████████                     14 / 0
//! ```

use ratatui::layout::Rect;

use crate::model::snapshot::{Heap, SizeClass};
use crate::tui::paint::{self, Canvas};
use crate::units;

/// Cells of a size, and of the counts.
const LABEL: u16 = 8;
const COUNTS: u16 = 11;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, heap: &Heap) {
    let sizes = heap.sizes();
    if sizes.is_empty() || area.height < 4 || area.width < LABEL + COUNTS + 4 {
        return;
    }
    let styles = canvas.theme.styles;
    canvas.text(area.x, area.y, "block sizes", styles.strong);
    canvas.right(area.right(), area.y, "used / free", styles.muted);
    let (sizes, joined) = joined(&sizes, usize::from(area.height - 1));
    let most = sizes.iter().map(|class| class.used.unwrap_or(0) + class.free).max().unwrap_or(0);
    for ((index, class), y) in sizes.iter().enumerate().zip(area.y + 1..area.bottom()) {
        let sign = if index == 0 && joined { canvas.theme.glyphs.at_most } else { "" };
        canvas.right(area.x + LABEL - 1, y, &format!("{sign}{}", label(class.up_to)), styles.muted);
        let cells = area.width - LABEL - COUNTS;
        let length = |count: u32| match count {
            0 => 0,
            count => paint::share(count.into(), most.into(), cells).max(1),
        };
        let (x, end) = (area.x + LABEL, area.x + LABEL + cells);
        let middle = x + length(class.used.unwrap_or(0));
        canvas.fill(x, middle, y, canvas.theme.glyphs.used, styles.level);
        canvas.fill(middle, (middle + length(class.free)).min(end), y, canvas.theme.glyphs.freed, styles.muted);
        let used = class.used.map_or_else(|| "-".to_owned(), |used| used.to_string());
        canvas.right(area.right(), y, &format!("{used} / {}", class.free), styles.ink);
    }
}

/// The sizes in so many rows: the smallest of them become one when there are more. Whether they did.
fn joined(sizes: &[SizeClass], rows: usize) -> (Vec<SizeClass>, bool) {
    let (small, large) = sizes.split_at((sizes.len() + 1).saturating_sub(rows.max(1)));
    match small.iter().copied().reduce(|one, next| SizeClass {
        up_to: next.up_to,
        used: one.used.zip(next.used).map(|(one, next)| one + next),
        free: one.free + next.free,
    }) {
        Some(joined) => (std::iter::once(joined).chain(large.iter().copied()).collect(), small.len() > 1),
        None => (large.to_vec(), false),
    }
}

/// A power of two with its unit.
fn label(size: u32) -> String {
    match size {
        0..1024 => units::bytes(size.into()),
        1024..0x10_0000 => format!("{} K", size >> 10),
        _ => format!("{} M", size >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_row_of_its_own_is_counted_in_the_first() {
        let class = |up_to, used, free| SizeClass { up_to, used: Some(used), free };
        let all = [class(8, 1, 0), class(16, 2, 1), class(32, 0, 0), class(64, 4, 5)];
        for (rows, expected, is_joined) in [
            (4, all.to_vec(), false),
            (9, all.to_vec(), false),
            (3, vec![class(16, 3, 1), class(32, 0, 0), class(64, 4, 5)], true),
            (1, vec![class(64, 7, 6)], true),
            (0, vec![class(64, 7, 6)], true),
        ] {
            assert_eq!(joined(&all, rows), (expected, is_joined), "{rows} rows");
        }
        assert_eq!([8, 1024, 0x10_0000, 1 << 31].map(label), ["8 B", "1 K", "1 M", "2048 M"]);
    }
}
