//! The screens: one loop that listens and draws, and one file for each panel.

pub(crate) mod bar;
pub(crate) mod frame;
pub mod keys;
pub(crate) mod lookup;
pub(crate) mod map;
pub(crate) mod paint;
pub mod picture;
pub mod stacks;
pub mod state;
pub mod theme;
pub(crate) mod verdict;

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::model::Model;
use frame::{Density, SMALLEST};
use paint::Canvas;
use state::{Screen, State};
use theme::Theme;

/// Draws one frame. Nothing but the buffer changes.
pub fn draw(frame: &mut Frame<'_>, model: &Model, state: &State, theme: &Theme) {
    let area = frame.area();
    let model = state.shown(model);
    let mut canvas = Canvas::new(frame.buffer_mut(), area, theme);
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        too_small(&mut canvas, area, model, state);
        return;
    }
    let areas = frame::areas(area);
    frame::draw(&mut canvas, &areas, model, state);
    if let Some(legend) = areas.legend {
        let line = Rect { x: legend.x + 10, width: legend.width.saturating_sub(10), ..legend };
        frame::draw_legend(&mut canvas, line, &map::legend(theme, state));
    }
    match state.screen {
        Screen::Map => map::draw(&mut canvas, areas.body, areas.density, model, state),
        Screen::Stacks | Screen::Alerts => {}
    }
}

/// There is no room for a picture: the verdict alone, as far as it goes, and what would help.
fn too_small(canvas: &mut Canvas<'_>, area: Rect, model: &Model, state: &State) {
    let verdict = verdict::verdict(model, state.stack_limit);
    let text = format!("{} {}{}", verdict.chip, verdict.subject, verdict.sentence);
    let text = paint::safe(&text, canvas.theme);
    let mut lines = paint::wrap(&text, area.width.max(1));
    lines.extend(paint::wrap("(40x10 or more shows a map)", area.width.max(1)));
    for (line, y) in lines.iter().zip(area.top()..area.bottom()) {
        canvas.text(area.x, y, line, canvas.theme.styles.ink);
    }
}
