//! The static worst case of each thread of the demo, held against the deepest that the thread ever was.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use common::{DEMO, Demo, INSTANT, SCENARIOS};
use highwater::image::Image;
use highwater::model::snapshot::{Stack, StackKind, Trust};
use proptest::prelude::*;

/// Every stack at the end of a run, with its peak exact.
fn run(scenario: u32, seed: u32) -> Vec<Stack> {
    let mut demo = Demo::new(scenario, seed, INSTANT, Some(30.0));
    demo.watch_until(Duration::from_secs(6));
    let observation = demo.sampler.refresh_thoroughly();
    demo.model.ingest(observation);
    demo.model.snapshot.stacks.clone()
}

#[test]
fn no_thread_is_deeper_than_its_static_worst_case() {
    let mut table: BTreeMap<String, (Stack, u32)> = BTreeMap::new();
    for (scenario, seed) in
        (0..SCENARIOS.len() as u32).flat_map(|scenario| [(scenario, 1), (scenario, 2), (scenario, 3)])
    {
        for stack in run(scenario, seed) {
            // An overflowing stack is as deep as its overflow, not as its peak says.
            if SCENARIOS[scenario as usize] == "overflow" && stack.name == "growth" {
                continue;
            }
            let peak = stack.peak.expect("the demo paints every stack").bytes;
            let (_, most) = table.entry(stack.name.clone()).or_insert((stack, 0));
            *most = (*most).max(peak);
        }
    }
    let image = Image::open(Path::new(DEMO)).expect("the demo opens");
    println!("{:<8} {:>6} {:>6}  {:<9} note", "thread", "peak", "worst", "trust");
    for (stack, peak) in table.values() {
        let (bytes, trust) = stack.worst_case.map_or((0, None), |worst| (worst.bytes, Some(worst.trust)));
        println!(
            "{:<8} {peak:>6} {bytes:>6}  {:<9} {}",
            stack.name,
            trust.map_or(String::new(), |trust| format!("{trust:?}")),
            stack.worst_case_note.as_deref().unwrap_or_default()
        );
    }
    for (stack, peak) in table.values() {
        let Some(worst) = stack.worst_case else {
            // A floor below what was in use is not shown.
            if stack.kind != StackKind::Isr {
                let graph = image.call_graph().expect("it is for a Cortex-M");
                let floor = graph.of_thread(entry(&image, &stack.name)).expect("it has an entry");
                assert!(!floor.exact && floor.bytes <= *peak, "{}: {floor:?}", stack.name);
            }
            continue;
        };
        assert_eq!(worst.trust == Trust::Estimated, stack.worst_case_note.is_none(), "{}", stack.name);
        if worst.trust == Trust::Estimated {
            assert!(worst.bytes >= *peak, "{}: {} is below the peak of {peak}", stack.name, worst.bytes);
            assert!(2 * worst.bytes <= 3 * *peak, "{}: {} is far above the peak of {peak}", stack.name, worst.bytes);
        }
    }
}

#[test]
fn a_guard_that_one_frame_can_jump_is_a_hint() {
    let mut demo = Demo::new(0, 1, INSTANT, Some(30.0));
    demo.watch_until(Duration::from_secs(1));
    let hints = &demo.model.snapshot.hints;
    let hint = hints.iter().find(|hint| hint.contains("can be jumped")).expect("some can");
    let (threads, largest) = hint.split_once(" (").expect("it names them first");
    for (thread, named) in [("main", true), ("growth", true), ("timer", false), ("ISR", false)] {
        assert_eq!(threads.contains(thread), named, "{thread}: {hint}");
    }
    assert!(largest.contains("demo::threads::main::log_status"), "{hint}");
}

/// The address of the demo's thread function of that name.
fn entry(image: &Image, thread: &str) -> u32 {
    let name = format!("demo::threads::{thread}::run");
    let symbol = image.symbols.iter().find(|symbol| highwater::image::symbols::demangle(&symbol.name) == name);
    symbol.expect("the demo has the thread").range.start()
}

#[test]
fn what_the_compiler_says_of_its_frames_is_taken_when_it_is_more() {
    let folder = tempfile::tempdir().expect("there is room");
    let usage =
        "timer.c:1:1:demo::threads::timer::run\t1000\tstatic\nidle.c:1:1:demo::threads::idle::run\t8\tdynamic\n";
    std::fs::write(folder.path().join("demo.su"), usage).expect("there is room");
    std::fs::write(folder.path().join("demo.txt"), usage.replace("1000", "9000")).expect("there is room");
    let mut image = Image::open(Path::new(DEMO)).expect("the demo opens");
    let worst = |image: &Image, thread: &str| {
        let graph = image.call_graph().expect("it is for a Cortex-M");
        graph.of_thread(entry(image, thread)).expect("it is a function")
    };
    let before = [worst(&image, "timer"), worst(&image, "idle")];
    assert_eq!(image.read_stack_usage(folder.path()).ok(), Some(2));
    let after = [worst(&image, "timer"), worst(&image, "idle")];
    assert!(before[0].bytes < 200 && after[0].bytes > 1000 && after[0].exact, "{after:#?}");
    assert!(before[1].exact && !after[1].exact && after[1].bytes == before[1].bytes, "{after:#?}");
    assert!(image.read_stack_usage(Path::new("/nowhere")).is_err());
}

#[test]
fn what_is_not_for_a_cortex_m_has_no_call_graph() {
    const MACHINE: usize = 18;
    const RISC_V: u16 = 243;
    let mut data = std::fs::read(DEMO).expect("the demo's ELF is there");
    data[MACHINE..MACHINE + 2].copy_from_slice(&RISC_V.to_le_bytes());
    let image = Image::parse(Path::new(DEMO), &data).expect("it is an ELF file");
    assert!(image.call_graph().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Any damage to code, symbols and debug information: no panic and no endless walk.
    #[test]
    fn a_damaged_file_is_survived(damage in prop::collection::vec((any::<u32>(), any::<u8>()), 1..2000)) {
        let mut data = std::fs::read(DEMO).expect("the demo's ELF is there");
        for (at, byte) in damage {
            // The header and what finds the sections stay: a file without them is refused early.
            let at = 0x1_0000 + at as usize % (data.len() - 0x1_0000);
            data[at] = byte;
        }
        if let Ok(image) = Image::parse(Path::new(DEMO), &data) && let Some(graph) = image.call_graph() {
            for symbol in image.symbols.iter().filter(|symbol| symbol.is_code) {
                prop_assert!(graph.of_only_stack(symbol.range.start()).is_none_or(|worst| !worst.path.is_empty()));
            }
        }
    }
}
