//! The stack's high-water marks over time, the newest first, with whoever was caught setting one.
//!
//! ```text
//! marks ─────────────────────────────────────
//! 01:14   3656 B   +560  descend, growth.rs:36
//! 00:02   2256 B  +2160  seen by its paint
//! ```

use std::time::Duration;

use ratatui::layout::Rect;

use crate::model::Model;
use crate::model::catch::{Catch, CatchKind};
use crate::model::event::EventKind;
use crate::tui::paint::{self, Canvas, fit};
use crate::units::{self, without_paths};

/// Cells from which on there is room to say how much deeper each mark is.
const ROOMY: u16 = 40;

/// One mark.
struct Mark {
    at: Duration,
    bytes: u32,
    /// Above the mark before, in bytes; `None` when that was not seen.
    more: Option<u32>,
    /// Who set it: a function, and its line where there is room.
    by: Option<String>,
}

/// The marks of a stack that were seen: by the tripwire where it caught them, by paint otherwise.
fn marks(model: &Model, stack: &str) -> Vec<Mark> {
    let caught = |catch: &&Catch| {
        catch.stack == stack
            && matches!(catch.kind, CatchKind::Mark | CatchKind::Missed)
            && catch.epoch == model.snapshot.epoch
    };
    let catches = model.snapshot.tripwire.iter().flat_map(|tripwire| &tripwire.catches).filter(caught);
    let by = |catch: &Catch| {
        // Who saves a thread's registers is not to blame for how deep the thread is.
        let call = catch.chain.iter().find(|call| call.interrupted).or_else(|| catch.culprit())?;
        let function = without_paths(&call.function);
        Some(call.place().map_or_else(
            || function.clone(),
            |place| format!("{function}, {}", place.rsplit('/').next().unwrap_or(&place)),
        ))
    };
    let mut marks: Vec<Mark> = catches
        .filter_map(|catch| Some(Mark { at: catch.at, bytes: catch.depth?, more: None, by: by(catch) }))
        .collect();
    for event in model.events.marks(stack).filter(|event| event.epoch == model.snapshot.epoch) {
        let EventKind::Mark { from, to } = event.kind else { continue };
        if !marks.iter().any(|mark| (from + 1..=to).contains(&mark.bytes)) {
            marks.push(Mark { at: event.at, bytes: to, more: to.checked_sub(from), by: None });
        }
    }
    marks.sort_by_key(|mark| std::cmp::Reverse((mark.bytes, mark.at)));
    for at in 1..marks.len() {
        let before = marks[at].bytes;
        let newer = &mut marks[at - 1];
        newer.more = newer.more.or_else(|| newer.bytes.checked_sub(before));
    }
    marks
}

/// How many rows they would like to have, their title included; none when no mark was seen to move.
pub(super) fn wanted(model: &Model, stack: &str) -> u16 {
    match marks(model, stack).len() {
        0 => 0,
        rows => paint::count(rows).saturating_add(1),
    }
}

/// Draws as many as there is room for.
pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model, stack: &str) {
    let styles = canvas.theme.styles;
    let marks = marks(model, stack);
    if area.height < 2 || marks.is_empty() {
        return;
    }
    let x = canvas.text(area.x, area.y, "marks", styles.strong);
    canvas.fill(x + 1, area.right(), area.y, canvas.theme.glyphs.frame.horizontal, styles.muted);
    let rows = usize::from(area.height - 1);
    // The last row tells of what has none.
    let shown = if marks.len() > rows { rows.saturating_sub(1) } else { marks.len() };
    for (mark, y) in marks.iter().take(shown).zip(area.y + 1..) {
        let x = canvas.text(area.x, y, &units::clock(mark.at), styles.muted).max(area.x + 5);
        let mut x = x + 9;
        canvas.right(x, y, &units::bytes(mark.bytes.into()), styles.ink);
        if let (Some(more), true) = (mark.more, area.width >= ROOMY) {
            x += 7;
            canvas.right(x, y, &format!("+{more}"), styles.muted);
        }
        let (by, style) = match &mark.by {
            Some(by) => (by.as_str(), styles.strong),
            None => ("seen by its paint", styles.muted),
        };
        canvas.text(x + 2, y, &fit(by, area.right().saturating_sub(x + 2), canvas.theme), style);
    }
    if marks.len() > shown {
        let text = format!("and {} before", marks.len() - shown);
        canvas.text(area.x, area.bottom() - 1, &fit(&text, area.width, canvas.theme), styles.muted);
    }
}
