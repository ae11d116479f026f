//! The heap block by block: states of knowledge, sizes of terminals, and the keys.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use highwater::model::Model;
use highwater::model::baseline::Baseline;
use highwater::model::snapshot::{
    Block, BlockState, CallSite, Excerpt, Heap, LiveBlock, Measured, MemoryKind, Obstacle, Owner, Part, PartKind,
    Trust, Unwalked,
};
use highwater::region::Region;
use highwater::tui::heap::{HeapState, Order};
use highwater::tui::keys::action;
use highwater::tui::state::{Screen, Selection, State};
use highwater::tui::update::update;
use ratatui::layout::Size;

use crate::{fixtures, on, shown};

/// A heap of 16 KiB: blocks of two places, one that leaks and one that holds a buffer; holes between them.
pub(crate) fn leaking() -> Model {
    let range = Region::new(0x2000_4000, 0x4000);
    let (mut live, mut holes) = (Vec::new(), Vec::new());
    let mut at = range.start();
    for index in 0..24u32 {
        let size = 120 + index % 5 * 40;
        let owner = usize::from(index % 3 == 0);
        let seen = Duration::from_secs(if index == 22 { 75 } else { 2 });
        let holds = (index == 6).then(|| "uart_rx_buf".to_owned());
        live.push(LiveBlock { range: Region::new(at, size), asked: size - 18, front: 16, owner, holds, seen });
        at += size;
        if index % 7 == 3 {
            holes.push(Region::new(at, 96));
            at += 96;
        }
    }
    holes.push(Region::between(at, range.end_address()));
    let held = |wanted: usize| live.iter().filter(move |block| block.owner == wanted);
    let owner = |index: usize, function: &str, line: u32, growth: f64, leaks: bool| Owner {
        site: CallSite { function: function.into(), file: Some("app/src/net.rs".into()), line: Some(line) },
        blocks: held(index).count() as u32,
        bytes: held(index).map(|block| block.range.size()).sum(),
        growth: Some(growth),
        leaks,
    };
    let owners = vec![owner(0, "app::net::packet", 44, 0.0, false), owner(1, "app::net::remember", 72, 512.0, true)];
    let used = live.iter().map(|block| block.range.size()).sum();
    let mut model = fixtures::calm();
    model.snapshot.at = Duration::from_secs(75);
    model.snapshot.heaps = vec![Heap {
        used: Some(fixtures::exact(used)),
        peak: Some(fixtures::exact(used + 500)),
        largest_free: holes.last().map(|hole| fixtures::exact(hole.size())),
        in_use: Some(24),
        blocks: Some(blocks(range, &holes)),
        overhead: Some(24 * 18),
        failures: Some(2),
        failed_size: Some(9000),
        allocations: Some(812),
        alloc_rate: Some(40.5),
        high_water: Some(at + 500),
        callers: 3,
        live: Some(live),
        owners: Some(owners),
        owners_trust: Trust::Exact,
        allocator: Some("linked_list_allocator"),
        unwalked: None,
        ..Heap::unknown("heap", range)
    }];
    model
}

/// Blocks that fill a heap: what is no hole is in use.
fn blocks(range: Region, holes: &[Region]) -> Arc<[Block]> {
    let used = range.minus(holes).into_iter().map(|range| Block::new(range, 0, BlockState::Used));
    let free = holes.iter().map(|hole| Block::new(*hole, 0, BlockState::Free));
    let mut blocks: Vec<Block> = used.chain(free).collect();
    blocks.sort_by_key(|block| block.range);
    blocks.into()
}

fn with(change: impl FnOnce(&mut Heap)) -> Model {
    let mut model = leaking();
    change(&mut model.snapshot.heaps[0]);
    model
}

fn asking(size: &str) -> State {
    State { heap: HeapState { asked: size.into(), ..HeapState::default() }, ..on(Screen::Heap) }
}

fn press(state: &mut State, model: &Model, code: KeyCode) {
    let event = Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
    if let Some(action) = action(&event, state.screen, state.input) {
        update(state, model, action);
    }
}

macro_rules! look {
    ($name:ident, $model:expr, $state:expr, $size:expr) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(shown(&$model, &$state, $size));
        }
    };
}

look!(heap_120x36, leaking(), asking("2048"), (120, 36));
look!(heap_200x60, leaking(), on(Screen::Heap), (200, 60));
look!(heap_80x24, leaking(), asking("14000"), (80, 24));
look!(heap_40x12, leaking(), on(Screen::Heap), (40, 12));
look!(heap_totals_only, fixtures::calm(), asking("2048"), (120, 36));
look!(
    heap_of_an_allocator_that_nobody_walks,
    {
        let mut model = fixtures::calm();
        let unwalked = Some(Unwalked::By("talc", Obstacle::Foreign));
        model.snapshot.heaps = vec![Heap { unwalked, ..Heap::unknown("heap", model.snapshot.heaps[0].range) }];
        model
    },
    asking("2048"),
    (120, 36)
);
look!(heap_none, fixtures::nothing(), on(Screen::Heap), (120, 36));
look!(
    heap_without_owners,
    with(|heap| {
        heap.live = None;
        heap.owners = None;
    }),
    on(Screen::Heap),
    (120, 36)
);
look!(
    heap_stale,
    with(|heap| {
        heap.owners_trust = Trust::Stale;
        heap.used = heap.used.map(|used| Measured { trust: Trust::Stale, ..used });
        heap.walked = Some(Duration::from_millis(74_966));
        heap.owners_confirmed = Some(Duration::from_millis(74_932));
    }),
    on(Screen::Heap),
    (120, 36)
);

