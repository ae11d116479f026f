//! What a sampler asked a source in one refresh, and the answers.
//!
//! Packed, the questions come first and the numbers in the answers after them: from one refresh to the next the
//! questions hardly differ, which the compression makes next to nothing of. Times and counters are stored as
//! differences, bytes that were read as what changed since they were last read.

use std::time::Duration;

use super::bytes::{Taken, put, put_difference, put_text};
use super::shadow::{Shadow, range};
use super::{MOST_CHUNK, RecordingError};
use crate::region::Region;
use crate::source::{CoreStatus, Counters, Description, ReadError};

/// Bytes that the reads of one refresh may have: several times what a sampler reads.
const MOST_READ: u64 = 32 << 20;
/// Calls of one refresh at most.
const MOST_CALLS: usize = 1 << 19;
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
}

impl Context {
    /// Appends all of it, for a keyframe.
    pub(super) fn put(&self, into: &mut Vec<u8>) {
        put(into, micros(self.now));
        put_description(into, &self.description);
        put_counters(into, &Counters::default(), &self.counters);
        self.shadow.put(into);
    }

    /// What [`Context::put`] appended.
    pub(super) fn take(from: &mut Taken<'_>) -> Result<Self, RecordingError> {
        Ok(Self {
            now: Duration::from_micros(from.number()?),
            description: take_description(from)?,
            counters: take_counters(from, &Counters::default())?,
            shadow: Shadow::take(from)?,
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
    answers: Vec<u8>,
}

impl Packed {
    /// Appends a call, and notes its answer.
    pub(super) fn push(&mut self, call: &Call, context: &mut Context) {
        let questions = &mut self.questions;
        match call {
            Call::Read(range, Ok(bytes)) => {
                questions.push(READ);
                put_range(questions, *range);
                put_changes(&mut self.answers, &context.shadow.bytes(*range), bytes);
            }
            Call::Read(range, Err(error)) => {
                questions.push(READ_FAILED);
                put_range(questions, *range);
                put_error(questions, error);
            }
            Call::Status(Ok(status)) => questions.push(match status {
                CoreStatus::Running => RUNNING,
                CoreStatus::WasReset => WAS_RESET,
                CoreStatus::LockedUp => LOCKED_UP,
                CoreStatus::Halted => HALTED,
            }),
            Call::Status(Err(error)) => {
                questions.push(STATUS_FAILED);
                put_error(questions, error);
            }
            Call::Reopen(Ok(())) => questions.push(REOPENED),
            Call::Reopen(Err(error)) => {
                questions.push(REOPEN_FAILED);
                put_error(questions, error);
            }
            Call::Now(now) => {
                questions.push(NOW);
                put_difference(&mut self.answers, micros(context.now), micros(*now));
            }
            Call::Describe(description) if *description == context.description => questions.push(DESCRIBE_SAME),
            Call::Describe(description) => {
                questions.push(DESCRIBE);
                put_description(questions, description);
            }
            Call::Counters(counters) => {
                questions.push(COUNTERS);
                put_counters(&mut self.answers, &context.counters, counters);
            }
        }
        context.note(call);
    }

    /// Whether nothing was pushed.
    pub(super) fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    /// All of it in one piece; begins anew.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.questions.len() + self.answers.len() + 4);
        put(&mut whole, self.questions.len() as u64);
        whole.append(&mut self.questions);
        whole.append(&mut self.answers);
        whole
    }
}

/// The calls of a packed refresh. Their answers are noted.
pub(super) fn unpack(packed: &[u8], context: &mut Context) -> Result<Vec<Call>, RecordingError> {
    let mut answers = Taken(packed);
    let count = answers.count()?;
    let mut questions = Taken(answers.bytes(count)?);
    let (mut calls, mut read) = (Vec::new(), 0);
    while !questions.0.is_empty() {
        let call = match questions.byte()? {
            READ => {
                let range = range(&mut questions)?;
                read += u64::from(range.size());
                if read > MOST_READ {
                    return Err(RecordingError::Damaged("a refresh reads more than any sampler does"));
                }
                Call::Read(range, Ok(take_changes(&mut answers, context.shadow.bytes(range))?))
            }
            READ_FAILED => Call::Read(range(&mut questions)?, Err(take_error(&mut questions)?)),
            RUNNING => Call::Status(Ok(CoreStatus::Running)),
            WAS_RESET => Call::Status(Ok(CoreStatus::WasReset)),
            LOCKED_UP => Call::Status(Ok(CoreStatus::LockedUp)),
            HALTED => Call::Status(Ok(CoreStatus::Halted)),
            STATUS_FAILED => Call::Status(Err(take_error(&mut questions)?)),
            REOPENED => Call::Reopen(Ok(())),
            REOPEN_FAILED => Call::Reopen(Err(take_error(&mut questions)?)),
            NOW => Call::Now(Duration::from_micros(answers.difference(micros(context.now))?)),
            DESCRIBE_SAME => Call::Describe(context.description.clone()),
            DESCRIBE => Call::Describe(take_description(&mut questions)?),
            COUNTERS => Call::Counters(take_counters(&mut answers, &context.counters)?),
            _ => return Err(RecordingError::Damaged("it has a call that there is not")),
        };
        if calls.len() == MOST_CALLS {
            return Err(RecordingError::Damaged("a refresh asks more than any sampler does"));
        }
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

fn put_range(into: &mut Vec<u8>, range: Region) {
    put(into, range.start().into());
    put(into, range.size().into());
}

/// What changed: so many bytes that did not, so many that did, those, and again.
fn put_changes(into: &mut Vec<u8>, before: &[u8], after: &[u8]) {
    let same = |at: usize| before.get(at) == after.get(at);
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
        into.extend(&after[start..at]);
    }
}

fn take_changes(from: &mut Taken<'_>, mut bytes: Vec<u8>) -> Result<Vec<u8>, RecordingError> {
    let mut at = 0usize;
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
        bytes[at..end].copy_from_slice(from.bytes(changed)?);
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
    }
}

fn take_error(from: &mut Taken<'_>) -> Result<ReadError, RecordingError> {
    Ok(match from.byte()? {
        0 => ReadError::Unreadable { range: range(from)?, why: from.text()? },
        1 => ReadError::Busy(from.text()?),
        2 => ReadError::Gone(from.text()?),
        _ => return Err(RecordingError::Damaged("it has an error that there is not")),
    })
}

fn put_description(into: &mut Vec<u8>, description: &Description) {
    let Description { source, chip, core, packet_words, is_saved } = description;
    put_text(into, source);
    for text in [chip, core] {
        into.push(u8::from(text.is_some()));
        put_text(into, text.as_deref().unwrap_or_default());
    }
    put(into, packet_words.map_or(0, |words| u64::from(words) + 1));
    into.push(u8::from(*is_saved));
}

fn take_description(from: &mut Taken<'_>) -> Result<Description, RecordingError> {
    fn maybe(from: &mut Taken<'_>) -> Result<Option<String>, RecordingError> {
        let there = from.byte()? != 0;
        let text = from.text()?;
        Ok(there.then_some(text))
    }
    Ok(Description {
        source: from.text()?,
        chip: maybe(from)?,
        core: maybe(from)?,
        packet_words: from.word()?.checked_sub(1),
        is_saved: from.byte()? != 0,
    })
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
        prop_oneof![
            read,
            error().prop_map(|error| Call::Read(Region::new(8, 4), Err(error))),
            status.prop_map(|status| Call::Status(Ok(status))),
            error().prop_map(|error| Call::Status(Err(error))),
            Just(Call::Reopen(Ok(()))),
            error().prop_map(|error| Call::Reopen(Err(error))),
            any::<u64>().prop_map(|time| Call::Now(Duration::from_micros(time))),
            (any::<String>(), prop::option::of(any::<String>()), prop::option::of(0u32..1000), any::<bool>()).prop_map(
                |(source, chip, packet_words, is_saved)| {
                    Call::Describe(Description { source, core: chip.clone(), chip, packet_words, is_saved })
                }
            ),
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
        fn what_did_not_change_takes_two_bytes_or_less(bytes in prop::collection::vec(any::<u8>(), 1..16_000)) {
            let mut stored = Vec::new();
            put_changes(&mut stored, &bytes, &bytes);
            prop_assert!(stored.len() <= 2);
        }

        #[test]
        fn damage_is_an_error(bytes: Vec<u8>) {
            let _ = unpack(&bytes, &mut Context::default());
            let _ = Context::take(&mut Taken(&bytes));
        }
    }
}
