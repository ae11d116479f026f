//! `sizes`: suggestions ready to paste; `config`: what holds and who says so.

use serde_json::Value;

use crate::common::DEMO;
use crate::{Place, finish, patched};

#[test]
fn the_report_and_the_paste_have_the_same_sizes() {
    let place = Place::new();
    let run = ["--probe", "sim", "--margin", "256B"];
    let report = place.output(&[&["snapshot", DEMO, "--format", "json", "--sim-time", "9s"][..], &run].concat());
    let report: Value = serde_json::from_str(&report).expect("it is JSON");
    let rust = place.output(&[&["sizes", DEMO, "--as", "rust", "--for", "9s"][..], &run].concat());
    for stack in report["stacks"].as_array().expect("a list") {
        let name = stack["name"].as_str().expect("a name").to_uppercase();
        let size = stack["suggested"].as_u64().expect("every stack of the demo is painted");
        let because = stack["suggested_because"].as_str().expect("a sentence");
        assert!(because.contains("256 B margin") && size % 8 == 0, "{stack}");
        assert!(rust.contains(&format!("pub const {name}_STACK: usize = {size};\n")), "{name} {size}\n{rust}");
        assert!(
            ["bound", "measured", "not yet", "at least"].contains(&stack["suggested_trust"].as_str().expect("a word"))
        );
        let proven = [&stack["peak"], &stack["lowest_sp_used"], &stack["worst_case"]];
        let proven = proven.iter().filter_map(|number| number.as_u64()).max().expect("a peak");
        assert!(size >= proven + 256, "{stack}");
    }
}

#[test]
fn whether_a_thread_s_stack_would_fit_is_told_by_its_name() {
    let place = Place::new();
    let ask = |what: &str| place.run(&["demo", "--sim-time", "4s", "--format", "json", "--would-fit", what]);
    let report: Value = serde_json::from_str(&ask("growth").out).expect("it is JSON");
    let fit = &report["heaps"][0]["would_fit"];
    assert_eq!((&fit["size"], &fit["stack"], &fit["fits"]), (&4096.into(), &"growth".into(), &true.into()));
    let nobody = ask("growht");
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.err.contains("no stack is called growht; did you mean growth?"), "{}", nobody.err);
    assert_eq!(ask("0").code, Some(2));
}

#[test]
fn each_dialect_is_one_definition_and_its_reason_for_each_stack() {
    let place = Place::new();
    for (dialect, comment, words) in [
        ("rust", "// ", &["pub const GROWTH_STACK: usize = ", "pub const ISR_STACK: usize = "][..]),
        ("freertos", "/* ", &["#define configGROWTH_STACK_WORDS ", "#define configMINIMAL_STACK_SIZE "]),
        ("zephyr", "/* ", &["K_THREAD_STACK_DEFINE(growth_stack, ", "prj.conf: CONFIG_ISR_STACK_SIZE="]),
        (
            "mbed",
            "/* ",
            &["Thread growth(osPriorityNormal, ", ", nullptr, \"growth\");", "\"rtos.idle-thread-stack-size\": "],
        ),
    ] {
        let out = place.output(&["sizes", "--demo", "calm", "--for", "2s", "--as", dialect]);
        for word in words {
            assert_eq!(out.matches(word).count(), 1, "{dialect}: {word}\n{out}");
        }
        let paragraphs: Vec<&str> = out.trim_end().split("\n\n").skip(1).collect();
        assert_eq!(paragraphs.len(), 9, "{out}");
        for paragraph in paragraphs {
            assert!(paragraph.starts_with(comment) && paragraph.lines().count() == 2, "{paragraph}");
            assert!(paragraph.contains("margin"), "{paragraph}");
        }
    }
}

/// What a project has before it pastes: the declarations of Mbed OS 6.17's rtos/Thread.h and of Zephyr 4.3's thread_stack.h, as far
/// as they are used.
const MBED: &str = "enum osPriority_t { osPriorityNormal = 24 };
class Thread { public: Thread(osPriority_t, unsigned, unsigned char *, const char *) {} };\n";
const ZEPHYR: &str = "#define K_THREAD_STACK_DEFINE(name, size) static unsigned char name[size]\n";

#[test]
#[ignore = "needs arm-none-eabi-gcc and g++"]
fn each_dialect_is_taken_by_its_compiler_also_with_a_keyword_as_a_name() {
    let place = Place::new();
    for name in ["growth", "switch", "delete"] {
        place.file("app.elf", patched(b"growth\0", format!("{name}\0").as_bytes()));
        for (dialect, before, file, compiler) in [
            ("mbed", MBED, "sizes.cpp", &["arm-none-eabi-g++", "-c", "-Werror", "-o", "sizes.o"][..]),
            ("zephyr", ZEPHYR, "sizes.c", &["arm-none-eabi-gcc", "-c", "-o", "sizes.o"]),
            ("freertos", "", "sizes.c", &["arm-none-eabi-gcc", "-c", "-Werror", "-o", "sizes.o"]),
            ("rust", "", "sizes.rs", &["rustc", "--crate-type", "lib", "-Dwarnings", "-o", "sizes.rlib"]),
        ] {
            let out = place.output(&["sizes", "app.elf", "--probe", "sim", "--for", "2s", "--as", dialect]);
            place.file(file, format!("{before}{out}"));
            let mut command = std::process::Command::new(compiler[0]);
            let told = command.args(&compiler[1..]).arg(file).current_dir(place.path("")).output().expect("it starts");
            assert!(told.status.success(), "{dialect} {name}: {}\n{out}", String::from_utf8_lossy(&told.stderr));
        }
    }
}

