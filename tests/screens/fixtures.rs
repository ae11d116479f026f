//! Models to draw: one board in all its moods, and boards that are laid out otherwise.

use std::time::Duration;

use highwater::model::Model;
use highwater::model::alert::{Alert, AlertKind, Severity};
use highwater::model::catch::{Aimed, Call, Catch, CatchKind, Mode, Tripwire};
use highwater::model::event::{Event, EventKind};
use highwater::model::history::{History, Key, Quantity, Reading};
use highwater::model::snapshot::{
    Health, Heap, Link, Measured, MemoryKind, MemoryMap, Part, PartKind, Snapshot, Stack, StackKind, StackWords,
    Target, Trace, TraceKind, TracePlace, Trust, Victim,
};
use highwater::region::Region;

/// When all of these were read.
pub(crate) const AT: Duration = Duration::from_secs(75);

pub(crate) fn exact(bytes: u32) -> Measured {
    Measured { bytes, trust: Trust::Exact }
}

pub(crate) fn at_least(bytes: u32) -> Measured {
    Measured { bytes, trust: Trust::AtLeast }
}

pub(crate) fn part(id: &str, kind: PartKind, start: u32, end: u32) -> Part {
    let name = id.rsplit(['/', ':']).next().unwrap_or(id);
    Part {
        id: id.to_owned(),
        name: name.to_owned(),
        kind,
        range: Region::between(start, end),
        is_static: !matches!(kind, PartKind::Block | PartKind::Free | PartKind::Buffer),
        is_room: false,
        stack: None,
        heap: None,
        parts: Vec::new(),
    }
}

pub(crate) fn stack(name: &str, kind: StackKind, start: u32, size: u32, now: u32, peak: u32) -> Stack {
    Stack {
        id: format!("{name}@{start:08x}"),
        name: name.to_owned(),
        kind,
        range: Region::new(start, size),
        control_block: None,
        current: Some(exact(now)),
        lowest_sp: None,
        peak: Some(exact(peak)),
        worst_case: None,
        worst_case_note: None,
        recursion: None,
        rescanned: Some(AT - Duration::from_millis(400)),
        victim: None,
        overflowed: false,
        limit_whole: true,
        unwritten: None,
        priority: None,
        state: None,
        cpu: None,
    }
}

fn victim(name: &str, start: u32, size: u32) -> Option<Victim> {
    // What lies in the globals has a type; what a kernel put there has none.
    let is = name.starts_with("uart").then(|| format!("[u8; {size}]"));
    Some(Victim { name: name.to_owned(), is, range: Region::new(start, size) })
}

/// The blocks of a heap from here to there, one after the other.
fn blocks(into: &mut Vec<Part>, start: u32, sizes: &[u32]) {
    let mut at = start;
    for size in sizes {
        let mut block = part(&format!("ram/heap/block:{at:08x}"), PartKind::Block, at, at + size);
        block.name = "block".to_owned();
        into.push(block);
        at += size;
    }
}

fn stack_part(parts: &mut Vec<Part>, stacks: &[Stack], name: &str, heap: bool) {
    let index = stacks.iter().position(|stack| stack.name == name).expect("a stack of that name");
    let range = stacks[index].range;
    let id = if heap { format!("ram/heap/stack:{name}") } else { format!("ram/stack:{name}") };
    parts.push(Part {
        stack: Some(index),
        is_static: !heap,
        ..part(&id, PartKind::Stack, range.start(), range.end_address())
    });
}

