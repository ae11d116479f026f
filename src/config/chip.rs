//! The chip, from wherever the project around the firmware writes it down.

use std::path::{Path, PathBuf};

use crate::image::Image;

/// A chip's name, and who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChipName {
    /// The name.
    pub name: String,
    /// Where it was found, for messages.
    pub said_by: String,
    /// Whether it is another tool's name of the chip: it counts when probe-rs happens to know it.
    pub is_hint: bool,
}

/// Where Zephyr writes how a board is flashed and debugged.
const RUNNERS: &str = "runners.yaml";
/// The largest such file that is read.
const MAX_RUNNERS: u64 = 1 << 20;

/// Finds the chip's name in a file of one kind.
type Read = fn(&str) -> Option<String>;

/// Finds the chip's name: the flag or its variable, the ELF's section `.probe-rs.chip`, `Embed.toml`, a
/// `probe-rs run --chip` runner in `.cargo/config.toml`, then Zephyr's `runners.yaml` beside the ELF or in its build
/// folder; the files are looked for from `folder` upward.
#[must_use]
pub fn chip(flag: Option<&str>, image: &Image, folder: &Path) -> Option<ChipName> {
    let said = |name: String, said_by: &str| ChipName { name, said_by: said_by.into(), is_hint: false };
    if let Some(name) = flag {
        return Some(said(name.into(), "--chip"));
    }
    if let Some(name) = &image.chip {
        return Some(said(name.clone(), "the ELF's section .probe-rs.chip"));
    }
    let files: [(&str, Read); 4] = [
        ("Embed.toml", embed_chip),
        (".embed.toml", embed_chip),
        (".cargo/config.toml", cargo_chip),
        (".cargo/config", cargo_chip),
    ];
    for (file, read) in files {
        for path in upward(folder, file) {
            if let Some(name) = std::fs::read_to_string(&path).ok().and_then(|text| read(&text)) {
                return Some(said(name, &path.display().to_string()));
            }
        }
    }
    let beside = image.path.parent().map(|folder| folder.join(RUNNERS));
    let below = upward(folder, &format!("build/zephyr/{RUNNERS}"));
    beside.into_iter().chain(below).find_map(|path| {
        let size = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file)?.len();
        let text = (size <= MAX_RUNNERS).then(|| std::fs::read_to_string(&path).ok())??;
        let (name, is_hint) = zephyr_chip(&text)?;
        Some(ChipName { is_hint, ..said(name, &path.display().to_string()) })
    })
}

/// The chip in Zephyr's `runners.yaml` (scripts/west_commands/runners, Zephyr 3.7), and whether it is another tool's name
/// of it: `--chip` of the runner `probe-rs`, else `--device` of `jlink`, else `--target` of `pyocd`.
fn zephyr_chip(text: &str) -> Option<(String, bool)> {
    #[derive(serde::Deserialize)]
    struct Runners {
        args: std::collections::BTreeMap<String, Vec<String>>,
    }
    let runners: Runners = yaml_serde::from_str(text).ok()?;
    [("probe-rs", "--chip", false), ("jlink", "--device", true), ("pyocd", "--target", true)].into_iter().find_map(
        |(runner, flag, is_hint)| {
            let arguments = runners.args.get(runner)?;
            let joined = arguments.iter().find_map(|word| word.strip_prefix(flag)?.strip_prefix('='));
            let apart = || arguments.iter().skip_while(|word| *word != flag).nth(1).map(String::as_str);
            let name = joined.or_else(apart)?.trim();
            (!name.is_empty()).then(|| (name.to_owned(), is_hint))
        },
    )
}

fn upward(folder: &Path, file: &str) -> Vec<PathBuf> {
    folder.ancestors().map(|folder| folder.join(file)).filter(|path| path.is_file()).collect()
}

/// The chip of an `Embed.toml`: `[default.general] chip = "..."`.
fn embed_chip(text: &str) -> Option<String> {
    let file: toml::Table = text.parse().ok()?;
    Some(file.get("default")?.get("general")?.get("chip")?.as_str()?.to_owned())
}

/// The chip of the first runner in a cargo configuration that names one.
fn cargo_chip(text: &str) -> Option<String> {
    let file: toml::Table = text.parse().ok()?;
    let runners = file.get("target")?.as_table()?.values().filter_map(|target| target.get("runner"));
    runners.filter_map(runner_words).find_map(|words| {
        let flag = words.iter().position(|word| word == "--chip")?;
        words.get(flag + 1).cloned()
    })
}

/// A runner's words: it is written as one string or as a list.
fn runner_words(runner: &toml::Value) -> Option<Vec<String>> {
    match runner {
        toml::Value::String(line) => {
            Some(line.replace("--chip=", "--chip ").split_whitespace().map(Into::into).collect())
        }
        toml::Value::Array(words) => {
            let line: Vec<&str> = words.iter().filter_map(toml::Value::as_str).collect();
            Some(line.join(" ").replace("--chip=", "--chip ").split_whitespace().map(Into::into).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_is_found_where_projects_write_it() {
        assert_eq!(embed_chip("[default.general]\nchip = \"nRF52840_xxAA\"\n"), Some("nRF52840_xxAA".into()));
        for config in [
            "[target.thumbv7em-none-eabihf]\nrunner = \"probe-rs run --chip STM32F401RE\"\n",
            "[target.'cfg(all())']\nrunner = [\"probe-rs\", \"run\", \"--chip=STM32F401RE\"]\n",
        ] {
            assert_eq!(cargo_chip(config), Some("STM32F401RE".into()), "{config}");
        }
        let runners = |args: &str| zephyr_chip(&format!("runners:\n- jlink\nconfig:\n  board_dir: /z\nargs:\n{args}"));
        for (args, found) in [
            ("  jlink:\n    - --dt-flash=y\n    - --device=nRF52840_xxAA\n", Some(("nRF52840_xxAA", true))),
            (
                "  jlink:\n    - --device=nRF52840\n  probe-rs:\n    - --chip=nRF52840_xxAA\n",
                Some(("nRF52840_xxAA", false)),
            ),
            ("  pyocd:\n    - --target\n    - nrf52840\n  openocd: []\n", Some(("nrf52840", true))),
            ("  pyocd:\n    - --target\n", None),
            ("  jlink:\n    - --device=\n", None),
            ("  - no map\n", None),
            ("  jlink: *unknown\n", None),
        ] {
            assert_eq!(runners(args), found.map(|(name, is_hint)| (name.to_owned(), is_hint)), "{args}");
        }
        for config in ["", "[target", "[target.x]\nrunner = \"qemu\"\n", "target = 1"] {
            assert_eq!(cargo_chip(config), None, "{config}");
        }
    }
}
