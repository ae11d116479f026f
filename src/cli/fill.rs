//! What the command line leaves open, the files of settings say.

use super::{ChipArgs, Cli, Command, PaceArgs, ProbeArgs, SizingArgs};
use crate::config::Settings;

impl Cli {
    /// Fills in what neither a flag nor a variable says.
    pub fn fill(&mut self, settings: &Settings) {
        self.look.theme = self.look.theme.or_else(|| settings.value(|file| file.theme));
        self.look.ascii = self.look.ascii.or_else(|| settings.value(|file| file.ascii));
        self.look.keys = settings.value(|file| file.keys.clone()).unwrap_or_default();
        match &mut self.command {
            #[cfg(feature = "simulator")]
            Command::Demo(args) => {
                args.pace.fill(settings);
                args.sizing.fill(settings);
            }
            Command::Attach(args) | Command::Snapshot(args) => {
                args.firmware.chip.fill(settings);
                args.probe.fill(settings);
                args.pace.fill(settings);
                args.sizing.fill(settings);
            }
            Command::Run(args) => {
                args.firmware.chip.fill(settings);
                args.probe.fill(settings);
                args.pace.fill(settings);
                args.sizing.fill(settings);
            }
            Command::Record(args) => {
                args.firmware.chip.fill(settings);
                args.probe.fill(settings);
                args.pace.fill(settings);
            }
            Command::Replay(args) => args.sizing.fill(settings),
            Command::Check(args) => args.measure.fill(settings),
            Command::Sizes(args) => args.measure.fill(settings),
            Command::Doctor(args) => {
                args.firmware.chip.fill(settings);
                args.probe.fill(settings);
            }
            Command::Layout(args) => args.firmware.chip.fill(settings),
            Command::Symbols(args) => args.firmware.chip.fill(settings),
            Command::Tasks(args) => args.firmware.chip.fill(settings),
            Command::Diff(args) => args.chip.fill(settings),
            Command::List(_)
            | Command::Config { .. }
            | Command::Completions { .. }
            | Command::Man
            | Command::Schema => {}
        }
    }
}

impl super::measure::MeasureArgs {
    fn fill(&mut self, settings: &Settings) {
        self.chip.fill(settings);
        self.probe.fill(settings);
        self.pace.fill(settings);
        self.sizing.fill(settings);
    }
}

impl ChipArgs {
    fn fill(&mut self, settings: &Settings) {
        if self.chip.is_none()
            && let Some(said) = settings.find(|file| file.chip.clone())
        {
            self.chip = Some(said.value);
            self.said_by = Some(said.by.display().to_string());
        }
    }
}

impl ProbeArgs {
    fn fill(&mut self, settings: &Settings) {
        if self.probe.is_none() {
            self.probe = settings.value(|file| file.probe.clone());
            self.by_settings = true;
        }
    }
}

impl PaceArgs {
    fn fill(&mut self, settings: &Settings) {
        self.rate = self.rate.or_else(|| settings.value(|file| file.rate));
    }
}

impl SizingArgs {
    fn fill(&mut self, settings: &Settings) {
        self.margin = self.margin.or_else(|| settings.value(|file| file.margin));
    }
}