fn stacks() -> Vec<Stack> {
    let mut stacks = vec![
        stack("main", StackKind::Main, 0x2000_1530, 4096, 504, 944),
        stack("timer", StackKind::Timer, 0x2000_2530, 768, 84, 84),
        stack("idle", StackKind::Idle, 0x2000_2830, 512, 104, 160),
        stack("ISR", StackKind::Isr, 0x2000_fc00, 1024, 48, 392),
        stack("sensor", StackKind::User, 0x2000_3cb0, 1024, 148, 276),
        stack("comms", StackKind::User, 0x2000_42c0, 2048, 296, 840),
        stack("growth", StackKind::User, 0x2000_4cc8, 4096, 412, 3656),
        stack("alloc", StackKind::User, 0x2000_60c8, 1536, 120, 200),
        stack("waiter", StackKind::User, 0x2000_6f98, 768, 112, 128),
    ];
    stacks[0].victim = victim(".bss", 0x2000_0590, 4000);
    stacks[1].victim = victim("main stack", 0x2000_1530, 4096);
    stacks[2].victim = victim("timer stack", 0x2000_2530, 768);
    stacks[3].victim = victim("heap", 0x2000_3890, 0xc370);
    stacks[4].victim = victim("block", 0x2000_3aa0, 0x210);
    stacks[5].victim = victim("uart_tx_buf", 0x2000_40b0, 528);
    stacks[6].victim = victim("uart_rx_buf", 0x2000_4ac0, 520);
    stacks[7].victim = victim("free", 0x2000_5cc8, 1024);
    stacks[8].victim = victim("block", 0x2000_6e00, 0x198);
    for (index, lowest) in [(0, 932), (2, 152), (4, 268), (5, 820), (6, 3640), (8, 112)] {
        stacks[index].lowest_sp = Some(exact(lowest));
    }
    stacks[3].peak = Some(at_least(392));
    stacks[6].peak = Some(at_least(3656));
    stacks[8].peak = Some(at_least(128));
    stacks[6].priority = Some(24);
    stacks[6].state = Some("delayed".to_owned());
    stacks
}

fn ram(stacks: &[Stack]) -> MemoryMap {
    let mut inside = Vec::new();
    blocks(&mut inside, 0x2000_3890, &[264, 264, 264, 264]);
    stack_part(&mut inside, stacks, "sensor", true);
    inside.push(part("ram/heap/uart_tx_buf", PartKind::Buffer, 0x2000_40b0, 0x2000_42c0));
    stack_part(&mut inside, stacks, "comms", true);
    inside.push(part("ram/heap/uart_rx_buf", PartKind::Buffer, 0x2000_4ac0, 0x2000_4cc8));
    stack_part(&mut inside, stacks, "growth", true);
    inside.push(part("ram/heap/free", PartKind::Free, 0x2000_5cc8, 0x2000_60c8));
    stack_part(&mut inside, stacks, "alloc", true);
    blocks(&mut inside, 0x2000_66c8, &[400, 400, 200, 200, 200, 200, 200, 200, 256]);
    stack_part(&mut inside, stacks, "waiter", true);
    inside.push(Part { id: "ram/heap/tail".to_owned(), ..part("free", PartKind::Free, 0x2000_7298, 0x2000_fc00) });
    let heap = Part { heap: Some(0), parts: inside, ..part("ram/heap", PartKind::Heap, 0x2000_3890, 0x2000_fc00) };
    let mut parts = vec![
        part("ram/vector table", PartKind::Vectors, 0x2000_0000, 0x2000_00c0),
        part("ram/.data", PartKind::Data, 0x2000_00c0, 0x2000_0590),
        part("ram/.bss", PartKind::Bss, 0x2000_0590, 0x2000_1530),
    ];
    stack_part(&mut parts, stacks, "main", false);
    stack_part(&mut parts, stacks, "timer", false);
    stack_part(&mut parts, stacks, "idle", false);
    parts.push(part("ram/unclaimed", PartKind::Unclaimed, 0x2000_2a30, 0x2000_3890));
    parts.push(heap);
    stack_part(&mut parts, stacks, "ISR", false);
    memory("RAM", MemoryKind::Ram, parts)
}

/// A memory that its parts fill.
pub(crate) fn memory(name: &str, kind: MemoryKind, parts: Vec<Part>) -> MemoryMap {
    let range = parts[0].range.hull(parts[parts.len() - 1].range);
    MemoryMap { name: name.to_owned(), kind, range, size_known: true, parts }
}

