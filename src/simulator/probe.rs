//! The simulated SWD probe, as probe-rs drives it.
//!
//! It gathers transfers into commands exactly as probe-rs's own CMSIS-DAP driver does, so that counters and timing mean
//! something for real probes: writes queue, a read sends the queue and itself, blocks go in packets, a fault costs a
//! read of CTRL/STAT and a write of ABORT.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use probe_rs::CoreStatus;
use probe_rs::architecture::arm::sequences::ArmDebugSequence;
use probe_rs::architecture::arm::{
    ArmCommunicationInterface, ArmDebugInterface, ArmError, DapError, DapProbe, RawDapAccess, RegisterAddress,
};
use probe_rs::probe::{DebugProbe, DebugProbeError, WireProtocol};

use super::dap::{Answer, Dap, Transfer};
use super::link::wire_ns;
use super::locked;
use super::target::{Clock, Target};
use super::wire::{Outcome, Wire};

/// What the probe calls itself.
pub(crate) const NAME: &str = "highwater simulated probe";

/// An open probe.
#[derive(Debug)]
pub(crate) struct SimulatedProbe {
    target: Arc<Target>,
    queue: Vec<Transfer>,
    protocol: Option<WireProtocol>,
    connected: bool,
    /// The SWD clock in use: Hz.
    swd_hz: u32,
    /// Free-running, the real time at which everything sent so far would be done.
    done: Instant,
}

/// Free-running, shorter delays than this add up until they are worth a sleep: the host cannot sleep shorter ones.
const SHORTEST_SLEEP: Duration = Duration::from_micros(200);
/// Late by less than this, a sleep that took too long is made up for by shorter ones.
const MAKE_UP: Duration = Duration::from_millis(4);

const ABORT_DAP: u32 = 1;
const ABORT_STICKY: u32 = 1 << 2;
const CTRL_STICKY: u32 = 1 << 5;

impl SimulatedProbe {
    pub(crate) fn new(target: Arc<Target>) -> Self {
        let swd_hz = target.link.swd_hz;
        Self { target, queue: Vec::new(), protocol: None, connected: false, swd_hz, done: Instant::now() }
    }

