//! A store into a guard is caught at the instruction, new marks with their calls, and the debug registers are left as
//! they were found. The emulated board keeps its own log of stores and calls to hold all of it against.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{INSTANT, emulation, image};
use highwater::image::{Image, layout};
use highwater::model::Model;
use highwater::model::alert::AlertKind;
use highwater::model::catch::{Call, Catch, CatchKind, Mode, Tripwire as Told};
use highwater::region::Region;
use highwater::report::Report;
use highwater::sampler::tripwire::{GoOn, Release, Tripwire};
use highwater::sampler::{Options, Sampler, static_snapshot};
use highwater::simulator::{Board, CoreKind};
use highwater::source::control::left::Keeper;
use highwater::source::emulated::{Emulation, attach, open};
use highwater::source::probe::ProbeSource;

const CALM: u32 = 0;
const OVERFLOW: u32 = 1;

const DHCSR: u32 = 0xe000_edf0;
const DEMCR: u32 = 0xe000_edfc;
const DWT_COMP0: u32 = 0xe000_1020;

/// The demo with a tripwire.
struct Trap {
    image: Arc<Image>,
    board: Arc<Board>,
    sampler: Sampler,
    model: Model,
}

impl Trap {
    fn new(emulation: &Emulation, mode: Mode, release: Release) -> Self {
        let image = image();
        let (source, board) = open(emulation).expect("the board opens");
        Self::over(image, board, source, mode, release, None)
    }

    /// On a board that is there already, with a file for what is found.
    fn on(board: &Arc<Board>, emulation: &Emulation, mode: Mode, file: &Path) -> Self {
        // The probe's thread gives the probe back in its own time.
        let source = std::iter::repeat_with(|| attach(board, emulation).ok())
            .take(1_000_000)
            .find_map(|opened| {
                opened.or_else(|| {
                    std::thread::yield_now();
                    None
                })
            })
            .expect("the probe opens");
        let keeper = Some(Keeper::new(file.to_owned()));
        Self::over(image(), Arc::clone(board), source, mode, Release::AtOnce, keeper)
    }

    fn over(
        image: Arc<Image>,
        board: Arc<Board>,
        source: ProbeSource,
        mode: Mode,
        release: Release,
        keeper: Option<Keeper>,
    ) -> Self {
        let tripwire = Tripwire::new(Box::new(source.control()), mode, release, keeper);
        let memories = layout::memories(&image, &[]);
        let model = Model::new(static_snapshot(&image, &memories));
        let options = Options { rate_hz: Some(30.0) };
        let sampler = Sampler::new(Box::new(source), Arc::clone(&image), memories, options).expect("the link works");
        Self { image, board, sampler: sampler.with_tripwire(tripwire), model }
    }

    fn refresh(&mut self) {
        let before = self.sampler.now();
        let observation = self.sampler.refresh();
        self.model.ingest(observation);
        self.sampler.wait(self.sampler.now() - before);
    }

    /// Refreshes until something was caught.
    fn catch(&mut self, limit: Duration) -> Catch {
        while self.board.now() < limit {
            self.refresh();
            if let Some(catch) = self.told().catches.first() {
                return catch.clone();
            }
        }
        panic!("nothing was caught within {limit:?}: {:?}", self.told());
    }

    fn told(&self) -> &Told {
        self.model.snapshot.tripwire.as_ref().expect("there is a tripwire")
    }

    /// The stack of this thread, once it is known.
    fn stack(&mut self, name: &str) -> Region {
        while self.board.now() < Duration::from_secs(5) {
            self.refresh();
            if let Some(stack) = self.model.snapshot.stacks.iter().find(|stack| stack.name == name) {
                return stack.range;
            }
        }
        panic!("{name} is not known");
    }
}

/// What a debugger holds: comparators, trace enable, halting debug.
fn registers(board: &Board) -> Vec<(u32, u32)> {
    let comparators = (0..4).flat_map(|index| [0, 4, 8].map(|offset| DWT_COMP0 + 16 * index + offset));
    let mut all: Vec<(u32, u32)> = comparators.map(|address| (address, board.private_word(address))).collect();
    all.push((DEMCR, board.private_word(DEMCR)));
    // The C_ bits: the others are status.
    all.push((DHCSR, board.private_word(DHCSR) & 0xf));
    all
}

