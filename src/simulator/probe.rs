//! The simulated SWD probe, as probe-rs sees it: a plugin with a probe factory, and one probe per board.
//!
//! It gathers transfers into commands exactly as probe-rs's own CMSIS-DAP driver does, so that counters and timing mean
//! something for real probes: writes queue, a read sends the queue and itself, blocks go in packets, a fault costs a
//! read of CTRL/STAT and a write of ABORT.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once, Weak};
use std::time::{Duration, Instant};

use probe_rs::CoreStatus;
use probe_rs::architecture::arm::sequences::ArmDebugSequence;
use probe_rs::architecture::arm::{
    ArmCommunicationInterface, ArmDebugInterface, ArmError, DapError, DapProbe, RawDapAccess, RegisterAddress,
};
use probe_rs::plugin::{Plugin, register_plugin};
use probe_rs::probe::list::ProbeListItem;
use probe_rs::probe::{
    DebugProbe, DebugProbeError, DebugProbeInfo, DebugProbeSelector, ProbeCreationError, ProbeFactory, WireProtocol,
};

use super::dap::{Answer, Dap, Transfer};
use super::faults::Spoiled;
use super::link::wire_ns;
use super::locked;
use super::target::{Clock, Target};

/// The test identifiers of pid.codes: never those of a product.
const VENDOR: u16 = 0x1209;
const PRODUCT: u16 = 0x0001;
const NAME: &str = "highwater simulated probe";

/// The boards of this process, by serial number.
static BOARDS: Mutex<Vec<Weak<Target>>> = Mutex::new(Vec::new());
static FACTORY: SimulatedProbeFactory = SimulatedProbeFactory;
static REGISTERED: Once = Once::new();

/// Makes the simulated probe known to probe-rs, once per process, and the board to it.
pub(crate) fn register(target: &Arc<Target>) {
    REGISTERED.call_once(|| register_plugin(Plugin { probe_drivers: &[&FACTORY], ..Plugin::default() }));
    let mut boards = locked(&BOARDS);
    boards.retain(|board| board.strong_count() > 0);
    boards.push(Arc::downgrade(target));
}

/// Whether a board of this process already has this serial number.
pub(crate) fn taken(serial: &str) -> bool {
    present().iter().any(|target| target.serial == serial)
}

pub(crate) fn selector(serial: &str) -> DebugProbeSelector {
    DebugProbeSelector {
        vendor_id: VENDOR,
        product_id: PRODUCT,
        interface: None,
        serial_number: Some(serial.to_owned()),
    }
}

pub(crate) fn info(serial: &str) -> DebugProbeInfo {
    DebugProbeInfo::new(NAME, VENDOR, PRODUCT, Some(serial.to_owned()), &FACTORY, None, false)
}

fn present() -> Vec<Arc<Target>> {
    locked(&BOARDS).iter().filter_map(Weak::upgrade).collect()
}

/// Finds and opens the probes of the boards in this process.
#[derive(Debug)]
struct SimulatedProbeFactory;

impl fmt::Display for SimulatedProbeFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulated")
    }
}

impl ProbeFactory for SimulatedProbeFactory {
    fn open(&self, selector: &DebugProbeSelector) -> Result<Box<dyn DebugProbe>, DebugProbeError> {
        let target = present()
            .into_iter()
            .find(|target| target.reachable() && selector.matches_probe(&info(&target.serial)))
            .ok_or(ProbeCreationError::NotFound)?;
        if target.opened.swap(true, Ordering::AcqRel) {
            return Err(ProbeCreationError::CouldNotOpen.into());
        }
        Ok(Box::new(SimulatedProbe::new(target)))
    }

    fn list_probes(&self) -> Vec<ProbeListItem> {
        let boards = present().into_iter().filter(|target| target.reachable());
        boards.map(|target| ProbeListItem::accessible(info(&target.serial))).collect()
    }
}

