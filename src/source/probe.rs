//! A debug probe as a source: reads memory through the MEM-AP and never stops the core.
//!
//! A probe-rs `Session` halts the core when it attaches and when it is dropped (it clears breakpoints), so none is
//! made here. The raw interface below it connects in some fourteen transactions and does nothing else.
//!
//! The probe lives on a thread of its own. A driver that panics or hangs takes that thread down or keeps it busy, and
//! the tool says so instead of going with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use probe_rs::architecture::arm::dp::DpAddress;
use probe_rs::architecture::arm::{ArmDebugInterface, ArmError, FullyQualifiedApAddress};
use probe_rs::config::CoreType;
use probe_rs::probe::list::Lister;
use probe_rs::probe::{DebugProbeSelector, Probe, WireProtocol};
use thiserror::Error;

use super::chip::Chip;
use super::chip::entry::WayIn;
use super::control::{self, Order, ProbeControl, Resetting};
use super::mem_ap::{self, chain};
use super::{CoreStatus, Counters, Description, Reach, ReadError, Source};
use crate::region::Region;

/// How long the tool waits for the probe's thread before it says that the probe hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which probe, and how to use it.
#[derive(Clone, Debug, Default)]
pub struct ProbeOptions {
    /// `VID:PID[-IF][:SERIAL]`; the only probe when it is not given.
    pub selector: Option<String>,
    /// SWD or JTAG; the probe's default when it is not given.
    pub protocol: Option<Protocol>,
    /// Clock in kHz; the probe's default when it is not given.
    pub speed_khz: Option<u32>,
    /// How far the way in may go.
    pub approach: Approach,
    /// The chip, when it is known: it says where the memory is reached.
    pub chip: Option<Chip>,
}

/// How far the way in may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approach {
    /// Registers of the debug port and of its access ports are written, and nothing else, whatever the chip is: no
    /// register of the target, no halt, no reset.
    #[default]
    Quiet,
    /// The run resets the chip anyway: its vendor's sequence connects, which may do so too.
    Resetting,
    /// The same, with the reset line held while it connects.
    UnderReset,
}

/// The wire protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// Serial wire debug.
    Swd,
    /// JTAG.
    Jtag,
}

/// Why no probe could be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// There is none.
    #[error(
        "no debug probe is connected; plug one in, check `highwater list`, or try `--probe sim` for the emulated board"
    )]
    NoProbe,
    /// There are several.
    #[error("several debug probes are connected; choose one with --probe:\n{}", listed.join("\n"))]
    SeveralProbes {
        /// Their selectors and names.
        listed: Vec<String>,
    },
    /// The selector is not one.
    #[error(
        "`{selector}` does not name a probe; use VID:PID or VID:PID:SERIAL as `highwater list` prints it, or `sim`"
    )]
    BadSelector {
        /// What was given.
        selector: String,
    },
    /// The one that was named is not there.
    #[error("the probe {selector} is not connected; `highwater list` shows what is")]
    Absent {
        /// What was given.
        selector: String,
    },
    /// The probe could not be used.
    #[error("cannot use the probe {probe}: {why}")]
    Unusable {
        /// Its name.
        probe: String,
        /// What probe-rs says.
        why: String,
    },
    /// The probe works, the target does not answer.
    #[error(
        "the probe {probe} works, but no target answers: {why}; check power, wiring, --speed, and whether the chip is \
         locked (highwater never erases one)"
    )]
    NoTarget {
        /// The probe's name.
        probe: String,
        /// What probe-rs says.
        why: String,
    },
    /// The probe works, the target does not answer, and it may be that its debug port has to be opened first.
    #[error(
        "the probe {probe} works, but no target answers: {why}; check power, wiring and --speed. It may also be that \
         {closed}; --connect-under-reset lets the vendor's sequence do that, which resets the chip"
    )]
    Closed {
        /// The probe's name.
        probe: String,
        /// What probe-rs says.
        why: String,
        /// What keeps it closed.
        closed: &'static str,
    },
    /// The probe works, the target does not answer, and it may be that it sleeps.
    #[error(
        "the probe {probe} works, but no target answers: {why}; check power, wiring, --speed, and whether the \
         chip is locked (highwater never erases one). It may also be that it sleeps: with --debug-in-sleep, {chip} stays \
         reachable once it is reached"
    )]
    Asleep {
        /// The probe's name.
        probe: String,
        /// What probe-rs says.
        why: String,
        /// The chip that it is said to be.
        chip: String,
    },
    /// The chip's core cannot be read without stopping it.
    #[error("{chip} is a {core}: reading its memory while it runs is not supported over a probe yet")]
    UnsupportedCore {
        /// The chip.
        chip: String,
        /// Its core.
        core: String,
    },
}

