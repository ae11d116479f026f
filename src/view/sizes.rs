//! Suggested stack sizes, ready to paste into the sources of a firmware, each with its reason as a comment.

use std::collections::HashSet;
use std::fmt::Write;

use crate::report::{Report, StackReport};
use crate::units;

/// For which sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Dialect {
    /// A table to read.
    Text,
    /// Rust: a const of bytes for each stack.
    Rust,
    /// FreeRTOS: a define of words for each task, and the kernel's own where it has one.
    Freertos,
    /// Zephyr: K_THREAD_STACK_DEFINE, and the Kconfig options of the kernel's own stacks.
    Zephyr,
    /// Mbed OS: a Thread for each, and the options of mbed_app.json for the kernel's own stacks.
    Mbed,
}

/// The sizes in that dialect, ended by a line break.
#[must_use]
pub fn sizes(report: &Report, dialect: Dialect) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut out, report, dialect);
    out
}

fn write_all(out: &mut String, report: &Report, dialect: Dialect) -> std::fmt::Result {
    if dialect == Dialect::Text {
        return table(out, report);
    }
    let head = format!("Stack sizes suggested by highwater for {}.", report.target.elf);
    comment(out, &head, dialect)?;
    let mut names = Names::default();
    for stack in &report.stacks {
        writeln!(out)?;
        let name = names.of(&stack.name);
        let what = match kernel_option(stack.kind, dialect) {
            Some(_) if !stack.name.eq_ignore_ascii_case(stack.kind) => {
                format!("{} ({}), {} B now:", stack.name, stack.kind, stack.size)
            }
            _ => format!("{}, {} B now:", stack.name, stack.size),
        };
        comment(out, &format!("{what} {}", stack.suggested_because), dialect)?;
        if let Some(bytes) = stack.suggested {
            writeln!(out, "{}", definition(stack, bytes, &name, report.target.kernel.as_deref(), dialect))?;
        }
    }
    Ok(())
}

fn table(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(out, "stack               size   suggest  rests on  why")?;
    for stack in &report.stacks {
        let name = units::printable(&stack.name, 14);
        let (size, suggested) = (units::bytes(stack.size), super::suggested(stack));
        let basis = stack.suggested_trust.unwrap_or("-");
        writeln!(out, "{name:<14} {size:>9} {suggested:>9}  {basis:<8}  {}", stack.suggested_because)?;
    }
    Ok(())
}

/// One line of comment. Names come from the firmware: none may end the comment, or the line.
fn comment(out: &mut String, text: &str, dialect: Dialect) -> std::fmt::Result {
    let text = units::printable(text, 600);
    match dialect {
        Dialect::Rust => writeln!(out, "// {text}"),
        _ => writeln!(out, "/* {} */", text.replace("*/", "* /")),
    }
}

fn definition(stack: &StackReport, bytes: u32, name: &str, kernel: Option<&str>, dialect: Dialect) -> String {
    let upper = name.to_uppercase();
    match (dialect, kernel_option(stack.kind, dialect)) {
        (Dialect::Freertos, Some(option)) => format!("#define {option} {}", words(bytes)),
        (Dialect::Zephyr, Some(option)) => format!("/* prj.conf: {option}={bytes} */"),
        (Dialect::Mbed, Some(option)) => format!("/* mbed_app.json: \"{option}\": {bytes} */"),
        (Dialect::Freertos, None) if stack.kind != "user" => {
            // Its main stack and that of its interrupts are one, and the linker's.
            format!("#define config{upper}_STACK_BYTES {bytes}")
        }
        (Dialect::Freertos, None) => format!("#define config{upper}_STACK_WORDS {}", words(bytes)),
        (Dialect::Zephyr, None) => format!("K_THREAD_STACK_DEFINE({name}_stack, {bytes});"),
        (Dialect::Mbed, None) => {
            let variable = if KEYWORDS.contains(&name) { format!("{name}_thread") } else { name.to_owned() };
            format!("Thread {variable}({}, {bytes}, nullptr, \"{name}\");", mbed_priority(stack, kernel))
        }
        (Dialect::Rust | Dialect::Text, _) => format!("pub const {upper}_STACK: usize = {bytes};"),
    }
}

/// Keywords of C++17 that a thread may well be called, and no variable.
const KEYWORDS: [&str; 20] = [
    "auto", "bool", "break", "case", "char", "class", "continue", "default", "delete", "double", "export", "float",
    "int", "long", "new", "operator", "register", "switch", "this", "union",
];

/// The thread's priority as `cmsis_os2.h` calls it, where it is one of RTX's; each level has eight, of which the first has no
/// number.
fn mbed_priority(stack: &StackReport, kernel: Option<&str>) -> String {
    let levels = ["Low", "BelowNormal", "Normal", "AboveNormal", "High", "Realtime"];
    let known = stack.priority.filter(|_| kernel.is_some_and(|kernel| kernel.starts_with("RTX")));
    let number = known.and_then(|priority| usize::try_from(priority).ok());
    let level = number.and_then(|number| Some((levels.get((number / 8).checked_sub(1)?)?, number % 8)));
    match level {
        Some((level, 0)) => format!("osPriority{level}"),
        Some((level, step)) => format!("osPriority{level}{step}"),
        None => "osPriorityNormal".into(),
    }
}

