//! The documents stay true: their transcripts are real, their commands parse, their links lead somewhere, the files and
//! tests they name exist.
//!
//! A block that begins with three backquotes and `console` is a transcript. A line `$ highwater ...` with lines below it
//! is run from the root of the repository, and what it prints on standard output and then on standard error must be those
//! lines, byte for byte; `[..]` stands for any number of lines that are left out. One without lines below it must parse.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Parser;
use highwater::cli::Cli;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const DOCUMENTS: [&str; 12] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "target-agent/README.md",
    "target-agent/c/README.md",
    "target-agent/ports/baremetal/README.md",
    "target-agent/ports/freertos/README.md",
    "target-agent/ports/mbed/README.md",
    "target-agent/ports/rtx5/README.md",
    "target-agent/ports/threadx/README.md",
    "target-agent/ports/zephyr/README.md",
];
/// What stands for lines that are left out.
const LEFT_OUT: &str = "[..]";

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A command of the documents and what it is said to print.
struct Shown {
    document: &'static str,
    command: String,
    output: Vec<String>,
}

/// Every command of every transcript.
fn shown() -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    for document in DOCUMENTS {
        let mut inside = false;
        for line in read(document).lines() {
            if let Some(fence) = line.strip_prefix("```") {
                inside = !inside && fence == "console";
            } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
                all.push(Shown { document, command: command.to_owned(), output: Vec::new() });
            } else if inside {
                all.last_mut().expect("a transcript begins with a command").output.push(line.to_owned());
            }
        }
    }
    assert!(all.iter().any(|shown| !shown.output.is_empty()), "there are transcripts");
    all
}

/// What a command prints, in an environment that changes nothing.
fn printed(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("HIGHWATER_") || name.starts_with("PROBE_RS_") {
            command.env_remove(&variable);
        }
    }
    // The tester has no settings of their own.
    command.env("XDG_CONFIG_HOME", "/nowhere");
    let output = command.args(arguments).current_dir(ROOT).stdin(Stdio::null()).output().expect("the binary runs");
    String::from_utf8([output.stdout, output.stderr].concat()).expect("it is text")
}

/// Whether `told` is `real`, with lines left out where it says so.
fn tells(told: &[String], real: &[&str]) -> bool {
    match told {
        [] => real.is_empty(),
        [first, rest @ ..] if first == LEFT_OUT => (0..=real.len()).any(|skipped| tells(rest, &real[skipped..])),
        [first, rest @ ..] => real.first() == Some(&first.as_str()) && tells(rest, &real[1..]),
    }
}