/// Function and line of an instruction, by the symbol alone where there is no debug information.
fn place_of(image: &Image, pc: u32) -> (String, Option<u32>) {
    let symbol = || image.symbols.at(pc).expect("it is a function").name.clone();
    let frame = image.lines().at(pc).first().map(|frame| (frame.function.clone(), frame.line));
    frame.unwrap_or_else(|| (symbol().to_string(), None))
}

/// The return addresses of a chain, the innermost first: without what is inlined, and without code that did not call
/// but was interrupted.
fn return_addresses(catch: &Catch) -> Vec<u32> {
    let calls = catch.chain.iter().filter(|call| !call.inlined).skip(1);
    calls.filter(|call| !call.interrupted).map(|call| call.pc).collect()
}

/// Stops at the store that breaks growth's guard, and holds what is told against the board's log.
fn stops_at_the_store(emulation: &Emulation) -> Trap {
    let go_on = GoOn::default();
    let mut trap = Trap::new(emulation, Mode::Halt, Release::When(go_on.clone()));
    let growth = trap.stack("growth");
    let log = trap.board.watch_store(growth.bottom(32));
    trap.board.trace_calls(Region::between(growth.start() - 512, growth.end_address()));
    let catch = trap.catch(Duration::from_secs(25));
    let stored = log.last().expect("the board logged it");
    assert_eq!(catch.pc, Some(stored.pc), "{catch:?}");
    assert_eq!((catch.address, catch.value), (Some(stored.address), Some(stored.value)), "{catch:?}");
    assert_eq!((catch.kind, catch.owner.as_str()), (CatchKind::Stopped, "growth"));
    assert_eq!(catch.thread.as_deref(), Some("growth"));
    assert_eq!(catch.victim.as_ref().map(|victim| victim.name.as_str()), Some("uart_rx_buf"));
    assert!(trap.told().held && trap.board.counters().halts == 1);

    // The chain is the board's own.
    assert_eq!(catch.chain[0].pc, stored.pc);
    assert!(catch.complete, "{:?}", catch.chain);
    assert_eq!(return_addresses(&catch), trap.board.open_calls(), "{:?}", catch.chain);
    let culprit = catch.culprit().expect("there is one");
    assert_eq!((culprit.function.clone(), culprit.line), place_of(&trap.image, stored.pc));
    assert_eq!(catch.chain.last().map(|call| call.function.as_str()), Some("demo::threads::growth::run"));
    let deep = catch.chain.iter().filter(|call| call.function == "demo::threads::growth::descend").count();
    assert!(deep > 20, "{deep} frames of the recursion");
    let alert = trap.model.active_alerts().find(|alert| alert.kind == AlertKind::Tripwire).expect("it is an alert");
    let interrupted = catch.chain.iter().find(|call| call.interrupted).and_then(Call::place).expect("it has a line");
    assert!(alert.text.contains(&culprit.function) && alert.text.contains(&interrupted), "{}", alert.text);
    assert!(alert.text.contains("stopped"), "{}", alert.text);

    // It stands until it is told to go on, and then runs on.
    let stood = trap.board.pc_and_sp();
    trap.refresh();
    assert_eq!(trap.board.pc_and_sp(), stood);
    go_on.ask();
    trap.refresh();
    trap.refresh();
    assert!(!trap.told().held);
    let beat = trap.board.counters().instructions;
    trap.board.advance(Duration::from_millis(500));
    assert!(trap.board.counters().instructions > beat + 1000, "it runs again");
    trap
}

#[test]
fn halt_stops_at_the_store_that_breaks_the_guard() {
    let trap = stops_at_the_store(&emulation(&image(), OVERFLOW, 1, INSTANT));
    let report = serde_json::to_value(Report::new(&trap.model)).expect("it is JSON");
    let catch = &report["catches"][0];
    assert_eq!((catch["kind"].as_str(), catch["owner"].as_str()), (Some("stopped"), Some("growth")));
    assert_eq!(catch["function"].as_str(), Some(trap.told().catches[0].chain[0].function.as_str()));
    assert_eq!(catch["victim"].as_str(), Some("uart_rx_buf"));
    let lines: Vec<_> =
        catch["chain"].as_array().expect("a chain").iter().filter(|call| call["line"].is_u64()).collect();
    assert!(catch["pc"].is_u64() && lines.iter().any(|call| call["file"] == "src/threads/growth.rs"), "{catch}");
}

