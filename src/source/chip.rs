//! The chips probe-rs knows: their names, memories, and the way in.

mod bank;
pub(super) mod entry;
pub mod sleep;

use probe_rs::Target;
#[cfg(feature = "simulator")]
use probe_rs::architecture::arm::ApAddress as ArmApAddress;
use probe_rs::architecture::arm::dp::DpAddress;
use probe_rs::architecture::arm::{ApV2Address, FullyQualifiedApAddress};
use probe_rs::config::{CoreType, MemoryRegion, Registry};
use probe_rs_target::{ApAddress, ChipFamily, CoreAccessOptions};
use thiserror::Error;

use crate::image::layout::Memory;
use crate::model::snapshot::MemoryKind;
use crate::region::Region;
#[cfg(feature = "simulator")]
use crate::simulator::Port;

/// Why a chip's name led nowhere.
#[derive(Debug, Error)]
pub enum ChipError {
    /// No chip has that name.
    #[error("no chip is called `{name}`{}", suggestion(name, near, known))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names that are close to it, the closest first.
        near: Vec<String>,
        /// The chips that could have been meant.
        known: Known,
    },
    /// The name fits several chips.
    #[error("`{name}` fits several chips: {}; give one of them with --chip", several.join(", "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// The chips it fits.
        several: Vec<String>,
    },
    /// A chip description file cannot be used.
    #[error("cannot use the chip description {path}: {why}")]
    Description {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The chips that this build knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// How many there are.
    pub chips: usize,
    /// Who makes them, in alphabetic order.
    pub makers: Vec<String>,
}

impl Known {
    fn of(registry: &Registry) -> Self {
        let families = registry.families().iter();
        let maker = |family: &ChipFamily| Some(family.manufacturer?.get()?.to_owned());
        let makers: std::collections::BTreeSet<String> = families.clone().filter_map(maker).collect();
        Self { chips: families.map(|family| family.variants.len()).sum(), makers: makers.into_iter().collect() }
    }
}

/// What makers call their chips, where probe-rs describes none of them.
const NOT_DESCRIBED: &[(&str, &str)] = &[("esp32", "Espressif"), ("esp8266", "Espressif")];

fn suggestion(name: &str, near: &[String], known: &Known) -> String {
    let name = name.to_ascii_lowercase();
    let maker = NOT_DESCRIBED.iter().find(|(start, _)| name.starts_with(start)).map(|(_, maker)| *maker);
    let maker = maker.filter(|maker| !known.makers.iter().any(|known| known.starts_with(maker)));
    if let (None, [_, ..]) = (maker, near) {
        return format!("; did you mean {}?", near.join(", "));
    }
    let why = maker.map(|maker| format!("; {maker}'s are not among them")).unwrap_or_default();
    format!(
        ": this build knows the {} chips that the library probe-rs describes, of {}{why}. Another one needs its description, a \
         target file of probe-rs, with --chip-description-path; without a chip the memories are those that the ELF tells of",
        known.chips,
        known.makers.join(", "),
    )
}

/// A chip that probe-rs knows.
#[derive(Clone)]
pub struct Chip {
    target: Target,
}

impl std::fmt::Debug for Chip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chip({})", self.target.name)
    }
}

impl From<Target> for Chip {
    fn from(target: Target) -> Self {
        Self { target }
    }
}

impl Chip {
    /// Finds a chip by its name, in the built-in list and in `description`, a probe-rs target file.
    ///
    /// # Errors
    ///
    /// There is none of that name (close names are given), or several.
    pub fn find(name: &str, description: Option<&std::path::Path>) -> Result<Self, ChipError> {
        let mut registry = Registry::from_builtin_families();
        if let Some(path) = description {
            let bad = |why: String| ChipError::Description { path: path.display().to_string(), why };
            let yaml = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
            registry.add_target_family_from_yaml(&yaml).map_err(|error| bad(error.to_string()))?;
        }
        match registry.get_target_by_name(name) {
            Ok(target) => Ok(Self { target }),
            Err(_) => Err(nearest(&registry, name)),
        }
    }

    /// The chip's full name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.target.name
    }

    /// The first core's type: `Cortex-M4`.
    #[must_use]
    pub fn core(&self) -> String {
        core_name(self.target.default_core().core_type).into()
    }

    /// Its flash and RAM in address order, each at every address it has: the firmware shows by its own addresses which
    /// one it means. Empty when the description has none, as for the generic core names.
    #[must_use]
    pub fn memories(&self) -> Vec<Memory> {
        bank::memories(self.target.memory_map.iter().filter_map(bank))
    }

    /// The first core's type, as probe-rs tells cores apart.
    pub(super) fn core_type(&self) -> CoreType {
        self.target.default_core().core_type
    }

    /// What probe-rs knows of it.
    pub(super) fn target(&self) -> Target {
        self.target.clone()
    }

    /// Whether its description says nothing of how its flash is written.
    pub(super) fn cannot_be_flashed(&self) -> bool {
        self.target.flash_algorithms.is_empty()
    }

    /// The first core's access port, as the emulated board has one, and what selects the debug port before it.
    #[cfg(feature = "simulator")]
    pub(super) fn port(&self) -> (Port, u32) {
        let Some(port) = self.memory_ap() else { return <(Port, u32)>::default() };
        let place = match port.ap() {
            ArmApAddress::V1(number) => Port::Number(*number),
            ArmApAddress::V2(base) => Port::Address(base.0.and_then(|base| base.try_into().ok()).unwrap_or(0)),
        };
        let targetsel = if let DpAddress::Multidrop(targetsel) = port.dp() { targetsel } else { 0 };
        (place, targetsel)
    }

    /// Where the first core's memory is reached; `None` when the description does not tell.
    pub(super) fn memory_ap(&self) -> Option<FullyQualifiedApAddress> {
        let CoreAccessOptions::Arm(options) = &self.target.default_core().core_access_options else { return None };
        let dp = options.targetsel.map_or(DpAddress::Default, DpAddress::Multidrop);
        Some(match options.ap {
            ApAddress::V1(ap) => FullyQualifiedApAddress::v1_with_dp(dp, ap),
            ApAddress::V2(base) => FullyQualifiedApAddress::v2_with_dp(dp, ApV2Address::new(base)),
        })
    }
}

