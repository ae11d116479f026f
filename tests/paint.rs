//! `--paint` fills what is free of a stack that nobody painted, and nothing else.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{INSTANT, emulation, image};
use highwater::image::{Image, layout as memories};
use highwater::model::Model;
use highwater::model::alert::Severity;
use highwater::model::snapshot::{Stack, Trust};
use highwater::region::Region;
use highwater::sampler::painter::Painter;
use highwater::sampler::{Options, Sampler, static_snapshot};
use highwater::simulator::Board;
use highwater::source::control::Control;
use highwater::source::emulated::open;
use highwater_agent::layout::{self, PAINT, PAINTED};

const CALM: u32 = 0;
const DHCSR: u32 = 0xe000_edf0;

struct Painted {
    board: Arc<Board>,
    sampler: Sampler,
    model: Model,
}

impl Painted {
    /// The demo half a second after its start, where it seems that nobody painted the stack of `growth`; with or without
    /// a painter.
    fn new(with_painter: impl FnOnce(Sampler, Box<dyn Control>) -> Sampler) -> Self {
        let image = image();
        let (source, board) = open(&emulation(&image, CALM, 1, INSTANT)).expect("the board opens");
        board.advance(Duration::from_millis(600));
        forget_paint(&image, &board, &mut source.control());
        let control = Box::new(source.control());
        let found = memories::memories(&image, &[]);
        let model = Model::new(static_snapshot(&image, &found));
        let options = Options { rate_hz: Some(30.0) };
        let sampler = Sampler::new(Box::new(source), Arc::clone(&image), found, options).expect("the link works");
        Self { board, sampler: with_painter(sampler, control), model }
    }

    fn refresh(&mut self) {
        let before = self.sampler.now();
        self.model.ingest(self.sampler.refresh());
        self.sampler.wait(self.sampler.now() - before);
    }

    fn growth(&self) -> &Stack {
        self.model.snapshot.stacks.iter().find(|stack| stack.name == "growth").expect("the demo has it")
    }
}

/// Takes the agent's word away that the stack of `growth` is painted, and the paint with noise.
fn forget_paint(image: &Image, board: &Board, control: &mut dyn Control) {
    let word = |address: u32, word: usize| board.peek_word(address + 4 * word as u32).expect("it is there");
    let block = image.symbols.address("HIGHWATER").expect("the demo has an agent");
    let packed = word(block, layout::header::THREADS);
    let first = block + layout::table_offset(packed) + 4;
    let slot = (0..layout::table_count(packed))
        .map(|index| first + index * layout::table_stride(packed))
        .find(|slot| image.text(word(*slot, layout::thread::NAME), 16).as_deref() == Some("growth"))
        .expect("it has a slot");
    let info = word(slot, layout::thread::INFO);
    control.write(slot + 4 * layout::thread::INFO as u32, &[info & !PAINTED]).expect("RAM takes it");
    let range = Region::new(word(slot, layout::thread::BASE), word(slot, layout::thread::SIZE));
    for address in (range.start()..range.end_address()).step_by(4) {
        if word(address, 0) == PAINT {
            control.write(address, &[address ^ 0x5a5a_0001]).expect("RAM takes it");
        }
    }
}

#[test]
fn the_free_part_is_filled_while_the_core_stands_and_the_mark_counts_from_then_on() {
    let mut painted = Painted::new(|sampler, control| sampler.with_painter(Painter::new(control)));
    let writes = painted.board.counters().memory_writes;
    painted.refresh();
    assert_eq!(painted.growth().peak, None, "its startup code might still paint it");
    while painted.growth().peak.is_none() {
        assert!(painted.board.now() < Duration::from_secs(3), "{:?}", painted.model.snapshot.hints);
        painted.refresh();
    }
    let counters = painted.board.counters();
    assert_eq!(counters.halts, 1, "it stood once");
    let filled = 4 * u32::try_from(counters.memory_writes - writes).expect("a stack is small");
    let hint = painted.model.snapshot.hints.iter().find(|hint| hint.starts_with("growth's stack was painted"));
    assert!(hint.is_some_and(|hint| hint.contains(&format!("{filled} B"))), "{hint:?} {filled}");
    let growth = painted.growth();
    let in_use = growth.current.expect("its SP is known").bytes;
    assert!(filled > 3000 && filled + in_use < growth.range.size(), "{filled} B filled, {in_use} B in use");
    assert_eq!(painted.board.private_word(DHCSR) & 0xf, 0, "halting debug is off again");
    // The firmware goes on, and deeper: the mark follows, as a lower bound.
    let first = growth.peak.expect("it has a mark");
    assert_eq!(first.trust, Trust::AtLeast);
    while painted.board.now() < Duration::from_secs(6) {
        painted.refresh();
    }
    let later = painted.growth().peak.expect("it has a mark");
    assert!(later.bytes > first.bytes && later.trust == Trust::AtLeast, "{first:?} {later:?}");
    assert_eq!(painted.board.counters().halts, 1);
    let dangers = painted.model.active_alerts().filter(|alert| alert.severity == Severity::Danger).count();
    assert_eq!(dangers, 0, "the firmware is well: {:?}", painted.model.alerts);
}

#[test]
fn without_the_flag_an_unpainted_stack_stays_so() {
    let mut plain = Painted::new(|sampler, _| sampler);
    let before = plain.board.counters();
    while plain.board.now() < Duration::from_secs(3) {
        plain.refresh();
    }
    assert_eq!(plain.growth().peak, None);
    let after = plain.board.counters();
    let written = (after.memory_writes - before.memory_writes, after.debug_writes - before.debug_writes);
    assert_eq!((after.halts, written), (0, (0, 0)));
}
