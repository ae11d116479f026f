//! What each budget says of numbers that are absent, bounds, old, saved, or were never seen.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::amount::Percent;
use crate::fault::Faults;
use crate::model::Model;
use crate::model::snapshot::{Block, BlockState, Damage, Health, Heap, Measured, Snapshot, Stack, Trust};
use crate::model::testing;
use crate::region::Region;
use crate::sampler::observation::{Facts, Observation};
use crate::source::CoreStatus;
use crate::view;

const HEAP: Region = Region::new(0x2000_1000, 1000);

fn measured(bytes: u32, trust: Trust) -> Option<Measured> {
    Some(Measured { bytes, trust })
}

/// A stack of 1000 B whose peak is worth that.
fn stack(bytes: u32, trust: Trust) -> Stack {
    Stack { peak: measured(bytes, trust), ..testing::stack("a", 0) }
}

fn unpainted() -> Stack {
    Stack { peak: None, limit_whole: false, ..testing::stack("a", 0) }
}

/// A heap of 1000 B that was walked, whose peak is worth that.
fn heap(bytes: u32, trust: Trust) -> Heap {
    let blocks = [Block::new(HEAP.bottom(200), 8, BlockState::Used), Block::new(HEAP.top(800), 8, BlockState::Free)];
    let heap = Heap { failures: Some(0), peak: measured(bytes, trust), ..Heap::unknown("h", HEAP) };
    heap.with_blocks(Arc::new(blocks), None, Trust::Exact)
}

/// What one refresh found.
#[derive(Clone)]
struct Step {
    health: Health,
    epoch: u32,
    stacks: Vec<Stack>,
    heaps: Vec<Heap>,
    facts: Facts,
}

fn step(stacks: &[Stack], heaps: &[Heap]) -> Step {
    let facts = Facts { faults: Some(Faults::default()), ..Facts::default() };
    Step { health: Health::Live, epoch: 0, stacks: stacks.to_vec(), heaps: heaps.to_vec(), facts }
}

fn of(stack: Stack) -> Step {
    step(&[stack], &[])
}

/// A minute of steps, one after the other, held against a budget of everything.
fn run(steps: &[Step]) -> Outcome {
    let every_stack =
        StackBudget { margin: Some(Amount::Bytes(100)), peak: Some(Amount::Bytes(900)), ..StackBudget::default() };
    let every_heap = HeapBudget {
        peak: Some(Amount::Bytes(900)),
        fragmentation: Some(Percent(50)),
        leak: Some(Amount::Bytes(1)),
        ..HeapBudget::default()
    };
    let budgets = Budgets { every_stack, every_heap, ..Budgets::default() };
    let mut model = Model::new(testing::live(0));
    let mut watch = Watch::default();
    for second in 0..60 {
        let Step { health, epoch, stacks, heaps, facts } = steps[second * steps.len() / 60].clone();
        let at = Duration::from_secs(second as u64);
        let snapshot = Snapshot { at, health, epoch, stacks, heaps, ..testing::live(0) };
        model.ingest(Observation { snapshot, facts });
        watch.see(&model);
    }
    check(&budgets, None, &Report::new(&model), Some(&watch)).expect("every name is there")
}

/// The verdict of each rule after those steps, and what is told to have been found.
#[track_caller]
fn told(what: &str, steps: &[Step], expected: &[(&str, Verdict, &str)]) {
    let outcome = run(steps);
    for (rule, verdict, found) in expected {
        let of_rule = outcome.checks.iter().find(|check| check.rule == *rule);
        let check = of_rule.unwrap_or_else(|| panic!("{what}: {rule} is not held"));
        assert_eq!((check.verdict, check.found_words().as_str()), (*verdict, *found), "{what}: {rule}: {check:?}");
        // Nobody is left without a reason.
        assert!(check.verdict != Verdict::Unknown || !check.note.is_empty(), "{what}: {rule}");
        assert_eq!(check.excess() > 0.0, *verdict == Verdict::Failed, "{what}: {rule}");
    }
    agree(what, &outcome);
}

