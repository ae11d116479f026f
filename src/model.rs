//! What we know of the target over time: the last snapshot, bounded history, and alerts.
//!
//! `ingest` takes what one refresh found, cannot fail and does no I/O; views read, and change nothing.

pub mod alert;
pub mod baseline;
pub mod catch;
pub mod event;
pub mod growth;
pub mod heap;
pub mod history;
pub mod pace;
pub mod picture;
pub mod question;
pub mod snapshot;
pub mod standing;

use std::time::Duration;

use alert::{Alert, AlertKind, Limits, Severity};
use baseline::Baseline;
use event::Events;
use history::History;
use snapshot::{Health, Measured, Snapshot, Stack, Trust};

use crate::amount::Amount;
use crate::fault::Faults;
use crate::sampler::observation::{Facts, Observation};
use crate::sizing::{self, Evidence, Suggestion};
use crate::source::CoreStatus;

/// Alerts that are kept after they are over.
const KEPT_ALERTS: usize = 100;
/// Ages and histories on screen move on this often, even when nothing else does.
const AGEING: Duration = Duration::from_secs(1);
/// How long a heartbeat may stand still before it is told.
const STALL: Duration = Duration::from_secs(3);

/// The tool's whole knowledge of one target.
#[derive(Clone, Debug)]
pub struct Model {
    /// The newest snapshot.
    pub snapshot: Snapshot,
    /// What was measured over time; bounded.
    pub history: History,
    /// What happened, and when; bounded.
    pub events: Events,
    /// The moment that a person marked.
    pub baseline: Option<Baseline>,
    /// Alerts that hold, worst first, then those that are over, newest first; bounded.
    pub alerts: Vec<Alert>,
    /// What the core's fault registers last told; `None` where they could not be read, and where the core has none.
    pub faults: Option<Faults>,
    /// Counts the changes: a view that has drawn this number has nothing to draw.
    pub revision: u64,
    growth: growth::Growth,
    pace: pace::Pace,
    standing: standing::Standing,
    revised: Duration,
    limits: Limits,
    margin: Amount,
    /// When the run began that the marks are from: the attach, or the last reset.
    run_since: Duration,
    heartbeat: Option<(u32, Duration)>,
    /// What the core did when it was last asked: it is asked now and then only.
    core: Option<CoreStatus>,
}

