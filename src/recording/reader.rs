//! Reads a recording: what it says of itself, where its keyframes are, and its refreshes one by one.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use flate2::read::DeflateDecoder;

use super::bytes::Taken;
use super::calls::{self, Call, Context};
use super::chunk::{self, Kind, Unpacker};
use super::header::Header;
use super::{MAGIC, MOST_CHUNK, MOST_ELF, RecordingError, VERSION};
use crate::source::Depth;

/// Bytes that the refreshes after the last keyframe may have read for the time of the last one to be looked up.
const MOST_READ_AHEAD: u64 = 1 << 30;

/// A file, or bytes in this process.
pub trait Medium: Read + Seek + Send {}

impl<T: Read + Seek + Send> Medium for T {}

/// Opens the medium anew: each tape has its own place in it.
pub type Open = Arc<dyn Fn() -> io::Result<Box<dyn Medium>> + Send + Sync>;

/// A recording that was looked through once.
pub struct Recording {
    open: Open,
    header: Header,
    elf: Option<Vec<u8>>,
    opening: Option<u64>,
    keyframes: Vec<Keyframe>,
    /// The numbers of the refreshes that were thorough.
    thorough: Vec<u64>,
    refreshes: u64,
    end: Duration,
    torn: u64,
}

/// Where reading can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Keyframe {
    offset: u64,
    /// Refreshes before it.
    refreshes: u64,
    at: Duration,
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recording({}, {} refreshes)", self.header.elf.name, self.refreshes)
    }
}

impl Recording {
    /// Looks a recording through. A chunk that is cut off or damaged ends it: see [`Recording::torn`].
    ///
    /// # Errors
    ///
    /// It cannot be read, is none, is of a later version, or ends before anything was recorded.
    pub fn open(open: Open) -> Result<Self, RecordingError> {
        let mut medium = open()?;
        let length = medium.seek(SeekFrom::End(0))?;
        medium.rewind()?;
        let mut from = BufReader::new(medium);
        let mut start = Vec::new();
        from.by_ref().take(12).read_to_end(&mut start)?;
        let Some((magic, version)) = start.split_at_checked(MAGIC.len()) else {
            return Err(if MAGIC.starts_with(&start) && !start.is_empty() {
                RecordingError::NoHeader
            } else {
                RecordingError::NoRecording
            });
        };
        if magic != MAGIC {
            return Err(RecordingError::NoRecording);
        }
        let version = u32::from_le_bytes(version.try_into().map_err(|_| RecordingError::NoHeader)?);
        match version {
            0 => return Err(RecordingError::Damaged("it has a version that there is not")),
            1..=VERSION => {}
            newer => return Err(RecordingError::TooNew(newer)),
        }
        let mut recording = match chunk::next(&mut from)? {
            Some((Kind::Header, json)) => Self {
                open,
                header: Header::parse(&json)?,
                elf: None,
                opening: None,
                keyframes: Vec::new(),
                thorough: Vec::new(),
                refreshes: 0,
                end: Duration::ZERO,
                torn: 0,
            },
            _ => return Err(RecordingError::NoHeader),
        };
        let mut offset = from.stream_position()?;
        while let Some((kind, payload)) = chunk::next(&mut from)? {
            if recording.index(kind, &payload, offset).is_err() {
                break;
            }
            offset = from.stream_position()?;
        }
        recording.torn = length.saturating_sub(offset);
        recording.end = recording.find_end();
        Ok(recording)
    }

    /// Notes where a chunk is. What cannot be, ends the recording.
    fn index(&mut self, kind: Kind, payload: &[u8], offset: u64) -> Result<(), RecordingError> {
        match kind {
            Kind::Header | Kind::Unknown => {}
            Kind::Elf => {
                let mut elf = Vec::new();
                DeflateDecoder::new(payload).take(MOST_ELF + 1).read_to_end(&mut elf)?;
                self.elf = Some(elf).filter(|elf| elf.len() as u64 <= MOST_ELF);
            }
            Kind::Opening => self.opening = Some(offset),
            Kind::Keyframe => {
                let at = Duration::from_micros(Taken(payload).number()?);
                self.keyframes.push(Keyframe { offset, refreshes: self.refreshes, at });
            }
            Kind::Steady | Kind::Thorough => {
                if self.keyframes.is_empty() {
                    return Err(RecordingError::Damaged("a refresh comes before all keyframes"));
                }
                if kind == Kind::Thorough {
                    self.thorough.push(self.refreshes);
                }
                self.refreshes += 1;
            }
        }
        Ok(())
    }

    /// The time of the last refresh that can be read.
    fn find_end(&self) -> Duration {
        let Some(last) = self.keyframes.last() else { return Duration::ZERO };
        let Ok(mut tape) = self.tape(last.refreshes) else { return last.at };
        // One whose refreshes pretend to be huge is not waited for.
        let mut left = MOST_READ_AHEAD;
        while let Ok(Some(calls)) = tape.next() {
            let read = |call: &Call| if let Call::Read(range, _) = call { u64::from(range.size()) } else { 0 };
            left = left.saturating_sub(calls.iter().map(read).sum());
            if left == 0 {
                break;
            }
        }
        tape.context.now.max(last.at)
    }

