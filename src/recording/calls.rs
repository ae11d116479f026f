//! What a sampler asked a source in one refresh, and the answers.
//!
//! ```text
//!   length | questions | length | times | all other answers
//! ```
//!
//! A sampler mostly asks what it asked before, so a question that follows others as it did the last time is one byte,
//! always the same. What is left of a time is how much later it is than at that place the last time, of a counter how
//! much it grew, and of bytes that were read what changed since they were last read. Most of that is zeros, which the
//! compression makes next to nothing of.

use std::collections::HashMap;
use std::time::Duration;

use super::bytes::{Taken, put, put_difference, put_text};
use super::shadow::{Shadow, range, region};
use super::{MOST_CHUNK, RecordingError};
use crate::region::Region;
use crate::source::{CoreStatus, Counters, Description, Reach, ReadError};

/// Bytes that the reads of one refresh may have: several times what a sampler reads.
const MOST_READ: u64 = 8 << 20;
/// Calls of one refresh at most.
const MOST_CALLS: usize = 1 << 19;
/// The latest time that is believed, in microseconds: 35 years after the attach. What adds to it still fits.
const MOST_TIME: u64 = 1 << 50;
/// Unchanged bytes in a row that end a run of changed ones: fewer cost more to leave out than to repeat.
const ENDS_A_RUN: usize = 3;

/// One question to a source, with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A read; the answer has as many bytes as the range.
    Read(Region, Result<Vec<u8>, ReadError>),
    /// What the core does.
    Status(Result<CoreStatus, ReadError>),
    /// A try to get the link back.
    Reopen(Result<(), ReadError>),
    /// The time, to the microsecond.
    Now(Duration),
    /// What the source knows of itself.
    Describe(Description),
    /// What it has done.
    Counters(Counters),
}

const READ: u8 = 0;
const READ_FAILED: u8 = 1;
const RUNNING: u8 = 2;
const WAS_RESET: u8 = 3;
const LOCKED_UP: u8 = 4;
const HALTED: u8 = 5;
const STATUS_FAILED: u8 = 6;
const REOPENED: u8 = 7;
const REOPEN_FAILED: u8 = 8;
const NOW: u8 = 9;
const DESCRIBE_SAME: u8 = 10;
const DESCRIBE: u8 = 11;
const COUNTERS: u8 = 12;
/// The question that came after the last two the last time.
const AS_BEFORE: u8 = 13;
/// The question that came after the last one the last time.
const AS_AFTER_ONE: u8 = 14;

/// Questions whose followers are remembered at most; then all are forgotten, on both sides.
const MOST_HABITS: usize = 1 << 16;

/// A question without its answer; a range where there is one.
type Question = (u8, Region);

/// What came after two questions the last time, and how much time had passed when it was a question for the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Habit {
    next: Question,
    took: u64,
}

/// What a sampler uses to ask next.
#[derive(Clone, Debug, Default)]
struct Habits {
    after_two: HashMap<[Question; 2], Habit>,
    after_one: HashMap<Question, Question>,
    last: [Question; 2],
}

impl Habits {
    fn expected(&self) -> Habit {
        self.after_two.get(&self.last).copied().unwrap_or_default()
    }

    fn expected_after_one(&self) -> Question {
        self.after_one.get(&self.last[1]).copied().unwrap_or_default()
    }

    /// Where a read that nobody expected is counted from: the end of the last one.
    fn end(&self) -> u64 {
        let last = self.last.iter().rev().map(|(_, range)| *range).find(|range| !range.is_empty());
        last.unwrap_or_default().end()
    }

    fn note(&mut self, next: Question, took: u64) {
        if self.after_two.len() >= MOST_HABITS {
            self.after_two.clear();
            self.after_one.clear();
        }
        self.after_two.insert(self.last, Habit { next, took });
        self.after_one.insert(self.last[1], next);
        self.last = [self.last[1], next];
    }
}

/// All that later answers are stored as differences from.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// What was read.
    pub shadow: Shadow,
    /// The last time that was told.
    pub now: Duration,
    /// The last description.
    pub description: Description,
    /// The last counters.
    pub counters: Counters,
    /// What is asked after what, since the last keyframe.
    habits: Habits,
}

