//! A machine in QEMU as the way to the memory: a monitor in this process, and the real QEMU where there is one.
#![cfg(all(feature = "simulator", unix))]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use highwater::image::layout;
use highwater::model::Model;
use highwater::model::snapshot::Health;
use highwater::region::Region;
use highwater::report::Report;
use highwater::sampler::{Options, Sampler, static_snapshot};
use highwater::source::qemu::QemuSource;
use highwater::source::{CoreStatus, ReadError, Source};
use serde_json::{Value, json};

#[path = "../target-agent/demo/src/truth.rs"]
#[allow(dead_code, unreachable_pub)]
mod truth;

/// A monitor as QEMU's machine protocol has it, over saved memory.
struct Monitor {
    memory: Vec<(u32, Vec<u8>)>,
    /// Events that go out before the next answer.
    events: Mutex<Vec<&'static str>>,
    /// What greets.
    greeting: String,
    /// All commands that came.
    commands: Mutex<Vec<String>>,
    running: Mutex<bool>,
    /// What it says that it emulates.
    target: &'static str,
}

impl Monitor {
    fn new(memory: Vec<(u32, Vec<u8>)>) -> Self {
        let greeting = json!({"QMP": {"version": {"qemu": {"major": 8, "minor": 1, "micro": 2}}, "capabilities": []}});
        Self {
            memory,
            events: Mutex::default(),
            greeting: greeting.to_string(),
            commands: Mutex::default(),
            running: Mutex::new(true),
            target: "arm",
        }
    }

    /// Serves one client after the other, for as long as the test runs.
    fn listen(self, socket: &Path) -> Arc<Self> {
        let monitor = Arc::new(self);
        let listener = UnixListener::bind(socket).expect("a socket can be made");
        std::thread::spawn({
            let monitor = Arc::clone(&monitor);
            move || {
                for client in listener.incoming().map_while(Result::ok) {
                    let _ = monitor.serve(&client);
                }
            }
        });
        monitor
    }

    fn serve(&self, mut client: &UnixStream) -> std::io::Result<()> {
        writeln!(client, "{}", self.greeting)?;
        for line in BufReader::new(client).lines() {
            let command: Value = serde_json::from_str(&line?).expect("a command is JSON");
            for event in self.events.lock().unwrap().drain(..) {
                writeln!(client, "{}", json!({"event": event, "timestamp": {"seconds": 1, "microseconds": 2}}))?;
            }
            let name = command["execute"].as_str().expect("it has a name").to_owned();
            let answer = match name.as_str() {
                "qmp_capabilities" => json!({"return": {}}),
                "query-cpus-fast" => json!({"return": [{"cpu-index": 0, "target": self.target}]}),
                "query-status" => json!({"return": {"running": *self.running.lock().unwrap(), "status": "any"}}),
                "human-monitor-command" => {
                    json!({"return": self.examine(command["arguments"]["command-line"].as_str().expect("a line"))})
                }
                _ => json!({"error": {"class": "CommandNotFound", "desc": "no such command"}}),
            };
            self.commands.lock().unwrap().push(name);
            writeln!(client, "{answer}")?;
        }
        Ok(())
    }

    /// `xp /16xw 0x20000000`.
    fn examine(&self, line: &str) -> String {
        let rest = line.strip_prefix("xp /").expect("memory is all that is asked for");
        let (count, address) = rest.split_once("xw 0x").expect("words");
        let (count, address) = (count.parse::<usize>().unwrap(), u32::from_str_radix(address, 16).unwrap());
        let found = self.memory.iter().find_map(|(start, bytes)| {
            let offset = address.checked_sub(*start)? as usize;
            bytes.get(offset..offset + count * 4)
        });
        let Some(bytes) = found else { return format!("{address:016x}: Cannot access memory\r\n") };
        let lines = bytes.chunks(16).enumerate().map(|(index, line)| {
            let words: String =
                line.chunks(4).map(|word| format!(" 0x{:08x}", u32::from_le_bytes(word.try_into().unwrap()))).collect();
            format!("{:016x}:{words}\r\n", address as usize + 16 * index)
        });
        lines.collect()
    }
}

