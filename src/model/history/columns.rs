//! From what a series keeps to the columns of a picture.

use std::time::Duration;

use super::ladder::Entry;

/// A span of time that may begin before the attach: half-open, in microseconds since then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: i64,
    length: i64,
}

impl Span {
    /// The time of this length before `end`. A span is at least one microsecond long.
    #[must_use]
    pub fn before(end: Duration, length: Duration) -> Self {
        let length = micros(length).max(1);
        Self { start: micros(end).saturating_sub(length), length }
    }

    pub(super) fn start(self) -> i64 {
        self.start
    }

    /// The column, of so many, in which a time lies; below 0 or past the last one when it is outside.
    #[must_use]
    pub fn column(self, at: Duration, count: usize) -> i64 {
        self.column_of(micros(at), count)
    }

    /// When the middle of a column is, as far as that is after the attach.
    #[must_use]
    pub fn middle(self, column: usize, count: usize) -> Duration {
        let share = (column as i128 * 2 + 1) * i128::from(self.length) / (count.max(1) as i128 * 2);
        Duration::from_micros(u64::try_from(i128::from(self.start) + share).unwrap_or(0))
    }

    /// Its first moment that is after the attach.
    #[must_use]
    pub fn begin(self) -> Duration {
        Duration::from_micros(self.start.max(0).unsigned_abs())
    }

    /// Its end.
    #[must_use]
    pub fn end(self) -> Duration {
        Duration::from_micros(self.start.saturating_add(self.length).max(0).unsigned_abs())
    }

    /// How long it is.
    #[must_use]
    pub fn length(self) -> Duration {
        Duration::from_micros(self.length.unsigned_abs())
    }

    /// Whether a time lies in it; its end counts, as the newest moment of a picture does.
    #[must_use]
    pub fn contains(self, at: Duration) -> bool {
        (self.start..=self.start.saturating_add(self.length)).contains(&micros(at))
    }

    fn column_of(self, at: i64, count: usize) -> i64 {
        // The end itself belongs to the last column: it is the newest sample of a picture that follows.
        let at = if at == self.start.saturating_add(self.length) { at - 1 } else { at };
        let past = i128::from(at) - i128::from(self.start);
        let column = past.saturating_mul(count as i128).div_euclid(i128::from(self.length));
        i64::try_from(column).unwrap_or(if column < 0 { i64::MIN } else { i64::MAX })
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// What was measured in one column of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Column {
    /// The series was not there yet, or no more.
    #[default]
    Nothing,
    /// It was there and could not be read.
    Gap,
    /// It was measured.
    Measured(Envelope),
}

/// The values of one column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Envelope {
    /// The least.
    pub least: u32,
    /// The most.
    pub most: u32,
    /// The mean.
    pub mean: f64,
    /// No sample lies in it: it is between two of them, and the value of the first is held.
    pub held: bool,
    /// There is a gap in it or before it: no line leads to the column before.
    pub broken: bool,
}

impl Column {
    /// The values, when there are any.
    #[must_use]
    pub fn envelope(&self) -> Option<&Envelope> {
        match self {
            Self::Measured(envelope) => Some(envelope),
            Self::Nothing | Self::Gap => None,
        }
    }
}

/// A column while it is filled.
#[derive(Clone, Copy, Default)]
struct Filling {
    sum: u64,
    count: u64,
    range: Option<(u32, u32)>,
    broken: bool,
}

/// What lies behind the columns that are done.
#[derive(Clone, Copy)]
struct Before {
    column: i64,
    open_end: bool,
    mean: f64,
}

/// Puts the entries, oldest first, into so many columns.
pub(super) fn columns(
    entries: impl Iterator<Item = Entry>,
    ended: Option<u64>,
    span: Span,
    count: usize,
) -> Vec<Column> {
    let mut filling = vec![Filling::default(); count];
    let mut columns = vec![Column::Nothing; count];
    let column = |at: u64| span.column_of(i64::try_from(at).unwrap_or(i64::MAX), count);
    let last = count as i64 - 1;
    let mut before: Option<Before> = None;
    let mut entries = entries.peekable();
    while let Some(entry) = entries.next() {
        // A slice that is still open ends where the next one begins.
        let end = entries.peek().map_or(entry.end, |next| entry.end.min(next.start.max(entry.start)));
        let (from, to) = (column(entry.start), column(end));
        if let Some(before) = before {
            bridge(&mut columns, before, from);
        }
        let broken = entry.broken || before.is_some_and(|before| before.open_end);
        for at in from.max(0)..=to.min(last) {
            let cell = &mut filling[at as usize];
            if entry.count > 0 {
                cell.sum += entry.sum;
                cell.count += u64::from(entry.count);
                let (least, most) = cell.range.unwrap_or((entry.least, entry.most));
                cell.range = Some((least.min(entry.least), most.max(entry.most)));
            } else if columns[at as usize] == Column::Nothing {
                columns[at as usize] = Column::Gap;
            }
            cell.broken |= broken && at == from;
        }
        let mean = if entry.count > 0 {
            entry.sum as f64 / f64::from(entry.count)
        } else {
            before.map_or(0.0, |before| before.mean)
        };
        before = Some(Before { column: to, open_end: entry.open_end, mean });
    }
    if let Some(before) = before.filter(|before| before.open_end) {
        // The gap goes on until now, or until the series was over.
        bridge(&mut columns, before, ended.map_or(last + 1, |ended| column(ended) + 1));
    }
    for (column, cell) in columns.iter_mut().zip(&filling) {
        if let Some((least, most)) = cell.range {
            let mean = cell.sum as f64 / cell.count as f64;
            *column = Column::Measured(Envelope { least, most, mean, held: false, broken: cell.broken });
        }
    }
    columns
}

/// The columns between an entry and the one that begins in column `to`.
fn bridge(columns: &mut [Column], before: Before, to: i64) {
    let between = (before.column + 1).max(0)..to.min(columns.len() as i64);
    for at in between {
        columns[at as usize] = if before.open_end {
            Column::Gap
        } else {
            let value = before.mean.round() as u32;
            Column::Measured(Envelope { least: value, most: value, mean: before.mean, held: true, broken: false })
        };
    }
}
