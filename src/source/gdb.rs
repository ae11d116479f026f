//! A GDB server as a source: OpenOCD, pyOCD, J-Link, Renode, QEMU. It asks for memory and sends no write.
//!
//! Some servers read memory while the core runs, others stop it as soon as somebody connects. Which of them this is shows
//! only after the connection is there: by the core's own DHCSR when a debugger has enabled debug, else by what the server
//! says of the core's state, and by whether a running core's memory is read. A server that stops the core is told to let it
//! go on, and refused, unless it was allowed to. In non-stop mode it may have stopped the core once and read it from then on.

mod offer;
pub mod packet;
mod wire;

use std::time::{Duration, Instant};

use thiserror::Error;

use super::endpoint::HostPort;
use super::mem_ap::{self, core_of};
use super::{CoreStatus, Counters, Description, Reach, ReadError, Source};
use crate::image::layout::Memory;
use crate::region::Region;
use offer::Offer;
use wire::{Answer, Wire};

/// Debug Halting Control and Status Register, ARM DDI 0403E C1.6.2.
const DHCSR: u32 = 0xE000_EDF0;
/// A debugger has enabled halting debug: the other bits mean something.
const C_DEBUGEN: u32 = 1 << 0;
/// The core is in debug state.
const S_HALT: u32 = 1 << 17;
/// The core sits in lockup.
const S_LOCKUP: u32 = 1 << 19;
/// The core was reset since the last read.
const S_RESET_ST: u32 = 1 << 25;

/// After which time the core runs again before the next read. It runs for as long as it stood: half of the time at least.
const HOLD: Duration = Duration::from_millis(10);
/// The most bytes of a document that the server sends.
const LONGEST_DOCUMENT: usize = 256 << 10;
/// The most pieces in which it may come.
const MOST_PIECES: usize = 1024;

/// The most threads of which a server in non-stop mode tells that they stand.
const MOST_STOPS: usize = 64;
/// What to do about a server that stops the core.
const WAYS: &str = "To look without stopping it: OpenOCD, `$_TARGETNAME configure -event gdb-attach {}`; J-Link, the server's \
                    option -nohalt; QEMU, --qemu SOCKET; or the probe itself, without a server";

/// Why a GDB server cannot be used.
#[derive(Debug, Error)]
pub enum GdbError {
    /// It does not answer, or not as a GDB server does.
    #[error("{0}; start it, and check host and port")]
    Unreachable(String),
    /// It stops the core, and nobody allowed that.
    #[error(
        "the GDB server at {server} stops the core as long as anybody is connected; it was told to let it go on, after {} \
         ms. --allow-halt looks anyway and stops the core for some milliseconds in each refresh. {WAYS}",
        stopped.as_millis()
    )]
    Stops {
        /// Which server.
        server: String,
        /// For how long the core stood.
        stopped: Duration,
    },
    /// It reads memory only while the core stands, and nobody allowed to stop it.
    #[error(
        "the GDB server at {server} reads no memory while the core runs. --allow-halt stops the core for some milliseconds \
         in each refresh. {WAYS}"
    )]
    Blind {
        /// Which server.
        server: String,
    },
    /// It is connected to something else.
    #[error(
        "the GDB server at {server} debugs an {architecture} core, and the firmware is for Arm; give the ELF that runs there"
    )]
    OtherCore {
        /// Which server.
        server: String,
        /// What it says.
        architecture: String,
    },
}

/// How memory comes from this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// While the core runs.
    Running,
    /// While the core stands; when it was stopped, if it is now.
    Standing(Option<Instant>),
}

/// A GDB server.
#[derive(Debug)]
pub struct GdbSource {
    server: HostPort,
    allow_halt: bool,
    link: Option<Link>,
    opened: Instant,
    core: Option<String>,
    packet_words: u32,
    bytes: u64,
    halts: u64,
}

/// One connection, and what was found out about its server. Dropping it lets the core go on.
#[derive(Debug)]
struct Link {
    wire: Wire,
    offer: Offer,
    manner: Manner,
    /// Until when a core that stood is left alone.
    runs_until: Instant,
    /// Whether DHCSR tells what the core does.
    has_witness: bool,
    /// Whether it is in non-stop mode.
    non_stop: bool,
}

