//! The command `highwater`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use highwater::{app, cli::Cli};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match app::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                eprintln!("error: {}", harmless(message));
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

/// A message names files, chips and probes as they were given: what would move the cursor or change colours in it
/// becomes a question mark.
fn harmless(message: &str) -> String {
    message.chars().map(|c| if c.is_control() && c != '\n' { '?' } else { c }).collect()
}
