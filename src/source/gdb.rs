//! A GDB server as a source: OpenOCD, pyOCD, J-Link, Renode, QEMU. It asks for memory and sends no write.
//!
//! Some servers read memory while the core runs, others stop it as soon as somebody connects. Which of them this is shows
//! only after the connection is there: by the core's own DHCSR when a debugger has enabled debug, else by what the server
//! says of the core's state, and by whether a running core's memory is read. A server that stops the core is told to let it
//! go on, and refused, unless it was allowed to. In non-stop mode it may have stopped the core once and read it from then on.

mod attach;
mod link;
mod offer;
pub mod packet;
mod wire;

use std::time::{Duration, Instant};

use thiserror::Error;

use super::endpoint::HostPort;
use super::mem_ap::{self, core_of};
use super::{CoreStatus, Counters, Description, Reach, ReadError, Source, ending};
use crate::image::layout::Memory;
use crate::region::Region;
use attach::{connect, is_of_running};
pub use link::NO_CONTENT;
use link::{Link, Manner};

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
/// The bits that no core sets: a word with one of them is no DHCSR, all ones for example.
const DHCSR_RESERVED: u32 = 0xF800_0000;

/// What to do about a server that stops the core.
const WAYS: &str = "To look without stopping it: OpenOCD, `$_TARGETNAME configure -event gdb-attach { }` before `init` (the \
                    blank counts); J-Link, the server's option -nohalt; QEMU, --qemu SOCKET; or the probe itself, without a \
                    server";

/// Why a GDB server cannot be used.
#[derive(Debug, Error)]
pub enum GdbError {
    /// It does not answer, or not as a GDB server does.
    #[error("{0}; start it, and check host and port")]
    Unreachable(String),
    /// It takes the connection and closes it again.
    #[error(
        "the GDB server at {server} closed the connection before it answered. Another debugger may hold it: most servers \
         take one (OpenOCD takes more with `$_TARGETNAME configure -gdb-max-connections 2`). Or OpenOCD cannot probe a flash \
         bank while the core runs: `gdb_memory_map disable` leaves that out"
    )]
    TurnedAway {
        /// Which server.
        server: String,
    },
    /// It takes the connection and says nothing.
    #[error(
        "the GDB server at {server} does not answer. Another debugger may hold it, and the others wait: end that one, or \
         check host and port"
    )]
    Silent {
        /// Which server.
        server: String,
    },
    /// It stops the core, and nobody allowed that.
    #[error(
        "the GDB server at {server} stops the core as long as anybody is connected; it was told to let it go on, after {} \
         ms{who}. --allow-halt looks anyway and stops the core for some milliseconds at a time. {WAYS}.{ends}",
        stopped.as_millis()
    )]
    Stops {
        /// Which server.
        server: String,
        /// For how long the core stood.
        stopped: Duration,
        /// What is not known of who stopped it.
        who: &'static str,
        /// What becomes of the server.
        ends: &'static str,
    },
    /// The core stood before, and the server stops it when it runs.
    #[error(
        "the core behind the GDB server at {server} stands, and was left so: somebody stopped it before ({how}). Let it go \
         on where it was stopped and look then; --allow-halt looks at it as it stands"
    )]
    Stood {
        /// Which server.
        server: String,
        /// By what that is known.
        how: &'static str,
    },
    /// It reads memory only while the core stands, and nobody allowed to stop it.
    #[error(
        "the GDB server at {server} reads no memory while the core runs. --allow-halt stops the core for some milliseconds \
         at a time. {WAYS}"
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

impl From<GdbError> for ReadError {
    /// What it means for a link that was there before: whether trying again may help.
    fn from(error: GdbError) -> Self {
        match error {
            GdbError::Unreachable(_) | GdbError::TurnedAway { .. } | GdbError::Silent { .. } => {
                Self::Gone(error.to_string())
            }
            // Each try would stop the core again.
            GdbError::Stops { .. } | GdbError::Stood { .. } | GdbError::Blind { .. } | GdbError::OtherCore { .. } => {
                Self::Refused(error.to_string())
            }
        }
    }
}

/// What may be done to the core.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    /// It may be stopped for each look.
    pub allow_halt: bool,
    /// One that stands at the first look stays so where it cannot be known who stopped it.
    pub keep_halted: bool,
}

