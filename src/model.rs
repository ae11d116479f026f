//! What we know of the target over time: the last snapshot, bounded history, and alerts.
//!
//! `ingest` takes what one refresh found, cannot fail and does no I/O; views read, and change nothing.

pub mod alert;
pub mod catch;
pub mod growth;
pub mod heap;
pub mod history;
pub mod picture;
pub mod snapshot;

use std::collections::BTreeMap;
use std::time::Duration;

use alert::{Alert, AlertKind, Limits, Severity};
use history::Series;
use snapshot::{Health, Snapshot, Stack};

use crate::amount::Amount;
use crate::sampler::observation::{Facts, Observation};
use crate::sizing::{self, Evidence, Suggestion};

/// Alerts that are kept after they are over.
const KEPT_ALERTS: usize = 100;
/// Series of one kind that are kept: far more than a microcontroller has threads at once.
const KEPT_SERIES: usize = 256;
/// Ages and histories on screen move on this often, even when nothing else does.
const AGEING: Duration = Duration::from_secs(1);
/// How long a heartbeat may stand still before it is told.
const STALL: Duration = Duration::from_secs(3);

/// The tool's whole knowledge of one target.
#[derive(Clone, Debug)]
pub struct Model {
    /// The newest snapshot.
    pub snapshot: Snapshot,
    /// Peak of each stack in bytes over time, by [`snapshot::Stack::id`].
    pub stack_peaks: BTreeMap<String, Series>,
    /// Current use of each stack in bytes over time, by [`snapshot::Stack::id`].
    pub stack_currents: BTreeMap<String, Series>,
    /// Bytes in use of each heap over time, by [`snapshot::Heap::name`].
    pub heap_used: BTreeMap<String, Series>,
    /// Alerts that hold, worst first, then those that are over, newest first; bounded.
    pub alerts: Vec<Alert>,
    /// Counts the changes: a view that has drawn this number has nothing to draw.
    pub revision: u64,
    growth: growth::Growth,
    revised: Duration,
    limits: Limits,
    margin: Amount,
    /// When the run began that the marks are from: the attach, or the last reset.
    run_since: Duration,
    heartbeat: Option<(u32, Duration)>,
}

impl Model {
    /// A model that knows one snapshot and no history.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self {
            snapshot,
            stack_peaks: BTreeMap::new(),
            stack_currents: BTreeMap::new(),
            heap_used: BTreeMap::new(),
            alerts: Vec::new(),
            revision: 0,
            growth: growth::Growth::default(),
            revised: Duration::ZERO,
            limits: Limits::default(),
            margin: sizing::DEFAULT_MARGIN,
            run_since: Duration::ZERO,
            heartbeat: None,
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
        sizing::suggest(&Evidence::of(stack, &self.snapshot, watched), self.margin)
    }

    /// The alerts that hold now.
    pub fn active_alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().filter(|alert| alert.until.is_none())
    }

    /// Takes what one refresh found.
    pub fn ingest(&mut self, observation: Observation) {
        let Observation { snapshot, facts } = observation;
        let was_reset = snapshot.epoch != self.snapshot.epoch;
        let changed = differs(&self.snapshot, &snapshot);
        let before = std::mem::replace(&mut self.snapshot, snapshot);
        if was_reset {
            self.run_since = self.snapshot.at;
        } else {
            raise_high_water(&before, &mut self.snapshot);
        }
        self.remember(was_reset);
        if was_reset {
            self.growth = growth::Growth::default();
        }
        self.growth.follow(self.snapshot.at, &mut self.snapshot.heaps);
        let mut found = alert::find(&self.snapshot, &facts, self.limits);
        found.extend(self.stalled(&facts));
        if was_reset {
            found.push(self.reset_alert());
        }
        let alerts_changed = self.settle(found, &facts);
        let at = self.snapshot.at;
        let aged = at.saturating_sub(self.revised) >= AGEING;
        if changed || alerts_changed || aged {
            self.revision += 1;
            self.revised = at;
        }
    }

    /// Adds to the series; what was not measured is a gap.
    fn remember(&mut self, was_reset: bool) {
        let at = self.snapshot.at;
        if was_reset {
            for series in self.stack_peaks.values_mut().chain(self.stack_currents.values_mut()) {
                series.push(at, None);
            }
        }
        let live = self.snapshot.health == Health::Live;
        let value = |bytes: Option<snapshot::Measured>| bytes.filter(|_| live).map(|bytes| f64::from(bytes.bytes));
        for stack in &self.snapshot.stacks {
            for (series, bytes) in [(&mut self.stack_peaks, stack.deepest()), (&mut self.stack_currents, stack.current)]
            {
                series.entry(stack.id.clone()).or_default().push(at, value(bytes));
            }
        }
        for heap in &self.snapshot.heaps {
            self.heap_used.entry(heap.name.clone()).or_default().push(at, value(heap.used));
        }
        let alive = |id: &String| self.snapshot.stacks.iter().any(|stack| stack.id == *id);
        for series in [&mut self.stack_peaks, &mut self.stack_currents] {
            if series.len() > KEPT_SERIES {
                series.retain(|id, _| alive(id));
            }
        }
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
        }
    }

    /// Keeps the beginnings of alerts that go on, ends those that are over, and sorts. Says whether any changed.
    fn settle(&mut self, found: Vec<Alert>, facts: &Facts) -> bool {
        let at = self.snapshot.at;
        let before = self.alerts.clone();
        let mut over: Vec<Alert> = Vec::new();
        let mut holding: Vec<Alert> = Vec::new();
        for mut alert in found {
            if alert.until.is_some() {
                over.push(alert);
                continue;
            }
            let same = |old: &&Alert| old.until.is_none() && old.kind == alert.kind && old.subject == alert.subject;
            if let Some(old) = before.iter().find(same) {
                alert.since = old.since;
            }
            holding.push(alert);
        }
        for old in &before {
            let holds = |new: &Alert| new.kind == old.kind && new.subject == old.subject;
            if old.until.is_some() {
                over.push(old.clone());
            } else if !holding.iter().any(holds) {
                // The core's state is asked for only now and then: not asked is not over.
                if matches!(old.kind, AlertKind::Stalled) && facts.core.is_none() && facts.heartbeat.is_none() {
                    holding.push(old.clone());
                } else {
                    over.push(Alert { until: Some(at), ..old.clone() });
                }
            }
        }
        over.sort_by_key(|alert| std::cmp::Reverse(alert.until));
        over.truncate(KEPT_ALERTS);
        holding.sort_by_key(|alert| (alert.severity, alert.kind));
        holding.extend(over);
        self.alerts = holding;
        self.alerts != before
    }
}

