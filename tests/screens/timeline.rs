//! The timeline: what it looks like, and what its keys do.

use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use highwater::model::Model;
use highwater::model::alert::Severity;
use highwater::model::baseline::Baseline;
use highwater::model::event::{self, EventKind};
use highwater::model::history::{Key, Quantity, Reading};
use highwater::model::snapshot::Health;
use highwater::tui::keys::action;
use highwater::tui::state::{Options, Screen, State};
use highwater::tui::theme::{Theme, ThemeName};
use highwater::tui::timeline::Values;
use highwater::tui::update::{Effect, update};
use ratatui::layout::Size;

use crate::{drawn, fixtures, shown, text};

/// Ten minutes of a board that is reset, loses its link for a while, and whose stack `growth` climbs.
pub(crate) fn ten_minutes() -> Model {
    let mut model = fixtures::danger();
    let reset = 190;
    let now = 600;
    model.snapshot.at = Duration::from_secs(now);
    model.snapshot.epoch = 1;
    model.history = highwater::model::history::History::default();
    let growth = model.snapshot.stacks[6].clone();
    let comms = model.snapshot.stacks[5].clone();
    let heap = model.snapshot.heaps[0].clone();
    let steps = [(0, 1400), (120, 1720), (reset, 1960), (290, 2216), (350, 2696), (430, 3176), (500, 3656)];
    for tick in 0..=now * 5 {
        let at = Duration::from_millis(tick * 200);
        let second = at.as_secs();
        // The link is gone for a while around the reset.
        let live = !(reset - 20..reset).contains(&second);
        let peak = steps.iter().rev().find(|(from, _)| second >= *from).map_or(0, |(_, peak)| *peak);
        let wave = (tick * 7919 % 97) as u32;
        let rising = 14_000 + (second % 400) as u32 * 16 + wave * 12;
        for (subject, name, quantity, whole, value) in [
            (&growth.id, &growth.name, Quantity::Peak, growth.range.size(), peak),
            (&growth.id, &growth.name, Quantity::Current, growth.range.size(), 300 + wave),
            (&comms.id, &comms.name, Quantity::Peak, comms.range.size(), 840),
            (&comms.id, &comms.name, Quantity::Current, comms.range.size(), 200 + wave * wave / 16),
            (&heap.id(), &heap.name, Quantity::Used, heap.range.size(), rising),
            (&heap.id(), &heap.name, Quantity::Blocks, heap.range.size(), 20 + wave / 8),
        ] {
            let key = Key { subject: subject.clone(), quantity };
            let whole = (quantity != Quantity::Blocks).then_some(whole);
            model.history.push(at, Reading { key, name: name.clone(), whole, value: live.then_some(value) });
        }
    }
    let mut told = |second: u64, kind, subject: &str, text: &str| {
        let stack = (subject == growth.name).then(|| growth.id.clone());
        let epoch = u32::from(second >= reset);
        let (at, subject, text) = (Duration::from_secs(second), subject.to_owned(), text.to_owned());
        model.events.push(event::Event { at, epoch, kind, subject, stack, text, calls: None });
    };
    told(10, EventKind::Started, "waiter", "waiter started");
    told(10, EventKind::Started, "alloc", "alloc started");
    told(120, EventKind::Mark { from: 1400, to: 1720 }, "growth", "growth 1720 B, +320 B");
    told(reset - 20, EventKind::LinkLost, "sim", "the link is lost: probe unplugged");
    told(reset, EventKind::Reset, "demo.elf", "the target was reset; marks begin anew");
    told(reset, EventKind::LinkBack, "sim", "reads come through again, 20 s without data");
    for pair in steps[2..].windows(2) {
        let (from, (at, to)) = (pair[0].1, pair[1]);
        told(at, EventKind::Mark { from, to }, "growth", &format!("growth {to} B, +{} B", to - from));
    }
    told(
        501,
        EventKind::AlertBegan(Severity::Danger),
        "growth",
        "growth has 440 B of stack left. Next it overwrites uart_rx_buf.",
    );
    model
}

const SIZE: (u16, u16) = (120, 36);

fn start() -> State {
    let state = State::new(&Options { screen: Screen::Timeline, ..Options::default() });
    State { size: Size { width: SIZE.0, height: SIZE.1 }, ..state }
}

fn press(state: &mut State, model: &mut Model, code: KeyCode) {
    let event = Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
    let Some(action) = action(&event, state.screen, state.input) else { return };
    match update(state, model, action) {
        Effect::Baseline => state.mark_baseline(model),
        Effect::Acknowledge(which) => state.acknowledge(model, which),
        _ => {}
    }
}

fn types(state: &mut State, model: &mut Model, keys: &str) {
    for key in keys.chars() {
        press(state, model, KeyCode::Char(key));
    }
}

/// The board after these keys, and how it is then shown.
pub(crate) fn after(keys: &str) -> (Model, State) {
    let (mut model, mut state) = (ten_minutes(), start());
    types(&mut state, &mut model, keys);
    (model, state)
}

