//! One series in fixed memory: every sample for minutes, and of all that is older the least, the most and the mean of
//! ever longer slices of time, for days.
//!
//! ```text
//!   samples    4096 of them          every sample, 2 min at 30 Hz
//!   level 0     512 slices of 0.5 s  4 min
//!   level 1     512 slices of 2 s    17 min
//!   ...
//!   level 6     512 slices of 34 min 12 days
//! ```
//!
//! Each level takes a slice from the level below when that one is over, so what a level has not seen yet lies in the
//! open slices below it. Nothing that was measured is left out of the least and the most.

use std::collections::VecDeque;
use std::mem::size_of;
use std::time::Duration;

use super::columns::{Column, Span, columns};

/// Samples that are kept one by one.
pub(super) const SAMPLES: usize = 4096;
/// Slices that each level keeps.
pub(super) const SLICES: usize = 512;
/// Levels above the samples.
pub(super) const LEVELS: usize = 7;
/// Slices of one level that make one of the next.
const FACTOR: u64 = 4;
/// Microseconds in a slice of the first level.
const FIRST: u64 = 500_000;

/// Samples and slices that one series keeps at most.
pub const SERIES_KEPT: usize = SAMPLES + LEVELS * SLICES;

/// One sample: `None` when nothing was measured from then on.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    /// Microseconds since the attach.
    at: u64,
    value: Option<u32>,
}

/// What was measured in a slice of time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Slice {
    /// Its place: it begins at so many times its level's width.
    number: u64,
    sum: u64,
    count: u32,
    least: u32,
    most: u32,
    /// Nothing was measured at its end.
    open_end: bool,
    /// There is a gap somewhere in it.
    broken: bool,
}

impl Slice {
    fn of(sample: Sample) -> Self {
        let number = sample.at / FIRST;
        match sample.value {
            Some(value) => {
                Self { number, sum: value.into(), count: 1, least: value, most: value, open_end: false, broken: false }
            }
            None => Self { number, sum: 0, count: 0, least: u32::MAX, most: 0, open_end: true, broken: true },
        }
    }

    fn take(&mut self, later: &Self) {
        self.sum += later.sum;
        self.count = self.count.saturating_add(later.count);
        self.least = self.least.min(later.least);
        self.most = self.most.max(later.most);
        self.open_end = later.open_end;
        self.broken |= later.broken;
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Level {
    open: Option<Slice>,
    closed: VecDeque<Slice>,
}

/// One series: ascending times, bounded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    samples: VecDeque<Sample>,
    levels: [Level; LEVELS],
    most: u32,
    /// Microseconds since the attach.
    ended: Option<u64>,
}

/// What one series takes at most, in bytes.
pub const SERIES_BYTES: usize =
    size_of::<Series>() + SAMPLES * size_of::<Sample>() + LEVELS * SLICES * size_of::<Slice>();

/// A length of time and what was measured in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    /// Microseconds since the attach.
    pub(super) start: u64,
    /// Where it ends; a sample ends where it begins.
    pub(super) end: u64,
    /// Sum of the values, for the mean.
    pub(super) sum: u64,
    /// How many values; none in a gap.
    pub(super) count: u32,
    pub(super) least: u32,
    pub(super) most: u32,
    pub(super) open_end: bool,
    pub(super) broken: bool,
}

impl Series {
    /// Adds a sample; `None` is a gap: nothing is measured from then on. A time before the last one counts as that.
    pub fn push(&mut self, at: Duration, value: Option<u32>) {
        let last = self.samples.back().copied();
        let at = micros(at).max(last.map_or(0, |last| last.at));
        match (last, value) {
            // A gap goes on by itself, and before the first value there is none.
            (None | Some(Sample { value: None, .. }), None) => return,
            // It was over and begins again: no line leads across that.
            (Some(Sample { value: Some(_), .. }), Some(_)) if self.ended.is_some() => {
                self.add(Sample { at, value: None });
            }
            _ => {}
        }
        self.ended = None;
        self.add(Sample { at, value });
    }

    /// The series is over: what it describes is gone.
    pub fn end(&mut self, at: Duration) {
        self.ended.get_or_insert(micros(at));
    }

    /// When the series was over, since the attach.
    #[must_use]
    pub fn ended(&self) -> Option<Duration> {
        self.ended.map(Duration::from_micros)
    }