impl GdbSource {
    /// Connects to a server.
    ///
    /// # Errors
    ///
    /// See [`GdbError`]: nobody is there, or it stops the core.
    pub fn open(server: HostPort, allow_halt: bool) -> Result<Self, GdbError> {
        let (mut link, halts) = connect(&server, allow_halt)?;
        let lost = |error: ReadError| GdbError::Unreachable(error.to_string());
        let architecture =
            if link.offer.features { link.document("features", "target.xml").map_err(lost)? } else { None };
        if let Some(architecture) = architecture.as_deref().and_then(offer::architecture)
            && !architecture.starts_with("arm")
        {
            return Err(GdbError::OtherCore { server: server.to_string(), architecture });
        }
        let halts = match link.manner {
            Manner::Standing(None) => halts + u64::from(link.hold().map_err(lost)?),
            _ => halts,
        };
        let cpuid = u32::try_from(mem_ap::CPUID).ok().and_then(|address| link.word(address).transpose()).transpose();
        let core = cpuid.map_err(lost)?.filter(|cpuid| *cpuid != 0).map(core_of);
        let packet_words = link.offer.read_bytes() / 4;
        Ok(Self { server, allow_halt, link: Some(link), opened: Instant::now(), core, packet_words, bytes: 0, halts })
    }

    /// The memories that the server knows of; none when it has no map.
    ///
    /// # Errors
    ///
    /// The link is gone.
    pub fn memories(&mut self) -> Result<Vec<Memory>, ReadError> {
        let link = self.link()?;
        let map = if link.offer.memory_map { link.document("memory-map", "")? } else { None };
        Ok(map.as_deref().map(offer::memories).unwrap_or_default())
    }

    /// Whether the core stands while memory is read.
    #[must_use]
    pub fn stops_the_core(&self) -> bool {
        self.link.as_ref().is_some_and(|link| matches!(link.manner, Manner::Standing(_)))
    }

    fn link(&mut self) -> Result<&mut Link, ReadError> {
        self.link.as_mut().ok_or_else(|| ReadError::Gone("the GDB server is gone".into()))
    }

    /// Gives the connection up when `outcome` says that it is gone: an answer that comes later would be taken for another
    /// question's.
    fn checked<T>(&mut self, outcome: Result<T, ReadError>) -> Result<T, ReadError> {
        if matches!(outcome, Err(ReadError::Gone(_))) {
            self.link = None;
        }
        outcome
    }
}

/// Connects, and finds out whether the core runs; the number of times that it was stopped for it.
fn connect(server: &HostPort, allow_halt: bool) -> Result<(Link, u64), GdbError> {
    let lost = |error: ReadError| GdbError::Unreachable(error.to_string());
    let wire = Wire::open(server).map_err(lost)?;
    let connected = Instant::now();
    // Until it is known otherwise the core may stand, and is to go on when this ends.
    let manner = Manner::Standing(Some(connected));
    let mut link =
        Link { wire, offer: Offer::parse(b""), manner, runs_until: connected, has_witness: false, non_stop: false };
    let answer = link.wire.ask("qSupported:xmlRegisters=arm", Answer::Plain).map_err(lost)?;
    link.offer = Offer::parse(&answer);
    if link.offer.no_acks && link.wire.ask("QStartNoAckMode", Answer::Plain).map_err(lost)? == b"OK" {
        link.wire.without_acks();
    }
    link.non_stop = link.offer.non_stop && link.wire.ask("QNonStop:1", Answer::Plain).map_err(lost)? == b"OK";
    let said_to_run = link.is_said_to_run().map_err(lost)?;
    let dhcsr = link.word(DHCSR).map_err(lost)?.filter(|dhcsr| dhcsr & C_DEBUGEN != 0);
    link.has_witness = dhcsr.is_some();
    let runs = dhcsr.map_or(said_to_run, |dhcsr| dhcsr & S_HALT == 0);
    if runs {
        link.manner = Manner::Running;
        link.wire.told_stop = false;
        if link.serves_running().map_err(lost)? {
            return Ok((link, 0));
        }
        if !allow_halt {
            return Err(GdbError::Blind { server: server.to_string() });
        }
        link.leave_non_stop().map_err(lost)?;
        link.manner = Manner::Standing(None);
        return Ok((link, 0));
    }
    if !allow_halt {
        link.let_go().map_err(lost)?;
        return Err(GdbError::Stops { server: server.to_string(), stopped: connected.elapsed() });
    }
    if link.non_stop {
        link.let_go().map_err(lost)?;
        if link.serves_running().map_err(lost)? {
            link.manner = Manner::Running;
        } else {
            link.leave_non_stop().map_err(lost)?;
        }
    }
    Ok((link, 1))
}

impl Link {
    /// What the server says of the core: `OK` says in non-stop mode that no thread stands, and OpenOCD tells signal 0 of a
    /// core that runs.
    fn is_said_to_run(&mut self) -> Result<bool, ReadError> {
        let stop = self.wire.ask("?", Answer::State)?;
        if self.non_stop && stop != b"OK" {
            // Of the others that stand it tells one by one, and of later stops not before it was asked for all of them.
            for _ in 0..MOST_STOPS {
                if !matches!(self.wire.ask("vStopped", Answer::State)?.first(), Some(b'T' | b'S')) {
                    break;
                }
            }
        }
        Ok(stop == b"OK" || stop.starts_with(b"S00") || stop.starts_with(b"T00"))
    }

