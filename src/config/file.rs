//! One file of settings: strict, so that a word that is misspelt is told and not passed over.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::amount::{Amount, Percent};
use crate::check::budgets::Budgets;
use crate::tui::keymap::Keymap;
use crate::tui::theme::ThemeName;
use crate::units;

/// The largest file that is read: settings are a page or two.
const MAX_BYTES: u64 = 1 << 20;
/// The most refreshes per second that can be asked for.
pub(crate) const MAX_RATE: f64 = 10_000.0;

/// What one file says. What is `None` it leaves to others.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct File {
    /// What is added to a suggested stack size: `20%` or `256B`.
    pub margin: Option<Amount>,
    /// Refreshes per second; 0 for as many as the link gives.
    #[serde(deserialize_with = "rate")]
    pub rate: Option<f64>,
    /// Colours of the screen.
    #[serde(deserialize_with = "theme")]
    pub theme: Option<ThemeName>,
    /// Draw with ASCII characters only.
    pub ascii: Option<bool>,
    /// The chip, by probe-rs's name.
    pub chip: Option<String>,
    /// The probe: VID:PID, VID:PID:SERIAL, or `sim`.
    pub probe: Option<String>,
    /// Keys of the screens: each does what the other one does.
    pub keys: Option<Keymap>,
    /// Where alerts begin.
    pub limits: LimitsTable,
    /// What memory may be used.
    pub budgets: Option<Budgets>,
}

/// Where alerts begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LimitsTable {
    /// Of a stack's size, by its deepest use.
    pub stack: Option<Percent>,
    /// Of a heap's size, by its peak.
    pub heap: Option<Percent>,
    /// Of what is free in a heap, by how much of it is outside of the largest piece.
    pub fragmentation: Option<Percent>,
}

/// A file of settings is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {path}: {why}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It says what there is not.
    #[error("{path}{line}: {what}", path = path.display(), line = line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// The line, from 1 on.
        line: Option<usize>,
        /// What is wrong, and what was meant.
        what: String,
    },
}

impl File {
    /// Reads a file of settings.
    ///
    /// # Errors
    ///
    /// See [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let unread = |why: String| ConfigError::Read { path: path.to_path_buf(), why };
        let size = std::fs::metadata(path).map_err(|error| unread(error.to_string()))?.len();
        if size > MAX_BYTES {
            return Err(unread(format!("{size} bytes are too many for settings")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| unread(error.to_string()))?;
        Self::parse(&text).map_err(|(line, what)| ConfigError::Wrong { path: path.to_path_buf(), line, what })
    }

    /// Reads settings; gives the line and what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, (Option<usize>, String)> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            (line, reworded(error.message()))
        })
    }
}

/// The parser lists all that it knows; a person wants the one that was meant.
fn reworded(message: &str) -> String {
    let known = message.strip_prefix("unknown field `").and_then(|rest| {
        let (unknown, rest) = rest.split_once('`')?;
        let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
        Some((unknown, known))
    });
    let Some((unknown, known)) = known else { return message.trim().replace('\n', "; ") };
    let hint = match units::nearest(unknown, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}", known.join(", ")),
    };
    format!("there is no setting `{}` here; {hint}", units::printable(unknown, 100))
}

fn rate<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let rate = f64::deserialize(from)?;
    match rate {
        0.0..=MAX_RATE => Ok(Some(rate)),
        _ => Err(serde::de::Error::custom(format!("rate is a number from 0 to {MAX_RATE}"))),
    }
}

fn theme<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<ThemeName>, D::Error> {
    use clap::ValueEnum;
    let name = String::deserialize(from)?;
    ThemeName::from_str(&name, true).map(Some).map_err(|_| {
        let names = ThemeName::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let names: Vec<String> = names.map(|name| format!("\"{}\"", name.get_name())).collect();
        serde::de::Error::custom(format!("there is no theme \"{name}\"; there are {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_misspelt_is_told_with_its_line_and_what_was_meant() {
        for (text, line, words) in [
            ("margn = \"20%\"\n", 1, &["`margn`", "did you mean `margin`?"][..]),
            ("\n[budgets.every-stack]\nmargins = 5\n", 3, &["`margins`", "`margin`"]),
            ("[budgets.stack.growth]\nfoo = 1\n", 2, &["`foo`", "there are: margin, peak"]),
            ("[budget.memory.ram]\nused = 1\n", 1, &["`budget`", "`budgets`"]),
            ("margin = \"lots\"\n", 1, &["`lots` is no amount"]),
            ("margin = -1\n", 1, &["this is no amount", "256B"]),
            ("rate = -1.0\n", 1, &["from 0 to 10000"]),
            ("rate = nan\n", 1, &["from 0 to 10000"]),
            ("theme = \"drak\"\n", 1, &["no theme \"drak\"", "\"dark\""]),
            ("[limits]\nstack = 101\n", 2, &["`101` is no share"]),
            ("margin = \n", 1, &[]),
            ("[budgets.memory.ram]\n", 1, &["used"]),
        ] {
            let (at, what) = File::parse(text).expect_err(text);
            assert_eq!(at, Some(line), "{text}: {what}");
            for word in words {
                assert!(what.contains(word), "{text}: {what}");
            }
        }
    }
}
