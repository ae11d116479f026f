//! What touches the target beyond reading it: only when a flag of this run asks for it, and never through a
//! [`super::Source`], which can neither write nor halt.
//!
//! A [`Control`] goes through the probe's own thread, like every read, so that the two never meet on the wire.

pub mod awake;
pub mod comparators;
pub mod halt;
pub mod left;
pub mod semihosting;

use std::sync::{Arc, Mutex, PoisonError};

use probe_rs::architecture::arm::ArmError;
use probe_rs::architecture::arm::memory::ArmMemoryInterface;
use probe_rs::architecture::arm::sequences::ArmDebugSequence;
use probe_rs::config::CoreType;

use super::ReadError;
use super::mem_ap;
use super::probe::{Link, Reply, Request};
use crate::region::Region;

/// Words of memory and of the core's private peripherals, one at a time, to be written too.
pub trait Control: Send {
    /// The word at `address`, which is word-aligned.
    ///
    /// # Errors
    ///
    /// It cannot be read, or the link is gone.
    fn read(&mut self, address: u32) -> Result<u32, ReadError>;

    /// Writes words from `address` on, which is word-aligned, in one ascending pass.
    ///
    /// # Errors
    ///
    /// They cannot be written, or the link is gone. Some may have been written then.
    fn write(&mut self, address: u32, words: &[u32]) -> Result<(), ReadError>;

    /// The bytes of `range`, in one ascending pass, as a source reads them.
    ///
    /// # Errors
    ///
    /// They cannot be read, or the link is gone.
    fn read_range(&mut self, range: Region) -> Result<Vec<u8>, ReadError>;

    /// Resets the chip by its vendor's sequence and holds its core before the first instruction, with halting debug on.
    ///
    /// # Errors
    ///
    /// The core does not stop there, or the link is gone.
    fn reset_and_hold(&mut self) -> Result<(), ReadError>;

    /// What was written so far.
    fn written(&self) -> Written;
}

/// What a control has written since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Debug registers, each time one was written.
    pub registers: u32,
    /// Words of memory.
    pub words: u32,
}

/// The core's private peripherals, where the debug registers are (ARM DDI 0403 B3.1); all else is memory.
const PRIVATE: Region = Region::new(0xe000_0000, 0x0010_0000);

/// One thing to do on the probe's thread.
#[derive(Clone, Debug)]
pub(super) enum Order {
    Read(u32),
    Write(u32, Vec<u32>),
    ResetAndHold,
}

/// How a chip is reset: its vendor's sequence, for its kind of core.
pub(super) struct Resetting {
    pub(super) sequence: Arc<dyn ArmDebugSequence>,
    pub(super) core: CoreType,
}

impl Resetting {
    fn reset_and_hold(&self, memory: &mut (dyn ArmMemoryInterface + '_)) -> Result<(), ArmError> {
        /// How often the core is asked whether it stands.
        const TRIES: usize = 100;
        // Without halting debug a vector is not caught (ARM DDI 0403E C1.6.5).
        memory.write_word_32(halt::DHCSR.into(), halt::KEY | halt::C_DEBUGEN)?;
        self.sequence.reset_catch_set(memory, self.core, None)?;
        self.sequence.reset_system(memory, self.core, None)?;
        let mut stands = false;
        for _ in 0..TRIES {
            stands = memory.read_word_32(halt::DHCSR.into())? & halt::S_HALT != 0;
            if stands {
                break;
            }
        }
        self.sequence.reset_catch_clear(memory, self.core, None)?;
        if stands { Ok(()) } else { Err(ArmError::Timeout) }
    }
}

/// Carries an order out, on the probe's thread; gives the word that was read.
pub(super) fn carry_out(
    memory: &mut (dyn ArmMemoryInterface + '_),
    resetting: &Resetting,
    order: &Order,
) -> Result<u32, ReadError> {
    let (address, outcome) = match order {
        Order::Read(address) => (*address, memory.read_word_32(u64::from(*address))),
        Order::Write(address, words) => {
            let start = u64::from(*address);
            let outcome = match words.as_slice() {
                [word] => memory.write_word_32(start, *word),
                block => memory.write_32(start, block),
            };
            // Writes may wait in the probe's queue: what is said to be written has been sent.
            (*address, outcome.and_then(|()| memory.flush()).map(|()| 0))
        }
        Order::ResetAndHold => (halt::DHCSR, resetting.reset_and_hold(memory).map(|()| 0)),
    };
    outcome.map_err(|error| mem_ap::classify(&error, Region::new(address, 4)))
}

/// A probe's control: it shares the link with the probe's source.
pub struct ProbeControl {
    link: Arc<Mutex<Link>>,
    written: Written,
}

impl ProbeControl {
    pub(super) fn new(link: Arc<Mutex<Link>>) -> Self {
        Self { link, written: Written::default() }
    }

    fn ask(&mut self, order: Order) -> Result<u32, ReadError> {
        let reply = self.link.lock().unwrap_or_else(PoisonError::into_inner).ask(Request::Control(order))?;
        match reply {
            Reply::Control(outcome) => outcome,
            Reply::Read(_) | Reply::Status(_) => Err(ReadError::Busy("the probe answered another question".into())),
        }
    }
}

impl Control for ProbeControl {
    fn read(&mut self, address: u32) -> Result<u32, ReadError> {
        self.ask(Order::Read(address))
    }

    fn write(&mut self, address: u32, words: &[u32]) -> Result<(), ReadError> {
        let count = u32::try_from(words.len()).unwrap_or(u32::MAX);
        // Counted before it is tried: a write that failed half-way has written too.
        let counter = if PRIVATE.contains(address) { &mut self.written.registers } else { &mut self.written.words };
        *counter = counter.saturating_add(count);
        self.ask(Order::Write(address, words.to_vec())).map(|_| ())
    }

    fn read_range(&mut self, range: Region) -> Result<Vec<u8>, ReadError> {
        let reply = self.link.lock().unwrap_or_else(PoisonError::into_inner).ask(Request::Read(range))?;
        match reply {
            Reply::Read(outcome) => outcome,
            Reply::Control(_) | Reply::Status(_) => Err(ReadError::Busy("the probe answered another question".into())),
        }
    }

    fn reset_and_hold(&mut self) -> Result<(), ReadError> {
        self.ask(Order::ResetAndHold).map(|_| ())
    }

    fn written(&self) -> Written {
        self.written
    }
}