/// An open probe.
#[derive(Debug)]
struct SimulatedProbe {
    target: Arc<Target>,
    queue: Vec<Transfer>,
    protocol: Option<WireProtocol>,
    connected: bool,
    /// The SWD clock in use: Hz.
    swd_hz: Arc<AtomicU32>,
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

/// What one command has come to.
struct Outcome {
    answer: Answer,
    /// What was read, one per transfer that was acknowledged.
    values: Vec<u32>,
}

impl SimulatedProbe {
    fn new(target: Arc<Target>) -> Self {
        let swd_hz = Arc::new(AtomicU32::new(target.link.swd_hz));
        Self { target, queue: Vec::new(), protocol: None, connected: false, swd_hz, done: Instant::now() }
    }

    /// One command to the probe and its answer: the latency, and whatever it does on the wire.
    fn command<R>(&mut self, act: impl FnOnce(&Wire<'_>, &mut Dap) -> R) -> Result<R, DebugProbeError> {
        let target = Arc::clone(&self.target);
        if !target.reachable() {
            return Err(DebugProbeError::Usb(io::Error::new(io::ErrorKind::NotConnected, "the probe is unplugged")));
        }
        target.tally.usb_commands.add(1);
        let latency = u64::try_from(target.link.command_latency.as_nanos()).unwrap_or(u64::MAX);
        target.pass(latency);
        let mut dap = locked(&target.dap);
        if target.faults.take_power_loss() {
            *dap = Dap::new();
        }
        let wire = Wire { target: &target, hz: self.swd_hz.load(Ordering::Relaxed), spent: AtomicU32::new(0) };
        let result = act(&wire, &mut dap);
        let spent = wire_ns(u64::from(wire.spent.into_inner()), wire.hz);
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
        self.command(|wire, _| wire.target.with_machine(|machine| machine.hold_reset(held)))
    }
}

/// The wire during one command.
struct Wire<'a> {
    target: &'a Target,
    hz: u32,
    /// Transfers so far.
    spent: AtomicU32,
}

impl Wire<'_> {
    /// Transfers one after the other, until one is not acknowledged.
    fn run(&self, transfers: &[Transfer], dap: &mut Dap) -> Outcome {
        let mut values = Vec::with_capacity(transfers.len());
        let mut answer = Answer::Ok(0);
        for transfer in transfers {
            answer = self.transfer(*transfer, dap);
            let Answer::Ok(value) = answer else {
                break;
            };
            if transfer.write.is_none() {
                values.push(value);
            }
        }
        // Reads of the access port are posted: the last value comes with one more transfer, of RDBUFF
        // (ARM IHI 0031, B4.2.2).
        if transfers.last().is_some_and(|last| last.access && last.write.is_none()) {
            self.spend(1);
        }
        Outcome { answer, values }
    }

    fn transfer(&self, transfer: Transfer, dap: &mut Dap) -> Answer {
        let mut retries = self.target.link.wait_retries;
        loop {
            self.spend(1);
            let asleep = self.target.shown.asleep.load(Ordering::Acquire);
            let spoiled = self.target.faults.spoil(transfer.access, asleep);
            let answer = dap.transfer(transfer, spoiled, self.target);
            let (Answer::Wait, Spoiled::Wait(times)) = (answer, spoiled) else {
                return answer;
            };
            // The first WAIT is answered by `times - 1` repetitions that end with WAIT as well.
            let again = u32::try_from(times - 1).unwrap_or(u32::MAX).min(retries);
            self.spend(again);
            retries -= again;
            self.target.faults.waited(u64::from(again) + 1);
            if retries == 0 {
                return Answer::Wait;
            }
            retries -= 1;
        }
    }

    fn spend(&self, transfers: u32) {
        self.spent.fetch_add(transfers, Ordering::Relaxed);
        self.target.tally.transactions.add(u64::from(transfers));
        self.target.pass(wire_ns(u64::from(transfers), self.hz));
    }
}

impl DebugProbe for SimulatedProbe {
    fn get_name(&self) -> &str {
        NAME
    }

    fn speed_khz(&self) -> u32 {
        self.swd_hz.load(Ordering::Relaxed) / 1000
    }

    fn set_speed(&mut self, speed_khz: u32) -> Result<u32, DebugProbeError> {
        if speed_khz == 0 {
            return Err(DebugProbeError::UnsupportedSpeed(speed_khz));
        }
        self.configure()?;
        let hz = speed_khz.saturating_mul(1000).min(self.target.link.swd_hz);
        self.swd_hz.store(hz, Ordering::Relaxed);
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
