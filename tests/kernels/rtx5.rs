//! RTX5 (Mbed OS, CMSIS-RTX) without an agent.

use highwater::model::snapshot::{Measured, MemoryKind, PartKind, StackKind, Trust};

use crate::compile::compile;
use crate::fixture::{Fixture, hints, peak, stack};

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn an_rtx_thread_is_found_in_every_list() {
    for flags in [&["-g"][..], &["-g", "-DRTX59"], &["-gdwarf-3", "-DRTX59", "-DWATERMARK", "-DMBED"]] {
        let snapshot = Fixture::new("rtx5.c", flags).look();
        assert_eq!(snapshot.target.kernel.as_deref(), Some("RTX5"), "{flags:?}");
        for (name, state, priority, kind, words) in [
            ("main_thread", "running", 24, StackKind::Main, 128),
            ("idle", "ready", 1, StackKind::Idle, 64),
            ("ready", "ready", 24, StackKind::User, 80),
            ("timer", "waits for a message", 40, StackKind::Timer, 64),
            ("worker", "waits for a semaphore", 24, StackKind::User, 80),
            ("sleeper", "delayed", -1, StackKind::User, 80),
            ("done", "terminated", 24, StackKind::User, 80),
            ("nearly", "ready", 24, StackKind::User, 80),
        ] {
            let what = format!("{flags:?}: {name}");
            let found = stack(&snapshot, name);
            assert_eq!(found.state.as_deref(), Some(state), "{what}");
            assert_eq!((found.priority, found.kind), (Some(priority), kind), "{what}");
            assert_eq!(found.range.size(), 4 * words, "{what}");
            assert_eq!(found.current.map(|current| current.bytes), Some(64), "{what}");
            assert!(!found.overflowed, "{what}");
        }
        assert!(!hints(&snapshot, &["cannot be followed"]), "{flags:?}: {:?}", snapshot.hints);
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn with_the_watermark_on_peaks_are_exact_and_the_magic_word_counts_as_free() {
    // Link-time optimisation may leave nothing of the configuration that says so.
    for flags in [&["-g", "-DWATERMARK"][..], &["-g", "-DWATERMARK", "-DFOLDED"]] {
        let snapshot = Fixture::new("rtx5.c", flags).look();
        for (name, used) in
            [("main_thread", 40), ("idle", 16), ("timer", 24), ("ready", 20), ("worker", 30), ("nearly", 78)]
        {
            assert_eq!(peak(&snapshot, name), Some(used), "{flags:?}: {name}");
        }
        assert!(!hints(&snapshot, &["OS_STACK_WATERMARK"]), "{flags:?}");
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn the_memory_of_rtx_is_walked_though_only_the_application_is_described() {
    for flags in [&["-g", "-DOBJECTS"][..], &["-g", "-DOBJECTS", "-DFOLDED"]] {
        let snapshot = Fixture::new("rtx5.c", flags).look();
        let heap = snapshot.heaps.iter().find(|heap| heap.name == "RTX memory").expect("it is told");
        assert_eq!(heap.allocator, Some("RTX5 memory"), "{flags:?}");
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn what_mbed_counts_of_its_heap_is_told_and_not_a_program_s_copy_of_it() {
    let sources = ["rtx5.c", "mbed_monitor.c", "mbed_alloc_wrappers.c"];
    let snapshot = Fixture::of(compile(&sources, &["-g", "-DMBED"])).look();
    let heap = snapshot.heaps.iter().find(|heap| heap.name == "heap").expect("the linker tells of it");
    let figures = (heap.requested, heap.requested_peak, heap.peak);
    let figures = [figures.0, figures.1, figures.2].map(|told| told.map(|told| (told.bytes, told.trust)));
    use Trust::{AtLeast, Exact};
    assert_eq!(figures, [Some((1200, Exact)), Some((3400, Exact)), Some((3400, AtLeast))]);
    assert_eq!((heap.in_use, heap.failures, heap.allocations), (Some(7), Some(2), None));
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn with_the_watermark_off_zeros_are_unpainted_and_not_full() {
    for flags in [&["-g"][..], &["-g", "-DFOLDED"]] {
        let snapshot = Fixture::new("rtx5.c", flags).look();
        assert!(snapshot.stacks.iter().all(|stack| stack.peak.is_none() && !stack.overflowed), "{flags:?}");
        assert!(hints(&snapshot, &["OS_STACK_WATERMARK", "worker"]), "{flags:?}: {:?}", snapshot.hints);
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn stacks_that_mbed_filled_with_the_magic_word_are_measured_by_it_and_the_others_unpainted() {
    let snapshot = Fixture::new("rtx5.c", &["-g", "-DMBED"]).look();
    for (name, used) in
        [("ready", Some(20)), ("worker", Some(30)), ("main_thread", None), ("idle", None), ("timer", None)]
    {
        assert_eq!(peak(&snapshot, name), used, "{name}");
    }
    // Used up to the second word: no paint is left to tell by, and nothing is made up.
    assert_eq!(peak(&snapshot, "nearly"), None);
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_changed_magic_word_is_an_overflow_with_and_without_paint() {
    for flags in [&["-g"][..], &["-g", "-DWATERMARK"]] {
        let mut fixture = Fixture::new("rtx5.c", flags);
        let limit = fixture.address("_main_stack", "");
        fixture.look();
        fixture.poke(limit, 0x1234);
        let snapshot = fixture.refresh();
        assert!(stack(&snapshot, "main_thread").overflowed && !stack(&snapshot, "idle").overflowed, "{flags:?}");
        // What broke the word used all of the stack, and nobody knows how much more.
        let peak = Some(Measured { bytes: 4 * 128, trust: Trust::AtLeast });
        assert_eq!((stack(&snapshot, "main_thread").peak, stack(&snapshot, "main_thread").margin()), (peak, Some(0)));
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_thread_that_changes_lists_is_kept_and_one_that_ended_is_gone() {
    let mut fixture = Fixture::new("rtx5.c", &["-g"]);
    let all = fixture.look().stacks.len();
    let waiting = fixture.address("osRtxInfo", "thread.wait_list");
    fixture.poke(waiting, 0);
    assert_eq!(fixture.refresh().stacks.len(), all, "both waiting threads say of themselves that they live");
    let id = fixture.address("worker", "");
    fixture.poke(id, 0);
    let snapshot = fixture.refresh();
    assert_eq!(snapshot.stacks.len(), all - 1);
    assert!(snapshot.stacks.iter().all(|stack| stack.name != "worker"));
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_stack_of_which_other_bounds_are_told_is_measured_within_them() {
    let mut fixture = Fixture::new("rtx5.c", &["-g", "-DWATERMARK"]);
    assert_eq!(peak(&fixture.look(), "worker"), Some(30));
    let size = fixture.address("worker", "stack_size");
    for (bytes, used) in [(280, 20), (3, 0), (320, 30)] {
        fixture.poke(size, bytes);
        assert_eq!(peak(&fixture.look(), "worker"), Some(used), "of {bytes} bytes");
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_damaged_rtx_list_is_survived_and_said() {
    for word in [0x2000_0001, 0x10, 0xffff_fffc] {
        let mut fixture = Fixture::new("rtx5.c", &["-g"]);
        let next = fixture.address("timer", "delay_next");
        fixture.poke(next, word);
        let snapshot = fixture.look();
        assert!(hints(&snapshot, &["cannot be followed"]), "{word:#x}: {:?}", snapshot.hints);
        stack(&snapshot, "sleeper");
    }
    let mut fixture = Fixture::new("rtx5.c", &["-g"]);
    let (next, timer) = (fixture.address("worker", "delay_next"), fixture.address("timer", ""));
    fixture.poke(next, timer);
    assert!(hints(&fixture.look(), &["circle"]));
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn the_map_of_an_mbed_firmware_is_the_diagram_of_its_memory_model() {
    let mut fixture = Fixture::new("rtx5.c", &["-g", "-DMBED"]);
    fixture.vectors_at(0x2000_0000);
    let snapshot = fixture.look();
    let memory = |kind| snapshot.memories.iter().find(|memory| memory.kind == kind).expect("there is one");
    let ram = &memory(MemoryKind::Ram).parts;
    let at = |name: &str| ram.iter().position(|part| part.name == name).unwrap_or_else(|| panic!("{name}: {ram:#?}"));
    let heap = at("heap");
    // From the first address to the last.
    assert!(at("vector table (RW)") == 0 && ram[0].range.size() == 64 && heap < at("ISR stack"));
    for name in ["main_thread stack", "idle stack", "timer stack"] {
        assert!((1..heap).contains(&at(name)) && ram[at(name)].is_static, "{name}");
    }
    assert_eq!(at("ISR stack"), ram.len() - 1);
    let user: Vec<&str> = ram[heap]
        .parts
        .iter()
        .filter(|part| part.kind == PartKind::Stack && !part.is_static)
        .map(|part| part.name.as_str())
        .collect();
    assert_eq!(user, ["ready", "worker", "sleeper", "done", "nearly"]);
    let flash = &memory(MemoryKind::Flash).parts;
    assert_eq!((flash[0].kind, flash[0].range.size()), (PartKind::Bootloader, 0x8000));
    assert_eq!(flash[1].kind, PartKind::Vectors);
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_tick_of_rtx_that_fell_is_a_reset_and_one_wrong_answer_is_none() {
    let mut fixture = Fixture::new("rtx5.c", &["-g"]);
    let tick = fixture.address("osRtxInfo", "kernel.tick");
    let mut epochs = Vec::new();
    for (count, wrong) in
        [(5000, None), (5030, Some(0)), (5060, Some(0x7000_0000)), (5090, None), (3, None), (40, None)]
    {
        fixture.poke(tick, count);
        if let Some(wrong) = wrong {
            fixture.tear(tick, wrong, 1);
        }
        epochs.push(fixture.refresh().epoch);
    }
    assert_eq!(epochs, [0, 0, 0, 0, 1, 1]);
}
