//! The help, over whatever screen is on: its keys, what the textures mean, and the hints.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::keys;
use super::overlay;
use super::paint::{self, Canvas, safe_sentence, wrap};
use super::state::{Screen, State};
use super::{detail, map, stacks, timeline};
use crate::model::Model;

/// Draws it over the body, from line `scroll` on.
pub(crate) fn draw(canvas: &mut Canvas<'_>, body: Rect, scroll: u16, model: &Model, state: &State) {
    let lines = lines(canvas, overlay::cells(body), model, state);
    overlay::draw(canvas, body, &format!("help: {}", state.screen.title()), &lines, scroll);
}

fn lines(canvas: &Canvas<'_>, cells: u16, model: &Model, state: &State) -> Vec<Line<'static>> {
    let (theme, styles) = (canvas.theme, canvas.theme.styles);
    let mut lines = Vec::new();
    for binding in keys::meant(state) {
        let keys: Vec<String> =
            state.keymap.keys(binding).into_iter().map(|key| keys::label(key, &theme.glyphs)).collect();
        if keys.is_empty() {
            continue;
        }
        lines.push(Line::from(vec![
            Span::styled(format!("{:<12}", keys.join("  ")), styles.strong),
            Span::styled(binding.help, styles.ink),
        ]));
    }
    lines.push(Line::from(vec![
        Span::styled(format!("{:<12}", "mouse"), styles.strong),
        Span::styled("click a tab or a row, wheel to walk", styles.ink),
    ]));
    let legend = match state.screen {
        Screen::Map => map::legend(theme, state),
        Screen::Stacks => stacks::legend(theme, model),
        Screen::StackDetail => detail::legend(theme, model, state),
        Screen::Heap => super::heap::legend(theme),
        Screen::Timeline => timeline::legend(theme),
        Screen::Symbols | Screen::Alerts | Screen::Logs => Vec::new(),
    };
    if !legend.is_empty() {
        lines.push(Line::default());
    }
    for (glyph, style, meaning) in legend {
        let pad = " ".repeat(usize::from(12u16.saturating_sub(paint::width(&glyph))));
        lines.push(Line::from(vec![Span::styled(glyph, style), Span::raw(pad), Span::styled(meaning, styles.ink)]));
    }
    for hint in &model.snapshot.hints {
        lines.push(Line::default());
        let hint = safe_sentence(hint, theme);
        lines.extend(wrap(&hint, cells).into_iter().map(|line| Line::from(Span::styled(line, styles.ink))));
    }
    lines
}
