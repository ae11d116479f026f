//! Any content of RAM behind a kernel's symbols is survived.

use highwater::image::layout;
use highwater::model::snapshot::{MemoryKind, Snapshot};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::compile::compile;
use crate::fixture::{Fixture, RAM, hints};

/// More than any of the fixtures places in RAM.
const USED: u32 = 0x1800;

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn any_damage_of_a_kernels_memory_is_survived() {
    for (source, more) in
        [("freertos.c", "-DHIGH"), ("rtx5.c", "-DOBJECTS"), ("zephyr.c", "-DTRACKING"), ("threadx.c", "-g")]
    {
        let image = compile(&[source], &["-g", more]);
        // Pointers into the structures do more than noise: they make lists that lead into one another.
        let word = prop_oneof![(0..USED / 4).prop_map(|word| RAM.start() + 4 * word), any::<u32>(), Just(0), Just(4)];
        let pokes = prop::collection::vec((0..USED / 4, word), 1..24);
        let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(200) });
        let outcome = runner.run(&pokes, |pokes| {
            let mut fixture = Fixture::of(image.clone());
            fixture.look();
            for (word, value) in pokes {
                fixture.poke(RAM.start() + 4 * word, value);
            }
            let snapshot = fixture.look();
            for stack in &snapshot.stacks {
                prop_assert!(RAM.covers(stack.range) && !stack.range.is_empty(), "{source}: {stack:?}");
            }
            prop_assert!(snapshot.stacks.len() <= 600);
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{source}: {error}"));
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_pointer_that_leads_to_a_peripheral_is_not_followed() {
    for (source, symbol, path) in [
        ("rtx5.c", "osRtxInfo", "mem.common"),
        ("rtx5.c", "osRtxInfo", "mpi.event_flags"),
        ("rtx5.c", "osRtxInfo", "thread.ready.thread_list"),
        ("freertos.c", "xSuspendedTaskList", "xListEnd.pxNext"),
        ("zephyr.c", "worker", "next_thread"),
        ("threadx.c", "_tx_queue_created_ptr", ""),
    ] {
        // Right behind the RAM there may be memory on some chip: only its name tells. What is told of one that leads from
        // the peripherals into such a place depends on where the structure has its fields.
        for (word, hint) in [
            (0x4000_4400, Some(false)),
            (0x3fff_fffc, Some(false)),
            (0x5fff_fffc, None),
            (0xa000_0000, Some(false)),
            (0x2001_0000, Some(true)),
        ] {
            let mut fixture = Fixture::new(source, if source == "rtx5.c" { &["-g", "-DOBJECTS"] } else { &["-g"] });
            let address = fixture.address(symbol, path);
            fixture.poke(address, word);
            let told = fixture.look();
            assert!(!told.stacks.is_empty(), "{source}: {symbol}.{path}");
            let is_hinted = told.hints.iter().any(|hint| hint.contains("where no memory is known"));
            assert_eq!(
                hint.unwrap_or(is_hinted),
                is_hinted,
                "{source}: {symbol}.{path} = {word:#010x}: {:?}",
                told.hints
            );
        }
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_stack_beyond_the_ram_that_is_known_is_shown_where_ram_may_be_and_else_told_of() {
    for (source, thread, path) in [
        ("rtx5.c", "worker", "stack_mem"),
        ("threadx.c", "thread_b", "tx_thread_stack_start"),
        ("zephyr.c", "worker", "stack_info.start"),
    ] {
        let image = compile(&[source], &["-g"]);
        for size_known in [false, true] {
            let mut memories = layout::memories(&image, &[]);
            for memory in memories.iter_mut().filter(|memory| memory.kind == MemoryKind::Ram) {
                (memory.range, memory.size_known) = (RAM.bottom(USED), size_known);
            }
            let mut fixture = Fixture::within(image.clone(), memories);
            let before = fixture.look();
            let place = fixture.address(thread, path);
            fixture.poke(place, RAM.start() + 0x8000);
            let snapshot = fixture.look();
            let beyond = snapshot.stacks.iter().find(|stack| stack.range.start() == RAM.start() + 0x8000);
            assert_eq!(beyond.is_some(), !size_known, "{source}: {:?}", snapshot.stacks);
            // The map has room for what is there.
            let ram = |snapshot: &Snapshot| {
                let ram = snapshot.memories.iter().find(|memory| memory.kind == MemoryKind::Ram).expect("it is drawn");
                (ram.range, ram.parts.iter().map(|part| u64::from(part.range.size())).sum::<u64>())
            };
            let expected = beyond.map_or(ram(&before).0, |stack| ram(&before).0.hull(stack.range));
            assert_eq!(ram(&snapshot), (expected, u64::from(expected.size())), "{source}");
            let told = hints(&snapshot, &["2000_8000", "no memory is known"]);
            assert_eq!(told, size_known, "{source}: {:?}", snapshot.hints);
        }
    }
}
