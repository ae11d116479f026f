//! The file that `strip` or `objcopy --only-keep-debug` moved the debug information to: the section `.gnu_debuglink` has its
//! name and a checksum of it (GDB manual, "Debugging Information in Separate Files").

use std::path::Path;

use flate2::Crc;
use object::{Object, ObjectSection};

use super::content::Content;
use super::elf_file::ElfFile;

/// The largest file that is read.
const MAX_FILE: u64 = 1 << 30;

/// The content of that file, from the folder of the ELF at `path` or from `.debug` in it; `None` when the ELF has its debug
/// information itself, names none, or the file is not there or of another build.
pub(super) fn follow(content: &Content, path: &Path) -> Option<Content> {
    let file = ElfFile::of(content)?;
    if file.section_by_name(".debug_info").is_some_and(|section| section.size() > 0) {
        return None;
    }
    let (name, checksum) = file.gnu_debuglink().ok()??;
    let name = Path::new(std::str::from_utf8(name).ok()?).file_name()?;
    let folder = path.parent()?;
    [folder.join(name), folder.join(".debug").join(name)].into_iter().filter(|other| other != path).find_map(|other| {
        let found = Content::beside(&other, MAX_FILE)?;
        let mut crc = Crc::new();
        crc.update(found.first());
        (crc.sum() == checksum).then_some(found)
    })
}
