//! The `.su` files that GCC's and clang's `-fstack-usage` leave beside the object files.
//!
//! A line is `file:line:column:function<TAB>bytes<TAB>kind`, where the kind is `static`, `dynamic`, `bounded` or
//! `dynamic,bounded` (GCC manual, "Developer Options"). clang leaves the column out, and writes the symbol.
//!
//! What a `dynamic` number can be trusted for: GCC counts each `alloca` of a constant size in it, once, however often a loop
//! runs it; clang counts the fixed part only (seen with GCC 12.2 and clang 14). So it is what the function takes at least when
//! it gets to the end of its ways, and never a bound from above.

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
    // The function comes behind the line and the column, if there is one. A file name may hold colons (`C:\...`), and so does
    // a C++ name; neither begins with a digit behind one.
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (_, behind) = place
        .match_indices(':')
        .filter_map(|(at, _)| place[at + 1..].split_once(':'))
        .find(|(part, _)| is_number(part))?;
    let function = match behind.split_once(':') {
        Some((column, function)) if is_number(column) => function,
        _ => behind,
    };
    let dynamic = match kind {
        "static" | "bounded" | "dynamic,bounded" => false,
        "dynamic" => true,
        _ => return None,
    };
    (!function.is_empty()).then(|| Some(Usage { function: function.into(), bytes: bytes.parse().ok()?, dynamic }))?
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
            ("t.c:1:f\t204\tstatic", Some(usage("f", 204, false))),
            ("C:\\a.cpp:7:_ZN3app4overEi\t24\tstatic", Some(usage("_ZN3app4overEi", 24, false))),
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
