//! The board's flash controller, the algorithm that drives it, and both as probe-rs describes a chip.
//!
//! probe-rs flashes a chip by running a small program on its core, called the flash algorithm: position-independent
//! code in RAM with the entry points of a CMSIS flash algorithm (`Init`, `UnInit`, `EraseSector`, `ProgramPage`). This
//! is the one for the emulated board. The controller is nobody's product; it behaves as flash does: it has to be
//! unlocked, programming clears bits, and only erasing a whole sector sets them.
//!
//! | offset | register | |
//! |---|---|---|
//! | 0 | KEY | the key unlocks and clears STATUS, anything else locks |
//! | 4 | ADDRESS | where the next word goes |
//! | 8 | DATA | programs a word there, and ADDRESS goes on by 4 |
//! | 12 | ERASE | erases the sector that holds the address written |
//! | 16 | STATUS | 0, or 1 once something was refused |

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use probe_rs::config::{MemoryRegion, Registry, Target};
use probe_rs_target::{
    Chip, ChipFamily, CoreType, FlashProperties, MemoryAccess, NvmRegion, RamRegion, RawFlashAlgorithm,
    SectorDescription, TargetDescriptionSource,
};
use rsemu::core::space::{MemAttrs, MemOps, MemResult};

use super::image::CoreKind;
use super::memory::{Memory, MemoryKind};
use crate::region::Region;

/// The controller's registers: in the vendor's part of the private peripherals, where no board has memory.
pub(crate) const REGISTERS: Region = Region::new(0xe00f_e000, 0x1000);

/// One sector: bytes. The last one of a flash may be shorter.
const SECTOR: u32 = 4096;
/// What probe-rs hands the algorithm at once: bytes.
const PAGE: u32 = 1024;
/// What unlocks the controller.
const KEY: u32 = 0x57a7_1c00;
/// How long the algorithm may take for one page or sector, on a busy host: milliseconds.
const PATIENCE_MS: u32 = 10_000;

/// The flash algorithm: Thumb code that every Cortex-M runs.
#[rustfmt::skip]
const ALGORITHM: [u16; 26] = [
    // Init(address, clock, operation) -> 0
    0x490a, //  0  ldr   r1, [pc, #40]   the registers
    0x480b, //  2  ldr   r0, [pc, #44]   the key
    0x6008, //  4  str   r0, [r1, #0]    KEY
    0x2000, //  6  movs  r0, #0
    0x4770, //  8  bx    lr
    // UnInit(operation) -> 0
    0x4908, //  a  ldr   r1, [pc, #32]
    0x2000, //  c  movs  r0, #0
    0x6008, //  e  str   r0, [r1, #0]    KEY: locks
    0x4770, // 10  bx    lr
    // EraseSector(address) -> status
    0x4906, // 12  ldr   r1, [pc, #24]
    0x60c8, // 14  str   r0, [r1, #12]   ERASE
    0x6908, // 16  ldr   r0, [r1, #16]   STATUS
    0x4770, // 18  bx    lr
    // ProgramPage(address, size, buffer) -> status
    0x4b04, // 1a  ldr   r3, [pc, #16]
    0x6058, // 1c  str   r0, [r3, #4]    ADDRESS
    0x3904, // 1e  subs  r1, #4
    0xdb02, // 20  blt   28
    0xca01, // 22  ldmia r2!, {r0}
    0x6098, // 24  str   r0, [r3, #8]    DATA
    0xe7fa, // 26  b     1e
    0x6918, // 28  ldr   r0, [r3, #16]   STATUS
    0x4770, // 2a  bx    lr
    0xe000, 0xe00f, // 2c  the registers
    0x1c00, 0x57a7, // 30  the key
];
/// Offsets of its entry points, with the bit that says Thumb.
const INIT: u64 = 0x01;
const UNINIT: u64 = 0x0b;
const ERASE_SECTOR: u64 = 0x13;
const PROGRAM_PAGE: u64 = 0x1b;

/// The controller, as the core sees it.
#[derive(Debug)]
pub(crate) struct Controller {
    memory: Arc<Memory>,
    unlocked: AtomicBool,
    refused: AtomicBool,
    address: AtomicU32,
}

impl Controller {
    pub(crate) fn new(memory: Arc<Memory>) -> Self {
        Self { memory, unlocked: AtomicBool::new(false), refused: AtomicBool::new(false), address: AtomicU32::new(0) }
    }

    /// Notes whether the controller did what it was told.
    fn done(&self, done: bool) {
        self.refused.fetch_or(!done, Ordering::AcqRel);
    }
}

