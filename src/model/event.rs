//! What happened, and when: a bounded list, oldest first.

use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::alert::{Alert, AlertKind, Severity};
use super::catch::CatchKind;
use super::snapshot::{Health, MemoryKind, Part, PartKind, Snapshot, Stack, Trust};
use crate::units;

/// Events that are kept.
pub const MOST_EVENTS: usize = 512;
/// Marks of one stack that follow each other this fast are one event: a call that goes deeper and deeper.
const ONE_RISE: Duration = Duration::from_secs(1);

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When it was seen, since the attach.
    pub at: Duration,
    /// In which run of the target: see [`Snapshot::epoch`].
    pub epoch: u32,
    /// What kind.
    pub kind: EventKind,
    /// Whom it concerns: a stack's, a heap's or the target's name.
    pub subject: String,
    /// The stack it concerns, by its id, which tells stacks of one name apart.
    pub stack: Option<String>,
    /// What happened, in a few words; begins with the subject where it has one.
    pub text: String,
    /// The calls that set a mark, the innermost first, where somebody caught them.
    pub calls: Option<Vec<String>>,
}

/// The kinds of events, the most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    /// An alert began.
    AlertBegan(Severity),
    /// The target was reset: a new epoch.
    Reset,
    /// The ELF was built anew, and what is shown is from the new one.
    Rebuilt,
    /// The target or the link does not answer any more.
    LinkLost,
    /// A stack was used deeper than ever before.
    Mark {
        /// Bytes at the mark before.
        from: u32,
        /// Bytes at this one.
        to: u32,
    },
    /// It answers again.
    LinkBack,
    /// An alert ended.
    AlertEnded,
    /// A thread appeared.
    Started,
    /// A thread is gone.
    Gone,
}

impl EventKind {
    /// What it is called.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::AlertBegan(_) => "alert",
            Self::AlertEnded => "alert over",
            Self::Reset => "reset",
            Self::Rebuilt => "rebuilt",
            Self::LinkLost => "link lost",
            Self::LinkBack => "link back",
            Self::Mark { .. } => "new mark",
            Self::Started => "started",
            Self::Gone => "gone",
        }
    }
}

/// The last events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    list: VecDeque<Event>,
}

