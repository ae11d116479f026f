//! The calls whose return addresses were found, in the order in which the stack grows.

use ratatui::layout::{Position, Rect};

use super::View;
use super::calls::{self, Call};
use super::layout::Layout;
use crate::model::snapshot::{Health, TracePlace};
use crate::tui::paint::{self, Canvas, fit};
use crate::tui::table;
use crate::units;

/// One line of the list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// A call, by its number.
    Call(usize),
    /// The SP: calls above it have not returned.
    Sp,
    /// The high-water line, below all.
    HighWater,
}

/// All lines, cut at the SP and at the high-water line.
fn lines(view: &View<'_>, calls: &[Call<'_>]) -> Vec<Line> {
    let now = calls.iter().take_while(|call| call.trace().place == TracePlace::Now).count();
    let mut lines: Vec<Line> = (0..calls.len()).map(Line::Call).collect();
    if view.now.is_some() {
        lines.insert(now, Line::Sp);
    }
    if view.peak.is_some() {
        lines.push(Line::HighWater);
    }
    lines
}

/// The lines in sight with their places: down the first column, then down the next.
fn placed(layout: &Layout, view: &View<'_>, calls: &[Call<'_>], selected: Option<usize>) -> Vec<(Line, Rect)> {
    let lines = lines(view, calls);
    let (height, columns) = (usize::from(layout.list.height), usize::from(layout.columns.max(1)));
    let cursor = selected.and_then(|call| lines.iter().position(|line| *line == Line::Call(call)));
    let first = table::offset(cursor, lines.len(), height * columns);
    let gap = 3 * (layout.columns.max(1) - 1);
    let width = layout.list.width.saturating_sub(gap) / layout.columns.max(1);
    let place = |at: usize| Rect {
        x: layout.list.x + paint::count(at / height.max(1)) * (width + gap),
        y: layout.list.y + paint::count(at % height.max(1)),
        width,
        height: 1,
    };
    lines.into_iter().skip(first).take(height * columns).enumerate().map(|(at, line)| (line, place(at))).collect()
}

/// Draws the list, or why there is none.
pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    layout: &Layout,
    view: &View<'_>,
    calls: &[Call<'_>],
    selected: Option<usize>,
) {
    let styles = canvas.theme.styles;
    if layout.list.height == 0 {
        return;
    }
    if let Some(words) = nothing(view, calls) {
        let lines = paint::wrap(words, layout.list.width.max(1));
        for (line, y) in lines.iter().zip(layout.list.top()..layout.list.bottom()) {
            canvas.text(layout.list.x, y, line, styles.muted);
        }
        return;
    }
    for (line, place) in placed(layout, view, calls, selected) {
        let (glyphs, bytes) = (canvas.theme.glyphs, |bytes: u32| units::bytes(bytes.into()));
        match line {
            Line::Call(call) => draw_call(canvas, place, &calls[call], selected == Some(call)),
            Line::Sp => cut(canvas, place, glyphs.lowest, "SP now", &bytes(view.now.unwrap_or(0))),
            Line::HighWater => cut(canvas, place, glyphs.line, "high water", &bytes(view.peak.unwrap_or(0))),
        }
    }
    if let Some(note) = layout.note {
        let used = paint::count(lines(view, calls).len()).min(layout.list.height);
        let y = layout.list.y + used + 1;
        let lines = paint::wrap(&about(view, calls), note.width.max(1));
        for (line, y) in lines.iter().zip(y..note.bottom()) {
            canvas.text(note.x, y, line, styles.muted);
        }
    }
}

/// Why there is no list.
fn nothing(view: &View<'_>, calls: &[Call<'_>]) -> Option<&'static str> {
    match view.words {
        None if view.snapshot.health == Health::Static => Some("no target to read the words from"),
        None => Some("reading..."),
        Some(_) if calls.is_empty() => Some("no return address is found in these words"),
        Some(_) => None,
    }
}

/// What the list is worth.
fn about(view: &View<'_>, calls: &[Call<'_>]) -> String {
    let all: usize = calls.iter().map(|call| call.traces.len()).sum();
    let chain: usize = calls.iter().map(|call| call.traces.iter().filter(|trace| trace.in_chain).count()).sum();
    let sp = if view.now.is_none() { "SP unknown: it cannot be told without stopping the core. " } else { "" };
    format!("{sp}likely the deepest chain, {chain} of {all} are in order")
}

fn draw_call(canvas: &mut Canvas<'_>, place: Rect, call: &Call<'_>, selected: bool) {
    let styles = canvas.theme.styles;
    let trace = call.trace();
    let style = match (selected, trace.in_chain, trace.place) {
        (true, ..) => styles.chip,
        (_, _, TracePlace::Now) => styles.strong,
        (_, true, _) => styles.ink,
        (_, false, _) => styles.muted,
    };
    let times = if canvas.theme.glyphs.ascii { "x" } else { "×" };
    let count = match call.traces.len() {
        1 => String::new(),
        levels => format!(" {times}{levels}"),
    };
    // The letter before it, and the frame after it: `456 B`.
    let room = place.width.saturating_sub(3 + paint::width(&count) + 8);
    let name = fit(&calls::name(trace, room.into()), room, canvas.theme);
    canvas.text(place.x, place.y, &call.letter.to_string(), styles.chip);
    let text = if selected { format!(" {name}{count} ") } else { format!("{name}{count}") };
    canvas.text(place.x + 2 - u16::from(selected), place.y, &text, style);
    canvas.right(place.right().saturating_sub(2), place.y, &call.frame().to_string(), styles.ink);
    canvas.right(place.right(), place.y, " B", styles.muted);
}

fn cut(canvas: &mut Canvas<'_>, place: Rect, mark: &str, word: &str, bytes: &str) {
    let (styles, glyphs) = (canvas.theme.styles, canvas.theme.glyphs);
    let x = canvas.text(place.x, place.y, mark, styles.strong);
    let x = canvas.text(x + 1, place.y, word, styles.strong);
    let end = place.right().saturating_sub(paint::width(bytes) + 1);
    canvas.fill(x + 1, end, place.y, glyphs.frame.horizontal, styles.muted);
    canvas.right(place.right(), place.y, bytes, styles.muted);
}

/// The call at a cell.
pub(super) fn hit(
    layout: &Layout,
    view: &View<'_>,
    calls: &[Call<'_>],
    selected: Option<usize>,
    at: Position,
) -> Option<usize> {
    placed(layout, view, calls, selected).into_iter().find_map(|(line, place)| match line {
        Line::Call(call) if place.contains(at) => Some(call),
        _ => None,
    })
}
