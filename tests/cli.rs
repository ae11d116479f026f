//! The command line as scripts and people meet it: the real binary, its output, its exit codes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/demo.elf");

fn highwater(arguments: &[&str]) -> Output {
    run_in(Path::new(env!("CARGO_MANIFEST_DIR")), arguments)
}

fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for variable in
        ["PROBE_RS_CHIP", "PROBE_RS_PROBE", "PROBE_RS_SPEED", "PROBE_RS_PROTOCOL", "HIGHWATER_RATE", "NO_COLOR"]
    {
        command.env_remove(variable);
    }
    command.output().expect("the binary runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is UTF-8")
}

fn good(arguments: &[&str]) -> String {
    let output = highwater(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    stdout(&output)
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&good(arguments)).expect("it is JSON")
}

/// A folder with files of all kinds that are not what they should be.
struct Junk {
    folder: tempfile::TempDir,
}

impl Junk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let demo = fs::read(DEMO).expect("the demo is there");
        let patched = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = demo.clone();
            change(&mut bytes);
            bytes
        };
        let machine = |number: u8| patched(&|bytes| bytes[18] = number);
        let files: [(&str, Vec<u8>); 9] = [
            ("empty.elf", Vec::new()),
            ("text.elf", b"int main(void) { return 0; }\n".to_vec()),
            ("image.hex", b":10010000214601360121470136007EFE09D2190140\n".to_vec()),
            ("image.uf2", b"UF2\n\x57\x51\x5d\x9e".to_vec()),
            ("cut.elf", demo[..40].to_vec()),
            ("x86.elf", machine(3)),
            ("avr.elf", machine(83)),
            ("riscv.elf", machine(243)),
            // A thread's name that would clear the screen if it got there.
            (
                "evil.elf",
                patched(&|bytes| {
                    let at = bytes.windows(8).position(|window| window == b"comms\0gr" || window == b"\0growth\0");
                    let at = at.expect("the thread has a name") + 1;
                    bytes[at..at + 4].copy_from_slice(b"\x1b[2J");
                }),
            ),
        ];
        for (name, content) in files {
            fs::write(folder.path().join(name), content).expect("it can be written");
        }
        fs::write(
            folder.path().join("agentless.elf"),
            patched(&|bytes| {
                // The name stands in the symbol table's strings and in the debug information's.
                let symbol = b"\0HIGHWATER\0";
                while let Some(at) = bytes.windows(symbol.len()).position(|window| window == symbol) {
                    bytes[at + 9] = b'Z';
                }
            }),
        )
        .expect("it can be written");
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

