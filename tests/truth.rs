//! What the tool says of the demo is what the firmware itself counted, to the byte.

mod common;
#[path = "../target-agent/demo/src/truth.rs"]
#[allow(dead_code, unreachable_pub)]
mod truth;

use std::time::Duration;

use common::{Demo, INSTANT, SCENARIOS};
use highwater::model::alert::AlertKind;
use highwater::model::snapshot::Trust;

const TRUTH: &str = "DEMO_TRUTH";

/// Runs to a moment at which the firmware's own accounts are exact and stay so for a while.
fn stop_at_a_quiet_moment(demo: &Demo) -> u32 {
    let address = demo.image.symbols.address(TRUTH).expect("the demo keeps accounts");
    let word = |index: usize| address + 4 * index as u32;
    let generation = demo.peek(TRUTH, truth::GENERATION);
    let quiet = demo.board.run_until(Duration::from_secs(2), |board| {
        board.peek_word(word(truth::QUIET)) == Some(1) && board.peek_word(word(truth::GENERATION)) != Some(generation)
    });
    assert!(quiet, "the firmware comes to a quiet moment");
    demo.peek(TRUTH, truth::GENERATION)
}

fn compare(scenario: u32, seed: u32, seconds: u64) {
    let what = format!("{} with seed {seed} after {seconds} s", SCENARIOS[scenario as usize]);
    let mut demo = Demo::new(scenario, seed, INSTANT, Some(30.0));
    demo.watch_until(Duration::from_secs(seconds));
    // A quiet moment may be nearly over when it is found: look again until one lasted as long as the look.
    let lasted = (0..50).any(|_| {
        let generation = stop_at_a_quiet_moment(&demo);
        let observation = demo.sampler.refresh_thoroughly();
        demo.model.ingest(observation);
        demo.peek(TRUTH, truth::QUIET) == 1 && demo.peek(TRUTH, truth::GENERATION) == generation
    });
    assert!(lasted, "{what}: one of many quiet moments is long enough");
    assert_eq!(demo.peek(TRUTH, truth::MAGIC), truth::MAGIC_VALUE);

    let snapshot = &demo.model.snapshot;
    let count = demo.peek(TRUTH, truth::STACK_COUNT) as usize;
    assert_eq!(snapshot.stacks.len(), count, "{what}");
    for index in 0..count {
        let entry = |word: usize| demo.peek(TRUTH, truth::FIRST_STACK + index * truth::stack::WORDS + word);
        let base = entry(truth::stack::BASE);
        let stack = snapshot
            .stacks
            .iter()
            .find(|stack| stack.range.start() == base)
            .unwrap_or_else(|| panic!("{what}: no stack at {base:#x}"));
        let what = format!("{what}: {}", stack.name);
        assert_eq!(stack.range.size(), entry(truth::stack::SIZE), "{what}: size");
        let peak = stack.peak.expect("the demo paints every stack");
        // An overflow used all of the stack, and how much more its paint does not tell.
        let expected = match stack.overflowed {
            true => (stack.range.size(), Trust::AtLeast),
            false => (entry(truth::stack::PEAK), Trust::Exact),
        };
        assert!(entry(truth::stack::PEAK) <= expected.0, "{what}: the firmware's own count");
        assert_eq!((peak.bytes, peak.trust), expected, "{what}: peak");
        let used_at = |sp: u32| stack.range.end_address() - sp;
        for (word, told) in [(truth::stack::LOWEST, stack.lowest_sp), (truth::stack::SAVED, stack.current)] {
            match entry(word) {
                0 => assert_eq!(told, None, "{what}"),
                // An SP below the stack is an overflow, not a number of bytes in it.
                sp if sp < base => assert!(stack.overflowed, "{what}"),
                sp => assert_eq!(told.map(|told| told.bytes), Some(used_at(sp)), "{what}: word {word}"),
            }
        }
    }
    let heap = &snapshot.heaps[0];
    for (told, word, name) in [
        (heap.allocations, truth::HEAP_ALLOCS, "allocations"),
        (heap.failures, truth::HEAP_FAILURES, "failures"),
        (heap.requested.map(|requested| requested.bytes), truth::HEAP_USED, "bytes asked for"),
        (heap.used.map(|used| used.bytes), truth::HEAP_OCCUPIED, "bytes in use with rounding"),
        (heap.requested_peak.map(|peak| peak.bytes), truth::HEAP_PEAK, "peak of bytes asked for"),
    ] {
        assert_eq!(told, Some(demo.peek(TRUTH, word)), "{what}: {name}");
    }
    assert_eq!(demo.peek(TRUTH, truth::FAULT), 0, "{what}: the firmware is well");
    let counters = demo.board.counters();
    assert_eq!((counters.halts, counters.memory_writes, counters.debug_writes), (0, 0, 0), "{what}: never in the way");
}

