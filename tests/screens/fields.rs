//! What is in the static that is selected: on the screen Symbols, on the map, and in a box of its own.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use highwater::image::{Image, layout};
use highwater::inventory::owner::Names;
use highwater::inventory::{Inventory, told};
use highwater::model::Model;
use highwater::model::snapshot::{Health, StaticValues, Trust};
use highwater::region::Region;
use highwater::sampler::interest::Wish;
use highwater::sampler::static_snapshot;
use highwater::tui::keys::action;
use highwater::tui::state::{Options, Overlay, Screen, State};
use highwater::tui::symbols::Shared;
use highwater::tui::update::update;
use ratatui::layout::Size;

use crate::{fixtures, shown};

const SIZE: (u16, u16) = (120, 36);

fn demo() -> (Arc<Image>, Model) {
    opened("assets/demo.elf")
}

fn opened(file: &str) -> (Arc<Image>, Model) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let image = Image::open(&path).expect("the ELF opens");
    let memories = layout::memories(&image, &[]);
    let model = Model::new(static_snapshot(&image, &memories));
    (Arc::new(image), model)
}

/// The screen over the demo's ELF; questions are answered at once.
fn start(image: &Arc<Image>, screen: Screen) -> State {
    let symbols = Shared::expected_from(|_| ());
    let memories = layout::memories(image, &[]);
    symbols.set(Inventory::new(image, &memories, &Names { units: image.units(), ..Names::default() }));
    let options = Options { screen, symbols, ..Options::default() };
    let mut state = State { size: Size { width: SIZE.0, height: SIZE.1 }, ..State::new(&options) };
    state.symbols.prepare();
    state
}

fn press(state: &mut State, model: &Model, image: &Image, keys: &[KeyCode]) {
    for key in keys {
        let event = Event::Key(KeyEvent::new(*key, KeyModifiers::NONE));
        let action = action(&event, state.screen, state.input).expect("the key means something here");
        update(state, model, action);
        state.symbols.prepare();
        let thing = state.thing(&model.snapshot);
        state.symbols.shared.ask(thing);
        if let Some(range) = thing {
            state.symbols.shared.tell(told::tell(image, range));
        }
    }
}

/// Selects the static with this name by the filter.
fn find(state: &mut State, model: &Model, image: &Image, name: &str) -> Region {
    let mut keys = vec![KeyCode::Char('/')];
    keys.extend(name.chars().map(KeyCode::Char));
    keys.extend([KeyCode::Enter, KeyCode::End]);
    press(state, model, image, &keys);
    state.thing(&model.snapshot).expect("a static is selected")
}

#[test]
fn a_static_shows_its_source_line_its_type_and_what_the_linker_put_in_it() {
    let (image, model) = demo();
    let mut state = start(&image, Screen::Symbols);
    let range = find(&mut state, &model, &image, "KERNEL");
    let text = shown(&model, &state, SIZE);
    assert!(text.contains("src/kernel.rs:"), "{text}");
    assert!(text.contains("initial values, from the ELF"), "{text}");
    assert!(text.contains("current"), "{text}");
    assert_eq!(state.wanted(&model), Some(Wish::Static(range)));
    // All of it, in a box that scrolls.
    press(&mut state, &model, &image, &[KeyCode::Char('f')]);
    assert!(matches!(state.overlay, Overlay::Fields(0)));
    let low = (120, 20);
    let first = shown(&model, &state, low);
    assert!(first.contains("None") && first.contains("Option<Task>") && first.contains(" more "), "{first}");
    press(&mut state, &model, &image, &[KeyCode::PageDown]);
    assert!(shown(&model, &state, low).contains("current"), "{}", shown(&model, &state, low));
    press(&mut state, &model, &image, &[KeyCode::Esc]);
    assert_eq!(state.overlay, Overlay::None);
}

#[test]
fn a_function_shows_its_source_line_and_asks_for_nothing_on_the_target() {
    let (image, model) = demo();
    let mut state = start(&image, Screen::Symbols);
    find(&mut state, &model, &image, "kernel::spawn");
    assert!(shown(&model, &state, SIZE).contains("src/kernel.rs:"), "{}", shown(&model, &state, SIZE));
    assert_eq!(state.wanted(&model), None);
}