impl Context {
    /// Appends all of it, for a keyframe, and forgets what need not be known there.
    pub(super) fn put(&mut self, into: &mut Vec<u8>) {
        self.habits = Habits::default();
        put(into, micros(self.now));
        put_description(into, &self.description);
        put_counters(into, &Counters::default(), &self.counters);
        self.shadow.put(into);
    }

    /// What [`Context::put`] appended.
    pub(super) fn take(from: &mut Taken<'_>) -> Result<Self, RecordingError> {
        Ok(Self {
            now: time(from.number()?)?,
            description: take_description(from)?,
            counters: take_counters(from, &Counters::default())?,
            shadow: Shadow::take(from)?,
            habits: Habits::default(),
        })
    }

    /// Takes an answer for what the next ones are compared with.
    pub(crate) fn note(&mut self, call: &Call) {
        match call {
            Call::Read(range, Ok(bytes)) => self.shadow.note(*range, bytes),
            Call::Now(now) => self.now = *now,
            Call::Describe(description) => self.description.clone_from(description),
            Call::Counters(counters) => self.counters = *counters,
            Call::Read(_, Err(_)) | Call::Status(_) | Call::Reopen(_) => {}
        }
    }
}

/// The calls of a refresh as they are packed one by one.
#[derive(Debug, Default)]
pub(super) struct Packed {
    questions: Vec<u8>,
    times: Vec<u8>,
    answers: Vec<u8>,
}

impl Packed {
    /// Appends a call, and notes its answer.
    pub(super) fn push(&mut self, call: &Call, context: &mut Context) {
        let expected = context.habits.expected();
        let question = question(call, context);
        if question == expected.next {
            self.questions.push(AS_BEFORE);
        } else if question == context.habits.expected_after_one() {
            self.questions.push(AS_AFTER_ONE);
        } else {
            self.questions.push(question.0);
            if let Call::Read(range, _) = call {
                put_difference(&mut self.questions, context.habits.end(), range.start().into());
                put(&mut self.questions, range.size().into());
            }
        }
        let mut took = 0;
        match call {
            Call::Read(range, Ok(bytes)) => put_changes(&mut self.answers, &context.shadow.bytes(*range), bytes),
            Call::Read(_, Err(error)) | Call::Status(Err(error)) | Call::Reopen(Err(error)) => {
                put_error(&mut self.answers, error);
            }
            Call::Status(Ok(_)) | Call::Reopen(Ok(())) => {}
            Call::Now(now) => {
                took = micros(*now).wrapping_sub(micros(context.now));
                put_difference(&mut self.times, expected.took, took);
            }
            Call::Describe(description) => {
                if question.0 == DESCRIBE {
                    put_description(&mut self.answers, description);
                }
            }
            Call::Counters(counters) => put_counters(&mut self.answers, &context.counters, counters),
        }
        context.habits.note(question, took);
        context.note(call);
    }

    /// Whether nothing was pushed.
    pub(super) fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    /// All of it in one piece; begins anew.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.questions.len() + self.times.len() + self.answers.len() + 8);
        put(&mut whole, self.questions.len() as u64);
        whole.append(&mut self.questions);
        put(&mut whole, self.times.len() as u64);
        whole.append(&mut self.times);
        whole.append(&mut self.answers);
        whole
    }
}

/// What a call asks. An answer that says more than its kind is part of that.
fn question(call: &Call, context: &Context) -> Question {
    let nowhere = Region::default();
    match call {
        Call::Read(range, Ok(_)) => (READ, *range),
        Call::Read(range, Err(_)) => (READ_FAILED, *range),
        Call::Status(Ok(CoreStatus::Running)) => (RUNNING, nowhere),
        Call::Status(Ok(CoreStatus::WasReset)) => (WAS_RESET, nowhere),
        Call::Status(Ok(CoreStatus::LockedUp)) => (LOCKED_UP, nowhere),
        Call::Status(Ok(CoreStatus::Halted)) => (HALTED, nowhere),
        Call::Status(Err(_)) => (STATUS_FAILED, nowhere),
        Call::Reopen(Ok(())) => (REOPENED, nowhere),
        Call::Reopen(Err(_)) => (REOPEN_FAILED, nowhere),
        Call::Now(_) => (NOW, nowhere),
        Call::Describe(description) if *description == context.description => (DESCRIBE_SAME, nowhere),
        Call::Describe(_) => (DESCRIBE, nowhere),
        Call::Counters(_) => (COUNTERS, nowhere),
    }
}