impl MemOps for Controller {
    fn read(&self, offset: u64, into: &mut [u8], _: MemAttrs) -> MemResult {
        let value = if offset == 16 { u32::from(self.refused.load(Ordering::Acquire)) } else { 0 };
        for (to, from) in into.iter_mut().zip(value.to_le_bytes()) {
            *to = from;
        }
        Ok(())
    }

    fn write(&self, offset: u64, from: &[u8], _: MemAttrs) -> MemResult {
        // Registers take whole words, as most vendors' do.
        let Ok(bytes) = <[u8; 4]>::try_from(from) else { return Ok(()) };
        let value = u32::from_le_bytes(bytes);
        let unlocked = self.unlocked.load(Ordering::Acquire);
        match offset {
            0 => {
                self.unlocked.store(value == KEY, Ordering::Release);
                self.refused.store(false, Ordering::Release);
            }
            4 => self.address.store(value, Ordering::Release),
            8 => {
                let address = self.address.fetch_add(4, Ordering::AcqRel);
                self.done(unlocked && address.is_multiple_of(4) && self.memory.program(address, value));
            }
            12 => self.done(unlocked && self.memory.erase(value, SECTOR)),
            _ => {}
        }
        Ok(())
    }
}

/// The board as probe-rs describes a chip: its memories, and the algorithm for its flash.
///
/// # Errors
///
/// probe-rs does not take the description, and why.
pub(crate) fn description(name: &str, kind: CoreKind, map: &[(MemoryKind, Region)]) -> Result<Target, String> {
    let core = match kind {
        CoreKind::M0Plus => CoreType::Armv6m,
        CoreKind::M3 => CoreType::Armv7m,
        CoreKind::M4 | CoreKind::M4F | CoreKind::M7 | CoreKind::M7F => CoreType::Armv7em,
        CoreKind::M33 | CoreKind::M33F => CoreType::Armv8m,
    };
    let mut chip = Chip::generic_arm(name, core);
    let cores: Vec<String> = chip.cores.iter().map(|core| core.name.clone()).collect();
    let mut algorithms = Vec::new();
    for (kind, region) in map {
        let range = u64::from(region.start())..u64::from(region.start()) + u64::from(region.size());
        match kind {
            MemoryKind::Ram => chip.memory_map.push(MemoryRegion::Ram(RamRegion {
                name: Some("RAM".into()),
                range,
                cores: cores.clone(),
                is_alias: false,
                access: None,
            })),
            MemoryKind::Flash => {
                let algorithm = algorithm(&format!("flash at {:#010x}", region.start()), range.clone(), &cores);
                chip.flash_algorithms.push(algorithm.name.clone());
                algorithms.push(algorithm);
                chip.memory_map.push(MemoryRegion::Nvm(NvmRegion {
                    name: Some("Flash".into()),
                    range,
                    cores: cores.clone(),
                    is_alias: false,
                    access: Some(MemoryAccess { read: true, write: false, execute: true, boot: true }),
                }));
            }
            MemoryKind::Peripheral => {}
        }
    }
    let family = ChipFamily {
        name: name.to_owned(),
        manufacturer: None,
        chip_detection: Vec::new(),
        generated_from_pack: false,
        pack_file_release: None,
        variants: vec![chip],
        flash_algorithms: algorithms,
        source: TargetDescriptionSource::External,
    };
    let mut registry = Registry::new();
    registry.add_target_family(family).map_err(|error| error.to_string())?;
    registry.get_target_by_name(name).map_err(|error| error.to_string())
}

fn algorithm(name: &str, address_range: std::ops::Range<u64>, cores: &[String]) -> RawFlashAlgorithm {
    RawFlashAlgorithm {
        name: name.to_owned(),
        description: "the emulated board's".into(),
        default: true,
        instructions: ALGORITHM.iter().flat_map(|half| half.to_le_bytes()).collect(),
        pc_init: Some(INIT),
        pc_uninit: Some(UNINIT),
        pc_program_page: PROGRAM_PAGE,
        pc_erase_sector: ERASE_SECTOR,
        flash_properties: FlashProperties {
            address_range,
            page_size: PAGE,
            erased_byte_value: 0xff,
            program_page_timeout: PATIENCE_MS,
            erase_sector_timeout: PATIENCE_MS,
            sectors: vec![SectorDescription { size: u64::from(SECTOR), address: 0 }],
        },
        cores: cores.to_vec(),
        stack_size: Some(256),
        ..RawFlashAlgorithm::default()
    }
}
