//! What the keys and the mouse do.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use highwater::model::Model;
use highwater::sampler::interest::Wish;
use highwater::tui::keys::action;
use highwater::tui::state::{AddressOrder, Cursor, Input, Overlay, Picture, Scale, Screen, Selection, State};
use highwater::tui::update::{Effect, update};
use ratatui::layout::Size;

use crate::{fixtures, on, shown};

const SIZE: (u16, u16) = (120, 36);

/// A state on a terminal of the usual size.
fn start(screen: Screen) -> State {
    State { size: Size { width: SIZE.0, height: SIZE.1 }, ..on(screen) }
}

fn send(state: &mut State, model: &Model, event: &Event) -> Effect {
    match action(event, state.screen, state.input) {
        Some(action) => update(state, model, action),
        None => Effect::None,
    }
}

fn press(state: &mut State, model: &Model, code: KeyCode) -> Effect {
    send(state, model, &Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn types(state: &mut State, model: &Model, keys: &str) {
    for c in keys.chars() {
        press(state, model, KeyCode::Char(c));
    }
}

fn click(state: &mut State, model: &Model, x: u16, y: u16) {
    let kind = MouseEventKind::Down(MouseButton::Left);
    send(state, model, &Event::Mouse(MouseEvent { kind, column: x, row: y, modifiers: KeyModifiers::NONE }));
}

fn part(state: &State) -> &str {
    match &state.selection {
        Selection::Part(id) => id,
        other => panic!("a part is selected, not {other:?}"),
    }
}

#[test]
fn numbers_and_tab_change_the_screen() {
    let (model, mut state) = (fixtures::danger(), start(Screen::Map));
    types(&mut state, &model, "2");
    assert_eq!(state.screen, Screen::Stacks);
    types(&mut state, &model, "6");
    assert_eq!(state.screen, Screen::Alerts);
    press(&mut state, &model, KeyCode::Tab);
    assert_eq!(state.screen, Screen::Map);
    press(&mut state, &model, KeyCode::BackTab);
    assert_eq!(state.screen, Screen::Alerts);
    // Each screen has its number, and screens that do not exist have none.
    for number in '1'..='9' {
        let before = state.screen;
        types(&mut state, &model, &number.to_string());
        // Nobody listens to this firmware: there is no log to show.
        let shown = Screen::ALL.into_iter().find(|screen| screen.number() == number && *screen != Screen::Logs);
        assert_eq!(state.screen, shown.unwrap_or(before), "{number}");
    }
}

#[test]
fn q_and_ctrl_c_quit_and_x_exports() {
    let (model, mut state) = (fixtures::danger(), start(Screen::Map));
    assert_eq!(press(&mut state, &model, KeyCode::Char('q')), Effect::Quit);
    assert_eq!(press(&mut state, &model, KeyCode::Char('x')), Effect::Export);
    let ctrl_c = Event::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    assert_eq!(send(&mut state, &model, &ctrl_c), Effect::Quit);
    state.input = Input::Filter;
    assert_eq!(send(&mut state, &model, &ctrl_c), Effect::Quit);
}

#[test]
fn arrows_walk_the_map_in_the_order_of_the_screen() {
    let (model, mut state) = (fixtures::danger(), start(Screen::Map));
    // The walk begins at what is shown as selected: the stack in danger.
    press(&mut state, &model, KeyCode::Down);
    assert_eq!(part(&state), "ram/heap/uart_rx_buf");
    types(&mut state, &model, "kk");
    assert_eq!(part(&state), "ram/heap/free");
    press(&mut state, &model, KeyCode::Home);
    assert_eq!(part(&state), "ram/stack:ISR");
    types(&mut state, &model, "j");
    assert_eq!(part(&state), "ram/heap");
    press(&mut state, &model, KeyCode::End);
    assert_eq!(part(&state), "ram/vector table");
    types(&mut state, &model, "l");
    assert_eq!(part(&state), "flash/unclaimed");
    types(&mut state, &model, "jjh");
    assert_eq!(part(&state), "ram/stack:ISR");
    types(&mut state, &model, "v");
    assert_eq!(state.map.order, AddressOrder::LowFirst);
    press(&mut state, &model, KeyCode::Home);
    assert_eq!(part(&state), "ram/vector table");
}

#[test]
fn enter_zooms_and_escape_goes_back_step_by_step() {
    let (model, mut state) = (fixtures::danger(), start(Screen::Map));
    press(&mut state, &model, KeyCode::Enter);
    assert_eq!(state.map.zoom.as_deref(), Some("ram/heap/stack:growth"));
    press(&mut state, &model, KeyCode::Char('?'));
    assert_eq!(state.overlay, Overlay::Help(0));
    press(&mut state, &model, KeyCode::Esc);
    assert_eq!((state.overlay, state.map.zoom.is_some()), (Overlay::None, true));
    press(&mut state, &model, KeyCode::Esc);
    assert_eq!(state.map.zoom, None);
    press(&mut state, &model, KeyCode::Esc);
    assert_eq!(state.selection, Selection::Nothing);
}

#[test]
fn a_selected_stack_is_the_same_on_both_screens() {
    let (model, mut state) = (fixtures::danger(), start(Screen::Stacks));
    press(&mut state, &model, KeyCode::Down);
    assert!(shown(&model, &state, SIZE).contains("comms ──"));
    types(&mut state, &model, "m");
    assert_eq!(state.screen, Screen::Map);
    let screen = shown(&model, &state, SIZE);
    assert!(screen.contains("2000_42c0▸"), "{screen}");
}

#[test]
fn enter_opens_a_stack_word_by_word_and_escape_closes_it() {
    let (model, mut state) = (fixtures::word_by_word(), start(Screen::Stacks));
    assert_eq!(state.wanted(&model), None);
    press(&mut state, &model, KeyCode::Enter);
    assert_eq!((state.screen, state.cursor), (Screen::StackDetail, Cursor::Deepest));
    let words = |index: usize| Some(Wish::Stack(model.snapshot.stacks[index].id.clone()));
    assert_eq!(state.wanted(&model), words(6));
    // A frozen screen needs nothing new.
    types(&mut state, &model, " ");
    assert_eq!(state.wanted(&model), None);
    types(&mut state, &model, " ");
    press(&mut state, &model, KeyCode::Esc);
    assert_eq!((state.screen, state.wanted(&model)), (Screen::Stacks, None));
    // The tabs know it as a part of the stacks.
    press(&mut state, &model, KeyCode::Enter);
    press(&mut state, &model, KeyCode::Tab);
    let stacks = Screen::ALL.iter().position(|screen| *screen == Screen::Stacks).expect("it has a tab");
    assert_eq!(state.screen, Screen::ALL[stacks + 1]);
    types(&mut state, &model, "2");
    press(&mut state, &model, KeyCode::Enter);
    types(&mut state, &model, "m");
    assert_eq!(state.screen, Screen::Map);
    assert_eq!(state.selection, Selection::Stack(model.snapshot.stacks[6].id.clone()));
}

#[test]
fn arrows_walk_the_calls_of_a_stack_and_its_neighbours() {
    let (model, mut state) = (fixtures::word_by_word(), start(Screen::StackDetail));
    let word = |state: &State| {
        let screen = shown(&model, state, SIZE);
        let line = screen.lines().find(|line| line.trim_start().starts_with("word ")).unwrap_or_default().to_owned();
        line.trim_start().chars().nth(5)
    };
    assert_eq!(word(&state), Some('m'));
    press(&mut state, &model, KeyCode::Up);
    assert_eq!(word(&state), Some('l'));
    press(&mut state, &model, KeyCode::Home);
    assert_eq!(word(&state), Some('a'));
    types(&mut state, &model, "jjjjjj");
    assert_eq!(word(&state), Some('g'));
    assert!(shown(&model, &state, SIZE).contains("6 ×: e f g h i j"));
    press(&mut state, &model, KeyCode::Right);
    assert_eq!(state.selection, Selection::Stack(model.snapshot.stacks[5].id.clone()));
    assert_eq!(state.wanted(&model), Some(Wish::Stack(model.snapshot.stacks[5].id.clone())));
    let screen = shown(&model, &state, SIZE);
    assert!(screen.contains("comms word by word") && screen.contains("reading..."), "{screen}");
    press(&mut state, &model, KeyCode::Left);
    assert_eq!(word(&state), Some('m'));
}

#[test]
fn a_stack_without_calls_scrolls() {
    let (model, mut state) = (fixtures::bare_metal(), start(Screen::StackDetail));
    state.selection = Selection::Stack(model.snapshot.stacks[0].id.clone());
    let first = |state: &State| shown(&model, state, SIZE).lines().nth(6).unwrap_or_default()[1..10].to_owned();
    assert_eq!(first(&state), "2002_0000");
    press(&mut state, &model, KeyCode::Down);
    press(&mut state, &model, KeyCode::PageDown);
    assert_eq!(first(&state), "2001_f500");
    press(&mut state, &model, KeyCode::End);
    assert!(shown(&model, &state, SIZE).contains("2000_0a00"));
    press(&mut state, &model, KeyCode::Home);
    assert_eq!(first(&state), "2002_0000");
}

#[test]
fn a_click_on_a_letter_or_its_row_selects_the_call() {
    let (model, mut state) = (fixtures::word_by_word(), start(Screen::StackDetail));
    let screen = shown(&model, &state, SIZE);
    let rows: Vec<&str> = screen.lines().collect();
    let row = |word: &str| u16::try_from(rows.iter().position(|row| row.contains(word)).expect("drawn")).unwrap();
    let calls = model.snapshot.detail.as_ref().expect("it was read").traces.clone();
    click(&mut state, &model, 95, row("growth::leaf"));
    assert_eq!(state.cursor, Cursor::Trace(calls[2].address));
    // The letter `a` stands in the fourth cell of the first row.
    click(&mut state, &model, 23, row("2000_5cc8"));
    assert_eq!(state.cursor, Cursor::Trace(calls[12].address));
    // A word that is no call selects nothing.
    click(&mut state, &model, 24, row("2000_5cc8"));
    assert_eq!(state.cursor, Cursor::Trace(calls[12].address));
}

#[test]
fn an_alert_leads_to_whom_it_concerns() {
    let (model, mut state) = (fixtures::danger(), start(Screen::Alerts));
    press(&mut state, &model, KeyCode::Enter);
    assert_eq!(state.screen, Screen::Map);
    assert_eq!(state.selection, Selection::Stack(model.snapshot.stacks[6].id.clone()));
}

#[test]
fn stacks_sort_by_every_column_both_ways() {
    let (model, mut state) = (fixtures::worst_cases(), start(Screen::Stacks));
    let first = |state: &State| {
        let screen = shown(&model, state, SIZE);
        screen
            .lines()
            .nth(6)
            .unwrap_or_default()
            .trim_start_matches([' ', '!'])
            .split(' ')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(first(&state), "growth");
    types(&mut state, &model, "O");
    assert_eq!(first(&state), "timer");
    types(&mut state, &model, "O");
    let mut seen = Vec::new();
    for _ in 0..8 {
        types(&mut state, &model, "o");
        seen.push(first(&state));
    }
    // now, peak, worst, margin, suggest, name, size, and the percent again.
    assert_eq!(seen, ["main", "growth", "growth", "main", "growth", "ISR", "main", "growth"]);
}

#[test]
fn the_filter_takes_letters_that_are_keys_elsewhere() {
    let (model, mut state) = (fixtures::danger(), start(Screen::Stacks));
    types(&mut state, &model, "/sq");
    press(&mut state, &model, KeyCode::Backspace);
    types(&mut state, &model, "en");
    assert_eq!(state.stacks.filter, "sen");
    let screen = shown(&model, &state, SIZE);
    assert!(screen.contains("sensor") && !screen.contains("timer"), "{screen}");
    press(&mut state, &model, KeyCode::Enter);
    assert_eq!(state.input, Input::Keys);
    press(&mut state, &model, KeyCode::Esc);
    assert_eq!(state.stacks.filter, "");
}

#[test]
fn freezing_keeps_the_picture_and_the_model_goes_on() {
    let (mut model, mut state) = (fixtures::calm(), start(Screen::Map));
    types(&mut state, &model, " ");
    assert!(matches!(state.picture, Picture::Frozen(_)));
    model = fixtures::overflow();
    let screen = shown(&model, &state, SIZE);
    assert!(screen.contains("PAUSED") && !screen.contains("OVERFLOW"), "{screen}");
    // A frozen screen can be walked.
    types(&mut state, &model, "j");
    assert_eq!(part(&state), "ram/stack:ISR");
    types(&mut state, &model, " ");
    let screen = shown(&model, &state, SIZE);
    assert!(screen.contains("LIVE") && screen.contains("OVERFLOW"), "{screen}");
}

#[test]
fn scale_is_a_key_of_the_map_alone() {
    let (model, mut state) = (fixtures::calm(), start(Screen::Map));
    types(&mut state, &model, "s");
    assert_eq!(state.map.scale, Scale::Linear);
    types(&mut state, &model, "2s1");
    assert_eq!(state.map.scale, Scale::Linear);
}

#[test]
fn clicks_hit_what_is_drawn_there() {
    let (model, mut state) = (fixtures::danger(), start(Screen::Map));
    let screen = shown(&model, &state, SIZE);
    let line =
        |word: &str| u16::try_from(screen.lines().position(|line| line.contains(word)).expect("it is drawn")).unwrap();
    click(&mut state, &model, 20, line("comms"));
    assert_eq!(part(&state), "ram/heap/stack:comms");
    click(&mut state, &model, 95, line("bootloader"));
    assert_eq!(part(&state), "flash/bootloader");
    // In the linear figure a cell is a place in memory: the first is the last of RAM.
    types(&mut state, &model, "s");
    click(&mut state, &model, 12, 6);
    assert_eq!(part(&state), "ram/stack:ISR");
    click(&mut state, &model, 26, 0);
    assert_eq!(state.screen, Screen::Stacks);
    click(&mut state, &model, 5, 10);
    assert_eq!(state.selection, Selection::Stack(model.snapshot.stacks[3].id.clone()));
    // A click outside of everything changes nothing.
    click(&mut state, &model, 119, 35);
    assert_eq!(state.screen, Screen::Stacks);
}

#[test]
fn the_wheel_walks() {
    let (model, mut state) = (fixtures::danger(), start(Screen::Stacks));
    let wheel = |kind| Event::Mouse(MouseEvent { kind, column: 5, row: 8, modifiers: KeyModifiers::NONE });
    send(&mut state, &model, &wheel(MouseEventKind::ScrollDown));
    assert_eq!(state.selection, Selection::Stack(model.snapshot.stacks[5].id.clone()));
    send(&mut state, &model, &wheel(MouseEventKind::ScrollUp));
    assert_eq!(state.selection, Selection::Stack(model.snapshot.stacks[6].id.clone()));
}

#[test]
fn a_released_key_means_nothing() {
    let (model, mut state) = (fixtures::danger(), start(Screen::Map));
    let mut key = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
    key.kind = crossterm::event::KeyEventKind::Release;
    assert_eq!(send(&mut state, &model, &Event::Key(key)), Effect::None);
}

#[test]
fn what_was_caught_is_shown_and_the_core_is_let_go() {
    let (model, mut state) = (fixtures::caught(), start(Screen::Stacks));
    types(&mut state, &model, "!");
    assert_eq!(state.overlay, Overlay::Catch(1), "the newest first");
    press(&mut state, &model, KeyCode::Up);
    assert_eq!(state.overlay, Overlay::Catch(0));
    press(&mut state, &model, KeyCode::Up);
    assert_eq!(state.overlay, Overlay::Catch(0));
    assert_eq!(press(&mut state, &model, KeyCode::Char('c')), Effect::GoOn);
    assert_eq!(state.overlay, Overlay::None);
    // Without a tripwire there is nothing to show, and that is said.
    let calm = fixtures::calm();
    types(&mut state, &calm, "!");
    assert_eq!(state.overlay, Overlay::None);
    assert!(state.notice.as_ref().is_some_and(|notice| notice.contains("--tripwire")));
}

/// Presses a key and does what it asks of the model.
fn press_and_do(state: &mut State, model: &mut Model, code: KeyCode) {
    if let Effect::Acknowledge(which) = press(state, model, code) {
        state.acknowledge(model, which);
    }
}

#[test]
fn a_known_alert_is_listed_dimmed_with_a_word_and_no_longer_the_verdict() {
    let (mut model, mut state) = (fixtures::danger(), start(Screen::Alerts));
    let verdict = |screen: String| screen.lines().nth(2).unwrap_or_default().to_owned();
    assert!(verdict(shown(&model, &state, SIZE)).contains("! DANGER"));
    press_and_do(&mut state, &mut model, KeyCode::Char('a'));
    let screen = shown(&model, &state, SIZE);
    assert!(!screen.contains("! DANGER"), "{screen}");
    // It is not said that all is well.
    assert!(verdict(screen.clone()).contains("known  growth has 440 B of stack left."), "{screen}");
    insta::assert_snapshot!("alerts_known", screen);
    press_and_do(&mut state, &mut model, KeyCode::Char('a'));
    assert!(verdict(shown(&model, &state, SIZE)).contains("! DANGER"));
    press_and_do(&mut state, &mut model, KeyCode::Char('A'));
    assert!(model.alerts.iter().all(|alert| !alert.is_news()));
    // In a frozen picture too, and it stays so when the picture goes on.
    press_and_do(&mut state, &mut model, KeyCode::Char('a'));
    press_and_do(&mut state, &mut model, KeyCode::Char(' '));
    press_and_do(&mut state, &mut model, KeyCode::Char('a'));
    assert!(!shown(&model, &state, SIZE).contains("! DANGER"));
    press_and_do(&mut state, &mut model, KeyCode::Char(' '));
    assert!(!shown(&model, &state, SIZE).contains("! DANGER"));
}

#[test]
fn columns_are_hidden_and_shown_again_and_stay_so() {
    let (model, mut state) = (fixtures::worst_cases(), start(Screen::Stacks));
    let header = |state: &State| shown(&model, state, SIZE).lines().nth(4).unwrap_or_default().to_owned();
    assert!(header(&state).contains("trust"));
    types(&mut state, &model, "C");
    assert_eq!(state.overlay, Overlay::Columns(0));
    insta::assert_snapshot!("stacks_columns", shown(&model, &state, SIZE));
    // Down to the trust, and off.
    while !shown(&model, &state, SIZE).contains("[ ]  trust") {
        press(&mut state, &model, KeyCode::Char(' '));
        if shown(&model, &state, SIZE).contains("[ ]  trust") {
            break;
        }
        press(&mut state, &model, KeyCode::Enter);
        press(&mut state, &model, KeyCode::Down);
    }
    assert!(matches!(state.picture, Picture::Live), "space switches a column here, and freezes nothing");
    press(&mut state, &model, KeyCode::Esc);
    assert!(!header(&state).contains("trust") && header(&state).contains("margin"), "{}", header(&state));
    // It stays so on the way through other screens.
    types(&mut state, &model, "12");
    assert!(!header(&state).contains("trust"));
    types(&mut state, &model, "C");
    assert!(shown(&model, &state, SIZE).contains("[ ]  trust"));
}

#[test]
fn wide_stacks_have_their_kind_and_lowest_sp() {
    let (model, mut state) = (fixtures::danger(), start(Screen::Stacks));
    let header = |state: &State, width| shown(&model, state, (width, 40)).lines().nth(4).unwrap_or_default().to_owned();
    assert!(!header(&state, 159).contains("lowest SP"));
    let wide = header(&state, 164);
    assert!(wide.contains("kind") && wide.contains("lowest SP"), "{wide}");
    state.size = Size { width: 164, height: 40 };
    let sorts: Vec<String> = (0..14)
        .map(|_| {
            types(&mut state, &model, "o");
            format!("{:?}", state.stacks.sort)
        })
        .collect();
    assert!(sorts.contains(&"LowestSp".to_owned()) && sorts.contains(&"Kind".to_owned()), "{sorts:?}");
}

#[test]
fn the_last_minute_of_a_stack_is_what_its_history_says() {
    let (model, state) = (fixtures::danger(), start(Screen::Stacks));
    let screen = shown(&model, &state, SIZE);
    // Ten columns of six seconds each: the largest peak in each, in eighths of 4096 B.
    let growth = &model.snapshot.stacks[6].id;
    let series = model.history.series(highwater::model::history::Quantity::Peak, growth).expect("it is kept");
    let levels: String = series
        .highest(model.snapshot.at, std::time::Duration::from_secs(60), 10)
        .into_iter()
        .map(|most| "▁▂▃▄▅▆▇█".chars().nth(((most.unwrap_or(0.0) / 4096.0 * 8.0).round() as usize).clamp(1, 8) - 1))
        .map(|level| level.unwrap_or(' '))
        .collect();
    let rows = screen.lines().filter(|line| line.contains(&levels)).count();
    assert_eq!(rows, 1, "{levels} is not in\n{screen}");
}
