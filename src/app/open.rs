//! From the command line's words to a sampler that works: ELF, chip, memories, source.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::flash::Loading;
use super::listen::{Ears, Listener};
use super::place::{Place, SIM, Said};
use super::record::{Content, Destination, Session};
use super::watch::{Stamp, Watcher};
use super::{Failure, find};
use crate::cli::measure::MeasureArgs;
use crate::cli::run::RunArgs;
use crate::cli::{AttachArgs, ChipArgs, DoctorArgs, Firmware, ProbeArgs, SavedArgs, ServerArgs, SimArgs};
use crate::config::{self, Rules};
use crate::image::layout::{self, Memory};
use crate::image::other::Other;
use crate::image::{Image, ImageError, Machine};
use crate::model::Model;
use crate::model::catch::Mode;
use crate::recording::header::{Header, Identity};
use crate::sampler::painter::Painter;
use crate::sampler::tripwire::{GoOn, Release, Tripwire};
use crate::sampler::{Options, Sampler, static_snapshot};
use crate::source::chip::{Chip, ChipError};
use crate::source::control::left::Keeper;
use crate::source::file::Saved;
use crate::source::gdb::{GdbError, GdbSource};
use crate::source::probe::{self, HostInstruments, OpenError, ProbeOptions, ProbeSource};
use crate::source::qemu::{QemuError, QemuSource};
use crate::source::recorder::{Desk, Recorder};
use crate::source::{ReadError, Source};

/// The variable that `--chip` is taken from.
const CHIP_VARIABLE: &str = "PROBE_RS_CHIP";

/// What the user wants to look at.
#[derive(Clone, Debug)]
pub struct Wanted {
    elf: Elf,
    chip: ChipArgs,
    probe: ProbeArgs,
    saved: SavedArgs,
    server: ServerArgs,
    sim: SimArgs,
    #[cfg(feature = "simulator")]
    scenario: Option<u32>,
    rate_hz: Option<f64>,
    tripwire: Option<Mode>,
    paint: bool,
    ears: Option<Ears>,
    loading: Option<Loading>,
    rules: Rules,
}

/// Where the ELF comes from.
#[derive(Clone, Debug)]
enum Elf {
    /// A file, and what goes with it.
    File(Firmware),
    /// The demo firmware that is built in.
    #[cfg(feature = "simulator")]
    Demo,
}

/// The demo firmware.
#[cfg(feature = "simulator")]
const DEMO: &[u8] = include_bytes!("../../assets/demo.elf");

impl Wanted {
    /// What `highwater demo` wants.
    #[cfg(feature = "simulator")]
    #[must_use]
    pub fn demo(args: &crate::cli::DemoArgs, rules: Rules) -> Self {
        Self {
            elf: Elf::Demo,
            chip: ChipArgs::default(),
            probe: ProbeArgs { probe: Some(SIM.into()), ..ProbeArgs::default() },
            saved: SavedArgs::default(),
            server: ServerArgs::default(),
            sim: args.sim.clone(),
            scenario: Some(args.scenario.number()),
            rate_hz: args.pace.rate_hz(),
            tripwire: args.touch.mode(),
            paint: args.touch.paint,
            ears: None,
            loading: None,
            rules,
        }
    }

    /// What `highwater attach` wants.
    #[must_use]
    pub fn attach(args: &AttachArgs, rules: Rules) -> Self {
        Self {
            elf: Elf::File(args.firmware.clone()),
            chip: args.firmware.chip.clone(),
            probe: args.probe.clone(),
            saved: args.saved.clone(),
            server: args.server.clone(),
            sim: args.sim.clone(),
            #[cfg(feature = "simulator")]
            scenario: args.sim_scenario.map(crate::cli::Scenario::number),
            rate_hz: args.pace.rate_hz(),
            tripwire: args.touch.mode(),
            paint: args.touch.paint,
            ears: args.rtt.then_some(Ears { rtt: true, from_reset: None }),
            loading: None,
            rules,
        }
    }

    /// What `highwater run` wants.
    #[must_use]
    pub fn run(args: &RunArgs, loading: Loading, rules: Rules) -> Self {
        Self {
            elf: Elf::File(args.firmware.clone()),
            chip: args.firmware.chip.clone(),
            probe: args.probe.clone(),
            saved: SavedArgs::default(),
            server: ServerArgs::default(),
            sim: args.sim.clone(),
            #[cfg(feature = "simulator")]
            scenario: args.sim_scenario.map(crate::cli::Scenario::number),
            rate_hz: args.pace.rate_hz(),
            tripwire: None,
            paint: false,
            ears: Some(Ears { rtt: !args.no_rtt, from_reset: Some(args.args.join(" ")) }),
            loading: (!args.no_flash).then_some(loading),
            rules,
        }
    }

