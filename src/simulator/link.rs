//! What the way from the host to the target costs: a model of probe and wire.

use std::time::Duration;

/// The cost of SWD transactions and USB commands.
///
/// An SWD transfer takes 46 clocks: 8 request, 1 turnaround, 3 acknowledge, 32 data, 1 parity, 1 turnaround
/// (ARM IHI 0031, B4.2). The latency of one command is USB's: the host controller polls a full-speed device once a
/// millisecond frame, a high-speed one eight times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkModel {
    /// The fastest SWD clock of the probe: Hz.
    pub swd_hz: u32,
    /// One packet of the probe: bytes. A block transfer carries `(packet_bytes - 6) / 4` words per command.
    pub packet_bytes: u16,
    /// From sending a command to its answer, without the time on the wire. Zero for none: then nothing is delayed.
    pub command_latency: Duration,
    /// How often the probe repeats a transfer that the target answers with WAIT, before it gives up.
    pub wait_retries: u32,
}

impl LinkModel {
    /// CMSIS-DAP v1 over HID at full speed: 64-byte reports, 1.9 ms a command (published measurements: 1 to 2 ms).
    #[must_use]
    pub const fn hid() -> Self {
        Self { swd_hz: 4_000_000, packet_bytes: 64, command_latency: Duration::from_micros(1900), ..Self::ideal() }
    }

    /// CMSIS-DAP v2 at full speed: 64-byte packets, 0.26 ms a command (published measurements: 235 to 420 us).
    #[must_use]
    pub const fn fs() -> Self {
        Self { swd_hz: 4_000_000, packet_bytes: 64, command_latency: Duration::from_micros(260), ..Self::ideal() }
    }

    /// CMSIS-DAP v2 at high speed: 512-byte packets, 70 us a command (fitted to published throughputs).
    #[must_use]
    pub const fn hs() -> Self {
        Self { swd_hz: 10_000_000, packet_bytes: 512, command_latency: Duration::from_micros(70), ..Self::ideal() }
    }

    /// No latency, 512-byte packets, 10 MHz: the real time of the host is not spent on it. In lockstep the time on the
    /// wire still passes for the core.
    #[must_use]
    pub const fn ideal() -> Self {
        Self {
            swd_hz: 10_000_000,
            packet_bytes: 512,
            command_latency: Duration::ZERO,
            // What probe-rs asks of a CMSIS-DAP probe (DAP_TransferConfigure).
            wait_retries: 0xffff,
        }
    }

    /// The same with another number of repetitions after a WAIT.
    #[must_use]
    pub const fn with_wait_retries(self, wait_retries: u32) -> Self {
        Self { wait_retries, ..self }
    }

    /// Payload words of one block transfer command, as probe-rs computes them.
    #[must_use]
    pub const fn packet_words(&self) -> u32 {
        (self.packet_bytes as u32 - 6) / 4
    }

    /// Writes that probe-rs gathers before it sends them in one command.
    pub(crate) const fn batch(&self) -> usize {
        (self.packet_bytes as usize - 3) / 5
    }
}

/// Clocks of one SWD transfer.
const TRANSFER_CLOCKS: u64 = 46;

/// The time that `transfers` transfers take on a wire of `hz`: nanoseconds.
pub(crate) fn wire_ns(transfers: u64, hz: u32) -> u64 {
    transfers * TRANSFER_CLOCKS * 1_000_000_000 / u64::from(hz.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_carry_the_words_that_probe_rs_puts_into_them() {
        assert_eq!(LinkModel::fs().packet_words(), 14);
        assert_eq!(LinkModel::hs().packet_words(), 126);
    }

    #[test]
    fn a_transfer_takes_46_clocks() {
        assert_eq!(wire_ns(1, 4_000_000), 11_500);
    }
}
