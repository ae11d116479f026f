//! Which columns the stacks have: a box over the screen.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::columns::{Sort, columns};
use crate::model::Model;
use crate::tui::overlay;
use crate::tui::paint::Canvas;
use crate::tui::state::{StacksState, State};

/// The columns that can be hidden, from left to right: a stack without its name says nothing.
fn choices() -> Vec<Sort> {
    columns().into_iter().map(|column| column.key).filter(|key| *key != Sort::Name).collect()
}

/// How many columns can be hidden.
pub(crate) fn count() -> usize {
    choices().len()
}

/// Hides the column of this number, or shows it again.
pub(crate) fn toggle(state: &mut StacksState, index: usize) {
    let Some(key) = choices().get(index).copied() else { return };
    match state.hidden.iter().position(|hidden| *hidden == key) {
        Some(at) => {
            state.hidden.remove(at);
        }
        None => state.hidden.push(key),
    }
}

/// Draws the box.
pub(crate) fn draw(canvas: &mut Canvas<'_>, body: Rect, cursor: usize, model: &Model, state: &State) {
    let styles = canvas.theme.styles;
    let rows = super::rows(model, state);
    let mut lines = Vec::new();
    for (index, key) in choices().into_iter().enumerate() {
        let Some(column) = columns().into_iter().find(|column| column.key == key) else { continue };
        let shown = !state.stacks.hidden.contains(&key);
        let note = if !shown {
            String::new()
        } else if !(column.wanted)(&rows) {
            "nothing to show in it".to_owned()
        } else if body.width < column.from {
            format!("needs {} columns", column.from)
        } else {
            String::new()
        };
        let mark = if shown { "[x]" } else { "[ ]" };
        let style = if index == cursor { styles.chip } else { styles.ink };
        lines.push(Line::from(vec![
            Span::styled(format!("{mark} "), styles.strong),
            Span::styled(format!(" {} ", column.title.trim()), style),
            Span::styled(format!("  {note}"), styles.muted),
        ]));
    }
    lines.push(Line::default());
    let keys = format!("{} move  space switch  Esc close", canvas.theme.glyphs.move_keys);
    lines.push(Line::from(Span::styled(keys, styles.muted)));
    // The box scrolls so far that the cursor is in it.
    let inside = body.height.saturating_sub(2);
    let scroll = u16::try_from(cursor + 1).unwrap_or(u16::MAX).saturating_sub(inside);
    overlay::draw(canvas, body, "columns of the stacks", &lines, scroll);
}
