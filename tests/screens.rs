//! What the screens look like, on boards of all kinds and terminals of all sizes.

#[path = "screens/fixtures.rs"]
mod fixtures;

use highwater::model::Model;
use highwater::tui;
use highwater::tui::state::{Options, State};
use highwater::tui::theme::{Theme, ThemeName};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

fn drawn(model: &Model, state: &State, theme: &Theme, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    terminal.draw(|frame| tui::draw(frame, model, state, theme)).expect("a test terminal draws");
    terminal.backend().buffer().clone()
}

#[test]
#[ignore]
fn look() {
    let theme = Theme::new(ThemeName::Dark, false, true);
    let mut state = State::new(&Options::default());
    for size in [(120, 36), (80, 24), (200, 60)] {
        for (name, model) in [
            ("danger", fixtures::danger()),
            ("calm", fixtures::calm()),
            ("many", fixtures::many()),
            ("bare", fixtures::bare_metal()),
        ] {
            let buffer = drawn(&model, &state, &theme, size);
            std::fs::write(format!("/tmp/look/{name}-{}.svg", size.0), tui::picture::svg(&buffer, true)).unwrap();
        }
    }
    state.map.scale = tui::state::Scale::Linear;
    for size in [(120, 36), (80, 24), (200, 60)] {
        for (name, model) in [("danger", fixtures::danger()), ("many", fixtures::many())] {
            let buffer = drawn(&model, &state, &theme, size);
            std::fs::write(format!("/tmp/look/{name}-linear-{}.svg", size.0), tui::picture::svg(&buffer, true))
                .unwrap();
        }
    }
}
