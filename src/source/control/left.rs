//! What a run found in registers before it changed them, kept in a small file until it has put it back. If
//! the tool dies in between, the next run with the same flag finds the file and restores from it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The largest file that is read.
const LIMIT: u64 = 64 << 10;

/// The registers of one comparator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparator {
    /// `DWT_COMPn`.
    pub comp: u32,
    /// `DWT_MASKn`; 0 where there is none (v8-M).
    pub mask: u32,
    /// `DWT_FUNCTIONn`, without what only reads tell.
    pub function: u32,
}

/// What a tripwire found before anything was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// `DEMCR`.
    pub demcr: u32,
    /// Whether `DHCSR.C_DEBUGEN` was set: another debugger is at work.
    pub debug_enabled: bool,
    /// The comparators, as many as there are.
    pub comparators: Vec<Comparator>,
}

/// Where a run keeps what it found.
#[derive(Clone, Debug)]
pub struct Keeper {
    path: PathBuf,
}

impl Keeper {
    /// Keeps it in this file.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// What an earlier run kept and never put back. A file that makes no sense is none.
    #[must_use]
    pub fn load<T: DeserializeOwned>(&self) -> Option<T> {
        let size = fs::metadata(&self.path).ok()?.len();
        if size > LIMIT {
            return None;
        }
        serde_json::from_slice(&fs::read(&self.path).ok()?).ok()
    }

    /// Keeps it, before anything is changed.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn store<T: Serialize>(&self, found: &T) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_vec_pretty(found).map_err(io::Error::other)?;
        // A file that is half written when the power goes would be worse than none.
        let beside = self.path.with_extension("new");
        let mut file = fs::File::create(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)
    }

    /// Everything is put back: there is nothing to keep.
    pub fn forget(&self) {
        // A file that stays makes the next run restore what is there already.
        let _ = fs::remove_file(&self.path);
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_survives_and_damage_is_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let keeper = Keeper::new(folder.path().join("deep/er/file.json"));
        assert_eq!(keeper.load::<Found>(), None);
        let comparator = Comparator { comp: 0x2000_0000, mask: 5, function: 6 };
        let found = Found { demcr: 1 << 24, debug_enabled: true, comparators: vec![comparator] };
        keeper.store(&found).expect("it is written");
        assert_eq!(keeper.load::<Found>(), Some(found));
        fs::write(keeper.path(), "{\"demcr\": 1").expect("it is written");
        assert_eq!(keeper.load::<Found>(), None);
        keeper.forget();
        assert!(!keeper.path().exists());
    }
}