fn flash() -> MemoryMap {
    let parts = vec![
        part("flash/vector table", PartKind::Vectors, 0, 0x400),
        part("flash/bootloader", PartKind::Bootloader, 0x400, 0x1000),
        part("flash/code", PartKind::Code, 0x1000, 0x7000),
        part("flash/constants", PartKind::Constants, 0x7000, 0x7c00),
        part("flash/.data values", PartKind::DataImage, 0x7c00, 0x80d0),
        part("flash/unclaimed", PartKind::Unclaimed, 0x80d0, 0x4_0000),
    ];
    memory("Flash", MemoryKind::Flash, parts)
}

fn snapshot(memories: Vec<MemoryMap>, stacks: Vec<Stack>, heaps: Vec<Heap>) -> Snapshot {
    Snapshot {
        at: AT,
        epoch: 0,
        target: Target {
            elf: "demo.elf".to_owned(),
            build_id: None,
            chip: None,
            core: Some("Cortex-M3".to_owned()),
            kernel: Some("agent 1.0".to_owned()),
            source: "sim".to_owned(),
            has_float: false,
            rebuilds: 0,
        },
        health: Health::Live,
        memories,
        stacks,
        heaps,
        link: Link { refresh_hz: 30.0, bytes_per_refresh: 1200, ..Link::default() },
        hints: Vec::new(),
        detail: None,
        excerpt: None,
        values: None,
        tripwire: None,
    }
}

fn heap() -> Heap {
    Heap {
        name: "heap".to_owned(),
        range: Region::between(0x2000_3890, 0x2000_fc00),
        used: Some(exact(13_824)),
        peak: Some(exact(22_016)),
        requested: None,
        requested_peak: None,
        largest_free: Some(exact(0x8968)),
        allocator: None,
        in_use: Some(20),
        blocks: None,
        damage: None,
        overhead: Some(344),
        failures: Some(0),
        allocations: Some(812),
        high_water: Some(0x2000_8f98),
        ..Heap::unknown("heap", Region::between(0x2000_3890, 0x2000_fc00))
    }
}

/// Steps of a series over the last minute.
fn climb(model: &mut Model, id: &str, steps: &[f64]) {
    for second in 15..=75u32 {
        let step = (second as usize - 15) * steps.len() / 61;
        remember(model, Duration::from_secs(second.into()), id, steps[step] as u32);
    }
}

fn peak_of(id: &str) -> Key {
    Key { subject: id.to_owned(), quantity: Quantity::Peak }
}

/// A stack's peak at a moment.
pub(crate) fn remember(model: &mut Model, at: Duration, id: &str, peak: u32) {
    let stack = model.snapshot.stacks.iter().find(|stack| stack.id == id).expect("the board has it");
    let (name, whole) = (stack.name.clone(), Some(stack.range.size()));
    model.history.push(at, Reading { key: peak_of(id), name, whole, value: Some(peak) });
}

/// A model of this snapshot in which every stack has stood at its peak for a minute.
pub(crate) fn settled(snapshot: Snapshot) -> Model {
    let mut model = Model::new(snapshot);
    for stack in model.snapshot.stacks.clone() {
        if let Some(deepest) = stack.deepest() {
            climb(&mut model, &stack.id, &[f64::from(deepest.bytes)]);
        }
    }
    model
}

/// The board whose stack `growth` is nearly full.
pub(crate) fn danger() -> Model {
    let stacks = stacks();
    let growth = stacks[6].id.clone();
    let mut model = settled(snapshot(vec![flash(), ram(&stacks)], stacks, vec![heap()]));
    model.history.remove(&peak_of(&growth));
    climb(&mut model, &growth, &[1000.0, 1000.0, 1800.0, 1900.0, 2100.0, 2400.0, 3000.0, 3000.0, 3200.0, 3656.0]);
    model.alerts.push(Alert {
        kind: AlertKind::StackLimit,
        severity: Severity::Danger,
        subject: "growth".to_owned(),
        text: "growth has 440 B of stack left. Next it overwrites uart_rx_buf.".to_owned(),
        since: Duration::from_secs(71),
        until: None,
        stack: None,
        heap: None,
        acknowledged: None,
        count: 0,
    });
    model.alerts.push(Alert {
        kind: AlertKind::Reset,
        severity: Severity::Info,
        subject: "target".to_owned(),
        text: "The target was reset.".to_owned(),
        since: Duration::from_secs(12),
        until: Some(Duration::from_secs(13)),
        stack: None,
        heap: None,
        acknowledged: None,
        count: 0,
    });
    model
}

