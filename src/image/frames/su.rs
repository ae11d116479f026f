//! The `.su` files that GCC's and clang's `-fstack-usage` leave beside the object files.
//!
//! A line is `file:line:column:function<TAB>bytes<TAB>kind`, where the kind is `static`, `dynamic`, `bounded` or
//! `dynamic,bounded` (GCC manual, "Developer Options").

/// The most lines that are read of one text.
const MAX_LINES: usize = 1 << 20;

/// What one line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The function's name: as in the symbol table for C, as written in the source for C++.
    pub function: String,
    /// Its frame in bytes.
    pub bytes: u32,
    /// The frame depends on the running program, and nothing bounds it: the bytes are only its fixed part.
    pub dynamic: bool,
}

/// Reads the content of one file. A line that is none is left out.
#[must_use]
pub fn parse(text: &str) -> Vec<Usage> {
    text.lines().take(MAX_LINES).filter_map(line).collect()
}

fn line(line: &str) -> Option<Usage> {
    let mut fields = line.split('\t');
    let (place, bytes, kind) = (fields.next()?, fields.next()?, fields.next()?.trim());
    // The function comes behind the line and the column. A file name may hold colons (`C:\...`), and so does a C++ name.
    let mut parts = place.split(':');
    let mut numbers = 0;
    while numbers < 2 {
        let part = parts.next()?;
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        numbers = if is_number { numbers + 1 } else { 0 };
    }
    let function = parts.collect::<Vec<_>>().join(":");
    let dynamic = match kind {
        "static" | "bounded" | "dynamic,bounded" => false,
        "dynamic" => true,
        _ => return None,
    };
    (!function.is_empty()).then(|| Some(Usage { function, bytes: bytes.parse().ok()?, dynamic }))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_others_left_out() {
        let usage = |function: &str, bytes, dynamic| Usage { function: function.into(), bytes, dynamic };
        for (text, expected) in [
            ("main.c:12:5:main\t40\tstatic", Some(usage("main", 40, false))),
            ("C:\\src\\a.c:1:2:read_all\t16\tdynamic\r", Some(usage("read_all", 16, true))),
            (
                "a.cpp:3:7:void rtos::Thread::start()\t24\tdynamic,bounded",
                Some(usage("void rtos::Thread::start()", 24, false)),
            ),
            ("main.c:12:5:main\t-1\tstatic", None),
            ("main.c:12:5:main\t40\tperhaps", None),
            ("main.c:main\t40\tstatic", None),
            ("main.c:1:1:\t40\tstatic", None),
            ("", None),
        ] {
            assert_eq!(parse(text).into_iter().next(), expected, "{text:?}");
        }
    }
}