#[test]
fn what_cannot_work_says_why_and_what_to_do() {
    let junk = Junk::new();
    let file = |name: &str| junk.path(name);
    let folder = junk.folder.path().display().to_string();
    let this = std::env::current_exe().expect("it has a path").display().to_string();
    let cases: Vec<(Vec<String>, i32, Vec<&str>)> = [
        (vec!["snapshot", "/no/such/firmware.elf"], 1, vec!["/no/such/firmware.elf", "no such file"]),
        (vec!["attach", "/no/such/firmware.elf", "--probe", "sim"], 1, vec!["no such file"]),
        (vec!["layout", &folder], 1, vec!["it is a folder"]),
        (vec!["layout", &file("empty.elf")], 1, vec!["is empty", "the linker's output"]),
        (vec!["layout", &file("text.elf")], 1, vec!["looks like text"]),
        (vec!["layout", &file("image.hex")], 1, vec!["Intel HEX"]),
        (vec!["layout", &file("image.uf2")], 1, vec!["UF2"]),
        (vec!["layout", &file("cut.elf")], 1, vec!["cut.elf"]),
        (vec!["layout", &this], 1, vec!["64-bit", "the host's program"]),
        (vec!["layout", &file("x86.elf")], 1, vec!["32-bit x86"]),
        (vec!["layout", &file("avr.elf")], 1, vec!["AVR"]),
        (vec!["snapshot", &file("riscv.elf")], 1, vec!["RISC-V", "highwater layout"]),
        (vec!["snapshot", &file("riscv.elf"), "--probe", "sim"], 1, vec!["emulated board"]),
        (vec!["snapshot", DEMO], 4, vec!["no debug probe is connected", "--probe sim"]),
        (vec!["snapshot", DEMO, "--probe", "nonsense"], 1, vec!["nonsense", "highwater list"]),
        (vec!["snapshot", DEMO, "--probe", "dead:beef"], 4, vec!["dead:beef"]),
        (vec!["snapshot", DEMO, "--probe", "sim", "--chip", "STM32F408VG"], 1, vec!["STM32F408VG", "did you mean"]),
        (
            vec![
                "snapshot",
                &file("agentless.elf"),
                "--probe",
                "sim",
                "--chip-description-path",
                "/no/such.yaml",
                "--chip",
                "x",
            ],
            1,
            vec!["/no/such.yaml"],
        ),
        (vec!["snapshot"], 2, vec!["ELF"]),
        (vec!["snapshot", DEMO, "--rate", "20000"], 2, vec!["0 to 10000"]),
        (vec!["demo", "--sim-time", "soon"], 2, vec!["250ms, 5s or 2m"]),
        (vec!["demo", "--scenario", "panic"], 2, vec!["calm, overflow, leak, fragmentation"]),
        (vec!["demo", "--format", "pdf"], 2, vec!["human"]),
        (vec!["frobnicate"], 2, vec!["frobnicate"]),
    ]
    .into_iter()
    .map(|(arguments, code, words)| (arguments.into_iter().map(str::to_owned).collect(), code, words))
    .collect();
    let before = listing(junk.folder.path());
    for (arguments, code, words) in cases {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = run_in(junk.folder.path(), &arguments);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
        assert!(output.stdout.is_empty(), "{arguments:?} printed {}", stdout(&output));
        for word in words {
            assert!(message.contains(word), "{arguments:?} does not say `{word}`: {message}");
        }
    }
    assert_eq!(listing(junk.folder.path()), before, "nothing was written");
}

fn listing(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("it can be listed").path()).collect();
    files.sort();
    files
}

#[test]
fn a_chip_that_a_project_file_names_wrongly_is_said_with_the_file() {
    let folder = tempfile::tempdir().expect("there is room");
    fs::write(folder.path().join("Embed.toml"), "[default.general]\nchip = \"nRF52840_xxBB\"\n")
        .expect("it can be written");
    let output = run_in(folder.path(), &["layout", DEMO]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("nRF52840_xxBB") && message.contains("Embed.toml"), "{message}");
}

#[test]
fn without_an_agent_the_bare_metal_picture_is_shown_and_said() {
    let junk = Junk::new();
    let report = json(&["snapshot", &junk.path("agentless.elf"), "--probe", "sim", "--format", "json"]);
    assert_eq!(report["target"]["kernel"], "bare metal");
    assert_eq!(report["stacks"].as_array().map(Vec::len), Some(1));
    assert!(
        report["hints"][0].as_str().is_some_and(|hint| hint.contains("No agent and no known kernel")),
        "{report:#}"
    );
}

#[test]
fn names_from_a_firmware_cannot_reach_the_terminal_raw() {
    let junk = Junk::new();
    for format in ["human", "json", "svg"] {
        let text = good(&["snapshot", &junk.path("evil.elf"), "--probe", "sim", "--format", format]);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{format}");
        assert!(text.contains("?[2J"), "{format}: the name is there, made harmless");
    }
}

