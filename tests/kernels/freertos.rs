//! FreeRTOS without an agent.

use highwater::model::snapshot::{Measured, PartKind, StackKind, Trust};
use highwater::region::Region;

use crate::fixture::{Fixture, hints, names, peak, stack};

const VERSIONS: [&[&str]; 6] = [
    &["-g"],
    &["-g", "-DV9"],
    &["-g", "-DSMP"],
    &["-g", "-DHIGH"],
    &["-g", "-DCHECKS", "-DSTATS"],
    &["-gdwarf-3", "-DV9", "-DSMP", "-DHIGH", "-DCHECKS", "-DSTATS"],
];

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_freertos_task_is_found_in_every_state() {
    for flags in VERSIONS {
        let snapshot = Fixture::new("freertos.c", flags).look();
        assert_eq!(snapshot.target.kernel.as_deref(), Some("FreeRTOS"), "{flags:?}");
        let is_smp = flags.contains(&"-DSMP");
        for (name, state, priority, words) in [
            ("running", "running", 2, 66),
            ("ready", "ready", 1, 50),
            ("delayed", "delayed", 3, 40),
            ("overflowed", "delayed", 3, 40),
            ("blocked", "blocked", 1, 32),
            ("notified", "blocked", 1, 32),
            ("suspended", "suspended", 1, 32),
            ("pending", "ready", 3, 32),
            ("deleted", "deleted", 1, 32),
            ("idle", if is_smp { "running" } else { "ready" }, 0, 32),
            ("timer", "ready", 3, 32),
        ] {
            let what = format!("{flags:?}: {name}");
            let found = stack(&snapshot, name);
            assert_eq!(found.state.as_deref(), Some(state), "{what}");
            assert_eq!((found.priority, found.range.size()), (Some(priority), 4 * words), "{what}");
            let current = found.current.expect("it was switched out once");
            let trust = if state == "running" { Trust::Stale } else { Trust::Exact };
            assert_eq!(current.trust, trust, "{what}");
        }
        assert_eq!(stack(&snapshot, "idle").kind, StackKind::Idle);
        assert_eq!(stack(&snapshot, "timer").kind, StackKind::Timer);
        assert_eq!(stack(&snapshot, "ISR").kind, StackKind::Isr);
        assert!(!hints(&snapshot, &["cannot be followed"]), "{flags:?}: {:?}", snapshot.hints);
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn the_kernels_own_tasks_are_told_by_their_names_when_it_keeps_no_handles_of_them() {
    for (name, priority, whole, kind) in [
        ("idle", 0, "IDLE", StackKind::Idle),
        ("ready", 1, "IDLE", StackKind::User),
        ("timer", 3, "Tmr Svc", StackKind::Timer),
        ("timer", 3, "Tmr", StackKind::User),
    ] {
        for (flags, kept) in [(&["-g", "-DUNHANDLED"][..], false), (&["-g"], true)] {
            let mut fixture = Fixture::new("freertos.c", flags);
            let at = fixture.address(name, "pcTaskName");
            let text: Vec<u8> = whole.bytes().chain([0; 8]).take(8).collect();
            for (word, at) in text.chunks(4).zip([at, at + 4]) {
                fixture.poke(at, u32::from_le_bytes(word.try_into().expect("four bytes")));
            }
            let snapshot = fixture.look();
            let found = stack(&snapshot, whole);
            let handled = kept && name == "timer";
            let expected = if handled { StackKind::Timer } else { kind };
            assert_eq!((found.kind, found.priority), (expected, Some(priority)), "{flags:?} {name} {whole}");
        }
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn peaks_of_freertos_are_counted_to_the_word() {
    for flags in VERSIONS {
        let snapshot = Fixture::new("freertos.c", flags).look();
        for (name, used) in [("running", 26), ("ready", 30), ("delayed", 10), ("blocked", 16), ("timer", 10)] {
            assert_eq!(peak(&snapshot, name), Some(used), "{flags:?}: {name}");
        }
        assert!(!stack(&snapshot, "blocked").overflowed);
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn an_overflow_is_told_by_the_words_that_the_kernel_checks_though_no_paint_is_left() {
    let snapshot = Fixture::new("freertos.c", &["-g"]).look();
    let found = stack(&snapshot, "overflowed");
    assert!(found.overflowed && found.range.size() == 160, "{found:?}");
    assert_eq!(found.peak, Some(Measured { bytes: 160, trust: Trust::AtLeast }), "it used all, and perhaps more");
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_saved_frame_of_registers_that_hold_the_fill_is_use() {
    let mut fixture = Fixture::new("freertos.c", &["-g"]);
    let before = fixture.look();
    let (now, used) = (stack(&before, "ready").current.expect("it waits").bytes, 30 * 4);
    assert!(now < used && peak(&before, "ready") == Some(30));
    // It is switched out eight words below all that it ever wrote, with nothing in its registers.
    let top = fixture.address("ready", "pxTopOfStack");
    let sp = stack(&before, "ready").range.end_address() - used - 32;
    fixture.poke(top, sp);
    let snapshot = fixture.look();
    assert_eq!(stack(&snapshot, "ready").current.map(|now| now.bytes), Some(used + 32));
    assert_eq!(peak(&snapshot, "ready"), Some(38));
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn what_is_new_on_a_stack_counts_only_when_the_control_block_is_still_its_threads() {
    // A thread, the word of its control block that says that it is there, and the same when it ended.
    type Ends<'a> = (&'a str, &'a [&'a str], &'a str, &'a str, &'a str, fn(u32) -> u32);
    let kernels: [Ends<'_>; 5] = [
        ("freertos.c", &["-g"], "blocked", "blocked", "xStateListItem.pxContainer", |_| 0),
        ("rtx5.c", &["-g", "-DWATERMARK"], "worker", "worker", "id", |_| 0),
        // Its state lies in the word of its id.
        ("rtx5.c", &["-g", "-DMBED"], "worker", "worker", "id", |word| word & !0x0f00),
        ("threadx.c", &["-g"], "beta", "thread_b", "tx_thread_id", |_| 0),
        ("zephyr.c", &["-g", "-DSENTINEL"], "worker", "worker", "base.user_options", |word| word | 8 << 8),
    ];
    for (source, flags, name, symbol, field, ended) in kernels {
        let mut fixture = Fixture::new(source, flags);
        let before = fixture.look();
        let before = stack(&before, name);
        assert!(before.peak.is_some_and(|peak| peak.trust == Trust::Exact) && !before.overflowed, "{source}");
        // Somebody else writes where the stack was, and the thread is gone as soon as it was read.
        let (limit, at) = (before.range.start(), fixture.address(symbol, field));
        let alive = fixture.peek(at);
        for word in 0..4 {
            fixture.poke(limit + 4 * word, 0x1234_5678);
        }
        fixture.then(at, ended(alive));
        let snapshot = fixture.refresh();
        let during = stack(&snapshot, name);
        // What was contradicted makes the mark a lower bound, and nothing else of it.
        let peak = before.peak.map(|peak| Measured { trust: Trust::AtLeast, ..peak });
        assert_eq!((during.peak, during.overflowed), (peak, false), "{source} {flags:?}");
        // A thread that stays has done it itself.
        fixture.poke(at, alive);
        let snapshot = fixture.refresh();
        assert!(stack(&snapshot, name).overflowed, "{source} {flags:?}");
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_freertos_stack_has_the_size_of_its_heap_block_and_not_of_its_rounded_end() {
    let mut fixture = Fixture::new("freertos.c", &["-g", "-DHIGH"]);
    // As the kernel rounds it: four bytes short of the last word's end.
    let (end, stack_start) = (fixture.address("running", "pxEndOfStack"), fixture.address("ucHeap", "running"));
    fixture.poke(end, stack_start + 4 * 64);
    let snapshot = fixture.look();
    assert_eq!(stack(&snapshot, "running").range.size(), 4 * 66);
    assert_eq!(stack(&snapshot, "running").range.start(), stack_start);
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_freertos_stack_of_unknown_size_is_named_with_the_option_that_tells_it() {
    let snapshot = Fixture::new("freertos.c", &["-g"]).look();
    assert!(!names(&snapshot).contains(&"oddly"));
    assert!(hints(&snapshot, &["oddly", "configRECORD_STACK_HIGH_ADDRESS"]), "{:?}", snapshot.hints);
    let snapshot = Fixture::new("freertos.c", &["-g", "-DHIGH"]).look();
    assert_eq!(stack(&snapshot, "oddly").range.size(), 4 * 36);
    assert_eq!(peak(&snapshot, "oddly"), Some(26));
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_stack_in_a_member_of_something_larger_ends_where_its_type_says() {
    for flags in VERSIONS {
        let fixture = &mut Fixture::new("freertos.c", flags);
        let snapshot = fixture.look();
        // The second of two, each a pointer, a stack and eight words.
        let start = fixture.address("nested", "each") + 4 * 45 + 4;
        assert_eq!(stack(&snapshot, "inner").range, Region::new(start, 4 * 36), "{flags:?}");
        assert_eq!(peak(&snapshot, "inner"), Some(26), "{flags:?}");
    }
}

/// A symbol, the words from its `first` on that are changed, and the words of the stack named then.
type Edges = (&'static str, &'static str, u32, &'static [u32], &'static str, u32);

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_freertos_stack_that_is_smaller_than_what_it_lies_in_ends_behind_the_last_word_of_fill() {
    const FILL: u32 = 0xa5a5_a5a5;
    let edges: [(&[&str], Edges); 6] = [
        // A row of 40 words, of which the kernel was given 36: nobody touched the others.
        (&["-g"], ("rows", "", 40 + 35, &[FILL, 0, 0, 0, 0], "delayed", 36)),
        // What somebody wrote there is no rest.
        (&["-g"], ("rows", "", 40 + 35, &[FILL, 0, 7, 0, 0], "delayed", 40)),
        // A block of the heap has a rest of up to two headers, of whatever was there before.
        (&["-g"], ("ucHeap", "running", 61, &[FILL, 1, 2, 3, 4], "running", 62)),
        (&["-g"], ("ucHeap", "running", 58, &[FILL, 1, 2, 3, 4, 5, 6, 7], "running", 66)),
        // An odd number of words, which the kernel's last word tells rounded down.
        (&["-g", "-DHIGH"], ("ucHeap", "running", 64, &[FILL, 1], "running", 65)),
        (&["-g", "-DHIGH"], ("ucHeap", "running", 64, &[FILL, FILL], "running", 66)),
    ];
    for (flags, (symbol, path, first, words, name, expected)) in edges {
        let mut fixture = Fixture::new("freertos.c", flags);
        let start = fixture.address(symbol, path) + 4 * first;
        for (index, word) in (0..).zip(words) {
            fixture.poke(start + 4 * index, *word);
        }
        if flags.contains(&"-DHIGH") {
            let end = fixture.address("running", "pxEndOfStack");
            fixture.poke(end, start);
        }
        let snapshot = fixture.look();
        assert_eq!(stack(&snapshot, name).range.size(), 4 * expected, "{flags:?} {symbol} {words:x?}");
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_freertos_stack_is_found_in_the_memory_of_every_allocator() {
    for flags in [
        &["-g", "-DPIECES"][..],
        &["-g", "-DDLMALLOC"],
        &["-g", "-DNANO"],
        &["-g", "-DNANO", "-DPADDED"],
        &["-g", "-DREGIONS"],
    ] {
        let snapshot = Fixture::new("freertos_heap.c", flags).look();
        assert_eq!(stack(&snapshot, "task").range.size(), 4 * 32, "{flags:?}");
        assert_eq!(peak(&snapshot, "task"), Some(12), "{flags:?}");
        let hidden = flags.contains(&"-DREGIONS");
        assert_eq!(hints(&snapshot, &["HeapRegion_t"]), hidden, "{flags:?}: {:?}", snapshot.hints);
    }
    let heaps = Fixture::new("freertos_heap.c", &["-g", "-DPIECES"]).look().heaps;
    let heap = heaps.first().expect("heap_1 is told");
    assert_eq!(heap.allocator, Some("heap_1"));
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn stacks_that_freertos_did_not_fill_are_unpainted_and_the_option_is_named() {
    let snapshot = Fixture::new("freertos.c", &["-g", "-DUNFILLED"]).look();
    assert!(snapshot.stacks.iter().all(|stack| stack.peak.is_none() && !stack.overflowed));
    assert!(hints(&snapshot, &["ready", "configCHECK_FOR_STACK_OVERFLOW"]), "{:?}", snapshot.hints);
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_heap_block_with_a_stack_nests_in_the_heap() {
    let snapshot = Fixture::new("freertos.c", &["-g"]).look();
    let parts = snapshot.memories.iter().flat_map(|memory| &memory.parts);
    let heap = parts.clone().find(|part| part.kind == PartKind::Heap).expect("ucHeap is one");
    assert!(heap.parts.iter().any(|part| part.name == "running" && !part.is_static), "{:?}", heap.parts);
    let fixed = parts.clone().find(|part| part.name == "ready").expect("it has a static stack");
    assert!(fixed.is_static);
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_cyclic_or_damaged_list_is_survived_and_said() {
    let item = "xStateListItem.pxNext";
    for (what, symbol, path, word) in [
        ("a circle", "notified", item, "blocked"),
        ("a way into flash", "blocked", item, ""),
        ("a list that begins nowhere", "xSuspendedTaskList", "xListEnd.pxNext", ""),
    ] {
        let mut fixture = Fixture::new("freertos.c", &["-g"]);
        let word = if word.is_empty() { 0x40 } else { fixture.address(word, "xStateListItem") };
        let address = fixture.address(symbol, path);
        fixture.poke(address, word);
        let snapshot = fixture.look();
        assert!(hints(&snapshot, &["cannot be followed"]), "{what}: {:?}", snapshot.hints);
        assert_eq!(stack(&snapshot, "ready").state.as_deref(), Some("ready"), "{what}");
        assert_eq!(peak(&snapshot, "delayed"), Some(10), "{what}");
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn an_un_halted_walk_that_comes_up_one_short_is_confirmed_by_a_second_one() {
    let mut fixture = Fixture::new("freertos.c", &["-g"]);
    let before = names(&fixture.look()).len();
    // The list of the suspended reads as empty once, as in the middle of a removal.
    let (head, end) =
        (fixture.address("xSuspendedTaskList", "xListEnd.pxNext"), fixture.address("xSuspendedTaskList", "xListEnd"));
    fixture.tear(head, end, 1);
    let snapshot = fixture.refresh();
    assert_eq!(names(&snapshot).len(), before);
    assert!(!hints(&snapshot, &["cannot be followed"]), "{:?}", snapshot.hints);
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_task_is_gone_when_a_second_walk_agrees_and_a_new_one_in_its_place_is_another() {
    let mut fixture = Fixture::new("freertos.c", &["-g"]);
    let before = stack(&fixture.look(), "deleted").id.clone();
    // The idle task has freed it: out of its list, and one fewer counts.
    let list = fixture.address("xTasksWaitingTermination", "xListEnd");
    let next = fixture.address("xTasksWaitingTermination", "xListEnd.pxNext");
    let container = fixture.address("deleted", "xStateListItem.pxContainer");
    let (count, number) = (fixture.address("uxCurrentNumberOfTasks", ""), fixture.address("deleted", "uxTCBNumber"));
    let item = fixture.address("deleted", "xStateListItem");
    fixture.poke(next, list);
    fixture.poke(container, 0);
    fixture.poke(count, 12);
    let snapshot = fixture.refresh();
    assert!(!names(&snapshot).contains(&"deleted") && !hints(&snapshot, &["cannot be followed"]));
    fixture.poke(next, item);
    fixture.poke(container, list - 8);
    fixture.poke(count, 13);
    fixture.poke(number, 99);
    assert_ne!(stack(&fixture.refresh(), "deleted").id, before);
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_task_that_changes_lists_while_they_are_read_is_told_once_with_the_list_it_names() {
    let mut fixture = Fixture::new("freertos.c", &["-g"]);
    let all = names(&fixture.look()).len();
    // `ready` was taken from its list and is delayed now, though the list's head still reads as before.
    let container = fixture.address("ready", "xStateListItem.pxContainer");
    let delayed = fixture.address("xDelayedTaskList1", "");
    fixture.poke(container, delayed);
    let snapshot = fixture.refresh();
    assert_eq!(names(&snapshot).len(), all);
    assert_eq!(stack(&snapshot, "ready").state.as_deref(), Some("delayed"));
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn the_share_of_the_time_follows_the_run_time_counters() {
    let mut fixture = Fixture::new("freertos.c", &["-g", "-DSTATS"]);
    assert_eq!(stack(&fixture.look(), "ready").cpu, None);
    for (name, ran) in [("running", 1 + 300), ("ready", 2 + 100)] {
        let counter = fixture.address(name, "ulRunTimeCounter");
        fixture.poke(counter, ran);
    }
    fixture.pass(std::time::Duration::from_secs(1));
    let snapshot = fixture.refresh();
    assert_eq!((stack(&snapshot, "running").cpu, stack(&snapshot, "ready").cpu), (Some(0.75), Some(0.25)));
    assert_eq!(stack(&snapshot, "timer").cpu, Some(0.0));
    assert_eq!(stack(&Fixture::new("freertos.c", &["-g"]).look(), "ready").cpu, None);
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn without_debug_information_the_build_option_is_named() {
    for (source, kernel) in
        [("freertos.c", "FreeRTOS"), ("rtx5.c", "RTX5"), ("zephyr.c", "Zephyr"), ("threadx.c", "ThreadX")]
    {
        let snapshot = Fixture::new(source, &["-g0"]).look();
        assert!(hints(&snapshot, &[kernel, "debug information"]), "{source}: {:?}", snapshot.hints);
        assert_eq!(names(&snapshot), ["ISR"], "{source}");
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn before_the_kernel_starts_there_are_no_threads() {
    for (source, roots) in [
        ("freertos.c", &[("pxCurrentTCB", "")][..]),
        ("rtx5.c", &[("osRtxInfo", "thread.run.curr"), ("osRtxInfo", "thread.ready.thread_list")][..]),
        ("zephyr.c", &[("_kernel", "cpus")][..]),
        ("threadx.c", &[("_tx_thread_created_ptr", "")][..]),
    ] {
        let mut fixture = Fixture::new(source, &["-g"]);
        for (symbol, path) in roots {
            // A CPU's record begins with a nesting count and a stack; its thread follows.
            let address = fixture.address(symbol, path) + if *path == "cpus" { 8 } else { 0 };
            fixture.poke(address, 0);
        }
        let snapshot = fixture.look();
        assert_eq!(names(&snapshot), ["ISR"], "{source}");
        assert!(hints(&snapshot, &["has no thread (yet)"]), "{source}: {:?}", snapshot.hints);
    }
}
