//! The documents stay true: their transcripts are real, their links lead somewhere, their commands exist.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).expect("the document is there")
}

fn highwater(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args(arguments)
        .current_dir(ROOT)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    (output.status.success(), String::from_utf8(output.stdout).expect("it is text"))
}

#[test]
fn the_readmes_transcript_is_what_the_tool_prints() {
    let readme = read("README.md");
    let start = readme.find("```text\ndemo.elf").expect("there is a transcript") + "```text\n".len();
    let block = &readme[start..start + readme[start..].find("```").expect("it ends")];
    let (_, printed) = highwater(&["demo", "--scenario", "overflow", "--sim-time", "12s"]);
    for (told, real) in block.lines().take_while(|line| *line != "[..]").zip(printed.lines()) {
        assert_eq!(told, real);
    }
}

#[test]
fn the_readmes_commands_exist() {
    let readme = read("README.md");
    let commands = readme.lines().filter_map(|line| line.strip_prefix("$ highwater "));
    let mut seen = 0;
    for command in commands {
        let name = command.split_whitespace().next().expect("a command has a name");
        assert!(highwater(&[name, "--help"]).0, "`highwater {command}`");
        for flag in command.split_whitespace().filter(|word| word.starts_with("--")) {
            assert!(highwater(&[name, "--help"]).1.contains(flag), "`highwater {command}`: {flag}");
        }
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn links_and_paths_lead_somewhere() {
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "target-agent/README.md"] {
        let text = read(document);
        let folder = Path::new(ROOT).join(document).parent().expect("it lies in a folder").to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !target.starts_with("http") {
                assert!(folder.join(target).exists(), "{document} links to {target}");
            }
        }
        // Files of the source tree that are named in code marks.
        for word in text.split('`').skip(1).step_by(2) {
            let path = word.trim_end_matches(',');
            if (path.starts_with("src/") || path.starts_with("tests/")) && !path.contains("NAME") && !path.contains(' ')
            {
                assert!(Path::new(ROOT).join(path).exists(), "{document} names {path}");
            }
        }
    }
}