#[test]
fn transcripts_are_what_the_tool_prints() {
    let mut wrong = String::new();
    for Shown { document, command, output } in shown().iter().filter(|shown| !shown.output.is_empty()) {
        let arguments = command.strip_prefix("highwater ").expect("only highwater's own output can be compared");
        let real = printed(&arguments.split_whitespace().collect::<Vec<_>>());
        if !tells(output, &real.lines().collect::<Vec<_>>()) {
            wrong += &format!("\n{document} shows another output of\n$ {command}\n{real}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_command_of_the_documents_parses() {
    for Shown { document, command, .. } in shown() {
        // What stands behind a pipe or an arrow is the shell's.
        let own = command.split(['|', '>']).next().unwrap_or_default();
        let ours = own.strip_prefix("cargo run --release -- ").map(|rest| format!("highwater {rest}"));
        let own = ours.as_deref().unwrap_or(own);
        if own.starts_with("highwater ")
            && let Err(error) = Cli::try_parse_from(own.split_whitespace())
        {
            panic!("{document}: $ {command}\n{error}");
        }
    }
}

#[test]
fn the_workflow_is_yaml_and_its_commands_parse() {
    let text = read("assets/github-actions.yml");
    let workflow: serde_json::Value = yaml_serde::from_str(&text).expect("it is YAML");
    let steps = workflow["jobs"]["budgets"]["steps"].as_array().expect("a list");
    let scripts = steps.iter().filter_map(|step| step["run"].as_str());
    let commands: Vec<&str> = scripts.flat_map(str::lines).filter(|line| line.starts_with("highwater ")).collect();
    assert_eq!(commands.len(), 2, "{commands:?}");
    for command in commands {
        let own = command.split('>').next().unwrap_or_default();
        if let Err(error) = Cli::try_parse_from(own.split_whitespace()) {
            panic!("{command}\n{error}");
        }
    }
}

#[test]
fn links_and_paths_lead_somewhere() {
    for document in DOCUMENTS {
        let text = read(document);
        let folder = Path::new(ROOT).join(document).parent().expect("it lies in a folder").to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if !target.starts_with("http") {
                assert!(folder.join(target).exists(), "{document} links to {target}");
            }
        }
        for path in code_marks(&text) {
            let ours = ["src/", "tests/", "assets/", "target-agent/", "fuzz/", "benches/"];
            if ours.iter().any(|folder| path.starts_with(folder))
                && !path.contains(['*', ' '])
                && !path.contains("NAME")
            {
                assert!(Path::new(ROOT).join(path).exists(), "{document} names {path}");
            }
        }
    }
}

#[test]
fn the_architecture_lists_every_file() {
    let text = read("ARCHITECTURE.md");
    for folder in ["src", "target-agent/src"] {
        for (path, _) in sources(folder) {
            let name = path.strip_prefix(Path::new(ROOT).join(folder)).expect("it is below");
            let name = name.to_string_lossy().replace('\\', "/");
            let row = format!("| `{name}` |");
            let group =
                name.rsplit_once('/').map(|(folder, file)| (format!("{folder}/"), file.trim_end_matches(".rs")));
            let grouped = |(folder, stem): &(String, &str)| {
                let line = text.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{folder}`")));
                line.is_some_and(|line| code_marks(line).any(|mark| mark == *stem))
            };
            assert!(
                text.contains(&row) || group.as_ref().is_some_and(grouped),
                "ARCHITECTURE.md has no line for {name}"
            );
        }
    }
}

#[test]
fn each_invariant_names_a_test_that_is_there() {
    let text = read("ARCHITECTURE.md");
    let start = text.find("\n## Invariants").expect("there are invariants") + 1;
    let section = text[start..].split("\n## ").next().unwrap_or_default();
    let code: String =
        ["src", "tests", "target-agent"].iter().flat_map(|folder| sources(folder)).map(|(_, code)| code).collect();
    let mut invariants = 0;
    for invariant in
        section.split("\n\n").filter(|paragraph| paragraph.starts_with(|first: char| first.is_ascii_digit()))
    {
        // A test's name has at least two underscores; other words in code marks have fewer.
        let tests: Vec<&str> =
            code_marks(invariant).filter(|word| is_name(word) && word.matches('_').count() > 1).collect();
        assert!(!tests.is_empty(), "no test is named: {invariant}");
        for test in tests {
            assert!(code.contains(&format!("fn {test}(")), "there is no test `{test}`");
        }
        invariants += 1;
    }
    assert!(invariants >= 10, "{invariants} invariants");
}

#[test]
fn the_recipes_of_the_justfile_are_the_ones_that_are_named() {
    let justfile = read("justfile");
    for document in DOCUMENTS {
        for recipe in code_marks(&read(document)).filter_map(|mark| mark.strip_prefix("just ")) {
            let recipe = recipe.split(' ').next().unwrap_or_default();
            let there = justfile.lines().any(|line| line.split([' ', ':']).next() == Some(recipe));
            assert!(there, "{document} names `just {recipe}`");
        }
    }
}

fn is_name(word: &str) -> bool {
    word.chars().all(|character| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_')
}

/// What stands between single backquotes, line by line; blocks of code left out.
fn code_marks(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    let prose = text.lines().filter(move |line| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !fence && !inside
    });
    prose.flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// All Rust files below `folder`, what is built left out.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let code = fs::read_to_string(&path).expect("it is text");
                found.push((path, code));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has sources");
    found
}
