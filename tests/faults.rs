//! What goes wrong between host and target: the picture stays, the tool says so, recovers, and shows the gap.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::Demo;
use highwater::image::{Image, layout};
use highwater::model::Model;
use highwater::model::alert::AlertKind;
use highwater::model::history::{Kept, Key, Quantity};
use highwater::model::snapshot::{Health, Snapshot};
use highwater::sampler::{Options, Sampler, static_snapshot};
use highwater::simulator::{AsleepAnswer, Fault, LinkModel};
use highwater::source::emulated::open;

fn demo() -> Demo {
    let mut demo = Demo::new(0, 3, LinkModel::hs(), Some(30.0));
    demo.watch_until(Duration::from_secs(3));
    assert_eq!(demo.model.snapshot.health, Health::Live);
    demo
}

fn watch_for(demo: &mut Demo, time: Duration) {
    let end = demo.board.now() + time;
    demo.watch_until(end);
}

/// The history of every stack has a gap with measurements on both sides of it.
fn assert_gap(demo: &Demo) {
    let peaks = demo.model.history.iter().filter(|(key, _)| key.quantity == Quantity::Peak);
    for (Key { subject: id, .. }, Kept { series, .. }) in peaks {
        let values: Vec<bool> = series.iter().map(|(_, value)| value.is_some()).collect();
        let gap = values.iter().position(|measured| !measured).unwrap_or_else(|| panic!("{id} has no gap"));
        assert!(gap > 0 && values[gap..].contains(&true), "{id} was measured before and after");
    }
}

fn stacks(snapshot: &Snapshot) -> Vec<String> {
    snapshot.stacks.iter().map(|stack| stack.name.clone()).collect()
}

#[test]
fn an_unplugged_probe_is_waited_for() {
    let mut demo = demo();
    let before = demo.model.snapshot.clone();
    demo.board.unplug();
    watch_for(&mut demo, Duration::from_secs(1));
    let Health::Reconnecting { since, why } = demo.model.snapshot.health.clone() else {
        panic!("{:?}", demo.model.snapshot.health)
    };
    assert!(since <= before.at + Duration::from_millis(100) && !why.is_empty());
    // The screen keeps its numbers, and an alert says that they are old.
    assert_eq!(stacks(&demo.model.snapshot), stacks(&before));
    assert!(demo.model.active_alerts().any(|alert| alert.kind == AlertKind::LinkLost));
    demo.board.plug();
    watch_for(&mut demo, Duration::from_secs(4));
    assert_eq!(demo.model.snapshot.health, Health::Live);
    assert!(!demo.model.active_alerts().any(|alert| alert.kind == AlertKind::LinkLost));
    assert_eq!(demo.model.snapshot.epoch, 0, "the target kept its supply");
    assert_gap(&demo);
    assert_eq!(demo.board.counters().halts, 0);
}

#[test]
fn a_reset_begins_a_new_epoch() {
    let mut demo = demo();
    demo.board.inject(Fault::Reset);
    watch_for(&mut demo, Duration::from_secs(2));
    assert_eq!(demo.model.snapshot.health, Health::Live);
    assert_eq!(demo.model.snapshot.epoch, 1);
    assert!(demo.model.alerts.iter().any(|alert| alert.kind == AlertKind::Reset && alert.until.is_some()));
    assert_eq!(demo.model.snapshot.stacks.len(), 9);
    assert_gap(&demo);
    assert_eq!(demo.board.counters().halts, 0);
}