/// The same board with the call graph's worst cases, and one stack that nobody painted.
pub(crate) fn worst_cases() -> Model {
    let mut model = danger();
    for (index, worst) in [(0, 1320), (1, 264), (2, 160), (3, 612), (4, 420), (5, 1208), (6, 3980), (8, 216)] {
        model.snapshot.stacks[index].worst_case = Some(Measured { bytes: worst, trust: Trust::Estimated });
    }
    let alloc = &mut model.snapshot.stacks[7];
    alloc.lowest_sp = alloc.peak.take();
    // One that recurses has no worst case that is a bound, and no size that is.
    let comms = model.snapshot.stacks.iter_mut().find(|stack| stack.name == "comms").expect("it is there");
    (comms.worst_case, comms.recursion) = (None, Some("demo::threads::comms::parse".to_owned()));
    model
}

/// The same, on a kernel that counts how long each thread runs.
pub(crate) fn loads() -> Model {
    let mut model = worst_cases();
    for (index, share) in [(0, 0.0), (1, 0.123), (2, 0.0004), (3, 1.0), (5, 0.5)] {
        model.snapshot.stacks[index].cpu = Some(share);
    }
    model
}

/// A call that left its return address so many words below the first use of `growth`.
fn trace(index: u32, function: &str, frame: u32) -> Trace {
    let value = 0x3a41 + 0x10 * function.len() as u32;
    Trace {
        address: Region::new(0x2000_4cc8, 4096).top(4 * index + 4).start(),
        value,
        kind: TraceKind::Return,
        place: if 4 * index < 412 { TracePlace::Now } else { TracePlace::LeftBehind },
        function: Some(function.to_owned()),
        offset: 0x1c,
        calls: Some(function.to_owned()),
        frame,
        in_chain: true,
    }
}

/// The words of `growth`, read from 256 B below its mark, with holes of paint and a recursion in them.
pub(crate) fn word_by_word() -> Model {
    const PAINT: u32 = 0xCCCC_CCCC;
    let mut model = worst_cases();
    let recurse = |index| trace(index, "demo::growth::recurse", 456);
    let mut traces = vec![
        trace(3, "demo::kernel::thread_entry", 48),
        trace(15, "demo::growth::run", 80),
        trace(35, "demo::growth::step", 256),
        trace(99, "os_delay", 16),
        recurse(155),
        recurse(269),
        recurse(383),
        recurse(497),
        recurse(611),
        recurse(725),
        trace(839, "demo::growth::leaf", 204),
        trace(890, "core::fmt::write", 80),
        trace(910, "<u32 as core::fmt::Display>::fmt", 16),
    ];
    traces[3].in_chain = false;
    let mut down = vec![0x2000_0001; 914];
    for hole in [161..170, 299..322, 415..436, 640..662, 752..776] {
        down[hole].fill(PAINT);
    }
    down.resize(978, PAINT);
    for trace in &traces {
        let index = Region::between(trace.address, 0x2000_5cc8).size() as usize / 4 - 1;
        down[index] = trace.value;
    }
    traces.reverse();
    down.reverse();
    model.snapshot.detail = Some(StackWords {
        id: model.snapshot.stacks[6].id.clone(),
        start: Region::new(0x2000_4cc8, 4096).top(4 * 978).start(),
        words: down,
        sp: Some(0x2000_5cc8 - 412),
        paint: Some(PAINT),
        at: AT,
        traces,
    });
    model
}

