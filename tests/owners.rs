//! Who holds the heap of the demo, and what leaks in it.

mod common;

use std::path::Path;
use std::time::Duration;

use common::{Demo, INSTANT};
use highwater::model::alert::AlertKind;
use highwater::model::growth;
use highwater::model::snapshot::Trust;
use highwater::simulator::LinkModel;

/// The line of the call that leaks, by the demo's source.
fn leaking_line() -> u32 {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target-agent/demo/src/threads/alloc.rs");
    let source = std::fs::read_to_string(path).expect("the demo's source is there");
    let mut lines = source.lines().zip(1..).skip_while(|(text, _)| !text.starts_with("fn remember_packet"));
    lines.find(|(text, _)| text.contains("try_reserve_exact")).map(|(_, line)| line).expect("it allocates")
}

#[test]
fn after_ten_seconds_the_leaking_call_is_the_first_row_of_the_leak_view() {
    for (seed, link) in [(1, INSTANT), (2, LinkModel::hs()), (3, LinkModel::hs())] {
        let mut demo = Demo::new(2, seed, link, Some(30.0));
        demo.watch_until(Duration::from_secs(10));
        let heap = &demo.model.snapshot.heaps[0];
        let rows = growth::by_growth(heap);
        let first = rows.first().unwrap_or_else(|| panic!("seed {seed}: nobody holds anything"));
        assert_eq!(first.site.short(), "remember_packet", "seed {seed}: {rows:#?}");
        let file = first.site.file.as_deref().unwrap_or_default();
        assert!(file.ends_with("threads/alloc.rs"), "{file}");
        assert_eq!(first.site.line, Some(leaking_line()), "seed {seed}");
        let rate = first.growth.expect("it was watched for long enough");
        // About every 200 ms, 160 to 320 bytes and a header.
        assert!((30_000.0..120_000.0).contains(&rate), "seed {seed}: {rate} B/min");
        // A leak is called one when it went on for long enough.
        demo.watch_until(Duration::from_secs(13));
        let alert = demo.model.active_alerts().find(|alert| alert.kind == AlertKind::Leak);
        let alert = alert.unwrap_or_else(|| panic!("seed {seed}: nobody tells of the leak"));
        assert_eq!(alert.subject, "remember_packet");
        assert!(alert.text.contains(&format!("alloc.rs:{}", leaking_line())), "{}", alert.text);
        assert_eq!(demo.board.counters().halts, 0);
    }
}

#[test]
fn the_blocks_are_all_that_is_in_use() {
    for scenario in [0, 2, 3] {
        let mut demo = Demo::new(scenario, 1, INSTANT, Some(30.0));
        demo.watch_until(Duration::from_secs(6));
        let heap = (0..100)
            .map(|step| {
                demo.watch_until(Duration::from_millis(6000 + 30 * step));
                demo.model.snapshot.heaps[0].clone()
            })
            .find(|heap| heap.owners_trust == Trust::Exact)
            .expect("the blocks agree with the counters");
        let live = heap.live.as_ref().expect("blocks can be told apart");
        let asked: u32 = live.iter().map(|block| block.asked).sum();
        assert_eq!(Some(asked), heap.requested.map(|requested| requested.bytes));
        assert_eq!(Some(live.len() as u32), heap.in_use);
        let bytes: u32 = live.iter().map(|block| block.range.size()).sum();
        assert_eq!(Some(bytes), heap.used.map(|used| used.bytes), "blocks and holes fill the heap");
        let owners = heap.owners.as_ref().expect("they have owners");
        assert_eq!(owners.iter().map(|owner| owner.bytes).sum::<u32>(), bytes);
        assert!(owners.is_sorted_by(|a, b| a.bytes >= b.bytes), "largest first");
        let reserve = owners.iter().find(|owner| owner.site.short() == "reserve");
        assert!(reserve.is_some_and(|owner| owner.site.file.as_deref().is_some_and(|file| file.ends_with("main.rs"))));
        for name in ["growth stack", "uart_rx_buf"] {
            assert!(live.iter().any(|block| block.holds.as_deref() == Some(name)), "{name} is recognised");
        }
    }
}

#[test]
fn nearly_every_look_at_a_running_heap_is_confirmed() {
    for (name, link, share) in [("high speed", LinkModel::hs(), 0.98), ("full speed", LinkModel::fs(), 0.85)] {
        for scenario in [0, 2, 3] {
            let mut demo = Demo::new(scenario, 1, link, Some(30.0));
            demo.watch_until(Duration::from_secs(2));
            let (mut looks, mut walked, mut told) = (0.0, 0.0, 0.0);
            while demo.board.now() < Duration::from_secs(5) {
                let before = demo.sampler.now();
                demo.refresh();
                let heap = &demo.model.snapshot.heaps[0];
                looks += 1.0;
                walked += f64::from(heap.used.is_some_and(|used| used.trust == Trust::Exact));
                told += f64::from(heap.owners_trust == Trust::Exact);
                demo.sampler.wait(demo.sampler.now() - before);
            }
            println!(
                "{name}, scenario {scenario}: of {looks} looks {walked} walks and {told} accounts of owners agree"
            );
            assert!(walked >= share * looks && told >= share * looks, "{name}, scenario {scenario}");
        }
    }
}

#[test]
fn nothing_leaks_where_nothing_does() {
    for (scenario, seed) in [(0, 1), (1, 2)] {
        let mut demo = Demo::new(scenario, seed, INSTANT, Some(30.0));
        for second in 8..=15 {
            demo.watch_until(Duration::from_secs(second));
            let leak = demo.model.active_alerts().find(|alert| alert.kind == AlertKind::Leak);
            assert_eq!(leak.map(|alert| &alert.text), None, "scenario {scenario}, seed {seed}, {second} s");
        }
    }
}

#[test]
fn a_failed_allocation_is_told_with_the_size_it_asked_for() {
    let mut demo = Demo::new(2, 1, INSTANT, Some(10.0));
    let failed = |demo: &Demo| demo.model.snapshot.heaps[0].failures.is_some_and(|failures| failures > 0);
    let mut second = 20;
    while !failed(&demo) && second < 120 {
        second += 2;
        demo.watch_until(Duration::from_secs(second));
    }
    assert!(failed(&demo), "the leak fills the heap");
    let size = demo.model.snapshot.heaps[0].failed_size.expect("the agent keeps it");
    // What the demo asks for: packets of 24 to 120 bytes, and leaked copies of 160 to 320.
    assert!((24..=320).contains(&size), "{size}");
    let alert = demo.model.active_alerts().find(|alert| alert.kind == AlertKind::HeapFailure).expect("it is told");
    assert!(alert.text.contains(&format!("the last for {size} B")), "{}", alert.text);
}
