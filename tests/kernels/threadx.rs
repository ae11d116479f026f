//! ThreadX without an agent.

use highwater::model::snapshot::StackKind;

use crate::fixture::{Fixture, hints, names, peak, stack};

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_threadx_thread_is_found_whatever_it_does() {
    for flags in [&["-g"][..], &["-g", "-DCHECKING"], &["-g", "-DCHECKING", "-DRANDOM"], &["-gdwarf-3"]] {
        let snapshot = Fixture::new("threadx.c", flags).look();
        assert_eq!(snapshot.target.kernel.as_deref(), Some("ThreadX"), "{flags:?}");
        // With checking, the last word is the kernel's: the size is four less than asked for.
        let size = if flags.contains(&"-DCHECKING") { 396 } else { 400 };
        for (name, state, priority, kind) in [
            ("alpha", "running", 1, StackKind::User),
            ("beta", "waits for a semaphore", 2, StackKind::User),
            ("gamma", "suspended", 3, StackKind::User),
            ("System Timer Thread", "suspended", 0, StackKind::Timer),
        ] {
            let what = format!("{flags:?}: {name}");
            let found = stack(&snapshot, name);
            assert_eq!((found.state.as_deref(), found.priority), (Some(state), Some(priority)), "{what}");
            assert_eq!((found.kind, found.range.size()), (kind, size), "{what}");
        }
        assert!(!hints(&snapshot, &["cannot be followed"]), "{flags:?}: {:?}", snapshot.hints);
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn holes_in_the_paint_do_not_hide_use_as_they_do_from_the_kernels_own_search() {
    for flags in [
        &["-g"][..],
        &["-g", "-DCHECKING"],
        &["-g", "-DCHECKING", "-DRANDOM"],
        &["-g", "-DCHECKING", "-DRANDOM", "-DCLEARED"],
    ] {
        let snapshot = Fixture::new("threadx.c", flags).look();
        assert!(snapshot.stacks.iter().all(|stack| !stack.overflowed), "{flags:?}");
        assert_eq!(hints(&snapshot, &["random bytes"]), flags.contains(&"-DCLEARED"), "{flags:?}");
        let less = u32::from(flags.contains(&"-DCHECKING"));
        for (name, used) in [("alpha", 60), ("beta", 20), ("System Timer Thread", 30)] {
            assert_eq!(peak(&snapshot, name), Some(used - less), "{flags:?}: {name}");
            let told = stack(&snapshot, name).lowest_sp.map(|told| told.bytes / 4);
            // What the kernel found by looking for a byte that it forgot is nothing.
            let searched = less == 1 && !flags.contains(&"-DCLEARED");
            assert_eq!(told, searched.then_some(used / 2 - less), "{flags:?}: {name}");
        }
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn the_lowest_word_of_a_threadx_stack_is_its_guard() {
    let mut fixture = Fixture::new("threadx.c", &["-g"]);
    assert!(!stack(&fixture.look(), "gamma").overflowed, "one word is left");
    let limit = fixture.address("c", "");
    fixture.poke(limit, 1);
    assert!(stack(&fixture.refresh(), "gamma").overflowed);
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn stacks_that_threadx_did_not_fill_are_unpainted_and_the_option_is_named() {
    let snapshot = Fixture::new("threadx.c", &["-g", "-DUNFILLED"]).look();
    assert!(snapshot.stacks.iter().all(|stack| stack.peak.is_none() && !stack.overflowed));
    assert!(hints(&snapshot, &["TX_DISABLE_STACK_FILLING"]), "{:?}", snapshot.hints);
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_damaged_threadx_list_is_survived_and_said() {
    for (word, why) in [("thread_b", "circle"), ("", "no thread is"), ("thread_a", "counts 4")] {
        let mut fixture = Fixture::new("threadx.c", &["-g"]);
        let next = fixture.address("thread_c", "tx_thread_created_next");
        let word = if word.is_empty() { 0x2000_0000 } else { fixture.address(word, "") };
        fixture.poke(next, word);
        let snapshot = fixture.look();
        assert!(hints(&snapshot, &["cannot be followed", why]), "{why}: {:?}", snapshot.hints);
        assert_eq!(names(&snapshot)[1..], ["alpha", "beta", "gamma"]);
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_threadx_thread_is_gone_only_when_a_second_walk_agrees() {
    let mut fixture = Fixture::new("threadx.c", &["-g"]);
    let all = fixture.look().stacks.len();
    let (next, first) = (fixture.address("thread_b", "tx_thread_created_next"), fixture.address("thread_a", ""));
    fixture.tear(next, first, 1);
    assert_eq!(fixture.refresh().stacks.len(), all);
    let count = fixture.address("_tx_thread_created_count", "");
    fixture.poke(next, first);
    fixture.poke(count, 2);
    let snapshot = fixture.refresh();
    assert_eq!(snapshot.stacks.len(), all - 2);
    assert!(!hints(&snapshot, &["cannot be followed"]), "{:?}", snapshot.hints);
}