    /// One command to the probe and its answer: the latency, and whatever it does on the wire.
    fn command<R>(&mut self, act: impl FnOnce(&mut Wire<'_>, &mut Dap) -> R) -> Result<R, DebugProbeError> {
        let target = Arc::clone(&self.target);
        let latency = u64::try_from(target.link.command_latency.as_nanos()).unwrap_or(u64::MAX);
        target.pass(latency);
        if !target.reachable() {
            return Err(DebugProbeError::Usb(io::Error::new(io::ErrorKind::NotConnected, "the probe is unplugged")));
        }
        target.tally.usb_commands.add(1);
        let mut dap = locked(&target.dap);
        if target.faults.take_power_loss() {
            dap.power_cycle();
        }
        let mut wire = Wire::new(&target, self.swd_hz);
        let result = act(&mut wire, &mut dap);
        let spent = wire_ns(wire.spent(), self.swd_hz);
        drop(dap);
        if target.clock == Clock::FreeRunning && latency > 0 {
            self.delay(Duration::from_nanos(latency + spent));
        }
        Ok(result)
    }

    /// Takes as long as the link would have taken, on average.
    fn delay(&mut self, time: Duration) {
        let now = Instant::now();
        let earliest = now.checked_sub(MAKE_UP).unwrap_or(now);
        self.done = self.done.max(earliest) + time;
        if let Some(early) = self.done.checked_duration_since(now).filter(|early| *early > SHORTEST_SLEEP) {
            std::thread::sleep(early);
        }
    }

    /// A command that does nothing on the wire.
    fn configure(&mut self) -> Result<(), DebugProbeError> {
        self.command(|_, _| ())
    }

    fn transfers(&mut self, transfers: &[Transfer]) -> Result<Outcome, ArmError> {
        Ok(self.command(|wire, dap| wire.run(transfers, dap))?)
    }

    /// Sends what is queued. Gives what its last transfer read.
    fn process(&mut self) -> Result<u32, ArmError> {
        let queue = std::mem::take(&mut self.queue);
        if queue.is_empty() {
            return Ok(0);
        }
        let outcome = self.transfers(&queue)?;
        self.settle(outcome.answer)?;
        Ok(outcome.values.last().copied().unwrap_or(0))
    }

    /// What the driver does about an answer that is not OK.
    fn settle(&mut self, answer: Answer) -> Result<(), ArmError> {
        let control = |write| Transfer { access: false, register: 4, write };
        let abort = |bits| Transfer { access: false, register: 0, write: Some(bits) };
        match answer {
            Answer::Ok(_) => Ok(()),
            Answer::Silence => Err(DapError::NoAcknowledge.into()),
            Answer::Wait => {
                self.transfers(&[abort(ABORT_DAP)])?;
                Err(DapError::WaitResponse.into())
            }
            Answer::Fault => {
                let status = self.transfers(&[control(None)])?;
                if status.answer == Answer::Silence {
                    return Err(DapError::NoAcknowledge.into());
                }
                if status.values.first().is_some_and(|control| control & CTRL_STICKY != 0) {
                    self.transfers(&[abort(ABORT_STICKY)])?;
                }
                Err(DapError::FaultResponse.into())
            }
        }
    }

    fn add(&mut self, transfer: Transfer) -> Result<u32, ArmError> {
        self.queue.push(transfer);
        if transfer.write.is_none() || self.queue.len() == self.target.link.batch() {
            return self.process();
        }
        Ok(0)
    }

    /// A block, in as many commands as its packets need.
    fn block(&mut self, transfers: &[Transfer]) -> Result<Vec<u32>, ArmError> {
        self.process()?;
        let mut values = Vec::with_capacity(transfers.len());
        for chunk in transfers.chunks(self.target.link.packet_words() as usize) {
            let outcome = self.transfers(chunk)?;
            self.settle(outcome.answer)?;
            values.extend(outcome.values);
        }
        Ok(values)
    }

    fn connect(&mut self) -> Result<(), DebugProbeError> {
        if !self.connected {
            self.configure()?;
            self.protocol = Some(WireProtocol::Swd);
            self.connected = true;
        }
        Ok(())
    }

    fn pin_reset(&mut self, held: bool) -> Result<(), DebugProbeError> {
        self.command(|wire, _| wire.target().with_machine(|machine| machine.hold_reset(held)))
    }
}

impl DebugProbe for SimulatedProbe {
    fn get_name(&self) -> &str {
        NAME
    }

    fn speed_khz(&self) -> u32 {
        self.swd_hz / 1000
    }

    fn set_speed(&mut self, speed_khz: u32) -> Result<u32, DebugProbeError> {
        if speed_khz == 0 {
            return Err(DebugProbeError::UnsupportedSpeed(speed_khz));
        }
        self.configure()?;
        let hz = speed_khz.saturating_mul(1000).min(self.target.link.swd_hz);
        self.swd_hz = hz;
        Ok(hz / 1000)
    }

    fn attach(&mut self) -> Result<(), DebugProbeError> {
        self.connect()?;
        // Clock, transfer and SWD configuration, and the connected light.
        for _ in 0..4 {
            self.configure()?;
        }
        Ok(())
    }

    fn detach(&mut self) -> Result<(), probe_rs::Error> {
        self.process().map_err(probe_rs::Error::Arm)?;
        // Disconnect, and the connected light.
        for _ in 0..2 {
            self.configure().map_err(probe_rs::Error::Probe)?;
        }
        self.connected = false;
        Ok(())
    }

    fn target_reset(&mut self) -> Result<(), DebugProbeError> {
        self.pin_reset(true)?;
        self.pin_reset(false)
    }

    fn target_reset_assert(&mut self) -> Result<(), DebugProbeError> {
        self.pin_reset(true)
    }

