//! The tool's own log: to a file that the user names, and nowhere else.
//!
//! Standard error is no place for it: while the screen is up, a line there tears the picture.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use super::Failure;

/// The variable that says how much is logged, as everywhere in the Rust ecosystem.
const VARIABLE: &str = "RUST_LOG";
/// What is logged when that variable is not set.
const DEFAULT: &str = "info";

/// Sends the log to the end of `file`, which is made when it is not there yet.
///
/// # Errors
///
/// The file cannot be written, or `RUST_LOG` is not a filter.
pub fn start(file: &Path) -> Result<(), Failure> {
    let filter = match std::env::var(VARIABLE) {
        Ok(words) if !words.is_empty() => EnvFilter::try_new(&words)
            .map_err(|error| Failure::Error(format!("{VARIABLE}=`{words}` is not a log filter: {error}")))?,
        _ => EnvFilter::new(DEFAULT),
    };
    // Appending keeps the log of the run before, which may be the one that went wrong.
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .map_err(|error| Failure::Error(format!("cannot write the log file {}: {error}", file.display())))?;
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Mutex::new(log)).finish();
    // A second logger in one process can only come from a caller of this library, and its own is as good.
    let _ = tracing::subscriber::set_global_default(subscriber);
    tracing::info!("highwater {}", env!("CARGO_PKG_VERSION"));
    Ok(())
}
