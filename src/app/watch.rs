//! Watches the ELF's file while somebody looks: a build that is finished is read anew, one that is being written is
//! waited for.
//!
//! ```text
//!   another time, size or inode ──> the same at two looks ──> it parses and is whole ──> FileNews::Built
//!                                         | for two seconds not
//!                                         '-> FileNews::Unusable, and go on looking
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use std::{io, thread};

use crate::image::Image;
use crate::image::layout::Memory;
use crate::sampler::rebuilt::FileNews;

/// Time between two looks: a file that did not change in between is finished, or its linker thinks.
const PERIOD: Duration = Duration::from_millis(250);
/// Looks after which somebody is told that the file cannot be used: most links are over by then.
const PATIENCE: u32 = 8;

/// Reads the file anew: the image, and the memories by it; or why that cannot be.
type Read = Box<dyn Fn() -> Result<(Image, Vec<Memory>), String> + Send>;

/// What tells one state of a file from another. All are empty when there is no such file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    size: Option<u64>,
    inode: Option<u64>,
}

impl Stamp {
    /// The state of that file now.
    pub(super) fn of(path: &Path) -> Self {
        let Ok(found) = std::fs::metadata(path) else { return Self::default() };
        #[cfg(unix)]
        let inode = Some(std::os::unix::fs::MetadataExt::ino(&found));
        #[cfg(not(unix))]
        let inode = None;
        Self { modified: found.modified().ok(), size: Some(found.len()), inode }
    }
}

/// Watches one file.
pub struct Watcher {
    path: PathBuf,
    read: Read,
    /// The state that is shown; `None` since somebody was told that the file cannot be used.
    shown: Option<Stamp>,
    last: Stamp,
    /// The state that was read last, and could not be used.
    tried: Option<Stamp>,
    why: String,
    looks: u32,
}

impl Watcher {
    /// Watches `path` for what comes after `opened`, its state before it was opened.
    pub(super) fn new(
        path: PathBuf,
        opened: Stamp,
        read: impl Fn() -> Result<(Image, Vec<Memory>), String> + Send + 'static,
    ) -> Self {
        let (why, read) = (String::new(), Box::new(read));
        Self { path, read, shown: Some(opened), last: opened, tried: None, why, looks: 0 }
    }

    /// Looks once.
    fn look(&mut self) -> Option<FileNews> {
        let now = Stamp::of(&self.path);
        let is_still = std::mem::replace(&mut self.last, now) == now;
        if self.shown == Some(now) {
            self.looks = 0;
            return None;
        }
        self.looks = self.looks.saturating_add(1);
        if now == Stamp::default() {
            self.why = "there is no such file".into();
        } else if !is_still {
            self.why = "it is being written".into();
        } else if self.tried != Some(now) {
            self.tried = Some(now);
            match (self.read)() {
                // What was written to meanwhile may be of two builds.
                Ok((image, memories)) if image.is_whole && Stamp::of(&self.path) == now => {
                    self.shown = Some(now);
                    self.tried = None;
                    self.looks = 0;
                    return Some(FileNews::Built(Arc::new(image), memories));
                }
                Ok(_) => self.why = "it ends before all of its content".into(),
                Err(why) => self.why = why,
            }
        }
        if self.looks != PATIENCE {
            return None;
        }
        self.shown = None;
        Some(FileNews::Unusable(self.why.clone()))
    }

    /// Looks again and again, on a thread of its own, until nobody listens.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(super) fn run(mut self, mut tell: impl FnMut(FileNews) -> Listening + Send + 'static) -> io::Result<()> {
        let watch = move || {
            loop {
                thread::sleep(PERIOD);
                if self.look().is_some_and(|news| tell(news) == Listening::No) {
                    return;
                }
            }
        };
        thread::Builder::new().name("watcher".into()).spawn(watch).map(|_| ())
    }
}

/// Whether somebody still wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listening {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::image::layout;

    const DEMO: &[u8] = include_bytes!("../../assets/demo.elf");

    /// A folder with the demo in it, and its watcher.
    fn watched() -> (tempfile::TempDir, PathBuf, Watcher) {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("app.elf");
        fs::write(&path, DEMO).expect("it can be written");
        let place = path.clone();
        let watcher = Watcher::new(path.clone(), Stamp::of(&path), move || {
            let image = Image::open(&place).map_err(|error| error.to_string())?;
            let memories = layout::memories(&image, &[]);
            Ok((image, memories))
        });
        (folder, path, watcher)
    }

    /// A file of another inode in its place, as a linker does that writes to a temporary file first.
    fn replace(path: &Path, bytes: &[u8]) {
        let other = path.with_extension("tmp");
        fs::write(&other, bytes).expect("it can be written");
        fs::rename(other, path).expect("it can be renamed");
    }

    fn is_built(news: Option<&FileNews>) -> bool {
        matches!(news, Some(FileNews::Built(image, memories)) if image.symbols.get("HIGHWATER").is_some() && !memories.is_empty())
    }

    #[test]
    fn a_file_that_stays_as_it_is_is_no_news() {
        let (_folder, _, mut watcher) = watched();
        assert!((0..20).all(|_| watcher.look().is_none()));
    }

    #[test]
    fn a_new_build_is_read_once_it_did_not_change_for_a_look() {
        let (_folder, path, mut watcher) = watched();
        for _ in 0..2 {
            replace(&path, DEMO);
            assert!(watcher.look().is_none(), "it may still be written");
            assert!(is_built(watcher.look().as_ref()));
            assert!((0..20).all(|_| watcher.look().is_none()));
        }
    }

    #[test]
    fn a_half_written_file_is_waited_for_and_said_to_be_after_a_while() {
        let (_folder, path, mut watcher) = watched();
        for length in [0, 100, DEMO.len() / 2, DEMO.len() - 1] {
            fs::write(&path, &DEMO[..length]).expect("it can be written");
            let news: Vec<FileNews> = (0..30).filter_map(|_| watcher.look()).collect();
            let told = news.iter().filter(|news| matches!(news, FileNews::Unusable(why) if !why.is_empty())).count();
            assert_eq!((told, news.len()), (usize::from(length == 0), usize::from(length == 0)), "of {length} bytes");
        }
        fs::write(&path, DEMO).expect("it can be written");
        assert!(watcher.look().is_none());
        assert!(is_built(watcher.look().as_ref()));
    }

    #[test]
    fn a_file_that_was_gone_and_comes_back_is_read_anew() {
        let (_folder, path, mut watcher) = watched();
        let kept = path.with_extension("kept");
        fs::rename(&path, &kept).expect("it can be renamed");
        let news: Vec<FileNews> = (0..20).filter_map(|_| watcher.look()).collect();
        assert!(matches!(news.as_slice(), [FileNews::Unusable(why)] if why == "there is no such file"), "{news:?}");
        fs::rename(&kept, &path).expect("it can be renamed");
        assert!(watcher.look().is_none());
        assert!(is_built(watcher.look().as_ref()));
    }
}
