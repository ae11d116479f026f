//! The list of the series, with their values at the cursor and now.

use ratatui::layout::Rect;
use ratatui::text::Span as Text;

use super::View;
use super::lines::Line;
use crate::model::history::Column;
use crate::tui::paint::{self, Canvas, fit, spread};
use crate::tui::state::State;
use crate::tui::table;
use crate::tui::timeline::Values;
use crate::units;

/// Lines below the list about the selected series.
const ABOUT: u16 = 4;

/// Cells of a share: `100 %`.
const SHARE: u16 = 5;
/// Cells of a difference: `-12345 B`.
const CHANGE: u16 = 9;
/// Cells of a pane whose columns have room between them.
const ROOMY: u16 = 32;

/// Where the last column begins.
fn last_start(row: Rect, difference: bool) -> u16 {
    row.right().saturating_sub(if difference { CHANGE } else { SHARE })
}

/// Where the values at the cursor end.
fn cursor_end(row: Rect, difference: bool) -> u16 {
    last_start(row, difference).saturating_sub(if row.width < ROOMY { 1 } else { 4 })
}

/// Where things stand in the pane.
struct Places {
    /// The series that are drawn, with their values.
    drawn: Rect,
    /// All series, to choose from.
    all: Rect,
    about: Rect,
}

fn places(area: Rect, view: &View<'_>) -> Places {
    let about = if area.height >= 16 { ABOUT + 1 } else { 0 };
    let room = area.height.saturating_sub(1 + about);
    let count = paint::count(view.lines.iter().filter(|line| line.letter.is_some()).count());
    let drawn = Rect { y: area.y + 1, height: count.min(room / 2), ..area };
    let rule = u16::from(drawn.height > 0);
    let all = Rect { y: drawn.bottom() + rule, height: room.saturating_sub(drawn.height + rule), ..area };
    let about = Rect { y: all.bottom() + 1, height: about.saturating_sub(1), ..area };
    Places { drawn, all, about }
}

/// Where the rows to choose from are, and the first of them in sight.
pub(super) fn rows(area: Rect, view: &View<'_>) -> (Rect, usize) {
    let all = places(area, view).all;
    (all, table::offset(view.selected, view.lines.len(), usize::from(all.height)))
}

/// Draws it.
pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, view: &View<'_>, state: &State) {
    let styles = canvas.theme.styles;
    let difference = state.values == Values::Difference;
    let last = if difference { "change" } else { "now" };
    let cursor = match view.cursor {
        Some(_) if area.width < ROOMY => "cursor",
        Some(_) => "at cursor",
        None => "",
    };
    canvas.text(area.x, area.y, "series", styles.muted);
    canvas.right(cursor_end(area, difference), area.y, cursor, styles.strong);
    canvas.right(area.right(), area.y, last, if difference { styles.strong } else { styles.muted });
    let places = places(area, view);
    let drawn = view.lines.iter().filter(|line| line.letter.is_some());
    for (line, y) in drawn.zip(places.drawn.top()..places.drawn.bottom()) {
        draw_row(canvas, Rect { y, height: 1, ..area }, view, line, false, difference);
    }
    let horizontal = canvas.theme.glyphs.frame.horizontal;
    if places.drawn.height > 0 {
        canvas.fill(area.x, area.right(), places.drawn.bottom(), horizontal, styles.muted);
        canvas.text(area.x + 2, places.drawn.bottom(), &format!(" all {} ", view.lines.len()), styles.muted);
    }
    let (place, offset) = rows(area, view);
    for ((index, line), y) in view.lines.iter().enumerate().skip(offset).zip(place.top()..place.bottom()) {
        draw_row(canvas, Rect { y, height: 1, ..place }, view, line, view.selected == Some(index), difference);
    }
    if places.about.height > 0
        && let Some(line) = view.selected.and_then(|selected| view.lines.get(selected))
    {
        about(canvas, places.about, view, line);
    }
}

