//! Who owns the memory: the tree, the treemap, and the keys that walk through them.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use highwater::image::layout::Memory;
use highwater::inventory::owner::Module;
use highwater::inventory::{Copied, Holding, Inventory, Item, SectionSize, Thing, What};
use highwater::model::snapshot::MemoryKind;
use highwater::region::Region;
use highwater::tui::keys::action;
use highwater::tui::state::{Options, Screen, State};
use highwater::tui::symbols::{Figure, Grouping, Shared};
use highwater::tui::update::update;
use ratatui::layout::Size;

use crate::{dark, drawn, fixtures, shown, text};

/// What lies in one memory, from its start on: section, bytes, and name with its module, or what else it is.
type Rows<'a> = &'a [(Option<usize>, u32, Result<(&'a str, &'a str), What>)];

fn holding(inventory: &mut Inventory, name: &str, kind: MemoryKind, start: u32, size: u32, rows: Rows<'_>) {
    let memory = Memory { name: name.into(), kind, range: Region::new(start, size), size_known: true };
    let mut items = Vec::new();
    let mut at = start;
    for (section, bytes, what) in rows {
        let range = Region::new(at, *bytes);
        let what = match what {
            Err(what) => *what,
            Ok((name, module)) => {
                let folded = name.split('<').next().unwrap_or(name).to_owned();
                let module = if module.ends_with(".c") {
                    Module::File((*module).into())
                } else {
                    Module::Crate((*module).into())
                };
                let is_code = kind == MemoryKind::Flash;
                inventory.things.push(Thing { name: (*name).into(), folded, module, range, is_code, content: None });
                What::Thing(inventory.things.len() - 1)
            }
        };
        items.push(Item { range, section: *section, copy: Copied::Run, what });
        at = range.end_address();
    }
    items.push(Item {
        range: Region::between(at, memory.range.end_address()),
        section: None,
        copy: Copied::Run,
        what: What::Free,
    });
    inventory.memories.push(Holding { memory, items });
}

fn inventory() -> Inventory {
    let section = |name: &str| SectionSize { name: name.into(), size: 0 };
    let mut inventory = Inventory {
        elf: "pump.elf".into(),
        sections: vec![
            section(".vector_table"),
            section(".text"),
            section(".rodata"),
            section(".bss"),
            section(".heap"),
        ],
        ..Inventory::default()
    };
    let flash: Rows<'_> = &[
        (Some(0), 256, Err(What::Unnamed)),
        (Some(1), 4200, Ok(("pump::control::Loop::step", "pump"))),
        (Some(1), 1800, Ok(("pump::telemetry::send", "pump"))),
        (Some(1), 900, Ok(("core::fmt::write", "core"))),
        (Some(1), 640, Ok(("core::ptr::drop_in_place<pump::Packet>", "core"))),
        (Some(1), 320, Ok(("core::ptr::drop_in_place<pump::Frame>", "core"))),
        (Some(1), 2, Err(What::Padding)),
        (Some(1), 1500, Ok(("ff_mount", "fatfs.c"))),
        (
            Some(1),
            400,
            Ok(("<&mut pump::a_module_with_a_long_name::Writer<'_> as core::fmt::Write>::write_str", "pump")),
        ),
        (Some(2), 700, Ok(("pump::tables::SINE", "pump"))),
    ];
    holding(&mut inventory, "Flash", MemoryKind::Flash, 0x0800_0000, 0x1_0000, flash);
    let ram: Rows<'_> = &[
        (Some(3), 2048, Ok(("pump::telemetry::BUFFER", "pump"))),
        (Some(3), 512, Ok(("fs_window", "fatfs.c"))),
        (Some(4), 8192, Err(What::Heap)),
    ];
    holding(&mut inventory, "RAM", MemoryKind::Ram, 0x2000_0000, 0x5000, ram);
    inventory
}

/// The screen with these symbols, ready to be drawn.
fn start(size: (u16, u16)) -> State {
    let symbols = Shared::expected();
    symbols.set(inventory());
    let options = Options { screen: Screen::Symbols, symbols, ..Options::default() };
    let mut state = State { size: Size { width: size.0, height: size.1 }, ..State::new(&options) };
    state.symbols.prepare();
    state
}

fn press(state: &mut State, keys: &[KeyCode]) {
    for key in keys {
        let event = Event::Key(KeyEvent::new(*key, KeyModifiers::NONE));
        let action = action(&event, state.screen, state.input).expect("the key means something here");
        update(state, &fixtures::calm(), action);
        state.symbols.prepare();
    }
}

fn types(state: &mut State, text: &str) {
    let keys: Vec<KeyCode> = text.chars().map(KeyCode::Char).collect();
    press(state, &keys);
}

/// What the screen says of the selected row: the line with the pointer.
fn selected(state: &State) -> String {
    let text = shown(&fixtures::calm(), state, (120, 36));
    let line = text.lines().find(|line| line.contains('▸')).expect("something is selected");
    line.trim_start().trim_start_matches('▸').split_whitespace().nth(1).unwrap_or_default().to_owned()
}

