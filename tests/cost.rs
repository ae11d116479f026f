//! What a steady refresh costs on the wire, counted by the simulated probe: deterministic, so it is bounded here.
//!
//! Run with `--no-capture` to see the table.

mod common;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use common::{Demo, emulation, image};
use highwater::image::Image;
use highwater::image::layout::{self, Memory as Chip};
use highwater::kernel::StackLook;
use highwater::memory::Memory;
use highwater::model::snapshot::MemoryKind;
use highwater::region::Region;
use highwater::sampler::{Options, Sampler, budget, stacks::Stacks, values, values::Values};
use highwater::simulator::LinkModel;
use highwater::source::emulated::{Emulation, open};
use highwater::source::link::LinkCost;
use highwater::source::{Counters, Source};
use highwater::stack::Paint;

const STACK: u32 = 2048;
/// A second bank of RAM that the firmware does not know of, so that the stacks of these tests stay clean.
const FREE_RAM: Region = Region::new(0x2010_0000, 32 * STACK);

/// The cost of one refresh.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cost {
    commands: u64,
    transactions: u64,
    seconds: f64,
}

fn difference(before: Counters, after: Counters, seconds: f64) -> Cost {
    let count = |before: Option<u64>, after: Option<u64>| after.unwrap_or(0) - before.unwrap_or(0);
    Cost {
        commands: count(before.usb_commands, after.usb_commands),
        transactions: count(before.transactions, after.transactions),
        seconds,
    }
}

/// Painted stacks side by side, used halfway down; the block's burst of an agent with that many threads beside them.
fn looks(count: u32) -> Vec<StackLook> {
    (0..count)
        .map(|index| StackLook {
            name: format!("t{index}"),
            paint: Paint::Word(0),
            guard: 32,
            ..StackLook::unknown(format!("{index:02}"), FREE_RAM.slice(index * STACK, STACK))
        })
        .collect()
}

fn with_free_ram(image: &Image, link: LinkModel) -> Emulation {
    let mut emulation = emulation(image, 0, 1, link);
    let bank = Chip { name: "RAM 2".into(), kind: MemoryKind::Ram, range: FREE_RAM, size_known: true };
    emulation.memories.push(bank);
    emulation
}

/// Transactions, commands and time of a steady refresh: what the sampler does, without its slow looks.
fn steady(link: LinkModel, count: u32) -> Cost {
    let image = image();
    let mut emulation = with_free_ram(&image, link);
    // Flat zeros stand for paint: the power-on content of RAM would be noise.
    emulation.pokes.extend((0..FREE_RAM.size() / 4).map(|word| (FREE_RAM.slice(4 * word, 4).start(), 0)));
    let (mut source, _board) = open(&emulation).expect("the board opens");
    let ram = Region::new(0x2000_0000, 0x1_0000);
    let cost = LinkCost::measure(&mut source, ram).expect("the link works");
    let looks = looks(count);
    let mut stacks = Stacks::default();
    // The header, one heap's frame, the marks and the thread table's first counter.
    let burst = Region::new(0x2000_1200, 64 + 32 + 8 * count + 4);
    let plan = budget::plan(&cost, None, count as usize, &[burst], None);
    let mut now = Duration::ZERO;
    let mut last = None;
    for _ in 0..4 {
        let before = source.counters();
        let start = source.now();
        let mut memory = Memory::new(&mut source, cost, 1 << 20);
        let mut wants = vec![burst];
        wants.extend(stacks.wants(&plan));
        memory.prefetch(&wants);
        stacks.refresh(&mut memory, &looks, &plan, now);
        now += Duration::from_millis(10);
        last = Some(difference(before, source.counters(), (source.now() - start).as_secs_f64()));
    }
    last.expect("there were refreshes")
}

/// The naive way: every word of every stack.
fn full_scan(link: LinkModel, count: u32) -> Cost {
    let image = image();
    let (mut source, _board) = open(&with_free_ram(&image, link)).expect("the board opens");
    let before = source.counters();
    let start = source.now();
    let mut bytes = vec![0; STACK as usize];
    for look in looks(count) {
        source.read(look.range, &mut bytes).expect("it reads");
    }
    difference(before, source.counters(), (source.now() - start).as_secs_f64())
}

/// The incremental formula: for each stack, a window of 8 words (2 commands) and its guard word (1 command).
fn ideal_commands(count: u32) -> u64 {
    3 * u64::from(count)
}

#[test]
fn a_steady_refresh_costs_little_more_than_the_windows_themselves() {
    let links = [("HID", LinkModel::hid()), ("full speed", LinkModel::fs()), ("high speed", LinkModel::hs())];
    let mut table = String::from(
        "link        stacks   commands  transactions      Hz | full scan: commands      Hz | ideal commands\n",
    );
    for (name, link) in links {
        for count in [8, 16, 32] {
            let now = steady(link, count);
            let naive = full_scan(link, count);
            let ideal = ideal_commands(count);
            let _ = writeln!(
                table,
                "{name:<11} {count:>6} {:>10} {:>13} {:>7.0} | {:>19} {:>7.1} | {ideal:>14}",
                now.commands,
                now.transactions,
                1.0 / now.seconds,
                naive.commands,
                1.0 / naive.seconds,
            );
            // The block's burst and one background chunk are on top of the windows.
            let allowed = ideal as f64 * 1.3;
            assert!(now.commands as f64 <= allowed, "{name}, {count} stacks: {} commands, not {allowed}", now.commands);
            assert!(now.commands * 2 < naive.commands, "{name}, {count} stacks");
        }
    }
    println!("{table}");
    let full_speed = steady(LinkModel::fs(), 8);
    assert!(1.0 / full_speed.seconds > 100.0, "8 stacks of 2 KiB at full speed: {full_speed:?}");
}