#[test]
fn a_name_from_the_firmware_cannot_break_the_sources() {
    let place = Place::new();
    place.file("app.elf", patched(b"growth\0", b"*/ab;\n\0"));
    let out = place.output(&["sizes", "app.elf", "--probe", "sim", "--for", "2s", "--as", "freertos"]);
    assert!(out.contains("#define configAB_STACK_WORDS"), "{out}");
    for line in out.lines().filter(|line| line.starts_with("/*")) {
        assert_eq!(line.find("*/"), Some(line.len() - 2), "{line}");
    }
}

#[test]
fn a_stack_without_a_mark_and_a_bound_gets_no_size() {
    let report = Place::new().output(&["layout", DEMO, "--format", "json"]);
    let report: Value = serde_json::from_str(&report).expect("it is JSON");
    let main = &report["stacks"][0];
    assert!(main["suggested"].is_null() && main["suggested_trust"].is_null(), "{main}");
    assert!(main["suggested_because"].as_str().is_some_and(|why| why.starts_with("No suggestion: ")), "{main}");
}

#[test]
fn a_flag_comes_before_a_variable_that_before_the_project_that_before_the_user() {
    let place = Place::new();
    let shown = |variable: bool| {
        let mut command = place.command(&["config", "show"]);
        if variable {
            command.env("HIGHWATER_MARGIN", "3%");
        }
        let ran = finish(&mut command);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let line = ran.out.lines().find(|line| line.starts_with("margin")).expect("it is shown");
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    let margin = |variable: bool, flags: &[&str]| {
        let mut command = place.command(&[&["snapshot", DEMO, "--probe", "sim", "--format", "json"], flags].concat());
        if variable {
            command.env("HIGHWATER_MARGIN", "3%");
        }
        let report: Value = serde_json::from_str(&finish(&mut command).out).expect("it is JSON");
        report["stacks"][0]["suggested_because"].as_str().expect("a sentence").to_owned()
    };
    assert_eq!(shown(false), "20 % built in");
    place.file(".config/highwater/config.toml", "margin = \"1%\"\n");
    assert!(shown(false).starts_with("1 %") && shown(false).ends_with("config.toml"));
    assert!(margin(false, &[]).contains("+ 1 % margin"));
    place.file("highwater.toml", "margin = \"2%\"\n[limits]\nstack = \"10%\"\n");
    assert!(shown(false).starts_with("2 %") && shown(false).ends_with("highwater.toml"));
    assert!(margin(false, &[]).contains("+ 2 % margin"));
    assert_eq!(shown(true), "3% HIGHWATER_MARGIN");
    assert!(margin(true, &[]).contains("+ 3 % margin"));
    assert!(margin(true, &["--margin", "4%"]).contains("+ 4 % margin"));
    // The limits are the report's, and what is past them is an alert.
    let report = place.output(&["snapshot", DEMO, "--probe", "sim", "--format", "json"]);
    let report: Value = serde_json::from_str(&report).expect("it is JSON");
    assert_eq!(report["limits"]["stack_percent"], 10);
    assert!(report["alerts"].as_array().is_some_and(|alerts| alerts.len() > 3));
}

#[test]
fn the_template_is_a_file_of_settings() {
    let place = Place::new();
    let template = place.output(&["config", "template"]);
    place.file("highwater.toml", &template);
    assert!(place.output(&["config", "show"]).contains("built in"));
    // A broken file is told by what needs it, and is not in the way of what does not.
    place.file("highwater.toml", "theme = \"dank\"\n");
    let ran = place.run(&["layout", DEMO]);
    assert!(ran.code == Some(1) && ran.err.contains("highwater.toml, line 1: there is no theme"), "{}", ran.err);
    for args in [&["config", "template"][..], &["man"], &["completions", "bash"], &["list"]] {
        place.output(args);
    }
}

#[test]
fn ascii_from_a_file_can_be_taken_back() {
    let place = Place::new();
    place.file("highwater.toml", "ascii = true\n");
    let run = ["demo", "--sim-time", "2s", "--format", "human"];
    assert!(place.output(&run).is_ascii());
    assert!(!place.output(&[&run[..], &["--ascii=false"]].concat()).is_ascii());
}
