//! What has been done to the board: the proof that reading it neither halts nor changes it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Everything counted since the board was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// SWD transfers, repetitions after WAIT included. A read of memory ends with one of RDBUFF.
    pub transactions: u64,
    /// Commands sent to the probe, as probe-rs's CMSIS-DAP driver would send them.
    pub usb_commands: u64,
    /// Bytes read from memory, private peripherals included.
    pub bytes_read: u64,
    /// Entries into debug state, single steps included.
    pub halts: u64,
    /// Writes to memory: any but those to private peripherals (`0xE000_0000` to `0xE00F_FFFF`).
    pub memory_writes: u64,
    /// Writes to private peripherals: debug, trace and system registers.
    pub debug_writes: u64,
    /// Resets of the core, by whatever cause, power-ons not counted.
    pub resets: u64,
    /// Power-ons, the first one included.
    pub power_ons: u64,
    /// Instructions the core has executed.
    pub instructions: u64,
}

impl Counters {
    /// Writes to the target: everything that was written outside of the debug port and its access ports.
    #[must_use]
    pub const fn writes(&self) -> u64 {
        self.memory_writes + self.debug_writes
    }
}

/// The live counters.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) transactions: Count,
    pub(crate) usb_commands: Count,
    pub(crate) bytes_read: Count,
    pub(crate) halts: Count,
    pub(crate) memory_writes: Count,
    pub(crate) debug_writes: Count,
    pub(crate) resets: Count,
    pub(crate) power_ons: Count,
    pub(crate) instructions: Count,
}

impl Tally {
    pub(crate) fn snapshot(&self) -> Counters {
        Counters {
            transactions: self.transactions.get(),
            usb_commands: self.usb_commands.get(),
            bytes_read: self.bytes_read.get(),
            halts: self.halts.get(),
            memory_writes: self.memory_writes.get(),
            debug_writes: self.debug_writes.get(),
            resets: self.resets.get(),
            power_ons: self.power_ons.get(),
            instructions: self.instructions.get(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
