//! Debug information in all the places where compilers and linkers leave it tells the same.
//!
//! `tests/fixtures/dwarf/split.elf` was made of the sources beside it with `-gdwarf-5 -gsplit-dwarf -fdebug-types-section`,
//! `types.elf` with `-gdwarf-4 -fdebug-types-section`, both by arm-none-eabi-gcc 12.2 for `-mcpu=cortex-m3 -Os`.

use std::path::{Path, PathBuf};
use std::process::Command;

use highwater::image::Image;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dwarf")
}

/// What a person sees of the program at `path`, in words that do not depend on where it was built.
fn told(path: &Path) -> Vec<String> {
    let image = Image::open(path).expect("it opens");
    let mut told = vec![format!("missing: {:?}", image.missing_debug_information())];
    for name in ["shared", "hidden", "last"] {
        let variable = image.variable(name);
        told.push(match variable {
            Some(found) => {
                let file = image.units().at(found.address.unwrap_or_default()).map(ToOwned::to_owned);
                format!("{name}: {:?} B of {} by {file:?}", found.kind.size(), found.kind.name())
            }
            None => format!("{name}: not known"),
        });
    }
    let field = |name: &str, path: &str| {
        let found = image.types().find(name).and_then(|held| held.field(path));
        format!("{name}.{path}: {:?}", found.map(|field| (field.offset, field.kind.size())))
    };
    told.extend([field("both", "color"), field("node", "value"), field("node_t", "next")]);
    told.push(format!("GREEN: {:?}", image.types().enumerator("GREEN")));
    for name in ["work", "start"] {
        let start = image.symbols.address(name).expect("it is linked") & !1;
        let lines: Vec<String> = image
            .lines()
            .at(start)
            .iter()
            .map(|frame| {
                let file = frame.file.as_deref().and_then(|file| file.rsplit('/').next());
                format!("{} in {file:?}", frame.function)
            })
            .collect();
        told.push(format!("{name}: {lines:?}"));
    }
    told
}

fn expected() -> Vec<String> {
    [
        "missing: None",
        r#"shared: Some(28) B of both by Some("a.c")"#,
        r#"hidden: Some(4) B of unsigned int by Some("a.c")"#,
        r#"last: Some(4) B of *node by Some("b.c")"#,
        "both.color: Some((24, Some(1)))",
        "node.value: Some((4, Some(4)))",
        "node_t.next: Some((0, Some(4)))",
        "GREEN: Some(5)",
        r#"work: ["twice in Some(\"a.c\")", "work in Some(\"a.c\")"]"#,
        r#"start: ["start in Some(\"b.c\")"]"#,
    ]
    .map(ToOwned::to_owned)
    .into()
}

#[test]
fn types_in_units_of_their_own_are_read() {
    assert_eq!(told(&fixtures().join("types.elf")), expected());
}

#[test]
fn what_was_split_off_is_read_where_it_lies_beside_the_elf() {
    assert_eq!(told(&fixtures().join("split.elf")), expected());
}

#[test]
fn what_was_split_off_and_is_not_there_is_named_as_the_cause() {
    let folder = tempfile::tempdir().expect("there is room");
    let [elf, half] = ["split.elf", "a.dwo"].map(|name| {
        let place = folder.path().join(name);
        std::fs::copy(fixtures().join(name), &place).expect("it can be copied");
        place
    });
    let missing = || Image::open(&elf).expect("it opens").missing_debug_information();
    let expected = |of: &str, first: &str| {
        Some(format!(
            "the debug information of {of} was split off (-gsplit-dwarf), and {first}: leave the .dwo files where they were \
             written, or pack them into split.elf.dwp (dwp -e)"
        ))
    };
    assert_eq!(missing(), expected("1 file", "b.dwo is not there"));
    assert!(Image::open(&elf).expect("it opens").types().find("both").is_some(), "what is there is read");
    std::fs::copy(&half, folder.path().join("b.dwo")).expect("it can be copied");
    assert_eq!(missing(), expected("1 file", "b.dwo is of another build"));
    std::fs::remove_file(&half).expect("it is there");
    assert_eq!(missing(), expected("2 files", "a.dwo is not there"));
}