/// With a block selected, and its first bytes.
fn looking_closer() -> (Model, State) {
    let mut model = leaking();
    let block = model.snapshot.heaps[0].live.as_ref().expect("there are blocks")[6].clone();
    let bytes = b"\x00\xffGET /status HTTP/1.1\r\n".iter().copied().chain(0..40).collect();
    model.snapshot.excerpt = Some(Excerpt { start: block.range.start() + block.front, bytes });
    let heap = HeapState { block: Some(block.range.start()), ..HeapState::default() };
    (model, State { heap, ..on(Screen::Heap) })
}

look!(heap_of_a_block_its_first_bytes, looking_closer().0, looking_closer().1, (120, 36));

/// Half a minute after a baseline: one place holds more, one less, one is gone and one is new.
fn compared() -> (Model, State) {
    let mut model = leaking();
    let mut before = model.snapshot.clone();
    before.at = Duration::from_secs(45);
    let heap = &mut before.heaps[0];
    heap.used = heap.used.map(|used| Measured { bytes: used.bytes - 600, ..used });
    let owners = heap.owners.as_mut().expect("it has some");
    owners[0].bytes += 400;
    owners[0].blocks += 2;
    owners[1].bytes -= 1000;
    owners[1].blocks -= 5;
    model.baseline = Some(Baseline::new(&before));
    let mut state = State { size: Size { width: 120, height: 36 }, ..on(Screen::Heap) };
    press(&mut state, &model, KeyCode::Char('d'));
    (model, state)
}

look!(heap_since_the_baseline, compared().0, compared().1, (120, 36));

#[test]
fn a_baseline_from_before_a_reset_is_not_compared_with() {
    let (mut model, state) = compared();
    model.snapshot.epoch += 1;
    let screen = shown(&model, &state, (200, 60));
    assert!(screen.contains("before the last reset") && !screen.contains("+bytes"), "{screen}");
}

#[test]
fn keys_walk_through_owners_and_blocks_and_ask_for_a_size() {
    let model = leaking();
    let mut state = State { size: Size { width: 120, height: 36 }, ..on(Screen::Heap) };
    press(&mut state, &model, KeyCode::Down);
    assert_eq!(state.heap.owner.as_ref().map(CallSite::short), Some("packet"), "behind the one that grows");
    press(&mut state, &model, KeyCode::Char('o'));
    assert_eq!(state.heap.order, Order::Bytes);
    press(&mut state, &model, KeyCode::Right);
    let last = model.snapshot.heaps[0].live.as_ref().and_then(|live| live.last()).expect("there are blocks").range;
    assert_eq!(state.heap.block, Some(last.start()), "the last address is the first block");
    assert!(shown(&model, &state, (120, 36)).contains("Block at"));
    press(&mut state, &model, KeyCode::Esc);
    assert_eq!(state.heap.block, None);
    for c in "f2048".chars() {
        press(&mut state, &model, KeyCode::Char(c));
    }
    press(&mut state, &model, KeyCode::Enter);
    assert!(shown(&model, &state, (120, 36)).contains("2048 B would fit"));
    press(&mut state, &model, KeyCode::Esc);
    assert_eq!(state.heap.asked, "");
}

#[test]
fn several_heaps_are_shown_one_after_the_other() {
    let mut model = leaking();
    model.snapshot.heaps.push(Heap::unknown("pool", Region::new(0x1000_0000, 4096)));
    let mut state = State { size: Size { width: 120, height: 36 }, ..on(Screen::Heap) };
    assert!(shown(&model, &state, (120, 36)).contains("one of 2"));
    press(&mut state, &model, KeyCode::Char('n'));
    assert!(shown(&model, &state, (120, 36)).contains("pool"));
    // One that is set up later does not take the place of the one that is shown.
    model.snapshot.heaps.insert(0, Heap::unknown("early", Region::new(0x0800_0000, 4096)));
    assert!(shown(&model, &state, (120, 36)).contains("pool"));
    press(&mut state, &model, KeyCode::Char('n'));
    assert!(shown(&model, &state, (120, 36)).contains("early"));
}

#[test]
fn a_stretch_of_heap_lists_its_largest_blocks_on_the_map() {
    let mut model = with(|heap| {
        let live = heap.live.iter().flatten().map(|block| Block::new(block.range, 16, BlockState::Used));
        let free = heap.holes().into_iter().flatten().map(|hole| Block::new(hole, 0, BlockState::Free));
        let mut blocks: Vec<Block> = live.chain(free).collect();
        blocks.sort_by_key(|block| block.range);
        heap.blocks = Some(blocks.into());
    });
    let range = Region::new(0x2000_4000, 0x1000);
    let part = fixtures::part("ram/heap/blocks", PartKind::Block, range.start(), range.end_address());
    let heap = fixtures::part("ram/heap", PartKind::Heap, range.start(), 0x2000_8000);
    let heap = Part { heap: Some(0), parts: vec![part.clone()], ..heap };
    model.snapshot.memories = vec![fixtures::memory("RAM", MemoryKind::Ram, vec![heap])];
    let mut state = on(Screen::Map);
    state.selection = Selection::Part(part.id);
    let text = shown(&model, &state, (120, 36));
    for expected in ["the largest of 19 blocks, key 3 shows all", "packet net.rs:44", "280 B"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    // Without owners they are blocks all the same, and without a walk nothing is said of them.
    model.snapshot.heaps[0].live = None;
    assert!(shown(&model, &state, (120, 36)).contains("   a block  "));
    model.snapshot.heaps[0].blocks = None;
    assert!(!shown(&model, &state, (120, 36)).contains("a block "));
}