/// The same stack when so many levels of the recursion were found that no list holds them.
pub(crate) fn deep_recursion() -> Model {
    let mut model = word_by_word();
    let detail = model.snapshot.detail.as_mut().expect("it was read");
    let levels = (0..54u32).map(|level| trace(155 + 14 * level, "demo::growth::descend", 56));
    let others = [trace(3, "demo::kernel::thread_entry", 48), trace(15, "demo::growth::run", 80)];
    detail.traces = others.into_iter().chain(levels).collect();
    detail.traces.reverse();
    model
}

/// The same stack when nothing tells its SP.
pub(crate) fn unknown_sp() -> Model {
    let mut model = word_by_word();
    model.snapshot.stacks[6].current = None;
    let detail = model.snapshot.detail.as_mut().expect("it was read");
    detail.sp = None;
    for trace in &mut detail.traces {
        trace.place = TracePlace::Unknown;
    }
    model
}

/// The same board before anything went wrong.
pub(crate) fn calm() -> Model {
    let mut model = danger();
    model.alerts.clear();
    let growth = model.snapshot.stacks[6].id.clone();
    model.snapshot.stacks[6].peak = Some(exact(1480));
    model.snapshot.stacks[6].lowest_sp = Some(exact(1464));
    model.history.remove(&peak_of(&growth));
    climb(&mut model, &growth, &[1000.0, 1480.0]);
    model.snapshot.hints.push("The ISR stack is painted only above 2000_fd00: its peak is a lower bound.".to_owned());
    model
}

/// The same board after the stack went over its end.
pub(crate) fn overflow() -> Model {
    let mut model = danger();
    let growth = &mut model.snapshot.stacks[6];
    growth.overflowed = true;
    growth.peak = Some(exact(4096));
    growth.lowest_sp = Some(exact(4096));
    model.alerts[0] = Alert {
        kind: AlertKind::Overflow,
        severity: Severity::Danger,
        subject: "growth".to_owned(),
        text: "growth overflowed its stack and hit uart_rx_buf.".to_owned(),
        since: Duration::from_secs(74),
        until: None,
        stack: None,
        heap: None,
        acknowledged: None,
        count: 0,
    };
    model
}

/// The same, with the core stopped at the store that broke the guard.
pub(crate) fn caught() -> Model {
    let mut model = overflow();
    let growth = &model.snapshot.stacks[6];
    let call = |function: &str, line: u32, inlined: bool, interrupted: bool| Call {
        pc: 0x3a40 + line,
        function: format!("app::{function}"),
        file: Some("src/growth.rs".to_owned()),
        line: Some(line),
        inlined,
        interrupted,
    };
    let mut chain = vec![call("store", 12, true, false), call("grow", 31, false, false)];
    chain.extend(vec![call("grow", 36, false, false); 17]);
    chain.push(call("step", 58, false, false));
    let catch = Catch {
        at: Duration::from_secs(74),
        epoch: 0,
        kind: CatchKind::Stopped,
        stack: growth.id.clone(),
        owner: growth.name.clone(),
        thread: Some(growth.name.clone()),
        address: Some(growth.range.start() + 24),
        value: Some(0x2000_48f0),
        depth: Some(growth.range.size() - 24),
        pc: Some(0x3a4c),
        by_exception: false,
        chain,
        complete: true,
        victim: growth.victim.clone(),
    };
    let mark = Catch {
        at: Duration::from_secs(12),
        kind: CatchKind::Missed,
        depth: Some(1200),
        address: None,
        value: None,
        pc: None,
        thread: None,
        chain: Vec::new(),
        ..catch.clone()
    };
    model.snapshot.tripwire = Some(Tripwire {
        mode: Mode::Halt,
        aims: vec![Aimed { stack: "sensor".to_owned(), pieces: vec![Region::new(0x2000_3cb0, 16)], wanted: 32 }],
        catches: vec![mark, catch],
        held: true,
        note: None,
        register_writes: 60,
        word_writes: 0,
    });
    model
}