impl Model {
    /// A model that knows one snapshot and no history.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self {
            snapshot,
            history: History::default(),
            events: Events::default(),
            baseline: None,
            alerts: Vec::new(),
            faults: None,
            revision: 0,
            growth: growth::Growth::default(),
            pace: pace::Pace::default(),
            standing: standing::Standing::default(),
            revised: Duration::ZERO,
            limits: Limits::default(),
            margin: sizing::DEFAULT_MARGIN,
            run_since: Duration::ZERO,
            heartbeat: None,
            core: None,
        }
    }

    /// A model with other limits for its alerts.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The limits of its alerts.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// A model that suggests stack sizes with another margin.
    #[must_use]
    pub fn with_margin(mut self, margin: Amount) -> Self {
        self.margin = margin;
        self
    }

    /// The size to choose for one of its stacks, and why.
    #[must_use]
    pub fn suggestion(&self, stack: &Stack) -> Suggestion {
        let watched = self.snapshot.at.saturating_sub(self.run_since);
        let grew = self.standing.since(&stack.id).map(|since| self.snapshot.at.saturating_sub(since));
        sizing::suggest(&Evidence::of(stack, &self.snapshot, grew, watched), self.margin)
    }

    /// The alerts that hold now.
    pub fn active_alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().filter(|alert| alert.until.is_none())
    }

    /// Marks this moment, to see what changes from now on.
    pub fn mark_baseline(&mut self) {
        self.baseline = Some(Baseline::new(&self.snapshot));
    }

    /// The same with what a person noted on another model of the same run: the baseline, and which alerts are known.
    #[must_use]
    pub fn with_marks_of(mut self, other: &Self) -> Self {
        self.baseline.clone_from(&other.baseline);
        for alert in other.alerts.iter().filter(|alert| alert.acknowledged.is_some()) {
            self.acknowledge(alert, alert.acknowledged);
        }
        self
    }

    /// Notes since when a person knows of this alert, or that nobody does. One that ended and began again since, or
    /// got worse, is another alert.
    pub fn acknowledge(&mut self, known: &Alert, since: Option<Duration>) {
        let same = |alert: &Alert| alert.is(known) && alert.since == known.since && !alert.is_worse_than(known);
        for alert in self.alerts.iter_mut().filter(|alert| alert.until.is_none() && same(alert)) {
            alert.acknowledged = since;
        }
        sort(&mut self.alerts);
    }

    /// Takes what one refresh found.
    pub fn ingest(&mut self, observation: Observation) {
        let Observation { snapshot, mut facts } = observation;
        let was_reset = snapshot.epoch != self.snapshot.epoch;
        let changed = differs(&self.snapshot, &snapshot);
        let before = std::mem::replace(&mut self.snapshot, snapshot);
        if was_reset {
            self.run_since = self.snapshot.at;
        } else {
            keep_most(&before, &mut self.snapshot);
        }
        self.history.observe(&self.snapshot, was_reset);
        self.events.observe(&before, &self.snapshot);
        self.standing.follow(&before, &self.snapshot);
        if was_reset {
            self.growth = growth::Growth::default();
            self.pace = pace::Pace::default();
        }
        self.growth.follow(self.snapshot.at, &mut self.snapshot.heaps);
        self.pace.follow(self.snapshot.at, &mut self.snapshot.heaps);
        facts.core = self.core_now(&facts);
        let stalled = self.stalled(&facts);
        let mut found = alert::find(&self.snapshot, &facts, self.limits);
        // What the core says of itself is the reason why its heartbeat stands.
        if !found.iter().any(|alert| alert.kind == AlertKind::Stalled) {
            found.extend(stalled);
        }
        if was_reset {
            found.push(self.reset_alert());
        }
        self.faults = facts.faults;
        let alerts_changed = self.settle(found);
        let at = self.snapshot.at;
        let aged = at.saturating_sub(self.revised) >= AGEING;
        if changed || alerts_changed || aged {
            self.revision += 1;
            self.revised = at;
        }
    }

    /// What the core does: what it said last holds until it says otherwise, or its firmware's heartbeat moves.
    fn core_now(&mut self, facts: &Facts) -> Option<CoreStatus> {
        let moves = facts.heartbeat.is_some_and(|beat| self.heartbeat.is_some_and(|(last, _)| last != beat));
        self.core = facts.core.or(self.core.filter(|_| !moves));
        self.core
    }

    /// A heartbeat that stands still while the link is up.
    fn stalled(&mut self, facts: &Facts) -> Option<Alert> {
        let at = self.snapshot.at;
        let beat = facts.heartbeat?;
        match self.heartbeat {
            Some((last, since)) if last == beat && self.snapshot.health == Health::Live => {
                (at.saturating_sub(since) >= STALL).then(|| Alert {
                    kind: AlertKind::Stalled,
                    severity: Severity::Warning,
                    subject: self.snapshot.target.elf.clone(),
                    text: "The firmware's heartbeat stands still: it hangs, sleeps deeply, or the block is cached."
                        .into(),
                    since: at,
                    until: None,
                    stack: None,
                    heap: None,
                    acknowledged: None,
                    count: 0,
                })
            }
            _ => {
                self.heartbeat = Some((beat, at));
                None
            }
        }
    }

    fn reset_alert(&self) -> Alert {
        let count = self.snapshot.epoch;
        let times = if count == 1 { "once".into() } else { format!("{count} times") };
        Alert {
            kind: AlertKind::Reset,
            severity: Severity::Info,
            subject: self.snapshot.target.elf.clone(),
            text: format!("The target was reset, {times} since the attach. Marks begin anew."),
            since: self.snapshot.at,
            until: Some(self.snapshot.at),
            stack: None,
            heap: None,
            acknowledged: None,
            count: 0,
        }
    }

    /// Keeps the beginnings of alerts that go on, ends those that are over, and sorts. Says whether any changed.
    fn settle(&mut self, found: Vec<Alert>) -> bool {
        let at = self.snapshot.at;
        let before = self.alerts.clone();
        let mut over: Vec<Alert> = Vec::new();
        let mut holding: Vec<Alert> = Vec::new();
        for mut alert in found {
            if alert.until.is_some() {
                over.push(alert);
                continue;
            }
            if let Some(old) = before.iter().find(|old| old.until.is_none() && old.is(&alert)) {
                alert.go_on_from(old);
            }
            holding.push(alert);
        }
        for old in &before {
            if old.until.is_some() {
                over.push(old.clone());
            } else if !holding.iter().any(|new| new.is(old)) {
                over.push(Alert { until: Some(at), ..old.clone() });
            }
        }
        over.sort_by_key(|alert| std::cmp::Reverse(alert.until));
        over.truncate(KEPT_ALERTS);
        holding.extend(over);
        sort(&mut holding);
        self.alerts = holding;
        self.events.alerts(&before, &self.alerts, &self.snapshot);
        self.alerts != before
    }
}

