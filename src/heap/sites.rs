//! From the return addresses in a block's header to the place in the program that asked for it.
//!
//! The first callers are often the library that a container comes from, and allocators around allocators: the place is
//! the first function that is neither, those that were inlined included.

use std::collections::HashMap;

use crate::image::Image;
use crate::image::lines::Frame;
use crate::image::symbols::demangle;
use crate::model::snapshot::CallSite;

/// Places that are kept: far more than a firmware has calls that allocate.
const KEPT: usize = 4096;

/// The places, each worked out once.
#[derive(Clone, Debug, Default)]
pub struct Sites(HashMap<Vec<u32>, CallSite>);

impl Sites {
    /// The place that these return addresses lead to, the innermost first.
    pub fn of(&mut self, image: &Image, callers: &[u32]) -> CallSite {
        if let Some(site) = self.0.get(callers) {
            return site.clone();
        }
        if self.0.len() >= KEPT {
            self.0.clear();
        }
        let site = find(image, callers);
        self.0.insert(callers.to_vec(), site.clone());
        site
    }
}

fn find(image: &Image, callers: &[u32]) -> CallSite {
    let mut last = None;
    for caller in callers {
        // Where a call returns to is behind it: the byte before is still in it.
        let Some(address) = (caller & !1).checked_sub(1).filter(|_| *caller != 0) else { continue };
        let frames = image.lines().at(address);
        if let Some(frame) = frames.iter().find(|frame| !is_library(frame)) {
            return site(frame);
        }
        if let Some(frame) = frames.last() {
            last = Some(site(frame));
        } else if let Some(symbol) = image.symbols.at(address).filter(|symbol| !symbol.is_data) {
            let frame = Frame { function: demangle(&symbol.name), file: None, line: None };
            if !is_library(&frame) {
                return site(&frame);
            }
            last = Some(site(&frame));
        }
    }
    // Nothing but the library was recorded: its outermost function says at least what kind of thing it is.
    last.unwrap_or_else(|| CallSite { function: "unknown".into(), ..CallSite::default() })
}

fn site(frame: &Frame) -> CallSite {
    CallSite { function: frame.function.clone(), file: frame.file.clone(), line: frame.line }
}

/// Whether a function belongs to a library that allocates for others, or to an allocator.
fn is_library(frame: &Frame) -> bool {
    const FILES: [&str; 7] =
        ["alloc/src/", "core/src/", "std/src/", "hashbrown-", "linked_list_allocator-", "rlsf-", "embedded-alloc-"];
    const NAMES: [&str; 10] = [
        "GlobalAlloc",
        "__rust_",
        "__rg_",
        "__rdl_",
        "highwater_agent::",
        "operator new",
        "pvPortMalloc",
        "_malloc_r",
        "_calloc_r",
        "_realloc_r",
    ];
    // Those of FreeRTOS are the functions that make an object of the kernel's.
    const WHOLE: [&str; 13] = [
        "malloc",
        "calloc",
        "realloc",
        "os_alloc",
        "pvPortCalloc",
        "prvCreateTask",
        "xTaskCreate",
        "xQueueGenericCreate",
        "xQueueCreateMutex",
        "xQueueCreateCountingSemaphore",
        "xTimerCreate",
        "xEventGroupCreate",
        "xStreamBufferGenericCreate",
    ];
    let file = frame.file.as_deref().unwrap_or_default();
    // The containers of C++: libstdc++ has its version in the path, libc++ has `v1`.
    let version = file.split_once("/c++/").map(|(_, version)| version);
    version
        .is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()) || version.starts_with("v1/"))
        || FILES.iter().any(|library| file.starts_with(library) || file.contains(&format!("/{library}")))
        || NAMES.iter().any(|name| frame.function.contains(name))
        || WHOLE.contains(&frame.function.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(function: &str, file: Option<&str>, library: bool) {
        let frame = Frame { function: function.into(), file: file.map(Into::into), line: None };
        assert_eq!(is_library(&frame), library, "{frame:?}");
    }

    #[test]
    fn a_program_s_own_functions_are_told_from_the_library_s() {
        check("try_reserve_exact<u8>", Some("alloc/src/vec/mod.rs"), true);
        check("finish_grow", Some("rust/library/alloc/src/raw_vec/mod.rs"), true);
        check("<demo::heap::Accounted as core::alloc::global::GlobalAlloc>::alloc", Some("demo/src/heap.rs"), true);
        check("remember_packet", Some("demo/src/threads/alloc.rs"), false);
        check("std::__new_allocator<int>::allocate", Some("/usr/include/newlib/c++/12.2.1/bits/new_allocator.h"), true);
        check("make", Some("/home/me/c++/firmware/main.cpp"), false);
        check("malloc", None, true);
        check("xTaskCreate", Some("FreeRTOS/Source/tasks.c"), true);
        check("xTaskCreatePinned", Some("src/tasks.c"), false);
        check("packet_malloc", Some("src/pool.c"), false);
    }
}
