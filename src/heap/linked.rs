//! The allocators that are linked, by the symbols of an ELF: which one hands out a heap that nobody walked.
//!
//! ```text
//!   a row of the table: the name | what tells that it is linked | the names under which it is walked | what it is made of
//! ```
//!
//! A name is one of the project's own functions, of the crate in a mangled name, or of a type that the debug information has where
//! all functions were inlined. What a program has of another allocator within one is that one's.

use rustc_demangle::try_demangle;

use super::{HeapLook, Place, Walker, heap1, heap2, heap4, linked_list, newlib, picolibc, tlsf};
use crate::image::Image;
use crate::image::symbols::as_written;
use crate::model::snapshot::{Obstacle, Unwalked};
use crate::region::Region;

/// What tells that an allocator is linked.
#[derive(Clone, Copy, Debug)]
enum Sign {
    /// A function of that name.
    Function(&'static str),
    /// An object of that name.
    Object(&'static str),
    /// Something of that Rust crate, in a name that was mangled by either scheme.
    Crate(&'static str),
    /// A type of that name in the debug information.
    Type(&'static str),
}

/// One allocator that is known by name.
struct Known {
    name: &'static str,
    /// Each of them tells.
    signs: &'static [Sign],
    obstacle: Obstacle,
    /// The names of the walkers that walk it.
    walked_as: &'static [&'static str],
    /// The others of the table that it is made of.
    made_of: &'static [&'static str],
    /// The object that is its heap, where it has one of its own: it hands out no other.
    own: Option<&'static str>,
}

const FOREIGN: Known =
    Known { name: "", signs: &[], obstacle: Obstacle::Foreign, walked_as: &[], made_of: &[], own: None };

/// What FreeRTOS's and the C libraries' mallocs are called where their statics are not found for certain.
const NO_STATICS: Obstacle = Obstacle::Uncertain("its statics have no symbols, or other objects have the same names");

use Sign::{Crate, Function, Object, Type};

/// Read in the sources of the version that is named; those of crates were looked for in firmware that was built with them.
const KNOWN: &[Known] = &[
    // mattconte/tlsf 3.1, tlsf.h.
    Known { name: "TLSF", signs: &[Function("tlsf_malloc"), Function("tlsf_create")], ..FOREIGN },
    // lvgl 8 and 9, lv_tlsf.h; its pool is `work_mem_int` (lv_mem.c, lv_mem_core_builtin.c).
    Known { name: "LVGL TLSF", signs: &[Function("lv_tlsf_malloc")], own: Some("work_mem_int"), ..FOREIGN },
    // esp-idf 4 and 5, components/heap: multi_heap.h over a TLSF of its own.
    Known {
        name: "ESP-IDF multi_heap",
        signs: &[Function("multi_heap_malloc"), Function("multi_heap_malloc_impl"), Function("heap_caps_malloc")],
        made_of: &["TLSF"],
        ..FOREIGN
    },
    // rhempel/umm_malloc 1.1, src/umm_malloc.h.
    Known { name: "umm_malloc", signs: &[Function("umm_malloc"), Function("umm_multi_malloc")], ..FOREIGN },
    // pavel-kirienko/o1heap 2.2, o1heap/o1heap.h.
    Known { name: "o1heap", signs: &[Function("o1heapAllocate")], ..FOREIGN },
    // buddy_system_allocator 0.13.0, src/lib.rs, src/linked_list.rs.
    Known {
        name: "buddy_system_allocator",
        signs: &[Crate("buddy_system_allocator"), Type("buddy_system_allocator::linked_list::LinkedList")],
        ..FOREIGN
    },
    // buddy-alloc 0.6.0, src/buddy_alloc.rs.
    Known {
        name: "buddy-alloc",
        signs: &[Crate("buddy_alloc"), Type("buddy_alloc::buddy_alloc::BuddyAlloc")],
        ..FOREIGN
    },
    // talc 4.4.3, src/talc.rs, src/talc/llist.rs.
    Known { name: "talc", signs: &[Crate("talc"), Type("talc::talc::llist::LlistNode")], ..FOREIGN },
    // emballoc 0.3.0, src/raw_allocator.rs.
    Known { name: "emballoc", signs: &[Crate("emballoc"), Type("emballoc::raw_allocator::entry::Entry")], ..FOREIGN },
    // good_memory_allocator 0.1.7, src/lib.rs.
    Known { name: "good_memory_allocator", signs: &[Crate("good_memory_allocator")], ..FOREIGN },
    // rlsf 0.2.3, src/tlsf.rs.
    Known {
        name: tlsf::NAME,
        signs: &[Crate("rlsf"), Type("rlsf::tlsf::BlockHdr")],
        walked_as: &[tlsf::NAME],
        ..FOREIGN
    },
    // linked_list_allocator 0.10.6, src/hole.rs.
    Known {
        name: linked_list::NAME,
        signs: &[Crate("linked_list_allocator")],
        obstacle: Obstacle::Uncertain("that takes its version 0.10, and debug information"),
        walked_as: &[linked_list::NAME],
        ..FOREIGN
    },
    // esp-alloc 0.11.0, src/lib.rs, src/heap.
    Known {
        name: "esp-alloc",
        signs: &[Crate("esp_alloc")],
        obstacle: Obstacle::Uncertain("that takes debug information"),
        walked_as: &[linked_list::NAME, tlsf::NAME],
        made_of: &[linked_list::NAME, tlsf::NAME],
        ..FOREIGN
    },
    // newlib 3.3 and 4.x, newlib/libc/stdlib/nano-mallocr.c.
    Known {
        name: newlib::NANO,
        signs: &[Object("__malloc_sbrk_start")],
        obstacle: Obstacle::Uncertain("which word its sbrk keeps the break in is not known for certain"),
        walked_as: &[newlib::NANO, picolibc::NAME],
        ..FOREIGN
    },
    // newlib 3.3 and 4.x, newlib/libc/stdlib/mallocr.c.
    Known {
        name: newlib::LARGE,
        signs: &[Object("__malloc_av_")],
        obstacle: NO_STATICS,
        walked_as: &[newlib::LARGE],
        ..FOREIGN
    },
    // picolibc 1.4.7 to 1.8, newlib/libc/stdlib/nano-mallocr.c.
    Known {
        name: picolibc::NAME,
        signs: &[Object("__malloc_sbrk_top")],
        obstacle: Obstacle::Uncertain("its version keeps blocks in another way"),
        walked_as: &[picolibc::NAME],
        made_of: &[newlib::NANO],
        ..FOREIGN
    },
    // FreeRTOS V9 to V11, portable/MemMang; heap_3 has no array, and is the C library's.
    Known {
        name: "FreeRTOS heap",
        signs: &[Function("pvPortMalloc")],
        obstacle: NO_STATICS,
        walked_as: &[heap1::NAME, heap2::NAME, heap4::NAME],
        own: Some("ucHeap"),
        ..FOREIGN
    },
    // CMSIS-RTX 5.5 to 5.9, rtx_memory.c and rtx_lib.c.
    Known {
        name: "RTX5 memory",
        signs: &[Function("osRtxMemoryAlloc")],
        obstacle: Obstacle::Uncertain("that takes the debug information of RTX5"),
        walked_as: &["RTX5 memory"],
        own: Some("os_mem"),
        ..FOREIGN
    },
    // lwIP 2, src/core/mem.c.
    Known { name: "lwIP mem", signs: &[Function("mem_malloc")], own: Some("ram_heap"), ..FOREIGN },
    // RT-Thread 3 to 5, src/kservice.c and src/mem.c.
    Known { name: "RT-Thread heap", signs: &[Function("rt_system_heap_init")], ..FOREIGN },
    // ChibiOS/RT 3 to 21, os/lib/src/chmemheaps.c.
    Known { name: "ChibiOS heap", signs: &[Function("chHeapAllocAligned"), Function("chHeapAlloc")], ..FOREIGN },
    // NuttX 7 to 12, mm/mm_heap.
    Known { name: "NuttX mm", signs: &[Function("mm_malloc"), Object("g_mmheap")], ..FOREIGN },
];

/// An allocator of a firmware, of whose heaps none was walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Linked {
    /// Its name.
    name: &'static str,
    obstacle: Obstacle,
    place: Place,
}

impl Linked {
    /// The allocator of a walker that found no heap yet.
    pub(super) fn waiting(walker: &dyn Walker) -> Self {
        Self { name: walker.name(), obstacle: Obstacle::NotYet, place: walker.place() }
    }