/// Time and counts of a probe that knows more of itself than a USB device does.
pub trait Instruments: Send {
    /// Time since the source was opened.
    fn now(&self) -> Duration;
    /// Lets that much time pass.
    fn wait(&mut self, time: Duration);
    /// What was done so far.
    fn counters(&self) -> Counters;
    /// Payload words of one USB packet.
    fn packet_words(&self) -> Option<u32>;
}

/// A real probe's: the host's clock, and no counts.
#[derive(Debug)]
pub struct HostInstruments {
    opened: Instant,
}

impl Default for HostInstruments {
    fn default() -> Self {
        Self { opened: Instant::now() }
    }
}

impl Instruments for HostInstruments {
    fn now(&self) -> Duration {
        self.opened.elapsed()
    }

    fn wait(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }

    fn packet_words(&self) -> Option<u32> {
        None
    }
}

/// A probe that `highwater list` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What `--probe` takes.
    pub selector: String,
    /// The probe's name.
    pub name: String,
    /// The driver.
    pub kind: String,
}

/// All probes that are connected.
#[must_use]
pub fn list() -> Vec<Listed> {
    Lister::new()
        .list_all()
        .into_iter()
        .map(|probe| Listed {
            selector: DebugProbeSelector::from(&probe).to_string(),
            kind: probe.probe_type(),
            name: probe.identifier,
        })
        .collect()
}

/// A probe, attached. Dropping it detaches, without touching the core.
pub struct ProbeSource {
    options: ProbeOptions,
    name: String,
    link: Arc<Mutex<Link>>,
    instruments: Box<dyn Instruments>,
    core: Option<String>,
    bytes: u64,
}

/// The probe's thread, and the way to it.
struct Worker {
    requests: Sender<Request>,
    replies: Receiver<Reply>,
}

/// The way to the probe's thread while there is one: the source and the control share it.
pub(super) struct Link {
    worker: Option<Worker>,
}

pub(super) enum Request {
    Read(Region),
    Status,
    Control(Order),
}

pub(super) enum Reply {
    Read(Result<Vec<u8>, ReadError>),
    Status(Result<CoreStatus, ReadError>),
    Control(Result<u32, ReadError>),
}

impl Link {
    pub(super) fn ask(&mut self, request: Request) -> Result<Reply, ReadError> {
        let gone = || ReadError::Gone("the probe's driver stopped".into());
        let worker = self.worker.as_ref().ok_or_else(gone)?;
        let sent = worker.requests.send(request).is_ok();
        let reply = if sent { worker.replies.recv_timeout(PATIENCE) } else { Err(RecvTimeoutError::Disconnected) };
        let reply = reply.map_err(|error| match error {
            RecvTimeoutError::Timeout => {
                ReadError::Gone(format!("no answer from the probe for {} s", PATIENCE.as_secs()))
            }
            RecvTimeoutError::Disconnected => gone(),
        });
        let lost = matches!(
            &reply,
            Err(_)
                | Ok(Reply::Read(Err(ReadError::Gone(_))))
                | Ok(Reply::Status(Err(ReadError::Gone(_))))
                | Ok(Reply::Control(Err(ReadError::Gone(_))))
        );
        if lost {
            // An answer that comes later would be taken for the next question's.
            self.worker = None;
        }
        reply
    }
}

impl ProbeSource {
    /// Opens the probe and connects to the target, without stopping it.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]: no probe, several, no permission, no answer.
    pub fn open(options: ProbeOptions, instruments: Box<dyn Instruments>) -> Result<Self, OpenError> {
        let (worker, name, cpuid) = connect(&options)?;
        let core = cpuid.map(mem_ap::core_of).or_else(|| options.chip.as_ref().map(Chip::core));
        let link = Arc::new(Mutex::new(Link { worker: Some(worker) }));
        Ok(Self { options, name, link, instruments, core, bytes: 0 })
    }

    /// What can touch the target, over the same link. Nothing is touched by making it.
    #[must_use]
    pub fn control(&self) -> ProbeControl {
        ProbeControl::new(Arc::clone(&self.link))
    }

