//! Whether the target runs this ELF, and how the two are called.

use crate::image::Image;
use crate::image::callgraph::CallGraph;
use crate::kernel::agent::BUILD_ID_SYMBOL;
use crate::memory::Sentinel;
use crate::model::snapshot::Target;
use crate::source::{ReadError, Source};

/// Samples of 16 bytes that are compared with the ELF after an attach and each reset.
const SAMPLES: usize = 8;

/// What differs between the ELF and the target's flash, in words.
///
/// # Errors
///
/// The link went away.
pub(super) fn differing(image: &Image, source: &mut dyn Source) -> Result<Option<String>, ReadError> {
    let mut differing = Vec::new();
    let samples = image.samples(SAMPLES);
    for (range, expected) in &samples {
        let mut found = vec![0; expected.len()];
        match source.read(*range, &mut found) {
            Ok(()) if found != *expected => differing.push(*range),
            Ok(()) | Err(ReadError::Unreadable { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(differing.first().map(|first| {
        format!(
            "{} of {} samples of its flash differ from {}, the first at {}",
            differing.len(),
            samples.len(),
            image.name(),
            crate::units::address(first.start().into())
        )
    }))
}

/// A word of the firmware's flash that tells a sleeping target from zeros.
pub(super) fn sentinel(image: &Image) -> Option<Sentinel> {
    image.samples(SAMPLES).into_iter().find_map(|(range, bytes)| {
        let word = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
        (word != 0).then(|| Sentinel { address: range.start(), word })
    })
}

/// The target as it calls itself.
pub(super) fn describe(image: &Image, source: &dyn Source) -> Target {
    let description = source.describe();
    Target {
        elf: image.name(),
        build_id: build_id(image),
        chip: description.chip,
        core: description.core,
        kernel: None,
        source: description.source,
        has_float: image.call_graph().is_some_and(CallGraph::has_float),
        rebuilds: 0,
    }
}

/// What differs when the running firmware tells another build id than the ELF has.
pub(super) fn other_build(image: &Image, running: Option<u64>) -> Option<String> {
    let symbol = image.symbols.get(BUILD_ID_SYMBOL)?;
    let linked = u64::from_le_bytes(image.bytes(symbol.range.bottom(8))?.try_into().ok()?);
    let running = running.filter(|running| *running != linked)?;
    Some(format!("its build id is {running:016x}, and {} has {linked:016x}", image.name()))
}

/// The build id: the agent's when the ELF has one, else the linker's.
pub(super) fn build_id(image: &Image) -> Option<String> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let agent = image.symbols.get(BUILD_ID_SYMBOL).and_then(|symbol| image.bytes(symbol.range.bottom(8)));
    match agent {
        Some(bytes) => Some(hex(&bytes.iter().rev().copied().collect::<Vec<u8>>())),
        None => image.gnu_build_id.as_deref().map(hex),
    }
}
