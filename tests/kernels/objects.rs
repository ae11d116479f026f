//! What kernels keep beside their threads: queues, pools, mutexes and their like, each by its name.

use highwater::model::snapshot::{Part, PartKind, Snapshot};

use crate::fixture::Fixture;

/// A name, what it is on the map, the symbol that it lies in and how many bytes behind it, and its size in bytes.
type Expected = (&'static str, PartKind, &'static str, u32, u32);

/// The index of a case, the word that is changed in it, what it is changed to or the symbol to whose address, and which
/// names are gone then.
type Damage = (usize, &'static str, &'static str, &'static str, u32, &'static [&'static str]);

const CASES: [(&str, &[&str], &[Expected]); 5] = [
    (
        "freertos.c",
        &["-g"],
        &[
            ("blink timer", PartKind::Other, "timers", 0, 28),
            ("commands queue", PartKind::Buffer, "commands", 12, 40),
            ("commands queue control block", PartKind::Other, "commands", 0, 12),
            ("go semaphore", PartKind::Other, "ready_memory", 0, 12),
            ("net.queues[1] queue", PartKind::Buffer, "spare_memory", 12, 40),
            ("net.queues[1] queue control block", PartKind::Other, "spare_memory", 0, 12),
            ("watchdog timer", PartKind::Other, "timers", 28, 28),
        ],
    ),
    (
        "rtx5.c",
        &["-g", "-DOBJECTS"],
        &[
            ("bus mutex", PartKind::Other, "os_mem", 16, 28),
            ("commands queue", PartKind::Buffer, "commands_memory", 0, 120),
            ("link event flags", PartKind::Other, "flags_pool", 0, 16),
            ("packets pool", PartKind::Buffer, "packets_memory", 0, 64),
            ("space semaphore", PartKind::Other, "os_mem", 56, 16),
        ],
    ),
    ("zephyr.c", &["-g"], &ZEPHYR),
    (
        "zephyr.c",
        &["-gdwarf-3", "-DOLD", "-DTRACKING"],
        &[ZEPHYR[0], ("heap_block semaphore", PartKind::Other, "heap_block", 0, 20), ZEPHYR[1], ZEPHYR[2]],
    ),
    (
        "threadx.c",
        &["-g"],
        &[
            ("blink timer", PartKind::Other, "arena", 56, 12),
            ("bus mutex", PartKind::Other, "arena", 32, 12),
            ("commands queue", PartKind::Buffer, "messages", 0, 96),
            ("link event flags", PartKind::Other, "arena", 44, 12),
            ("packets blocks", PartKind::Buffer, "blocks", 0, 96),
            ("rx semaphore", PartKind::Other, "arena", 0, 16),
            ("tx semaphore", PartKind::Other, "arena", 16, 16),
        ],
    ),
];

const ZEPHYR: [Expected; 3] = [
    ("console pipe", PartKind::Buffer, "pipe_buffer", 0, 40),
    ("messages queue", PartKind::Buffer, "message_buffer", 0, 48),
    ("packets slab", PartKind::Buffer, "slab_buffer", 0, 64),
];

/// All parts that are objects, wherever they lie, by name.
fn objects(snapshot: &Snapshot) -> Vec<&Part> {
    let parts = snapshot.memories.iter().flat_map(|memory| &memory.parts);
    let all = parts.flat_map(|part| std::iter::once(part).chain(&part.parts));
    let mut found: Vec<&Part> = all.filter(|part| matches!(part.kind, PartKind::Buffer | PartKind::Other)).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn names(snapshot: &Snapshot) -> Vec<&str> {
    objects(snapshot).iter().map(|part| part.name.as_str()).collect()
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn objects_of_a_kernel_are_named_where_no_symbol_says_what_they_are() {
    for (source, flags, expected) in CASES {
        let mut fixture = Fixture::new(source, flags);
        let snapshot = fixture.look();
        let found: Vec<_> = objects(&snapshot)
            .iter()
            .map(|part| (part.name.clone(), part.kind, part.range.start(), part.range.size()))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, kind, symbol, offset, size)| {
                ((*name).to_owned(), *kind, fixture.address(symbol, "") + offset, *size)
            })
            .collect();
        assert_eq!(found, expected, "{source} {flags:?}");
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn an_object_in_the_memory_of_a_kernel_lies_in_that_heap() {
    let snapshot = Fixture::new("rtx5.c", &["-g", "-DOBJECTS"]).look();
    let heap = snapshot.memories.iter().flat_map(|memory| &memory.parts).find(|part| part.name == "RTX memory");
    let inside: Vec<&str> = heap
        .expect("it is walked")
        .parts
        .iter()
        .filter(|part| !part.is_static)
        .map(|part| part.name.as_str())
        .collect();
    assert!(inside.contains(&"bus mutex") && inside.contains(&"space semaphore"), "{inside:?}");
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_list_of_objects_that_is_damaged_or_goes_in_a_circle_ends_where_it_is() {
    let cases: [Damage; 9] = [
        // In a circle that leaves the first one out.
        (4, "seen", "tx_semaphore_created_next", "arena", 16, &[]),
        (4, "arena", "first.tx_semaphore_created_next", "", 0x10, &["tx semaphore"]),
        (4, "arena", "first.tx_semaphore_created_next", "", 0x2000_0002, &["tx semaphore"]),
        (4, "_tx_mutex_created_ptr", "", "arena", 0, &["bus mutex"]),
        (3, "linked", "_obj_track_next", "heap_block", 0, &[]),
        (1, "os_mem", "a.next", "os_mem", 8, &["bus mutex", "space semaphore"]),
        (1, "flags_info", "block_size", "", 0, &["link event flags"]),
        (1, "commands", "mp_info.block_lim", "", 0xffff_fff0, &["commands queue"]),
        (0, "xQueueRegistry", "", "", 0xffff_fff1, &["go semaphore"]),
    ];
    for (index, symbol, path, to, offset, gone) in cases {
        let (source, flags, expected) = CASES[index];
        let mut fixture = Fixture::new(source, flags);
        let address = fixture.address(symbol, path);
        let word = if to.is_empty() { offset } else { fixture.address(to, "") + offset };
        fixture.poke(address, word);
        let expected: Vec<&str> = expected.iter().map(|part| part.0).filter(|name| !gone.contains(name)).collect();
        assert_eq!(names(&fixture.look()), expected, "{source}: {symbol}.{path}");
    }
}