fn highwater(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_highwater")).args(args).output().expect("the binary runs")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[test]
fn what_a_monitor_reads_is_told_as_a_probe_tells_it() {
    let mut demo = common::Demo::new(0, 1, common::INSTANT, Some(30.0));
    demo.watch_until(Duration::from_secs(5));
    demo.model.ingest(demo.sampler.refresh_thoroughly());
    let live = Report::new(&demo.model);
    let piece = |start, size| (start, demo.board.peek(start, size).expect("the board has it"));
    let folder = tempfile::tempdir().expect("there is room");
    let socket = folder.path().join("qmp");
    let monitor = Monitor::new(vec![piece(0, 0x2_0000), piece(0x2000_0000, 0x1_0000)]).listen(&socket);
    let out = highwater(&["snapshot", common::DEMO, "--qemu", text(&socket), "--format", "json"]);
    let told: Value =
        serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out.stderr)));
    let stacks = told["stacks"].as_array().expect("there are stacks");
    assert_eq!(stacks.len(), live.stacks.len());
    for (stack, live) in stacks.iter().zip(&live.stacks) {
        assert_eq!(stack["peak"].as_u64(), live.peak.map(u64::from), "{}", live.name);
    }
    assert_eq!(told["heaps"][0]["used"].as_u64(), live.heaps[0].used.map(u64::from));
    assert!(told["target"]["source"].as_str().is_some_and(|source| source.starts_with("QEMU 8.1.2")), "{told}");
    let asked = monitor.commands.lock().unwrap();
    let known = ["qmp_capabilities", "query-cpus-fast", "query-status", "human-monitor-command"];
    assert!(asked.iter().all(|command| known.contains(&command.as_str())), "{asked:?}");
}

#[test]
fn resets_pauses_and_the_end_of_a_machine_are_told() {
    let folder = tempfile::tempdir().expect("there is room");
    let socket = folder.path().join("qmp");
    let monitor = Monitor::new(vec![(0x2000_0000, (0..=255).collect())]).listen(&socket);
    let mut source = QemuSource::open(text(&socket).parse().unwrap()).expect("it greets");
    let mut bytes = [0; 5];
    source.read(Region::new(0x2000_0003, 5), &mut bytes).expect("it is there");
    assert_eq!(bytes, [3, 4, 5, 6, 7]);
    let nowhere = source.read(Region::new(0x3000_0000, 4), &mut bytes[..4]);
    assert!(matches!(nowhere, Err(ReadError::Unreadable { .. })), "{nowhere:?}");
    assert_eq!(source.status(), Ok(CoreStatus::Running));
    monitor.events.lock().unwrap().push("RESET");
    assert_eq!(source.status(), Ok(CoreStatus::WasReset));
    *monitor.running.lock().unwrap() = false;
    assert_eq!(source.status(), Ok(CoreStatus::Halted));
    *monitor.running.lock().unwrap() = true;
    monitor.events.lock().unwrap().push("SHUTDOWN");
    assert!(matches!(source.status(), Err(ReadError::Gone(_))));
    // Whoever answers there now began anew.
    source.reopen().expect("it is there again");
    assert_eq!(source.status(), Ok(CoreStatus::WasReset));
    assert_eq!(source.status(), Ok(CoreStatus::Running));
}

#[test]
fn what_is_no_monitor_is_named_with_the_way_out() {
    let folder = tempfile::tempdir().expect("there is room");
    let nobody = folder.path().join("nobody");
    let human = folder.path().join("human");
    Monitor { greeting: "QEMU 7.2.22 monitor - type 'help'".into(), ..Monitor::new(Vec::new()) }.listen(&human);
    let other = folder.path().join("other");
    Monitor { greeting: "{\"hello\": \"\\u001b[2J\"}".into(), ..Monitor::new(Vec::new()) }.listen(&other);
    for (socket, words) in
        [(&nobody, "no QEMU monitor at"), (&human, "-qmp unix:"), (&other, "no QEMU machine protocol")]
    {
        let out = highwater(&["snapshot", common::DEMO, "--qemu", text(socket)]);
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(4) && err.contains(words), "{words}: {err}");
    }
}

