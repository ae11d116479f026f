//! The help, over whatever screen is on: its keys, what the textures mean, and the hints.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::keys;
use super::paint::{self, Canvas, count, safe, wrap};
use super::state::{Screen, State};
use super::{detail, map, stacks};
use crate::model::Model;

/// Draws it over the body, from line `scroll` on.
pub(crate) fn draw(canvas: &mut Canvas<'_>, body: Rect, scroll: u16, model: &Model, state: &State) {
    let (styles, frame) = (canvas.theme.styles, canvas.theme.glyphs.frame);
    let lines = lines(canvas, body.width.saturating_sub(6).min(76), model, state);
    let width = body.width.min(80);
    let height = (count(lines.len()) + 2).min(body.height);
    let area = Rect { x: body.x + (body.width - width) / 2, y: body.y, width, height };
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            canvas.buffer[(x, y)].reset();
        }
    }
    let mut canvas = Canvas::new(canvas.buffer, area, canvas.theme);
    let (right, bottom) = (area.right().saturating_sub(1), area.bottom().saturating_sub(1));
    for y in area.top()..area.bottom() {
        canvas.text(area.x, y, frame.vertical, styles.muted);
        canvas.text(right, y, frame.vertical, styles.muted);
    }
    for (y, left, end) in [(area.y, frame.top_left, frame.top_right), (bottom, frame.bottom_left, frame.bottom_right)] {
        let x = canvas.text(area.x, y, left, styles.muted);
        canvas.fill(x, right, y, frame.horizontal, styles.muted);
        canvas.text(right, y, end, styles.muted);
    }
    canvas.text(area.x + 2, area.y, &format!(" help: {} ", state.screen.title()), styles.strong);
    let inside = usize::from(area.height.saturating_sub(2));
    let hidden = lines.len().saturating_sub(inside);
    let scroll = usize::from(scroll).min(hidden);
    for (line, y) in lines.iter().skip(scroll).take(inside).zip(area.y + 1..) {
        canvas.spans(area.x + 3, y, &line.spans);
    }
    let foot =
        if hidden > 0 { format!(" {} more {} ", hidden - scroll, canvas.theme.glyphs.down) } else { String::new() };
    canvas.right(right.saturating_sub(1), bottom, &foot, styles.strong);
}

fn lines(canvas: &Canvas<'_>, cells: u16, model: &Model, state: &State) -> Vec<Line<'static>> {
    let (theme, styles) = (canvas.theme, canvas.theme.styles);
    let mut lines = Vec::new();
    for binding in keys::bindings(state.screen) {
        let keys: Vec<String> = binding.keys.iter().map(|key| keys::label(*key, &theme.glyphs)).collect();
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
        Screen::Symbols | Screen::Alerts => Vec::new(),
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
        let hint = safe(hint, theme);
        lines.extend(wrap(&hint, cells).into_iter().map(|line| Line::from(Span::styled(line, styles.ink))));
    }
    lines
}
