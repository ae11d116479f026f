//! The file of the worst ever seen: read, and written whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::Failure;
use crate::check::Watch;
use crate::check::ledger::{Ledger, Raised};
use crate::units::printable;

/// Bytes of a ledger: far more than any project has threads for.
const MAX_BYTES: u64 = 4 << 20;

/// Reads the ledger and, when it is to be updated, raises it by what was seen.
pub(super) fn open(file: &Path, update: bool, watch: &Watch, build: Option<&str>) -> Result<Ledger, Failure> {
    let shown = printable(&file.to_string_lossy(), 4096);
    let failed = |why: &dyn std::fmt::Display| Failure::Error(format!("{shown}: {why}"));
    let mut ledger = match read(file) {
        Ok(text) => Ledger::parse(&text).map_err(|why| failed(&why))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound && update => Ledger::default(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Failure::Error(format!("there is no ledger {shown}: --update-ledger begins one")));
        }
        Err(error) => return Err(failed(&error)),
    };
    if update {
        let raised = ledger.raise(watch, build);
        if raised != Raised::default() {
            let text = ledger.text().map_err(|why| failed(&why))?;
            replace(file, &text).map_err(|error| failed(&format!("cannot be written: {error}")))?;
        }
        eprintln!("{shown}: {} new, {} raised", raised.new, raised.higher);
    }
    Ok(ledger)
}

fn read(file: &Path) -> io::Result<String> {
    if fs::metadata(file)?.len() > MAX_BYTES {
        return Err(io::Error::other("it is too large to be a ledger"));
    }
    fs::read_to_string(file)
}

/// Puts a new file in the old one's place, so that a crash leaves one of the two.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let written = fs::File::create_new(&beside).and_then(|mut new| {
        new.write_all(text.as_bytes())?;
        new.sync_all()
    });
    let outcome = written.and_then(|()| fs::rename(&beside, file));
    if outcome.is_err() {
        // What is left of the attempt is of no use; that it cannot be removed either is not the user's trouble.
        let _ = fs::remove_file(&beside);
    }
    outcome
}
