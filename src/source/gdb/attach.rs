//! The first questions to a GDB server: what it is, whether the core runs, and who stopped it when it does not.

use std::time::Instant;

use super::link::{Link, Manner};
use super::offer::{self, Offer};
use super::packet;
use super::wire::{Answer, Ended, Wire};
use super::{C_DEBUGEN, DHCSR, DHCSR_RESERVED, GdbError, S_HALT, Terms};
use crate::source::ReadError;
use crate::source::endpoint::HostPort;
use crate::source::mem_ap;

/// Debug Fault Status Register, ARM DDI 0403E C1.6.1: why the core entered debug state.
const DFSR: u32 = 0xE000_ED30;
/// It was halted on request.
const DFSR_HALTED: u32 = 1 << 0;
/// A breakpoint, a watchpoint, a vector catch, or a request from outside.
const DFSR_TRAPS: u32 = 0b1_1110;
/// SysTick's Current Value Register, ARM DDI 0403E B3.3.5: it counts while the core runs.
const SYST_CVR: u32 = 0xE000_E018;
/// The most threads of which a server in non-stop mode tells that they stand.
const MOST_STOPS: usize = 64;
/// Looks whether anything moves in a core that is said to stand.
const LOOKS: usize = 4;

/// Who stopped a core that stands at the first look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopped {
    /// This connection.
    Now,
    /// Somebody else, earlier, and by what that is known.
    Before {
        how: &'static str,
        /// Whether this server stops the core for no connection, so that it may be looked at like one that runs.
        looks_on: bool,
    },
    /// It cannot be known.
    Unknown,
}

/// Connects, and finds out whether the core runs. `halts` counts the times that it was stopped for it, also when it fails;
/// `ours` says that the core may stand because this tool lost the last connection while it stood.
pub(super) fn connect(server: &HostPort, terms: Terms, ours: bool, halts: &mut u64) -> Result<Link, GdbError> {
    let lost = |error: ReadError| GdbError::Unreachable(error.to_string());
    let wire = Wire::open(server).map_err(lost)?;
    let connected = Instant::now();
    // Until it is known otherwise the core may stand, and is to go on when this ends.
    let standing = if terms.keep_halted { Manner::Found } else { Manner::Standing(Some(connected)) };
    let mut link = Link::new(wire, standing);
    let answer =
        link.wire.ask("qSupported:xmlRegisters=arm", Answer::Plain).map_err(|error| match link.wire.ended {
            Some(Ended::Closed) => GdbError::TurnedAway { server: server.to_string() },
            Some(Ended::Silent) => GdbError::Silent { server: server.to_string() },
            None => lost(error),
        })?;
    // QEMU tells of the stop that a connection makes, before it answers anything.
    let told_stop = std::mem::take(&mut link.wire.told_stop);
    link.offer = Offer::parse(&answer);
    if link.offer.no_acks && link.wire.ask("QStartNoAckMode", Answer::Plain).map_err(lost)? == b"OK" {
        link.wire.without_acks();
    }
    let features = if link.offer.features { link.document("features", "target.xml").map_err(lost)? } else { None };
    let other = features.as_deref().and_then(offer::architecture).filter(|name| !name.starts_with("arm"));
    link.non_stop = link.offer.non_stop && link.wire.ask("QNonStop:1", Answer::Plain).map_err(lost)? == b"OK";
    let stop = link.stop_reason().map_err(lost)?;
    let witness = if other.is_some() { None } else { link.witness().map_err(lost)? };
    link.has_witness = witness.is_some();
    let runs = match witness {
        Some(runs) => runs,
        None => is_of_running(&stop) || (other.is_none() && link.moves().map_err(lost)?),
    };
    let stopped = match (runs, told_stop || ours) {
        (true, _) => None,
        (false, true) => Some(Stopped::Now),
        (false, false) => Some(link.stopped_by(&stop).map_err(lost)?),
    };
    link.manner = match stopped {
        None | Some(Stopped::Before { looks_on: true, .. }) => Manner::Running,
        Some(Stopped::Before { .. }) => Manner::Found,
        Some(Stopped::Unknown) if terms.keep_halted => Manner::Found,
        Some(Stopped::Now | Stopped::Unknown) => {
            *halts += 1;
            Manner::Standing(Some(connected))
        }
    };
    let found = match (link.manner, stopped) {
        _ if other.is_some() => {
            let architecture = other.unwrap_or_default();
            Err(GdbError::OtherCore { server: server.to_string(), architecture })
        }
        (Manner::Running, _) => {
            link.wire.told_stop = false;
            return link.while_it_runs(server, terms);
        }
        _ if terms.allow_halt => Ok(()),
        (Manner::Found, Some(Stopped::Before { how, .. })) => Err(GdbError::Stood { server: server.to_string(), how }),
        (Manner::Found, _) => {
            let how = "or this look stopped it, which cannot be known, and --keep-halted was given";
            Err(GdbError::Stood { server: server.to_string(), how })
        }
        _ => Err(GdbError::Stops {
            server: server.to_string(),
            stopped: connected.elapsed(),
            who: if stopped == Some(Stopped::Unknown) { UNKNOWN } else { "" },
            ends: if link.non_stop { ENDS } else { "" },
        }),
    };
    if found.is_err() || link.non_stop {
        link.let_go().map_err(lost)?;
    }
    found?;
    if link.non_stop && link.manner != Manner::Found {
        if link.serves_running().map_err(lost)? {
            link.manner = Manner::Running;
        } else {
            link.leave_non_stop().map_err(lost)?;
        }
    }
    Ok(link)
}