    /// What `highwater doctor` wants: the target as it is, as often as the link gives it.
    #[must_use]
    pub fn doctor(args: &DoctorArgs, rules: Rules) -> Self {
        Self {
            elf: Elf::File(args.firmware.clone()),
            chip: args.firmware.chip.clone(),
            probe: args.probe.clone(),
            saved: SavedArgs::default(),
            server: args.server.clone(),
            sim: args.sim.clone(),
            #[cfg(feature = "simulator")]
            scenario: None,
            rate_hz: None,
            tripwire: None,
            paint: false,
            ears: None,
            loading: None,
            rules,
        }
    }

    /// What `highwater check` and `highwater sizes` want.
    #[must_use]
    pub fn measure(args: &MeasureArgs, rules: Rules) -> Self {
        let mut wanted = Self {
            elf: Elf::File(args.firmware()),
            chip: args.chip.clone(),
            probe: args.probe.clone(),
            saved: args.saved.clone(),
            server: args.server.clone(),
            sim: args.sim.clone(),
            #[cfg(feature = "simulator")]
            scenario: args.sim_scenario.map(crate::cli::Scenario::number),
            rate_hz: args.pace.rate_hz(),
            tripwire: None,
            paint: false,
            ears: None,
            loading: None,
            rules,
        };
        #[cfg(feature = "simulator")]
        if let Some(scenario) = args.demo {
            wanted.elf = Elf::Demo;
            wanted.chip = ChipArgs::default();
            wanted.scenario = Some(scenario.number());
        }
        if args.demo.is_some() {
            wanted.probe = ProbeArgs { probe: Some(SIM.into()), ..ProbeArgs::default() };
        }
        wanted
    }

    /// Whether a tripwire is asked for.
    #[must_use]
    pub fn has_tripwire(&self) -> bool {
        self.tripwire.is_some()
    }

    /// Where memory is read from.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::of(&self.probe, &self.saved, &self.server)
    }

    /// What lies beside the ELF, and a recording does not hold.
    fn beside(&self) -> Vec<String> {
        match &self.elf {
            Elf::File(firmware) => {
                let also = firmware.also.iter().map(|given| format!("--also {}", printable(&given.path)));
                also.chain(firmware.su.iter().map(|folder| format!("--su {}", printable(folder)))).collect()
            }
            #[cfg(feature = "simulator")]
            Elf::Demo => Vec::new(),
        }
    }

    /// Whether the core may stop until a person lets it go on.
    #[must_use]
    pub fn stops_for_a_key(&self) -> bool {
        self.tripwire == Some(Mode::Halt)
    }

    /// Whether a time is named after which there is nothing more to see.
    #[must_use]
    pub fn ends_by_itself(&self) -> bool {
        self.sim.sim_time.is_some() && self.is_emulated()
    }

    /// What this run may do to the target, in words.
    fn access(&self) -> &'static str {
        match &self.ears {
            _ if self.paint => "paints stacks",
            Some(ears) if ears.from_reset.is_some() => "flashes, resets",
            Some(_) => "reads RTT",
            None => "read-only",
        }
    }

    /// Whether the emulated board is meant.
    #[must_use]
    pub fn is_emulated(&self) -> bool {
        self.place() == Place::Emulated
    }

    /// Whether saved memory is meant, in which no time passes.
    #[must_use]
    pub fn is_saved(&self) -> bool {
        self.place() == Place::Saved
    }

    /// Whether the core may be left standing when the process ends without a word.
    #[must_use]
    pub fn may_stop_the_core(&self) -> bool {
        self.server.allow_halt || self.has_tripwire()
    }

    /// That only one place is named, and nothing that it cannot do.
    fn agrees(&self) -> Result<(), Failure> {
        let touch = match &self.tripwire {
            Some(Mode::Culprit(_)) => Some("--culprit"),
            Some(_) => Some("--tripwire"),
            None if self.paint => Some("--paint"),
            None => self.ears.as_ref().map(|_| "--rtt"),
        };
        #[cfg(feature = "simulator")]
        let scenario = match (&self.elf, self.scenario) {
            (Elf::Demo, _) => Some("--demo"),
            (Elf::File(_), scenario) => scenario.map(|_| "--sim-scenario"),
        };
        #[cfg(not(feature = "simulator"))]
        let scenario = None;
        let (probe, saved, server, sim) = (&self.probe, &self.saved, &self.server, &self.sim);
        Said { probe, saved, server, sim, scenario, touch }.agrees()
    }
}

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
const TOUCHED: &str = "no recording with --tripwire, --culprit or --paint: what these do is not in the reads";
/// Why saved memory is not.
const SAVED: &str = "no recording of saved memory: no time passes in it";

