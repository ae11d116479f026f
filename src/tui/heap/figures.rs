//! A heap in numbers, and how full it was in the last minute.

use std::time::Duration;

use ratatui::layout::Rect;

use crate::model::Model;
use crate::model::history::Quantity;
use crate::model::snapshot::{Heap, Trust};
use crate::region::Region;
use crate::tui::bar;
use crate::tui::paint::Canvas;
use crate::{report, units};

/// The time that the last lines show.
const SPAN: Duration = Duration::from_secs(60);
/// Lines of it.
const TREND: u16 = 2;

/// The numbers, and where they end.
pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, heap: &Heap, model: &Model) -> u16 {
    let styles = canvas.theme.styles;
    canvas.text(area.x, area.y, "figures", styles.strong);
    let size = heap.range.size();
    let share =
        |bytes: u32| units::percent(bytes.into(), size.into()).map_or(String::new(), |part| format!("{part} %"));
    let number = |bytes: Option<u32>| bytes.map_or_else(|| "-".to_owned(), |bytes| units::bytes(bytes.into()));
    let plain = |count: Option<u32>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    let part = |bytes: Option<u32>| bytes.map_or_else(String::new, share);
    let (used, peak) = (heap.used.map(|used| used.bytes), heap.peak.map(|peak| peak.bytes));
    let largest = heap.largest_free.map(|largest| largest.bytes);
    let place = heap.holes().into_iter().flatten().max_by_key(|hole| hole.size()).map(Region::start);
    let failed = heap.failed_size.map_or_else(String::new, |size| format!("last {}", units::bytes(size.into())));
    let trust = heap.used.map(|used| used.trust);
    // What was exact a moment ago is told with the moment: it is as good as it ever was.
    let (trust, ago) = match (trust, heap.walked) {
        (Some(Trust::Stale), Some(walked)) => {
            (Some(Trust::Exact), format!("{} ago", units::age(model.snapshot.at.saturating_sub(walked))))
        }
        (trust, _) => (trust, String::new()),
    };
    let each_second = heap.alloc_rate.map_or_else(String::new, |rate| format!("{rate:.1}/s"));
    let rows = [
        ("used", number(used), part(used)),
        ("peak", number(peak), part(peak)),
        ("free", number(heap.free()), part(heap.free())),
        ("largest free", number(largest), place.map_or_else(String::new, |at| units::address(at.into()))),
        (
            "fragmentation",
            heap.fragmentation().map_or_else(|| "-".to_owned(), |share| format!("{share:.2}")),
            String::new(),
        ),
        ("blocks", plain(heap.in_use), heap.holes().map_or_else(String::new, |holes| format!("{} free", holes.len()))),
        ("overhead", number(heap.overhead), String::new()),
        ("allocations", plain(heap.allocations), each_second),
        ("failures", plain(heap.failures), failed),
        ("trust", trust.map_or("-", report::trust).to_owned(), ago),
    ];
    let mut y = area.y + 1;
    for (name, value, aside) in rows {
        let is_past = name == "fragmentation" && is_fragmented(heap, model);
        canvas.text(area.x, y, name, styles.muted);
        canvas.right(area.x + 26, y, &value, if is_past { styles.danger_text } else { styles.ink });
        canvas.text(area.x + 28, y, &aside, styles.muted);
        y += 1;
    }
    trend(canvas, Rect { y: y + 1, height: TREND, ..area }, heap, model)
}

/// How much of the heap was in use in the last minute, and where the picture of it ends.
fn trend(canvas: &mut Canvas<'_>, area: Rect, heap: &Heap, model: &Model) -> u16 {
    const LABEL: u16 = 6;
    let Some(series) = model.history.series(Quantity::Used, &heap.id()).filter(|series| series.last().is_some()) else {
        return area.y;
    };
    let columns = series.highest(model.snapshot.at, SPAN, usize::from(area.width.saturating_sub(LABEL)));
    let lines = bar::history(&columns, heap.range.size().into(), area.height, canvas.theme);
    canvas.text(area.x, area.y, "60 s", canvas.theme.styles.muted);
    for (line, y) in lines.iter().zip(area.top()..) {
        canvas.text(area.x + LABEL, y, line, canvas.theme.styles.level);
    }
    area.bottom()
}

/// Whether what is free lies in pieces, past its limit.
fn is_fragmented(heap: &Heap, model: &Model) -> bool {
    heap.fragmentation_percent().is_some_and(|percent| percent >= model.limits().fragmentation_percent)
}
