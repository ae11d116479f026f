//! A first look at all refreshes of a recording: what to draw of its time, and which moments to keep.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::report::Report;

/// Columns of the picture: of the refreshes in one, the least and the most are kept.
pub(super) const COLUMNS: usize = 1000;
/// Series that are followed.
const MOST_SERIES: usize = 64;
/// Alerts that are drawn and listed.
const MOST_ALERTS: usize = 200;

/// What is drawn of a heap or a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// What is in use of a heap.
    Heap,
    /// The high-water mark of a stack.
    Stack,
}

/// One figure over time, in percent of its whole.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// The least and the most of each column; `None` where it is not known.
    pub(super) columns: Vec<Option<(f64, f64)>>,
    least: (f64, usize),
    most: (f64, usize),
    /// The last one that was known.
    pub(super) last: f64,
}

impl Series {
    /// The most it ever was.
    pub(super) fn most(&self) -> f64 {
        self.most.0
    }

    /// How far it went.
    pub(super) fn span(&self) -> f64 {
        self.most.0 - self.least.0
    }
}

/// An alert from its beginning to the last refresh that told of it.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) severity: &'static str,
    pub(super) subject: String,
    /// The stack or heap it concerns, by its id.
    id: Option<String>,
    /// What it said when it began.
    pub(super) text: String,
    pub(super) from_s: f64,
    pub(super) to_s: f64,
    last: usize,
}

/// What is known of all refreshes.
pub struct Survey {
    pub(super) end_s: f64,
    pub(super) limit_percent: u8,
    pub(super) series: Vec<Series>,
    by_name: HashMap<(u8, String), usize>,
    pub(super) alerts: Vec<Span>,
    pub(super) resets_s: Vec<f64>,
    epoch: Option<u32>,
    /// The refreshes in which an alert began or ended.
    turned: Vec<usize>,
    /// Those in which something else happened.
    eventful: Vec<usize>,
    newest_event_s: f64,
    before: Vec<(&'static str, String, Option<String>)>,
    refreshes: usize,
}

/// Which refreshes are kept.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    /// Their numbers from 0, rising.
    pub refreshes: Vec<usize>,
    /// All that there were.
    pub of: usize,
    /// Alerts, events and extremes among those that are left out.
    pub notable_left_out: usize,
}

impl Survey {
    /// Nothing was looked at yet of a recording that ends so many seconds after the attach.
    #[must_use]
    pub fn new(end_s: f64) -> Self {
        Self {
            end_s: end_s.max(1e-3),
            limit_percent: 100,
            series: Vec::new(),
            by_name: HashMap::new(),
            alerts: Vec::new(),
            resets_s: Vec::new(),
            epoch: None,
            turned: Vec::new(),
            eventful: Vec::new(),
            newest_event_s: f64::NEG_INFINITY,
            before: Vec::new(),
            refreshes: 0,
        }
    }

    /// Looks at the next refresh.
    pub fn look(&mut self, report: &Report) {
        self.limit_percent = report.limits.stack_percent;
        for heap in &report.heaps {
            self.figure(Kind::Heap, &heap.id, &heap.name, heap.used, heap.size, report.at_s);
        }
        for stack in &report.stacks {
            self.figure(Kind::Stack, &stack.id, &stack.name, stack.peak, stack.size, report.at_s);
        }
        self.look_at_alerts(report);
        let newest = report.events.last().map_or(f64::NEG_INFINITY, |event| event.at_s);
        if newest > self.newest_event_s {
            self.newest_event_s = newest;
            self.eventful.push(self.refreshes);
        }
        if self.epoch.replace(report.epoch).is_some_and(|epoch| epoch != report.epoch)
            && self.resets_s.len() < MOST_ALERTS
        {
            self.resets_s.push(report.at_s);
        }
        self.refreshes += 1;
    }

    fn figure(&mut self, kind: Kind, id: &str, name: &str, part: Option<u32>, whole: u64, at_s: f64) {
        let Some(part) = part.filter(|_| whole > 0) else { return };
        let percent = f64::from(part) / whole as f64 * 100.0;
        let key = (kind as u8, id.to_owned());
        let index = match self.by_name.get(&key) {
            Some(index) => *index,
            None if self.series.len() == MOST_SERIES => return,
            None => {
                self.series.push(Series {
                    kind,
                    name: name.to_owned(),
                    columns: vec![None; COLUMNS],
                    least: (percent, self.refreshes),
                    most: (percent, self.refreshes),
                    last: percent,
                });
                self.by_name.insert(key, self.series.len() - 1);
                self.series.len() - 1
            }
        };
        let series = &mut self.series[index];
        let column = ((at_s / self.end_s * COLUMNS as f64).max(0.0) as usize).min(COLUMNS - 1);
        let (least, most) = series.columns[column].unwrap_or((percent, percent));
        series.columns[column] = Some((least.min(percent), most.max(percent)));
        if percent < series.least.0 {
            series.least = (percent, self.refreshes);
        }
        if percent > series.most.0 {
            series.most = (percent, self.refreshes);
        }
        series.last = percent;
    }

