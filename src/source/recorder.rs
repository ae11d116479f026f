//! A source that notes every question and its answer on the way to another source. What it passes on is unchanged, but
//! for the time, which it tells in whole microseconds, as it is stored.
//!
//! It always keeps what was read, so that a recording can begin at any moment; a [`Desk`] is where one asks for it.

use std::cell::RefCell;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{CoreStatus, Counters, Depth, Description, ReadError, Source};
use crate::recording::calls::{Call, Context};
use crate::recording::writer::{Head, Writer};
use crate::region::Region;

/// What becomes of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is recorded.
    #[default]
    Off,
    /// It is asked for, and begins with the next refresh.
    Beginning,
    /// It is written.
    On {
        /// Where.
        file: PathBuf,
        /// Bytes so far.
        bytes: u64,
    },
    /// It is complete.
    Done {
        /// Where.
        file: PathBuf,
        /// Bytes.
        bytes: u64,
    },
    /// It ended because it could not be written; what was written before that replays.
    Failed {
        /// Where.
        file: PathBuf,
        /// What the system said.
        why: String,
    },
}

/// What is asked of the recorder.
#[derive(Debug)]
enum Order {
    Begin(PathBuf, File, Head),
    End,
}

/// Where recordings are begun and ended, from another thread.
#[derive(Clone, Debug, Default)]
pub struct Desk(Arc<Mutex<Slip>>);

/// What lies on the desk.
#[derive(Debug, Default)]
struct Slip {
    order: Option<Order>,
    progress: Progress,
    closed: bool,
}

impl Desk {
    /// Asks for a recording into this file.
    pub fn begin(&self, path: PathBuf, file: File, head: Head) {
        let mut slip = self.slip();
        slip.order = Some(Order::Begin(path, file, head));
        slip.progress = Progress::Beginning;
    }

    /// Says that a recording is going to be asked for.
    pub fn announce(&self) {
        self.tell(Progress::Beginning);
    }

    /// Says that a recording cannot begin, or ended.
    pub fn fail(&self, file: PathBuf, why: String) {
        self.tell(Progress::Failed { file, why });
    }

    /// Asks for the end of the recording.
    pub fn end(&self) {
        self.slip().order = Some(Order::End);
    }

    /// Asks for the end of the recording, and for no other: what a recording begins with is not true any more.
    pub fn close(&self) {
        let mut slip = self.slip();
        slip.order = Some(Order::End);
        slip.closed = true;
    }

    /// Whether no further recording can be made.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.slip().closed
    }

    /// What became of it.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.slip().progress.clone()
    }

    fn take(&self) -> Option<Order> {
        self.slip().order.take()
    }

    fn tell(&self, progress: Progress) {
        self.slip().progress = progress;
    }

    fn slip(&self) -> MutexGuard<'_, Slip> {
        // Nothing on it is ever half done, so that a thread that panicked left it sound.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Desk {
    /// Two handles are equal when they tell the same.
    fn eq(&self, other: &Self) -> bool {
        self.progress() == other.progress()
    }
}

impl Eq for Desk {}

/// Passes everything on, and notes it while somebody wants it noted.
#[derive(Debug)]
pub struct Recorder<S> {
    source: S,
    desk: Desk,
    log: RefCell<Log>,
}

/// What is known, and where it is written to. A question that changes nothing is answered through a shared reference,
/// and noted all the same.
#[derive(Debug, Default)]
struct Log {
    /// What is known while nothing is written; then the writer knows it.
    idle: Context,
    writing: Option<(PathBuf, Writer)>,
}

impl Log {
    fn note(&mut self, call: &Call) {
        match &mut self.writing {
            Some((_, writer)) => writer.call(call),
            None => self.idle.note(call),
        }
    }
}

impl<S: Source> Recorder<S> {
    /// Records when the desk is asked to.
    #[must_use]
    pub fn new(source: S, desk: Desk) -> Self {
        Self { source, desk, log: RefCell::default() }
    }

    /// Records from the first question on.
    #[must_use]
    pub fn recording(source: S, desk: Desk, file: PathBuf, writer: Writer) -> Self {
        desk.tell(Progress::On { file: file.clone(), bytes: writer.bytes() });
        let log = Log { idle: Context::default(), writing: Some((file, writer)) };
        Self { source, desk, log: RefCell::new(log) }
    }

    /// Carries out what the desk was asked for.
    fn look_at_desk(&mut self) {
        let log = self.log.get_mut();
        match self.desk.take() {
            Some(Order::Begin(path, file, head)) if log.writing.is_none() => {
                match Writer::continuing(Box::new(file), &head, log.idle.clone()) {
                    Ok(writer) => log.writing = Some((path, writer)),
                    Err(error) => self.desk.fail(path, error.to_string()),
                }
            }
            Some(Order::End) => {
                if let Some((file, writer)) = log.writing.take() {
                    self.desk.tell(Progress::Done { file, bytes: writer.bytes() });
                    log.idle = writer.into_context();
                }
            }
            Some(Order::Begin(..)) | None => {}
        }
    }

    /// Does something with the writer; when it fails, the recording ends and the run goes on.
    fn write(&mut self, work: impl FnOnce(&mut Writer) -> std::io::Result<()>) {
        let log = self.log.get_mut();
        let Some((file, mut writer)) = log.writing.take() else { return };
        match work(&mut writer) {
            Ok(()) => {
                self.desk.tell(Progress::On { file: file.clone(), bytes: writer.bytes() });
                log.writing = Some((file, writer));
            }
            Err(error) => {
                tracing::error!("the recording {} ends: {error}", file.display());
                self.desk.fail(file, error.to_string());
                log.idle = writer.into_context();
            }
        }
    }

    fn noted(&self, call: &Call) {
        self.log.borrow_mut().note(call);
    }
}

impl<S: Source> Source for Recorder<S> {
    fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
        let answer = self.source.read(range, into);
        self.noted(&Call::Read(range, answer.clone().map(|()| into.to_vec())));
        answer
    }

    fn status(&mut self) -> Result<CoreStatus, ReadError> {
        let answer = self.source.status();
        self.noted(&Call::Status(answer.clone()));
        answer
    }

    fn reopen(&mut self) -> Result<(), ReadError> {
        let answer = self.source.reopen();
        self.noted(&Call::Reopen(answer.clone()));
        answer
    }

    fn now(&self) -> Duration {
        let now = Duration::from_micros(u64::try_from(self.source.now().as_micros()).unwrap_or(u64::MAX));
        self.noted(&Call::Now(now));
        now
    }

    fn wait(&mut self, time: Duration) {
        self.source.wait(time);
    }

    fn refreshing(&mut self, depth: Depth) {
        self.look_at_desk();
        self.write(|writer| writer.refreshing(depth));
        self.source.refreshing(depth);
    }

    fn refreshed(&mut self) {
        self.source.refreshed();
        self.write(Writer::refreshed);
    }

    fn describe(&self) -> Description {
        let description = self.source.describe();
        self.noted(&Call::Describe(description.clone()));
        description
    }

    fn counters(&self) -> Counters {
        let counters = self.source.counters();
        self.noted(&Call::Counters(counters));
        counters
    }
}
