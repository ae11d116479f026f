//! What the project and its user say: highwater.toml, the user's own file, and the chip from wherever it is written.
//!
//! ```text
//! flag  >  variable  >  highwater.toml, upward  >  the user's config.toml  >  what is built in
//! ```
//!
//! Flags and variables are the command line's; this gives what holds when they say nothing.

mod chip;
mod file;
mod show;

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::amount::Amount;
use crate::check::budgets::Budgets;
use crate::model::Model;
use crate::model::alert::Limits;
use crate::sizing;

pub use chip::{ChipName, chip};
pub(crate) use file::MAX_RATE;
pub use file::{ConfigError, File};
pub use show::show;

/// The project's file.
pub const PROJECT_FILE: &str = "highwater.toml";

/// Every setting with what it does, to begin a `highwater.toml` with.
pub const TEMPLATE: &str = include_str!("../assets/highwater.example.toml");

/// Refreshes per second when nobody says another.
pub const DEFAULT_RATE: f64 = 30.0;

/// The files that hold, nearest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    layers: Vec<Layer>,
}

#[derive(Clone, Debug, PartialEq)]
struct Layer {
    path: PathBuf,
    file: File,
}

/// A setting, and the file that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said<T> {
    /// What it says.
    pub value: T,
    /// Which file.
    pub by: PathBuf,
}

/// What numbers are judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What is added to a suggested stack size.
    pub margin: Amount,
    /// Where alerts begin.
    pub limits: Limits,
}

impl Rules {
    /// A model that judges by them.
    #[must_use]
    pub fn apply(self, model: Model) -> Model {
        model.with_margin(self.margin).with_limits(self.limits)
    }
}

impl Settings {
    /// Reads the files: `project` if it is given, else the nearest `highwater.toml` from `folder` upward; then the
    /// user's.
    ///
    /// # Errors
    ///
    /// A file cannot be read, is no TOML, or says something that there is not.
    pub fn load(project: Option<&Path>, folder: &Path, user: Option<&Path>) -> Result<Self, ConfigError> {
        let found = || folder.ancestors().map(|folder| folder.join(PROJECT_FILE)).find(|path| path.is_file());
        let project = project.map(Path::to_path_buf).or_else(found);
        let user = user.filter(|path| path.is_file()).map(Path::to_path_buf);
        let mut layers = Vec::new();
        for path in project.into_iter().chain(user) {
            let file = File::read(&path)?;
            layers.push(Layer { path, file });
        }
        Ok(Self { layers })
    }

    /// The files that were read, the one whose word counts first.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        self.layers.iter().map(|layer| layer.path.as_path()).collect()
    }

    /// The first file's word on something.
    pub fn find<T>(&self, get: impl Fn(&File) -> Option<T>) -> Option<Said<T>> {
        self.layers.iter().find_map(|layer| Some(Said { value: get(&layer.file)?, by: layer.path.clone() }))
    }

    /// The first file's word on something, without which file.
    pub fn value<T>(&self, get: impl Fn(&File) -> Option<T>) -> Option<T> {
        self.find(get).map(|said| said.value)
    }

    /// What numbers are judged by; `margin` is what the command line says.
    #[must_use]
    pub fn rules(&self, margin: Option<Amount>) -> Rules {
        let usual = Limits::default();
        Rules {
            margin: margin.or_else(|| self.value(|file| file.margin)).unwrap_or(sizing::DEFAULT_MARGIN),
            limits: Limits {
                stack_percent: self.value(|file| file.limits.stack).map_or(usual.stack_percent, |share| share.0),
                heap_percent: self.value(|file| file.limits.heap).map_or(usual.heap_percent, |share| share.0),
                fragmentation_percent: self
                    .value(|file| file.limits.fragmentation)
                    .map_or(usual.fragmentation_percent, |share| share.0),
            },
        }
    }

    /// The budgets, and the file that they are from.
    #[must_use]
    pub fn budgets(&self) -> Option<Said<Budgets>> {
        self.find(|file| file.budgets.clone())
    }
}

/// Where the user's own file is: `$XDG_CONFIG_HOME/highwater/config.toml`, or below `~/.config`.
#[must_use]
pub fn user_file() -> Option<PathBuf> {
    let places = etcetera::base_strategy::Xdg::new().ok()?;
    Some(places.config_dir().join("highwater").join("config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_file_has_the_first_word() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let inner = folder.path().join("a/b");
        std::fs::create_dir_all(&inner).expect("folders can be made");
        let user = folder.path().join("config.toml");
        std::fs::write(&user, "margin = \"5%\"\nrate = 10\n[limits]\nheap = 70\n").expect("a file can be written");
        std::fs::write(
            folder.path().join(PROJECT_FILE),
            "margin = 256\n[limits]\nstack = \"60%\"\nfragmentation = \"50%\"\n",
        )
        .expect("it can");
        let settings = Settings::load(None, &inner, Some(&user)).expect("the files are good");
        let rules = settings.rules(None);
        assert_eq!(rules.margin, Amount::Bytes(256));
        assert_eq!(rules.limits, Limits { stack_percent: 60, heap_percent: 70, fragmentation_percent: 50 });
        assert_eq!(settings.find(|file| file.rate), Some(Said { value: 10.0, by: user.clone() }));
        assert_eq!(settings.rules(Some(Amount::Percent(1))).margin, Amount::Percent(1));
        let other = folder.path().join("other.toml");
        std::fs::write(&other, "margin = 1\n").expect("a file can be written");
        let settings = Settings::load(Some(&other), &inner, None).expect("the file is good");
        assert_eq!(settings.rules(None).margin, Amount::Bytes(1));
        assert!(Settings::load(Some(&inner.join("none.toml")), &inner, None).is_err());
    }

    #[test]
    fn the_template_says_what_is_built_in() {
        let file = File::parse(TEMPLATE).expect("as it is, it says nothing");
        assert_eq!(file, File::default());
        // Every line that is one comment sign away from being a setting is one.
        let lines = TEMPLATE.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line));
        let file = File::parse(&lines.collect::<Vec<_>>().join("\n")).expect("all of it is valid");
        assert_eq!(file.margin, Some(sizing::DEFAULT_MARGIN));
        assert_eq!(file.rate, Some(DEFAULT_RATE));
        let limits = Limits::default();
        let told =
            [file.limits.stack, file.limits.heap, file.limits.fragmentation].map(|share| share.map(|share| share.0));
        assert_eq!(told, [limits.stack_percent, limits.heap_percent, limits.fragmentation_percent].map(Some));
        let budgets = file.budgets.expect("it has budgets");
        let usual = crate::check::budgets::StackBudget::usual();
        assert_eq!(budgets.every_stack, usual);
        let usual = crate::check::budgets::HeapBudget {
            peak: budgets.every_heap.peak,
            ..crate::check::budgets::HeapBudget::usual()
        };
        assert_eq!(budgets.every_heap, usual);
    }
}
