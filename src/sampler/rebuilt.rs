//! An ELF that was built anew while the target runs the build before.
//!
//! ```text
//!   file changes ──> FileNews::Built ──> held ──> the target's flash has what only the new build has ──> taken over
//! ```

use std::sync::Arc;
use std::time::Duration;

use crate::image::Image;
use crate::image::layout::Memory;
use crate::region::Region;
use crate::source::{ReadError, Source};

/// Samples that tell the new build from the one before.
const SAMPLES: usize = 8;
/// How often the target is asked whether it runs the new build.
const PERIOD: Duration = Duration::from_secs(1);

/// What became of the ELF's file.
#[derive(Clone, Debug)]
pub enum FileNews {
    /// It was written to and cannot be used (yet): why, in words.
    Unusable(String),
    /// It was built anew: what it says now, and the memories by it.
    Built(Arc<Image>, Vec<Memory>),
}

/// A build that the target does not run yet.
#[derive(Debug)]
pub(super) struct Newer {
    pub(super) image: Arc<Image>,
    pub(super) chips: Vec<Memory>,
    /// What its flash has and that of the build before has not.
    telling: Vec<(Region, Vec<u8>)>,
    asked: Option<Duration>,
}

impl Newer {
    pub(super) fn new(image: Arc<Image>, chips: Vec<Memory>, before: &Image) -> Self {
        let telling = image.differences(before, SAMPLES);
        Self { image, chips, telling, asked: None }
    }

    /// Whether the target runs it. It is asked now and then, and at once after a reset, which flashing ends with. Where
    /// nothing in flash tells the two apart, it runs both.
    pub(super) fn runs(&mut self, source: &mut dyn Source, was_reset: bool) -> Result<bool, ReadError> {
        let now = source.now();
        if !was_reset && self.asked.is_some_and(|asked| now.saturating_sub(asked) < PERIOD) {
            return Ok(false);
        }
        self.asked = Some(now);
        for (range, expected) in &self.telling {
            let mut found = vec![0; expected.len()];
            match source.read(*range, &mut found) {
                Ok(()) if found == *expected => {}
                // What cannot be read proves nothing either way: the old build stays.
                Ok(()) | Err(ReadError::Unreadable { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