#[test]
fn halt_works_with_the_comparators_of_v8m() {
    let emulation = Emulation { core: Some(CoreKind::M33), ..emulation(&image(), OVERFLOW, 1, INSTANT) };
    let trap = stops_at_the_store(&emulation);
    assert_eq!(trap.board.core(), CoreKind::M33);
}

/// Notes the store that breaks growth's guard on this core, and neither stops it nor writes to its memory.
fn watch_sees_the_store(core: CoreKind) {
    let emulation = Emulation { core: Some(core), ..emulation(&image(), OVERFLOW, 1, INSTANT) };
    let mut trap = Trap::new(&emulation, Mode::Watch, Release::AtOnce);
    let growth = trap.stack("growth");
    let log = trap.board.watch_store(growth.bottom(32));
    let before = log.last();
    let catch = trap.catch(Duration::from_secs(25));
    assert_eq!(before, None);
    assert_eq!((catch.kind, catch.owner.as_str(), catch.pc), (CatchKind::Noted, "growth", None));
    assert!(growth.bottom(32).contains(log.last().expect("the board logged it").address));
    let counters = trap.board.counters();
    assert_eq!((counters.halts, counters.memory_writes), (0, 0));
    assert!(trap.model.active_alerts().any(|alert| alert.kind == AlertKind::Tripwire));
}

#[test]
fn watch_sees_the_store_without_stopping_on_v6m() {
    watch_sees_the_store(CoreKind::M0Plus);
}

#[test]
fn watch_sees_the_store_without_stopping_on_v7m() {
    watch_sees_the_store(CoreKind::M3);
}

#[test]
fn watch_sees_the_store_without_stopping_on_v8m() {
    watch_sees_the_store(CoreKind::M33);
}

#[test]
fn the_guards_with_the_least_headroom_are_watched_and_followed() {
    let mut trap = Trap::new(&emulation(&image(), OVERFLOW, 1, INSTANT), Mode::Watch, Release::AtOnce);
    let growth = trap.stack("growth");
    let mut seen = Vec::new();
    while trap.board.now() < Duration::from_secs(9) {
        trap.refresh();
        let first = trap.told().aims.first().map(|aim| aim.stack.clone());
        if seen.last() != first.as_ref() {
            seen.extend(first);
        }
    }
    assert_eq!(seen.last().map(String::as_str), Some("growth"), "{seen:?}");
    assert!(seen.len() > 1, "the ranking changed: {seen:?}");
    let aim = &trap.told().aims[0];
    assert_eq!(aim.watched(), 32, "all of its guard: {aim:?}");
    assert!(aim.pieces.iter().all(|piece| growth.bottom(32).covers(*piece)));
}

#[test]
fn each_deeper_mark_is_caught_with_its_calls() {
    let mode = Mode::Culprit("growth".into());
    let mut trap = Trap::new(&emulation(&image(), CALM, 1, INSTANT), mode, Release::AtOnce);
    let growth = trap.stack("growth");
    trap.board.trace_calls(growth);
    let mut last = 0;
    while trap.board.now() < Duration::from_secs(8) {
        trap.refresh();
        last = last.max(trap.told().catches.len());
    }
    let catches = &trap.told().catches;
    assert!(catches.len() > 5, "{catches:?}");
    let depths: Vec<u32> = catches.iter().filter_map(|catch| catch.depth).collect();
    assert!(depths.windows(2).all(|pair| pair[0] < pair[1]), "each is deeper: {depths:?}");
    let deepest = trap.model.snapshot.stacks.iter().find(|stack| stack.name == "growth").and_then(|s| s.peak);
    assert_eq!(deepest.map(|peak| peak.bytes), depths.last().copied(), "the last one is the mark");
    for catch in catches {
        assert_ne!(catch.kind, CatchKind::Missed, "{catch:?}");
        assert!(catch.complete, "{catch:?}");
        assert_eq!(catch.chain.last().map(|call| call.function.as_str()), Some("demo::threads::growth::run"));
    }
    assert_eq!(trap.board.counters().memory_writes, 0);
}

