//! What is in the function or static that is selected: its source line, its type, its fields with their values.
//!
//! ```text
//! src/kernel.rs:41
//! demo::kernel::Kernel
//!
//! values now
//! current          3
//! threads          8
//!   [0]            Ready
//! ```

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::paint::{self, Canvas, fit, safe, wrap};
use super::state::State;
use super::theme::Theme;
use super::{lookup, overlay};
use crate::inventory::owner::short;
use crate::inventory::tasks;
use crate::model::Model;
use crate::model::snapshot::{Health, Row, Trust};
use crate::region::Region;
use crate::units;

/// The most awaits of a task, and locals of an await, that are told.
const MOST_OF_TASK: usize = 4;
/// Cells from which on each field has its type beside it.
const TYPED: u16 = 60;

/// What can be shown of a function or static.
#[derive(Debug, Default)]
struct Shown {
    source: Option<String>,
    kind: Option<String>,
    /// What is in it when it is a task's.
    task: Vec<tasks::Row>,
    /// Where the values are from.
    heading: Option<String>,
    note: Option<&'static str>,
    rows: Vec<Row>,
}

fn shown(model: &Model, state: &State, range: Region) -> Shown {
    let shared = &state.symbols.shared;
    let snapshot = &model.snapshot;
    let Some(told) = shared.told(range) else {
        let heading = shared.can_tell().then(|| "reading the debug information ...".to_owned());
        return Shown { heading, ..Shown::default() };
    };
    let of_thing = Shown {
        source: told.source.as_ref().map(|(file, line)| format!("{file}:{line}")),
        kind: told.kind.clone(),
        task: told.task.as_ref().map(|task| task.rows(MOST_OF_TASK)).unwrap_or_default(),
        ..Shown::default()
    };
    if told.linked.is_empty() {
        return of_thing;
    }
    let in_ram = lookup::is_ram(snapshot, range);
    if !in_ram || snapshot.health == Health::Static {
        let what = if in_ram { "initial values, from the ELF" } else { "constants, from the ELF" };
        return Shown { heading: Some(what.to_owned()), rows: told.linked.clone(), ..of_thing };
    }
    let Some(values) = snapshot.values.as_ref().filter(|values| values.range == range) else {
        return Shown { heading: Some("reading its values ...".to_owned()), ..of_thing };
    };
    let heading = match &snapshot.health {
        Health::Live => "values now".to_owned(),
        Health::Saved => "values as they were saved".to_owned(),
        _ => format!("stale: values of {} ago", units::duration(snapshot.at.saturating_sub(values.at))),
    };
    let note = match values.trust {
        Trust::Torn => Some("It changed while it was read: its fields may not belong together."),
        _ if values.is_cut => Some("It is more than one refresh may read: some fields are not read."),
        _ => None,
    };
    Shown { heading: Some(heading), note, rows: values.rows.clone(), ..of_thing }
}

/// All that is known of what lies in `range`, as lines of so many cells.
pub(crate) fn lines(model: &Model, state: &State, range: Region, cells: u16, theme: &Theme) -> Vec<Line<'static>> {
    let styles = theme.styles;
    let shown = shown(model, state, range);
    let mut lines = Vec::new();
    let line = |text: String, style| Line::from(Span::styled(text, style));
    if let Some(source) = &shown.source {
        lines.push(line(paint::fit_path(source, cells, theme), styles.ink));
    }
    if let Some(kind) = &shown.kind {
        // A path has no spaces to break at.
        let kind = safe(&kind.replace("::", ":: "), theme);
        lines.extend(wrap(&kind, cells).into_iter().take(3).map(|text| line(text.replace(":: ", "::"), styles.muted)));
    }
    lines.extend(shown.task.iter().map(|row| of_task(row, cells, theme)));
    if let Some(heading) = &shown.heading {
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.push(line(fit(heading, cells, theme), styles.strong));
    }
    if let Some(note) = shown.note {
        lines.extend(wrap(note, cells).into_iter().map(|text| line(text, styles.danger_text)));
    }
    lines.extend(shown.rows.iter().map(|row| field(row, cells, theme)));
    lines
}

/// The first lines of them where there is no room for all, and how many more there are.
pub(crate) fn first(mut lines: Vec<Line<'static>>, most: usize, theme: &Theme) -> Vec<Line<'static>> {
    if lines.len() > most {
        let kept = most.saturating_sub(1);
        let more = format!("{} more lines: f shows all", lines.len() - kept);
        lines.truncate(kept);
        lines.push(Line::from(Span::styled(more, theme.styles.muted)));
    }
    lines
}

/// One field: its name, its type where there is room, its value.
fn field(row: &Row, cells: u16, theme: &Theme) -> Line<'static> {
    let styles = theme.styles;
    let column = |text: &str, width: u16| {
        let text = fit(text, width.saturating_sub(1), theme);
        let pad = " ".repeat(usize::from(width.saturating_sub(paint::width(&text))));
        text + &pad
    };
    let indent = " ".repeat(row.depth.saturating_sub(1).min(8) * 2);
    let (name_cells, kind_cells) = if cells >= TYPED { (cells * 3 / 10, cells * 3 / 10) } else { (cells * 9 / 20, 0) };
    let mut spans = vec![Span::styled(column(&format!("{indent}{}", row.name), name_cells), styles.muted)];
    if kind_cells > 0 {
        spans.push(Span::styled(column(&short(&row.kind), kind_cells), styles.muted));
    }
    let room = cells.saturating_sub(name_cells + kind_cells);
    spans.push(Span::styled(fit(&row.value, room, theme), styles.ink));
    Line::from(spans)
}

/// A task, one of its awaits, or what lives across it: its name, what it is, its bytes.
fn of_task(row: &tasks::Row, cells: u16, theme: &Theme) -> Line<'static> {
    let size = units::bytes(row.size.into());
    let room = cells.saturating_sub(paint::width(&size) + 1);
    let name = format!("{}{}  ", " ".repeat(row.depth * 2), row.name);
    let left = room.saturating_sub(paint::width(&name));
    // Of a place in the source the end says most.
    let note = if row.kind.is_empty() { paint::fit_path(&row.source, left, theme) } else { short(&row.kind) };
    let text = fit(&(name + &note), room, theme);
    let pad = " ".repeat(usize::from(room.saturating_sub(paint::width(&text))) + 1);
    let style = if row.depth == 0 { theme.styles.strong } else { theme.styles.muted };
    Line::from(vec![Span::styled(text + &pad, style), Span::styled(size, theme.styles.ink)])
}

/// Draws all of it in a box over the body, from line `scroll` on.
pub(crate) fn draw(canvas: &mut Canvas<'_>, body: Rect, scroll: u16, model: &Model, state: &State) {
    let Some(range) = state.thing(&model.snapshot) else { return };
    let cells = overlay::cells(body);
    let lines = lines(model, state, range, cells, canvas.theme);
    let inventory = state.symbols.shared.get();
    let thing = inventory.as_ref().and_then(|inventory| inventory.things.iter().find(|thing| thing.range == range));
    let title = thing.map_or_else(|| units::address(range.start().into()), |thing| thing.name.clone());
    overlay::draw(canvas, body, &paint::fit_path(&title, cells, canvas.theme), &lines, scroll);
}
