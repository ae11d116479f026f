//! From the command line's words to a sampler that works: ELF, chip, memories, source.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::firmware::{chip, read, watcher};
use super::listen::Listener;
use super::place::Place;
use super::record::{Content, Destination, Session};
use super::wanted::{Elf, Wanted};
use super::watch::{Stamp, Watcher};
use super::{Failure, firmware};
use crate::cli::Firmware;
use crate::image::layout::{self, Memory};
use crate::image::{Image, Machine};
use crate::model::Model;
use crate::model::catch::Mode;
use crate::recording::header::{Header, Identity};
use crate::sampler::painter::Painter;
use crate::sampler::tripwire::{GoOn, Release, Tripwire};
use crate::sampler::{Options, Sampler, static_snapshot};
use crate::source::chip::Chip;
use crate::source::chip::sleep::SleepDebug;
use crate::source::control::awake::{Awake, Refusal};
use crate::source::control::left::Keeper;
use crate::source::file::Saved;
use crate::source::gdb::{GdbError, GdbSource, Terms};
use crate::source::probe::{self, HostInstruments, OpenError, ProbeOptions, ProbeSource};
use crate::source::qemu::{QemuError, QemuSource};
use crate::source::recorder::{Desk, Recorder};
use crate::source::{ReadError, Source};

/// The demo firmware.
#[cfg(feature = "simulator")]
const DEMO: &[u8] = include_bytes!("../../assets/demo.elf");

/// What the target is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// A person who watches.
    Watching,
    /// One snapshot: emulated time passes as fast as it can, and the same way each time.
    Snapshot,
}

/// Whether the run is recorded.
#[derive(Clone, Debug)]
pub enum Taping {
    /// Never.
    Never,
    /// When somebody asks for it.
    OnRequest,
    /// From the first question to the target on.
    FromStart(Destination),
}

/// A target that is attached to.
pub struct Opened {
    /// Reads it.
    pub sampler: Sampler,
    /// Knows the static picture so far.
    pub model: Model,
    /// Time to let pass first, in emulated time.
    pub run_first: Option<Duration>,
    /// Lets a core go on that the tripwire stopped.
    pub go_on: GoOn,
    /// What may touch the target, in words.
    pub access: &'static str,
    /// What a recording of it begins with, or why there cannot be one.
    pub tape: Result<Session, &'static str>,
    /// Hears what the firmware says, when that is asked for.
    pub listener: Option<Listener>,
    /// Watches the ELF for new builds, when somebody looks at the target and there is a file.
    pub watcher: Option<Watcher>,
}

/// Why a run whose flags touch the target is not recorded.
const TOUCHED: &str =
    "no recording with --tripwire, --culprit, --paint or --debug-in-sleep: what these do is not in the reads";
/// What helps against a chip that sleeps, where its debug port can be kept awake.
const HELP_IN_SLEEP: &str = "The target did not answer. If it sleeps, --debug-in-sleep keeps its debug port awake; it sets bits \
    of DBGMCU until the end, and sleep takes more current meanwhile.";
/// Why saved memory is not.
const SAVED: &str = "no recording of saved memory: no time passes in it";

/// Attaches to the target.
///
/// # Errors
///
/// See [`Failure`]: the ELF, the chip, the probe or the target is not what it should be.
pub fn open(wanted: &Wanted, purpose: For, taping: &Taping) -> Result<Opened, Failure> {
    with(wanted, Program::read(wanted)?, purpose, taping)
}

/// The ELF of a run, read once: what is parsed, flashed, hashed and recorded are the same bytes.
pub(super) struct Program {
    pub(super) image: Image,
    bytes: Vec<u8>,
    /// Where a new build will lie, and the file's state before it was opened.
    file: Option<(Firmware, PathBuf, Stamp)>,
}

