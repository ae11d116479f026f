//! Screen 2: all stacks on bars that compare, the fullest first, and the selected one at full width.
//!
//! ```text
//!   stack        size  first use → limit                   now   peak ▾  margin  trust      last 60 s
//! ────────────────────────────────────────────────────────────────────────────────────────────────────
//! ! growth     4096 B  ███▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▼▌◇ 89 % !  412 B   3656 B   440 B  exact      ▂▂▄▄▄▅▅▆▇▇
//!   comms      2048 B  ████▒▒▒▒▒▒▼▌··◇·········· 41 %    296 B    840 B  1208 B  exact      ▃▃▃▃▃▃▃▃▃▃
//! ```

pub(crate) mod choose;
mod columns;
mod panel;

use ratatui::layout::Rect;

use super::frame::Density;
use super::lookup::{self, Condition};
use super::paint::{self, Canvas};
use super::state::State;
use super::table;
use super::theme::Theme;
use crate::model::Model;
use crate::model::snapshot::Stack;

pub use columns::Sort;
use columns::columns;

/// One stack with what its cells are made of.
pub(crate) struct Row<'a> {
    stack: &'a Stack,
    model: &'a Model,
    condition: Condition,
    limit: u8,
    selected: bool,
}

/// The stacks to show, in order.
pub(crate) fn rows<'a>(model: &'a Model, state: &State) -> Vec<Row<'a>> {
    let limit = state.stack_limit;
    let selected = state.selected_stack(&model.snapshot).map(|stack| stack.id.as_str());
    let filter = state.stacks.filter.to_lowercase();
    let mut rows: Vec<Row<'a>> = model
        .snapshot
        .stacks
        .iter()
        .filter(|stack| stack.name.to_lowercase().contains(&filter))
        .map(|stack| Row {
            stack,
            model,
            condition: Condition::of(stack, limit),
            limit,
            selected: selected == Some(stack.id.as_str()),
        })
        .collect();
    if let Some(column) = columns().iter().find(|column| column.key == state.stacks.sort) {
        rows.sort_by(|one, other| {
            // Stacks that are equal keep their order in memory, so that rows do not jump.
            table::compare(column, state.stacks.direction, one, other)
                .then_with(|| one.stack.range.cmp(&other.stack.range))
        });
    }
    rows
}

/// The ids of the stacks in the order of the screen.
pub(crate) fn order(model: &Model, state: &State) -> Vec<String> {
    rows(model, state).iter().map(|row| row.stack.id.clone()).collect()
}

/// The columns that can sort, in the order of the screen.
pub(crate) fn sorts(model: &Model, state: &State, cells: u16) -> Vec<Sort> {
    let rows = rows(model, state);
    let columns = visible(state);
    let placed = table::place(&columns, &rows, 0, cells, 1);
    placed.iter().filter(|placed| placed.column.rank.is_some()).map(|placed| placed.column.key).collect()
}

/// The columns that the user has not hidden.
fn visible<'a>(state: &State) -> Vec<table::Column<Sort, Row<'a>>> {
    columns().into_iter().filter(|column| !state.stacks.hidden.contains(&column.key)).collect()
}

/// Where things stand.
struct Layout {
    header: u16,
    rule: Option<u16>,
    rows: Rect,
    step: u16,
    offset: usize,
    totals: Option<Rect>,
    panel: Option<Rect>,
}

