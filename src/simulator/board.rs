//! An emulated board, as its owner holds it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use probe_rs::probe::{DebugProbeError, DebugProbeInfo, DebugProbeSelector, Probe};
use thiserror::Error;

use super::calls::Calls;
use super::core::{Emulated, PC, SP};
use super::counters::{Counters, Tally};
use super::dap::{Dap, Port};
use super::faults::{Fault, Faults};
use super::flash;
use super::image::{CoreKind, Image};
use super::link::LinkModel;
use super::machine::{self, Machine, Shown};
use super::memory::{Memory, MemoryKind};
use super::target::{self, Clock, Target};
use super::watch::{StoreHit, Watch};
use super::{locked, registry};
use crate::region::Region;

/// What a board is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The firmware.
    pub image: Image,
    /// The memories. Empty: those the image seems to need.
    pub memory: Vec<(MemoryKind, Region)>,
    /// The core. `None`: the one the image was built for, else a Cortex-M3.
    pub core: Option<CoreKind>,
    /// How emulated time passes.
    pub clock: Clock,
    /// The core's clock: Hz.
    pub core_hz: u32,
    /// What the random content of RAM at power-on comes from.
    pub seed: u64,
    /// Words set at each power-on, before the core starts; a reset does not set them again.
    pub pokes: Vec<(u32, u32)>,
    /// What the way to the target costs.
    pub link: LinkModel,
    /// The probe's serial number. `None`: the next free one of this process.
    pub serial: Option<String>,
    /// Data comparators of the DWT, at most four. `None`: as many as such a core has, two or four.
    pub comparators: Option<u32>,
    /// Where the debug port has the memory's access port.
    pub port: Port,
    /// What selects its debug port among several on one wire (TARGETSEL); 0 where it is alone.
    pub targetsel: u32,
}

impl Options {
    /// A free-running board at 16 MHz behind an ideal link, with what else the image asks for.
    #[must_use]
    pub fn new(image: Image) -> Self {
        Self {
            image,
            memory: Vec::new(),
            core: None,
            clock: Clock::FreeRunning,
            core_hz: 16_000_000,
            seed: 0,
            pokes: Vec::new(),
            link: LinkModel::ideal(),
            serial: None,
            comparators: None,
            port: Port::default(),
            targetsel: 0,
        }
    }

    /// The same in lockstep: emulated time passes with the link only.
    #[must_use]
    pub fn lockstep(self) -> Self {
        Self { clock: Clock::Lockstep, ..self }
    }

    /// The same with another link.
    #[must_use]
    pub fn link(self, link: LinkModel) -> Self {
        Self { link, ..self }
    }

    /// The same with other random content in RAM.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The same with one more word set at each power-on.
    #[must_use]
    pub fn poke(mut self, address: u32, value: u32) -> Self {
        self.pokes.push((address, value));
        self
    }
}

