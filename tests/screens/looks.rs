//! Snapshots: each was looked at beside the drawing it is to equal before it was accepted.

use std::time::Duration;

use highwater::console::{Level, Line, Shared};
use highwater::tui::logs::LogsState;
use highwater::tui::state::{AddressOrder, MapState, Overlay, Scale, Screen, Selection, State};
use highwater::tui::theme::{Theme, ThemeName};
use ratatui::style::{Color, Modifier};

use crate::fixtures::{self, danger};
use crate::{dark, drawn, on, shown, text};

macro_rules! look {
    ($name:ident, $model:expr, $state:expr, $size:expr) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(shown(&$model, &$state, $size));
        }
    };
}

/// The log of a small firmware, from this level on and with this in it.
fn logs(least: Option<Level>, filter: &str) -> State {
    let log = Shared::default();
    let line = |level, stamp: &str, text: &str, place: &str| Line {
        at: Duration::from_millis(20),
        level,
        stamp: (!stamp.is_empty()).then(|| stamp.to_owned()),
        text: text.to_owned(),
        place: (!place.is_empty()).then(|| place.to_owned()),
        ..Line::default()
    };
    let long = "the radio has not answered for 2000 ms, so it is reset, its queue of 12 packets is dropped, and the \
                peers that wait for an answer are told that there will be none";
    log.add(vec![
        line(None, "", "hello from the terminal", ""),
        line(Some(Level::Info), "0.012", "sensors are up", "src/main.rs:37"),
        line(Some(Level::Debug), "0.014", "read Reading { sensor: 0, celsius: 21 }", "src/main.rs:39"),
        Line { channel: Some("shell".into()), ..line(None, "", "> help", "") },
        Line::remark("3 bytes were not understood".into()),
        line(Some(Level::Warn), "2.113", long, "src/drivers/radio.rs:1204"),
        line(Some(Level::Error), "2.120", "no radio", "src/drivers/radio.rs:88"),
    ]);
    let state = on(Screen::Logs);
    State { logs: LogsState { log: Some(log), least, filter: filter.to_owned(), last: None }, ..state }
}

fn map() -> State {
    on(Screen::Map)
}

fn linear() -> State {
    State { map: MapState { scale: Scale::Linear, ..MapState::default() }, ..map() }
}

fn low_first() -> State {
    State { map: MapState { order: AddressOrder::LowFirst, ..MapState::default() }, ..map() }
}

fn selected(id: &str) -> State {
    State { selection: Selection::Part(id.to_owned()), ..map() }
}

fn zoomed(id: &str) -> State {
    State { map: MapState { zoom: Some(id.to_owned()), ..MapState::default() }, ..selected(id) }
}

look!(map_1x1, danger(), map(), (1, 1));
look!(map_30x6, danger(), map(), (30, 6));
look!(map_40x12, danger(), map(), (40, 12));
look!(map_80x24, danger(), map(), (80, 24));
look!(map_120x36, danger(), map(), (120, 36));
look!(map_120x40, danger(), map(), (120, 40));
look!(map_200x60, danger(), map(), (200, 60));
look!(map_calm, fixtures::calm(), map(), (120, 36));
look!(map_calm_selected, fixtures::calm(), selected("ram/heap"), (120, 36));
look!(map_overflow, fixtures::overflow(), map(), (120, 36));
look!(map_stale, fixtures::stale(), map(), (80, 24));
look!(map_reconnecting, fixtures::reconnecting(), map(), (120, 36));
look!(map_bare_metal, fixtures::bare_metal(), map(), (120, 36));
look!(map_flip_link, fixtures::flip_link(), map(), (80, 24));
look!(map_static, fixtures::no_target(), map(), (120, 36));
look!(map_many, fixtures::many(), map(), (120, 40));
look!(map_nothing, fixtures::nothing(), map(), (80, 24));
look!(map_linear, danger(), linear(), (120, 36));
look!(map_linear_80x24, danger(), linear(), (80, 24));
look!(map_linear_many, fixtures::many(), linear(), (120, 40));
look!(map_low_first, danger(), low_first(), (120, 36));
look!(map_zoomed_heap, danger(), zoomed("ram/heap"), (80, 24));
look!(map_zoomed_stack, danger(), zoomed("ram/heap/stack:growth"), (120, 36));
look!(stacks_40x12, danger(), on(Screen::Stacks), (40, 12));
look!(stacks_80x24, danger(), on(Screen::Stacks), (80, 24));
look!(stacks_120x36, fixtures::worst_cases(), on(Screen::Stacks), (120, 36));
look!(stacks_loads_130x36, fixtures::loads(), on(Screen::Stacks), (130, 36));
look!(stacks_200x60, danger(), on(Screen::Stacks), (200, 60));
look!(alerts_120x36, danger(), on(Screen::Alerts), (120, 36));
look!(alerts_none, fixtures::calm(), on(Screen::Alerts), (80, 24));
look!(logs_120x36, fixtures::calm(), logs(None, ""), (120, 36));
look!(logs_80x24_warn, fixtures::calm(), logs(Some(Level::Warn), ""), (80, 24));
look!(logs_filter_40x12, fixtures::calm(), logs(None, "READ"), (40, 12));
look!(logs_nobody, fixtures::calm(), on(Screen::Logs), (80, 24));
look!(catch_120x36, fixtures::caught(), State { overlay: Overlay::Catch(1), ..map() }, (120, 36));
look!(catch_80x24, fixtures::caught(), State { overlay: Overlay::Catch(1), ..map() }, (80, 24));
look!(catch_unseen, fixtures::caught(), State { overlay: Overlay::Catch(0), ..map() }, (80, 24));
look!(help_80x24, danger(), State { overlay: Overlay::Help(0), ..map() }, (80, 24));