fn layout(body: Rect, density: Density, rows: &[Row<'_>]) -> Layout {
    let roomy = density >= Density::Normal && body.height >= 24;
    let panel_height = match density {
        Density::Small => 0,
        Density::Narrow => 5,
        Density::Normal | Density::Wide => 7,
    };
    let rule = u16::from(roomy);
    // The header, its rule, the table's other rule and the totals.
    let around = 1 + 2 * rule + u16::from(roomy);
    let above = body.height.saturating_sub(panel_height + u16::from(roomy));
    let room = above.saturating_sub(around);
    let count = paint::count(rows.len());
    let step = if roomy && count.saturating_mul(2) <= room + 1 { 2 } else { 1 };
    let used = (count.saturating_mul(step)).saturating_sub(step - 1).min(room);
    let area = Rect { y: body.y + 1 + rule, height: used, ..body };
    let cursor = rows.iter().position(|row| row.selected);
    let visible = usize::from(used.div_ceil(step));
    let totals = roomy.then_some(Rect { y: area.bottom(), height: 2, ..body });
    let top = totals.map_or(area.bottom(), |totals| totals.bottom() + 1);
    let panel = (panel_height > 0 && body.height > 12).then(|| {
        let y = if roomy { top } else { body.bottom().saturating_sub(panel_height).max(top) };
        Rect { y, height: body.bottom().saturating_sub(y), ..body }
    });
    Layout {
        header: body.y,
        rule: roomy.then_some(body.y + 1),
        rows: area,
        step,
        offset: table::offset(cursor, rows.len(), visible),
        totals,
        panel,
    }
}

/// Draws the screen.
pub(crate) fn draw(canvas: &mut Canvas<'_>, body: Rect, density: Density, model: &Model, state: &State) {
    let styles = canvas.theme.styles;
    let rows = rows(model, state);
    let layout = layout(body, density, &rows);
    let columns = visible(state);
    let placed = table::place(&columns, &rows, body.x, body.width, 1);
    table::header(canvas, &placed, layout.header, Some((state.stacks.sort, state.stacks.direction)));
    let horizontal = canvas.theme.glyphs.frame.horizontal;
    if let Some(y) = layout.rule {
        canvas.fill(body.x, body.right(), y, horizontal, styles.muted);
    }
    if rows.is_empty() {
        let text = if state.stacks.filter.is_empty() { "no stack is known" } else { "no stack has such a name" };
        canvas.text(body.x + 2, layout.rows.y + 1, text, styles.muted);
        return;
    }
    let ys = (layout.rows.top()..layout.rows.bottom()).step_by(usize::from(layout.step));
    for (row, y) in rows.iter().skip(layout.offset).zip(ys) {
        table::row(canvas, &placed, y, row);
    }
    if let Some(area) = layout.totals {
        canvas.fill(body.x, body.right(), area.y, horizontal, styles.muted);
        totals(canvas, area.y + 1, &placed, &rows, state);
    }
    if let (Some(area), Some(row)) = (layout.panel, rows.iter().find(|row| row.selected).or(rows.first())) {
        panel::draw(canvas, area, density, row);
    }
}

fn totals(
    canvas: &mut Canvas<'_>,
    y: u16,
    placed: &[table::Placed<'_, Sort, Row<'_>>],
    rows: &[Row<'_>],
    state: &State,
) {
    let muted = canvas.theme.styles.muted;
    let sum = |of: fn(&Stack) -> u32| rows.iter().map(|row| u64::from(of(row.stack))).sum::<u64>();
    for place in placed {
        let text = match place.column.key {
            Sort::Name if rows.len() == 1 => "1 stack".to_owned(),
            Sort::Name => format!("{} stacks", rows.len()),
            Sort::Size => crate::units::bytes(sum(|stack| stack.range.size())),
            Sort::Margin => crate::units::bytes(sum(|stack| stack.margin().unwrap_or(0))),
            Sort::Bar if !state.stacks.filter.is_empty() => {
                let text = format!("filter: {}", state.stacks.filter);
                canvas.text(place.x, y, &paint::fit(&text, place.cells, canvas.theme), canvas.theme.styles.strong);
                continue;
            }
            _ => continue,
        };
        match place.column.side {
            table::Side::Left => {
                canvas.text(place.x + 2, y, &text, muted);
            }
            table::Side::Right => canvas.right(place.x + place.cells, y, &text, muted),
        }
    }
}

/// The id of the stack at a cell.
pub(crate) fn hit(body: Rect, density: Density, model: &Model, state: &State, y: u16) -> Option<String> {
    let rows = rows(model, state);
    let layout = layout(body, density, &rows);
    let line = y.checked_sub(layout.rows.y).filter(|_| y < layout.rows.bottom())?;
    rows.get(layout.offset + usize::from(line / layout.step)).map(|row| row.stack.id.clone())
}

/// The legend's entries.
pub(crate) fn legend(theme: &Theme, model: &Model) -> Vec<(String, ratatui::style::Style, String)> {
    let (glyphs, styles) = (&theme.glyphs, &theme.styles);
    let mut entries = vec![
        (glyphs.used.repeat(2), styles.level, "in use now".to_owned()),
        (glyphs.touched.repeat(2), styles.level, "touched before".to_owned()),
        (glyphs.line.to_owned(), styles.strong, "high water".to_owned()),
        (glyphs.never.repeat(2), styles.muted, "never touched".to_owned()),
        (glyphs.lowest.to_owned(), styles.strong, "lowest SP".to_owned()),
    ];
    if model.snapshot.stacks.iter().any(|stack| stack.worst_case.is_some()) {
        entries.push((glyphs.worst.to_owned(), styles.strong, "static worst case".to_owned()));
    }
    entries
}

fn just_grown(row: &Row<'_>) -> bool {
    lookup::just_grown(row.model, row.stack)
}
