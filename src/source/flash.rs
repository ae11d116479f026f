//! Writing a firmware into a chip's flash, by probe-rs's own flash loader.
//!
//! Only `highwater run` does this. It needs a probe-rs `Session`, which halts the core: when this is done, the session
//! is gone and the core waits in RAM for the reset that begins the firmware, so that what follows is an attach like any
//! other.

use std::io::Cursor;
use std::time::Duration;

use probe_rs::config::{MemoryRegion, TargetSelector};
use probe_rs::flashing::{DownloadOptions, ElfLoader, ElfOptions, FlashProgress, ProgressEvent, ProgressOperation};
use probe_rs::{MemoryInterface, Permissions, Session};
use thiserror::Error;

use super::chip::Chip;
use super::mem_ap::chain;
use super::probe::{self, Approach, OpenError, ProbeOptions};

/// How long a reset may take.
const RESET: Duration = Duration::from_millis(500);

/// What is done to the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// What is there is compared with the firmware.
    Compare,
    /// Sectors are erased.
    Erase,
    /// Pages are written.
    Program,
    /// What was written is read back and compared.
    Verify,
}

/// How far a stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The stage.
    pub stage: Stage,
    /// Bytes done.
    pub done: u64,
    /// Bytes to do.
    pub total: u64,
}

/// What flashing has come to.
#[derive(Clone, Debug)]
pub struct Flashed {
    /// The chip, also when probe-rs has found out which one it is.
    pub chip: Chip,
    /// Bytes that were written; `None` when the flash had all of it before and was not touched.
    pub written: Option<u64>,
}

/// Why a firmware could not be flashed.
#[derive(Debug, Error)]
pub enum FlashError {
    /// The probe does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No chip is named, and it does not say itself what it is.
    #[error("which chip this is cannot be told from the outside ({why}); name it with --chip, as probe-rs calls it")]
    WhichChip {
        /// What probe-rs says.
        why: String,
    },
    /// The chip does not answer.
    #[error("{chip} does not answer: {why}; check power and wiring, or try --connect-under-reset")]
    Attach {
        /// The chip's name.
        chip: String,
        /// What probe-rs says.
        why: String,
    },
    /// It cannot be written.
    #[error("flashing {chip} failed: {why}; what its flash holds now is not known")]
    Write {
        /// The chip's name.
        chip: String,
        /// What probe-rs says.
        why: String,
    },
    /// The firmware is not one for this chip.
    #[error("this firmware cannot be flashed to {chip}: {why}")]
    Firmware {
        /// The chip's name.
        chip: String,
        /// What probe-rs says.
        why: String,
    },
    /// It was written and cannot be reset.
    #[error("{chip} was flashed and cannot be reset: {why}")]
    Park {
        /// The chip's name.
        chip: String,
        /// What probe-rs says.
        why: String,
    },
}

/// Writes the firmware into the flash. Where that has all of it already, it is not touched. The core then goes round in
/// RAM until the next reset.
///
/// # Errors
///
/// See [`FlashError`]: probe, chip or firmware is not what it should be, or writing failed.
pub fn flash(
    options: &ProbeOptions,
    elf: &[u8],
    verify: bool,
    mut tell: impl FnMut(Progress),
) -> Result<Flashed, FlashError> {
    let (mut session, chip) = attach(options)?;
    let name = chip.name().to_owned();
    let written = write(&mut session, &name, elf, verify, &mut tell)?;
    park(&mut session).map_err(|error| FlashError::Park { chip: name, why: chain(&error) })?;
    Ok(Flashed { chip, written })
}

fn attach(options: &ProbeOptions) -> Result<(Session, Chip), FlashError> {
    let probe = probe::open_as_wished(options)?;
    let target = options.chip.as_ref().map_or(TargetSelector::Auto, |chip| TargetSelector::Specified(chip.target()));
    // Nothing is ever erased to get into a chip that is locked.
    let permissions = Permissions::new();
    let session = if options.approach == Approach::UnderReset {
        probe.attach_under_reset(target, permissions)
    } else {
        probe.attach(target, permissions)
    };
    let session = session.map_err(|error| match &options.chip {
        Some(chip) => FlashError::Attach { chip: chip.name().to_owned(), why: chain(&error) },
        None => FlashError::WhichChip { why: chain(&error) },
    })?;
    let chip = Chip::from(session.target().clone());
    if chip.cannot_be_flashed() {
        let why = "its description has no flash algorithm; a full chip name has one, a core's name has none";
        return Err(FlashError::Firmware { chip: chip.name().to_owned(), why: why.into() });
    }
    Ok((session, chip))
}