/// All formats and the exit code tell the same, with everything required and with nothing.
fn agree(what: &str, outcome: &Outcome) {
    for required in [false, true] {
        let checks: Vec<Check> = outcome.checks.iter().map(|check| Check { required, ..check.clone() }).collect();
        let passed = !checks.iter().any(Check::is_failure);
        let outcome = Outcome { passed, checks, ..outcome.clone() };
        let bad = |check: &&Check| check.verdict == Verdict::Failed || required && check.verdict == Verdict::Unknown;
        let bad = outcome.checks.iter().filter(bad).count();
        assert_eq!(outcome.passed, bad == 0, "{what}");
        let mut junit = Vec::new();
        view::junit::write(&outcome, &mut junit).expect("memory takes all");
        let junit = String::from_utf8(junit).expect("it is text");
        assert_eq!(junit.matches("<failure ").count(), bad, "{what}: {junit}");
        assert!(junit.contains(&format!("failures=\"{bad}\"")), "{what}: {junit}");
        let markdown = view::markdown::markdown(&outcome);
        assert_eq!(markdown.matches("| **").count(), bad, "{what}: {markdown}");
        let word = if bad == 0 { ": passed\n" } else { ": failed\n" };
        assert!(markdown.lines().next().is_some_and(|line| line.ends_with(word.trim_end())), "{what}: {markdown}");
        let text = view::check::text(&outcome, view::text::Style { ascii: true, color: false });
        let marked = text.lines().skip(1).filter(|line| line.starts_with("FAILED") || line.starts_with("MISSING"));
        assert_eq!(marked.count(), bad, "{what}: {text}");
    }
}

use Verdict::{Failed, Passed, Unknown};

#[test]
fn a_bound_proves_one_side_of_a_stack_s_limit_and_never_the_other() {
    let far = "far from its limit";
    told(far, &[of(stack(300, Trust::Exact))], &[("peak", Passed, "300 B"), ("margin", Passed, "700 B")]);
    told(
        "a lower bound within the limit",
        &[of(stack(300, Trust::AtLeast))],
        &[("peak", Unknown, "at least 300 B"), ("margin", Unknown, "at most 700 B"), ("overflow", Passed, "0")],
    );
    told(
        "a lower bound past the limit",
        &[of(stack(950, Trust::AtLeast))],
        &[("peak", Failed, "at least 950 B"), ("margin", Failed, "at most 50 B")],
    );
    told(
        "what is old was used at least",
        &[of(stack(300, Trust::Stale))],
        &[("peak", Unknown, "at least 300 B"), ("margin", Unknown, "at most 700 B")],
    );
    for trust in [Trust::Torn, Trust::Estimated, Trust::Gap, Trust::Unpainted] {
        let word = crate::report::trust(trust);
        for peak in [300, 950] {
            let found = [format!("{peak} B ({word})"), format!("{} B ({word})", 1000 - peak)];
            told(word, &[of(stack(peak, trust))], &[("peak", Unknown, &found[0]), ("margin", Unknown, &found[1])]);
        }
    }
    let sp = |bytes| Stack { lowest_sp: measured(bytes, Trust::AtLeast), ..unpainted() };
    let by_sp = &[("peak", Unknown, "at least 300 B"), ("margin", Unknown, "at most 700 B")];
    told("a stack pointer alone", &[of(sp(300))], by_sp);
    told(
        "a deep stack pointer",
        &[of(sp(950))],
        &[("peak", Failed, "at least 950 B"), ("margin", Failed, "at most 50 B")],
    );
}

#[test]
fn an_overflow_is_denied_only_where_the_limit_was_looked_at() {
    let unknown = &[("overflow", Unknown, "unknown"), ("peak", Unknown, "unknown"), ("margin", Unknown, "unknown")];
    told("nobody painted it", &[of(unpainted())], unknown);
    told("only its kernel's word", &[of(Stack { limit_whole: true, ..unpainted() })], &[("overflow", Passed, "0")]);
    let full = Stack { limit_whole: false, ..stack(1000, Trust::Exact) };
    told("used to its last word", &[of(full)], &[("overflow", Unknown, "unknown"), ("peak", Failed, "1000 B")]);
    let over = Stack { overflowed: true, limit_whole: false, ..stack(1000, Trust::AtLeast) };
    told("over", &[of(over.clone())], &[("overflow", Failed, "1"), ("peak", Failed, "at least 1000 B")]);
    // What was seen once stays, whatever comes after a reset.
    let after = Step { epoch: 1, ..of(stack(10, Trust::Exact)) };
    told("over before a reset", &[of(over), after], &[("overflow", Failed, "1"), ("margin", Failed, "at most 0 B")]);
}

#[test]
fn the_worst_of_a_run_is_exact_when_each_life_in_it_was() {
    let (open, exact) = (of(stack(300, Trust::AtLeast)), of(stack(200, Trust::Exact)));
    let reset = |step: &Step| Step { epoch: 1, ..step.clone() };
    let closed = &[("peak", Passed, "300 B"), ("overflow", Passed, "0")];
    told("read to its end at last", &[open.clone(), of(stack(300, Trust::Exact))], closed);
    let unproven = &[("peak", Unknown, "at least 300 B")];
    told("reset before it was", &[open.clone(), reset(&exact)], unproven);
    told("not read after the reset", &[of(stack(300, Trust::Exact)), reset(&of(stack(9, Trust::AtLeast)))], unproven);
    let other = of(Stack { id: "another".into(), ..stack(200, Trust::Exact) });
    told("another thread in its place", &[open.clone(), other.clone()], unproven);
    told("both read to their ends", &[of(stack(300, Trust::Exact)), other], closed);
    told("its paint is gone", &[of(stack(300, Trust::Exact)), of(unpainted())], unproven);
    told("its thread ended", &[of(stack(300, Trust::Exact)), step(&[], &[])], closed);
    told("its thread ended early", &[open, step(&[], &[])], unproven);
}