/// Attaches to the target.
///
/// # Errors
///
/// See [`Failure`]: the ELF, the chip, the probe or the target is not what it should be.
pub fn open(wanted: &Wanted, purpose: For, taping: &Taping) -> Result<Opened, Failure> {
    wanted.agrees()?;
    let error = |error: &dyn std::error::Error| Failure::Error(error.to_string());
    let (image, bytes, file) = match &wanted.elf {
        Elf::File(firmware) => {
            let path = path(firmware)?;
            let stamp = Stamp::of(&path);
            let image = read(firmware, &path)?;
            let bytes = std::fs::read(&image.path).map_err(|failure| error(&failure))?;
            (image, bytes, Some((firmware, path, stamp)))
        }
        #[cfg(feature = "simulator")]
        Elf::Demo => {
            let image = Image::parse(std::path::Path::new("demo.elf"), DEMO).map_err(|failure| error(&failure))?;
            (image, DEMO.to_vec(), None)
        }
    };
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
        Elf::File(_) => Content::File(image.path.clone()),
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
    let (source, touching, access): (Box<dyn Source>, _, _) = if let Some((source, access)) = server {
        (source, (None, None), access)
    } else {
        let content = wanted.ears.as_ref().map(|ears| (ears.clone(), bytes.clone()));
        let source = if wanted.is_emulated() {
            open_emulated(wanted, purpose, &image, bytes, &memories)?
        } else {
            open_probe(wanted, chip)?
        };
        let tripwire = match &wanted.tripwire {
            Some(mode) => Some(tripwire(wanted, mode, &source, purpose, &go_on)?),
            None => None,
        };
        let painter = wanted.paint.then(|| Painter::new(Box::new(source.control())));
        if tripwire.is_some() || painter.is_some() {
            tape = Err(TOUCHED);
        }
        if let Some((ears, elf)) = content {
            let regions = memories.iter().map(|memory| memory.range).collect();
            listener = Some(Listener::new(Box::new(source.control()), ears, &image, &elf, regions)?);
        }
        (Box::new(source), (tripwire, painter), wanted.access())
    };
    let source: Box<dyn Source> = match (&mut tape, taping) {
        (Err(_), _) | (_, Taping::Never) => source,
        (Ok(session), Taping::OnRequest) => Box::new(Recorder::new(source, session.desk.clone())),
        (Ok(session), Taping::FromStart(destination)) => {
            let (file, writer) = destination.begin(session)?;
            Box::new(Recorder::recording(source, session.desk.clone(), file, writer))
        }
    };
    let (tripwire, painter) = touching;
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
    tracing::info!("attached; the link costs {:?}", sampler.cost());
    let file = file.filter(|_| purpose == For::Watching);
    let watcher = file.map(|(firmware, path, stamp)| watcher(firmware, &path, stamp, known));
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
            let mut source = GdbSource::open(server, wanted.server.allow_halt).map_err(|error| match error {
                GdbError::OtherCore { .. } => Failure::Error(error.to_string()),
                GdbError::Unreachable(_) | GdbError::Stops { .. } | GdbError::Blind { .. } => {
                    Failure::Unreachable(error.to_string())
                }
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
    let keeper = if wanted.is_emulated() { None } else { Some(keeper(wanted, source)?) };
    Ok(Tripwire::new(Box::new(source.control()), mode.clone(), release, keeper))
}

/// Where this probe's and chip's debug registers are kept until they are put back: below `XDG_STATE_HOME`, as the XDG
/// base directory specification has it.
fn keeper(wanted: &Wanted, source: &ProbeSource) -> Result<Keeper, Failure> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = folder("XDG_STATE_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".local/state")))
        .or_else(|| folder("LOCALAPPDATA"))
        .ok_or_else(|| {
            Failure::Error("a tripwire keeps what it finds in the target in a file: set XDG_STATE_HOME".into())
        })?;
    let asked = wanted.probe.probe.as_deref().unwrap_or_default();
    let listed = probe::list().into_iter().find(|probe| probe.selector.starts_with(asked));
    let found = source.describe();
    let probe = listed.map_or_else(|| found.source.clone(), |probe| probe.selector);
    let key = format!("{probe}-{}", found.chip.or(found.core).unwrap_or_default());
    let key: String = key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    Ok(Keeper::new(state.join("highwater").join(format!("tripwire-{key}.json"))))
}

/// The ELF, with the frame sizes that lie beside it.
///
/// # Errors
///
/// It is no firmware, or the folder of `--su` has no frame sizes.
pub fn image(firmware: &Firmware) -> Result<Image, Failure> {
    read(firmware, &path(firmware)?)
}

/// The same for any machine: for what the symbols alone tell.
///
/// # Errors
///
/// See [`image`].
pub fn any_image(firmware: &Firmware) -> Result<Image, Failure> {
    with_files_beside(firmware, Image::open_any(&path(firmware)?))
}

/// The ELF at `path`, with what else `firmware` names.
///
/// # Errors
///
/// See [`image`].
pub fn read(firmware: &Firmware, path: &Path) -> Result<Image, Failure> {
    with_files_beside(firmware, Image::open(path))
}

fn with_files_beside(firmware: &Firmware, opened: Result<Image, ImageError>) -> Result<Image, Failure> {
    let mut image = opened.map_err(|error| Failure::Error(error.to_string()))?;
    beside(&mut image, firmware)?;
    Ok(image)
}

/// Reads what lies beside an ELF into its image.
///
/// # Errors
///
/// It makes no sense, or the folder of `--su` has no frame sizes.
pub fn beside(image: &mut Image, firmware: &Firmware) -> Result<(), Failure> {
    if let Some(folder) = &firmware.su {
        let functions = image.read_stack_usage(folder).map_err(|error| Failure::Error(error.to_string()))?;
        if functions == 0 {
            return Err(Failure::Error(format!(
                "{} has no .su files with stack frames in it; build with -fstack-usage, and give the folder they are in",
                folder.display()
            )));
        }
    }
    for given in &firmware.also {
        image.others.push(Other::open(given).map_err(|error| Failure::Error(error.to_string()))?);
    }
    Ok(())
}

/// Watches the ELF at `path` for builds after `opened`, in the memories that the chip is known to have.
pub(super) fn watcher(firmware: &Firmware, path: &Path, opened: Stamp, known: Vec<Memory>) -> Watcher {
    let (firmware, place) = (firmware.clone(), path.to_owned());
    Watcher::new(path.to_owned(), opened, move || {
        let image =
            read(&firmware, &place).map_err(|failure| failure.message().unwrap_or("it cannot be read").to_owned())?;
        let memories = layout::memories(&image, &known);
        Ok((image, memories))
    })
}

/// The ELF that was named, or the only one that a build system left here.
///
/// # Errors
///
/// None is named, and here is none, or several.
pub fn path(firmware: &Firmware) -> Result<PathBuf, Failure> {
    if let Some(elf) = &firmware.elf {
        return Ok(elf.clone());
    }
    let found = find::firmware(std::path::Path::new("."), |name| std::env::var_os(name));
    match found.as_slice() {
        [one] => {
            eprintln!("no ELF is named: taking {}, the only one built here ({})", printable(&one.path), one.by);
            Ok(one.path.clone())
        }
        [] => Err(Failure::Usage(
            "no ELF is named, and neither Cargo, Zephyr, PlatformIO, Mbed nor CMake built one for Arm in this folder; give the \
             linker's output as <ELF>: `highwater attach path/to/firmware.elf`"
                .into(),
        )),
        several => {
            let list: Vec<_> =
                several.iter().map(|found| format!("  {} ({})", printable(&found.path), found.by)).collect();
            Err(Failure::Usage(format!("no ELF is named, and there are several; give one of them as <ELF>:\n{}", list.join("\n"))))
        }
    }
}

fn printable(path: &std::path::Path) -> String {
    crate::units::printable(&path.to_string_lossy(), 4096)
}

/// The chip by the flag or by what the project says; `None` when nobody says.
///
/// # Errors
///
/// There is no such chip.
pub fn chip(args: &ChipArgs, image: &Image) -> Result<Option<Chip>, Failure> {
    let folder = std::env::current_dir().unwrap_or_default();
    let Some(found) = config::chip(args.chip.as_deref(), image, &folder) else { return Ok(None) };
    match Chip::find(&found.name, args.chip_description_path.as_deref()) {
        Ok(chip) => Ok(Some(chip)),
        Err(error @ ChipError::Description { .. }) => Err(Failure::Error(error.to_string())),
        Err(error) if found.is_hint => {
            tracing::info!("no chip is taken from {}: {error}", found.said_by);
            Ok(None)
        }
        Err(error) => {
            // The parser does not tell a flag from its variable, and a variable is easily forgotten.
            let by_variable = std::env::var(CHIP_VARIABLE).is_ok_and(|name| name == found.name);
            let by_file = args.said_by.as_deref().filter(|_| args.chip.as_ref() == Some(&found.name));
            let said_by = by_file.unwrap_or(if by_variable { CHIP_VARIABLE } else { &found.said_by });
            Err(Failure::Error(format!("{error} (named by {said_by})")))
        }
    }
}

fn probe_options(wanted: &Wanted, chip: Option<Chip>) -> ProbeOptions {
    ProbeOptions {
        selector: wanted.probe.probe.clone(),
        protocol: wanted.probe.protocol,
        speed_khz: wanted.probe.speed,
        connect_under_reset: wanted.probe.connect_under_reset,
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
) -> Result<ProbeSource, Failure> {
    Err(Failure::Error("this highwater was built without the emulated board (feature `simulator`)".into()))
}
