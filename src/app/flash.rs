//! Puts a firmware into the flash before `highwater run` attaches, and shows how far that is.

use std::io::{self, IsTerminal, Write};

use super::Failure;
use crate::source::chip::Chip;
use crate::source::flash::{self, FlashError, Flashed, Progress, Stage};
use crate::source::probe::{OpenError, ProbeOptions};
use crate::units;

/// Cells of the bar.
const BAR: u64 = 30;

/// How the flash is to be written.
#[derive(Clone, Copy, Debug)]
pub struct Loading {
    /// Read everything back.
    pub verify: bool,
    /// Draw with ASCII characters only.
    pub ascii: bool,
}

impl Loading {
    /// Writes the firmware into the chip's flash, where it is not there already. Gives the chip that it is.
    ///
    /// # Errors
    ///
    /// The probe, the chip or the firmware is not what it should be, or writing failed.
    pub(super) fn flash(self, options: &ProbeOptions, elf: &[u8]) -> Result<Chip, Failure> {
        let mut bar = Bar { on_terminal: io::stderr().is_terminal(), ascii: self.ascii, shown: None };
        let flashed = flash::flash(options, elf, self.verify, |progress| bar.show(progress));
        bar.wipe();
        let Flashed { chip, written } = flashed.map_err(|error| failure(&error))?;
        match written {
            Some(bytes) => eprintln!("flashed {} to {}", units::short(bytes), chip.name()),
            None => eprintln!("{} has this firmware already: its flash is left as it is", chip.name()),
        }
        Ok(chip)
    }
}

fn failure(error: &FlashError) -> Failure {
    let text = error.to_string();
    match error {
        FlashError::Open(OpenError::BadSelector { .. } | OpenError::UnsupportedCore { .. })
        | FlashError::Firmware { .. }
        | FlashError::WhichChip { .. }
        | FlashError::Write { .. } => Failure::Error(text),
        FlashError::Open(_) | FlashError::Attach { .. } | FlashError::Park { .. } => Failure::Unreachable(text),
    }
}

/// One line on standard error that is written over; nothing where that is no terminal.
struct Bar {
    on_terminal: bool,
    ascii: bool,
    /// What it showed last: the stage and its percent.
    shown: Option<(Stage, u64)>,
}

impl Bar {
    fn show(&mut self, progress: Progress) {
        let percent = (progress.done * 100).checked_div(progress.total).unwrap_or(100).min(100);
        if self.on_terminal && self.shown != Some((progress.stage, percent)) {
            self.shown = Some((progress.stage, percent));
            // What cannot be drawn is only a bar.
            let _ = write!(io::stderr(), "\r\x1b[2K{}", line(progress, self.ascii));
        }
    }

    fn wipe(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}

fn line(progress: Progress, ascii: bool) -> String {
    let Progress { stage, done, total } = progress;
    let word = match stage {
        Stage::Compare => "comparing",
        Stage::Erase => "erasing",
        Stage::Program => "writing",
        Stage::Verify => "verifying",
    };
    let full = (done * BAR).checked_div(total).unwrap_or(BAR).min(BAR);
    let [on, off] = if ascii { ["#", "-"] } else { ["█", "░"] };
    let bar = on.repeat(usize::try_from(full).unwrap_or(0)) + &off.repeat(usize::try_from(BAR - full).unwrap_or(0));
    format!("{word:<9} {bar} {} of {}", units::short(done.min(total)), units::short(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_its_stage_is_far() {
        for (done, total, expected) in [
            (0, 4096, "writing   ------------------------------ 0 B of 4.0 K"),
            (2048, 4096, "writing   ###############--------------- 2.0 K of 4.0 K"),
            (8192, 4096, "writing   ############################## 4.0 K of 4.0 K"),
            (0, 0, "writing   ############################## 0 B of 0 B"),
        ] {
            assert_eq!(line(Progress { stage: Stage::Program, done, total }, true), expected);
        }
    }
}