/// The calls of a packed refresh. Their answers are noted.
pub(super) fn unpack(packed: &[u8], context: &mut Context) -> Result<Vec<Call>, RecordingError> {
    let mut answers = Taken(packed);
    let count = answers.count()?;
    let mut questions = Taken(answers.bytes(count)?);
    let count = answers.count()?;
    let mut times = Taken(answers.bytes(count)?);
    let (mut calls, mut read) = (Vec::new(), 0);
    while !questions.0.is_empty() {
        let expected = context.habits.expected();
        let question = match questions.byte()? {
            AS_BEFORE => expected.next,
            AS_AFTER_ONE => context.habits.expected_after_one(),
            kind @ (READ | READ_FAILED) => {
                let start = questions.difference(context.habits.end())?;
                (kind, region(start, questions.word()?)?)
            }
            kind => (kind, Region::default()),
        };
        read += u64::from(question.1.size());
        if read > MOST_READ || calls.len() == MOST_CALLS {
            return Err(RecordingError::Damaged("a refresh asks more than any sampler does"));
        }
        let mut took = 0;
        let call = match question {
            (READ, range) => Call::Read(range, Ok(take_changes(&mut answers, context.shadow.bytes(range))?)),
            (READ_FAILED, range) => Call::Read(range, Err(take_error(&mut answers)?)),
            (RUNNING, _) => Call::Status(Ok(CoreStatus::Running)),
            (WAS_RESET, _) => Call::Status(Ok(CoreStatus::WasReset)),
            (LOCKED_UP, _) => Call::Status(Ok(CoreStatus::LockedUp)),
            (HALTED, _) => Call::Status(Ok(CoreStatus::Halted)),
            (STATUS_FAILED, _) => Call::Status(Err(take_error(&mut answers)?)),
            (REOPENED, _) => Call::Reopen(Ok(())),
            (REOPEN_FAILED, _) => Call::Reopen(Err(take_error(&mut answers)?)),
            (NOW, _) => {
                took = times.difference(expected.took)?;
                Call::Now(time(micros(context.now).wrapping_add(took))?)
            }
            (DESCRIBE_SAME, _) => Call::Describe(context.description.clone()),
            (DESCRIBE, _) => Call::Describe(take_description(&mut answers)?),
            (COUNTERS, _) => Call::Counters(take_counters(&mut answers, &context.counters)?),
            _ => return Err(RecordingError::Damaged("it has a call that there is not")),
        };
        context.habits.note(question, took);
        context.note(&call);
        calls.push(call);
    }
    Ok(calls)
}

