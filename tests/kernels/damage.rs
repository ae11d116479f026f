//! Any content of RAM behind a kernel's symbols is survived.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::compile::compile;
use crate::fixture::{Fixture, RAM};

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
