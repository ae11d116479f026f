//! A GDB server as the way to the memory: one in this process, over real sockets.
#![cfg(feature = "simulator")]

mod common;
#[path = "common/gdb_server.rs"]
mod gdb_server;

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gdb_server::{Core, Kind, Manner, Server};
use highwater::image::layout;
use highwater::model::Model;
use highwater::model::snapshot::Health;
use highwater::region::Region;
use highwater::report::Report;
use highwater::sampler::{Options, Sampler};
use highwater::source::gdb::{GdbSource, Terms};
use highwater::source::{CoreStatus, Source};

/// The memories of a demo that ran for five seconds, and what is known of it.
fn ran() -> (Vec<(u32, Vec<u8>)>, Report) {
    let mut demo = common::Demo::new(0, 1, common::INSTANT, Some(30.0));
    demo.watch_until(Duration::from_secs(5));
    demo.model.ingest(demo.sampler.refresh_thoroughly());
    let piece = |start, size| (start, demo.board.peek(start, size).expect("the board has it"));
    (vec![piece(0, 0x2_0000), piece(0x2000_0000, 0x1_0000)], Report::new(&demo.model))
}

fn highwater(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_highwater")).args(args).output().expect("the binary runs")
}

fn snapshot(server: &Server, more: &[&str]) -> (Option<i32>, serde_json::Value, String) {
    let address = server.address();
    let out = highwater(&[&["snapshot", common::DEMO, "--gdb", &address, "--format", "json"], more].concat());
    let err = String::from_utf8_lossy(&out.stderr).into_owned();
    (out.status.code(), serde_json::from_slice(&out.stdout).unwrap_or_default(), err)
}

#[test]
fn what_a_server_reads_is_told_as_a_probe_tells_it() {
    let (memory, live) = ran();
    let digits = Manner::default();
    let bytes = Manner { offers: "binary-upload+;qXfer:memory-map:read+", ..Manner::default() };
    let runs = Manner { runs: true, packet: 0x100, ..Manner::default() };
    let old = Manner { offers: "", packet: 0x80, has_dhcsr: false, ..Manner::default() };
    let noisy = Manner { offers: "qXfer:memory-map:read+", damages: 7, ..Manner::default() };
    for manner in [digits, bytes, runs, old, noisy] {
        let server = Server::new(memory.clone(), manner.clone());
        let (code, told, err) = snapshot(&server, &[]);
        assert_eq!(code, Some(0), "{manner:?}: {err}");
        let stacks = told["stacks"].as_array().expect("there are stacks");
        assert_eq!(stacks.len(), live.stacks.len());
        for (stack, live) in stacks.iter().zip(&live.stacks) {
            assert_eq!(stack["peak"].as_u64(), live.peak.map(u64::from), "{}: {manner:?}", live.name);
        }
        assert_eq!(told["heaps"][0]["used"].as_u64(), live.heaps[0].used.map(u64::from));
        assert_eq!(told["target"]["core"], "Cortex-M4");
        assert_eq!((&told["link"]["halts"], &told["link"]["writes"]), (&0.into(), &0.into()));
        let core = &server.core;
        assert_eq!((core.halts.load(Ordering::SeqCst), core.writes.load(Ordering::SeqCst)), (0, 0), "{manner:?}");
        assert!(core.longest.load(Ordering::SeqCst) as usize <= manner.packet.max(0x100), "{manner:?}");
        let binary = core.binary_reads.load(Ordering::SeqCst) > 0;
        assert_eq!(binary, manner.offers.contains("binary"), "{manner:?}");
    }
}

#[test]
fn the_servers_map_gives_the_sizes_that_the_elf_does_not_tell() {
    let server = Server::new(ran().0, Manner::default());
    let mut source = GdbSource::open(server.address().parse().unwrap(), Terms::default()).expect("it is there");
    let memories = source.memories().expect("it answers");
    let found: Vec<_> = memories.iter().map(|memory| (memory.range.start(), memory.range.size())).collect();
    assert_eq!(found, [(0, 0x4_0000), (0x2000_0000, 0x1_0000)]);
}