    fn look_at_alerts(&mut self, report: &Report) {
        for alert in &report.alerts {
            let same = |span: &&mut Span| {
                let same = span.subject == alert.subject && span.id == alert.id;
                span.last + 1 >= self.refreshes && same && span.from_s == alert.since_s
            };
            if let Some(span) = self.alerts.iter_mut().rev().find(same) {
                (span.to_s, span.last) = (report.at_s, self.refreshes);
            } else if self.alerts.len() < MOST_ALERTS {
                self.alerts.push(Span {
                    severity: alert.severity,
                    subject: alert.subject.clone(),
                    id: alert.id.clone(),
                    text: alert.text.clone(),
                    from_s: alert.since_s,
                    to_s: report.at_s,
                    last: self.refreshes,
                });
            }
        }
        let now: Vec<_> =
            report.alerts.iter().map(|alert| (alert.kind, alert.subject.clone(), alert.id.clone())).collect();
        if now != self.before {
            self.turned.push(self.refreshes);
            self.before = now;
        }
    }

    /// The moments to keep, at most so many: the first and the last, those in which an alert began or ended, those in
    /// which a figure was at its least or its most, those in which something happened, and others evenly in between.
    #[must_use]
    pub fn choose(&self, most: usize) -> Choice {
        let last = self.refreshes.saturating_sub(1);
        let ends: Vec<usize> = if self.refreshes == 0 { Vec::new() } else { vec![0, last] };
        let extremes = self.series.iter().flat_map(|series| [series.least.1, series.most.1]).collect();
        let classes = [ends, self.turned.clone(), extremes, self.eventful.clone(), (0..self.refreshes).collect()];
        let notable: BTreeSet<usize> = classes[..4].iter().flatten().copied().collect();
        let mut chosen = BTreeSet::new();
        for class in classes {
            let new: Vec<usize> = class
                .into_iter()
                .filter(|refresh| !chosen.contains(refresh))
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect();
            chosen.extend(evenly(&new, most.saturating_sub(chosen.len())));
        }
        let notable_left_out = notable.difference(&chosen).count();
        Choice { refreshes: chosen.into_iter().collect(), of: self.refreshes, notable_left_out }
    }

    /// The series to draw, at most so many: heaps, then those stacks that went furthest.
    pub(super) fn drawn(&self, most: usize) -> Vec<&Series> {
        let mut drawn: Vec<&Series> = self.series.iter().collect();
        drawn.sort_by(|one, other| {
            let rank = |series: &Series| (series.span(), series.most());
            one.kind.cmp(&other.kind).then(rank(other).partial_cmp(&rank(one)).unwrap_or(std::cmp::Ordering::Equal))
        });
        drawn.truncate(most);
        drawn
    }

    /// How many alerts of each severity there were, the worst first.
    pub(super) fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for span in &self.alerts {
            *counts.entry(span.severity).or_default() += 1;
        }
        counts
    }
}

/// At most so many of a list, with even steps between them.
fn evenly(list: &[usize], most: usize) -> impl Iterator<Item = usize> + '_ {
    let count = list.len().min(most);
    (0..count).map(move |index| list[index * list.len() / count])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Model;
    use crate::model::snapshot::Snapshot;
    use crate::model::testing;

    /// A recording of one refresh a second, with these high-water marks of one stack of 1000 bytes.
    fn survey(peaks: &[u32]) -> Survey {
        let mut survey = Survey::new(peaks.len() as f64);
        for (at, peak) in peaks.iter().enumerate() {
            let snapshot = Snapshot { stacks: vec![testing::stack("a", *peak)], ..testing::live(at as u64) };
            survey.look(&Report::new(&Model::new(snapshot)));
        }
        survey
    }

    #[test]
    fn extremes_are_kept_whatever_is_left_out() {
        let mut peaks = vec![400; 1000];
        (peaks[333], peaks[777]) = (900, 100);
        let survey = survey(&peaks);
        let choice = survey.choose(10);
        assert_eq!((choice.refreshes.len(), choice.of, choice.notable_left_out), (10, 1000, 0));
        for refresh in [0, 333, 777, 999] {
            assert!(choice.refreshes.contains(&refresh), "{refresh} of {:?}", choice.refreshes);
        }
        let series = &survey.series[0];
        assert_eq!((series.least.0, series.most.0, series.last), (10.0, 90.0, 40.0));
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let survey = survey(&[400, 900, 100, 400]);
        let choice = survey.choose(3);
        assert_eq!((choice.refreshes.len(), choice.notable_left_out), (3, 1));
    }

    proptest! {
        #[test]
        fn any_number_of_refreshes_is_thinned_to_the_bound(count in 1usize..200, most in 2usize..50) {
            let choice = survey(&vec![400; count]).choose(most);
            prop_assert_eq!(choice.refreshes.len(), count.min(most));
            prop_assert!(choice.refreshes.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert_eq!(choice.refreshes[0], 0);
            prop_assert_eq!(choice.refreshes[choice.refreshes.len() - 1], count - 1);
        }
    }
}