/// Why a board cannot be made.
#[derive(Debug, Error)]
pub enum BoardError {
    /// The memories are not a memory map.
    #[error("the memory map does not work: {0}")]
    Memory(String),
    /// Another board of this process has this serial number.
    #[error("a board with the serial number {0} exists already")]
    SerialTaken(String),
    /// The core's clock is zero.
    #[error("the core's clock is 0 Hz")]
    NoClock,
    /// The host gives no thread for the core.
    #[error("no thread for the core: {0}")]
    Thread(#[from] std::io::Error),
}

/// An emulated board with its probe. It is powered while it exists; its probe is found by [`Board::selector`].
#[derive(Debug)]
pub struct Board {
    target: Arc<Target>,
    core: CoreKind,
    map: Vec<(MemoryKind, Region)>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Board {
    /// Makes a board and powers it on: free-running, the core starts at once.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the options.
    pub fn create(options: Options) -> Result<Arc<Board>, BoardError> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let Options { image, memory, core, clock, core_hz, seed, pokes, link, serial, comparators, port, targetsel } =
            options;
        if core_hz == 0 {
            return Err(BoardError::NoClock);
        }
        let serial = serial.unwrap_or_else(|| format!("SIM{:04}", NEXT.fetch_add(1, Ordering::Relaxed)));
        if registry::taken(&serial) {
            return Err(BoardError::SerialTaken(serial));
        }
        let kind = core.or(image.core).unwrap_or(CoreKind::M3);
        let map = if memory.is_empty() { image.memory.clone() } else { memory };
        check(&map)?;
        let v8m = matches!(kind, CoreKind::M33 | CoreKind::M33F);
        let memory = Arc::new(Memory::new(&map, &image, Watch::new(v8m)));
        let core = Emulated::new(kind, image.vectors, &memory).map_err(BoardError::Memory)?;
        let (faults, tally, shown) = (Arc::new(Faults::new()), Arc::new(Tally::default()), Arc::new(Shown::default()));
        let machine = Machine::new(machine::Parts {
            core: Box::new(core),
            kind,
            watchpoints: comparators.unwrap_or(if kind == CoreKind::M0Plus { 2 } else { 4 }).min(4),
            memory: Arc::clone(&memory),
            image,
            pokes,
            seed,
            hz: core_hz,
            faults: Arc::clone(&faults),
            tally: Arc::clone(&tally),
            shown: Arc::clone(&shown),
        });
        let parts = target::Parts {
            serial,
            clock,
            hz: core_hz,
            link,
            dap: Dap::new(port, targetsel),
            memory,
            faults,
            tally,
            shown,
            machine,
        };
        let target = Arc::new(Target::new(parts));
        registry::register(&target);
        let thread = if clock == Clock::FreeRunning {
            let target = Arc::clone(&target);
            let name = format!("core of {}", target.serial);
            Some(std::thread::Builder::new().name(name).spawn(move || target.run_free())?)
        } else {
            None
        };
        Ok(Arc::new(Board { target, core: kind, map, thread: Mutex::new(thread) }))
    }

    /// How probe-rs finds this board's probe.
    #[must_use]
    pub fn selector(&self) -> DebugProbeSelector {
        registry::selector(&self.target.serial)
    }

    /// Opens the probe, as a probe found in a list is opened, without looking at the host's USB devices.
    ///
    /// # Errors
    ///
    /// The probe is unplugged, or open already.
    pub fn open(&self) -> Result<Probe, DebugProbeError> {
        self.probe_info().open()
    }

    /// The entry of the probe in probe-rs's list.
    #[must_use]
    pub fn probe_info(&self) -> DebugProbeInfo {
        registry::info(&self.target.serial)
    }

    /// The board as probe-rs describes a chip, with what it takes to flash it.
    ///
    /// # Errors
    ///
    /// probe-rs does not take these memories, and why.
    pub fn description(&self) -> Result<probe_rs::Target, String> {
        flash::description("highwater emulated board", self.core, &self.map)
    }

    /// The probe's serial number.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.target.serial
    }

    /// The emulated core.
    #[must_use]
    pub fn core(&self) -> CoreKind {
        self.core
    }

    /// The memories.
    #[must_use]
    pub fn memory(&self) -> &[(MemoryKind, Region)] {
        &self.map
    }