#[test]
fn a_server_that_stops_the_core_is_refused_and_the_core_goes_on() {
    for has_dhcsr in [false, true] {
        let manner = Manner { stops_on_connect: true, has_dhcsr, ..Manner::default() };
        let server = Server::new(ran().0, manner);
        let (code, _, err) = snapshot(&server, &[]);
        assert_eq!(code, Some(4), "{err}");
        for words in ["stops the core", "--allow-halt", "gdb-attach { }", "--qemu"] {
            assert!(err.contains(words), "no `{words}` in {err}");
        }
        assert!(server.core.runs.load(Ordering::SeqCst), "the core was left standing");
        assert_eq!(server.core.halts.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn with_leave_to_halt_the_stops_are_counted_and_the_core_runs_at_the_end() {
    let (memory, live) = ran();
    let manner = Manner { stops_on_connect: true, has_dhcsr: false, ..Manner::default() };
    let server = Server::new(memory, manner);
    let (code, told, err) = snapshot(&server, &["--allow-halt"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(told["heaps"][0]["used"].as_u64(), live.heaps[0].used.map(u64::from));
    let core = &server.core;
    assert!(core.runs.load(Ordering::SeqCst), "the core was left standing");
    assert_eq!(core.bad_reads.load(Ordering::SeqCst), 0, "it was read while it ran");
    assert_eq!(told["link"]["halts"].as_u64(), Some(core.halts.load(Ordering::SeqCst).into()));
    assert!(core.halts.load(Ordering::SeqCst) > 1, "it runs between two refreshes");
}

/// What a server offers that has the non-stop mode.
const NON_STOP: &str = "QStartNoAckMode+;QNonStop+;qXfer:features:read+;qXfer:memory-map:read+";

#[test]
fn in_non_stop_mode_a_core_that_was_stopped_once_is_read_while_it_runs() {
    let (memory, live) = ran();
    for has_dhcsr in [false, true] {
        let manner = Manner { stops_once: true, offers: NON_STOP, has_dhcsr, ..Manner::default() };
        let server = Server::new(memory.clone(), manner);
        let (code, _, err) = snapshot(&server, &[]);
        assert!(code == Some(4) && err.contains("stops the core") && err.contains("--allow-halt"), "{err}");
        assert!(server.core.runs.load(Ordering::SeqCst), "the core was left standing");
        let (code, told, err) = snapshot(&server, &["--allow-halt"]);
        assert_eq!(code, Some(0), "{err}");
        assert_eq!(told["heaps"][0]["used"].as_u64(), live.heaps[0].used.map(u64::from));
        assert_eq!(told["link"]["halts"], 1, "when it connected");
        assert_eq!(server.core.halts.load(Ordering::SeqCst), 2, "once for each connection");
        assert!(server.core.runs.load(Ordering::SeqCst), "the core was left standing");
    }
}

#[test]
fn a_server_that_reads_no_memory_of_a_running_core_is_refused_or_stops_it_as_it_may() {
    let (memory, live) = ran();
    for (offers, stops_once) in [(NON_STOP, false), (NON_STOP, true), (Manner::default().offers, false)] {
        let manner = Manner { stops_once, offers, reads_running: false, has_dhcsr: false, ..Manner::default() };
        let server = Server::new(memory.clone(), manner.clone());
        let (code, _, err) = snapshot(&server, &[]);
        let why = if stops_once { "stops the core" } else { "reads no memory while the core runs" };
        assert!(code == Some(4) && err.contains(why) && err.contains("--allow-halt"), "{manner:?}: {err}");
        assert!(server.core.runs.load(Ordering::SeqCst), "{manner:?}: the core was left standing");
        assert_eq!(server.core.halts.load(Ordering::SeqCst), u32::from(stops_once), "{manner:?}");
        let tried = server.core.bad_reads.load(Ordering::SeqCst);
        let (code, told, err) = snapshot(&server, &["--allow-halt"]);
        assert_eq!(code, Some(0), "{manner:?}: {err}");
        assert_eq!(told["heaps"][0]["used"].as_u64(), live.heaps[0].used.map(u64::from), "{manner:?}");
        assert_eq!(told["target"]["core"], "Cortex-M4", "{manner:?}");
        assert!(
            server.core.bad_reads.load(Ordering::SeqCst) <= tried + 2,
            "{manner:?}: once it is known, it is stopped"
        );
        assert!(server.core.runs.load(Ordering::SeqCst), "{manner:?}: the core was left standing");
        let halts = server.core.halts.load(Ordering::SeqCst) - u32::from(stops_once);
        assert_eq!(told["link"]["halts"].as_u64(), Some(halts.into()), "{manner:?}");
    }
}

#[test]
fn a_stop_that_is_told_in_non_stop_mode_is_the_state_of_the_core() {
    let manner = Manner { offers: NON_STOP, has_dhcsr: false, ..Manner::default() };
    let server = Server::new(ran().0, manner);
    let mut source = GdbSource::open(server.address().parse().unwrap(), Terms::default()).expect("it is there");
    let word = Region::new(0x2000_0000, 4);
    let mut bytes = [0; 4];
    assert_eq!(source.status(), Ok(CoreStatus::Running));
    server.core.stops_next.store(true, Ordering::SeqCst);
    source.read(word, &mut bytes).expect("a core that stands is read too");
    assert_eq!(source.status(), Ok(CoreStatus::Halted));
    server.core.runs.store(true, Ordering::SeqCst);
    assert_eq!(source.status(), Ok(CoreStatus::Running));
}

#[test]
fn what_is_no_gdb_server_or_another_core_is_named() {
    let port_of_nobody = Server::new(Vec::new(), Manner::default()).address();
    let out = highwater(&["snapshot", common::DEMO, "--gdb", &port_of_nobody]);
    let err = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.code() == Some(4) && err.contains("no GDB server at 127.0.0.1"), "{err}");
    for (manner, code, words) in [
        (
            Manner { features: "<target><architecture>riscv:rv32</architecture></target>", ..Manner::default() },
            1,
            "riscv:rv32",
        ),
        (Manner { says: Some(b"T05"), ..Manner::default() }, 4, "does not answer"),
        (Manner { says: Some(b"\x1b[2J"), ..Manner::default() }, 4, "GDB server"),
        (Manner { damages: 1, ..Manner::default() }, 4, "damaged packet"),
    ] {
        let server = Server::new(Vec::new(), manner.clone());
        let (found, _, err) = snapshot(&server, &[]);
        assert!(found == Some(code) && err.contains(words), "{manner:?}: {found:?} {err}");
        assert!(!err.contains('\x1b'), "{err:?}");
    }
}

#[test]
fn a_server_that_goes_away_is_waited_for_and_the_picture_stays() {
    let (memory, _) = ran();
    let server = Server::new(memory, Manner::default());
    let (core, port) = (Arc::clone(&server.core), server.port);
    let image = common::image();
    let source = GdbSource::open(server.address().parse().unwrap(), Terms::default()).expect("it is there");
    let memories = layout::memories(&image, &[]);
    let mut sampler = Sampler::new(Box::new(source), image, memories, Options { rate_hz: None }).expect("it works");
    let wait_for = |sampler: &mut Sampler, live: bool| {
        let patience = Instant::now() + Duration::from_secs(30);
        loop {
            let snapshot = sampler.refresh().snapshot;
            assert!(!snapshot.stacks.is_empty(), "the picture stays");
            if (snapshot.health == Health::Live) == live {
                return snapshot;
            }
            assert!(Instant::now() < patience, "{:?}", snapshot.health);
            sampler.wait(Duration::ZERO);
        }
    };
    wait_for(&mut sampler, true);
    drop(server);
    let lost = wait_for(&mut sampler, false);
    assert!(
        matches!(&lost.health, Health::Reconnecting { why, .. } if why.contains("GDB server")),
        "{:?}",
        lost.health
    );
    let _again = Server::at(port, core, Manner::default());
    wait_for(&mut sampler, true);
}

#[test]
fn a_reset_and_a_stop_by_somebody_else_are_told() {
    let server = Server::new(ran().0, Manner::default());
    let mut source = GdbSource::open(server.address().parse().unwrap(), Terms::default()).expect("it is there");
    assert_eq!(source.status(), Ok(CoreStatus::Running));
    server.core.was_reset.store(true, Ordering::SeqCst);
    assert_eq!(source.status(), Ok(CoreStatus::WasReset));
    server.core.runs.store(false, Ordering::SeqCst);
    assert_eq!(source.status(), Ok(CoreStatus::Halted));
}

/// A sampler over a server that stops nobody.
fn watching(server: &Server) -> Sampler {
    let image = common::image();
    let source = GdbSource::open(server.address().parse().unwrap(), Terms::default()).expect("it is there");
    let memories = layout::memories(&image, &[]);
    Sampler::new(Box::new(source), image, memories, Options { rate_hz: None }).expect("it works")
}

#[test]
fn a_server_that_comes_back_and_stops_the_core_is_refused_once_and_for_all() {
    let server = Server::new(ran().0, Manner::default());
    let mut sampler = watching(&server);
    assert_eq!(sampler.refresh().snapshot.health, Health::Live);
    let (core, port) = (Arc::clone(&server.core), server.port);
    drop(server);
    let halting =
        Manner { stops_once: true, kind: Kind::OpenOcd("halt 1000\n", "cortex_m"), signal: 2, ..Manner::default() };
    let _again = Server::at(port, Arc::clone(&core), halting);
    let patience = Instant::now() + Duration::from_secs(30);
    while sampler.refused().is_none() {
        assert!(Instant::now() < patience, "it goes on trying: {} stops", core.halts.load(Ordering::SeqCst));
        let _ = sampler.refresh();
        sampler.wait(Duration::ZERO);
    }
    let told = sampler.refresh().snapshot;
    assert!(matches!(&told.health, Health::Reconnecting { why, .. } if why.contains("stops the core")), "{told:?}");
    assert_eq!(core.halts.load(Ordering::SeqCst), 1);
    assert!(core.runs.load(Ordering::SeqCst), "the core was left standing");
    assert_eq!(told.link.halts, Some(1), "the stop is counted, although it was refused");
}

#[test]
fn a_stream_ends_with_a_refusal() {
    let server = Server::new(ran().0, Manner::default());
    let (core, port) = (Arc::clone(&server.core), server.port);
    let mut process = Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args(["attach", common::DEMO, "--gdb", &server.address(), "--format", "jsonl"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(process.stdout.take().expect("it is piped")));
    lines.next().expect("a report comes").expect("it is text");
    drop(server);
    let _again = Server::at(port, Arc::clone(&core), Manner { stops_once: true, ..Manner::default() });
    let last = lines.map_while(Result::ok).last().expect("reports come");
    let out = process.wait_with_output().expect("it ends");
    let err = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.code() == Some(4) && err.contains("stops the core"), "{err}");
    let told: serde_json::Value = serde_json::from_str(&last).expect("a report");
    assert_eq!(told["link"]["halts"], 1);
    assert_eq!(core.halts.load(Ordering::SeqCst), 1, "one try");
}

/// A server at which a person had stopped the core.
fn stopped_by_a_person(manner: &Manner) -> Server {
    let core = Arc::new(Core { memory: ran().0.into(), ..Core::default() });
    Server::at(0, core, manner.clone())
}

const HALTING: Kind = Kind::OpenOcd("halt 1000\n", "cortex_m");

#[test]
fn a_core_that_a_person_stopped_stays_so_where_that_can_be_known() {
    let qemu = Manner { kind: Kind::Qemu, stops_on_connect: true, has_dhcsr: false, ..Manner::default() };
    let breakpoint = Manner { kind: HALTING, stops_once: true, ..Manner::default() };
    let trapped = Manner { stops_once: true, offers: NON_STOP, dfsr: 2, ..Manner::default() };
    for (manner, how) in [
        (qemu.clone(), "QEMU told of no stop"),
        (breakpoint, "OpenOCD says that it came to a breakpoint"),
        (trapped, "its DFSR says"),
    ] {
        let server = stopped_by_a_person(&manner);
        for more in [&[][..], &["--allow-halt"]] {
            let (code, told, err) = snapshot(&server, more);
            if more.is_empty() {
                assert!(code == Some(4) && err.contains("was left so") && err.contains(how), "{manner:?}: {err}");
            } else {
                assert_eq!((code, &told["link"]["halts"]), (Some(0), &0.into()), "{manner:?}: {err}");
            }
            assert!(!server.core.runs.load(Ordering::SeqCst), "{manner:?}: it was set running");
            assert_eq!(server.core.halts.load(Ordering::SeqCst), 0, "{manner:?}");
        }
    }
    // One that ran is another matter, and QEMU tells them apart.
    let server = Server::new(ran().0, qemu);
    let (code, _, err) = snapshot(&server, &["--keep-halted"]);
    assert!(code == Some(4) && err.contains("let it go on") && !err.contains("a person"), "{err}");
    assert!(server.core.runs.load(Ordering::SeqCst), "the core was left standing");
}

#[test]
fn a_core_that_a_person_stopped_is_looked_at_where_no_look_stops_one() {
    for kind in [Kind::OpenOcd(" \n", "cortex_m"), Kind::OpenOcd("halt 1000\n", "mem_ap")] {
        let server = stopped_by_a_person(&Manner { kind, signal: 2, ..Manner::default() });
        let mut source = GdbSource::open(server.address().parse().unwrap(), Terms::default()).expect("it is there");
        assert_eq!(source.status(), Ok(CoreStatus::Halted), "{kind:?}");
        source.read(Region::new(0x2000_0000, 64), &mut [0; 64]).expect("it is read");
        assert_eq!(source.counters().halts, Some(0), "{kind:?}");
        drop(source);
        assert!(!server.core.runs.load(Ordering::SeqCst), "{kind:?}: it was set running");
    }
}

#[test]
fn where_nobody_knows_who_stopped_the_core_it_goes_on_and_a_flag_leaves_it() {
    let on_request = Manner { stops_once: true, offers: NON_STOP, dfsr: 1, ..Manner::default() };
    for manner in [Manner { kind: HALTING, stops_once: true, signal: 2, ..Manner::default() }, on_request] {
        let server = stopped_by_a_person(&manner);
        let (code, _, err) = snapshot(&server, &["--keep-halted"]);
        assert!(code == Some(4) && err.contains("was left so") && err.contains("--keep-halted"), "{manner:?}: {err}");
        assert!(!server.core.runs.load(Ordering::SeqCst), "{manner:?}: it was set running");
        let (code, _, err) = snapshot(&server, &[]);
        for words in ["should a person have stopped it before, it runs now", "--keep-halted"] {
            assert!(code == Some(4) && err.contains(words), "{manner:?}: {err}");
        }
        assert_eq!(err.contains("--persist"), manner.offers == NON_STOP, "{manner:?}: {err}");
        assert!(server.core.runs.load(Ordering::SeqCst), "{manner:?}: the core was left standing");
    }
}

#[test]
fn a_core_that_cannot_stand_or_that_moves_is_read_while_it_runs() {
    // No debugger has enabled halting debug; and an emulator with ones where no register is.
    let memory_only =
        Manner { kind: Kind::OpenOcd("halt 1000\n", "mem_ap"), dhcsr: Some(0x0101_0000), ..Manner::default() };
    let emulator = Manner { kind: Kind::Rp2040js, dhcsr: Some(u32::MAX), offers: "", ..Manner::default() };
    let (memory, live) = ran();
    for manner in [memory_only, emulator] {
        let server = Server::new(memory.clone(), manner.clone());
        for more in [&[][..], &["--allow-halt"]] {
            let (code, told, err) = snapshot(&server, more);
            assert_eq!(code, Some(0), "{manner:?}: {err}");
            assert_eq!(told["link"]["halts"], 0, "{manner:?}");
            assert_eq!(told["heaps"][0]["used"].as_u64(), live.heaps[0].used.map(u64::from), "{manner:?}");
            assert_eq!(server.core.halts.load(Ordering::SeqCst), 0, "{manner:?}");
        }
    }
}

#[test]
fn a_server_that_turns_away_or_says_nothing_is_told_with_its_causes() {
    for (manner, words) in [
        (
            Manner { turns_away: true, ..Manner::default() },
            &["closed the connection before it answered", "Another debugger", "gdb_memory_map disable"][..],
        ),
        (Manner { is_mute: true, ..Manner::default() }, &["does not answer", "Another debugger"]),
    ] {
        let (code, _, err) = snapshot(&Server::new(Vec::new(), manner), &[]);
        assert_eq!(code, Some(4), "{err}");
        for words in words {
            assert!(err.contains(words), "no `{words}` in {err}");
        }
    }
}

#[test]
fn another_architecture_is_told_before_a_stop_is() {
    let features = "<target><architecture>riscv:rv32</architecture></target>";
    let server = Server::new(Vec::new(), Manner { features, stops_once: true, ..Manner::default() });
    let (code, _, err) = snapshot(&server, &[]);
    assert!(code == Some(1) && err.contains("riscv:rv32"), "{err}");
    assert!(server.core.runs.load(Ordering::SeqCst), "the core was left standing");
}

#[test]
fn zeros_for_memory_that_openocd_could_not_read_are_no_content() {
    let (memory, live) = ran();
    let looks_on = Manner { kind: Kind::OpenOcd(" \n", "cortex_m"), ..Manner::default() };
    let server = Server::new(memory, looks_on);
    let mut sampler = watching(&server);
    let mut model = Model::new(sampler.refresh().snapshot);
    // Packets that fail now and then, and then a stack of which nothing can be read.
    for each in [2, 3, 5, 7] {
        server.core.fails_each.store(each, Ordering::SeqCst);
        for _ in 0..20 {
            model.ingest(sampler.refresh());
            right_or_absent(&Report::new(&model), &live);
        }
    }
    server.core.fails_each.store(0, Ordering::SeqCst);
    for stack in &live.stacks {
        let (start, end) = (stack.start as u32, (stack.start + stack.size) as u32);
        *server.core.hole.lock().unwrap() = (start, end);
        for _ in 0..5 {
            model.ingest(sampler.refresh_thoroughly());
            right_or_absent(&Report::new(&model), &live);
        }
        let told = model.snapshot.hints.iter().any(|hint| hint.contains("gdb_report_data_abort enable"));
        assert!(told, "{}: {:?}", stack.name, model.snapshot.hints);
    }
    // What a new look finds behind a hole is not told at all. The server takes one at a time.
    drop(sampler);
    let report = Report::new(&Model::new(watching(&server).refresh_thoroughly().snapshot));
    right_or_absent(&report, &live);
}

/// No peak is above what is true, and no stack is told to be broken.
fn right_or_absent(report: &Report, live: &Report) {
    for stack in &report.stacks {
        let Some(truth) = live.stacks.iter().find(|live| live.name == stack.name) else {
            panic!("{} is none", stack.name)
        };
        assert!(!stack.overflowed, "{} has not overflowed", stack.name);
        assert!(stack.peak <= truth.peak, "{}: {:?} of {:?}", stack.name, stack.peak, truth.peak);
    }
}

#[test]
fn a_process_that_is_told_to_end_ends_while_a_server_says_nothing() {
    let server = Server::new(ran().0, Manner::default());
    let mut process = Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args(["attach", common::DEMO, "--gdb", &server.address(), "--format", "jsonl"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(process.stdout.take().expect("it is piped")));
    lines.next().expect("a report comes").expect("it is text");
    server.core.fell_silent.store(true, Ordering::SeqCst);
    let pid = process.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    // It does not wait until the link is given up: no report says that the server is gone for long, and none follows.
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(process.wait().expect("it ends").code(), Some(0));
    let reconnects = rest.iter().filter(|line| line.contains("\"reconnecting\"")).count();
    assert!(reconnects <= 1, "{reconnects} reports after the end");
}

#[test]
fn on_a_slow_link_the_core_goes_on_within_a_read() {
    // 16 KiB a second: 1 KiB takes 63 ms, and is read in pieces of a few milliseconds.
    let manner =
        Manner { stops_on_connect: true, has_dhcsr: false, byte_time: Duration::from_micros(61), ..Manner::default() };
    let server = Server::new(ran().0, manner);
    let terms = Terms { allow_halt: true, ..Terms::default() };
    let mut source = GdbSource::open(server.address().parse().unwrap(), terms).expect("it is there");
    let before = server.core.halts.load(Ordering::SeqCst);
    source.read(Region::new(0x2000_0000, 1024), &mut [0; 1024]).expect("it is read");
    let stops = server.core.halts.load(Ordering::SeqCst) - before;
    assert!(stops >= 3, "{stops} stops for 63 ms of reading");
}

#[test]
#[ignore = "needs openocd"]
fn openocd_takes_what_is_advised_and_answers_what_it_is_asked() {
    // Its configuration alone, without a probe: what a body of `gdb-attach` becomes, and what `cget` says of it.
    let said = |event: &str| {
        let out = Command::new("openocd")
            .args(["-c", "adapter driver dummy; transport select jtag; jtag newtap chip cpu -irlen 4"])
            .args(["-c", "dap create chip.dap -chain-position chip.cpu"])
            .args(["-c", "target create chip.cpu cortex_m -dap chip.dap"])
            .args(["-c", "gdb_memory_map disable; chip.cpu configure -gdb-max-connections 2"])
            .args(["-c", event])
            .args([
                "-c",
                "echo \"<[[target current] cget -type]><[[target current] cget -event gdb-attach]>\"; shutdown",
            ])
            .output()
            .expect("openocd runs");
        String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
    };
    for (event, on_attach) in [
        ("chip.cpu configure -event gdb-attach { }", "< >"),
        ("chip.cpu configure -event gdb-attach {}", "<>"),
        ("chip.cpu configure -event gdb-attach { halt }", "< halt >"),
    ] {
        let text = said(event);
        assert!(text.contains(&format!("<cortex_m>{on_attach}")), "{event}: {text}");
    }
}