impl Events {
    /// All that are kept, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Event> + ExactSizeIterator {
        self.list.iter()
    }

    /// The marks of a stack, the newest first.
    pub fn marks(&self, stack: &str) -> impl Iterator<Item = &Event> {
        self.list
            .iter()
            .rev()
            .filter(move |event| matches!(event.kind, EventKind::Mark { .. }) && event.stack.as_deref() == Some(stack))
    }

    /// Adds one; the oldest goes when there is no room.
    pub fn push(&mut self, event: Event) {
        if self.list.len() == MOST_EVENTS {
            self.list.pop_front();
        }
        self.list.push_back(event);
    }

    /// What happened between two snapshots. The first look at a target is no event: what is there was there before.
    pub fn observe(&mut self, before: &Snapshot, now: &Snapshot) {
        let was_reset = before.epoch != now.epoch;
        if was_reset {
            self.add(now, EventKind::Reset, &now.target.elf, "the target was reset; marks begin anew".into());
        }
        if before.target.rebuilds != now.target.rebuilds {
            self.add(now, EventKind::Rebuilt, &now.target.elf, rebuilt(before, now));
        }
        self.link(before, now);
        if before.health == Health::Static || now.health != Health::Live {
            return;
        }
        let ids = |snapshot: &Snapshot| -> BTreeSet<String> {
            snapshot.stacks.iter().map(|stack| stack.id.clone()).collect()
        };
        let new = ids(now);
        // A reset ends all threads, and says so itself.
        for stack in before.stacks.iter().filter(|stack| !was_reset && !new.contains(&stack.id)) {
            self.of_stack(now, EventKind::Gone, stack, format!("{} is gone", stack.name));
        }
        for stack in &now.stacks {
            let earlier = before.stacks.iter().find(|earlier| earlier.id == stack.id);
            match earlier {
                None => self.of_stack(now, EventKind::Started, stack, format!("{} started", stack.name)),
                Some(earlier) if !was_reset => self.mark(now, earlier, stack),
                Some(_) => {}
            }
        }
        self.catches(before, now);
    }

    /// Alerts that began and ended. Resets and the link have events of their own.
    pub fn alerts(&mut self, before: &[Alert], now: &[Alert], snapshot: &Snapshot) {
        let told = |alert: &&Alert| !matches!(alert.kind, AlertKind::Reset | AlertKind::LinkLost);
        let holding = |alerts: &[Alert], one: &Alert| alerts.iter().any(|other| other.until.is_none() && other.is(one));
        for alert in now.iter().filter(told).filter(|alert| alert.until.is_none()) {
            if !holding(before, alert) {
                self.of_alert(snapshot, EventKind::AlertBegan(alert.severity), alert, alert.text.clone());
            }
        }
        for alert in before.iter().filter(told).filter(|alert| alert.until.is_none()) {
            // A stack that went from nearly full to over its end is told of by the new alert alone.
            let worse = now.iter().any(|other| {
                other.until.is_none() && alert.stack.is_some() && other.stack == alert.stack && other.kind < alert.kind
            });
            if !holding(now, alert) && !worse {
                self.of_alert(snapshot, EventKind::AlertEnded, alert, format!("over: {}", alert.text));
            }
        }
    }

    /// Whom the tripwire caught at a mark, since the snapshot before.
    fn catches(&mut self, before: &Snapshot, now: &Snapshot) {
        let caught = now.tripwire.iter().flat_map(|tripwire| &tripwire.catches);
        for catch in caught.filter(|catch| catch.kind == CatchKind::Mark && catch.at > before.at) {
            let newest = self.list.iter_mut().rev().find(|event| {
                matches!(event.kind, EventKind::Mark { .. }) && event.stack.as_ref() == Some(&catch.stack)
            });
            if let Some(event) = newest.filter(|event| catch.at.abs_diff(event.at) < ONE_RISE) {
                event.calls = Some(catch.folded().into_iter().map(|(call, _)| call.function.clone()).collect());
            }
        }
    }

    fn link(&mut self, before: &Snapshot, now: &Snapshot) {
        let answers = |snapshot: &Snapshot| matches!(snapshot.health, Health::Live | Health::Static);
        match (&now.health, answers(before), answers(now)) {
            (Health::Stale { why, .. }, true, false) => {
                self.add(now, EventKind::LinkLost, &now.target.source, format!("the target does not answer: {why}"));
            }
            (Health::Reconnecting { why, .. }, true, false) => {
                self.add(now, EventKind::LinkLost, &now.target.source, format!("the link is lost: {why}"));
            }
            (_, false, true) => {
                let lost = match &before.health {
                    Health::Stale { since, .. } | Health::Reconnecting { since, .. } => now.at.saturating_sub(*since),
                    Health::Live | Health::Static | Health::Saved => Duration::ZERO,
                };
                let text = format!("reads come through again, {} without data", units::duration(lost));
                self.add(now, EventKind::LinkBack, &now.target.source, text);
            }
            _ => {}
        }
    }

    fn mark(&mut self, now: &Snapshot, earlier: &Stack, stack: &Stack) {
        let (Some(old), Some(new)) = (earlier.deepest(), stack.deepest()) else { return };
        if new.bytes <= old.bytes {
            return;
        }
        let newest = self
            .list
            .iter_mut()
            .rev()
            .find(|event| matches!(event.kind, EventKind::Mark { .. }) && event.stack.as_ref() == Some(&stack.id));
        // A rise that goes on is the same event, as long as nobody caught who began it.
        if let Some(event) = newest.filter(|event| now.at.saturating_sub(event.at) < ONE_RISE && event.calls.is_none())
            && let EventKind::Mark { from, to } = event.kind
            // After a reset that nobody noticed yet, a stack begins anew below its old mark.
            && to == old.bytes
        {
            event.kind = EventKind::Mark { from, to: new.bytes };
            event.text = rise(stack, from, new.bytes, old.trust);
            return;
        }
        let text = rise(stack, old.bytes, new.bytes, old.trust);
        self.of_stack(now, EventKind::Mark { from: old.bytes, to: new.bytes }, stack, text);
    }

    fn of_stack(&mut self, now: &Snapshot, kind: EventKind, stack: &Stack, text: String) {
        self.push(Event {
            at: now.at,
            epoch: now.epoch,
            kind,
            subject: stack.name.clone(),
            stack: Some(stack.id.clone()),
            text,
            calls: None,
        });
    }

    fn of_alert(&mut self, now: &Snapshot, kind: EventKind, alert: &Alert, text: String) {
        self.add(now, kind, &alert.subject, text);
        if let Some(event) = self.list.back_mut() {
            event.stack.clone_from(&alert.stack);
        }
    }

    fn add(&mut self, now: &Snapshot, kind: EventKind, subject: &str, text: String) {
        self.push(Event {
            at: now.at,
            epoch: now.epoch,
            kind,
            subject: subject.to_owned(),
            stack: None,
            text,
            calls: None,
        });
    }
}

/// `growth 3176 B, +480 B`, and whether the words may be older than the moment at which they were read.
fn rise(stack: &Stack, from: u32, to: u32, before: Trust) -> String {
    let found = if before == Trust::Exact { "" } else { ", found while its paint was first read: it may be older" };
    format!("{} {to} B, +{} B{found}", stack.name, to - from)
}

/// What the new build takes more or less of the memories, as far as the linker decides it.
fn rebuilt(before: &Snapshot, now: &Snapshot) -> String {
    let fixed = |snapshot: &Snapshot, kind: MemoryKind| -> u64 {
        let of_kind = snapshot.memories.iter().filter(|memory| memory.kind == kind);
        let parts = of_kind.flat_map(|memory| &memory.parts);
        let is_room = |part: &Part| part.is_room || matches!(part.kind, PartKind::Unclaimed | PartKind::Heap);
        let linked = parts.filter(|part| part.is_static && !is_room(part));
        linked.map(|part| u64::from(part.range.size())).sum()
    };
    let told = |name: &str, kind: MemoryKind| {
        let (old, new) = (fixed(before, kind), fixed(now, kind));
        match new.cmp(&old) {
            Ordering::Equal => format!("{name} as before"),
            Ordering::Greater => format!("{name} +{}", units::bytes(new - old)),
            Ordering::Less => format!("{name} -{}", units::bytes(old - new)),
        }
    };
    let (flash, ram) = (told("flash", MemoryKind::Flash), told("RAM", MemoryKind::Ram));
    format!("{} was built anew and read again: {flash}, {ram}", now.target.elf)
}

#[cfg(test)]
mod tests;
