use super::*;
use crate::model::Model;
use crate::model::testing::{live, stack};
use crate::sampler::observation::{Facts, Observation};

fn ingest(model: &mut Model, snapshot: Snapshot) {
    model.ingest(Observation { snapshot, facts: Facts::default() });
}

/// What is told of these snapshots after the first, one line for each event.
fn check(snapshots: Vec<Snapshot>, expected: &[&str]) {
    let mut snapshots = snapshots.into_iter();
    let mut model = Model::new(snapshots.next().expect("there is one"));
    for snapshot in snapshots {
        ingest(&mut model, snapshot);
    }
    let told: Vec<String> = model
        .events
        .iter()
        .map(|event| format!("{} {}: {}", event.at.as_secs(), event.kind.word(), event.text))
        .collect();
    assert_eq!(told, expected);
}

fn of(seconds: u64, stacks: Vec<Stack>) -> Snapshot {
    Snapshot { stacks, ..live(seconds) }
}

#[test]
fn what_happens_is_told_once() {
    let lost = |seconds| Snapshot {
        health: Health::Reconnecting { since: Duration::from_secs(2), why: "unplugged".into() },
        ..of(seconds, vec![stack("a", 100)])
    };
    let still = Snapshot { health: Health::Static, ..of(0, Vec::new()) };
    // The first look is no event.
    check(vec![still, of(1, vec![stack("a", 100)]), of(2, vec![stack("a", 100)])], &[]);
    check(
        vec![of(0, vec![stack("a", 100)]), of(1, vec![stack("a", 100), stack("b", 50)]), of(2, vec![stack("b", 50)])],
        &["1 started: b started", "2 gone: a is gone"],
    );
    check(
        vec![of(1, vec![stack("a", 100)]), lost(3), lost(4), of(5, vec![stack("a", 100)])],
        &["3 link lost: the link is lost: unplugged", "5 link back: reads come through again, 3.0 s without data"],
    );
    let after = Snapshot { epoch: 1, ..of(2, vec![stack("c", 900)]) };
    check(
        vec![of(1, vec![stack("a", 100)]), after],
        &[
            "2 reset: the target was reset; marks begin anew",
            "2 started: c started",
            "2 alert: c has 100 B of stack left.",
        ],
    );
    check(
        vec![of(0, vec![stack("a", 100)]), of(1, vec![stack("a", 850)]), of(2, vec![stack("a", 10)])],
        &[
            "1 new mark: a 850 B, +750 B",
            "1 alert: a has 150 B of stack left.",
            "2 alert over: over: a has 150 B of stack left.",
        ],
    );
}

#[test]
fn marks_that_follow_each_other_closely_are_one_rise_and_say_when_it_began() {
    let at = |millis: u64, peak| Snapshot { at: Duration::from_millis(millis), ..of(0, vec![stack("a", peak)]) };
    let mut model = Model::new(at(0, 100));
    for (millis, peak) in [(1000, 150), (1300, 200), (1900, 260), (2100, 300), (5000, 310)] {
        ingest(&mut model, at(millis, peak));
    }
    let marks: Vec<(u128, EventKind)> =
        model.events.marks("a").map(|event| (event.at.as_millis(), event.kind)).collect();
    let mark = |from, to| EventKind::Mark { from, to };
    assert_eq!(marks, [(5000, mark(300, 310)), (2100, mark(260, 300)), (1000, mark(100, 260))]);
    assert_eq!(model.events.marks("b").count(), 0);
}

#[test]
fn a_stack_that_begins_anew_begins_a_new_rise() {
    let at = |millis: u64, peak| Snapshot { at: Duration::from_millis(millis), ..of(0, vec![stack("a", peak)]) };
    let mut model = Model::new(at(0, 100));
    for (millis, peak) in [(1000, 700), (1200, 40), (1400, 60)] {
        ingest(&mut model, at(millis, peak));
    }
    let marks: Vec<EventKind> = model.events.marks("a").map(|event| event.kind).collect();
    assert_eq!(marks, [EventKind::Mark { from: 40, to: 60 }, EventKind::Mark { from: 100, to: 700 }]);
}

#[test]
fn a_mark_that_may_be_older_says_so() {
    let mut found = stack("a", 100);
    found.peak.as_mut().expect("it has a peak").trust = Trust::AtLeast;
    check(
        vec![of(0, vec![found]), of(1, vec![stack("a", 140)])],
        &["1 new mark: a 140 B, +40 B, found while its paint was first read: it may be older"],
    );
}

#[test]
fn events_are_bounded_and_the_oldest_go() {
    let mut model = Model::new(of(0, vec![stack("a", 0)]));
    for second in 1..=1000u64 {
        let name = if second % 2 == 0 { "a" } else { "b" };
        ingest(&mut model, of(second, vec![stack(name, 0)]));
    }
    assert_eq!(model.events.iter().len(), MOST_EVENTS);
    assert_eq!(model.events.iter().next_back().map(|event| event.at.as_secs()), Some(1000));
}

#[test]
fn a_mark_has_the_calls_that_the_tripwire_caught() {
    use crate::model::catch::{Call, Catch, Mode, Tripwire};
    let call = |function: &str| Call {
        pc: 0x100,
        function: function.into(),
        file: None,
        line: None,
        inlined: false,
        interrupted: false,
    };
    let catch = |kind| Catch {
        at: Duration::from_millis(900),
        epoch: 0,
        kind,
        stack: "a".into(),
        owner: "a".into(),
        thread: None,
        address: None,
        value: None,
        depth: Some(140),
        pc: None,
        by_exception: false,
        chain: vec![call("recurse"), call("recurse"), call("main")],
        complete: true,
        victim: None,
    };
    for (kind, expected) in
        [(CatchKind::Mark, Some(vec!["recurse".to_owned(), "main".to_owned()])), (CatchKind::Missed, None)]
    {
        let tripwire = Tripwire {
            mode: Mode::Culprit("a".into()),
            aims: Vec::new(),
            catches: vec![catch(kind)],
            held: false,
            note: None,
            register_writes: 0,
            word_writes: 0,
        };
        let mut model = Model::new(of(0, vec![stack("a", 100)]));
        ingest(&mut model, Snapshot { tripwire: Some(tripwire), ..of(1, vec![stack("a", 140)]) });
        assert_eq!(model.events.marks("a").next().and_then(|event| event.calls.clone()), expected, "{kind:?}");
    }
}