/// One stack word by word whose marks were caught: who set each, and one that was only found by its paint.
pub(crate) fn culprits() -> Model {
    let mut model = word_by_word();
    let growth = model.snapshot.stacks[6].clone();
    let of = |seconds: u64, depth: u32, line: u32| {
        let call = |function: &str, line: u32| Call {
            pc: 0x3a40 + line,
            function: format!("app::growth::{function}"),
            file: Some("src/growth.rs".to_owned()),
            line: Some(line),
            inlined: false,
            interrupted: false,
        };
        Catch {
            at: Duration::from_secs(seconds),
            epoch: model.snapshot.epoch,
            kind: CatchKind::Mark,
            stack: growth.id.clone(),
            owner: growth.name.clone(),
            thread: Some(growth.name.clone()),
            address: Some(growth.range.end_address() - depth),
            value: Some(0x2000_48f0),
            depth: Some(depth),
            pc: Some(0x3a4c),
            by_exception: false,
            chain: vec![call("descend", line), call("run", 58)],
            complete: true,
            victim: growth.victim.clone(),
        }
    };
    let deepest = growth.deepest().expect("it was measured").bytes;
    let catches = vec![of(12, deepest - 1120, 31), of(33, deepest - 560, 36), of(74, deepest, 36)];
    model.snapshot.tripwire = Some(Tripwire {
        mode: Mode::Culprit("growth".to_owned()),
        aims: vec![Aimed { stack: "growth".to_owned(), pieces: vec![Region::new(0x2000_4f00, 128)], wanted: 128 }],
        catches,
        held: false,
        note: None,
        register_writes: 60,
        word_writes: 0,
    });
    let event = |at: u64, from: u32, to: u32| Event {
        at: Duration::from_secs(at),
        epoch: model.snapshot.epoch,
        kind: EventKind::Mark { from, to },
        subject: growth.name.clone(),
        stack: Some(growth.id.clone()),
        text: format!("growth {to} B, +{} B", to - from),
        calls: None,
    };
    let (before, same) = (event(2, 96, deepest - 1400), event(74, deepest - 560, deepest));
    model.events.push(before);
    model.events.push(same);
    model
}

/// A link that does not answer for now.
pub(crate) fn stale() -> Model {
    let mut model = calm();
    model.snapshot.health =
        Health::Stale { since: AT - Duration::from_millis(3200), why: "the target sleeps".to_owned() };
    model
}

/// A link that is gone.
pub(crate) fn reconnecting() -> Model {
    let mut model = danger();
    model.snapshot.health =
        Health::Reconnecting { since: AT - Duration::from_secs(12), why: "probe unplugged".to_owned() };
    model.snapshot.link.drops = 3;
    model.snapshot.link.gaps = 2;
    model
}

/// No agent, no RTOS, no heap: one stack that grows down to the globals.
pub(crate) fn bare_metal() -> Model {
    let mut main = stack("main", StackKind::Main, 0x2000_0900, 0x1f700, 0, 1200);
    main.current = None;
    main.lowest_sp = None;
    main.victim = victim(".bss", 0x2000_0040, 0x8c0);
    let stacks = vec![main];
    let mut parts = vec![
        part("ram/.data", PartKind::Data, 0x2000_0000, 0x2000_0040),
        part("ram/.bss", PartKind::Bss, 0x2000_0040, 0x2000_0900),
    ];
    stack_part(&mut parts, &stacks, "main", false);
    let mut memory = memory("RAM", MemoryKind::Ram, parts);
    memory.size_known = true;
    let mut snapshot = snapshot(vec![flash(), memory], stacks, Vec::new());
    snapshot.target.kernel = Some("bare metal".to_owned());
    snapshot.hints.push(
        "This firmware has no agent: link highwater-agent to see threads, or paint the stack at start.".to_owned(),
    );
    settled(snapshot)
}