/// Keeps the highest end of each heap's blocks that was ever seen.
fn raise_high_water(before: &Snapshot, now: &mut Snapshot) {
    for heap in &mut now.heaps {
        let earlier = before.heaps.iter().find(|earlier| earlier.name == heap.name && earlier.range == heap.range);
        heap.high_water = heap.high_water.max(earlier.and_then(|earlier| earlier.high_water));
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
        for owner in quiet.heaps.iter_mut().filter_map(|heap| heap.owners.as_mut()).flatten() {
            owner.growth = None;
            owner.leaks = false;
        }
        if let Some(detail) = &mut quiet.detail {
            detail.at = Duration::ZERO;
        }
        quiet
    };
    quiet(old) != quiet(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::{Link, Measured, StackKind, Target, Trust};
    use crate::region::Region;

    fn snapshot(seconds: u64, peak: u32) -> Snapshot {
        Snapshot {
            at: Duration::from_secs(seconds),
            epoch: 0,
            target: Target { elf: "demo.elf".into(), ..Target::default() },
            health: Health::Live,
            memories: Vec::new(),
            stacks: vec![Stack {
                id: "a".into(),
                name: "growth".into(),
                kind: StackKind::User,
                range: Region::new(0x2000_0000, 1000),
                current: None,
                lowest_sp: None,
                peak: Some(Measured { bytes: peak, trust: Trust::Exact }),
                worst_case: None,
                worst_case_note: None,
                rescanned: None,
                victim: None,
                overflowed: false,
                priority: None,
                state: None,
                cpu: None,
            }],
            heaps: Vec::new(),
            link: Link::default(),
            hints: Vec::new(),
            detail: None,
            tripwire: None,
        }
    }

    fn ingest(model: &mut Model, snapshot: Snapshot) {
        model.ingest(Observation { snapshot, facts: Facts::default() });
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
        let values: Vec<Option<f64>> = model.stack_peaks["a"].iter().map(|(_, value)| value).collect();
        assert_eq!(values, [Some(100.0), None, Some(100.0)]);
        assert_eq!(model.snapshot.stacks[0].peak.map(|peak| peak.bytes), Some(100));
    }

    #[test]
    fn a_reset_is_told_and_begins_a_new_line() {
        let mut model = Model::new(snapshot(0, 0));
        ingest(&mut model, snapshot(1, 100));
        ingest(&mut model, Snapshot { epoch: 1, ..snapshot(2, 50) });
        assert_eq!(model.alerts[0].kind, AlertKind::Reset);
        let values: Vec<Option<f64>> = model.stack_peaks["a"].iter().map(|(_, value)| value).collect();
        assert_eq!(values, [Some(100.0), None, Some(50.0)]);
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
}
