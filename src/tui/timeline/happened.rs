//! Events: their lane above the picture, and their list below it.

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::model::Model;
use crate::model::event::{Event, EventKind};
use crate::model::history::Span;
use crate::tui::paint::{self, Canvas, count, fit, safe};
use crate::tui::theme::{Glyphs, Theme};
use crate::units;

/// The glyph of a kind of event.
pub(super) fn glyph(kind: EventKind, glyphs: &Glyphs) -> &'static str {
    match kind {
        EventKind::AlertBegan(_) => "!",
        EventKind::AlertEnded => glyphs.over,
        EventKind::Reset | EventKind::Rebuilt => glyphs.reset,
        EventKind::LinkLost | EventKind::LinkBack => glyphs.hatch,
        EventKind::Mark { .. } => glyphs.wave,
        EventKind::Started => glyphs.live,
        EventKind::Gone => glyphs.gone,
    }
}

fn style(kind: EventKind, theme: &Theme) -> Style {
    match kind {
        EventKind::AlertBegan(_) => theme.styles.danger_text,
        _ => theme.styles.strong,
    }
}

/// The lane: one glyph for each cell in which something happened, the most important of them.
pub(super) fn draw_lane(canvas: &mut Canvas<'_>, area: Rect, model: &Model, span: Span) {
    let mut cells: Vec<Option<EventKind>> = vec![None; usize::from(area.width)];
    for event in model.events.iter().filter(|event| span.contains(event.at)) {
        let column = usize::try_from(span.column(event.at, cells.len())).unwrap_or(usize::MAX);
        if let Some(cell) = cells.get_mut(column) {
            *cell = Some(cell.map_or(event.kind, |other| other.min(event.kind)));
        }
    }
    let mut named: Vec<&str> = Vec::new();
    for (at, kind) in cells.iter().enumerate() {
        let Some(kind) = *kind else { continue };
        let x = area.x + count(at);
        let end = canvas.text(x, area.y, glyph(kind, &canvas.theme.glyphs), style(kind, canvas.theme));
        // The first of a kind says what it is, where there is room up to the next one.
        let next = cells.iter().skip(at + 1).position(Option::is_some).map_or(area.right(), |more| x + 1 + count(more));
        if !named.contains(&kind.word()) && end + 2 + paint::width(kind.word()) <= next {
            canvas.text(end + 1, area.y, kind.word(), canvas.theme.styles.muted);
            named.push(kind.word());
        }
    }
}

/// One line of the list: an event, or threads that started in one refresh.
struct Row<'a> {
    event: &'a Event,
    text: String,
}

/// The rows within a span, the newest first.
fn rows(model: &Model, span: Span) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for event in model.events.iter().filter(|event| span.contains(event.at)) {
        let together = |row: &&mut Row<'_>| {
            event.kind == EventKind::Started && row.event.kind == EventKind::Started && row.event.at == event.at
        };
        if let Some(row) = rows.last_mut().filter(together) {
            let names = row.text.strip_suffix(" started").unwrap_or(&row.text);
            row.text = format!("{names}, {} started", event.subject);
            continue;
        }
        let calls = event.calls.as_ref().map_or_else(String::new, |calls| format!(", in {}", calls.join(" < ")));
        rows.push(Row { event, text: format!("{}{calls}", event.text) });
    }
    rows.reverse();
    rows
}

/// The list below the picture, with what was last before the cursor in sight.
pub(super) fn draw_list(canvas: &mut Canvas<'_>, area: Rect, model: &Model, span: Span, cursor: Option<Duration>) {
    let styles = canvas.theme.styles;
    if area.height < 2 {
        return;
    }
    let rows = rows(model, span);
    let many = format!("{} in {}", rows.len(), units::span(span.length()));
    let x = canvas.text(area.x, area.y, "events", styles.strong) + 1;
    let end = area.right().saturating_sub(paint::width(&many) + 1);
    canvas.fill(x, end, area.y, canvas.theme.glyphs.frame.horizontal, styles.muted);
    canvas.right(area.right(), area.y, &many, styles.muted);
    if rows.is_empty() {
        canvas.text(area.x + 2, area.y + 1, "nothing happened in this time", styles.muted);
        return;
    }
    let at = cursor.and_then(|cursor| rows.iter().position(|row| row.event.at <= cursor));
    let visible = usize::from(area.height - 1);
    let offset = crate::tui::table::offset(at, rows.len(), visible);
    for ((index, row), y) in rows.iter().enumerate().skip(offset).zip(area.y + 1..area.bottom()) {
        let kind = row.event.kind;
        let time = units::clock(row.event.at);
        let time_style = if at == Some(index) { styles.chip } else { styles.muted };
        canvas.right(area.x + 10, y, &time, time_style);
        canvas.text(area.x + 12, y, glyph(kind, &canvas.theme.glyphs), style(kind, canvas.theme));
        let word = if matches!(kind, EventKind::AlertBegan(_)) { styles.danger_text } else { styles.ink };
        canvas.text(area.x + 14, y, kind.word(), word);
        let room = area.right().saturating_sub(area.x + 26);
        let text = safe(&row.text, canvas.theme);
        canvas.text(area.x + 26, y, &fit(&text, room, canvas.theme), styles.ink);
    }
}
