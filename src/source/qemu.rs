//! QEMU as a source, through its machine protocol (QMP). The machine is never stopped.
//!
//! Memory comes as the text of the monitor's `xp`, and not by `pmemsave`: that writes a file on QEMU's side, gives zeros
//! where there is no memory, and does not see the core's own registers. A word costs 11 bytes of text; below some 16 KiB
//! that is the quicker of the two.

mod qmp;

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thiserror::Error;

use super::endpoint::Endpoint;
use super::mem_ap::{self, core_of};
use super::{CoreStatus, Counters, Description, Reach, ReadError, Source, ending};
use crate::region::Region;
use qmp::Qmp;

/// Words that one command asks for: 45 KB of text.
const WORDS: u32 = 4096;

/// Why QEMU cannot be looked into.
#[derive(Debug, Error)]
pub enum QemuError {
    /// Nobody is there, or it is no QMP.
    #[error("{0}")]
    Unreachable(String),
    /// It emulates another architecture.
    #[error(
        "the QEMU at {endpoint} emulates {architecture}, and the firmware is for Arm; give the ELF that runs there"
    )]
    OtherCore {
        /// Where.
        endpoint: String,
        /// What it says.
        architecture: String,
    },
}

/// A machine in QEMU.
pub struct QemuSource {
    endpoint: Endpoint,
    monitor: Option<Qmp>,
    opened: Instant,
    name: String,
    core: Option<String>,
    /// Whether QEMU ended: the next one that is there began anew.
    ended: bool,
    bytes: u64,
}

impl fmt::Debug for QemuSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("QemuSource")
            .field("endpoint", &self.endpoint)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl QemuSource {
    /// Connects to QEMU's monitor.
    ///
    /// # Errors
    ///
    /// See [`QemuError`]: nobody is there, or the machine is no Arm.
    pub fn open(endpoint: Endpoint) -> Result<Self, QemuError> {
        let lost = |error: ReadError| QemuError::Unreachable(error.to_string());
        let mut monitor = Qmp::open(&endpoint).map_err(lost)?;
        let cores = monitor.execute("query-cpus-fast", &json!({})).map_err(lost)?;
        let architecture = cores.pointer("/0/target").and_then(Value::as_str).unwrap_or("arm").to_owned();
        let name = format!("QEMU {}", monitor.version);
        let mut source =
            Self { endpoint, monitor: Some(monitor), opened: Instant::now(), name, core: None, ended: false, bytes: 0 };
        // It names the program and not the machine: the one for aarch64 has the 32-bit boards too, and their cores say so.
        let may_be_arm = architecture == "arm" || architecture == "aarch64";
        source.core = if may_be_arm { source.read_core() } else { None };
        if architecture != "arm" && source.core.is_none() {
            let architecture = crate::units::printable(&architecture, 64);
            return Err(QemuError::OtherCore { endpoint: source.endpoint.to_string(), architecture });
        }
        Ok(source)
    }

    /// The Cortex-M's name; `None` when there is none.
    fn read_core(&mut self) -> Option<String> {
        let mut cpuid = [0; 4];
        let range = Region::new(u32::try_from(mem_ap::CPUID).unwrap_or(0), 4);
        self.read(range, &mut cpuid).ok()?;
        let cpuid = u32::from_le_bytes(cpuid);
        // Arm's, and of the M profile's part numbers: anything may be at that address of another machine.
        let is_cortex_m = cpuid >> 24 == 0x41 && matches!(cpuid >> 4 & 0xff0, 0xc20 | 0xc60 | 0xd20);
        is_cortex_m.then(|| core_of(cpuid))
    }

    fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value, ReadError> {
        let monitor = self.monitor.as_mut().ok_or_else(|| ReadError::Gone("QEMU is gone".into()))?;
        let outcome = monitor.execute(command, arguments);
        if matches!(outcome, Err(ReadError::Gone(_))) {
            // An answer that comes later would be taken for another command's.
            self.ended |= monitor.happened.shutdown;
            self.monitor = None;
        }
        outcome
    }
}

/// The words of the monitor's `xp`: lines of an address, a colon, and words as `0x` and eight digits (QEMU 7.2,
/// monitor/misc.c, `memory_dump`). `None` when it is anything else, or not all of them.
fn words(text: &str, range: Region) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(range.size() as usize);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (address, words) = line.split_once(':')?;
        let expected = u64::from(range.start()) + bytes.len() as u64;
        if u64::from_str_radix(address.trim(), 16).ok()? != expected {
            return None;
        }
        for word in words.split_whitespace() {
            let word = u32::from_str_radix(word.strip_prefix("0x")?, 16).ok()?;
            bytes.extend(word.to_le_bytes());
            if bytes.len() > range.size() as usize {
                return None;
            }
        }
    }
    (bytes.len() == range.size() as usize).then_some(bytes)
}

