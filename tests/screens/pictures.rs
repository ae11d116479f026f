//! The pictures in assets/screens are drawn by the code they show. `UPDATE_SCREENS=1` writes them anew.

use std::path::Path;

use highwater::model::Model;
use highwater::tui::heap::HeapState;
use highwater::tui::picture;
use highwater::tui::state::{MapState, Overlay, Scale, Screen, State};
use highwater::tui::theme::{Theme, ThemeName};

use crate::{dark, drawn, fixtures, heap, on, symbols, timeline};

fn check(name: &str, model: &Model, state: &State, theme: &Theme, size: (u16, u16), on_dark: bool) {
    let svg = picture::svg(&drawn(model, state, theme, size), on_dark);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/screens").join(format!("{name}.svg"));
    if std::env::var_os("UPDATE_SCREENS").is_some() {
        std::fs::write(&path, svg).expect("the picture can be written");
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == svg, "{} is not what is drawn: look, then run with UPDATE_SCREENS=1", path.display());
}

#[test]
fn the_kept_pictures_are_what_is_drawn() {
    let linear = State { map: MapState { scale: Scale::Linear, ..MapState::default() }, ..on(Screen::Map) };
    let ascii = Theme::new(ThemeName::Dark, true, true);
    let mono = Theme::new(ThemeName::Mono, false, true);
    let okabe_ito = Theme::new(ThemeName::OkabeIto, false, true);
    let (map, stacks) = (on(Screen::Map), on(Screen::Stacks));
    let danger = fixtures::danger();
    check("map-dark", &danger, &map, &dark(), (120, 36), true);
    check("map-light", &danger, &map, &dark(), (120, 36), false);
    check("map-wide", &danger, &map, &dark(), (200, 60), true);
    check("map-small", &danger, &map, &dark(), (80, 24), true);
    check("map-calm", &fixtures::calm(), &map, &dark(), (120, 36), true);
    check("map-overflow", &fixtures::overflow(), &map, &dark(), (120, 36), true);
    check("map-linear", &danger, &linear, &dark(), (120, 36), true);
    check("map-ascii", &danger, &map, &ascii, (120, 36), true);
    check("map-mono", &danger, &map, &mono, (120, 36), true);
    check("map-okabe-ito", &danger, &map, &okabe_ito, (120, 36), true);
    check("map-many", &fixtures::many(), &map, &dark(), (120, 40), true);
    check("stacks-dark", &fixtures::worst_cases(), &stacks, &dark(), (120, 36), true);
    check("stacks-light", &fixtures::worst_cases(), &stacks, &dark(), (120, 36), false);
    check("stacks-small", &danger, &stacks, &dark(), (80, 24), true);
    let on_heap = State { heap: HeapState { asked: "2048".into(), ..HeapState::default() }, ..on(Screen::Heap) };
    check("heap-dark", &heap::leaking(), &on_heap, &dark(), (120, 36), true);
    check("heap-light", &heap::leaking(), &on_heap, &dark(), (120, 36), false);
    check("heap-small", &heap::leaking(), &on_heap, &dark(), (80, 24), true);
    check("heap-ascii", &heap::leaking(), &on_heap, &ascii, (120, 36), true);
    check("heap-mono", &heap::leaking(), &on_heap, &mono, (120, 36), true);
    let (words, detail) = (fixtures::word_by_word(), on(Screen::StackDetail));
    check("stack-detail-dark", &words, &detail, &dark(), (120, 36), true);
    check("stack-detail-light", &words, &detail, &dark(), (120, 36), false);
    check("stack-detail-wide", &words, &detail, &dark(), (200, 60), true);
    check("stack-detail-small", &words, &detail, &dark(), (80, 24), true);
    check("stack-detail-mono", &words, &detail, &mono, (120, 36), true);
    let caught = State { overlay: Overlay::Catch(1), ..on(Screen::Map) };
    check("catch-dark", &fixtures::caught(), &caught, &dark(), (120, 36), true);
    check("catch-ascii", &fixtures::caught(), &caught, &ascii, (80, 24), true);
    check("symbols-dark", &fixtures::calm(), &symbols::pictured(""), &dark(), (120, 36), true);
    check("treemap-dark", &fixtures::calm(), &symbols::pictured("t"), &dark(), (120, 36), true);
    let (minutes, timeline) = timeline::after("---eE");
    check("timeline-dark", &minutes, &timeline, &dark(), (120, 36), true);
    check("timeline-light", &minutes, &timeline, &dark(), (120, 36), false);
    check("timeline-wide", &minutes, &timeline, &dark(), (200, 60), true);
    check("timeline-small", &minutes, &timeline, &dark(), (80, 24), true);
    check("timeline-mono", &minutes, &timeline, &mono, (120, 36), true);
    check("timeline-ascii", &minutes, &timeline, &ascii, (120, 36), true);
    check("alerts-dark", &danger, &on(Screen::Alerts), &dark(), (120, 36), true);
}