/// Whether so much can be read again.
pub(super) fn fits(packed: &[u8]) -> bool {
    packed.len() < MOST_CHUNK / 2
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn time(micros: u64) -> Result<Duration, RecordingError> {
    match micros {
        0..=MOST_TIME => Ok(Duration::from_micros(micros)),
        _ => Err(RecordingError::Damaged("a time lies too far ahead")),
    }
}

fn put_range(into: &mut Vec<u8>, range: Region) {
    put(into, range.start().into());
    put(into, range.size().into());
}

/// What changed: so many bytes that did not, so many that did, by how much (counters grow evenly), and again. Nothing at all is a zero, and what
/// else comes first is a flag that something did.
fn put_changes(into: &mut Vec<u8>, before: &[u8], after: &[u8]) {
    let same = |at: usize| before.get(at) == after.get(at);
    if (0..after.len()).all(same) {
        return into.push(0);
    }
    into.push(1);
    let mut at = 0;
    while at < after.len() {
        let start = at;
        while at < after.len() && same(at) {
            at += 1;
        }
        put(into, (at - start) as u64);
        if at == after.len() {
            break;
        }
        let start = at;
        while at < after.len() && !(at..(at + ENDS_A_RUN).min(after.len())).all(same) {
            at += 1;
        }
        put(into, (at - start) as u64);
        into.extend((start..at).map(|at| after[at].wrapping_sub(before.get(at).copied().unwrap_or(0))));
    }
}

fn take_changes(from: &mut Taken<'_>, mut bytes: Vec<u8>) -> Result<Vec<u8>, RecordingError> {
    let mut at = match from.byte()? {
        0 => bytes.len(),
        _ => 0,
    };
    while at < bytes.len() {
        at = at.checked_add(from.count()?).filter(|at| *at <= bytes.len()).ok_or_else(past_end)?;
        if at == bytes.len() {
            break;
        }
        let changed = from.count()?;
        if changed == 0 {
            return Err(RecordingError::Damaged("a change has no bytes"));
        }
        let end = at.checked_add(changed).filter(|end| *end <= bytes.len()).ok_or_else(past_end)?;
        for (byte, by) in bytes[at..end].iter_mut().zip(from.bytes(changed)?) {
            *byte = byte.wrapping_add(*by);
        }
        at = end;
    }
    Ok(bytes)
}

fn past_end() -> RecordingError {
    RecordingError::Damaged("a read has more bytes than its range")
}

fn put_error(into: &mut Vec<u8>, error: &ReadError) {
    match error {
        ReadError::Unreadable { range, why } => {
            into.push(0);
            put_range(into, *range);
            put_text(into, why);
        }
        ReadError::Busy(why) => {
            into.push(1);
            put_text(into, why);
        }
        ReadError::Gone(why) => {
            into.push(2);
            put_text(into, why);
        }
        ReadError::Refused(why) => {
            into.push(3);
            put_text(into, why);
        }
    }
}

fn take_error(from: &mut Taken<'_>) -> Result<ReadError, RecordingError> {
    Ok(match from.byte()? {
        0 => ReadError::Unreadable { range: range(from)?, why: from.text()? },
        1 => ReadError::Busy(from.text()?),
        2 => ReadError::Gone(from.text()?),
        3 => ReadError::Refused(from.text()?),
        _ => return Err(RecordingError::Damaged("it has an error that there is not")),
    })
}

fn put_description(into: &mut Vec<u8>, description: &Description) {
    let Description { source, chip, core, packet_words, reach, is_saved } = description;
    put_text(into, source);
    for text in [chip, core] {
        into.push(u8::from(text.is_some()));
        put_text(into, text.as_deref().unwrap_or_default());
    }
    put(into, packet_words.map_or(0, |words| u64::from(words) + 1));
    let reach = match reach {
        Reach::Probe => 0,
        Reach::Server => 1,
        Reach::Emulator => 2,
    };
    into.push(u8::from(*is_saved) | reach << 1);
}

fn take_description(from: &mut Taken<'_>) -> Result<Description, RecordingError> {
    fn maybe(from: &mut Taken<'_>) -> Result<Option<String>, RecordingError> {
        let there = from.byte()? != 0;
        let text = from.text()?;
        Ok(there.then_some(text))
    }
    let (source, chip, core) = (from.text()?, maybe(from)?, maybe(from)?);
    let packet_words = from.word()?.checked_sub(1);
    let kind = from.byte()?;
    let reach = match kind >> 1 {
        0 => Reach::Probe,
        1 => Reach::Server,
        2 => Reach::Emulator,
        _ => return Err(RecordingError::Damaged("its memory is reached in a way that there is not")),
    };
    Ok(Description { source, chip, core, packet_words, reach, is_saved: kind & 1 != 0 })
}

/// One bit for each counter that there is, then their differences.
fn put_counters(into: &mut Vec<u8>, before: &Counters, after: &Counters) {
    let (before, after) = (maybe_counters(before), maybe_counters(after));
    into.push(after.iter().rev().fold(0, |bits, counter| bits << 1 | u8::from(counter.is_some())));
    for (before, after) in before.iter().zip(after) {
        if let Some(after) = after {
            put_difference(into, before.unwrap_or(0), after);
        }
    }
}

fn take_counters(from: &mut Taken<'_>, before: &Counters) -> Result<Counters, RecordingError> {
    let bits = from.byte()?;
    let mut counters = maybe_counters(before);
    for (index, counter) in counters.iter_mut().enumerate() {
        *counter = match bits >> index & 1 {
            0 => None,
            _ => Some(from.difference(counter.unwrap_or(0))?),
        };
    }
    let [bytes, transactions, usb_commands, halts, writes] = counters;
    Ok(Counters { bytes: bytes.unwrap_or(0), transactions, usb_commands, halts, writes })
}

fn maybe_counters(counters: &Counters) -> [Option<u64>; 5] {
    [Some(counters.bytes), counters.transactions, counters.usb_commands, counters.halts, counters.writes]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error() -> impl Strategy<Value = ReadError> {
        let range = (any::<u32>(), 0u32..100).prop_map(|(start, size)| Region::new(start, size));
        prop_oneof![
            (range, any::<String>()).prop_map(|(range, why)| ReadError::Unreadable { range, why }),
            any::<String>().prop_map(ReadError::Busy),
            any::<String>().prop_map(ReadError::Gone),
            any::<String>().prop_map(ReadError::Refused),
        ]
    }

    fn call() -> impl Strategy<Value = Call> {
        let read = (0u32..300, prop::collection::vec(0u8..3, 0..40))
            .prop_map(|(start, bytes)| Call::Read(Region::new(start, bytes.len() as u32), Ok(bytes)));
        let status = prop_oneof![
            Just(CoreStatus::Running),
            Just(CoreStatus::WasReset),
            Just(CoreStatus::LockedUp),
            Just(CoreStatus::Halted)
        ];
        let maybe = || prop::option::of(any::<u64>());
        let reach = prop_oneof![Just(Reach::Probe), Just(Reach::Server), Just(Reach::Emulator)];
        prop_oneof![
            read,
            error().prop_map(|error| Call::Read(Region::new(8, 4), Err(error))),
            status.prop_map(|status| Call::Status(Ok(status))),
            error().prop_map(|error| Call::Status(Err(error))),
            Just(Call::Reopen(Ok(()))),
            error().prop_map(|error| Call::Reopen(Err(error))),
            (0..=MOST_TIME).prop_map(|time| Call::Now(Duration::from_micros(time))),
            (any::<String>(), prop::option::of(any::<String>()), prop::option::of(0u32..1000), any::<bool>(), reach)
                .prop_map(|(source, chip, packet_words, is_saved, reach)| {
                    Call::Describe(Description { source, core: chip.clone(), chip, packet_words, reach, is_saved })
                }),
            (any::<u64>(), maybe(), maybe(), maybe(), maybe()).prop_map(
                |(bytes, transactions, usb_commands, halts, writes)| {
                    Call::Counters(Counters { bytes, transactions, usb_commands, halts, writes })
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(calls in prop::collection::vec(call(), 0..40)) {
            let (mut packing, mut packed) = (Context::default(), Packed::default());
            for call in &calls {
                packed.push(call, &mut packing);
            }
            let whole = packed.finish();
            prop_assert!(packed.is_empty() && fits(&whole));
            let mut unpacking = Context::default();
            prop_assert_eq!(unpack(&whole, &mut unpacking).unwrap(), calls);
            // A keyframe takes all of it along.
            let mut stored = Vec::new();
            unpacking.put(&mut stored);
            let again = Context::take(&mut Taken(&stored)).unwrap();
            prop_assert_eq!((again.now, &again.description, again.counters), (packing.now, &packing.description, packing.counters));
            let all = Region::new(0, 400);
            prop_assert_eq!(again.shadow.bytes(all), packing.shadow.bytes(all));
        }

        #[test]
        fn what_did_not_change_takes_one_byte(bytes in prop::collection::vec(any::<u8>(), 1..1000)) {
            let mut stored = Vec::new();
            put_changes(&mut stored, &bytes, &bytes);
            prop_assert_eq!(stored, [0]);
        }

        #[test]
        fn damage_is_an_error(bytes: Vec<u8>) {
            let _ = unpack(&bytes, &mut Context::default());
            let _ = Context::take(&mut Taken(&bytes));
        }
    }
}
