//! Whether the target runs this ELF, and how the two are called.

use crate::image::Image;
use crate::image::callgraph::CallGraph;
use crate::kernel::agent::BUILD_ID_SYMBOL;
use crate::memory::{LOOKS, Sentinel};
use crate::model::snapshot::Target;
use crate::region::Region;
use crate::source::{ReadError, Source};

/// Samples of 16 bytes that are compared with the ELF after an attach and each reset.
const SAMPLES: usize = 8;

/// CPUID, which no core has as zeros or ones (ARM DDI 0403E B3.2.3).
pub(super) const CPUID: Region = Region::new(0xE000_ED00, 4);

/// Why a target that answers nothing is taken for one without power.
pub(super) fn silence() -> ReadError {
    ReadError::Busy("neither its memory nor its core can be read; is it powered?".into())
}

/// Whether an answer may come from nowhere: none, zeros, or ones.
fn is_silent(answer: Option<&[u8]>) -> bool {
    answer.is_none_or(|bytes| [0, 0xff].iter().any(|silent| bytes.iter().all(|byte| byte == silent)))
}

/// What differs between the ELF and the target's flash, in words.
///
/// # Errors
///
/// The link went away, or the target does not answer: an erased chip still has a core that says what it is.
pub(super) fn differing(image: &Image, source: &mut dyn Source) -> Result<Option<String>, ReadError> {
    let mut differing = Vec::new();
    let mut silent = !source.describe().is_saved;
    let samples = image.samples(SAMPLES);
    for (range, expected) in &samples {
        let mut differs = false;
        for _ in 0..LOOKS {
            let mut found = vec![0; expected.len()];
            differs = match source.read(*range, &mut found) {
                Ok(()) => {
                    silent &= is_silent(Some(&found));
                    found != *expected
                }
                Err(ReadError::Unreadable { .. }) => false,
                Err(error) => return Err(error),
            };
            // What was right once is so: flash does not change by itself.
            if !differs {
                break;
            }
        }
        if differs {
            differing.push(*range);
        }
    }
    if silent && !samples.is_empty() {
        let mut cpuid = [0; 4];
        match source.read(CPUID, &mut cpuid) {
            Ok(()) | Err(ReadError::Unreadable { .. }) if is_silent(Some(&cpuid)) => return Err(silence()),
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::source::testing::Bytes;

    #[test]
    fn a_target_that_answers_nothing_is_no_other_firmware() {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.elf");
        let image = Image::open(&demo).expect("the demo opens");
        let everywhere = Region::new(0, 0x0010_0000);
        for fill in [0, 0xff] {
            // Without a core that says what it is, nothing answers; an erased chip has one.
            let mut dead = Bytes::new(everywhere);
            dead.content.fill(fill);
            assert_eq!(differing(&image, &mut dead), Err(silence()), "{fill:02x}");
            let mut erased = Erased(dead);
            assert!(differing(&image, &mut erased).is_ok_and(|difference| difference.is_some()), "{fill:02x}");
        }
        // Nothing can be read at all.
        assert_eq!(differing(&image, &mut Bytes::new(Region::new(0x5000_0000, 4))), Err(silence()));
    }

    /// Memory with a core beside it.
    struct Erased(Bytes);

    impl Source for Erased {
        fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
            if range == CPUID {
                into.copy_from_slice(&0x410f_c241u32.to_le_bytes());
                return Ok(());
            }
            self.0.read(range, into)
        }

        fn status(&mut self) -> Result<crate::source::CoreStatus, ReadError> {
            self.0.status()
        }

        fn reopen(&mut self) -> Result<(), ReadError> {
            self.0.reopen()
        }

        fn now(&self) -> std::time::Duration {
            self.0.now()
        }

        fn wait(&mut self, time: std::time::Duration) {
            self.0.wait(time);
        }

        fn describe(&self) -> crate::source::Description {
            self.0.describe()
        }

        fn counters(&self) -> crate::source::Counters {
            self.0.counters()
        }
    }
}