#[test]
fn a_fault_of_the_firmware_is_told_in_words_without_a_halt() {
    // The function that leaks is replaced by an undefined instruction: the firmware faults when it is first called.
    let mut elf = std::fs::read(common::DEMO).expect("the demo is there");
    let image = common::image();
    let symbol = image.symbols.iter().find(|symbol| symbol.name.contains("remember_packet") && symbol.is_code);
    let code = image.bytes(symbol.expect("it leaks somewhere").range).expect("it is linked").to_vec();
    let at = elf.windows(code.len()).position(|window| window == code).expect("the code is in the file");
    elf[at..at + 2].copy_from_slice(&[0x00, 0xde]);
    let image = Arc::new(Image::parse(Path::new("faulty.elf"), &elf).expect("it is still an ELF"));
    let mut emulation = common::emulation(&image, 2, 1, LinkModel::hs());
    emulation.elf = elf;
    let (source, board) = open(&emulation).expect("the board opens");
    let memories = layout::memories(&image, &[]);
    let mut model = Model::new(static_snapshot(&image, &memories));
    let options = Options { rate_hz: Some(30.0) };
    let mut sampler = Sampler::new(Box::new(source), image, memories, options).expect("the link works");
    while board.now() < Duration::from_secs(3) {
        let before = sampler.now();
        model.ingest(sampler.refresh());
        sampler.wait(sampler.now() - before);
    }
    let alert = model.active_alerts().find(|alert| alert.kind == AlertKind::Fault).expect("it faulted");
    assert!(alert.text.contains("UNDEFINSTR") && alert.text.contains("FORCED"), "{}", alert.text);
    assert_eq!((board.counters().halts, board.counters().memory_writes), (0, 0));
}

#[test]
fn a_power_cycle_is_survived() {
    let mut demo = demo();
    demo.board.inject(Fault::PowerCycle);
    watch_for(&mut demo, Duration::from_secs(4));
    assert_eq!(demo.model.snapshot.health, Health::Live, "{:?}", demo.model.alerts);
    assert!(demo.model.snapshot.epoch >= 1);
    assert_eq!(demo.model.snapshot.stacks.len(), 9);
    assert_gap(&demo);
}

#[test]
fn faults_that_pass_are_survived_without_a_word_too_many() {
    for fault in [Fault::Wait(50), Fault::Fault(3), Fault::Silence(2)] {
        let mut demo = demo();
        demo.board.inject(fault);
        watch_for(&mut demo, Duration::from_secs(3));
        assert_eq!(demo.model.snapshot.health, Health::Live, "{fault:?}");
        assert_eq!(demo.model.snapshot.stacks.len(), 9, "{fault:?}");
        assert_eq!(demo.board.counters().halts, 0, "{fault:?}");
    }
}

#[test]
fn a_hung_bus_is_told_and_left_when_it_ends() {
    let mut demo = demo();
    demo.board.inject(Fault::WaitForever);
    for _ in 0..3 {
        demo.refresh();
    }
    assert_ne!(demo.model.snapshot.health, Health::Live);
    assert_eq!(demo.model.snapshot.stacks.len(), 9, "the picture stays");
    demo.board.inject(Fault::Clear);
    watch_for(&mut demo, Duration::from_secs(4));
    assert_eq!(demo.model.snapshot.health, Health::Live);
}

#[test]
fn zeros_from_a_sleeping_target_are_never_taken_for_numbers() {
    let mut demo = demo();
    let before = demo.model.snapshot.clone();
    demo.board.inject(Fault::Asleep(AsleepAnswer::Zeros));
    for _ in 0..60 {
        demo.refresh();
        watch_for(&mut demo, Duration::from_millis(20));
        for stack in &demo.model.snapshot.stacks {
            assert!(!stack.overflowed, "{}: zeros are not an overflow", stack.name);
        }
    }
    demo.board.inject(Fault::Asleep(AsleepAnswer::Normal));
    watch_for(&mut demo, Duration::from_secs(2));
    assert_eq!(stacks(&demo.model.snapshot), stacks(&before));
    assert_eq!(demo.model.snapshot.health, Health::Live);
}

#[test]
fn what_would_help_in_sleep_is_said_while_nothing_answers() {
    const HELP: &str = "a flag keeps it awake";
    let mut demo = demo();
    demo.sampler = demo.sampler.with_help_in_sleep(HELP);
    let is_told = |demo: &Demo| demo.model.snapshot.hints.iter().filter(|hint| *hint == HELP).count();
    demo.board.inject(Fault::Asleep(AsleepAnswer::Zeros));
    watch_for(&mut demo, Duration::from_secs(1));
    assert_ne!(demo.model.snapshot.health, Health::Live);
    assert_eq!(is_told(&demo), 1);
    demo.board.inject(Fault::Asleep(AsleepAnswer::Normal));
    watch_for(&mut demo, Duration::from_secs(2));
    assert_eq!((demo.model.snapshot.health.clone(), is_told(&demo)), (Health::Live, 0));
    assert_eq!(demo.board.counters().memory_writes, 0);
}
