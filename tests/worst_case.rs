//! The static worst case of each thread of the demo, held against the deepest that the thread ever was.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{Demo, INSTANT, SCENARIOS};
use highwater::model::snapshot::{Stack, StackKind, Trust};

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
    for (scenario, seed) in (0..SCENARIOS.len() as u32).flat_map(|scenario| [(scenario, 1), (scenario, 2)]) {
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
            assert_eq!(stack.kind, StackKind::Isr, "{} has an entry", stack.name);
            continue;
        };
        assert_eq!(worst.trust == Trust::Estimated, stack.worst_case_note.is_none(), "{}", stack.name);
        if worst.trust == Trust::Estimated {
            assert!(worst.bytes >= *peak, "{}: {} is below the peak of {peak}", stack.name, worst.bytes);
        }
    }
}