/// The name of a core type as data sheets write it.
fn core_name(core: CoreType) -> &'static str {
    match core {
        CoreType::Armv6m => "Cortex-M0",
        CoreType::Armv7m => "Cortex-M3",
        CoreType::Armv7em => "Cortex-M4",
        CoreType::Armv8m => "Cortex-M33",
        CoreType::Armv7a => "Cortex-A",
        CoreType::Armv7r => "Cortex-R",
        CoreType::Armv8a => "Cortex-A (64-bit)",
        CoreType::Riscv => "RISC-V",
        CoreType::Xtensa => "Xtensa",
        _ => "unknown core",
    }
}

/// A bank of flash or RAM as its description has it.
fn bank(region: &MemoryRegion) -> Option<(MemoryKind, Option<&str>, Region)> {
    // Which of two addresses is called the alias is no help: nRF52 descriptions call 0x2000_0000 one.
    let (kind, name, range) = match region {
        MemoryRegion::Ram(ram) => (MemoryKind::Ram, &ram.name, &ram.range),
        MemoryRegion::Nvm(nvm) => (MemoryKind::Flash, &nvm.name, &nvm.range),
        MemoryRegion::Generic(_) => return None,
    };
    let start = u32::try_from(range.start).ok()?;
    let size = u32::try_from(range.end.checked_sub(range.start)?).unwrap_or(u32::MAX);
    Some((kind, name.as_deref(), Region::new(start, size)))
}

fn nearest(registry: &Registry, name: &str) -> ChipError {
    let mut several = registry.search_chips(name);
    several.sort();
    several.dedup();
    if several.len() > 1 && several.len() <= 8 {
        return ChipError::Ambiguous { name: name.into(), several };
    }
    let wanted = name.to_ascii_lowercase();
    let mut scored: Vec<(f64, String)> = registry
        .families()
        .iter()
        .flat_map(|family| family.variants.iter())
        .map(|chip| (strsim::jaro_winkler(&wanted, &chip.name.to_ascii_lowercase()), chip.name.clone()))
        .filter(|(score, _)| *score > 0.85)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.dedup_by(|next, last| next.1 == last.1);
    let near = scored.into_iter().take(3).map(|(_, name)| name).collect();
    ChipError::Unknown { name: name.into(), near, known: Known::of(registry) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_chip_gets_near_names() {
        let error = Chip::find("STM32F408VG", None).unwrap_err().to_string();
        assert!(error.contains("did you mean") && error.contains("STM32F407VG"), "{error}");
    }

    #[test]
    fn a_chip_of_a_maker_that_is_not_described_is_told_so_with_those_that_are() {
        let chips: usize =
            Registry::from_builtin_families().families().iter().map(|family| family.variants.len()).sum();
        for (name, maker) in [("esp32c3", true), ("ESP32-S3", true), ("wombat", false)] {
            let error = Chip::find(name, None).unwrap_err().to_string();
            assert!(error.contains(&format!("knows the {chips} chips")), "{error}");
            assert!(error.contains("STMicroelectronics") && error.contains("--chip-description-path"), "{error}");
            assert_eq!(error.contains("Espressif's are not among them"), maker, "{error}");
            assert!(!error.contains("did you mean"), "{error}");
        }
    }

    #[test]
    fn no_chip_has_two_memories_at_one_address_or_one_that_is_made_up() {
        let registry = Registry::from_builtin_families();
        let chips = registry.families().iter().flat_map(|family| &family.variants);
        let mut count = 0;
        for chip in chips {
            let memories = bank::memories(chip.memory_map.iter().filter_map(bank));
            for pair in memories.windows(2) {
                assert!(pair[0].range.gap_to(pair[1].range).is_some(), "{}: {memories:?}", chip.name);
            }
            assert!(memories.iter().all(|memory| !memory.name.contains("synth")), "{}", chip.name);
            count += 1;
        }
        assert!(count > 1000, "{count}");
    }

    #[test]
    fn the_address_that_the_firmware_uses_is_the_one_that_is_shown() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.elf");
        let image = crate::image::Image::open(&path).expect("the demo opens");
        let chip = Chip::find("nRF52840_xxAA", None).expect("probe-rs knows it");
        let shown = crate::image::layout::memories(&image, &chip.memories());
        let ram: Vec<Region> =
            shown.iter().filter(|memory| memory.kind == MemoryKind::Ram).map(|memory| memory.range).collect();
        assert_eq!(ram, [Region::new(0x2000_0000, 256 * 1024)]);
    }
}
