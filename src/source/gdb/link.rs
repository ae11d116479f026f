//! One connection, and how memory comes through it: while the core runs, or while it stands for a moment.

use std::time::{Duration, Instant};

use super::offer::{self, Offer};
use super::wire::{Answer, Wire};
use crate::region::Region;
use crate::source::{ReadError, mem_ap};

/// After which time the core runs again before the next piece is read. It runs for as long as it stood: half of the time
/// at least.
const HOLD: Duration = Duration::from_millis(10);
/// Bytes that are read at once of a core that stands, before it is known how long they take: a slow wire's 4 ms.
const FIRST_PIECE: u32 = 64;
/// The fewest bytes that are worth a question, and the most that are asked for while the core stands.
const PIECES: std::ops::RangeInclusive<u32> = 16..=64 << 10;
/// The most bytes of a document that the server sends.
const LONGEST_DOCUMENT: usize = 256 << 10;
/// The most pieces in which it may come.
const MOST_PIECES: usize = 1024;

/// How memory comes from this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// While the core runs.
    Running,
    /// While the core stands; when it was stopped, if it is now.
    Standing(Option<Instant>),
    /// While the core stands as it was found, which is not this tool's to end.
    Found,
}

/// What an answer of nothing but zeros is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zeros {
    /// It is not known whose they are.
    Unasked,
    /// OpenOCD's: it answers zeros for memory that it could not read (OpenOCD's manual, 20.1, `gdb_report_data_abort`), and
    /// says so when a command of its own reads it.
    OfOpenOcd,
    /// Another server's, which says what it could not read. A second look counts.
    Plain,
}

/// Looks at what is said to be zeros before it is given up.
const LOOKS_AT_ZEROS: usize = 3;
/// Words that OpenOCD is asked for in one command.
const WORDS: u32 = 256;
/// The core's private registers begin there, which may well be zero (ARM DDI 0403E B3.1).
const PRIVATE: u32 = 0xE000_0000;
/// Why zeros are no content.
pub const NO_CONTENT: &str =
    "OpenOCD could not read it and answered zeros; after `gdb_report_data_abort enable` it says so";

/// One connection, and what was found out about its server. Dropping it leaves the core as it was before.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) wire: Wire,
    pub(super) offer: Offer,
    pub(super) manner: Manner,
    /// Until when a core that stood is left alone.
    runs_until: Instant,
    /// Whether DHCSR tells what the core does.
    pub(super) has_witness: bool,
    /// Whether it is in non-stop mode.
    pub(super) non_stop: bool,
    /// Bytes that are read within a part of [`HOLD`].
    piece: u32,
    /// What zeros are worth.
    zeros: Zeros,
}

impl Link {
    /// A connection of which nothing is known yet.
    pub(super) fn new(wire: Wire, manner: Manner) -> Self {
        let (offer, runs_until) = (Offer::parse(b""), Instant::now());
        Self {
            wire,
            offer,
            manner,
            runs_until,
            has_witness: false,
            non_stop: false,
            piece: FIRST_PIECE,
            zeros: Zeros::Unasked,
        }
    }

    /// Goes back to the mode in which a byte stops the core.
    pub(super) fn leave_non_stop(&mut self) -> Result<(), ReadError> {
        if std::mem::take(&mut self.non_stop) {
            self.wire.ask("QNonStop:0", Answer::Plain)?;
        }
        Ok(())
    }

    /// A document of the server's, whole; `None` when it has none after all.
    pub(super) fn document(&mut self, object: &str, annex: &str) -> Result<Option<String>, ReadError> {
        let mut document = Vec::new();
        for _ in 0..MOST_PIECES {
            let length = self.offer.packet - 8;
            let question = format!("qXfer:{object}:read:{annex}:{:x},{length:x}", document.len());
            let answer = self.wire.ask(&question, Answer::Plain)?;
            let (Some(last), true) = (answer.first(), document.len() < LONGEST_DOCUMENT) else { break };
            document.extend(&answer[1..]);
            match last {
                b'l' => return Ok(Some(String::from_utf8_lossy(&document).into_owned())),
                b'm' if answer.len() > 1 => {}
                _ => break,
            }
        }
        Ok(None)
    }