#[test]
fn the_calls_of_a_mark_are_those_that_the_board_followed() {
    let mode = Mode::Culprit("growth".into());
    let release = Release::When(GoOn::default());
    let mut trap = Trap::new(&emulation(&image(), CALM, 1, INSTANT), mode, release);
    let growth = trap.stack("growth");
    trap.board.trace_calls(growth);
    // Stops are found by the board first, so that its own calls are those of the moment.
    let mut compared = 0;
    while trap.board.now() < Duration::from_secs(8) && compared < 20 {
        let board = Arc::clone(&trap.board);
        let stopped = board.run_until(Duration::from_millis(30), |board| board.private_word(DHCSR) >> 17 & 1 == 1);
        let calls = trap.board.open_calls();
        let known = trap.model.snapshot.tripwire.as_ref().map_or(0, |told| told.catches.len());
        // Without the wait that follows a refresh, in which more may be caught.
        let observation = trap.sampler.refresh();
        trap.model.ingest(observation);
        if let (true, Some(catch)) = (stopped, trap.told().catches.get(known)) {
            assert_eq!(return_addresses(catch), calls, "{catch:?}");
            compared += 1;
        }
    }
    assert!(compared >= 5, "{compared} compared");
}

/// A tripwire that caught something puts every register back, and the core runs on.
fn the_debug_registers_are_put_back(mode: Mode) {
    let emulation = emulation(&image(), OVERFLOW, 1, INSTANT);
    let (source, board) = open(&emulation).expect("the board opens");
    drop(source);
    // Another debugger's: comparator 1 is armed, the others have something in them.
    for (index, (comp, mask, function)) in [(0x2000_0010, 2, 0), (0x2000_0020, 4, 5), (7, 1, 0)].iter().enumerate() {
        let register = DWT_COMP0 + 16 * index as u32;
        board.set_private_word(register, *comp);
        board.set_private_word(register + 4, *mask);
        board.set_private_word(register + 8, *function);
    }
    board.set_private_word(DEMCR, 1 << 24);
    let before = registers(&board);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("left.json");
    let mut trap = Trap::on(&board, &emulation, mode, &file);
    let growth = trap.stack("growth");
    while board.now() < Duration::from_secs(10) {
        trap.refresh();
    }
    assert!(file.exists(), "what was found is kept while it runs");
    assert!(!trap.told().catches.is_empty());
    assert_eq!(board.private_word(DWT_COMP0 + 16), 0x2000_0020, "another debugger's is left alone");
    assert!(growth.size() > 0 && registers(&board) != before);
    drop(trap);
    assert_eq!(registers(&board), before);
    assert!(!file.exists(), "there is nothing to put right");
    let beat = board.counters().instructions;
    board.advance(Duration::from_millis(500));
    assert!(board.counters().instructions > beat, "the core runs");
}

#[test]
fn watch_leaves_the_debug_registers_as_they_were_found() {
    the_debug_registers_are_put_back(Mode::Watch);
}

#[test]
fn halt_leaves_the_debug_registers_as_they_were_found() {
    the_debug_registers_are_put_back(Mode::Halt);
}

#[test]
fn culprit_leaves_the_debug_registers_as_they_were_found() {
    the_debug_registers_are_put_back(Mode::Culprit("growth".into()));
}

