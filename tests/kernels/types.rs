//! Layouts of C structures by name.

use crate::compile::compile;

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn layouts_of_c_are_found_by_name_in_every_version_of_dwarf() {
    for version in ["-gdwarf-2", "-gdwarf-3", "-gdwarf-4", "-gdwarf-5"] {
        let image = compile(&["types.c", "types_other.c"], &[version]);
        let types = image.types();
        let record = types.find("record_t").expect("a typedef");
        let truth = image.symbols.address("truth").expect("the compiler's own view");
        let truth = |index: u32| image.word(truth + 4 * index).expect("it is linked");
        let fields = [
            ("id", false),
            ("word", false),
            ("low", true),
            ("high", true),
            ("state", true),
            ("inner.name", false),
            ("inner.table", false),
        ];
        for (index, (path, signed)) in (0..).zip(fields) {
            let field = record.field(path).unwrap_or_else(|| panic!("{version}: {path}"));
            assert_eq!(
                (field.offset, field.kind.size()),
                (truth(index * 2), Some(truth(index * 2 + 1))),
                "{version}: {path}"
            );
            // What an enumeration is kept in came with DWARF 3.
            if (version, path) != ("-gdwarf-2", "state") {
                assert_eq!(field.kind.is_signed(), signed, "{version}: {path}");
            }
        }
        assert!(record.field("flag").is_some(), "{version}");
        assert_eq!(record.size(), Some(truth(14)), "{version}");
        assert!(record.field("inner.name").expect("a field").kind.is_pointer());

        let table = record.field("inner.table").and_then(|field| field.kind.array()).expect("an array");
        assert_eq!((table.count, table.stride), (Some(12), 4), "{version}");

        for (name, value) in [("STATE_A", 1), ("STATE_B", 7), ("STATE_NEGATIVE", -2)] {
            assert_eq!(types.enumerator(name), Some(value), "{version}: {name}");
        }
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn statics_are_described_after_link_time_optimisation_too() {
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        let image = compile(&["types.c", "types_other.c"], &[version, "-flto", "-O1"]);
        for (name, size) in [("small", 1), ("local", 4)] {
            let held = image.types().variables().find(|held| held.name == name);
            let held = held.unwrap_or_else(|| panic!("{version}: {name} is described"));
            assert_eq!(held.kind.size(), Some(size), "{version}: {name}");
            let address = held.address.expect("it has a place");
            assert_eq!(image.types().variable_at(address).map(|held| held.name), Some(name), "{version}");
        }
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn what_one_unit_declares_is_answered_with_the_definition_of_another() {
    for sources in [["types.c", "types_other.c"], ["types_other.c", "types.c"]] {
        for flags in [["-gdwarf-4", "-O0"], ["-gdwarf-5", "-Os"]] {
            let image = compile(&sources, &flags);
            let what = format!("{sources:?} {flags:?}");
            let handle = image.types().find("handle_t").expect("a typedef");
            let target = handle.target().expect("a pointer");
            assert_eq!(target.size(), Some(8), "{what}");
            assert_eq!(target.field("second").map(|field| field.offset), Some(4), "{what}");

            let current = image.variable("current").expect("a static");
            assert_eq!(current.address, image.symbols.address("current"), "{what}");
            let numbers = image.variable("numbers").expect("a static");
            let array = numbers.kind.array().expect("an array");
            assert_eq!((array.count, array.stride), (Some(6), 4), "{what}");
            assert!(array.element.is_signed(), "{what}");
        }
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_static_of_a_function_is_found_at_its_symbol() {
    let image = compile(&["types.c", "types_other.c"], &["-g"]);
    let symbol =
        image.symbols.iter().find(|symbol| symbol.name.starts_with("local.")).expect("the compiler names it so");
    let local = image.variable(&symbol.name).expect("by its symbol");
    assert_eq!((local.name, local.address), ("local", Some(symbol.range.start())));
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn without_debug_information_there_are_no_types() {
    let image = compile(&["types.c", "types_other.c"], &["-g0"]);
    assert!(image.types().is_empty() && image.variable("current").is_none());
}