    fn ask(&mut self, request: Request) -> Result<Reply, ReadError> {
        self.link().ask(request)
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for ProbeSource {
    fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
        if range.is_empty() {
            return Ok(());
        }
        match self.ask(Request::Read(range))? {
            Reply::Read(bytes) => {
                let bytes = bytes?;
                into.copy_from_slice(&bytes);
                self.bytes += bytes.len() as u64;
                Ok(())
            }
            _ => Err(ReadError::Busy("the probe answered another question".into())),
        }
    }

    fn status(&mut self) -> Result<CoreStatus, ReadError> {
        match self.ask(Request::Status)? {
            Reply::Status(status) => status,
            _ => Err(ReadError::Busy("the probe answered another question".into())),
        }
    }

    fn reopen(&mut self) -> Result<(), ReadError> {
        // The old thread ends when its channel closes, and gives the probe back.
        self.link().worker = None;
        let (worker, name, _) = connect(&self.options).map_err(|error| ReadError::Gone(error.to_string()))?;
        self.link().worker = Some(worker);
        self.name = name;
        Ok(())
    }

    fn now(&self) -> Duration {
        self.instruments.now()
    }

    fn wait(&mut self, time: Duration) {
        self.instruments.wait(time);
    }

    fn describe(&self) -> Description {
        Description {
            source: self.name.clone(),
            chip: self.options.chip.as_ref().map(|chip| chip.name().to_owned()),
            core: self.core.clone(),
            packet_words: self.instruments.packet_words(),
            reach: Reach::Probe,
            is_saved: false,
        }
    }

    fn counters(&self) -> Counters {
        Counters { bytes: self.bytes, ..self.instruments.counters() }
    }
}

/// Opens the probe on a new thread and waits until it is connected.
fn connect(options: &ProbeOptions) -> Result<(Worker, String, Option<u32>), OpenError> {
    let (requests, inbox) = channel();
    let (outbox, replies) = channel();
    let (ready, opened) = channel();
    let options = options.clone();
    std::thread::Builder::new()
        .name("probe".into())
        .spawn(move || {
            // A driver that panics is a probe that is gone; the report of it goes the same way as any other loss.
            let _ = catch_unwind(AssertUnwindSafe(|| serve(&options, &inbox, &outbox, &ready)));
        })
        .map_err(|error| OpenError::Unusable { probe: "thread".into(), why: error.to_string() })?;
    let unusable = |why: &str| OpenError::Unusable { probe: "driver".into(), why: why.into() };
    let (name, cpuid) = match opened.recv_timeout(PATIENCE * 4) {
        Ok(result) => result?,
        Err(RecvTimeoutError::Timeout) => return Err(unusable("it does not answer")),
        Err(RecvTimeoutError::Disconnected) => return Err(unusable("its driver stopped")),
    };
    Ok((Worker { requests, replies }, name, cpuid))
}

type Opened = Result<(String, Option<u32>), OpenError>;

/// The probe's thread: opens it, tells how that went, and answers until nobody asks any more.
fn serve(options: &ProbeOptions, inbox: &Receiver<Request>, outbox: &Sender<Reply>, ready: &Sender<Opened>) {
    let (name, mut interface, port, resetting) = match open_interface(options) {
        Ok(opened) => opened,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let no_target = |error: &ArmError| no_answer(options, &name, chain(error));
    // The memory interface costs a dozen transactions to make: it is made once and held on to.
    let mut memory = match interface.memory_interface(&port) {
        Ok(memory) => memory,
        Err(error) => {
            let _ = ready.send(Err(no_target(&error)));
            return;
        }
    };
    let cpuid = match memory.read_word_32(mem_ap::CPUID) {
        Ok(word) => Some(word),
        Err(error) => {
            let _ = ready.send(Err(no_target(&error)));
            return;
        }
    };
    if ready.send(Ok((name, cpuid))).is_err() {
        return;
    }
    while let Ok(request) = inbox.recv() {
        let reply = match request {
            Request::Read(range) => Reply::Read(mem_ap::read(memory.as_mut(), range)),
            Request::Status => Reply::Status(mem_ap::status(memory.as_mut())),
            Request::Control(order) => Reply::Control(control::carry_out(memory.as_mut(), &resetting, &order)),
        };
        if outbox.send(reply).is_err() {
            return;
        }
    }
}

fn open_interface(
    options: &ProbeOptions,
) -> Result<(String, Box<dyn ArmDebugInterface + 'static>, FullyQualifiedApAddress, Resetting), OpenError> {
    let mut probe = open_as_wished(options)?;
    let name = probe.get_name();
    let WayIn { vendor, connects, opens_ports } = match &options.chip {
        None => WayIn::default(),
        Some(chip) => chip
            .way_in(options.approach)
            .ok_or_else(|| OpenError::UnsupportedCore { chip: chip.name().to_owned(), core: chip.core() })?,
    };
    let no_target = |why: String| no_answer(options, &name, why);
    if options.approach == Approach::UnderReset {
        let held = match probe.try_as_dap_probe() {
            Some(probe) => vendor.reset_hardware_assert(probe),
            None => probe.target_reset_assert().map_err(ArmError::from),
        };
        held.map_err(|error| no_target(chain(&error)))?;
    }
    probe.attach_to_unspecified().map_err(|error| no_target(chain(&error)))?;
    let mut interface = probe.try_into_arm_debug_interface(connects).map_err(|(_, error)| no_target(chain(&error)))?;
    let port = options
        .chip
        .as_ref()
        .and_then(Chip::memory_ap)
        .unwrap_or_else(|| FullyQualifiedApAddress::v1_with_default_dp(0));
    let dp: DpAddress = port.dp();
    interface.select_debug_port(dp).map_err(|error| no_target(chain(&error)))?;
    if opens_ports {
        let permissions = probe_rs::Permissions::new();
        let opened = vendor.debug_device_unlock(&mut *interface, &port, &permissions);
        opened.map_err(|error| no_target(format!("its access port does not open: {}", chain(&error))))?;
    }
    if options.approach == Approach::UnderReset {
        let released = vendor.reset_hardware_deassert(&mut *interface, &port);
        released.map_err(|error| no_target(format!("its reset line stays low: {}", chain(&error))))?;
    }
    // Without a chip, what Cortex-M cores have in common.
    let core = options.chip.as_ref().map_or(CoreType::Armv7m, Chip::core_type);
    Ok((name, interface, port, Resetting { sequence: vendor, core }))
}

/// That no target answers, and what may keep it from doing so.
fn no_answer(options: &ProbeOptions, probe: &str, why: String) -> OpenError {
    let probe = probe.to_owned();
    let Some(chip) = &options.chip else { return OpenError::NoTarget { probe, why } };
    match chip.may_be_closed().filter(|_| options.approach == Approach::Quiet) {
        Some(closed) => OpenError::Closed { probe, why, closed },
        None if chip.sleep_debug().is_some() => OpenError::Asleep { probe, why, chip: chip.name().to_owned() },
        None => OpenError::NoTarget { probe, why },
    }
}

/// Opens the probe with its protocol and speed; nothing is attached to yet.
pub(super) fn open_as_wished(options: &ProbeOptions) -> Result<Probe, OpenError> {
    let mut probe = open_probe(options.selector.as_deref())?;
    let name = probe.get_name();
    let unusable = |why: String| OpenError::Unusable { probe: name.clone(), why };
    if let Some(protocol) = options.protocol {
        let protocol = match protocol {
            Protocol::Swd => WireProtocol::Swd,
            Protocol::Jtag => WireProtocol::Jtag,
        };
        probe.select_protocol(protocol).map_err(|error| unusable(chain(&error)))?;
    }
    if let Some(khz) = options.speed_khz {
        probe.set_speed(khz).map_err(|error| unusable(chain(&error)))?;
    }
    Ok(probe)
}

fn open_probe(selector: Option<&str>) -> Result<Probe, OpenError> {
    let lister = Lister::new();
    let unusable =
        |probe: &str, error: &dyn std::error::Error| OpenError::Unusable { probe: probe.to_owned(), why: chain(error) };
    if let Some(text) = selector {
        let selector =
            DebugProbeSelector::from_str(text).map_err(|_| OpenError::BadSelector { selector: text.into() })?;
        return lister.open(selector.clone()).map_err(|error| match lister.list(Some(&selector)).as_slice() {
            [] => OpenError::Absent { selector: text.into() },
            _ => unusable(text, &error),
        });
    }
    match lister.list_all().as_slice() {
        [] => Err(OpenError::NoProbe),
        [only] => only.open().map_err(|error| unusable(&only.identifier, &error)),
        _ => Err(OpenError::SeveralProbes {
            listed: list().into_iter().map(|probe| format!("  --probe {}   {}", probe.selector, probe.name)).collect(),
        }),
    }
}
