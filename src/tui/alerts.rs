//! Screen 6: what is wrong, and what was.
//!
//! ```text
//!                  began       ended  who           what
//!  ! DANGER     4.0 s ago       holds  growth        growth has 440 B of stack left. Next it overwrites ...
//!  i info        63 s ago    62 s ago  target        The target was reset.
//! ```

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::frame::Density;
use super::paint::{Canvas, count, fit, safe_sentence, width, wrap};
use super::state::State;
use super::table::{self, Column, Side, Width};
use super::theme::Theme;
use super::verdict::{self, Tone};
use crate::model::Model;
use crate::model::alert::Alert;
use crate::units;

struct Row<'a> {
    alert: &'a Alert,
    now: Duration,
    selected: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Severity,
    Since,
    Until,
    Subject,
    Text,
}

fn always(_: &[Row<'_>]) -> bool {
    true
}

const fn column<'a>(
    key: Key,
    title: &'static str,
    width: Width,
    from: u16,
    cell: for<'b> fn(&Row<'b>, u16, &Theme) -> Vec<Span<'static>>,
) -> Column<Key, Row<'a>> {
    let side = if matches!(key, Key::Since | Key::Until) { Side::Right } else { Side::Left };
    Column { key, title, width, side, from, wanted: always, cell, rank: None }
}

fn columns<'a>() -> [Column<Key, Row<'a>>; 5] {
    [
        column(Key::Severity, "", Width::Cells(12), 0, severity),
        column(Key::Since, "began", Width::Cells(10), 60, since),
        column(Key::Until, "ended", Width::Cells(10), 70, until),
        column(Key::Subject, "who", Width::Cells(12), 50, subject),
        column(Key::Text, "what", Width::Rest(10), 0, text),
    ]
}