fn write(
    session: &mut Session,
    chip: &str,
    elf: &[u8],
    verify: bool,
    tell: &mut impl FnMut(Progress),
) -> Result<Option<u64>, FlashError> {
    let mut loader = session.target().flash_loader();
    let elf_file = ElfLoader(ElfOptions::default());
    loader
        .load_image(session, &mut Cursor::new(elf), elf_file, None)
        .map_err(|error| FlashError::Firmware { chip: chip.to_owned(), why: chain(&error) })?;
    let size: u64 = loader.data().map(|(_, data)| data.len() as u64).sum();
    let mut compared = Meter::new(&mut *tell, Stage::Compare);
    let is_there = loader.verify(session, &mut FlashProgress::new(|event| compared.hear(&event))).is_ok();
    if is_there {
        return Ok(None);
    }
    let mut written = Meter::new(tell, Stage::Verify);
    let mut options = DownloadOptions::default();
    options.verify = verify;
    // A sector is erased whole: what else lies in it stays.
    options.keep_unwritten_bytes = true;
    options.progress = FlashProgress::new(|event| written.hear(&event));
    loader.commit(session, options).map_err(|error| FlashError::Write { chip: chip.to_owned(), why: chain(&error) })?;
    Ok(Some(size))
}

/// Resets the chip and lets its core go round in RAM: the end of a session lets every core run, and the firmware is to
/// begin once, when somebody listens.
fn park(session: &mut Session) -> Result<(), probe_rs::Error> {
    /// `b .`, twice.
    const HERE: u32 = 0xe7fe_e7fe;
    let core_name = session.target().default_core().name.clone();
    let regions = session.target().memory_map.clone();
    let ram = regions.iter().filter_map(MemoryRegion::as_ram_region);
    let place = ram.filter(|ram| ram.is_executable() && ram.cores.contains(&core_name)).map(|ram| ram.range.start);
    let mut core = session.core(0)?;
    core.reset_and_halt(RESET)?;
    if let Some(address) = place.min() {
        core.write_word_32(address, HERE)?;
        let counter = core.program_counter();
        core.write_core_reg(counter, address)?;
    }
    core.run()
}

/// From probe-rs's events to how far a stage is.
struct Meter<'a, F> {
    tell: &'a mut F,
    /// What `Verify` means here: before writing it is a comparison.
    verifying: Stage,
    totals: Vec<(Stage, u64)>,
    done: u64,
}

impl<'a, F: FnMut(Progress)> Meter<'a, F> {
    fn new(tell: &'a mut F, verifying: Stage) -> Self {
        Self { tell, verifying, totals: Vec::new(), done: 0 }
    }

    fn hear(&mut self, event: &ProgressEvent) {
        match event {
            ProgressEvent::AddProgressBar { operation, total: Some(total) } => {
                if let Some(stage) = self.stage(*operation) {
                    match self.totals.iter_mut().find(|(other, _)| *other == stage) {
                        Some((_, sum)) => *sum += total,
                        None => self.totals.push((stage, *total)),
                    }
                }
            }
            ProgressEvent::Started(_) => self.done = 0,
            ProgressEvent::Progress { operation, size, .. } => {
                self.done += size;
                if let Some(stage) = self.stage(*operation) {
                    let total = self.totals.iter().find(|(other, _)| *other == stage).map_or(0, |(_, total)| *total);
                    (self.tell)(Progress { stage, done: self.done, total });
                }
            }
            ProgressEvent::DiagnosticMessage { message } => tracing::info!("the flash algorithm says {message:?}"),
            _ => {}
        }
    }

    fn stage(&self, operation: ProgressOperation) -> Option<Stage> {
        match operation {
            ProgressOperation::Erase => Some(Stage::Erase),
            ProgressOperation::Program => Some(Stage::Program),
            ProgressOperation::Verify => Some(self.verifying),
            ProgressOperation::Fill => None,
        }
    }
}