impl Program {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// What is asked for contradicts itself; there is no ELF, it is no firmware, or it was written to meanwhile.
    pub(super) fn read(wanted: &Wanted) -> Result<Self, Failure> {
        wanted.agrees()?;
        match &wanted.elf {
            Elf::File(firmware) => {
                let path = firmware::path(firmware)?;
                let stamp = Stamp::of(&path);
                let image = read(firmware, &path)?;
                let bytes = image.original().bytes().ok_or_else(|| {
                    Failure::Error(format!(
                        "{} was written to while it was read: try again",
                        firmware::printable(&path)
                    ))
                })?;
                Ok(Self { image, bytes, file: Some((firmware.clone(), path, stamp)) })
            }
            #[cfg(feature = "simulator")]
            Elf::Demo => {
                let image = Image::parse(std::path::Path::new("demo.elf"), DEMO);
                let image = image.map_err(|error| Failure::Error(error.to_string()))?;
                Ok(Self { image, bytes: DEMO.to_vec(), file: None })
            }
        }
    }
}

/// Attaches to the target that runs `program`.
///
/// # Errors
///
/// See [`open`].
pub(super) fn with(wanted: &Wanted, program: Program, purpose: For, taping: &Taping) -> Result<Opened, Failure> {
    let Program { image, bytes, file } = program;
    if image.machine == Machine::RiscV {
        return Err(Failure::Error(format!(
            "{} is a RISC-V firmware: so far, only Arm Cortex-M targets can be read without stopping them, by a probe \
             or on the emulated board; `highwater layout` shows its static picture",
            image.name()
        )));
    }
    let mut chip = chip(&wanted.chip, &image)?;
    if let (Some(loading), Place::Probe) = (wanted.loading, wanted.place()) {
        chip = Some(loading.flash(&probe_options(wanted, chip), &bytes)?);
    }
    let mut known = chip.as_ref().map(Chip::memories).unwrap_or_default();
    let server = server(wanted, &mut known)?;
    let memories = layout::memories(&image, &known);
    let go_on = GoOn::default();
    let content = match &wanted.elf {
        Elf::File(_) => Content::File(image.original()),
        #[cfg(feature = "simulator")]
        Elf::Demo => Content::BuiltIn(DEMO),
    };
    let fixed = static_snapshot(&image, &memories);
    let identity = Identity::of(&image.name(), &bytes, fixed.target.build_id.clone());
    let header = Header::new(identity, wanted.beside(), wanted.rate_hz, &memories);
    let mut tape = Ok(Session { desk: Desk::default(), header, elf: Some(content) });
    if wanted.is_saved() {
        tape = Err(SAVED);
    }
    let mut listener = None;
    let mut help_in_sleep = None;
    let (source, touching, access): (Box<dyn Source>, _, _) = if let Some((source, access)) = server {
        (source, (None, None, None), access)
    } else {
        let content = wanted.ears.as_ref().map(|ears| (ears.clone(), bytes.clone()));
        let register = sleep_debug(wanted, chip.as_ref())?;
        help_in_sleep =
            chip.as_ref().and_then(Chip::sleep_debug).filter(|_| !wanted.debug_in_sleep).map(|_| HELP_IN_SLEEP);
        let source = if wanted.is_emulated() {
            open_emulated(wanted, purpose, &image, bytes, &memories, chip)?
        } else {
            open_probe(wanted, chip)?
        };
        let tripwire = match &wanted.tripwire {
            Some(mode) => Some(tripwire(wanted, mode, &source, purpose, &go_on)?),
            None => None,
        };
        let painter = wanted.paint.then(|| Painter::new(Box::new(source.control())));
        let awake = match register {
            Some(register) => Some(keep_awake(wanted, register, &source)?),
            None => None,
        };
        if tripwire.is_some() || painter.is_some() || awake.is_some() {
            tape = Err(TOUCHED);
        }
        if let Some((ears, elf)) = content {
            let regions = memories.iter().map(|memory| memory.range).collect();
            listener = Some(Listener::new(Box::new(source.control()), ears, &image, &elf, regions)?);
        }
        (Box::new(source), (tripwire, painter, awake), wanted.access())
    };
    let source: Box<dyn Source> = match (&mut tape, taping) {
        (Err(_), _) | (_, Taping::Never) => source,
        (Ok(session), Taping::OnRequest) => Box::new(Recorder::new(source, session.desk.clone())),
        (Ok(session), Taping::FromStart(destination)) => {
            let (file, writer) = destination.begin(session)?;
            Box::new(Recorder::recording(source, session.desk.clone(), file, writer))
        }
    };
    let (tripwire, painter, awake) = touching;
    let found = source.describe();
    let core = found.core.as_deref().unwrap_or("unknown");
    tracing::info!(
        "{} on {}, core {core}, chip {}",
        image.name(),
        found.source,
        found.chip.as_deref().unwrap_or("unknown")
    );
    let model = wanted.rules.apply(Model::new(fixed));
    let options = Options { rate_hz: wanted.rate_hz };
    let gone = |error: ReadError| Failure::Unreachable(error.to_string());
    let mut sampler = Sampler::new(source, Arc::new(image), memories, options).map_err(gone)?;
    if let Some(difference) = sampler.verify().map_err(gone)?
        && !wanted.probe.allow_mismatch
    {
        return Err(Failure::Error(format!(
            "the target does not run this ELF: {difference}; flash it, give the ELF that was flashed, or look anyway \
             with --allow-mismatch"
        )));
    }
    if let Some(tripwire) = tripwire {
        sampler = sampler.with_tripwire(tripwire);
    }
    if let Some(painter) = painter {
        sampler = sampler.with_painter(painter);
    }
    if let Some(awake) = awake {
        sampler = sampler.with_awake(awake);
    }
    if let Some(help) = help_in_sleep {
        sampler = sampler.with_help_in_sleep(help);
    }
    tracing::info!("attached; the link costs {:?}", sampler.cost());
    let file = file.filter(|_| purpose == For::Watching);
    let watcher = file.map(|(firmware, path, stamp)| watcher(&firmware, &path, stamp, known));
    Ok(Opened { sampler, model, run_first: wanted.sim.sim_time, go_on, access, tape, listener, watcher })
}

