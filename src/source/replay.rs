//! A recording as a source. A sampler that asks what was asked then, in that order, gets the answers of then. One that
//! asks for something else (another stack word by word, or a recording that began in the middle) gets what was last
//! read there.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use super::{CoreStatus, Counters, Depth, Description, ReadError, Source};
use crate::recording::RecordingError;
use crate::recording::calls::Call;
use crate::recording::reader::{Recording, Tape};
use crate::region::Region;

/// Plays a recording, one refresh after the other.
#[derive(Debug)]
pub struct Replay {
    tape: Tape,
    playing: RefCell<Playing>,
    /// Why the tape goes no further.
    broken: Option<String>,
}

/// What is left of the refresh that is being played.
#[derive(Debug, Default)]
struct Playing {
    calls: VecDeque<Call>,
    now: Duration,
    description: Description,
    counters: Counters,
    /// A reset that nobody asked for yet: the core's own flag stays, too.
    was_reset: bool,
}

impl Playing {
    /// Takes the next call away, and what it tells.
    fn take(&mut self) -> Option<Call> {
        let call = self.calls.pop_front()?;
        match &call {
            // A file can say anything, but no clock goes back.
            Call::Now(now) => self.now = self.now.max(*now),
            Call::Describe(description) => self.description.clone_from(description),
            Call::Counters(counters) => self.counters = *counters,
            Call::Status(Ok(CoreStatus::WasReset)) => self.was_reset = true,
            Call::Read(..) | Call::Status(_) | Call::Reopen(_) => {}
        }
        Some(call)
    }

    /// Takes the next call when it is the one that is looked for, else nothing.
    fn take_next(&mut self, wanted: impl Fn(&Call) -> bool) -> Option<Call> {
        if self.calls.front().is_some_and(wanted) { self.take() } else { None }
    }

    /// Takes all calls up to the one that is looked for; none when it is not there.
    fn take_until(&mut self, wanted: impl Fn(&Call) -> bool) -> Option<Call> {
        let skipped = self.calls.iter().position(wanted)?;
        for _ in 0..skipped {
            self.take();
        }
        self.take()
    }

    /// Takes all that is left.
    fn finish(&mut self) {
        while self.take().is_some() {}
    }
}

impl Replay {
    /// Plays from the attach on.
    ///
    /// # Errors
    ///
    /// The recording cannot be read.
    pub fn from_start(recording: &Recording) -> Result<Self, RecordingError> {
        let replay = Self::at(recording, 0)?;
        let calls: VecDeque<Call> = recording.opening()?.into();
        if calls.is_empty() {
            return Ok(replay);
        }
        // What the first keyframe knows is later than the attach.
        Ok(Self { playing: RefCell::new(Playing { calls, ..Playing::default() }), ..replay })
    }

    /// Plays from the last keyframe at or before a refresh on.
    ///
    /// # Errors
    ///
    /// The recording cannot be read.
    pub fn at(recording: &Recording, refresh: u64) -> Result<Self, RecordingError> {
        let tape = recording.tape(refresh)?;
        let known = tape.context();
        let playing = Playing {
            now: known.now,
            description: known.description.clone(),
            counters: known.counters,
            ..Playing::default()
        };
        Ok(Self { playing: RefCell::new(playing), tape, broken: None })
    }
}

impl Source for Replay {
    fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
        if let Some(why) = &self.broken {
            return Err(ReadError::Gone(why.clone()));
        }
        let recorded = self.playing.get_mut().take_until(|call| matches!(call, Call::Read(read, _) if *read == range));
        let bytes = match recorded {
            Some(Call::Read(_, answer)) => answer?,
            _ => {
                let known = self.tape.context().shadow.known(range);
                known.ok_or_else(|| ReadError::Unreadable { range, why: "it was not recorded".into() })?
            }
        };
        if bytes.len() == into.len() {
            into.copy_from_slice(&bytes);
        }
        Ok(())
    }

    fn status(&mut self) -> Result<CoreStatus, ReadError> {
        let playing = self.playing.get_mut();
        let answer = match playing.take_until(|call| matches!(call, Call::Status(_))) {
            Some(Call::Status(answer)) => answer,
            _ => Ok(CoreStatus::Running),
        };
        if std::mem::take(&mut playing.was_reset) { Ok(CoreStatus::WasReset) } else { answer }
    }

    fn reopen(&mut self) -> Result<(), ReadError> {
        if let Some(why) = &self.broken {
            return Err(ReadError::Gone(why.clone()));
        }
        match self.playing.get_mut().take_next(|call| matches!(call, Call::Reopen(_))) {
            Some(Call::Reopen(answer)) => answer,
            _ => Ok(()),
        }
    }

    fn now(&self) -> Duration {
        let mut playing = self.playing.borrow_mut();
        playing.take_next(|call| matches!(call, Call::Now(_)));
        playing.now
    }

    /// Time passes from refresh to refresh only: how fast is the player's business.
    fn wait(&mut self, _time: Duration) {}

    fn refreshing(&mut self, _depth: Depth) {
        let playing = self.playing.get_mut();
        playing.finish();
        match self.tape.next() {
            Ok(calls) => playing.calls = calls.unwrap_or_default().into(),
            Err(error) => self.broken = Some(format!("the recording {error}")),
        }
    }

    fn refreshed(&mut self) {
        self.playing.get_mut().finish();
    }

    fn describe(&self) -> Description {
        let mut playing = self.playing.borrow_mut();
        playing.take_next(|call| matches!(call, Call::Describe(_)));
        playing.description.clone()
    }

    fn counters(&self) -> Counters {
        let mut playing = self.playing.borrow_mut();
        playing.take_next(|call| matches!(call, Call::Counters(_)));
        playing.counters
    }
}