#[test]
fn the_demo_with_its_heap_is_watched_fluently_over_full_speed() {
    let mut demo = Demo::new(0, 1, LinkModel::fs(), None);
    demo.watch_until(Duration::from_secs(1));
    // One second may have three walks of the heap more than the next: the mean of ten tells.
    let (mut refreshes, began) = (0, demo.board.now());
    while demo.board.now() < began + Duration::from_secs(10) {
        let before = demo.sampler.now();
        demo.refresh();
        demo.sampler.wait(demo.sampler.now() - before);
        refreshes += 1;
    }
    let hz = f64::from(refreshes) / (demo.board.now() - began).as_secs_f64();
    let link = demo.model.snapshot.link.clone();
    println!("the demo, 9 stacks and a heap that is walked: {hz:.1} Hz, {link:?}");
    // Its heap is read block by block, each new one with who asked for it.
    assert!(hz > 50.0, "{hz} Hz, {link:?}");
    assert_eq!((link.halts, link.writes), (Some(0), Some(0)));
}

#[test]
fn a_static_that_somebody_looks_at_costs_no_more_than_the_link_bears() {
    let image = image();
    let ranges: Vec<Region> = image
        .types()
        .variables()
        .filter_map(|held| Some(Region::new(held.address?, held.kind.size()?)))
        .filter(|range| range.start() >= 0x2000_0000 && !range.is_empty())
        .collect();
    assert!(ranges.len() > 10, "{ranges:?}");
    for (name, link) in [("HID", LinkModel::hid()), ("full speed", LinkModel::fs()), ("high speed", LinkModel::hs())] {
        let (mut source, _board) = open(&emulation(&image, 0, 1, link)).expect("the board opens");
        let cost = LinkCost::measure(&mut source, Region::new(0x2000_0000, 0x1_0000)).expect("the link works");
        let (mut most, mut longest, mut share) = ((0, 0), 0.0f64, 0.0f64);
        for range in &ranges {
            let begun = source.now();
            let mut spent = 0.0;
            let mut values = Values::default();
            while source.now() < begun + Duration::from_secs(1) {
                let (before, start) = (source.counters(), source.now());
                let mut memory = Memory::new(&mut source, cost, 1 << 20);
                let told = values.refresh(&mut memory, &image, *range).expect("it is described");
                assert!(!told.rows.is_empty());
                let bytes = memory.bytes_read();
                assert!(bytes <= values::MOST_BYTES, "{range:?}: {bytes} bytes");
                let now = difference(before, source.counters(), (source.now() - start).as_secs_f64());
                most = most.max((bytes, now.commands));
                longest = longest.max(now.seconds);
                spent += now.seconds;
                // The rest of a refresh.
                source.wait(Duration::from_millis(5));
            }
            share = share.max(spent / (source.now() - begun).as_secs_f64());
        }
        println!(
            "{name}: the dearest of {} statics takes {} B, {} commands, {:.1} ms, {:.0} % of the time",
            ranges.len(),
            most.0,
            most.1,
            longest * 1e3,
            share * 100.0
        );
        assert!(share < 0.4, "{name}: {share}");
    }
}

#[test]
fn attaching_takes_a_few_dozen_transactions() {
    let image = image();
    let (source, board) = open(&emulation(&image, 0, 1, LinkModel::ideal())).expect("the board opens");
    let connected = board.counters().transactions;
    println!("transactions to connect: {connected}");
    assert!(connected < 40, "{connected}");
    drop(source);
    let counters = board.counters();
    assert_eq!(
        (counters.halts, counters.memory_writes, counters.debug_writes),
        (0, 0, 0),
        "attach and detach leave no trace"
    );
}

#[test]
fn the_costs_are_the_same_each_time() {
    assert_eq!(steady(LinkModel::fs(), 8), steady(LinkModel::fs(), 8));
}

#[test]
fn a_minute_of_watching_never_stops_or_writes() {
    let image = image();
    let (source, board) = open(&emulation(&image, 1, 2, LinkModel::hs())).expect("the board opens");
    let chips: Vec<Chip> = layout::memories(&image, &[]);
    let options = Options { rate_hz: Some(30.0) };
    let mut sampler = Sampler::new(Box::new(source), Arc::clone(&image), chips, options).expect("the link works");
    while board.now() < Duration::from_secs(60) {
        let before = sampler.now();
        sampler.refresh();
        sampler.wait(sampler.now() - before);
    }
    drop(sampler);
    let counters = board.counters();
    assert_eq!((counters.halts, counters.memory_writes, counters.debug_writes, counters.resets), (0, 0, 0, 0));
}