/// A source, and what it may do to the target, in words.
type Reached = (Box<dyn Source>, &'static str);

/// What takes a probe's place; it adds the memories that it knows of to those of the chip.
fn server(wanted: &Wanted, known: &mut Vec<Memory>) -> Result<Option<Reached>, Failure> {
    Ok(match wanted.place() {
        Place::Probe | Place::Emulated => None,
        Place::Saved => {
            let saved = Saved::open(wanted.saved.core.as_deref(), &wanted.saved.ram);
            Some((Box::new(saved.map_err(|error| Failure::Error(error.to_string()))?), "saved memory"))
        }
        Place::Gdb(server) => {
            let terms = Terms { allow_halt: wanted.server.allow_halt, keep_halted: wanted.server.keep_halted };
            let mut source = GdbSource::open(server, terms).map_err(|error| match error {
                GdbError::OtherCore { .. } => Failure::Error(error.to_string()),
                _ => Failure::Unreachable(error.to_string()),
            })?;
            let mapped = source.memories().map_err(|error| Failure::Unreachable(error.to_string()))?;
            let is_new = |memory: &Memory| !known.iter().any(|other| other.range.overlaps(memory.range));
            let new: Vec<Memory> = mapped.into_iter().filter(is_new).collect();
            known.extend(new);
            let access = if source.stops_the_core() { "stops the core" } else { "read-only" };
            Some((Box::new(source), access))
        }
        Place::Qemu(endpoint) => {
            let source = QemuSource::open(endpoint).map_err(|error| match error {
                QemuError::OtherCore { .. } => Failure::Error(error.to_string()),
                QemuError::Unreachable(_) => Failure::Unreachable(error.to_string()),
            })?;
            Some((Box::new(source), "read-only"))
        }
    })
}

/// The tripwire of this run; it touches nothing before the stacks are known.
fn tripwire(
    wanted: &Wanted,
    mode: &Mode,
    source: &ProbeSource,
    purpose: For,
    go_on: &GoOn,
) -> Result<Tripwire, Failure> {
    let release = match purpose {
        For::Watching => Release::When(go_on.clone()),
        For::Snapshot => Release::AtOnce,
    };
    // The emulated board ends with this process, and what was found in it with it.
    let keeper = if wanted.is_emulated() { None } else { Some(keeper("tripwire", wanted, source)?) };
    Ok(Tripwire::new(Box::new(source.control()), mode.clone(), release, keeper))
}

/// The register that keeps the chip's debug port awake, when that is asked for.
fn sleep_debug(wanted: &Wanted, chip: Option<&Chip>) -> Result<Option<SleepDebug>, Failure> {
    if !wanted.debug_in_sleep {
        return Ok(None);
    }
    let chip = chip.ok_or_else(|| {
        Failure::Error("--debug-in-sleep sets a register that differs from chip to chip: name it with --chip".into())
    })?;
    let known = chip.sleep_debug().ok_or_else(|| {
        Failure::Error(format!(
            "--debug-in-sleep: no register is known that keeps the debug port of {} awake, so none is written",
            chip.name()
        ))
    })?;
    Ok(Some(known))
}

/// The chip's debug port, kept awake from now on.
fn keep_awake(wanted: &Wanted, register: SleepDebug, source: &ProbeSource) -> Result<Awake, Failure> {
    let keeper = if wanted.is_emulated() { None } else { Some(keeper("awake", wanted, source)?) };
    let refused = |why: Refusal| match why {
        Refusal::Link(ReadError::Gone(_)) => Failure::Unreachable(why.to_string()),
        _ => Failure::Error(format!("--debug-in-sleep: {why}")),
    };
    Awake::begin(Box::new(source.control()), register, keeper).map_err(refused)
}

/// Where this probe's and chip's debug registers are kept until they are put back: below `XDG_STATE_HOME`, as the XDG
/// base directory specification has it.
fn keeper(what: &str, wanted: &Wanted, source: &ProbeSource) -> Result<Keeper, Failure> {
    let folder = |name: &str| std::env::var_os(name).map(std::path::PathBuf::from).filter(|path| path.is_absolute());
    let state = folder("XDG_STATE_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".local/state")))
        .or_else(|| folder("LOCALAPPDATA"))
        .ok_or_else(|| {
            Failure::Error(
                "what is found in the target is kept in a file before it is changed: set XDG_STATE_HOME".into(),
            )
        })?;
    let asked = wanted.probe.probe.as_deref().unwrap_or_default();
    let listed = probe::list().into_iter().find(|probe| probe.selector.starts_with(asked));
    let found = source.describe();
    let probe = listed.map_or_else(|| found.source.clone(), |probe| probe.selector);
    let key = format!("{probe}-{}", found.chip.or(found.core).unwrap_or_default());
    let key: String = key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    Ok(Keeper::new(state.join("highwater").join(format!("{what}-{key}.json"))))
}

fn probe_options(wanted: &Wanted, chip: Option<Chip>) -> ProbeOptions {
    ProbeOptions {
        selector: wanted.probe.probe.clone(),
        protocol: wanted.probe.protocol,
        speed_khz: wanted.probe.speed,
        approach: wanted.approach(),
        chip,
    }
}

fn open_probe(wanted: &Wanted, chip: Option<Chip>) -> Result<ProbeSource, Failure> {
    match ProbeSource::open(probe_options(wanted, chip), Box::<HostInstruments>::default()) {
        Ok(source) => Ok(source),
        Err(error @ (OpenError::BadSelector { .. } | OpenError::UnsupportedCore { .. })) => {
            Err(Failure::Error(error.to_string()))
        }
        Err(error) => Err(Failure::Unreachable(error.to_string())),
    }
}

#[cfg(feature = "simulator")]
fn open_emulated(
    wanted: &Wanted,
    purpose: For,
    image: &Image,
    elf: Vec<u8>,
    memories: &[Memory],
    chip: Option<Chip>,
) -> Result<ProbeSource, Failure> {
    use crate::cli::SimLink;
    use crate::simulator::{Clock, LinkModel};
    use crate::source::emulated::{self, Emulation, EmulationError};

    let sim = &wanted.sim;
    let words = [
        ("HIGHWATER_DEMO_SCENARIO", wanted.scenario.map(|number| 0xD0D0_0000 | number)),
        ("HIGHWATER_DEMO_SEED", Some(u32::try_from(sim.seed & 0xffff_ffff).unwrap_or(0))),
    ];
    let poke = |(name, value): (&str, Option<u32>)| Some((image.symbols.address(name)?, value?));
    if wanted.scenario.is_some() && image.symbols.address(words[0].0).is_none() {
        return Err(Failure::Error(format!("{} has no scenarios: only the demo firmware has", image.name())));
    }
    let lockstep = purpose == For::Snapshot || sim.sim_time.is_some();
    let emulation = Emulation {
        elf,
        memories: memories.to_vec(),
        pokes: words.into_iter().filter_map(poke).collect(),
        seed: sim.seed,
        link: match sim.sim_link {
            SimLink::Hid => LinkModel::hid(),
            SimLink::Fs => LinkModel::fs(),
            SimLink::Hs => LinkModel::hs(),
            SimLink::Ideal => LinkModel::ideal(),
        },
        clock: if lockstep { Clock::Lockstep } else { Clock::FreeRunning },
        paced_from: (purpose == For::Watching).then(|| sim.sim_time.unwrap_or_default()),
        faults: sim.sim_mishap.iter().flat_map(mishap).collect(),
        comparators: None,
        erased: wanted.loading.is_some(),
        core: None,
        // What is begun anew is flashed and reset as the board that it is.
        chip: chip.filter(|_| wanted.approach() == probe::Approach::Quiet),
    };
    let failed = |error: EmulationError| match error {
        EmulationError::Open(_) => Failure::Unreachable(error.to_string()),
        _ => Failure::Error(error.to_string()),
    };
    let board = emulated::power_on(&emulation).map_err(failed)?;
    if let Some(loading) = wanted.loading {
        loading.flash(&emulated::chip(&board).map_err(failed)?, &emulation.elf)?;
    }
    emulated::attach(&board, &emulation).map_err(failed)
}

#[cfg(feature = "simulator")]
fn mishap(mishap: &crate::cli::Mishap) -> Vec<(Duration, crate::simulator::Fault)> {
    use crate::cli::MishapKind;
    use crate::simulator::Fault;
    /// How long the probe stays unplugged.
    const UNPLUGGED: Duration = Duration::from_secs(2);
    match mishap.kind {
        MishapKind::Reset => vec![(mishap.at, Fault::Reset)],
        MishapKind::PowerCycle => vec![(mishap.at, Fault::PowerCycle)],
        MishapKind::Unplug => vec![(mishap.at, Fault::Unplug), (mishap.at + UNPLUGGED, Fault::Plug)],
    }
}

#[cfg(not(feature = "simulator"))]
fn open_emulated(
    _wanted: &Wanted,
    _purpose: For,
    _image: &Image,
    _elf: Vec<u8>,
    _memories: &[Memory],
    _chip: Option<Chip>,
) -> Result<ProbeSource, Failure> {
    Err(Failure::Error("this highwater was built without the emulated board (feature `simulator`)".into()))
}

#[cfg(all(test, feature = "simulator"))]
mod tests {
    use std::fs;

    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::config::Settings;
    use crate::recording::writer::Head;

    /// What is done to the file at a path, with the bytes of a newer build.
    type Swap = fn(&std::path::Path, &[u8]);

    #[test]
    fn a_build_between_reading_and_attaching_changes_nothing_of_this_run() {
        let mut newer = DEMO.to_vec();
        newer.truncate(DEMO.len() / 2);
        let swaps: [(&str, Swap); 2] = [
            ("another file in its place", |path, newer| {
                fs::write(path.with_extension("tmp"), newer).expect("it can be written");
                fs::rename(path.with_extension("tmp"), path).expect("it can be renamed");
            }),
            ("no file", |path, _| fs::remove_file(path).expect("it can be removed")),
        ];
        for (what, swap) in swaps {
            let folder = tempfile::tempdir().expect("there is room");
            let path = folder.path().join("app.elf");
            fs::write(&path, DEMO).expect("it can be written");
            let words = ["highwater", "attach", path.to_str().expect("it is text"), "--probe", "sim"];
            let Command::Attach(args) = Cli::try_parse_from(words).expect("it is understood").command else {
                panic!("it is another command")
            };
            let wanted = Wanted::attach(&args, Settings::default().rules(None));
            let program = Program::read(&wanted).expect("it is a firmware");
            swap(&path, &newer);
            let mut opened = with(&wanted, program, For::Snapshot, &Taping::OnRequest).expect("it attaches");
            assert_eq!(opened.sampler.verify().expect("the link works"), None, "{what}: it runs what was parsed");
            let session = opened.tape.expect("it can be recorded");
            assert!(session.header.elf.is_of(DEMO), "{what}: that was hashed");
            let recorded = Head::new(&session.header, Some(DEMO)).expect("it can be packed");
            assert_eq!(session.head().expect("it can be packed"), recorded, "{what}: that is recorded");
            assert!(!opened.sampler.image().types().is_empty(), "{what}: debug information is read late");
        }
    }
}