impl Source for QemuSource {
    fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
        let whole = range.words();
        let mut bytes = Vec::with_capacity(whole.size() as usize);
        while bytes.len() < whole.size() as usize {
            let done = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let piece = whole.slice(done, (whole.size() - done).min(4 * WORDS));
            let line = format!("xp /{}xw {:#x}", piece.size() / 4, piece.start());
            let text = self.execute("human-monitor-command", &json!({"command-line": line}))?;
            let text = text.as_str().unwrap_or_default();
            let found = words(text, piece).ok_or_else(|| {
                let last = text.lines().last().unwrap_or("nothing");
                ReadError::Unreadable { range, why: format!("QEMU says `{}`", crate::units::printable(last, 100)) }
            })?;
            bytes.extend(found);
        }
        let skip = whole.offset_of(range.start()).unwrap_or(0) as usize;
        into.copy_from_slice(&bytes[skip..skip + range.size() as usize]);
        self.bytes += u64::from(range.size());
        Ok(())
    }

    fn status(&mut self) -> Result<CoreStatus, ReadError> {
        let state = self.execute("query-status", &json!({}))?;
        let Some(monitor) = &mut self.monitor else { return Ok(CoreStatus::Running) };
        if std::mem::take(&mut monitor.happened.reset) {
            return Ok(CoreStatus::WasReset);
        }
        if monitor.happened.shutdown {
            self.ended = true;
            self.monitor = None;
            return Err(ReadError::Gone("the machine in QEMU was shut down".into()));
        }
        Ok(match state.get("running").and_then(Value::as_bool) {
            Some(false) => CoreStatus::Halted,
            _ => CoreStatus::Running,
        })
    }

    fn reopen(&mut self) -> Result<(), ReadError> {
        // QEMU serves one at a time.
        self.monitor = None;
        let fresh = Self::open(self.endpoint.clone()).map_err(|error| ReadError::Gone(error.to_string()))?;
        (self.monitor, self.name, self.core) = (fresh.monitor, fresh.name, fresh.core);
        if let Some(monitor) = &mut self.monitor {
            monitor.happened.reset |= std::mem::take(&mut self.ended);
        }
        Ok(())
    }

    fn now(&self) -> Duration {
        self.opened.elapsed()
    }

    fn wait(&mut self, time: Duration) {
        ending::sleep(time);
    }

    fn describe(&self) -> Description {
        Description {
            source: format!("{} at {}", self.name, self.endpoint),
            core: self.core.clone(),
            packet_words: Some(WORDS),
            reach: Reach::Emulator,
            ..Description::default()
        }
    }

    fn counters(&self) -> Counters {
        Counters { bytes: self.bytes, halts: Some(0), writes: Some(0), ..Counters::default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_text_of_the_monitor_is_taken_whole_or_not_at_all() {
        let range = Region::new(0x2000_0000, 20);
        let good = "0000000020000000: 0x20010000 0x00000401 0x00000001 0x00000002\r\n0000000020000010: 0xffffffff\r\n";
        let bytes = words(good, range).expect("it is whole");
        assert_eq!((bytes.len(), &bytes[..8], &bytes[16..]), (20, &[0, 0, 1, 0x20, 1, 4, 0, 0][..], &[0xff; 4][..]));
        for bad in [
            "",
            "0000000020000000: Cannot access memory\r\n",
            "0000000020000004: 0x00000000 0x00000000 0x00000000 0x00000000 0x00000000",
            "0000000020000000: 0x00000000 0x00000000 0x00000000 0x00000000",
            "0000000020000000: 0x00 0x00 0x00 0x00 0x00 0x00",
            "20000000: 0x00000000 0x00000000 0x00000000 0x00000000 0x123456789",
        ] {
            assert_eq!(words(bad, range), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_of_a_monitor_is_survived(text in "[0-9a-fx: \n]{0,200}", size in 1u32..64) {
            let range = Region::new(0, size * 4);
            prop_assert!(words(&text, range).is_none_or(|bytes| bytes.len() == range.size() as usize));
        }
    }
}