/// What is said when nothing tells whether the core stood before.
const UNKNOWN: &str = "; should a person have stopped it before, it runs now: this server does not tell these apart, and \
                       --keep-halted leaves a core standing that stands";
/// What becomes of a server with a non-stop mode when the last client goes.
const ENDS: &str = " pyOCD has ended with this look, unless it was started with --persist.";

/// What a server says of a core that runs: `OK` says in non-stop mode that no thread stands, and OpenOCD tells signal 0.
pub(super) fn is_of_running(stop: &[u8]) -> bool {
    stop == b"OK" || stop.starts_with(b"S00") || stop.starts_with(b"T00")
}

impl Link {
    /// What the server says of the core's state.
    pub(super) fn stop_reason(&mut self) -> Result<Vec<u8>, ReadError> {
        let stop = self.wire.ask("?", Answer::State)?;
        if self.non_stop && stop != b"OK" {
            // Of the others that stand it tells one by one, and of later stops not before it was asked for all of them.
            for _ in 0..MOST_STOPS {
                if !matches!(self.wire.ask("vStopped", Answer::State)?.first(), Some(b'T' | b'S')) {
                    break;
                }
            }
        }
        Ok(stop)
    }

    /// Whether the core runs, by its own DHCSR; `None` where there is none that means anything: an emulator's zero, or ones.
    /// A core of which no debugger has enabled halting debug cannot stand.
    fn witness(&mut self) -> Result<Option<bool>, ReadError> {
        let dhcsr = self.word(DHCSR)?.filter(|dhcsr| *dhcsr != 0 && dhcsr & DHCSR_RESERVED == 0);
        Ok(dhcsr.map(|dhcsr| dhcsr & C_DEBUGEN == 0 || dhcsr & S_HALT == 0))
    }

    /// Whether the core moves although it is said to stand, by its registers and its tick. Some emulators say so always.
    fn moves(&mut self) -> Result<bool, ReadError> {
        let mut first = None;
        for _ in 0..LOOKS {
            let seen = (self.wire.ask("g", Answer::Plain)?, self.word(SYST_CVR)?);
            match &first {
                None => first = Some(seen),
                Some(first) if *first != seen => return Ok(true),
                Some(_) => {}
            }
        }
        Ok(false)
    }

    /// Who stopped the core, by what can be known while it stands; `stop` is what the server says of it.
    fn stopped_by(&mut self, stop: &[u8]) -> Result<Stopped, ReadError> {
        let before = |how| Stopped::Before { how, looks_on: false };
        // QEMU alone knows this question, and would have told of a stop that the connection made.
        if self.wire.ask("qqemu.sstepbits", Answer::Plain)?.starts_with(b"ENABLE=") {
            return Ok(before("QEMU told of no stop when it was connected to"));
        }
        if let Some(kind) = self.openocd("-type")? {
            let on_attach = self.openocd("-event gdb-attach")?;
            return Ok(if kind == "mem_ap" || on_attach.as_deref() == Some("") {
                Stopped::Before { how: "this OpenOCD stops no core", looks_on: true }
            } else if stop.starts_with(b"S05") || stop.starts_with(b"T05") {
                before("OpenOCD says that it came to a breakpoint, a watchpoint or a step's end")
            } else {
                Stopped::Unknown
            });
        }
        let dfsr = if self.has_witness { self.word(DFSR)? } else { None };
        Ok(match dfsr {
            Some(dfsr) if dfsr & DFSR_TRAPS != 0 && dfsr & DFSR_HALTED == 0 && dfsr >> 5 == 0 => {
                before("its DFSR says that it came to a breakpoint, a watchpoint or a vector catch")
            }
            _ => Stopped::Unknown,
        })
    }

    /// How OpenOCD is set up, by a question to itself alone; `None` from another server. (OpenOCD's manual, 11.2 "Target
    /// Configuration", `cget`; the target's type is one word.)
    pub(super) fn openocd(&mut self, setting: &str) -> Result<Option<String>, ReadError> {
        let text = self.command(&format!("[target current] cget {setting}"))?;
        let is_type = |text: &String| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        Ok(text.filter(|text| setting != "-type" || is_type(text)))
    }

    /// What a command of the server's own answers, when that is text.
    pub(super) fn command(&mut self, command: &str) -> Result<Option<String>, ReadError> {
        let digits: String = command.bytes().map(|byte| format!("{byte:02x}")).collect();
        let answer = self.wire.ask(&format!("qRcmd,{digits}"), Answer::Plain)?;
        Ok(packet::from_hex(&answer).map(|text| String::from_utf8_lossy(&text).trim().to_owned()))
    }

    /// Whether it reads memory while the core runs, by a register that each core has.
    fn serves_running(&mut self) -> Result<bool, ReadError> {
        match u32::try_from(mem_ap::CPUID) {
            Ok(address) => Ok(self.word(address)?.is_some()),
            Err(_) => Ok(true),
        }
    }

    /// A connection to a core that runs, which the server has to read meanwhile, or may stop.
    fn while_it_runs(mut self, server: &HostPort, terms: Terms) -> Result<Self, GdbError> {
        let lost = |error: ReadError| GdbError::Unreachable(error.to_string());
        if self.serves_running().map_err(lost)? {
            return Ok(self);
        }
        if !terms.allow_halt {
            return Err(GdbError::Blind { server: server.to_string() });
        }
        self.leave_non_stop().map_err(lost)?;
        self.manner = Manner::Standing(None);
        Ok(self)
    }
}