fn look(name: &str, keys: &str, size: (u16, u16)) {
    let (model, state) = after(keys);
    insta::assert_snapshot!(name, shown(&model, &state, size));
}

#[test]
fn it_looks_like_this() {
    look("timeline_120x36", "---", (120, 36));
    look("timeline_cursor", "---EEE", (120, 36));
    look("timeline_80x24", "---", (80, 24));
    look("timeline_40x12", "---", (40, 12));
    look("timeline_200x60", "---EE", (200, 60));
    let mut model = ten_minutes();
    model.snapshot.health = Health::Stale { since: Duration::from_secs(597), why: "the target sleeps".into() };
    insta::assert_snapshot!("timeline_stale", shown(&model, &start(), (80, 24)));
}

#[test]
fn it_says_that_nothing_is_measured() {
    insta::assert_snapshot!("timeline_static", shown(&fixtures::no_target(), &start(), (80, 24)));
    let screen = shown(&fixtures::nothing(), &start(), (80, 24));
    assert!(screen.contains("nothing is measured yet"), "{screen}");
}

#[test]
fn the_pane_of_a_stack_tells_when_its_marks_were_set() {
    let (model, state) = (ten_minutes(), State { screen: Screen::Map, ..start() });
    insta::assert_snapshot!("marks_120x36", shown(&model, &state, (120, 36)));
    insta::assert_snapshot!("marks_200x60", shown(&model, &state, (200, 60)));
    let screen = shown(&model, &state, (120, 36));
    assert!(screen.contains("3656 B since 08:20, +480 B"), "{screen}");
    // What was before the reset is not this run's.
    assert!(!shown(&model, &state, (200, 60)).contains("since 02:00"));
}

#[test]
fn one_sample_is_a_point() {
    let mut model = fixtures::nothing();
    model.snapshot = fixtures::calm().snapshot;
    let stack = model.snapshot.stacks[6].clone();
    let key = Key { subject: stack.id, quantity: Quantity::Peak };
    let reading = Reading { key, name: stack.name, whole: Some(4096), value: Some(2048) };
    model.history.push(model.snapshot.at, reading);
    insta::assert_snapshot!("timeline_one_sample", shown(&model, &start(), (80, 24)));
}

#[test]
fn in_ascii_every_line_is_drawn_with_its_letter() {
    let (model, state) = after("---");
    let screen = text(&drawn(&model, &state, &Theme::new(ThemeName::Dark, true, true), (120, 36)));
    assert!(screen.is_ascii(), "{screen}");
    insta::assert_snapshot!("timeline_ascii", screen);
}

#[test]
fn the_cursor_reads_values_and_ages() {
    let (model, state) = after("---");
    let values = |state: &State| shown(&model, state, SIZE);
    assert!(!values(&state).contains("at cursor"));
    // The newest event is the alert, 501 s after the attach, and 99 s old.
    let (_, state) = after("---e");
    let screen = values(&state);
    assert!(screen.contains("08:21, 99 s ago"), "{screen}");
    assert_eq!(state.timeline.cursor(), Some(Duration::from_secs(501)));
    // The mark one second before it lies one step before; the one before that at 430 s: 3176 of 4096 B.
    let (_, state) = after("---eEE");
    assert_eq!(state.timeline.cursor(), Some(Duration::from_secs(430)));
    let screen = values(&state);
    assert!(screen.contains("78 %") && screen.contains("89 %"), "at the cursor and now:\n{screen}");
    let (_, state) = after("---eEEe");
    assert_eq!(state.timeline.cursor(), Some(Duration::from_secs(500)));
}

#[test]
fn there_is_no_event_after_the_last_and_none_before_the_first() {
    let (_, state) = after("ee");
    assert_eq!(state.notice.as_deref(), Some("no later event"));
    let (_, state) = after(&"E".repeat(20));
    assert_eq!(state.notice.as_deref(), Some("no earlier event"));
    assert_eq!(state.timeline.cursor(), Some(Duration::from_secs(10)));
}

#[test]
fn the_arrows_move_the_cursor_and_the_picture_goes_along() {
    let (mut model, mut state) = (ten_minutes(), start());
    press(&mut state, &mut model, KeyCode::Left);
    let first = state.timeline.cursor().expect("it is there");
    let step = Duration::from_secs(600) - first;
    assert!(step > Duration::from_millis(500) && step < Duration::from_secs(2), "{step:?}");
    press(&mut state, &mut model, KeyCode::Right);
    assert_eq!(state.timeline.cursor(), Some(Duration::from_secs(600)));
    for _ in 0..200 {
        press(&mut state, &mut model, KeyCode::Left);
    }
    let cursor = state.timeline.cursor().expect("it is there");
    assert!(cursor < Duration::from_secs(540), "it went past the left edge: {cursor:?}");
    let screen = shown(&model, &state, SIZE);
    assert!(screen.contains("at cursor") && screen.contains("1 min up to"), "{screen}");
    // Escape takes the cursor away and follows, once more leaves.
    press(&mut state, &mut model, KeyCode::Esc);
    assert_eq!(state.timeline.cursor(), None);
    assert!(shown(&model, &state, SIZE).contains("last 1 min"));
    press(&mut state, &mut model, KeyCode::Esc);
    assert_eq!(state.screen, Screen::Map);
}