/// Every key that the contract promises, and what kind of value it has.
#[test]
fn the_json_report_keeps_its_contract() {
    for scenario in ["calm", "overflow", "leak", "fragmentation"] {
        let report = json(&["demo", "--scenario", scenario, "--sim-time", "7s", "--format", "json"]);
        assert_eq!(report["schema"], "highwater/report@1");
        assert_eq!(report["at_s"].as_f64().map(f64::round), Some(7.0));
        let keys = [
            (&report, vec!["schema", "at_s", "epoch", "target", "regions", "stacks", "heaps", "alerts", "link"]),
            (&report["target"], vec!["elf", "build_id", "chip", "core", "kernel", "source"]),
            (&report["regions"][0], vec!["id", "parent", "memory", "kind", "name", "start", "size", "static"]),
            (
                &report["stacks"][0],
                vec![
                    "id",
                    "name",
                    "kind",
                    "start",
                    "size",
                    "current",
                    "lowest_sp_used",
                    "peak",
                    "worst_case",
                    "margin",
                    "trust",
                    "victim",
                    "overflowed",
                ],
            ),
            (
                &report["heaps"][0],
                vec![
                    "name",
                    "start",
                    "size",
                    "used",
                    "peak",
                    "free",
                    "largest_free",
                    "blocks",
                    "overhead",
                    "failures",
                    "fragmentation",
                    "trust",
                    "owners",
                ],
            ),
            (
                &report["link"],
                vec![
                    "refresh_hz",
                    "transactions_per_refresh",
                    "usb_commands_per_refresh",
                    "bytes_per_refresh",
                    "halts",
                    "writes",
                    "gaps",
                ],
            ),
        ];
        for (object, keys) in keys {
            let object = object.as_object().unwrap_or_else(|| panic!("{scenario}: {object}"));
            for key in keys {
                assert!(object.contains_key(key), "{scenario}: no key {key}");
            }
        }
        let regions = report["regions"].as_array().expect("a list");
        let number = |region: &Value, key: &str| region[key].as_u64().expect("an integer");
        let mut ids: Vec<&str> = regions.iter().filter_map(|region| region["id"].as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), regions.len(), "{scenario}: ids are unique");
        for parent in regions {
            let mut at = number(parent, "start");
            let children: Vec<&Value> = regions.iter().filter(|region| region["parent"] == parent["id"]).collect();
            for child in &children {
                assert_eq!(number(child, "start"), at, "{scenario}: {} follows without a gap", child["id"]);
                at += number(child, "size");
            }
            if !children.is_empty() {
                assert_eq!(
                    at,
                    number(parent, "start") + number(parent, "size"),
                    "{scenario}: {} adds up",
                    parent["id"]
                );
            }
        }
        for heap in report["heaps"].as_array().expect("a list") {
            assert_eq!(number(heap, "used") + number(heap, "free"), number(heap, "size"), "{scenario}");
            assert!(number(heap, "peak") >= number(heap, "used"), "{scenario}");
        }
        for stack in report["stacks"].as_array().expect("a list") {
            assert_eq!(stack["trust"], "exact", "{scenario}: a snapshot reads every stack to its end");
            assert_eq!(number(stack, "peak") + number(stack, "margin"), number(stack, "size"), "{scenario}");
        }
        assert_eq!(
            (&report["link"]["halts"], &report["link"]["writes"]),
            (&Value::from(0), &Value::from(0)),
            "{scenario}"
        );
    }
}

/// Every region of the reference picture, from the top of RAM down and from the top of flash down.
#[test]
fn the_demo_is_laid_out_like_the_reference_picture() {
    let report = json(&["demo", "--format", "json"]);
    let order = |parent: &str| -> Vec<String> {
        let regions = report["regions"].as_array().expect("a list").iter().rev();
        regions
            .filter(|region| region["parent"] == parent)
            .map(|region| region["name"].as_str().unwrap_or("").to_owned())
            .collect()
    };
    let named = |parent: &str, names: &[&str]| -> Vec<String> {
        order(parent).into_iter().filter(|name| names.contains(&name.as_str())).collect()
    };
    let ram = ["ISR stack", "heap", "idle stack", "timer stack", "main stack", ".bss", ".data", "RAM vectors"];
    assert_eq!(named("ram", &ram), ram);
    let heap = ["waiter", "alloc", "growth", "uart_rx_buf", "comms", "uart_tx_buf", "sensor"];
    assert_eq!(named("ram/heap", &heap), heap);
    let flash = [".data values", "constants", "code", "bootloader", "vector table"];
    assert_eq!(named("flash", &flash), flash);
}

