//! The emulated board as a source: `--probe sim`. The bytes go through probe-rs like any probe's.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::Counters;
use super::chip::Chip;
use super::probe::{Instruments, OpenError, ProbeOptions, ProbeSource};
use crate::image::layout::Memory;
use crate::model::snapshot::MemoryKind;
use crate::region::{Region, merge};
use crate::simulator::{
    Board, BoardError, Clock, CoreKind, Fault, Image, ImageError, LinkModel, MemoryKind as Kind, Options,
};

/// Where a core's private peripherals begin (ARM DDI 0403E B3.1).
const PRIVATE_PERIPHERALS: u32 = 0xE000_0000;

/// How to emulate a board.
#[derive(Clone, Debug)]
pub struct Emulation {
    /// The firmware's ELF.
    pub elf: Vec<u8>,
    /// The memories the board has.
    pub memories: Vec<Memory>,
    /// Words set at each power-on, before the core starts.
    pub pokes: Vec<(u32, u32)>,
    /// The seed of RAM's content at power-on.
    pub seed: u64,
    /// The link that is modelled.
    pub link: LinkModel,
    /// Whether emulated time passes by itself or with the reads only.
    pub clock: Clock,
    /// From when on waiting takes real time too, in lockstep: for people. `None`: never.
    pub paced_from: Option<Duration>,
    /// What goes wrong, and when.
    pub faults: Vec<(Duration, Fault)>,
    /// Data comparators of its DWT; `None` for as many as such a core has.
    pub comparators: Option<u32>,
    /// Whether there is nothing in it yet, as when it comes from its maker.
    pub erased: bool,
    /// The core; `None` for the one that the ELF was built for.
    pub core: Option<CoreKind>,
    /// The chip that it is opened as: its access port is where that chip has it. `None`: any.
    pub chip: Option<Chip>,
}

/// Why the board could not be emulated.
#[derive(Debug, Error)]
pub enum EmulationError {
    /// The ELF cannot be run.
    #[error("the emulated board cannot run this ELF: {0}")]
    Image(#[from] ImageError),
    /// The board cannot be made.
    #[error("the emulated board cannot be made: {0}")]
    Board(#[from] BoardError),
    /// It makes no chip.
    #[error("the emulated board cannot be flashed: {0}")]
    Chip(String),
    /// Its probe does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Powers a board on and attaches to it.
///
/// # Errors
///
/// The ELF is not for a Cortex-M, or its memories are no memory map.
pub fn open(emulation: &Emulation) -> Result<(ProbeSource, Arc<Board>), EmulationError> {
    let board = power_on(emulation)?;
    Ok((attach(&board, emulation)?, board))
}

/// Powers a board on.
///
/// # Errors
///
/// The ELF is not for a Cortex-M, or its memories are no memory map.
pub fn power_on(emulation: &Emulation) -> Result<Arc<Board>, EmulationError> {
    let image = Image::from_elf(&emulation.elf)?;
    let image = if emulation.erased { image.erased() } else { image };
    let mut options = Options::new(image).link(emulation.link).seed(emulation.seed);
    options.clock = emulation.clock;
    options.comparators = emulation.comparators;
    options.core = emulation.core;
    (options.port, options.targetsel) = emulation.chip.as_ref().map(Chip::port).unwrap_or_default();
    options.pokes.clone_from(&emulation.pokes);
    if emulation.memories.iter().all(|memory| memory.size_known) {
        options.memory = emulation.memories.iter().map(|memory| (kind(memory.kind), memory.range)).collect();
        let registers = emulation.chip.as_ref().map(sleep_registers).unwrap_or_default();
        for range in registers {
            if !options.memory.iter().any(|(_, memory)| memory.overlaps(range)) {
                options.memory.push((Kind::Ram, range));
            }
        }
    }
    let board = Board::create(options)?;
    for (at, fault) in &emulation.faults {
        board.inject_at(*at, *fault);
    }
    Ok(board)
}

/// Where a chip has the register that keeps its debug port awake, and the one that clocks it: what a flag writes must be there. The
/// private peripherals are the core's own.
fn sleep_registers(chip: &Chip) -> Vec<Region> {
    let register = chip.sleep_debug();
    let places = register.iter().flat_map(|found| [Some(found.address), found.clock.map(|(clock, _)| clock)]);
    let outside = places.flatten().filter(|address| *address < PRIVATE_PERIPHERALS);
    merge(&outside.map(|address| Region::new(address & !0x3ff, 0x400)).collect::<Vec<_>>(), 0)
}

/// The board as a chip that can be flashed, on its probe.
///
/// # Errors
///
/// Its memories make no chip.
pub fn chip(board: &Board) -> Result<ProbeOptions, EmulationError> {
    let chip = Chip::from(board.description().map_err(EmulationError::Chip)?);
    Ok(ProbeOptions { selector: Some(board.selector().to_string()), chip: Some(chip), ..ProbeOptions::default() })
}

/// Attaches to a board that is powered already.
///
/// # Errors
///
/// Its probe does not open: it is unplugged, or open already.
pub fn attach(board: &Arc<Board>, emulation: &Emulation) -> Result<ProbeSource, EmulationError> {
    let probe = ProbeOptions {
        selector: Some(board.selector().to_string()),
        chip: emulation.chip.clone(),
        ..ProbeOptions::default()
    };
    attach_with(board, emulation, probe)
}

/// Attaches to a board that is powered already, in a way of one's own.
///
/// # Errors
///
/// Its probe does not open: it is unplugged, or open already.
pub fn attach_with(
    board: &Arc<Board>,
    emulation: &Emulation,
    options: ProbeOptions,
) -> Result<ProbeSource, EmulationError> {
    let instruments = BoardInstruments {
        packet_words: emulation.link.packet_words(),
        board: Arc::clone(board),
        lockstep: emulation.clock == Clock::Lockstep,
        paced_from: emulation.paced_from,
    };
    Ok(ProbeSource::open(options, Box::new(instruments))?)
}

fn kind(kind: MemoryKind) -> Kind {
    match kind {
        MemoryKind::Flash => Kind::Flash,
        MemoryKind::Ram => Kind::Ram,
    }
}

/// The board's own clock and counters.
#[derive(Debug)]
pub struct BoardInstruments {
    board: Arc<Board>,
    packet_words: u32,
    lockstep: bool,
    paced_from: Option<Duration>,
}

impl Instruments for BoardInstruments {
    fn now(&self) -> Duration {
        self.board.now()
    }

    fn wait(&mut self, time: Duration) {
        if self.lockstep {
            self.board.advance(time);
        }
        if !self.lockstep || self.paced_from.is_some_and(|from| self.board.now() >= from) {
            std::thread::sleep(time);
        }
    }

    fn counters(&self) -> Counters {
        let counters = self.board.counters();
        Counters {
            bytes: counters.bytes_read,
            transactions: Some(counters.transactions),
            usb_commands: Some(counters.usb_commands),
            halts: Some(counters.halts),
            writes: Some(counters.writes()),
        }
    }

    fn packet_words(&self) -> Option<u32> {
        Some(self.packet_words)
    }
}