/// A GDB server.
#[derive(Debug)]
pub struct GdbSource {
    server: HostPort,
    terms: Terms,
    link: Option<Link>,
    /// Whether the core stands because the last connection was lost while it stood.
    left_standing: bool,
    opened: Instant,
    core: Option<String>,
    packet_words: u32,
    bytes: u64,
    halts: u64,
}

impl GdbSource {
    /// Connects to a server.
    ///
    /// # Errors
    ///
    /// See [`GdbError`]: nobody is there, or it stops the core.
    pub fn open(server: HostPort, terms: Terms) -> Result<Self, GdbError> {
        let mut halts = 0;
        let mut link = connect(&server, terms, false, &mut halts)?;
        let lost = |error: ReadError| GdbError::Unreachable(error.to_string());
        halts += u64::from(link.hold().map_err(lost)?);
        let cpuid = u32::try_from(mem_ap::CPUID).ok().and_then(|address| link.word(address).transpose()).transpose();
        let core = cpuid.map_err(lost)?.filter(|cpuid| *cpuid != 0).map(core_of);
        let packet_words = link.offer.read_bytes() / 4;
        let (opened, link) = (Instant::now(), Some(link));
        Ok(Self { server, terms, link, left_standing: false, opened, core, packet_words, bytes: 0, halts })
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

    /// Drops the connection.
    fn lose(&mut self) {
        if let Some(link) = self.link.take() {
            self.left_standing = matches!(link.manner, Manner::Standing(Some(_)));
        }
    }

    fn link(&mut self) -> Result<&mut Link, ReadError> {
        self.link.as_mut().ok_or_else(|| ReadError::Gone("the GDB server is gone".into()))
    }

    /// Gives the connection up when `outcome` says that it is gone: an answer that comes later would be taken for another
    /// question's.
    fn checked<T>(&mut self, outcome: Result<T, ReadError>) -> Result<T, ReadError> {
        if matches!(outcome, Err(ReadError::Gone(_))) {
            self.lose();
        }
        outcome
    }
}

impl Source for GdbSource {
    fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
        let mut done = 0;
        while done < range.size() {
            let held = self.link()?.hold();
            self.halts += u64::from(self.checked(held)?);
            let link = self.link()?;
            let piece = range.slice(done, (range.size() - done).min(link.piece()));
            let read = link.read(piece, &mut into[done as usize..(done + piece.size()) as usize]);
            self.halts += u64::from(link.has_stopped_it_after_all());
            match self.checked(read) {
                Err(ReadError::Unreadable { why, .. }) => return Err(ReadError::Unreadable { range, why }),
                other => other?,
            }
            done += piece.size();
        }
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
            if link.manner == Manner::Found {
                return Ok(CoreStatus::Halted);
            }
            if link.wire.told_stop {
                let stop = link.stop_reason();
                let runs = is_of_running(&self.checked(stop)?);
                self.link()?.wire.told_stop = !runs;
                return Ok(if runs { CoreStatus::Running } else { CoreStatus::Halted });
            }
            return Ok(CoreStatus::Running);
        }
        let dhcsr = link.word(DHCSR);
        Ok(match self.checked(dhcsr)?.filter(|dhcsr| dhcsr & DHCSR_RESERVED == 0) {
            Some(dhcsr) if dhcsr & S_RESET_ST != 0 => CoreStatus::WasReset,
            Some(dhcsr) if dhcsr & S_LOCKUP != 0 => CoreStatus::LockedUp,
            Some(dhcsr) if dhcsr & C_DEBUGEN != 0 && dhcsr & S_HALT != 0 => CoreStatus::Halted,
            Some(_) | None => CoreStatus::Running,
        })
    }

    fn reopen(&mut self) -> Result<(), ReadError> {
        // The old connection goes first: most servers take one at a time.
        self.lose();
        let link = connect(&self.server, self.terms, self.left_standing, &mut self.halts)?;
        self.left_standing = false;
        self.link = Some(link);
        Ok(())
    }

    fn now(&self) -> Duration {
        self.opened.elapsed()
    }

    fn wait(&mut self, time: Duration) {
        let gone = self.link.as_mut().is_some_and(|link| link.let_go().is_err());
        if gone {
            self.lose();
        }
        ending::sleep(time);
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
