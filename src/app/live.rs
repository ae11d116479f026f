//! The live screen: the sampler on its own thread, the screen on this one.

use super::{Failure, open::Opened};
use crate::cli::Look;

/// Shows the target until the user quits.
///
/// # Errors
///
/// The terminal cannot be used.
pub fn run(_opened: Opened, _look: &Look) -> Result<(), Failure> {
    Err(Failure::Error("no screen yet".into()))
}
