//! QEMU's machine protocol: one JSON object a line (QEMU documentation, "QEMU Machine Protocol Specification").

use std::io::{self, BufRead, BufReader, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::source::endpoint::{Endpoint, Stream};
use crate::source::{ReadError, ending};
use crate::units::printable;

/// The longest line that is taken: what 64 KiB of memory are as text, and as much again.
const LONGEST: usize = 1 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Events that are taken in while one answer is waited for, at the most.
const MOST_EVENTS: u32 = 10_000;

/// What happened to the machine since the last question about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Happened {
    /// It was reset.
    pub(super) reset: bool,
    /// QEMU is about to end.
    pub(super) shutdown: bool,
}

/// One connection to the monitor.
pub(super) struct Qmp {
    stream: BufReader<Box<dyn Stream>>,
    /// QEMU's version, as it greets.
    pub(super) version: String,
    /// What the events told.
    pub(super) happened: Happened,
}

fn gone(why: impl Into<String>) -> ReadError {
    ReadError::Gone(why.into())
}

impl Qmp {
    /// Connects, reads the greeting, and leaves the negotiation mode.
    pub(super) fn open(endpoint: &Endpoint) -> Result<Self, ReadError> {
        let stream = endpoint.connect().map_err(|error| gone(format!("no QEMU monitor at {endpoint}: {error}")))?;
        let mut qmp = Self { stream: BufReader::new(stream), version: String::new(), happened: Happened::default() };
        let greeting = qmp.line(Instant::now() + PATIENCE).map_err(|error| {
            gone(format!(
                "{endpoint} does not greet as QEMU's machine protocol does ({error}); another program may hold that \
                 monitor, or it is a human's: start QEMU with a second one, -qmp unix:PATH,server=on,wait=off"
            ))
        })?;
        let version = greeting.pointer("/QMP/version/qemu").ok_or_else(|| {
            gone(format!("{endpoint} is no QEMU machine protocol: it does not greet; give the socket of -qmp"))
        })?;
        let part = |name: &str| version.get(name).and_then(Value::as_u64).unwrap_or(0);
        qmp.version = format!("{}.{}.{}", part("major"), part("minor"), part("micro"));
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Carries out a command and gives what it returns.
    pub(super) fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value, ReadError> {
        let deadline = Instant::now() + PATIENCE;
        let mut line = json!({"execute": command, "arguments": arguments}).to_string();
        line.push('\n');
        let sent = self.stream.get_mut().write_all(line.as_bytes());
        sent.map_err(|error| gone(format!("QEMU took no more: {error}")))?;
        for _ in 0..MOST_EVENTS {
            let mut answer = self.line(deadline)?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = answer.get("error") {
                let why = error.get("desc").and_then(Value::as_str).unwrap_or("no reason");
                return Err(ReadError::Busy(format!("QEMU refuses `{command}`: {}", printable(why, 200))));
            }
            match answer.get("event").and_then(Value::as_str) {
                Some("RESET") => self.happened.reset = true,
                Some("SHUTDOWN") => self.happened.shutdown = true,
                _ => {}
            }
        }
        Err(gone("QEMU tells of nothing but events"))
    }

    /// The next line, before `deadline`.
    fn line(&mut self, deadline: Instant) -> Result<Value, ReadError> {
        let mut line = Vec::new();
        loop {
            let left = ending::deadline(deadline).saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(gone("QEMU does not answer"));
            }
            // A timeout of zero would be none at all.
            let _ = self.stream.get_ref().patience(ending::look(left).max(Duration::from_millis(1)));
            // One piece at a time: who sends byte after byte and never an end is given up all the same.
            match self.stream.fill_buf() {
                Ok([]) => return Err(gone("QEMU closed its monitor")),
                Ok(piece) => {
                    let end = piece.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
                    let taken = end.unwrap_or(piece.len());
                    line.extend_from_slice(&piece[..taken]);
                    self.stream.consume(taken);
                    if line.len() > LONGEST {
                        return Err(gone("QEMU sent a line without an end"));
                    }
                    if end.is_some() {
                        break;
                    }
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(gone(format!("QEMU is gone: {error}"))),
            }
        }
        serde_json::from_slice(&line).map_err(|_| gone("QEMU sent a line that is no JSON"))
    }
}
