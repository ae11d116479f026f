//! What the command line asks for, of all commands that look at a target.

use super::Failure;
use super::firmware::printable;
use super::flash::Loading;
use super::listen::Ears;
use super::place::{Place, SIM, Said};
use crate::cli::measure::MeasureArgs;
use crate::cli::run::RunArgs;
use crate::cli::{AttachArgs, ChipArgs, DoctorArgs, Firmware, ProbeArgs, SavedArgs, ServerArgs, SimArgs};
use crate::config::Rules;
use crate::model::catch::Mode;
use crate::source::probe::Approach;

/// What the user wants to look at.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub(super) elf: Elf,
    pub(super) chip: ChipArgs,
    pub(super) probe: ProbeArgs,
    pub(super) saved: SavedArgs,
    pub(super) server: ServerArgs,
    pub(super) sim: SimArgs,
    #[cfg(feature = "simulator")]
    pub(super) scenario: Option<u32>,
    pub(super) rate_hz: Option<f64>,
    pub(super) tripwire: Option<Mode>,
    pub(super) paint: bool,
    pub(super) debug_in_sleep: bool,
    pub(super) ears: Option<Ears>,
    pub(super) loading: Option<Loading>,
    pub(super) rules: Rules,
}

/// Where the ELF comes from.
#[derive(Clone, Debug)]
pub(super) enum Elf {
    /// A file, and what goes with it.
    File(Firmware),
    /// The demo firmware that is built in.
    #[cfg(feature = "simulator")]
    Demo,
}

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
            debug_in_sleep: args.touch.debug_in_sleep,
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
            debug_in_sleep: args.touch.debug_in_sleep,
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
            debug_in_sleep: false,
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
            debug_in_sleep: false,
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
            debug_in_sleep: false,
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
    pub(super) fn beside(&self) -> Vec<String> {
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
    pub(super) fn access(&self) -> &'static str {
        match &self.ears {
            _ if self.paint && self.debug_in_sleep => "paints stacks, keeps debug on in sleep",
            _ if self.debug_in_sleep => "keeps debug on in sleep",
            _ if self.paint => "paints stacks",
            Some(ears) if ears.from_reset.is_some() => "flashes, resets",
            Some(_) => "reads RTT",
            None => "read-only",
        }
    }

    /// How far the way to the target may go.
    pub(super) fn approach(&self) -> Approach {
        if self.probe.connect_under_reset {
            Approach::UnderReset
        } else if self.ears.as_ref().is_some_and(|ears| ears.from_reset.is_some()) {
            Approach::Resetting
        } else {
            Approach::Quiet
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

    /// Whether something may be left in the target when the process ends without a word: a core that stands, a register
    /// that was changed.
    #[must_use]
    pub fn must_clean_up(&self) -> bool {
        self.server.allow_halt || self.has_tripwire() || self.debug_in_sleep
    }

    /// That only one place is named, and nothing that it cannot do.
    pub(super) fn agrees(&self) -> Result<(), Failure> {
        let touch = match &self.tripwire {
            Some(Mode::Culprit(_)) => Some("--culprit"),
            Some(_) => Some("--tripwire"),
            None if self.paint => Some("--paint"),
            None if self.debug_in_sleep => Some("--debug-in-sleep"),
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
