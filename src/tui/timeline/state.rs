//! What the user made of the timeline: which time it shows, where the cursor is, which series are drawn.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::Model;
use crate::model::history::{Key, Span};

/// Lengths of time that a picture shows, in seconds: from 10 s to 10 days.
const SPANS: [u64; 15] =
    [10, 30, 60, 120, 300, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000];

/// Where a picture ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    /// With the newest sample.
    #[default]
    Now,
    /// At this time since the attach.
    At(Duration),
}

/// What the values beside the series are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Values {
    /// As they are now.
    #[default]
    Now,
    /// How far they are from the baseline.
    Difference,
}

/// How the timeline is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimelineState {
    zoom: Zoom,
    end: End,
    cursor: Option<Duration>,
    /// What the user chose to see; until then the screen chooses.
    chosen: Option<BTreeSet<Key>>,
    /// The series under the cursor of the list.
    selected: Option<Key>,
}

/// An index into the lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Zoom(usize);

impl Default for Zoom {
    /// A minute.
    fn default() -> Self {
        Self(2)
    }
}

impl TimelineState {
    /// The time that the picture shows of this model.
    pub(crate) fn span(&self, model: &Model) -> Span {
        let end = match self.end {
            End::Now => model.snapshot.at,
            End::At(at) => at.min(model.snapshot.at),
        };
        Span::before(end, self.length())
    }

    fn length(&self) -> Duration {
        Duration::from_secs(SPANS[self.zoom.0])
    }

    /// Whether it shows the newest.
    pub(crate) fn follows(&self) -> bool {
        self.end == End::Now
    }

    /// Where the cursor is, since the attach.
    #[must_use]
    pub fn cursor(&self) -> Option<Duration> {
        self.cursor
    }

    /// Shows a shorter time, or a longer one when `closer` is negative; what is at the cursor stays where it is.
    pub(crate) fn zoom(&mut self, model: &Model, closer: isize) {
        let before = self.span(model);
        self.zoom = Zoom(self.zoom.0.saturating_add_signed(-closer).min(SPANS.len() - 1));
        if let Some(cursor) = self.cursor {
            let behind = before.end().saturating_sub(cursor).as_secs_f64() / before.length().as_secs_f64();
            let end = cursor + self.length().mul_f64(behind.clamp(0.0, 1.0));
            self.end_at(model, end);
        }
    }

    /// Puts the cursor there; the picture stands still, and moves only as far as it must.
    pub(crate) fn look_at(&mut self, model: &Model, at: Duration) {
        let at = at.min(model.snapshot.at);
        let span = self.span(model);
        self.cursor = Some(at);
        let end = if span.contains(at) { span.end() } else { at + self.length() / 2 };
        // A picture that does not begin at the attach yet shows as much as there is.
        self.end = End::At(end.min(model.snapshot.at));
    }

    /// Moves the cursor by so many of `columns` columns; the first step begins at the newest in sight.
    pub(crate) fn step(&mut self, model: &Model, columns: usize, steps: isize) {
        let span = self.span(model);
        let width = span.length() / u32::try_from(columns.max(1)).unwrap_or(u32::MAX);
        let from = self.cursor.unwrap_or_else(|| span.end());
        let way = width.saturating_mul(u32::try_from(steps.unsigned_abs()).unwrap_or(u32::MAX));
        let to = if steps < 0 { from.saturating_sub(way) } else { from.saturating_add(way) };
        let begin = span.begin();
        self.look_at(model, to);
        // Past an edge the picture goes along, and does not jump.
        if to < begin {
            self.end_at(model, to + self.length());
        } else if to > span.end() {
            self.end_at(model, to);
        }
    }

    /// Moves the picture by half of it.
    pub(crate) fn scroll(&mut self, model: &Model, newer: bool) {
        let half = self.length() / 2;
        let span = self.span(model);
        let first = model.history.first().unwrap_or(model.snapshot.at);
        let end = if newer { span.end() + half } else { span.end().saturating_sub(half).max(first) };
        self.cursor = None;
        self.end_at(model, end);
    }

    /// Shows the oldest that is kept.
    pub(crate) fn oldest(&mut self, model: &Model) {
        let first = model.history.first().unwrap_or(model.snapshot.at);
        self.cursor = None;
        self.end_at(model, first + self.length());
    }

    /// Shows the newest, and follows.
    pub(crate) fn follow(&mut self) {
        (self.end, self.cursor) = (End::Now, None);
    }

    /// Ends the picture there. With the newest in sight and no cursor, it follows.
    fn end_at(&mut self, model: &Model, end: Duration) {
        self.end = if end >= model.snapshot.at && self.cursor.is_none() {
            End::Now
        } else {
            End::At(end.min(model.snapshot.at))
        };
    }

    /// The series that are drawn, when the user chose.
    pub(crate) fn chosen(&self) -> Option<&BTreeSet<Key>> {
        self.chosen.as_ref()
    }

    /// The series under the cursor of the list.
    pub(crate) fn selected(&self) -> Option<&Key> {
        self.selected.as_ref()
    }

    /// Moves the cursor of the list.
    pub(crate) fn select(&mut self, key: Key) {
        self.selected = Some(key);
    }

    /// Draws a series, or no more; the others stay as they are on the screen, where `shown` are.
    pub(crate) fn toggle(&mut self, key: &Key, shown: BTreeSet<Key>) {
        let chosen = self.chosen.get_or_insert(shown);
        if !chosen.remove(key) {
            chosen.insert(key.clone());
        }
    }
}