fn severity(row: &Row<'_>, _: u16, theme: &Theme) -> Vec<Span<'static>> {
    let styles = &theme.styles;
    let (tone, chip) = verdict::chip(row.alert);
    let style = match tone {
        _ if !row.alert.is_news() => styles.muted,
        Tone::Danger => styles.danger_chip,
        Tone::Warning => styles.chip,
        Tone::Calm => styles.muted,
    };
    // Where there is no column for it, what is known says so here.
    let word = if row.alert.until.is_none() && row.alert.acknowledged.is_some() { "known" } else { chip };
    vec![Span::styled(format!(" {word} "), style)]
}

fn ago(row: &Row<'_>, at: Duration) -> String {
    format!("{} ago", units::duration(row.now.saturating_sub(at)))
}

fn since(row: &Row<'_>, _: u16, theme: &Theme) -> Vec<Span<'static>> {
    vec![Span::styled(ago(row, row.alert.since), theme.styles.ink)]
}

fn until(row: &Row<'_>, _: u16, theme: &Theme) -> Vec<Span<'static>> {
    match row.alert.until {
        Some(until) => vec![Span::styled(ago(row, until), theme.styles.muted)],
        None if row.alert.acknowledged.is_some() => vec![Span::styled("known", theme.styles.muted)],
        None => vec![Span::styled("holds", theme.styles.strong)],
    }
}

fn subject(row: &Row<'_>, cells: u16, theme: &Theme) -> Vec<Span<'static>> {
    let style = if row.selected { theme.styles.chip } else { theme.styles.ink };
    vec![Span::styled(fit(&row.alert.subject, cells, theme), style)]
}

fn text(row: &Row<'_>, cells: u16, theme: &Theme) -> Vec<Span<'static>> {
    let style = if row.alert.is_news() { theme.styles.ink } else { theme.styles.muted };
    vec![Span::styled(fit(&row.alert.text, cells, theme), style)]
}

/// Rows of the sentence in full, and of the hints.
const FOOT: u16 = 7;

fn layout(body: Rect, alerts: usize, cursor: usize) -> (Rect, usize) {
    let rows = Rect { y: body.y + 1, height: body.height.saturating_sub(1 + FOOT).max(1), ..body }.intersection(body);
    (rows, table::offset(Some(cursor), alerts, usize::from(rows.height)))
}

/// Draws the screen.
pub(crate) fn draw(canvas: &mut Canvas<'_>, body: Rect, density: Density, model: &Model, state: &State) {
    let styles = canvas.theme.styles;
    if model.alerts.is_empty() {
        empty(canvas, body, model, state);
        return;
    }
    let rows: Vec<Row<'_>> = model
        .alerts
        .iter()
        .enumerate()
        .map(|(index, alert)| Row { alert, now: model.snapshot.at, selected: index == state.alert })
        .collect();
    let gap = if density >= Density::Normal { 2 } else { 1 };
    let columns = columns();
    let placed = table::place(&columns, &rows, body.x, body.width, gap);
    table::header(canvas, &placed, body.y, None::<(Key, _)>);
    let (area, offset) = layout(body, rows.len(), state.alert);
    for (row, y) in rows.iter().skip(offset).zip(area.top()..area.bottom()) {
        table::row(canvas, &placed, y, row);
    }
    let mut y = (area.y + count(rows.len()) + 1).min(area.bottom() + 1);
    let room = placed.last().map_or(0, |placed| placed.cells);
    if let Some(row) = rows.get(state.alert).filter(|row| width(&row.alert.text) > room) {
        let sentence = safe_sentence(&row.alert.text, canvas.theme);
        for line in wrap(&sentence, body.width) {
            canvas.text(body.x, y.min(body.bottom()), &line, styles.strong);
            y += 1;
        }
    }
    hints(canvas, Rect { y: y + 1, height: body.bottom().saturating_sub(y + 1), ..body }, model);
}

fn hints(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for hint in &model.snapshot.hints {
        let hint = safe_sentence(hint, canvas.theme);
        lines.extend(wrap(&hint, area.width).into_iter().map(|line| Line::styled(line, canvas.theme.styles.muted)));
    }
    for (line, y) in lines.iter().zip(area.top()..area.bottom()) {
        for span in &line.spans {
            canvas.text(area.x, y, &span.content, canvas.theme.styles.muted);
        }
    }
}

/// Nothing is wrong and nothing was: say what is watched.
fn empty(canvas: &mut Canvas<'_>, body: Rect, model: &Model, state: &State) {
    let styles = canvas.theme.styles;
    let stacks = match model.snapshot.stacks.len() {
        1 => "1 stack: its guard, and a peak".to_owned(),
        many => format!("{many} stacks: their guards, and peaks"),
    };
    let heaps = match model.snapshot.heaps.len() {
        0 => "no heap".to_owned(),
        1 => "1 heap: failed allocations, and its peak".to_owned(),
        many => format!("{many} heaps: failed allocations, and their peaks"),
    };
    let limit = state.stack_limit;
    let lines = [
        format!("{stacks} of {limit} % and more"),
        heaps,
        "the target: resets, a heartbeat that stands still, another firmware than this ELF".to_owned(),
        "the link: whether it is there".to_owned(),
    ];
    canvas.text(body.x, body.y, "No alerts so far. Watched are", styles.ink);
    let mut y = body.y + 2;
    for text in &lines {
        for line in wrap(text, body.width.saturating_sub(2)) {
            canvas.text(body.x + 2, y, &line, styles.muted);
            y += 1;
        }
    }
    hints(canvas, Rect { y: y + 1, height: body.bottom().saturating_sub(y + 1), ..body }, model);
}

/// The alert at a cell.
pub(crate) fn hit(body: Rect, model: &Model, state: &State, y: u16) -> Option<usize> {
    let (area, offset) = layout(body, model.alerts.len(), state.alert);
    let line = y.checked_sub(area.y).filter(|_| y < area.bottom())?;
    Some(offset + usize::from(line)).filter(|index| *index < model.alerts.len())
}