/// FreeRTOS counts stacks in words of StackType_t, 4 bytes on every Cortex-M.
fn words(bytes: u32) -> u32 {
    bytes.div_ceil(4)
}

/// What the kernel calls the size of a stack of its own. FreeRTOS 11: FreeRTOSConfig.h. Zephyr 3.7: kernel/Kconfig.
/// Mbed OS 6: cmsis/device/rtos/mbed_lib.json and targets/targets.json.
fn kernel_option(kind: &str, dialect: Dialect) -> Option<&'static str> {
    Some(match (dialect, kind) {
        (Dialect::Freertos, "idle") => "configMINIMAL_STACK_SIZE",
        (Dialect::Freertos, "timer") => "configTIMER_TASK_STACK_DEPTH",
        (Dialect::Zephyr, "main") => "CONFIG_MAIN_STACK_SIZE",
        (Dialect::Zephyr, "idle") => "CONFIG_IDLE_STACK_SIZE",
        (Dialect::Zephyr, "isr") => "CONFIG_ISR_STACK_SIZE",
        (Dialect::Mbed, "main") => "rtos.main-thread-stack-size",
        (Dialect::Mbed, "idle") => "rtos.idle-thread-stack-size",
        (Dialect::Mbed, "timer") => "rtos.timer-thread-stack-size",
        (Dialect::Mbed, "isr") => "target.boot-stack-size",
        _ => return None,
    })
}

/// Identifiers that were given away.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    /// A valid identifier in Rust and C, in lower case, that was not given before: threads may share a name.
    fn of(&mut self, name: &str) -> String {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let letters: String = name.chars().take(60).map(letter).collect();
        let parts: Vec<&str> = letters.split('_').filter(|part| !part.is_empty()).collect();
        let mut base = parts.join("_");
        if base.is_empty() {
            base = "unnamed".into();
        }
        if base.starts_with(|first: char| first.is_ascii_digit()) {
            base.insert_str(0, "stack_");
        }
        let numbered = (2..).map(|number| format!("{base}_{number}"));
        let free = std::iter::once(base.clone()).chain(numbered).find(|name| !self.0.contains(name));
        let free = free.unwrap_or(base);
        self.0.insert(free.clone());
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_becomes_an_identifier_of_its_own() {
        let mut names = Names::default();
        for (name, expected) in [
            ("growth", "growth"),
            ("Growth", "growth_2"),
            ("uart rx/tx", "uart_rx_tx"),
            ("uart-rx-tx", "uart_rx_tx_2"),
            ("growth_2", "growth_2_2"),
            ("0x20001000", "stack_0x20001000"),
            ("*/ int main(){}", "int_main"),
            ("Ünïcode", "n_code"),
            ("", "unnamed"),
            ("___", "unnamed_2"),
        ] {
            assert_eq!(names.of(name), expected, "{name}");
        }
    }

    #[test]
    fn for_mbed_each_thread_is_a_line_that_compiles() {
        use crate::model::snapshot::{Snapshot, Target};
        use crate::model::{Model, testing};
        let check = |name: &str, kernel: Option<&str>, priority, expected: (&str, &str)| {
            let stack = crate::model::snapshot::Stack { priority, ..testing::stack(name, 848) };
            let target = Target { kernel: kernel.map(str::to_owned), ..Target::default() };
            let snapshot = Snapshot { stacks: vec![stack], target, ..testing::live(60) };
            let report = Report::new(&Model::new(snapshot));
            let bytes = report.stacks[0].suggested.expect("it is painted");
            let line = format!("Thread {}({}, {bytes}, nullptr, \"{name}\");", expected.0, expected.1);
            let text = sizes(&report, Dialect::Mbed);
            assert!(text.lines().any(|told| told == line), "no `{line}` in\n{text}");
        };
        check("worker", None, None, ("worker", "osPriorityNormal"));
        check("worker", Some("FreeRTOS"), Some(43), ("worker", "osPriorityNormal"));
        check("worker", Some("RTX5"), Some(24), ("worker", "osPriorityNormal"));
        check("worker", Some("RTX5"), Some(43), ("worker", "osPriorityHigh3"));
        // osPriorityIdle, osPriorityISR and what is none of them are no thread's.
        for priority in [1, 56, -1, i32::MAX] {
            check("worker", Some("RTX5"), Some(priority), ("worker", "osPriorityNormal"));
        }
        check("new", None, None, ("new_thread", "osPriorityNormal"));
    }

    #[test]
    fn a_comment_is_not_ended_by_a_name() {
        let mut out = String::new();
        comment(&mut out, "a */ b\nc", Dialect::Freertos).expect("a string takes all");
        assert_eq!(out, "/* a * / b?c */\n");
    }
}
