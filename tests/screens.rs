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
    use highwater::tui::state::*;
    let dark = Theme::new(ThemeName::Dark, false, true);
    let ascii = Theme::new(ThemeName::Dark, true, true);
    let mono = Theme::new(ThemeName::Dark, false, false);
    let base = State::new(&Options::default());
    let stacks = State { screen: Screen::Stacks, ..base.clone() };
    let alerts = State { screen: Screen::Alerts, ..base.clone() };
    let help = State { overlay: Overlay::Help(0), ..base.clone() };
    let linear = State { map: MapState { scale: Scale::Linear, ..MapState::default() }, ..base.clone() };
    let low = State { map: MapState { order: AddressOrder::LowFirst, ..MapState::default() }, ..base.clone() };
    let sel = |id: &str| State { selection: Selection::Part(id.to_owned()), ..base.clone() };
    let zoom = |id: &str| State {
        selection: Selection::Part(id.to_owned()),
        map: MapState { zoom: Some(id.to_owned()), ..MapState::default() },
        ..base.clone()
    };
    let write = |name: &str, model: &Model, state: &State, theme: &Theme, size: (u16, u16), dark: bool| {
        let buffer = drawn(model, state, theme, size);
        std::fs::write(format!("/tmp/look/{name}-{}.svg", size.0), tui::picture::svg(&buffer, dark)).unwrap();
    };
    let sizes = [(120, 36), (80, 24), (200, 60), (40, 12)];
    for size in sizes {
        for (name, model) in [
            ("danger", fixtures::danger()),
            ("calm", fixtures::calm()),
            ("many", fixtures::many()),
            ("bare", fixtures::bare_metal()),
            ("flip", fixtures::flip_link()),
            ("static", fixtures::no_target()),
            ("over", fixtures::overflow()),
            ("recon", fixtures::reconnecting()),
            ("nothing", fixtures::nothing()),
        ] {
            write(name, &model, &base, &dark, size, true);
            write(&format!("stacks-{name}"), &model, &stacks, &dark, size, true);
            write(&format!("linear-{name}"), &model, &linear, &dark, size, true);
        }
        let danger = fixtures::danger();
        write("light", &danger, &base, &dark, size, false);
        write("ascii", &danger, &base, &ascii, size, true);
        write("mono", &danger, &base, &mono, size, true);
        write("alerts", &danger, &alerts, &dark, size, true);
        write("alerts-none", &fixtures::calm(), &alerts, &dark, size, true);
        write("help", &danger, &help, &dark, size, true);
        write("low", &danger, &low, &dark, size, true);
        write("selheap", &fixtures::calm(), &sel("ram/heap"), &dark, size, true);
        write("selbss", &fixtures::calm(), &sel("ram/.bss"), &dark, size, true);
        write("zoomheap", &fixtures::calm(), &zoom("ram/heap"), &dark, size, true);
        write("zoomstack", &danger, &zoom("ram/heap/stack:growth"), &dark, size, true);
        write("stacks-ascii", &danger, &stacks, &ascii, size, true);
        write("stacks-worst", &fixtures::worst_cases(), &stacks, &dark, size, true);
    }
}