#[test]
fn the_same_seed_prints_the_same_bytes() {
    let run = |seed: &str| good(&["demo", "--seed", seed, "--sim-time", "3s", "--format", "json"]);
    assert_eq!(run("7"), run("7"));
    assert_ne!(run("7"), run("8"));
}

#[test]
fn without_a_terminal_demo_and_attach_print_one_snapshot() {
    for arguments in [vec!["demo"], vec!["attach", DEMO, "--probe", "sim"], vec!["snapshot", DEMO, "--probe", "sim"]] {
        let text = good(&arguments);
        for word in ["demo.elf", "Cortex-M3", "ISR stack", "uart_rx_buf", "halts 0, writes 0", "exact"] {
            assert!(text.contains(word), "{arguments:?} does not say {word}:\n{text}");
        }
    }
}

#[test]
fn an_overflow_is_the_first_thing_said() {
    let text = good(&["demo", "--scenario", "overflow", "--sim-time", "12s"]);
    let second = text.lines().nth(1).unwrap_or_default();
    assert!(second.starts_with("! DANGER  growth overflowed") && second.contains("uart_rx_buf"), "{second}");
}

#[test]
fn ascii_is_ascii_and_a_file_gets_no_colour() {
    for arguments in [vec!["demo", "--ascii"], vec!["demo", "--scenario", "overflow", "--sim-time", "12s", "--ascii"]] {
        assert!(good(&arguments).bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{arguments:?}");
    }
    assert!(good(&["demo", "--color", "always"]).contains("\x1b[36m"));
    assert!(!good(&["demo"]).contains('\x1b'));
}

#[test]
fn the_svg_names_every_stack() {
    let picture = good(&["demo", "--format", "svg"]);
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    assert_eq!(picture.matches("<text").count(), picture.matches("</text>").count());
    for name in
        ["ISR stack", "main stack", "timer stack", "idle stack", "sensor", "comms", "growth", "alloc", "waiter", "heap"]
    {
        assert!(picture.contains(&format!(">{name}</text>")), "no {name}");
    }
}

#[test]
fn the_layout_needs_no_target() {
    let report = json(&["layout", DEMO, "--format", "json"]);
    assert_eq!((&report["state"], &report["target"]["source"]), (&Value::from("static"), &Value::from("file")));
    assert!(good(&["layout", DEMO]).contains("static picture, no target"));
    // A chip's memories take the place of the linker's.
    let chip = json(&["layout", DEMO, "--chip", "STM32F407VGTx", "--format", "json"]);
    assert!(chip["regions"].as_array().is_some_and(|regions| regions.iter().any(|region| region["size"] == 128 << 10)));
}

#[test]
fn help_has_examples_and_the_rest_is_there() {
    for command in ["demo", "attach", "snapshot", "layout", "completions", "man"] {
        let help = good(&[command, "--help"]);
        assert!(help.contains("Example"), "{command} --help has no example");
    }
    assert!(good(&["--help"]).contains("Exit codes"));
    assert!(good(&["--version"]).starts_with("highwater "));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(good(&["completions", shell]).contains("highwater"), "{shell}");
    }
    assert!(good(&["man"]).contains(".TH highwater"));
    assert!(good(&["list"]).contains("sim"));
    assert_eq!(json(&["list", "--format", "json"])["schema"], "highwater/list@1");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args(["demo", "--format", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
}

#[test]
fn the_log_goes_to_the_file_and_nowhere_else() {
    let folder = tempfile::tempdir().expect("there is room");
    let log = folder.path().join("highwater.log");
    let path = log.display().to_string();
    let output = highwater(&["demo", "--log-file", &path]);
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(fs::read_to_string(&log).expect("it was written").contains("attached"));
    let output = highwater(&["demo", "--log-file", "/no/such/folder/log"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such/folder/log"));
    std::io::stdout().flush().expect("a test can print");
}