#[test]
fn live_values_are_shown_with_what_they_are_worth() {
    let (image, mut model) = demo();
    let mut state = start(&image, Screen::Symbols);
    let range = find(&mut state, &model, &image, "KERNEL");
    model.snapshot.health = Health::Live;
    assert!(shown(&model, &state, SIZE).contains("reading its values ..."));
    let mut rows = told::tell(&image, range).linked;
    let current = rows.iter_mut().find(|row| row.name == "current").expect("the kernel has it");
    current.value = "4711".into();
    let values = StaticValues { range, rows, trust: Trust::Exact, is_cut: false, at: Duration::ZERO };
    let check = |model: &Model, expected: &str| {
        let text = shown(model, &state, SIZE);
        assert!(text.contains(expected) && text.contains("4711"), "{expected}: {text}");
    };
    model.snapshot.values = Some(values.clone());
    check(&model, "values now");
    model.snapshot.values = Some(StaticValues { trust: Trust::Torn, ..values.clone() });
    check(&model, "It changed while it was read");
    model.snapshot.values = Some(StaticValues { is_cut: true, ..values.clone() });
    check(&model, "some fields are not read");
    model.snapshot.values = Some(values);
    model.snapshot.at = Duration::from_secs(7);
    model.snapshot.health = Health::Stale { since: Duration::ZERO, why: "it sleeps".into() };
    check(&model, "stale: values of 7");
}

#[test]
fn the_map_lists_what_is_largest_in_a_part_and_looks_into_it() {
    let (image, model) = demo();
    let mut state = start(&image, Screen::Map);
    let memories = &model.snapshot.memories;
    let bss = memories.iter().flat_map(|memory| &memory.parts).find(|part| part.name == ".bss").expect("it has one");
    state.selection = highwater::tui::state::Selection::Part(bss.id.clone());
    let text = shown(&model, &state, (200, 60));
    assert!(text.contains("in it, n looks into them"), "{text}");
    press(&mut state, &model, &image, &[KeyCode::Char('n')]);
    let first = state.thing(&model.snapshot).expect("a static is looked at");
    assert!(bss.range.covers(first));
    assert_eq!(state.wanted(&model), Some(Wish::Static(first)));
    assert!(shown(&model, &state, (200, 60)).contains("initial values, from the ELF"));
    press(&mut state, &model, &image, &[KeyCode::Char('n')]);
    let second = state.thing(&model.snapshot).expect("another one");
    assert!(second != first && second.size() <= first.size());
    press(&mut state, &model, &image, &[KeyCode::Char('N')]);
    assert_eq!(state.thing(&model.snapshot), Some(first));
    // Another part, and it is over; so it is with Esc.
    press(&mut state, &model, &image, &[KeyCode::Up]);
    assert_eq!(state.thing(&model.snapshot), None);
    state.selection = highwater::tui::state::Selection::Part(bss.id.clone());
    assert_eq!(state.thing(&model.snapshot), Some(first));
    press(&mut state, &model, &image, &[KeyCode::Esc]);
    assert_eq!((state.thing(&model.snapshot), state.wanted(&model)), (None, None));
}

/// The map with what is largest in the tasks' RAM selected, and what else follows with that many keys.
fn task(image: &Arc<Image>, model: &Model, keys: usize) -> State {
    let mut state = start(image, Screen::Map);
    let memories = &model.snapshot.memories;
    let part = memories.iter().flat_map(|memory| &memory.parts).find(|part| part.name == ".bss").expect("it has one");
    state.selection = highwater::tui::state::Selection::Part(part.id.clone());
    press(&mut state, model, image, &vec![KeyCode::Char('n'); keys]);
    state
}

#[test]
fn the_static_of_a_task_shows_its_awaits_and_fields_on_the_map() {
    let (image, model) = opened("tests/fixtures/static/tasks.elf");
    for (name, keys) in [("embassy", 1), ("rtic", 2)] {
        let state = task(&image, &model, keys);
        insta::assert_snapshot!(format!("map_task_{name}"), shown(&model, &state, (120, 50)));
    }
}

#[test]
fn a_new_build_is_shown_in_place_of_the_old_one_and_the_cursor_stays() {
    let (image, model) = demo();
    let mut state = start(&image, Screen::Symbols);
    let range = find(&mut state, &model, &image, "KERNEL");
    let mut inventory = (*state.symbols.shared.get().expect("it is there")).clone();
    let renamed = inventory.things.iter_mut().find(|thing| thing.name.contains("kernel::spawn")).expect("it is there");
    renamed.name = "demo::kernel::brand_new".into();
    state.symbols.shared.set(inventory);
    assert_eq!(state.symbols.shared.told(range), None, "what was told is of the build before");
    state.symbols.prepare();
    assert_eq!(state.thing(&model.snapshot), Some(range));
    press(&mut state, &model, &image, &[KeyCode::Esc]);
    find(&mut state, &model, &image, "brand_new");
}

#[test]
fn without_a_static_there_is_no_box() {
    let mut state = start(&demo().0, Screen::Map);
    let (image, _) = demo();
    press(&mut state, &fixtures::calm(), &image, &[KeyCode::Char('f')]);
    assert_eq!(state.overlay, Overlay::None);
    assert!(state.notice.is_some());
}