#[test]
fn the_tree_at_every_size() {
    for (size, name) in [((40, 12), "40x12"), ((80, 24), "80x24"), ((120, 36), "120x36"), ((200, 60), "200x60")] {
        insta::assert_snapshot!(format!("symbols_{name}"), shown(&fixtures::calm(), &start(size), size));
    }
}

#[test]
fn the_treemap() {
    let mut state = start((120, 36));
    types(&mut state, "t");
    insta::assert_snapshot!("symbols_treemap", shown(&fixtures::calm(), &state, (120, 36)));
    // One group closer: the crates of the largest section.
    press(&mut state, &[KeyCode::Down, KeyCode::Enter, KeyCode::Enter]);
    insta::assert_snapshot!("symbols_treemap_within", shown(&fixtures::calm(), &state, (120, 36)));
}

#[test]
fn ascii_draws_ascii_only() {
    let theme = highwater::tui::theme::Theme::new(highwater::tui::theme::ThemeName::Dark, true, true);
    for keys in ["", "t"] {
        let mut state = start((80, 24));
        types(&mut state, keys);
        let text = text(&drawn(&fixtures::calm(), &state, &theme, (80, 24)));
        assert!(text.is_ascii(), "{text}");
    }
}

#[test]
fn groups_open_and_close_and_the_cursor_stays_where_it_was() {
    let mut state = start((120, 36));
    press(&mut state, &[KeyCode::Home]);
    let first = selected(&state);
    press(&mut state, &[KeyCode::Down]);
    let second = selected(&state);
    assert_ne!(first, second);
    // Out: to the memory; out again closes it.
    press(&mut state, &[KeyCode::Left, KeyCode::Left]);
    let rows =
        |state: &State| shown(&fixtures::calm(), state, (120, 36)).lines().filter(|line| line.contains(" B ")).count();
    let (closed, opened) = (rows(&state), {
        press(&mut state, &[KeyCode::Enter]);
        rows(&state)
    });
    assert!(opened > closed, "{opened} rows, {closed} when the first memory is closed");
    // Another order keeps what is selected.
    let before = selected(&state);
    types(&mut state, "o");
    assert_eq!(selected(&state), before);
}

#[test]
fn grouping_goes_round() {
    let mut state = start((120, 36));
    let expected = [Grouping::Memory, Grouping::Module, Grouping::Name, Grouping::Section];
    for grouping in expected {
        types(&mut state, "v");
        assert_eq!(state.symbols.grouping, grouping);
        assert!(shown(&fixtures::no_target(), &state, (120, 36)).contains(grouping.title()));
    }
}

#[test]
fn the_filter_keeps_what_has_the_text_in_its_name() {
    let mut state = start((120, 36));
    types(&mut state, "/drop");
    let text = shown(&fixtures::calm(), &state, (120, 36));
    assert!(text.contains("drop_in_place") && !text.contains("ff_mount") && text.contains("/drop_"), "{text}");
    press(&mut state, &[KeyCode::Enter]);
    press(&mut state, &[KeyCode::Esc]);
    assert!(state.symbols.filter.is_empty());
    types(&mut state, "/zzz");
    assert!(shown(&fixtures::calm(), &state, (120, 36)).contains("nothing has such a name"));
}

#[test]
fn a_click_selects_in_both_figures() {
    for figure in [Figure::Tree, Figure::Treemap] {
        let mut state = start((120, 36));
        if figure == Figure::Treemap {
            types(&mut state, "t");
        }
        let before = shown(&fixtures::calm(), &state, (120, 36));
        let kind = MouseEventKind::Down(MouseButton::Left);
        let at = if figure == Figure::Tree { (10, 9) } else { (70, 20) };
        let event = Event::Mouse(MouseEvent { kind, column: at.0, row: at.1, modifiers: KeyModifiers::NONE });
        let action = action(&event, state.screen, state.input).expect("a click means something");
        update(&mut state, &fixtures::calm(), action);
        assert_ne!(shown(&fixtures::calm(), &state, (120, 36)), before, "{figure:?}");
    }
}

#[test]
fn without_an_elf_it_says_so_and_while_one_is_read_too() {
    let state = State::new(&Options { screen: Screen::Symbols, ..Options::default() });
    assert!(shown(&fixtures::calm(), &state, (80, 24)).contains("no ELF is known here"));
    let options = Options { screen: Screen::Symbols, symbols: Shared::expected(), ..Options::default() };
    assert!(shown(&fixtures::calm(), &State::new(&options), (80, 24)).contains("reading the symbols ..."));
}

/// A state to draw pictures of.
pub(crate) fn pictured(keys: &str) -> State {
    let mut state = start((120, 36));
    types(&mut state, keys);
    state
}

#[test]
fn any_terminal_has_room_for_it() {
    for width in [1, 20, 41, 60, 99, 130] {
        for height in [1, 10, 11, 24, 50] {
            for keys in ["", "t"] {
                let mut state = start((width, height));
                types(&mut state, keys);
                let _ = drawn(&fixtures::calm(), &state, &dark(), (width, height));
            }
        }
    }
}