    /// Whether it may hand out that memory.
    fn may_have(&self, range: Region) -> bool {
        match self.place {
            Place::At(place) => place.overlaps(range),
            Place::Any => true,
            Place::Elsewhere => false,
        }
    }
}

/// The allocators of this firmware that none of `walkers` walks.
pub(super) fn find(image: &Image, walkers: &[Box<dyn Walker>]) -> Vec<Linked> {
    let is_linked = |known: &&Known| known.signs.iter().any(|sign| is_there(image, *sign));
    let linked: Vec<&Known> = KNOWN.iter().filter(is_linked).collect();
    let is_walked = |known: &Known| walkers.iter().any(|walker| known.walked_as.contains(&walker.name()));
    let is_part = |name: &str| linked.iter().any(|other| other.made_of.contains(&name));
    let left = linked.iter().filter(|known| !is_walked(known) && !is_part(known.name));
    left.filter_map(|known| {
        let place = match known.own {
            // Without an array of its own it has the C library's memory.
            Some(own) => Place::At(object(image, own)?),
            None => Place::Any,
        };
        Some(Linked { name: known.name, obstacle: known.obstacle, place })
    })
    .collect()
}

/// Adds the heaps of allocators that have an object of their own for that, where nobody told of them.
pub(super) fn add_own(linked: &[Linked], looks: &mut Vec<HeapLook>) {
    for linked in linked {
        if let Place::At(range) = linked.place
            && !looks.iter().any(|look| look.heap.range.overlaps(range))
        {
            looks.push(HeapLook::unknown(linked.name, range));
        }
    }
}

/// Says of heaps why nobody walked them, by the ELF alone: nothing of those that somebody may walk in a target.
pub fn tell_statically(image: &Image, looks: &mut Vec<HeapLook>) {
    let walkers = super::detect(image);
    let linked = find(image, &walkers);
    add_own(&linked, looks);
    let waiting: Vec<Linked> = walkers.iter().map(|walker| Linked::waiting(&**walker)).collect();
    for look in looks {
        let is_walked = waiting.iter().any(|waiting| waiting.may_have(look.heap.range));
        look.heap.unwalked = (!is_walked).then(|| unwalked(look.heap.range, linked.iter()));
    }
}

/// A sentence for each of them that nobody walks and that hands out none of the heaps that are told of.
pub(super) fn homeless(linked: &[Linked], looks: &[HeapLook]) -> Vec<String> {
    let has_one = |linked: &Linked| {
        looks.iter().filter_map(|look| look.heap.unwalked.as_ref()).any(|why| why.allocators().contains(&linked.name))
    };
    let without = linked.iter().filter(|linked| linked.obstacle == Obstacle::Foreign && !has_one(linked));
    without
        .map(|linked| {
            format!(
                "The allocator {} is linked: highwater does not walk it, and no symbol tells where its heap lies. The \
                 agent's register_heap does.",
                linked.name
            )
        })
        .collect()
}

/// Why nobody walked the heap at `range`, when it may be one of those allocators'.
pub(super) fn unwalked<'a>(range: Region, linked: impl Iterator<Item = &'a Linked> + Clone) -> Unwalked {
    let at_home = linked.clone().filter(|linked| matches!(linked.place, Place::At(_)) && linked.may_have(range));
    let mut may: Vec<&Linked> = at_home.collect();
    if may.is_empty() {
        may = linked.filter(|linked| linked.may_have(range)).collect();
    }
    let mut named: Vec<(&'static str, Obstacle)> = may.iter().map(|linked| (linked.name, linked.obstacle)).collect();
    named.sort_unstable_by_key(|(name, _)| *name);
    named.dedup_by_key(|(name, _)| *name);
    match named.as_slice() {
        [] => Unwalked::Unnamed,
        [(name, obstacle)] => Unwalked::By(name, *obstacle),
        _ => Unwalked::OneOf(named),
    }
}

fn is_there(image: &Image, sign: Sign) -> bool {
    match sign {
        Function(name) => image.symbols.get(name).is_some_and(|symbol| symbol.is_code),
        Object(name) => image.symbols.get(name).is_some_and(|symbol| !symbol.is_code),
        Crate(name) => image.symbols.iter().any(|symbol| symbol.name.contains(name) && is_of_crate(&symbol.name, name)),
        // The debug information is read only when a symbol says that it is worth it.
        Type(name) => has_rust_heap(image) && image.types().find(name).is_some(),
    }
}

/// Whether a Rust program has a global allocator: rustc makes functions beside it.
fn has_rust_heap(image: &Image) -> bool {
    image
        .symbols
        .iter()
        .any(|symbol| symbol.name.contains("__rust_no_alloc_shim") || symbol.name.contains("__rust_alloc"))
}

/// Whether a mangled name speaks of something in that crate.
fn is_of_crate(symbol: &str, name: &str) -> bool {
    let Ok(written) = try_demangle(symbol) else { return false };
    let written = format!("{written:#}");
    let begins = |at: usize| {
        let before = written[..at].chars().next_back();
        before.is_none_or(|before| before != ':' && before != '_' && !before.is_alphanumeric())
    };
    written.match_indices(name).any(|(at, _)| begins(at) && written[at + name.len()..].starts_with("::"))
}

/// The object of that name, also where it is a static of a function: compilers add a number then.
fn object(image: &Image, name: &str) -> Option<Region> {
    let is_it = |written: &str| {
        let written = as_written(written);
        let number = written.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
        written == name || number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let objects = image.symbols.iter().filter(|symbol| !symbol.is_code && !symbol.range.is_empty());
    Some(objects.into_iter().find(|symbol| is_it(&symbol.name))?.range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::testing::{code, image_with, object as data};

    const HEAP: Region = Region::new(0x2000_8000, 0x1000);

    #[test]
    fn the_allocator_is_told_by_the_symbols_of_a_firmware() {
        let check = |symbols: &[&str], expected: &[&str]| {
            let image = image_with(symbols.iter().map(|name| code(name, 0x100)).collect());
            let names: Vec<&str> = find(&image, &[]).iter().map(|linked| linked.name).collect();
            assert_eq!(names, expected, "{symbols:?}");
        };
        check(&["main", "malloc", "free"], &[]);
        check(&["tlsf_malloc", "tlsf_free"], &["TLSF"]);
        check(&["tlsf_create_with_pool", "tlsf_create", "main"], &["TLSF"]);
        check(&["my_tlsf_malloc", "tlsf_malloc_stats"], &[]);
        check(&["multi_heap_malloc", "tlsf_malloc", "heap_caps_malloc"], &["ESP-IDF multi_heap"]);
        check(&["umm_malloc", "umm_free"], &["umm_malloc"]);
        check(&["umm_multi_malloc"], &["umm_malloc"]);
        check(&["o1heapAllocate", "tlsf_malloc"], &["TLSF", "o1heap"]);
        check(&["rt_system_heap_init"], &["RT-Thread heap"]);
        check(&["chHeapAllocAligned"], &["ChibiOS heap"]);
        check(&["mm_malloc"], &["NuttX mm"]);
        // As rustc 1.90 writes them, by its older scheme and by v0.
        check(&["_ZN4talc4talc13Talc$LT$O$GT$4free17hf5ba020d9e0372c0E"], &["talc"]);
        check(
            &[
                "_ZN79_$LT$talc..oom_handler..ClaimOnOom$u20$as$u20$talc..oom_handler..OomHandler$GT$10handle_oom17hd10c34243d75ac3cE",
            ],
            &["talc"],
        );
        check(&["_RNvMNtCs1234_4talc4talcNtB2_4Talc6malloc"], &["talc"]);
        // Another crate's module or type of that name, and names that end alike.
        check(&["_ZN7subject4talc4free17hf5ba020d9e0372c0E", "_RNvNtCs1234_7subject4talc6malloc"], &[]);
        check(&["_ZN7my_talc4talc4free17hf5ba020d9e0372c0E", "talc_free"], &[]);
        check(
            &[
                "_ZN96_$LT$buddy_system_allocator..LockedHeap$LT$_$GT$$u20$as$u20$core..alloc..global..GlobalAlloc$GT$5alloc17h80240625c38129b9E",
            ],
            &["buddy_system_allocator"],
        );
        check(&["_ZN11buddy_alloc11buddy_alloc10BuddyAlloc6malloc17h4a6dd16ccac5e9b5E"], &["buddy-alloc"]);
        check(&["_ZN8emballoc13raw_allocator5entry5Entry4free17hfe4b63672fcd8355E"], &["emballoc"]);
        let esp = "_ZN9esp_alloc7EspHeap10add_region17h0123456789abcdefE";
        let list = "_ZN21linked_list_allocator4Heap4init17h0123456789abcdefE";
        check(&[esp], &["esp-alloc"]);
        check(&[esp, list], &["esp-alloc"]);
        check(&[list], &["linked_list_allocator"]);
    }

    #[test]
    fn who_has_a_heap_is_told_where_only_one_can_and_those_with_a_place_of_their_own_have_no_other() {
        let check = |symbols: Vec<crate::image::symbols::Symbol>, expected: &str| {
            let linked = find(&image_with(symbols), &[]);
            assert_eq!(unwalked(HEAP, linked.iter()).to_string(), expected);
        };
        let foreign = |name: &str| format!("its allocator, {name}, is not one that highwater walks");
        check(vec![], "no symbol tells which allocator hands it out");
        check(vec![code("umm_malloc", 0x100)], &foreign("umm_malloc"));
        let both = vec![code("umm_malloc", 0x100), code("tlsf_malloc", 0x200)];
        check(
            both,
            "TLSF (not walked) and umm_malloc (not walked) are linked, and nothing tells which of them hands it out",
        );
        // lwIP's lies in an array of its own; with MEM_LIBC_MALLOC it has none.
        let beside = |start| {
            vec![code("mem_malloc", 0x100), data("ram_heap", Region::new(start, 0x400)), code("umm_malloc", 0x200)]
        };
        check(beside(0x2000_0000), &foreign("umm_malloc"));
        check(beside(HEAP.start()), &foreign("lwIP mem"));
        check(vec![code("mem_malloc", 0x100)], "no symbol tells which allocator hands it out");
        // A static of a function.
        check(
            vec![code("lv_tlsf_malloc", 0x100), data("work_mem_int.0", HEAP), data("work_mem_int_2", HEAP)],
            &foreign("LVGL TLSF"),
        );
        check(
            vec![code("pvPortMalloc", 0x100), data("ucHeap", HEAP)],
            "its allocator, FreeRTOS heap, is not walked in this firmware: its statics have no symbols, or other objects \
             have the same names",
        );
        check(
            vec![data("__malloc_sbrk_start", Region::new(0x2000_0000, 4))],
            "its allocator, newlib-nano malloc, is not walked in this firmware: which word its sbrk keeps the break in \
             is not known for certain",
        );
    }
}
