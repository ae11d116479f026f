//! The words of one stack, as the sampler brings them while somebody looks, and the calls that are found in them.

mod common;

use std::time::Duration;

use common::{Demo, INSTANT};
use highwater::model::snapshot::{StackWords, TracePlace};
use highwater::sampler::interest::Wish;
use highwater::simulator::LinkModel;

fn id(demo: &Demo, name: &str) -> String {
    let stack = demo.model.snapshot.stacks.iter().find(|stack| stack.name == name);
    stack.expect("the thread runs").id.clone()
}

fn words(demo: &Demo) -> &StackWords {
    demo.model.snapshot.detail.as_ref().expect("somebody looks at a stack")
}

#[test]
fn the_recursion_that_overflows_is_found_in_the_stack_that_it_fills() {
    let mut demo = Demo::new(1, 1, INSTANT, Some(30.0));
    demo.watch_until(Duration::from_secs(4));
    let growth = id(&demo, "growth");
    demo.sampler.interest().set(Some(Wish::Stack(growth.clone())));
    demo.watch_until(Duration::from_secs(5));
    let words = words(&demo);
    assert_eq!(words.id, growth);
    for trace in &words.traces {
        println!("{trace:?}");
    }
    let descends = |place: TracePlace| {
        let function = |name: &Option<String>| name.as_deref() == Some("demo::threads::growth::descend");
        words.traces.iter().filter(|trace| trace.place == place && function(&trace.function) && trace.in_chain).count()
    };
    assert!(descends(TracePlace::LeftBehind) >= 2, "{:#?}", words.traces);
    // The words are those of the stack, from some way below the mark to the top.
    let stack = demo.model.snapshot.stacks.iter().find(|stack| stack.id == growth).expect("it still runs");
    let peak = stack.deepest().expect("it is painted").bytes;
    assert_eq!(words.words.len() as u32 * 4, (peak + 256).min(stack.range.size()));
    assert_eq!(u64::from(words.start) + 4 * words.words.len() as u64, stack.range.end());
    assert_eq!(words.paint, Some(0xCCCC_CCCC));
    assert!(words.words[..64].iter().all(|word| *word == 0xCCCC_CCCC), "nothing was used below the mark");
    assert_ne!(words.words[64], 0xCCCC_CCCC, "the mark is the lowest word in use");
}

#[test]
fn nothing_is_read_of_a_stack_that_nobody_looks_at() {
    let mut demo = Demo::new(1, 1, LinkModel::fs(), Some(30.0));
    demo.watch_until(Duration::from_secs(3));
    let bytes = |demo: &mut Demo| {
        (0..12).map(|_| (demo.refresh(), demo.model.snapshot.link.bytes_per_refresh).1).max().unwrap_or(0)
    };
    let before = bytes(&mut demo);
    assert_eq!(demo.model.snapshot.detail, None);
    let main = id(&demo, "main");
    demo.sampler.interest().set(Some(Wish::Stack(main.clone())));
    let during = bytes(&mut demo);
    assert!(demo.model.snapshot.detail.is_some() && during > before, "{before} and {during} bytes");
    demo.sampler.interest().set(None);
    demo.refresh();
    assert_eq!(demo.model.snapshot.detail, None);
    assert!(bytes(&mut demo) < during);
    // A stack that is not there (any more) costs nothing either.
    demo.sampler.interest().set(Some(Wish::Stack("no such stack".into())));
    demo.refresh();
    assert_eq!(demo.model.snapshot.detail, None);
}

#[test]
fn a_slow_link_brings_the_words_piece_by_piece() {
    let mut demo = Demo::new(1, 1, LinkModel::hid(), Some(10.0));
    demo.watch_until(Duration::from_secs(3));
    let growth = id(&demo, "growth");
    demo.sampler.interest().set(Some(Wish::Stack(growth.clone())));
    let mut lengths = Vec::new();
    for _ in 0..40 {
        demo.refresh();
        lengths.push(words(&demo).words.len());
        assert_eq!(
            u64::from(words(&demo).start) + 4 * words(&demo).words.len() as u64,
            demo.model.snapshot.stacks.iter().find(|stack| stack.id == growth).expect("it runs").range.end(),
            "the first use is read first"
        );
    }
    assert!(lengths[0] < 1024 && lengths[0] < lengths[39], "{lengths:?}");
    assert!(lengths.is_sorted(), "{lengths:?}");
}