    fn add(&mut self, sample: Sample) {
        push_bounded(&mut self.samples, sample, SAMPLES);
        self.most = self.most.max(sample.value.unwrap_or(0));
        let mut slice = Slice::of(sample);
        for level in &mut self.levels {
            let done = match &mut level.open {
                Some(open) if open.number == slice.number => {
                    open.take(&slice);
                    return;
                }
                open => open.replace(slice),
            };
            let Some(done) = done else { return };
            push_bounded(&mut level.closed, done, SLICES);
            slice = Slice { number: done.number / FACTOR, ..done };
        }
    }

    /// The samples that are kept one by one, oldest first; `None` begins a gap.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Duration, Option<u32>)> + '_ {
        self.samples.iter().map(|sample| (Duration::from_micros(sample.at), sample.value))
    }

    /// The newest value that is not a gap.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.samples.iter().rev().find_map(|sample| sample.value)
    }

    /// The largest value ever seen.
    #[must_use]
    pub fn most(&self) -> u32 {
        self.most
    }

    /// When the oldest that is kept was measured, since the attach.
    #[must_use]
    pub fn first(&self) -> Option<Duration> {
        let first = (0..=LEVELS).rev().find_map(|level| self.entries(level).next())?;
        Some(Duration::from_micros(first.start))
    }

    /// What was measured in each of so many equal columns of a span. A column has all that was measured in it, and no
    /// more than what lies within one slice of it: half a second for the last minutes, longer for what is older.
    #[must_use]
    pub fn columns(&self, span: Span, count: usize) -> Vec<Column> {
        let from = span.start().max(0).unsigned_abs();
        let reaches = |level: &usize| {
            let complete = match level {
                0 => self.samples.len() < SAMPLES,
                level => self.levels[level - 1].closed.len() < SLICES,
            };
            complete || self.entries(*level).next().is_some_and(|first| first.start <= from)
        };
        let level = (0..=LEVELS).find(reaches).unwrap_or(LEVELS);
        columns(self.entries(level), self.ended, span, count)
    }

    /// The largest value in each of so many equal slices of the time of this length before `now`, oldest first; `None`
    /// where nothing was measured.
    #[must_use]
    pub fn highest(&self, now: Duration, length: Duration, count: usize) -> Vec<Option<f64>> {
        let columns = self.columns(Span::before(now, length), count);
        columns.iter().map(|column| column.envelope().map(|envelope| envelope.most.into())).collect()
    }

    /// Bytes that it takes now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let slices: usize = self.levels.iter().map(|level| level.closed.capacity()).sum();
        size_of::<Self>() + self.samples.capacity() * size_of::<Sample>() + slices * size_of::<Slice>()
    }

    /// How many samples and slices are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.samples.len() + self.levels.iter().map(|level| level.closed.len()).sum::<usize>()
    }

    /// Everything in the fineness of a level, oldest first: 0 is sample by sample.
    fn entries(&self, level: usize) -> impl Iterator<Item = Entry> + '_ {
        let samples = self.samples.iter().filter(move |_| level == 0).map(|sample| {
            let value = sample.value.unwrap_or(0);
            Entry {
                start: sample.at,
                end: sample.at,
                sum: value.into(),
                count: u32::from(sample.value.is_some()),
                least: value,
                most: value,
                open_end: sample.value.is_none(),
                broken: sample.value.is_none(),
            }
        });
        // What a level has not taken yet lies in the open slices of those below it.
        let closed = level.checked_sub(1).map(|at| self.levels[at].closed.iter()).into_iter().flatten();
        let closed = closed.map(move |slice| (level, slice));
        let open = (1..=level).rev().filter_map(|at| Some((at, self.levels[at - 1].open.as_ref()?)));
        let last = self.samples.back().map_or(0, |sample| sample.at);
        let slices = closed.chain(open).map(move |(level, slice)| {
            let width = width(level);
            let start = slice.number * width;
            Entry {
                start,
                end: (start + width - 1).min(last),
                sum: slice.sum,
                count: slice.count,
                least: slice.least,
                most: slice.most,
                open_end: slice.open_end,
                broken: slice.broken,
            }
        });
        samples.chain(slices)
    }
}

/// Microseconds in a slice of a level, of which the first is 1.
fn width(level: usize) -> u64 {
    FIRST * FACTOR.pow(level.saturating_sub(1) as u32)
}

fn push_bounded<T>(ring: &mut VecDeque<T>, item: T, most: usize) {
    if ring.len() == most {
        ring.pop_front();
    }
    ring.push_back(item);
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