fn run(folder: &Path, program: &str, arguments: &str) {
    let output =
        Command::new(program).args(arguments.split_whitespace()).current_dir(folder).output().expect("it is installed");
    assert!(output.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Builds the program of the fixtures in a new folder.
fn built(flags: &str) -> (tempfile::TempDir, PathBuf) {
    built_by("arm-none-eabi-gcc", flags)
}

/// The same with a compiler that has flags of its own.
fn built_by(compiler: &str, flags: &str) -> (tempfile::TempDir, PathBuf) {
    let (compiler, own) = compiler.split_once(' ').unwrap_or((compiler, ""));
    let folder = tempfile::tempdir().expect("there is room");
    for name in ["a.c", "b.c", "shared.h"] {
        std::fs::copy(fixtures().join(name), folder.path().join(name)).expect("it can be copied");
    }
    let target = "-mcpu=cortex-m3 -mthumb";
    for name in ["a", "b"] {
        run(folder.path(), compiler, &format!("{own} {target} -Os {flags} -c {name}.c -o {name}.o"));
    }
    let linker = "-nostdlib -Wl,-e,start -Wl,-Ttext=0x8000 -Wl,-Tdata=0x20000000";
    run(folder.path(), "arm-none-eabi-gcc", &format!("{target} {linker} a.o b.o -o app.elf"));
    let elf = folder.path().join("app.elf");
    (folder, elf)
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn wherever_a_compiler_leaves_debug_information_it_tells_the_same() {
    for version in ["-gdwarf-3", "-gdwarf-4", "-gdwarf-5"] {
        for flags in ["", "-fdebug-types-section", "-gsplit-dwarf", "-gsplit-dwarf -fdebug-types-section", "-gz"] {
            let flags = format!("{version} {flags}");
            let (_folder, elf) = built(flags.trim());
            assert_eq!(told(&elf), expected(), "{flags}");
        }
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc, clang and llvm-dwp"]
fn a_package_of_what_was_split_off_is_read() {
    // Each packer is given what it takes: the one of binutils no DWARF 5, the one of LLVM 14 none of GCC's.
    let clang = "clang --target=arm-none-eabi -mfloat-abi=soft -fshort-enums -gdwarf-5";
    for (compiler, packer) in [("arm-none-eabi-gcc -gdwarf-4", "dwp"), (clang, "llvm-dwp")] {
        let (folder, elf) = built_by(compiler, "-gsplit-dwarf");
        run(folder.path(), packer, "-e app.elf -o app.elf.dwp");
        for name in ["a.dwo", "b.dwo"] {
            std::fs::remove_file(folder.path().join(name)).expect("it was written");
        }
        assert_eq!(told(&elf), expected(), "{compiler}");
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn debug_information_that_was_moved_to_a_file_is_followed_there() {
    for strip in ["--strip-debug", "--strip-all"] {
        let (folder, elf) = built("-g");
        run(folder.path(), "arm-none-eabi-objcopy", "--only-keep-debug app.elf app.debug");
        run(folder.path(), "arm-none-eabi-objcopy", &format!("{strip} --add-gnu-debuglink=app.debug app.elf"));
        assert_eq!(told(&elf), expected(), "{strip}");
        // One of another build is none.
        std::fs::copy(fixtures().join("types.elf"), folder.path().join("app.debug")).expect("it can be copied");
        assert!(Image::open(&elf).expect("it opens").types().is_empty(), "{strip}");
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn what_link_time_optimisation_made_one_of_is_still_of_its_files() {
    let (folder, _) = built("-g -flto -O0");
    let linker = "-mcpu=cortex-m3 -mthumb -O0 -g -flto -nostdlib -Wl,-e,start -Wl,-Ttext=0x8000 -Wl,-Tdata=0x20000000";
    for partition in ["one", "max"] {
        run(folder.path(), "arm-none-eabi-gcc", &format!("{linker} -flto-partition={partition} a.o b.o -o app.elf"));
        let image = Image::open(&folder.path().join("app.elf")).expect("it opens");
        let units = image.units();
        let of = |name: &str| {
            let address = image.symbols.address(name).map(|address| address & !1);
            units.at(address.unwrap_or_else(|| panic!("{name} is linked")))
        };
        let found = ["shared", "last", "work", "start"].map(of);
        assert_eq!(found, ["a.c", "b.c", "a.c", "b.c"].map(Some), "{partition}");
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc and clang"]
fn a_frame_that_the_compiler_calls_dynamic_bounds_nothing() {
    const SOURCE: &str = "void take(void *);\n\
        __attribute__((noinline)) void often(int n) { while (n--) take(__builtin_alloca(64)); }\n\
        __attribute__((noinline)) void thrice(void) { for (int n = 0; n < 3; n++) take(__builtin_alloca(64)); }\n\
        __attribute__((noinline)) void plain(void) { char text[64]; take(text); }\n\
        void take(void *at) { *(volatile char *)at = 0; }\n\
        void start(void) { for (;;) { often(9); thrice(); plain(); } }\n";
    let clang = "clang --target=arm-none-eabi -mfloat-abi=soft";
    for (compiler, counted) in [("arm-none-eabi-gcc", 64..), (clang, 0..)] {
        let folder = tempfile::tempdir().expect("there is room");
        std::fs::write(folder.path().join("a.c"), SOURCE).expect("there is room");
        let flags = "-mcpu=cortex-m3 -mthumb -O1 -fno-unroll-loops -fno-inline -fstack-usage -c a.c -o a.o";
        let (program, own) = compiler.split_once(' ').unwrap_or((compiler, ""));
        run(folder.path(), program, &format!("{own} {flags}"));
        let linker = "-mcpu=cortex-m3 -mthumb -nostdlib -Wl,-e,start -Wl,-Ttext=0x8000 a.o -o app.elf";
        run(folder.path(), "arm-none-eabi-gcc", linker);
        let mut image = Image::open(&folder.path().join("app.elf")).expect("it opens");
        assert_eq!(image.read_stack_usage(folder.path()).expect("it is there"), 5, "{compiler}");
        let graph = image.call_graph().expect("it is Thumb code");
        let worst = |name| graph.worst_case(image.symbols.address(name).expect("it is linked")).expect("it has code");
        for name in ["often", "thrice"] {
            let (frame, found) = (graph.frame(image.symbols.address(name).expect("it is linked") & !1), worst(name));
            assert!(frame.is_some_and(|frame| frame.dynamic && counted.contains(&frame.bytes)), "{compiler} {name}");
            assert!(!found.exact, "{compiler} {name}: {found:?}");
        }
        assert!(worst("plain").exact && worst("plain").bytes >= 64, "{compiler}: {:?}", worst("plain"));
        assert!(!worst("start").exact, "{compiler}");
    }
}