    /// What it says of itself.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The ELF that is in it.
    #[must_use]
    pub fn elf(&self) -> Option<&[u8]> {
        self.elf.as_deref()
    }

    /// How many refreshes there are.
    #[must_use]
    pub fn refreshes(&self) -> u64 {
        self.refreshes
    }

    /// How a refresh read the target.
    #[must_use]
    pub fn depth(&self, refresh: u64) -> Depth {
        match self.thorough.binary_search(&refresh) {
            Ok(_) => Depth::Thorough,
            Err(_) => Depth::Steady,
        }
    }

    /// When the last refresh was, since the attach.
    #[must_use]
    pub fn end(&self) -> Duration {
        self.end
    }

    /// Bytes at the end that are no whole chunk.
    #[must_use]
    pub fn torn(&self) -> u64 {
        self.torn
    }

    /// The number of the last keyframe's refresh at or before `refresh`.
    #[must_use]
    pub fn keyframe_before(&self, refresh: u64) -> u64 {
        self.keyframe(refresh).map_or(0, |keyframe| keyframe.refreshes)
    }

    /// The number of the first refresh after the last keyframe that was written at or before `at`.
    #[must_use]
    pub fn keyframe_at(&self, at: Duration) -> u64 {
        let after = self.keyframes.partition_point(|keyframe| keyframe.at <= at);
        self.keyframes.get(after.saturating_sub(1)).map_or(0, |keyframe| keyframe.refreshes)
    }

    fn keyframe(&self, refresh: u64) -> Option<&Keyframe> {
        let after = self.keyframes.partition_point(|keyframe| keyframe.refreshes <= refresh);
        self.keyframes.get(after.checked_sub(1)?)
    }

    /// What was asked before the first refresh; nothing when the recording began in the middle of a run.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is damaged.
    pub fn opening(&self) -> Result<Vec<Call>, RecordingError> {
        let Some(offset) = self.opening else { return Ok(Vec::new()) };
        let mut medium = (self.open)()?;
        medium.seek(SeekFrom::Start(offset))?;
        match chunk::next(&mut BufReader::new(medium))? {
            Some((Kind::Opening, payload)) => {
                calls::unpack(&Unpacker::new().unpack(&payload, MOST_CHUNK)?, &mut Context::default())
            }
            _ => Err(changed()),
        }
    }

    /// A tape whose next refresh is that of the last keyframe at or before `refresh`.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is damaged.
    pub fn tape(&self, refresh: u64) -> Result<Tape, RecordingError> {
        let Some(keyframe) = self.keyframe(refresh) else {
            return Ok(Tape { from: None, left: 0, unpacker: Unpacker::new(), context: Context::default() });
        };
        let mut medium = (self.open)()?;
        medium.seek(SeekFrom::Start(keyframe.offset))?;
        let mut tape = Tape {
            from: Some(BufReader::new(medium)),
            left: self.refreshes - keyframe.refreshes,
            unpacker: Unpacker::new(),
            context: Context::default(),
        };
        match tape.chunk()? {
            Some((Kind::Keyframe, payload)) => tape.begin(&payload)?,
            _ => return Err(changed()),
        }
        Ok(tape)
    }
}

fn changed() -> RecordingError {
    RecordingError::Damaged("it changed while it was read")
}

/// Goes through the refreshes of a recording.
pub struct Tape {
    from: Option<BufReader<Box<dyn Medium>>>,
    left: u64,
    unpacker: Unpacker,
    context: Context,
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tape({} refreshes left)", self.left)
    }
}

impl Tape {
    /// What was asked in the next refresh; `None` at the end.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is damaged.
    #[allow(clippy::should_implement_trait, reason = "an iterator would go on after an error")]
    pub fn next(&mut self) -> Result<Option<Vec<Call>>, RecordingError> {
        while self.left > 0 {
            match self.chunk()? {
                Some((Kind::Keyframe, payload)) => self.begin(&payload)?,
                Some((Kind::Steady | Kind::Thorough, payload)) => {
                    self.left -= 1;
                    let packed = self.unpacker.unpack(&payload, MOST_CHUNK)?;
                    return calls::unpack(&packed, &mut self.context).map(Some);
                }
                Some(_) => {}
                None => return Err(changed()),
            }
        }
        Ok(None)
    }

    /// All that is known after the refresh that was taken last.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    fn chunk(&mut self) -> Result<Option<(Kind, Vec<u8>)>, RecordingError> {
        match &mut self.from {
            Some(from) => Ok(chunk::next(from)?),
            None => Ok(None),
        }
    }

    fn begin(&mut self, payload: &[u8]) -> Result<(), RecordingError> {
        let mut taken = Taken(payload);
        taken.number()?;
        self.unpacker = Unpacker::new();
        let whole = self.unpacker.unpack(taken.0, MOST_CHUNK)?;
        self.context = Context::take(&mut Taken(&whole))?;
        Ok(())
    }
}
