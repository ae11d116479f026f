//! Nothing that a target can say and no size of the terminal makes drawing panic.

use std::time::Duration;

use highwater::model::Model;
use highwater::model::snapshot::{
    Heap, Measured, MemoryKind, MemoryMap, Part, PartKind, Stack, StackKind, Trust, Victim,
};
use highwater::region::Region;
use highwater::tui::keys::{Action, BINDINGS};
use highwater::tui::state::{Screen, State};
use highwater::tui::theme::{Theme, ThemeName};
use highwater::tui::update::update;
use proptest::prelude::*;
use ratatui::layout::Size;

use crate::{drawn, fixtures, on};

fn region() -> impl Strategy<Value = Region> {
    prop_oneof![
        (0u32..0x2_0000, 0u32..0x1_0000).prop_map(|(start, size)| Region::new(0x2000_0000 + start, size)),
        (any::<u32>(), any::<u32>()).prop_map(|(start, size)| Region::new(start, size)),
    ]
}

fn measured() -> impl Strategy<Value = Option<Measured>> {
    let trust = prop::sample::select(vec![
        Trust::Exact,
        Trust::AtLeast,
        Trust::Estimated,
        Trust::Torn,
        Trust::Stale,
        Trust::Unpainted,
        Trust::Gap,
    ]);
    let bytes = prop_oneof![0u32..10_000, any::<u32>()];
    prop::option::of((bytes, trust).prop_map(|(bytes, trust)| Measured { bytes, trust }))
}

fn stack() -> impl Strategy<Value = Stack> {
    let kind = prop::sample::select(vec![StackKind::Main, StackKind::Isr, StackKind::User]);
    let numbers = (measured(), measured(), measured(), measured());
    (".{0,20}", kind, region(), numbers, prop::option::of(region()), any::<bool>()).prop_map(
        |(name, kind, range, (current, lowest_sp, peak, worst_case), victim, overflowed)| Stack {
            id: format!("{name}{range:?}"),
            name: name.clone(),
            kind,
            range,
            control_block: None,
            current,
            lowest_sp,
            peak,
            worst_case,
            worst_case_note: worst_case.map(|_| "recursion in \x1b[2J: at least".to_owned()),
            recursion: None,
            rescanned: Some(Duration::from_secs(80)),
            victim: victim.map(|range| Victim { name, is: None, range }),
            limit_whole: !overflowed,
            unwritten: None,
            overflowed,
            priority: Some(3),
            state: Some("ready\x1b[2J".to_owned()),
            cpu: Some(1.0),
        },
    )
}

/// Parts that fill a region, as the model promises, but of any kind and with any index.
fn parts(range: Region, cuts: &[u32], kinds: &[PartKind], inner: bool) -> Vec<Part> {
    let mut ends: Vec<u32> = cuts.iter().map(|cut| cut % range.size().max(1)).collect();
    ends.extend([0, range.size()]);
    ends.sort_unstable();
    ends.dedup();
    ends.windows(2)
        .enumerate()
        .map(|(index, pair)| {
            let range = range.slice(pair[0], pair[1] - pair[0]);
            let kind = kinds[index % kinds.len()];
            let nested = kind == PartKind::Heap && inner && !cuts.is_empty();
            Part {
                id: format!("{range:?}{inner}"),
                name: format!("part 漢字 \u{202e}{index}"),
                kind,
                range,
                is_static: false,
                is_room: false,
                stack: (kind == PartKind::Stack).then_some(index),
                heap: (kind == PartKind::Heap).then_some(index % 2),
                parts: if nested { parts(range, cuts, kinds, false) } else { Vec::new() },
            }
        })
        .collect()
}

const KINDS: [PartKind; 17] = [
    PartKind::Vectors,
    PartKind::Bootloader,
    PartKind::Code,
    PartKind::Constants,
    PartKind::DataImage,
    PartKind::Data,
    PartKind::Bss,
    PartKind::Uninit,
    PartKind::Stack,
    PartKind::Heap,
    PartKind::Block,
    PartKind::Free,
    PartKind::Blocks,
    PartKind::Buffer,
    PartKind::Other,
    PartKind::Unclaimed,
    PartKind::Stack,
];

fn memory() -> impl Strategy<Value = MemoryMap> {
    let kind = prop::sample::select(vec![MemoryKind::Ram, MemoryKind::Ram, MemoryKind::Flash]);
    let kinds = prop::collection::vec(prop::sample::select(KINDS.to_vec()), 1..8);
    (kind, region(), prop::collection::vec(any::<u32>(), 0..24), kinds, any::<bool>()).prop_map(
        |(kind, range, cuts, kinds, size_known)| MemoryMap {
            name: "RAM".to_owned(),
            kind,
            range,
            size_known,
            parts: parts(range, &cuts, &kinds, true),
        },
    )
}

fn heap() -> impl Strategy<Value = Heap> {
    (region(), measured(), measured(), measured(), prop::option::of(any::<u32>())).prop_map(
        |(range, used, peak, largest_free, high_water)| Heap {
            name: "heap".to_owned(),
            range,
            used,
            peak,
            requested: None,
            requested_peak: None,
            largest_free,
            allocator: None,
            in_use: Some(3),
            blocks: None,
            damage: None,
            overhead: None,
            failures: high_water,
            allocations: None,
            high_water,
            ..Heap::unknown("heap", range)
        },
    )
}

fn model() -> impl Strategy<Value = Model> {
    let memories = prop::collection::vec(memory(), 0..5);
    let stacks = prop::collection::vec(stack(), 0..20);
    let heaps = prop::collection::vec(heap(), 0..3);
    (memories, stacks, heaps).prop_map(|(memories, stacks, heaps)| {
        let mut snapshot = fixtures::reconnecting().snapshot;
        snapshot.memories = memories;
        snapshot.stacks = stacks;
        snapshot.heaps = heaps;
        fixtures::settled(snapshot)
    })
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let keys: Vec<Action> = BINDINGS.iter().map(|binding| binding.action).collect();
    let action = prop_oneof![
        4 => prop::sample::select(keys),
        1 => (0u16..220, 0u16..70).prop_map(|(x, y)| Action::Click { x, y }),
        1 => any::<char>().prop_map(Action::Type),
    ];
    prop::collection::vec(action, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_model_on_any_terminal_is_drawn(model in model(), width in 1u16..220, height in 1u16..70, ascii: bool, actions in actions()) {
        let theme = Theme::new(ThemeName::Auto, ascii, true);
        for screen in Screen::EVERY {
            let mut state = State { size: Size { width, height }, ..on(screen) };
            drawn(&model, &state, &theme, (width, height));
            for action in &actions {
                update(&mut state, &model, *action);
            }
            drawn(&model, &state, &theme, (width, height));
        }
    }

    #[test]
    fn the_board_is_drawn_at_any_size_whatever_is_pressed(width in 1u16..220, height in 1u16..70, actions in actions()) {
        let model = fixtures::many();
        let mut state = State { size: Size { width, height }, ..on(Screen::Map) };
        for action in actions {
            update(&mut state, &model, action);
            drawn(&model, &state, &Theme::default(), (width, height));
        }
    }
}

#[test]
fn drawing_changes_neither_the_model_nor_the_state() {
    let (model, state) = (fixtures::many(), on(Screen::Map));
    let before = format!("{model:?} {state:?}");
    let one = drawn(&model, &state, &Theme::default(), (120, 40));
    let other = drawn(&model, &state, &Theme::default(), (120, 40));
    assert_eq!(before, format!("{model:?} {state:?}"));
    assert_eq!(one, other);
}
