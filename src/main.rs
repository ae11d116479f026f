//! The command `highwater`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use highwater::{app, cli::Cli};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match app::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                eprintln!("error: {message}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}