/// What holds comes first, the worst of it at the top and what a person knows of below that; then what is over, as it
/// was.
fn sort(alerts: &mut [Alert]) {
    let holding = |alert: &Alert| (alert.acknowledged.is_some(), alert.severity, alert.kind);
    alerts.sort_by_key(|alert| (alert.until.is_some(), alert.until.is_none().then(|| holding(alert))));
}

/// Keeps of each heap the highest end of its blocks and the peaks that were ever seen.
fn keep_most(before: &Snapshot, now: &mut Snapshot) {
    for heap in &mut now.heaps {
        let earlier = before.heaps.iter().find(|earlier| earlier.id() == heap.id() && earlier.range == heap.range);
        let Some(earlier) = earlier else { continue };
        heap.high_water = heap.high_water.max(earlier.high_water);
        heap.peak = most(earlier.peak, heap.peak);
        heap.requested_peak = most(earlier.requested_peak, heap.requested_peak);
    }
}

/// The larger of two peaks of one run, the later one second: a peak never falls. What was read while it changed counts until
/// something better is known.
fn most(earlier: Option<Measured>, now: Option<Measured>) -> Option<Measured> {
    let sound = |peak: &Measured| peak.trust != Trust::Torn;
    match (earlier, now) {
        (Some(earlier), Some(now)) if sound(&earlier) && sound(&now) => {
            // That it was less since then is no reason to doubt the larger one.
            let trust = if earlier.bytes > now.bytes { earlier.trust.max(now.trust) } else { now.trust };
            Some(Measured { bytes: earlier.bytes.max(now.bytes), trust })
        }
        (Some(earlier), now) if sound(&earlier) || now.is_none() => {
            Some(Measured { trust: earlier.trust.max(Trust::Stale), ..earlier })
        }
        (_, now) => now,
    }
}