fn percent(line: &Line<'_>, value: f64) -> String {
    format!("{:.0} %", line.kept.percent(value))
}

fn draw_row(canvas: &mut Canvas<'_>, row: Rect, view: &View<'_>, line: &Line<'_>, selected: bool, difference: bool) {
    let styles = canvas.theme.styles;
    let letter = line.letter.map_or_else(|| canvas.theme.glyphs.never.to_owned(), String::from);
    let letter_style = if line.danger { styles.danger_text } else { line.style };
    canvas.text(row.x, row.y, &letter, letter_style);
    let before = if view.cursor.is_some() {
        cursor_end(row, difference).saturating_sub(SHARE)
    } else {
        last_start(row, difference)
    };
    let room = before.saturating_sub(row.x + 3);
    let title = fit(&line.title(), room, canvas.theme);
    let ink = if line.letter.is_some() { styles.ink } else { styles.muted };
    let style = match (selected, line.danger && line.letter.is_some()) {
        (true, _) => styles.chip,
        (_, true) => styles.danger_text,
        _ => ink,
    };
    canvas.text(row.x + 2, row.y, &title, style);
    if let Some(value) = view.at_cursor(line) {
        canvas.right(cursor_end(row, difference), row.y, &percent(line, value), styles.strong);
    }
    let newest = line.kept.series.last().filter(|_| line.kept.series.ended().is_none());
    let text = match newest {
        Some(value) if difference => view.difference(line, value).unwrap_or_else(|| "-".to_owned()),
        Some(value) => percent(line, value.into()),
        None => "gone".to_owned(),
    };
    canvas.right(row.right(), row.y, &text, if line.danger { styles.danger_text } else { ink });
}

/// The selected series in its own unit.
fn about(canvas: &mut Canvas<'_>, area: Rect, view: &View<'_>, line: &Line<'_>) {
    let (styles, quantity) = (canvas.theme.styles, line.key.quantity);
    let ink = |text: String| Text::styled(text, styles.ink);
    let muted = |text: &str| Text::styled(text.to_owned(), styles.muted);
    let columns = line.columns(view.span, view.columns);
    let measured = || columns.iter().filter_map(Column::envelope);
    let range = measured().map(|one| one.least).min().zip(measured().map(|one| one.most).max());
    let mut lines = Vec::new();
    let whole = line.kept.whole.map_or_else(
        || format!("100 % is {}", quantity.text(line.kept.series.most().into())),
        |whole| format!("of {}", quantity.text(whole.into())),
    );
    let name = Text::styled(fit(&line.title(), area.width / 2, canvas.theme), styles.strong);
    lines.push(spread(vec![name], vec![muted(&whole)], area.width));
    if let Some(at) = line.kept.series.ended() {
        let age = units::duration(view.model.snapshot.at.saturating_sub(at));
        lines.push(spread(vec![muted("gone")], vec![ink(format!("{age} ago"))], area.width));
    } else if let Some(value) = line.kept.series.last() {
        lines.push(spread(vec![muted("now")], vec![ink(quantity.text(value.into()))], area.width));
    }
    match range {
        Some((least, most)) => {
            let text = format!("{} to {}", quantity.text(least.into()), quantity.text(most.into()));
            lines.push(spread(vec![muted("in sight")], vec![ink(text)], area.width));
        }
        None => lines.push(muted("not measured in this time").into()),
    }
    if let (Some(value), Some(cursor)) = (view.at_cursor(line), view.cursor) {
        let age = units::duration(view.model.snapshot.at.saturating_sub(cursor));
        let text = vec![ink(quantity.text(value))];
        lines.push(spread(vec![muted(&format!("{age} ago"))], text, area.width));
    }
    canvas.fill(area.x, area.right(), area.y.saturating_sub(1), canvas.theme.glyphs.frame.horizontal, styles.muted);
    let mut inside = Canvas::new(canvas.buffer, area, canvas.theme);
    inside.lines(area.x, area.y, &lines);
    debug_assert!(paint::count(lines.len()) <= ABOUT);
}