fn detail() -> State {
    on(Screen::StackDetail)
}

fn detail_of(stack: &str) -> State {
    State { selection: Selection::Stack(stack.to_owned()), ..detail() }
}

look!(detail_40x12, fixtures::word_by_word(), detail(), (40, 12));
look!(detail_80x24, fixtures::word_by_word(), detail(), (80, 24));
look!(detail_120x36, fixtures::word_by_word(), detail(), (120, 36));
look!(detail_200x60, fixtures::word_by_word(), detail(), (200, 60));
look!(detail_recursion, fixtures::deep_recursion(), detail(), (120, 36));
look!(detail_recursion_80x24, fixtures::deep_recursion(), detail(), (80, 24));
look!(detail_reading, danger(), detail(), (120, 36));
look!(detail_culprits, fixtures::culprits(), detail(), (120, 36));
look!(detail_culprits_200x60, fixtures::culprits(), detail(), (200, 60));
look!(detail_unknown_sp, fixtures::unknown_sp(), detail(), (120, 36));
look!(detail_overflow, fixtures::overflow(), detail(), (120, 36));
look!(detail_calm, fixtures::calm(), detail_of("idle@20002830"), (120, 36));
look!(detail_unpainted, fixtures::worst_cases(), detail_of("alloc@200060c8"), (120, 36));
look!(detail_large, fixtures::bare_metal(), detail_of("main@20000900"), (120, 36));
look!(detail_gone, danger(), detail_of("nobody@00000000"), (80, 24));
look!(detail_static, fixtures::no_target(), detail_of("main@20000000"), (80, 24));

#[test]
fn ascii_draws_nothing_else() {
    let theme = Theme::new(ThemeName::Dark, true, true);
    for model in [danger(), fixtures::many(), fixtures::reconnecting(), fixtures::word_by_word()] {
        for screen in Screen::EVERY {
            for (scale, overlay) in [(Scale::Schematic, Overlay::None), (Scale::Linear, Overlay::Help(0))] {
                let state = State { map: MapState { scale, ..MapState::default() }, overlay, ..on(screen) };
                let screen = text(&drawn(&model, &state, &theme, (120, 36)));
                assert!(screen.is_ascii(), "{screen}");
            }
        }
    }
    insta::assert_snapshot!("detail_ascii", text(&drawn(&fixtures::word_by_word(), &detail(), &theme, (120, 36))));
    insta::assert_snapshot!("map_ascii", text(&drawn(&danger(), &map(), &theme, (120, 36))));
}

#[test]
fn without_colour_there_is_bold_dim_and_reverse_and_the_same_text() {
    let allowed = Modifier::BOLD | Modifier::DIM | Modifier::REVERSED;
    for name in [ThemeName::Auto, ThemeName::HighContrast, ThemeName::OkabeIto] {
        let theme = Theme::new(name, false, false);
        for screen in Screen::EVERY {
            let model = fixtures::word_by_word();
            let buffer = drawn(&model, &on(screen), &theme, (120, 36));
            for cell in &buffer.content {
                assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
                assert!(allowed.contains(cell.modifier), "{:?}", cell.modifier);
            }
            assert_eq!(text(&buffer), shown(&model, &on(screen), (120, 36)));
        }
    }
}

#[test]
fn danger_is_told_without_colour() {
    let screen = shown(&danger(), &map(), (120, 36));
    for word in ["! DANGER", "growth has 440 B of stack left", "89 % !", "hit next"] {
        assert!(screen.contains(word), "{word}\n{screen}");
    }
}

#[test]
fn the_default_theme_keeps_to_the_terminals_sixteen_colours_and_no_background() {
    for screen in Screen::EVERY {
        for cell in drawn(&fixtures::word_by_word(), &on(screen), &dark(), (120, 36)).content {
            assert!(
                matches!(cell.fg, Color::Reset | Color::Red | Color::Cyan | Color::Magenta | Color::DarkGray),
                "{:?}",
                cell.fg
            );
            assert_eq!(cell.bg, Color::Reset);
        }
    }
}

#[test]
fn what_has_just_grown_is_marked_for_a_second_of_the_snapshots() {
    use std::time::Duration;
    let mut model = fixtures::calm();
    let comms = model.snapshot.stacks[5].id.clone();
    let at = model.snapshot.at + Duration::from_millis(500);
    fixtures::remember(&mut model, at, &comms, 860);
    for (after, marked) in [(600, true), (1400, true), (1600, false)] {
        model.snapshot.at = fixtures::AT + Duration::from_millis(after);
        let screen = shown(&model, &map(), (120, 36));
        assert_eq!(screen.contains("41 % +"), marked, "after {after} ms:\n{screen}");
    }
}

#[test]
fn a_worst_case_that_was_passed_is_drawn_nowhere_in_the_stack() {
    let mut model = fixtures::word_by_word();
    let drawn = shown(&model, &detail(), (200, 60));
    assert!(drawn.contains("worst case"), "{drawn}");
    for stack in &mut model.snapshot.stacks {
        stack.worst_case = Some(fixtures::at_least(188));
    }
    let drawn = shown(&model, &detail(), (200, 60));
    assert!(!drawn.contains("worst case"), "{drawn}");
}

#[test]
fn no_share_is_told_of_a_flash_of_which_no_size_is_known() {
    let mut model = danger();
    assert!(shown(&model, &linear(), (120, 36)).contains("% in use"));
    for memory in &mut model.snapshot.memories {
        memory.size_known = false;
    }
    let drawn = shown(&model, &linear(), (120, 36));
    assert!(!drawn.contains("% in use") && drawn.contains(" in use"), "{drawn}");
}