#[test]
fn a_program_for_64_bits_may_have_a_board_of_32() {
    let folder = tempfile::tempdir().expect("there is room");
    let cortex_m3 = (0xE000_ED00, 0x410f_c231u32.to_le_bytes().to_vec());
    let cortex_a53 = (0xE000_ED00, 0x410f_d034u32.to_le_bytes().to_vec());
    for (name, target, memory, core) in [
        ("m3", "aarch64", vec![cortex_m3.clone()], Some("Cortex-M3")),
        ("a53", "aarch64", vec![cortex_a53], None),
        ("nothing", "aarch64", Vec::new(), None),
        ("riscv", "riscv32", vec![cortex_m3], None),
    ] {
        let socket = folder.path().join(name);
        Monitor { target, ..Monitor::new(memory) }.listen(&socket);
        match (QemuSource::open(text(&socket).parse().unwrap()), core) {
            (Ok(source), Some(core)) => assert_eq!(source.describe().core.as_deref(), Some(core), "{name}"),
            (Err(error), None) => assert!(error.to_string().contains(target), "{name}: {error}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}

/// The demo in a real QEMU.
struct Machine {
    process: Child,
    folder: tempfile::TempDir,
    gdb: u16,
}

impl Machine {
    fn start() -> Self {
        Self::of("qemu-system-arm", &[])
    }

    /// The same by that program, with those arguments too.
    fn of(program: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let gdb = port.expect("a port is free").port();
        let monitor = |name: &str| format!("unix:{},server=on,wait=off", folder.path().join(name).display());
        let process = Command::new(program)
            .args(more)
            .args([
                "-M",
                "mps2-an385",
                "-kernel",
                common::DEMO,
                "-display",
                "none",
                "-serial",
                "null",
                "-monitor",
                "none",
            ])
            .args(["-qmp", &monitor("qmp"), "-qmp", &monitor("second"), "-gdb", &format!("tcp:127.0.0.1:{gdb}")])
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let machine = Self { process, folder, gdb };
        let patience = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(machine.socket("second")).is_err() {
            assert!(Instant::now() < patience, "QEMU makes no socket");
            std::thread::yield_now();
        }
        machine
    }

    fn socket(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn source(&self, name: &str) -> QemuSource {
        QemuSource::open(text(&self.socket(name)).parse().unwrap()).expect("QEMU greets")
    }

    /// Milliseconds that the firmware counted.
    fn ticks(source: &mut QemuSource) -> u32 {
        let image = common::image();
        let address = image.symbols.address("DEMO_TRUTH").expect("the demo keeps accounts") + 4 * truth::TICKS as u32;
        let mut word = [0; 4];
        source.read(Region::new(address, 4), &mut word).expect("it is there");
        u32::from_le_bytes(word)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Turns of looking and of leaving it alone, and how long each is: a minute of looking in all.
const TURNS: u32 = 6;
const TURN: Duration = Duration::from_secs(10);

/// Ticks of the firmware for each second of the wall clock while `look` is done.
fn tick_rate(witness: &mut QemuSource, look: impl FnOnce()) -> f64 {
    let (first, start) = (Machine::ticks(witness), Instant::now());
    look();
    let (last, time) = (Machine::ticks(witness), start.elapsed());
    f64::from(last.wrapping_sub(first)) / time.as_secs_f64()
}

#[test]
#[ignore = "needs qemu-system-arm"]
fn a_minute_of_looking_leaves_the_machine_running_and_its_tick_on_time() {
    let machine = Machine::start();
    let mut witness = machine.source("second");
    let image = common::image();
    let memories = layout::memories(&image, &[]);
    let mut model = Model::new(static_snapshot(&image, &memories));
    let options = Options { rate_hz: Some(30.0) };
    let mut sampler = Sampler::new(Box::new(machine.source("qmp")), image, memories, options).expect("QEMU answers");
    let mut refreshes = 0;
    let (mut alone, mut looked_at) = (0.0, 0.0);
    // By turns, so that what else this computer does is in both.
    for _ in 0..TURNS {
        alone += tick_rate(&mut witness, || std::thread::sleep(TURN)) / f64::from(TURNS);
        let rate = tick_rate(&mut witness, || {
            let end = sampler.now() + TURN;
            while sampler.now() < end {
                let before = sampler.now();
                let observation = sampler.refresh();
                assert_eq!(observation.snapshot.health, Health::Live);
                model.ingest(observation);
                refreshes += 1;
                sampler.wait(sampler.now() - before);
            }
        });
        looked_at += rate / f64::from(TURNS);
        assert_eq!(witness.status(), Ok(CoreStatus::Running));
    }
    println!("ticks a second: {alone:.1} alone, {looked_at:.1} with {refreshes} refreshes in 60 s");
    // A machine that was stopped for each refresh would lose far more; a busy computer takes some from both.
    assert!(looked_at > alone * 0.8, "{alone} ticks a second alone, {looked_at} while somebody looks");
    assert_eq!(model.snapshot.stacks.len(), 9);
}

#[test]
#[ignore = "needs qemu-system-arm"]
fn qemus_gdb_server_is_refused_with_the_reason_and_serves_with_leave_to_halt() {
    let machine = Machine::start();
    let mut witness = machine.source("second");
    let address = format!("127.0.0.1:{}", machine.gdb);
    let out = highwater(&["snapshot", common::DEMO, "--gdb", &address]);
    let err = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.code() == Some(4) && err.contains("stops the core") && err.contains("--allow-halt"), "{err}");
    assert_eq!(witness.status(), Ok(CoreStatus::Running), "it goes on");
    let out = highwater(&["snapshot", common::DEMO, "--gdb", &address, "--allow-halt", "--format", "json"]);
    let told: Value =
        serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out.stderr)));
    assert_eq!(told["stacks"].as_array().map(Vec::len), Some(9));
    assert_eq!(told["target"]["core"], "Cortex-M3");
    assert!(told["link"]["halts"].as_u64().is_some_and(|halts| halts > 1), "{}", told["link"]);
    assert_eq!(witness.status(), Ok(CoreStatus::Running), "it goes on");
    let rate = tick_rate(&mut witness, || std::thread::sleep(Duration::from_secs(2)));
    assert!(rate > 0.0, "its tick goes on");
}

#[test]
#[ignore = "needs qemu-system-arm"]
fn a_machine_that_waits_for_its_start_stays_stopped_after_a_refused_look() {
    let machine = Machine::of("qemu-system-arm", &["-S"]);
    let mut witness = machine.source("second");
    assert_eq!(witness.status(), Ok(CoreStatus::Halted));
    let address = format!("127.0.0.1:{}", machine.gdb);
    let out = highwater(&["snapshot", common::DEMO, "--gdb", &address]);
    let err = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.code() == Some(4) && err.contains("was left so"), "{err}");
    assert_eq!(witness.status(), Ok(CoreStatus::Halted), "it was set running");
    let out = highwater(&["snapshot", common::DEMO, "--gdb", &address, "--allow-halt", "--format", "json"]);
    let told: Value =
        serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out.stderr)));
    assert_eq!(told["link"]["halts"], 0);
    assert_eq!(witness.status(), Ok(CoreStatus::Halted), "it was set running");
}

#[test]
#[ignore = "needs qemu-system-aarch64"]
fn a_cortex_m_in_the_qemu_for_64_bits_is_looked_at() {
    let machine = Machine::of("qemu-system-aarch64", &[]);
    let socket = machine.socket("qmp");
    let out = highwater(&["snapshot", common::DEMO, "--qemu", text(&socket), "--format", "json"]);
    let told: Value =
        serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out.stderr)));
    assert_eq!(told["target"]["core"], "Cortex-M3");
    assert_eq!(told["stacks"].as_array().map(Vec::len), Some(9));
}