/// flip-link: the stack lies at the bottom of RAM, below the globals, and nobody painted it.
pub(crate) fn flip_link() -> Model {
    let mut main = stack("main", StackKind::Main, 0x2000_0000, 0x6000, 420, 0);
    main.peak = None;
    main.lowest_sp = Some(exact(700));
    main.victim = victim("end of RAM", 0x2000_0000, 0);
    let stacks = vec![main];
    let mut parts = Vec::new();
    stack_part(&mut parts, &stacks, "main", false);
    parts.push(part("ram/.data", PartKind::Data, 0x2000_6000, 0x2000_6200));
    parts.push(part("ram/.bss", PartKind::Bss, 0x2000_6200, 0x2000_8000));
    settled(snapshot(vec![flash(), memory("RAM", MemoryKind::Ram, parts)], stacks, Vec::new()))
}

/// No target: what the ELF alone tells.
pub(crate) fn no_target() -> Model {
    let mut model = flip_link();
    model.snapshot.health = Health::Static;
    model.snapshot.stacks[0].current = None;
    model.snapshot.stacks[0].lowest_sp = None;
    model.snapshot.memories[1].size_known = false;
    model.history = History::default();
    model
}

/// Three RAMs, two flashes, a heap of which only totals are known, and more parts than rows.
pub(crate) fn many() -> Model {
    let mut stacks = vec![
        stack("main", StackKind::Main, 0x1000_0000, 0x2000, 600, 7000),
        stack("ISR", StackKind::Isr, 0x2001_f000, 0x1000, 100, 800),
    ];
    stacks[0].victim = victim("end of CCM", 0x1000_0000, 0);
    for thread in 0..14u32 {
        let name = format!("worker_{thread:02}");
        stacks.push(stack(
            &name,
            StackKind::User,
            0x2000_1000 + thread * 0x400,
            0x400,
            64 + thread * 20,
            128 + thread * 40,
        ));
    }
    let mut ccm = Vec::new();
    stack_part(&mut ccm, &stacks, "main", false);
    ccm.push(part("ccm/.fast 漢字データ", PartKind::Other, 0x1000_2000, 0x1000_3000));
    ccm.push(part("ccm/unclaimed", PartKind::Unclaimed, 0x1000_3000, 0x1001_0000));
    let mut sram = vec![
        part("sram/.data", PartKind::Data, 0x2000_0000, 0x2000_0400),
        part("sram/.bss", PartKind::Bss, 0x2000_0400, 0x2000_1000),
    ];
    for thread in 0..14 {
        stack_part(&mut sram, &stacks, &format!("worker_{thread:02}"), false);
    }
    let totals = part("sram/heap/all", PartKind::Blocks, 0x2000_4800, 0x2001_f000);
    sram.push(Part {
        heap: Some(0),
        parts: vec![totals],
        ..part("sram/heap", PartKind::Heap, 0x2000_4800, 0x2001_f000)
    });
    stack_part(&mut sram, &stacks, "ISR", false);
    let external = vec![
        part("ext/frame_buffer", PartKind::Buffer, 0xd000_0000, 0xd025_8000),
        part("ext/unclaimed", PartKind::Unclaimed, 0xd025_8000, 0xd080_0000),
    ];
    let heap = Heap {
        range: Region::between(0x2000_4800, 0x2001_f000),
        used: Some(exact(40_000)),
        peak: Some(exact(60_000)),
        high_water: None,
        ..heap()
    };
    let qspi = memory(
        "QSPI",
        MemoryKind::Flash,
        vec![
            part("qspi/assets", PartKind::Constants, 0x9000_0000, 0x9010_0000),
            part("qspi/unclaimed", PartKind::Unclaimed, 0x9010_0000, 0x9080_0000),
        ],
    );
    let memories = vec![
        flash(),
        memory("CCM", MemoryKind::Ram, ccm),
        memory("SRAM", MemoryKind::Ram, sram),
        qspi,
        memory("SDRAM", MemoryKind::Ram, external),
    ];
    settled(snapshot(memories, stacks, vec![heap]))
}

/// Nothing is known yet.
pub(crate) fn nothing() -> Model {
    Model::new(snapshot(Vec::new(), Vec::new(), Vec::new()))
}