    /// Whether it reads memory while the core runs, by a register that each core has.
    fn serves_running(&mut self) -> Result<bool, ReadError> {
        match u32::try_from(mem_ap::CPUID) {
            Ok(address) => Ok(self.word(address)?.is_some()),
            Err(_) => Ok(true),
        }
    }

    /// Goes back to the mode in which a byte stops the core.
    fn leave_non_stop(&mut self) -> Result<(), ReadError> {
        if std::mem::take(&mut self.non_stop) {
            self.wire.ask("QNonStop:0", Answer::Plain)?;
        }
        Ok(())
    }

    /// A document of the server's, whole; `None` when it has none after all.
    fn document(&mut self, object: &str, annex: &str) -> Result<Option<String>, ReadError> {
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
    fn word(&mut self, address: u32) -> Result<Option<u32>, ReadError> {
        let mut bytes = [0; 4];
        match self.read(Region::new(address, 4), &mut bytes) {
            Ok(()) => Ok(Some(u32::from_le_bytes(bytes))),
            Err(ReadError::Gone(why)) => Err(ReadError::Gone(why)),
            Err(_) => Ok(None),
        }
    }

    fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
        let unreadable = |why: String| ReadError::Unreadable { range, why };
        let letter = if self.offer.binary { 'x' } else { 'm' };
        let mut done = 0;
        while done < range.size() {
            let want = (range.size() - done).min(self.offer.read_bytes());
            let answer = self.wire.ask(&format!("{letter}{:x},{want:x}", range.start() + done), Answer::Plain)?;
            // `E` and two digits are an error, and no memory: that has a digit for each half of a byte.
            if answer.first() == Some(&b'E') && answer.len() == 3 {
                let code = String::from_utf8_lossy(&answer);
                return Err(unreadable(format!("the GDB server says {}", crate::units::printable(&code, 8))));
            }
            let bytes = offer::memory(&answer, self.offer.binary)
                .filter(|bytes| !bytes.is_empty() && bytes.len() <= want as usize)
                .ok_or_else(|| unreadable("the GDB server's answer is no memory".into()))?;
            into[done as usize..done as usize + bytes.len()].copy_from_slice(&bytes);
            // It may give less than was asked for.
            done += u32::try_from(bytes.len()).unwrap_or(want);
        }
        Ok(())
    }

    /// Stops the core when it has to stand and does not; whether that was done.
    fn hold(&mut self) -> Result<bool, ReadError> {
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
    fn let_go(&mut self) -> Result<(), ReadError> {
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
        }
    }
}

impl Source for GdbSource {
    fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
        let held = self.link()?.hold();
        self.halts += u64::from(self.checked(held)?);
        let read = self.link()?.read(range, into);
        self.checked(read)?;
        self.bytes += u64::from(range.size());
        Ok(())
    }

    fn status(&mut self) -> Result<CoreStatus, ReadError> {
        let link = self.link()?;
        if let Manner::Standing(_) = link.manner {
            // It stands because this tool stopped it, and was found running.
            return Ok(CoreStatus::Running);
        }
        if !link.has_witness {
            if link.wire.told_stop {
                let runs = link.is_said_to_run();
                let runs = self.checked(runs)?;
                self.link()?.wire.told_stop = !runs;
                return Ok(if runs { CoreStatus::Running } else { CoreStatus::Halted });
            }
            return Ok(CoreStatus::Running);
        }
        let dhcsr = link.word(DHCSR);
        Ok(match self.checked(dhcsr)? {
            Some(dhcsr) if dhcsr & S_RESET_ST != 0 => CoreStatus::WasReset,
            Some(dhcsr) if dhcsr & S_LOCKUP != 0 => CoreStatus::LockedUp,
            Some(dhcsr) if dhcsr & S_HALT != 0 => CoreStatus::Halted,
            Some(_) | None => CoreStatus::Running,
        })
    }

    fn reopen(&mut self) -> Result<(), ReadError> {
        // The old connection goes first: most servers take one at a time.
        self.link = None;
        let (link, halts) =
            connect(&self.server, self.allow_halt).map_err(|error| ReadError::Gone(error.to_string()))?;
        self.link = Some(link);
        self.halts += halts;
        Ok(())
    }

    fn now(&self) -> Duration {
        self.opened.elapsed()
    }

    fn wait(&mut self, time: Duration) {
        let gone = self.link.as_mut().is_some_and(|link| link.let_go().is_err());
        if gone {
            self.link = None;
        }
        std::thread::sleep(time);
    }

    fn describe(&self) -> Description {
        Description {
            source: format!("GDB server {}", self.server),
            core: self.core.clone(),
            packet_words: Some(self.packet_words),
            reach: Reach::Server,
            ..Description::default()
        }
    }

    fn counters(&self) -> Counters {
        Counters { bytes: self.bytes, halts: Some(self.halts), writes: Some(0), ..Counters::default() }
    }
}