    fn target_reset_deassert(&mut self) -> Result<(), DebugProbeError> {
        self.pin_reset(false)
    }

    fn select_protocol(&mut self, protocol: WireProtocol) -> Result<(), DebugProbeError> {
        match protocol {
            WireProtocol::Swd => {
                self.protocol = Some(protocol);
                Ok(())
            }
            WireProtocol::Jtag => Err(DebugProbeError::UnsupportedProtocol(protocol)),
        }
    }

    fn active_protocol(&self) -> Option<WireProtocol> {
        self.protocol
    }

    fn has_arm_interface(&self) -> bool {
        true
    }

    fn try_get_arm_debug_interface<'probe>(
        self: Box<Self>,
        sequence: Arc<dyn ArmDebugSequence>,
    ) -> Result<Box<dyn ArmDebugInterface + 'probe>, (Box<dyn DebugProbe>, ArmError)> {
        Ok(ArmCommunicationInterface::create(self, sequence, false))
    }

    fn try_as_dap_probe(&mut self) -> Option<&mut dyn DapProbe> {
        Some(self)
    }

    fn into_probe(self: Box<Self>) -> Box<dyn DebugProbe> {
        self
    }
}

impl DapProbe for SimulatedProbe {}

/// A probe-rs register address as a transfer.
fn transfer(address: RegisterAddress, write: Option<u32>) -> Transfer {
    Transfer { access: address.is_ap(), register: address.a2_and_3(), write }
}

impl RawDapAccess for SimulatedProbe {
    fn raw_read_register(&mut self, address: RegisterAddress) -> Result<u32, ArmError> {
        self.add(transfer(address, None))
    }

    fn raw_read_block(&mut self, address: RegisterAddress, values: &mut [u32]) -> Result<(), ArmError> {
        let read = self.block(&vec![transfer(address, None); values.len()])?;
        values.copy_from_slice(&read);
        Ok(())
    }

    fn raw_write_register(&mut self, address: RegisterAddress, value: u32) -> Result<(), ArmError> {
        self.add(transfer(address, Some(value))).map(drop)
    }

    fn raw_write_block(&mut self, address: RegisterAddress, values: &[u32]) -> Result<(), ArmError> {
        let writes: Vec<Transfer> = values.iter().map(|value| transfer(address, Some(*value))).collect();
        self.block(&writes).map(drop)
    }

    fn raw_flush(&mut self) -> Result<(), ArmError> {
        self.process().map(drop)
    }

    fn jtag_sequence(&mut self, _: u8, _: bool, _: u64) -> Result<(), DebugProbeError> {
        Err(DebugProbeError::UnsupportedProtocol(WireProtocol::Jtag))
    }

    fn swj_sequence(&mut self, bit_len: u8, bits: u64) -> Result<(), DebugProbeError> {
        self.connect()?;
        self.command(|_, dap| dap.sequence(bit_len, bits))
    }

    fn swj_pins(&mut self, pin_out: u32, pin_select: u32, _: u32) -> Result<u32, DebugProbeError> {
        /// The reset pin of a CMSIS-DAP probe: low resets the target.
        const RESET: u32 = 1 << 7;
        self.connect()?;
        if pin_select & RESET != 0 {
            self.pin_reset(pin_out & RESET == 0)?;
        } else {
            self.configure()?;
        }
        let held = self.target.with_machine(|machine| machine.in_reset());
        Ok(if held { 0 } else { RESET })
    }

    fn into_probe(self: Box<Self>) -> Box<dyn DebugProbe> {
        self
    }

    fn core_status_notification(&mut self, _: CoreStatus) -> Result<(), DebugProbeError> {
        // The running light.
        self.configure()
    }
}

impl Drop for SimulatedProbe {
    fn drop(&mut self) {
        // As with a real probe, nobody is left to hear of an error.
        let _ = DebugProbe::detach(self);
        self.target.opened.store(false, Ordering::Release);
    }
}