/// Whether two snapshots look different on a screen: time and counters that are not drawn do not count.
fn differs(old: &Snapshot, new: &Snapshot) -> bool {
    let quiet = |snapshot: &Snapshot| {
        let mut quiet = snapshot.clone();
        quiet.at = Duration::ZERO;
        quiet.link.transactions_per_refresh = None;
        quiet.link.usb_commands_per_refresh = None;
        quiet.link.bytes_per_refresh = 0;
        quiet.link.refresh_hz = quiet.link.refresh_hz.round();
        for stack in &mut quiet.stacks {
            stack.rescanned = None;
        }
        for heap in &mut quiet.heaps {
            heap.walked = None;
            heap.owners_confirmed = None;
            heap.alloc_rate = None;
        }
        for owner in quiet.heaps.iter_mut().filter_map(|heap| heap.owners.as_mut()).flatten() {
            owner.growth = None;
            owner.leaks = false;
        }
        if let Some(detail) = &mut quiet.detail {
            detail.at = Duration::ZERO;
        }
        if let Some(values) = &mut quiet.values {
            values.at = Duration::ZERO;
        }
        quiet
    };
    quiet(old) != quiet(new)
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use super::snapshot::Heap;
    use super::*;
    use crate::region::Region;

    fn snapshot(seconds: u64, peak: u32) -> Snapshot {
        Snapshot { stacks: vec![testing::stack("a", peak)], ..testing::live(seconds) }
    }

    fn ingest(model: &mut Model, snapshot: Snapshot) {
        model.ingest(Observation { snapshot, facts: Facts::default() });
    }

    fn peaks(model: &Model) -> Vec<Option<u32>> {
        let series = model.history.series(history::Quantity::Peak, "a").expect("it was measured");
        series.iter().map(|(_, value)| value).collect()
    }

    #[test]
    fn an_alert_keeps_its_beginning_and_gets_an_end() {
        let mut model = Model::new(snapshot(0, 0));
        ingest(&mut model, snapshot(1, 100));
        assert_eq!(model.alerts, []);
        ingest(&mut model, snapshot(2, 850));
        ingest(&mut model, snapshot(3, 900));
        assert_eq!(model.alerts.len(), 1);
        assert_eq!((model.alerts[0].since, model.alerts[0].until), (Duration::from_secs(2), None));
        assert!(model.alerts[0].text.contains("100 B"), "{}", model.alerts[0].text);
        ingest(&mut model, snapshot(4, 100));
        assert_eq!(model.alerts[0].until, Some(Duration::from_secs(4)));
    }

    #[test]
    fn a_lost_link_leaves_a_gap_in_the_history_and_the_numbers_on_screen() {
        let mut model = Model::new(snapshot(0, 0));
        ingest(&mut model, snapshot(1, 100));
        let lost = Health::Reconnecting { since: Duration::from_secs(1), why: "unplugged".into() };
        ingest(&mut model, Snapshot { health: lost, ..snapshot(2, 100) });
        ingest(&mut model, snapshot(3, 100));
        assert_eq!(peaks(&model), [Some(100), None, Some(100)]);
        assert_eq!(model.snapshot.stacks[0].peak.map(|peak| peak.bytes), Some(100));
    }

    #[test]
    fn heaps_of_one_name_are_told_apart_in_all_that_is_followed_over_time() {
        let heap = |start, seconds: u32, failures| {
            let site = snapshot::CallSite { function: "worker".into(), ..snapshot::CallSite::default() };
            let bytes = 100 + failures * 32 * seconds;
            let used = Some(snapshot::Measured { bytes, trust: snapshot::Trust::Exact });
            Heap {
                owners: Some(vec![snapshot::Owner { site, blocks: 1, bytes, growth: None, leaks: false }]),
                owners_trust: snapshot::Trust::Exact,
                allocations: Some(10 * failures * seconds),
                failures: Some(failures),
                high_water: Some(start + 0x100 * failures),
                used,
                peak: used,
                ..Heap::unknown("sys_heap", Region::new(start, 0x1000))
            }
        };
        let (first, second) = (0x2000_0000, 0x2000_4000);
        let mut model = Model::new(testing::live(0));
        for seconds in 1..=10 {
            let heaps = vec![heap(first, seconds, 1), heap(second, seconds, 0)];
            ingest(&mut model, Snapshot { heaps, ..testing::live(seconds.into()) });
        }
        let [leaking, idle] = model.snapshot.heaps.as_slice() else { panic!("there are two") };
        let growth =
            |heap: &Heap| heap.owners.as_ref().map(|owners| (owners[0].growth.map(f64::round), owners[0].leaks));
        assert_eq!((growth(leaking), growth(idle)), (Some((Some(1920.0), true)), Some((Some(0.0), false))));
        assert_eq!((leaking.alloc_rate, idle.alloc_rate), (Some(10.0), Some(0.0)));
        assert_eq!((leaking.high_water, idle.high_water), (Some(first + 0x100), Some(second)));
        let last =
            |heap: &Heap| model.history.series(history::Quantity::Used, &heap.id()).and_then(history::Series::last);
        assert_eq!((last(leaking), last(idle)), (Some(420), Some(100)));
        let whose: Vec<_> = model.active_alerts().map(|alert| (alert.kind, alert.heap.clone())).collect();
        assert_eq!(whose, [(AlertKind::HeapFailure, Some(leaking.id())), (AlertKind::Leak, Some(leaking.id()))]);
        // The other one's failure is news, whatever is known of the first.
        know_all(&mut model);
        ingest(&mut model, Snapshot { heaps: vec![heap(first, 10, 1), heap(second, 10, 1)], ..testing::live(11) });
        let news: Vec<_> = model.alerts.iter().filter(|alert| alert.is_news()).map(|alert| &alert.heap).collect();
        assert_eq!(news, [&Some(format!("{second:08x}"))]);
    }

    #[test]
    fn a_reset_is_told_and_begins_a_new_line() {
        let mut model = Model::new(snapshot(0, 0));
        ingest(&mut model, snapshot(1, 100));
        ingest(&mut model, Snapshot { epoch: 1, ..snapshot(2, 50) });
        assert_eq!(model.alerts[0].kind, AlertKind::Reset);
        assert_eq!(peaks(&model), [Some(100), None, Some(50)]);
    }

    #[test]
    fn an_unchanged_target_is_a_new_picture_only_once_a_second() {
        let mut model = Model::new(snapshot(0, 100));
        let before = model.revision;
        for tenth in 1..=30 {
            ingest(&mut model, Snapshot { at: Duration::from_millis(100 * tenth), ..snapshot(0, 100) });
        }
        assert_eq!(model.revision - before, 3);
    }

    #[test]
    fn a_heartbeat_that_stands_still_is_told_after_a_while() {
        let mut model = Model::new(snapshot(0, 0));
        for (second, expected) in [(0, 0), (2, 0), (4, 1)] {
            let facts = Facts { heartbeat: Some(7), ..Facts::default() };
            model.ingest(Observation { snapshot: snapshot(second, 0), facts });
            assert_eq!(model.active_alerts().count(), expected, "after {second} s");
        }
    }

    /// As somebody does who looks at all alerts.
    fn know_all(model: &mut Model) {
        for alert in model.alerts.clone() {
            model.acknowledge(&alert, Some(model.snapshot.at));
        }
    }

    /// One refresh: the stacks that are in it, those of them that overflowed, and what is done before it.
    struct Step {
        stacks: &'static [(&'static str, u32, bool)],
        acknowledge: bool,
        /// The subjects of the alerts that are news afterwards.
        news: &'static [&'static str],
    }

    #[test]
    fn what_a_person_knows_of_comes_back_when_it_ends_and_recurs_or_gets_worse() {
        let calm = &[("a", 100, false), ("b", 100, false)];
        let nearly = &[("a", 850, false), ("b", 100, false)];
        let fuller = &[("a", 950, false), ("b", 100, false)];
        let over = &[("a", 1000, true), ("b", 100, false)];
        let both = &[("a", 1000, true), ("b", 1000, true)];
        let step = |stacks, acknowledge, news| Step { stacks, acknowledge, news };
        let check = |steps: &[Step]| {
            let mut model = Model::new(testing::live(0));
            for (index, step) in steps.iter().enumerate() {
                if step.acknowledge {
                    know_all(&mut model);
                }
                let stacks = step
                    .stacks
                    .iter()
                    .map(|(name, peak, overflowed)| Stack { overflowed: *overflowed, ..testing::stack(name, *peak) });
                ingest(&mut model, Snapshot { stacks: stacks.collect(), ..testing::live(index as u64 + 1) });
                let news: Vec<&str> =
                    model.alerts.iter().filter(|alert| alert.is_news()).map(|alert| alert.subject.as_str()).collect();
                assert_eq!(news, step.news, "after step {index}");
            }
        };
        // It stays known while it holds, also when its number changes.
        check(&[step(nearly, false, &["a"]), step(nearly, true, &[]), step(fuller, false, &[])]);
        // Over and there again: it is news.
        check(&[
            step(nearly, false, &["a"]),
            step(nearly, true, &[]),
            step(calm, false, &[]),
            step(nearly, false, &["a"]),
        ]);
        // From nearly full to overflowed is worse.
        check(&[step(nearly, false, &["a"]), step(nearly, true, &[]), step(over, false, &["a"])]);
        // Another stack's overflow is news, the known one stays known.
        check(&[step(over, false, &["a"]), step(over, true, &[]), step(both, false, &["b"])]);
    }

    #[test]
    fn two_stacks_of_one_name_are_two_alerts() {
        let twin = |id: &str, overflowed| Stack { id: id.into(), overflowed, ..testing::stack("worker", 1000) };
        let mut model = Model::new(testing::live(0));
        let stacks = vec![twin("1", true), Stack { peak: None, ..twin("2", false) }];
        ingest(&mut model, Snapshot { stacks, ..testing::live(1) });
        know_all(&mut model);
        ingest(&mut model, Snapshot { stacks: vec![twin("1", true), twin("2", true)], ..testing::live(2) });
        let news: Vec<_> = model.alerts.iter().filter(|alert| alert.is_news()).map(|alert| &alert.stack).collect();
        assert_eq!(news, [&Some("2".to_owned())]);
        assert_eq!(model.alerts[0].stack.as_deref(), Some("2"), "what is known of stands below what is news");
    }

    #[test]
    fn an_alert_that_gets_more_severe_is_news_and_one_that_eases_is_not() {
        let alert = |severity| Alert { severity, ..Model::new(testing::live(0)).reset_alert() };
        for (before, after, news) in [
            (Severity::Warning, Severity::Danger, true),
            (Severity::Info, Severity::Warning, true),
            (Severity::Danger, Severity::Danger, false),
            (Severity::Danger, Severity::Warning, false),
        ] {
            let known = Alert { acknowledged: Some(Duration::ZERO), ..alert(before) };
            let mut now = alert(after);
            now.go_on_from(&known);
            assert_eq!(now.acknowledged.is_none(), news, "from {before:?} to {after:?}");
        }
    }

    #[test]
    fn another_look_at_the_same_heap_is_no_new_picture() {
        let heap = |millis: u64| Heap {
            walked: Some(Duration::from_millis(millis)),
            owners_confirmed: Some(Duration::from_millis(millis)),
            allocations: Some(7),
            ..Heap::unknown("heap", Region::new(0x2000_0000, 64))
        };
        let at = |millis| Snapshot { at: Duration::from_millis(millis), heaps: vec![heap(millis)], ..testing::live(1) };
        let mut model = Model::new(testing::live(0));
        ingest(&mut model, at(1000));
        let before = model.revision;
        ingest(&mut model, at(1600));
        assert_eq!(model.revision, before);
    }

    #[test]
    fn a_known_failure_is_news_again_when_another_allocation_fails() {
        let heap = |failures| Heap { failures: Some(failures), ..Heap::unknown("heap", Region::new(0x2000_0000, 64)) };
        let step = |model: &mut Model, second, failures| {
            ingest(model, Snapshot { heaps: vec![heap(failures)], ..testing::live(second) });
        };
        let mut model = Model::new(testing::live(0));
        step(&mut model, 1, 1);
        let frozen = model.clone();
        know_all(&mut model);
        step(&mut model, 2, 1);
        assert!(model.alerts.iter().all(|alert| !alert.is_news()), "nothing failed since");
        step(&mut model, 3, 2);
        let alert = model.alerts.iter().find(|alert| alert.is_news()).expect("one more failed");
        assert!(alert.text.starts_with("2 allocations failed"), "{}", alert.text);
        assert_eq!(alert.since, Duration::from_secs(1), "it is the same trouble");
        for alert in &frozen.alerts {
            model.acknowledge(alert, Some(Duration::from_secs(3)));
        }
        assert!(model.alerts.iter().any(Alert::is_news), "who saw one failure does not know of two");
    }

    #[test]
    fn acknowledging_one_is_taken_back_the_same_way_and_leaves_the_others() {
        let stacks = vec![testing::stack("a", 850), testing::stack("b", 900)];
        let mut model = Model::new(testing::live(0));
        ingest(&mut model, Snapshot { stacks, ..testing::live(1) });
        let one = model.alerts.iter().find(|alert| alert.subject == "a").expect("it is there").clone();
        model.acknowledge(&one, Some(Duration::ZERO));
        assert_eq!(model.alerts.iter().filter(|alert| alert.is_news()).count(), 1);
        model.acknowledge(&one, None);
        assert_eq!(model.alerts.iter().filter(|alert| alert.is_news()).count(), 2);
    }

    #[test]
    fn what_was_seen_on_an_older_picture_says_nothing_of_what_came_since() {
        let step = |model: &mut Model, seconds, peaks: &[(&str, u32)]| {
            let stacks = peaks.iter().map(|(name, peak)| testing::stack(name, *peak)).collect();
            ingest(model, Snapshot { stacks, ..testing::live(seconds) });
        };
        let news = |model: &Model| -> Vec<String> {
            model.alerts.iter().filter(|alert| alert.is_news()).map(|alert| alert.subject.clone()).collect()
        };
        let mut newest = Model::new(testing::live(0));
        step(&mut newest, 1, &[("a", 850), ("b", 100)]);
        let frozen = newest.clone();
        step(&mut newest, 2, &[("a", 850), ("b", 950)]);
        for alert in &frozen.alerts {
            newest.acknowledge(alert, Some(Duration::from_secs(1)));
        }
        assert_eq!(news(&newest), ["b"]);
        // What ended and began again is another alert.
        step(&mut newest, 3, &[("a", 100), ("b", 100)]);
        step(&mut newest, 4, &[("a", 850), ("b", 100)]);
        for alert in &frozen.alerts {
            newest.acknowledge(alert, Some(Duration::from_secs(1)));
        }
        assert_eq!(news(&newest), ["a"]);
    }

    #[test]
    fn a_halted_core_is_told_until_it_is_asked_again_or_its_heartbeat_moves() {
        let mut model = Model::new(testing::live(0));
        let mut step = |ms: u64, core, heartbeat| {
            let at = Duration::from_millis(ms);
            let facts = Facts { core, heartbeat: Some(heartbeat), ..Facts::default() };
            model.ingest(Observation { snapshot: Snapshot { at, ..testing::live(0) }, facts });
            let holds: Vec<Duration> = model
                .active_alerts()
                .filter(|alert| alert.kind == AlertKind::Stalled)
                .map(|alert| {
                    assert!(alert.text.contains("halted"), "{}", alert.text);
                    alert.since
                })
                .collect();
            (holds, model.alerts.len())
        };
        // It stands from 100 ms on, and is asked in every third refresh. Its block is read in all of them.
        assert_eq!(step(0, Some(CoreStatus::Running), 7), (vec![], 0));
        for ms in (100..8000).step_by(33) {
            let core = ((ms - 100) % 99 == 0).then_some(CoreStatus::Halted);
            assert_eq!(step(ms, core, 7), (vec![Duration::from_millis(100)], 1), "{ms}");
        }
        assert_eq!(step(8000, None, 8), (vec![], 1), "its heartbeat moves");
        assert_eq!(step(8033, None, 8), (vec![], 1));
        assert_eq!(step(8066, Some(CoreStatus::Halted), 9).0, [Duration::from_millis(8066)], "the newest word counts");
        assert_eq!(step(8099, Some(CoreStatus::Running), 9).0.len(), 0);
    }

    #[test]
    fn the_end_of_a_heaps_blocks_is_the_highest_of_this_run() {
        let mut model = Model::new(testing::live(0));
        let mut step = |seconds, epoch, high_water| {
            let range = Region::new(0x2000_0000, 0x400);
            let heap = Heap { high_water, ..crate::heap::HeapLook::unknown("heap", range).heap };
            ingest(&mut model, Snapshot { heaps: vec![heap], epoch, ..testing::live(seconds) });
            model.snapshot.heaps[0].high_water
        };
        assert_eq!(step(1, 0, Some(0x2000_0100)), Some(0x2000_0100));
        assert_eq!(step(2, 0, Some(0x2000_0300)), Some(0x2000_0300));
        assert_eq!(step(3, 0, Some(0x2000_0200)), Some(0x2000_0300), "it never falls within a run");
        assert_eq!(step(4, 0, None), Some(0x2000_0300), "nor while nothing is known");
        assert_eq!(step(5, 1, Some(0x2000_0080)), Some(0x2000_0080), "a reset begins anew");
    }

    #[test]
    fn a_heaps_peak_never_falls_within_a_run() {
        use Trust::{AtLeast, Exact, Stale, Torn};
        let peak = |told: Option<(u32, Trust)>| told.map(|(bytes, trust)| Measured { bytes, trust });
        let mut model = Model::new(testing::live(0));
        let mut step = |epoch, told, expected| {
            let range = Region::new(0x2000_0000, 0x8000);
            let (peak, expected) = (peak(told), peak(expected));
            let heap = Heap { peak, requested_peak: peak, ..crate::heap::HeapLook::unknown("heap", range).heap };
            ingest(&mut model, Snapshot { heaps: vec![heap], epoch, ..testing::live(1) });
            let heap = &model.snapshot.heaps[0];
            assert_eq!((heap.peak, heap.requested_peak), (expected, expected), "{told:?}");
            // Reports, and `check` with them, say what the screens say.
            assert_eq!(crate::report::Report::new(&model).heaps[0].peak, expected.map(|peak| peak.bytes));
        };
        for (epoch, told, expected) in [
            (0, Some((30_000, Torn)), Some((30_000, Torn))),
            (0, Some((22_125, AtLeast)), Some((22_125, AtLeast))),
            (0, Some((22_616, AtLeast)), Some((22_616, AtLeast))),
            (0, Some((22_296, AtLeast)), Some((22_616, AtLeast))),
            (0, Some((30_000, Torn)), Some((22_616, Stale))),
            (0, None, Some((22_616, Stale))),
            (0, Some((22_700, Exact)), Some((22_700, Exact))),
            (0, Some((22_296, Exact)), Some((22_700, Exact))),
            (1, Some((512, AtLeast)), Some((512, AtLeast))),
            (2, None, None),
        ] {
            step(epoch, told, expected);
        }
    }

    #[test]
    fn a_baseline_tells_what_changed_since() {
        let key = |subject: &str| history::Key { subject: subject.into(), quantity: history::Quantity::Peak };
        let mut model = Model::new(testing::live(0));
        ingest(&mut model, Snapshot { stacks: vec![testing::stack("a", 850)], ..testing::live(3) });
        model.mark_baseline();
        ingest(&mut model, Snapshot { stacks: vec![testing::stack("a", 900)], ..testing::live(5) });
        let baseline = model.baseline.as_ref().expect("it was marked");
        assert_eq!((baseline.at().as_secs(), baseline.value(&key("a"))), (3, Some(850)));
        assert_eq!(baseline.difference(&key("a"), 800), Some(-50));
        assert_eq!(baseline.difference(&key("b"), 800), None);
    }
}