#[test]
fn pages_home_and_end_go_through_time() {
    let (mut model, mut state) = (ten_minutes(), start());
    press(&mut state, &mut model, KeyCode::PageUp);
    assert!(shown(&model, &state, SIZE).contains("1 min up to 30 s ago"));
    press(&mut state, &mut model, KeyCode::PageDown);
    assert!(shown(&model, &state, SIZE).contains("last 1 min"));
    press(&mut state, &mut model, KeyCode::Home);
    assert!(shown(&model, &state, SIZE).contains("1 min up to 9 min ago"));
    press(&mut state, &mut model, KeyCode::End);
    assert!(shown(&model, &state, SIZE).contains("last 1 min"));
}

#[test]
fn zooming_goes_from_ten_seconds_to_ten_days_and_no_further() {
    for (keys, expected) in
        [("", "last 1 min"), ("++++", "last 10 s"), ("-", "last 2 min"), ("--------------------", "last 10 d")]
    {
        let (model, state) = after(keys);
        let screen = shown(&model, &state, SIZE);
        assert!(screen.contains(expected), "{keys}\n{screen}");
    }
}

#[test]
fn series_are_chosen_from_the_list() {
    let (mut model, mut state) = (ten_minutes(), start());
    let letters = |model: &Model, state: &State| {
        let screen = shown(model, state, SIZE);
        ["a ", "b ", "c ", "d ", "e "]
            .iter()
            .filter(|letter| {
                screen.lines().any(|line| line.chars().skip(82).collect::<String>().trim_start().starts_with(**letter))
            })
            .count()
    };
    // The screen chooses the two fullest stacks, what the fullest uses, and the heap.
    assert_eq!(letters(&model, &state), 4);
    // What is selected first is drawn already: it goes, and comes back.
    press(&mut state, &mut model, KeyCode::Enter);
    assert_eq!(letters(&model, &state), 3);
    types(&mut state, &mut model, "s");
    assert_eq!(letters(&model, &state), 4);
    for _ in 0..20 {
        press(&mut state, &mut model, KeyCode::Down);
    }
    types(&mut state, &mut model, "s");
    let screen = shown(&model, &state, SIZE);
    assert!(screen.contains("heap blocks"), "{screen}");
    assert_eq!(letters(&model, &state), 5);
    // What has no size of its own says what all of it is.
    assert!(screen.contains("100 % is 32"), "{screen}");
}

#[test]
fn a_baseline_is_marked_and_the_difference_is_told() {
    let (mut model, mut state) = (ten_minutes(), start());
    types(&mut state, &mut model, "d");
    assert_eq!((state.values, state.notice.as_deref()), (Values::Now, Some("no baseline: b marks one")));
    types(&mut state, &mut model, "b");
    assert_eq!(model.baseline.as_ref().map(Baseline::at), Some(Duration::from_secs(600)));
    model.snapshot.at = Duration::from_secs(610);
    let growth = model.snapshot.stacks[6].id.clone();
    fixtures::remember(&mut model, Duration::from_secs(609), &growth, 3720);
    types(&mut state, &mut model, "d");
    insta::assert_snapshot!("timeline_difference", shown(&model, &state, SIZE));
    assert!(shown(&model, &state, SIZE).contains("+64 B"));
    types(&mut state, &mut model, "d");
    assert_eq!(state.values, Values::Now);
}

#[test]
fn a_frozen_picture_is_marked_at_its_own_moment() {
    let (mut model, mut state) = (ten_minutes(), start());
    types(&mut state, &mut model, " ");
    model.snapshot.at = Duration::from_secs(700);
    types(&mut state, &mut model, "b");
    assert_eq!(model.baseline.as_ref().map(Baseline::at), Some(Duration::from_secs(600)));
    assert_eq!(state.shown(&model).baseline, model.baseline);
}

#[test]
fn a_click_puts_the_cursor_or_selects_a_series() {
    use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
    let (mut model, mut state) = (ten_minutes(), start());
    let click = |state: &mut State, x, y| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        let event = Event::Mouse(MouseEvent { kind, column: x, row: y, modifiers: KeyModifiers::NONE });
        if let Some(action) = action(&event, state.screen, state.input) {
            update(state, &model, action);
        }
    };
    // The middle of the picture is half a minute ago.
    click(&mut state, 41, 12);
    let cursor = state.timeline.cursor().expect("it is there");
    assert!(cursor.abs_diff(Duration::from_secs(570)) < Duration::from_secs(2), "{cursor:?}");
    let screen = shown(&model, &state, SIZE);
    let row = screen.lines().position(|line| line.contains("heap blocks")).expect("it is in the list");
    click(&mut state, 90, row as u16);
    press(&mut state, &mut model, KeyCode::Enter);
    assert!(shown(&model, &state, SIZE).contains("100 % is 32"));
}
