//! Where memory is read from: a probe, the emulated board, a server, or files. Only one of them can be meant.

use super::Failure;
use crate::cli::{ProbeArgs, SavedArgs, ServerArgs, SimArgs};
use crate::source::endpoint::{Endpoint, HostPort};

/// What `--probe` is for the emulated board.
pub const SIM: &str = "sim";

/// The variables that options of the probe are taken from.
const PROBE_VARIABLES: [&str; 2] = ["PROBE_RS_PROBE", "PROBE_RS_CONNECT_UNDER_RESET"];

/// Where memory is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A probe that is connected.
    Probe,
    /// The emulated board.
    Emulated,
    /// Files, in which no time passes.
    Saved,
    /// A GDB server.
    Gdb(HostPort),
    /// A machine in QEMU.
    Qemu(Endpoint),
}

impl Place {
    /// What the arguments name. Files and servers go before a probe, which the environment may name for every command.
    #[must_use]
    pub fn of(probe: &ProbeArgs, saved: &SavedArgs, server: &ServerArgs) -> Self {
        if saved.core.is_some() || !saved.ram.is_empty() {
            Self::Saved
        } else if let Some(server) = &server.gdb {
            Self::Gdb(server.clone())
        } else if let Some(endpoint) = &server.qemu {
            Self::Qemu(endpoint.clone())
        } else if probe.probe.as_deref() == Some(SIM) {
            Self::Emulated
        } else {
            Self::Probe
        }
    }

    /// Why no probe is needed, when none is.
    #[must_use]
    pub fn without_probe(&self) -> Option<String> {
        match self {
            Self::Probe => None,
            Self::Emulated => Some("the emulated board: no probe is needed".into()),
            Self::Saved => Some("saved memory: no probe is needed".into()),
            Self::Gdb(server) => Some(format!("the GDB server {server}: no probe is opened")),
            Self::Qemu(endpoint) => Some(format!("QEMU at {endpoint}: no probe is opened")),
        }
    }
}

/// What the command line says of places, and of what only some of them can do.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// The probe.
    pub probe: &'a ProbeArgs,
    /// Files.
    pub saved: &'a SavedArgs,
    /// A server.
    pub server: &'a ServerArgs,
    /// The emulated board.
    pub sim: &'a SimArgs,
    /// What the demo on it is to do, or that it is the demo.
    pub scenario: Option<&'static str>,
    /// A flag that touches the target through the probe.
    pub touch: Option<&'static str>,
}

impl Said<'_> {
    /// That it names one place, and nothing that this place cannot do.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`] with the two options that exclude each other.
    pub fn agrees(&self) -> Result<(), Failure> {
        let places: Vec<&str> = [
            ("--core", self.saved.core.is_some()),
            ("--ram", !self.saved.ram.is_empty()),
            ("--gdb", self.server.gdb.is_some()),
            ("--qemu", self.server.qemu.is_some()),
        ]
        .into_iter()
        .filter_map(|(flag, given)| given.then_some(flag))
        .collect();
        let Some(first) = places.first() else { return Ok(()) };
        let is_file = |flag: &str| flag == "--core" || flag == "--ram";
        let second = places.iter().find(|flag| !(is_file(first) && is_file(flag)) && flag != &first).copied();
        // A variable speaks to all commands, and not of this one: what the command line says goes before it.
        let variable = |name: &str| std::env::var(name).ok();
        let [probe, reset] = PROBE_VARIABLES.map(variable);
        let probe_given = self.probe.probe.is_some() && !self.probe.by_settings && self.probe.probe != probe;
        let others = [
            ("--probe", probe_given),
            ("--connect-under-reset", self.probe.connect_under_reset && reset.is_none()),
            ("--sim-time", self.sim.sim_time.is_some()),
            ("--sim-mishap", !self.sim.sim_mishap.is_empty()),
        ];
        let other = others.into_iter().find_map(|(flag, given)| given.then_some(flag));
        match second.or(self.scenario).or(other).or(self.touch) {
            Some(other) => Err(Failure::Usage(format!(
                "{first} and {other} exclude each other: {first} takes the place of a probe and of the emulated board; \
                 leave one of them out"
            ))),
            None => Ok(()),
        }
    }
}