    /// One word; `None` when there is none to be read.
    pub(super) fn word(&mut self, address: u32) -> Result<Option<u32>, ReadError> {
        let mut bytes = [0; 4];
        match self.read(Region::new(address, 4), &mut bytes) {
            Ok(()) => Ok(Some(u32::from_le_bytes(bytes))),
            Err(error @ (ReadError::Gone(_) | ReadError::Refused(_))) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Bytes that may be read before the core has to be asked for again.
    pub(super) fn piece(&self) -> u32 {
        match self.manner {
            Manner::Running | Manner::Found => u32::MAX,
            Manner::Standing(_) => self.piece,
        }
    }

    /// Reads, whatever the core does.
    pub(super) fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
        let unreadable = |why: String| ReadError::Unreadable { range, why };
        let began = Instant::now();
        let mut done = 0;
        while done < range.size() {
            let want = (range.size() - done).min(self.offer.read_bytes());
            let piece = range.slice(done, want);
            let mut bytes = self.packet(piece)?.map_err(unreadable)?;
            if piece.start() < PRIVATE && is_zeros(&bytes) {
                bytes = self.sure(piece.bottom(u32::try_from(bytes.len()).unwrap_or(want)))?.map_err(unreadable)?;
            }
            into[done as usize..done as usize + bytes.len()].copy_from_slice(&bytes);
            // It may give less than was asked for.
            done += u32::try_from(bytes.len()).unwrap_or(want);
        }
        if range.size() >= *PIECES.start() {
            // Half of the time that a stop may take, so that the one question that is late does not double it.
            let fits = f64::from(range.size()) * (HOLD / 2).as_secs_f64() / began.elapsed().as_secs_f64().max(1e-6);
            self.piece = (fits as u32).clamp(*PIECES.start(), *PIECES.end()) & !3;
        }
        Ok(())
    }

    /// The bytes at the beginning of `piece` that one packet brings, or why there are none.
    fn packet(&mut self, piece: Region) -> Result<Result<Vec<u8>, String>, ReadError> {
        let letter = if self.offer.binary { 'x' } else { 'm' };
        let answer = self.wire.ask(&format!("{letter}{:x},{:x}", piece.start(), piece.size()), Answer::Plain)?;
        // `E` and two digits are an error, and no memory: that has a digit for each half of a byte.
        if answer.first() == Some(&b'E') && answer.len() == 3 {
            let code = String::from_utf8_lossy(&answer);
            return Ok(Err(format!("the GDB server says {}", crate::units::printable(&code, 8))));
        }
        let bytes = offer::memory(&answer, self.offer.binary)
            .filter(|bytes| !bytes.is_empty() && bytes.len() <= piece.size() as usize);
        Ok(bytes.ok_or_else(|| "the GDB server's answer is no memory".into()))
    }

    /// The bytes of `piece`, of which a packet said that they are zeros.
    fn sure(&mut self, piece: Region) -> Result<Result<Vec<u8>, String>, ReadError> {
        if self.zeros == Zeros::Unasked {
            // The command to read is newer than the ways of the server. Each core has a CPUID, which is not zero.
            let cpuid = u32::try_from(mem_ap::CPUID).unwrap_or_default();
            let reads = self.openocd("-type")?.is_some() && self.words_of_openocd(Region::new(cpuid, 4))?.is_some();
            self.zeros = if reads { Zeros::OfOpenOcd } else { Zeros::Plain };
        }
        if self.zeros == Zeros::Plain {
            return self.packet(piece);
        }
        let mut bytes = Vec::new();
        while let left @ 1.. = piece.size() - u32::try_from(bytes.len()).unwrap_or(0) {
            // Words, and bytes where there is less than one.
            let next = piece.top(left).bottom(4 * WORDS);
            let mut found = None;
            for _ in 0..LOOKS_AT_ZEROS {
                found = self.words_of_openocd(next)?;
                if found.is_some() {
                    break;
                }
            }
            match found {
                Some(found) => bytes.extend(found),
                None => return Ok(Err(NO_CONTENT.into())),
            }
        }
        Ok(Ok(bytes))
    }

    /// The bytes of `range` by OpenOCD's own command, `None` when it could not read them (OpenOCD's manual, 15.4, `read_memory`).
    fn words_of_openocd(&mut self, range: Region) -> Result<Option<Vec<u8>>, ReadError> {
        let width = if range.words() == range { 4 } else { 1 };
        let count = range.size() / width;
        let command = format!("[target current] read_memory {:#x} {} {count}", range.start(), 8 * width);
        let text = self.command(&command)?.unwrap_or_default();
        let number = |text: &str| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok();
        let numbers: Option<Vec<u32>> = text.split_ascii_whitespace().map(number).collect();
        let numbers = numbers.filter(|numbers| numbers.len() == count as usize);
        let bytes = |number: u32| number.to_le_bytes().into_iter().take(width as usize);
        Ok(numbers.map(|numbers| numbers.into_iter().flat_map(bytes).collect()))
    }

    /// Stops the core when it has to stand and does not; whether that was done.
    pub(super) fn hold(&mut self) -> Result<bool, ReadError> {
        if let Manner::Standing(Some(since)) = self.manner
            && since.elapsed() >= HOLD
        {
            self.let_go()?;
        }
        if self.manner != Manner::Standing(None) {
            return Ok(false);
        }
        std::thread::sleep(self.runs_until.saturating_duration_since(Instant::now()));
        // An interruption that fails halfway may have stopped the core.
        self.manner = Manner::Standing(Some(Instant::now()));
        self.wire.interrupt()?;
        Ok(true)
    }

    /// Lets the core go on when it stands, for as long as it stood.
    pub(super) fn let_go(&mut self) -> Result<(), ReadError> {
        if let Manner::Standing(Some(since)) = self.manner {
            // In non-stop mode there is no `c` (GDB manual, E.10 "Remote Protocol Support for Non-Stop Mode").
            match self.non_stop {
                true => _ = self.wire.ask("vCont;c", Answer::Plain)?,
                false => self.wire.tell("c")?,
            }
            self.manner = Manner::Standing(None);
            self.runs_until = Instant::now() + since.elapsed();
        }
        Ok(())
    }

    /// That a core which was found standing went on meanwhile, and a question stopped it: then it is this tool's to let it
    /// go on. Whether that is so.
    pub(super) fn has_stopped_it_after_all(&mut self) -> bool {
        let stopped = self.manner == Manner::Found && std::mem::take(&mut self.wire.told_stop);
        if stopped {
            self.manner = Manner::Standing(Some(Instant::now()));
        }
        stopped
    }
}

fn is_zeros(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

impl Drop for Link {
    fn drop(&mut self) {
        match self.manner {
            Manner::Running => self.wire.farewell("D"),
            // Some servers let the core go on when GDB detaches, others leave it as it is, so it goes on first. Nothing may
            // follow: QEMU stops the core again at any byte that comes while it runs.
            Manner::Standing(_) => {
                let _ = self.let_go();
                self.wire.close();
            }
            // QEMU lets the core go on at a detach.
            Manner::Found => self.wire.close(),
        }
    }
}
