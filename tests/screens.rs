//! What the screens look like, on boards of all kinds and terminals of all sizes, and what the keys do.

#[path = "screens/any.rs"]
mod any;
#[path = "screens/fields.rs"]
mod fields;
#[path = "screens/fixtures.rs"]
mod fixtures;
#[path = "screens/heap.rs"]
mod heap;
#[path = "screens/keys.rs"]
mod keys;
#[path = "screens/looks.rs"]
mod looks;
#[path = "screens/pictures.rs"]
mod pictures;
#[path = "screens/running.rs"]
mod running;
#[path = "screens/symbols.rs"]
mod symbols;
#[path = "screens/timeline.rs"]
mod timeline;

use highwater::model::Model;
use highwater::tui;
use highwater::tui::state::{Options, Screen, State};
use highwater::tui::theme::{Theme, ThemeName};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

/// A screen as it would be drawn.
fn drawn(model: &Model, state: &State, theme: &Theme, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    terminal.draw(|frame| tui::draw(frame, model, state, theme)).expect("a test terminal draws");
    terminal.backend().buffer().clone()
}

/// Its characters, line by line.
fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let line = |y| {
        let line: String = (area.left()..area.right()).map(|x| buffer[(x, y)].symbol()).collect();
        line.trim_end().to_owned()
    };
    (area.top()..area.bottom()).map(line).collect::<Vec<_>>().join("\n")
}

/// A screen's characters in the default theme.
fn shown(model: &Model, state: &State, size: (u16, u16)) -> String {
    text(&drawn(model, state, &dark(), size))
}

fn dark() -> Theme {
    Theme::new(ThemeName::Dark, false, true)
}

fn on(screen: Screen) -> State {
    State::new(&Options { screen, ..Options::default() })
}