#[test]
fn what_is_not_live_is_no_number_and_what_was_saved_is() {
    let since = Duration::ZERO;
    let gone = |health| Step { health, ..of(stack(999, Trust::Exact)) };
    let seen = of(stack(300, Trust::Exact));
    let before = &[("peak", Passed, "300 B"), ("faults", Passed, "0"), ("overflow", Passed, "0")];
    told("reconnecting", &[seen.clone(), gone(Health::Reconnecting { since, why: "unplugged".into() })], before);
    told("stale", &[seen, gone(Health::Stale { since, why: "asleep".into() })], before);
    let never = run(&[gone(Health::Static)]);
    assert_eq!(never.checks.iter().map(|check| (check.rule, check.verdict)).collect::<Vec<_>>(), [("faults", Unknown)]);
    let saved = |step: Step| Step { health: Health::Saved, ..step };
    let full = &[("peak", Failed, "999 B"), ("faults", Passed, "0"), ("margin", Failed, "1 B")];
    told("saved", &[saved(of(stack(999, Trust::Exact)))], full);
    let over = Stack { overflowed: true, ..stack(1000, Trust::AtLeast) };
    told("saved after an overflow", &[saved(of(over))], &[("overflow", Failed, "1")]);
    let outcome = run(&[saved(of(unpainted()))]);
    assert_eq!((outcome.judged, outcome.passed), (Judged::Saved, true));
    assert!(outcome.circumstances().contains("as saved in"), "{}", outcome.circumstances());
}

#[test]
fn no_fault_is_told_only_of_registers_that_were_read() {
    let with = |faults, core| Step { facts: Facts { faults, core, ..Facts::default() }, ..step(&[], &[]) };
    let clean = Some(Faults::default());
    let fault = Some(Faults { cfsr: 1, ..Faults::default() });
    told("read", &[with(clean, None)], &[("faults", Passed, "0")]);
    told("not there", &[with(None, None)], &[("faults", Unknown, "unknown")]);
    told("recorded, then a reset", &[with(fault, None), with(clean, None)], &[("faults", Failed, "1")]);
    told(
        "not read before a reset",
        &[with(None, None), Step { epoch: 1, ..with(clean, None) }],
        &[("faults", Unknown, "unknown")],
    );
    told("lockup without registers", &[with(None, Some(CoreStatus::LockedUp))], &[("faults", Failed, "1")]);
    let wrong_elf = Some("build 1, not 2".into());
    let other = Step { facts: Facts { wrong_elf, faults: clean, ..Facts::default() }, ..of(stack(1, Trust::Exact)) };
    told("another firmware", &[other], &[("other firmware", Failed, "1")]);
}

#[test]
fn a_heap_s_figures_carry_what_they_are_worth() {
    let of = |heap: Heap| step(&[], &[heap]);
    let calm = &[
        ("peak", Passed, "300 B"),
        ("damage", Passed, "0"),
        ("fragmentation", Passed, "0 %"),
        ("leak", Passed, "0 B/min"),
        ("failures", Passed, "0"),
    ];
    told("walked", &[of(heap(300, Trust::Exact))], calm);
    told("watched only", &[of(heap(300, Trust::AtLeast))], &[("peak", Unknown, "at least 300 B")]);
    told("full when watched", &[of(heap(950, Trust::AtLeast))], &[("peak", Failed, "at least 950 B")]);
    let unknown = ["peak", "damage", "fragmentation", "leak", "failures"].map(|rule| (rule, Unknown, "unknown"));
    told("only its place is known", &[of(Heap::unknown("h", HEAP))], &unknown);
    let damage = Damage { address: 0x2000_1010, what: "a block of 3 B".into(), suspect: None };
    let damaged = Heap { damage: Some(damage), ..heap(300, Trust::Stale) };
    told("damaged", &[of(damaged.clone())], &[("damage", Failed, "1"), ("peak", Unknown, "at least 300 B")]);
    told("damaged, then whole", &[of(damaged), of(heap(300, Trust::Exact))], &[("damage", Failed, "1")]);
    let forgotten = &[("peak", Unknown, "at least 300 B"), ("damage", Unknown, "unknown")];
    told("not walked at last", &[of(heap(300, Trust::Exact)), of(Heap::unknown("h", HEAP))], forgotten);
    let saved = Step { health: Health::Saved, ..of(heap(300, Trust::Exact)) };
    told("saved", &[saved], &[("peak", Passed, "300 B"), ("damage", Passed, "0")]);
}