#[test]
fn what_a_crash_left_is_put_right_by_the_next_run() {
    for (mode, kept) in [(Mode::Halt, true), (Mode::Watch, true), (Mode::Watch, false)] {
        let emulation = emulation(&image(), CALM, 1, INSTANT);
        let (source, board) = open(&emulation).expect("the board opens");
        drop(source);
        let before = registers(&board);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("left.json");
        let mut trap = Trap::on(&board, &emulation, mode.clone(), &file);
        trap.stack("growth");
        for _ in 0..5 {
            trap.refresh();
        }
        // The link is gone before anything can be put back: to the target that is a crash.
        board.unplug();
        drop(trap);
        board.plug();
        let left = registers(&board);
        assert_ne!(left, before, "{mode:?}: something is left");
        assert!(file.exists());
        if !kept {
            std::fs::remove_file(&file).expect("it is there");
        }
        let mut next = Trap::on(&board, &emulation, mode.clone(), &file);
        next.stack("growth");
        let note = next.told().note.clone().unwrap_or_default();
        assert!(note.contains("earlier run"), "{mode:?}: {note}");
        drop(next);
        let after = registers(&board);
        if kept {
            assert_eq!(after, before, "{mode:?}");
        } else {
            // Without a record nobody knows what was there; nothing is armed any more.
            let armed = |registers: &[(u32, u32)]| {
                registers
                    .iter()
                    .filter(|(address, word)| address % 16 == 8 && word & 0xf != 0 && *address < DHCSR)
                    .count()
            };
            assert_eq!(armed(&after), 0, "{after:x?}");
        }
    }
}

#[test]
fn a_power_cycle_takes_the_comparators_and_they_are_aimed_again() {
    let mut emulation = emulation(&image(), OVERFLOW, 1, INSTANT);
    emulation.faults = vec![(Duration::from_secs(3), highwater::simulator::Fault::PowerCycle)];
    let mut trap = Trap::new(&emulation, Mode::Halt, Release::AtOnce);
    let catch = trap.catch(Duration::from_secs(30));
    assert!(catch.at > Duration::from_secs(3));
    assert_eq!((catch.owner.as_str(), catch.epoch), ("growth", 1));
}

#[test]
fn a_core_without_comparators_says_so_and_is_left_alone() {
    let emulation = Emulation { comparators: Some(0), ..emulation(&image(), CALM, 1, INSTANT) };
    let (source, board) = open(&emulation).expect("the board opens");
    let before = registers(&board);
    let mut trap = Trap::over(image(), Arc::clone(&board), source, Mode::Halt, Release::AtOnce, None);
    trap.stack("growth");
    let note = trap.told().note.clone().expect("it says so");
    assert!(note.starts_with("This core has no watchpoint comparators"), "{note}");
    assert_eq!(registers(&board), before);
    assert_eq!(board.counters().halts, 0);
    assert!(trap.model.active_alerts().any(|alert| alert.text.contains(&note)), "it is an alert");
}

#[test]
fn a_stopped_core_runs_on_when_the_tool_ends_or_panics() {
    let emulation = emulation(&image(), OVERFLOW, 1, INSTANT);
    let (source, board) = open(&emulation).expect("the board opens");
    let before = registers(&board);
    let release = Release::When(GoOn::default());
    let mut trap = Trap::over(image(), Arc::clone(&board), source, Mode::Halt, release, None);
    trap.catch(Duration::from_secs(25));
    assert!(trap.told().held);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _held = trap;
        panic!("a bug of the sampler, for this test");
    }));
    assert!(panicked.is_err());
    assert_eq!(registers(&board), before);
    let beat = board.counters().instructions;
    board.advance(Duration::from_millis(500));
    assert!(board.counters().instructions > beat, "the core runs");
}

#[test]
fn a_thread_that_is_not_there_is_told() {
    let mode = Mode::Culprit("nobody".into());
    let mut trap = Trap::new(&emulation(&image(), CALM, 1, INSTANT), mode, Release::AtOnce);
    trap.stack("growth");
    let note = trap.told().note.clone().unwrap_or_default();
    assert!(note.contains("no thread called nobody"), "{note}");
    assert!(trap.model.active_alerts().any(|alert| alert.kind == AlertKind::Tripwire));
}

#[test]
fn without_the_flag_no_register_is_written() {
    let mut demo = common::Demo::new(OVERFLOW, 1, INSTANT, Some(30.0));
    demo.watch_until(Duration::from_secs(12));
    let counters = demo.board.counters();
    assert_eq!((counters.halts, counters.debug_writes, counters.memory_writes), (0, 0, 0));
    assert_eq!(demo.model.snapshot.tripwire, None);
}