#[test]
fn calm_is_what_the_firmware_counted() {
    for seed in 1..=3 {
        compare(0, seed, 4);
    }
}

#[test]
fn overflow_is_what_the_firmware_counted() {
    for (seed, seconds) in [(1, 6), (2, 14), (3, 9)] {
        compare(1, seed, seconds);
    }
}

#[test]
fn leak_is_what_the_firmware_counted() {
    for (seed, seconds) in [(1, 5), (2, 40), (3, 12)] {
        compare(2, seed, seconds);
    }
}

#[test]
fn fragmentation_is_what_the_firmware_counted() {
    for seed in 1..=3 {
        compare(3, seed, 6);
    }
}

#[test]
fn before_all_of_a_stack_was_read_its_peak_is_at_least() {
    let mut demo = Demo::new(0, 5, INSTANT, Some(30.0));
    demo.board.advance(Duration::from_secs(2));
    demo.refresh();
    stop_at_a_quiet_moment(&demo);
    demo.refresh();
    assert!(!demo.model.snapshot.stacks.is_empty());
    for stack in &demo.model.snapshot.stacks {
        let peak = stack.peak.expect("the demo paints every stack");
        let index = (0..truth::STACKS)
            .find(|index| demo.peek(TRUTH, truth::FIRST_STACK + index * truth::stack::WORDS) == stack.range.start());
        let index = index.expect("the firmware knows the stack");
        let exact = demo.peek(TRUTH, truth::FIRST_STACK + index * truth::stack::WORDS + truth::stack::PEAK);
        assert!(peak.bytes <= exact, "{}: {} is not above {exact}", stack.name, peak.bytes);
        // One background chunk was read: that makes a small stack exact, and no large one.
        assert!(peak.trust == Trust::AtLeast || stack.rescanned.is_some(), "{}", stack.name);
    }
    assert!(demo.model.snapshot.stacks.iter().any(|stack| stack.peak.is_some_and(|peak| peak.trust == Trust::AtLeast)));
    // After enough refreshes every stack has had its turn.
    demo.watch_until(Duration::from_secs(6));
    for stack in &demo.model.snapshot.stacks {
        assert_eq!(stack.peak.map(|peak| peak.trust), Some(Trust::Exact), "{}", stack.name);
    }
}

#[test]
fn an_overflow_is_an_alert_in_the_first_refresh_after_the_guard_broke() {
    for seed in 1..=3 {
        let mut demo = Demo::new(1, seed, highwater::simulator::LinkModel::hs(), Some(30.0));
        demo.watch_until(Duration::from_secs(3));
        let growth = demo.model.snapshot.stacks.iter().find(|stack| stack.name == "growth").expect("it runs").clone();
        let broken =
            |demo: &Demo| (0..8).any(|word| demo.board.peek_word(growth.range.start() + 4 * word) != Some(0xCCCC_CCCC));
        loop {
            let was_broken = broken(&demo);
            let before = demo.sampler.now();
            demo.refresh();
            let alert = demo.model.active_alerts().find(|alert| alert.kind == AlertKind::Overflow);
            if was_broken {
                let alert = alert.unwrap_or_else(|| panic!("seed {seed}: the guard is broken and nobody says so"));
                assert_eq!(alert.subject, "growth");
                let address = highwater::units::address(growth.range.start().into());
                assert!(alert.text.contains(&address) && alert.text.contains("uart_rx_buf"), "{}", alert.text);
                break;
            }
            assert!(demo.board.now() < Duration::from_secs(20), "seed {seed}: growth never overflowed");
            demo.sampler.wait(demo.sampler.now() - before);
        }
        assert_eq!(demo.board.counters().halts, 0);
    }
}