    /// Everything counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.target.tally.snapshot()
    }

    /// Emulated time since the board was made.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.target.now())
    }

    /// Lets emulated time pass: in lockstep the core runs that long, free-running this waits.
    pub fn advance(&self, time: Duration) {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        match self.target.clock {
            Clock::Lockstep => self.target.pass(time),
            Clock::FreeRunning => {
                let end = self.target.now().saturating_add(time);
                while let left @ 1.. = end.saturating_sub(self.target.now()) {
                    std::thread::sleep(Duration::from_nanos(left.min(10_000_000)));
                }
            }
        }
    }

    /// Lets time pass in small steps until `reached` holds; `false` when `limit` of emulated time was not enough.
    pub fn run_until(&self, limit: Duration, mut reached: impl FnMut(&Board) -> bool) -> bool {
        const STEP: Duration = Duration::from_micros(10);
        let end = self.now().saturating_add(limit);
        loop {
            if reached(self) {
                return true;
            }
            if self.now() >= end {
                return false;
            }
            self.advance(STEP);
        }
    }

    /// The bytes at `address`, behind everybody's back: no transaction, no time. `None` where there is no memory.
    #[must_use]
    pub fn peek(&self, address: u32, length: usize) -> Option<Vec<u8>> {
        (0..length)
            .map(|offset| {
                let at = address.checked_add(u32::try_from(offset).ok()?)?;
                Some(self.target.memory.word(at)?.to_le_bytes()[(at % 4) as usize])
            })
            .collect()
    }

    /// The word at `address`, behind everybody's back.
    #[must_use]
    pub fn peek_word(&self, address: u32) -> Option<u32> {
        let bytes = self.peek(address, 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// The next instruction's address and the stack pointer in use, behind everybody's back.
    #[must_use]
    pub fn pc_and_sp(&self) -> (u32, u32) {
        self.target.with_machine(|machine| (machine.core().register(PC), machine.core().register(SP)))
    }

    /// Whether the core sleeps in WFI or WFE.
    #[must_use]
    pub fn asleep(&self) -> bool {
        self.target.with_machine(|machine| machine.core().asleep())
    }

    /// Whether the core is in lockup.
    #[must_use]
    pub fn locked_up(&self) -> bool {
        self.target.with_machine(|machine| machine.core().locked_up())
    }

    /// Watches the stores of the core into `range`, from now until the watch is dropped. The core is slower meanwhile.
    #[must_use]
    pub fn watch_store(self: &Arc<Self>, range: Region) -> StoreWatch {
        let number = self.target.with_machine(|_| self.target.memory.watch.watch_store(range));
        StoreWatch { board: Arc::clone(self), number }
    }

    /// A register of the core's private peripherals as the debug port reads it, without a transaction and behind
    /// everybody's back. Flags that a read clears are cleared.
    #[must_use]
    pub fn private_word(&self, address: u32) -> u32 {
        self.target.with_machine(|machine| machine.read_private(address))
    }

    /// Writes such a register, as another debugger might.
    pub fn set_private_word(&self, address: u32, value: u32) {
        self.target.with_machine(|machine| machine.write_private(address, value));
    }

    /// Follows the calls that are made while the SP lies in `stack`, from now on. The core is slower for it.
    pub fn trace_calls(&self, stack: Region) {
        self.target.with_machine(|machine| machine.trace_calls(Some(Calls::on(stack))));
    }

    /// The return addresses of the calls that are open on the stack that is followed, the innermost first.
    #[must_use]
    pub fn open_calls(&self) -> Vec<u32> {
        self.target.with_machine(|machine| machine.calls())
    }

    /// Makes something go wrong now.
    pub fn inject(&self, fault: Fault) {
        self.target.with_machine(|machine| machine.apply(fault));
    }

    /// Makes something go wrong when the board's emulated time reaches `at`.
    pub fn inject_at(&self, at: Duration, fault: Fault) {
        self.target.faults.schedule(at, fault);
    }

    /// Pulls the probe's cable.
    pub fn unplug(&self) {
        self.inject(Fault::Unplug);
    }

    /// Puts the probe's cable back.
    pub fn plug(&self) {
        self.inject(Fault::Plug);
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.target.stop();
        if let Some(thread) = locked(&self.thread).take() {
            // A thread that has panicked has said so itself.
            let _ = thread.join();
        }
    }
}

/// A watch over the stores into a range; it ends when this is dropped.
#[derive(Debug)]
pub struct StoreWatch {
    board: Arc<Board>,
    number: usize,
}

impl StoreWatch {
    /// The last store into the range; of one instruction's stores, the first.
    #[must_use]
    pub fn last(&self) -> Option<StoreHit> {
        self.board.target.memory.watch.hit(self.number)
    }
}

impl Drop for StoreWatch {
    fn drop(&mut self) {
        self.board.target.with_machine(|_| self.board.target.memory.watch.unwatch(self.number));
    }
}

/// Whether the memories can lie on one bus.
fn check(map: &[(MemoryKind, Region)]) -> Result<(), BoardError> {
    for (at, (_, region)) in map.iter().enumerate() {
        if region.is_empty() || region.end() > 0xe000_0000 {
            return Err(BoardError::Memory(format!("{region:?} is empty or reaches into the private peripherals")));
        }
        if let Some((_, other)) = map[..at].iter().find(|(_, other)| other.words().overlaps(region.words())) {
            return Err(BoardError::Memory(format!("{region:?} and {other:?} overlap")));
        }
    }
    Ok(())
}
