//! One spelling for a function, whoever writes it: a symbol is mangled, GCC's `.su` files have C++ functions as its messages
//! do (`T app::twice(T, const char*) [with T = int]`), and clones of a function carry their origin in front of a dot
//! (`clone_me.constprop.0`).

use crate::image::symbols;

/// What GCC and LLVM put behind the name of a function that they made of another one (gcc/cgraphclones.cc; LLVM's ThinLTO).
const CLONES: [&str; 6] = [".constprop", ".isra", ".part", ".cold", ".lto_priv", ".llvm"];
/// The longest name that is looked into.
const MAX_NAME: usize = 4096;

/// How a function is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// With its parameters, as far as it has any: `app::twice(int, char const*)`.
    pub(super) whole: String,
    /// Without them: `app::twice`. A typedef among the parameters is written by GCC and not in a symbol.
    pub(super) base: String,
}

impl Name {
    /// Of a symbol.
    pub(super) fn of_symbol(symbol: &str) -> Self {
        let symbol = origin(symbol);
        match symbols::demangle_cpp(symbol) {
            Some(written) => Self::written(&written),
            // C's as it is, Rust's without its hash.
            None => {
                let written = symbols::demangle(symbol);
                Self { base: written.clone(), whole: written }
            }
        }
    }

    /// Of a `.su` file's function: a symbol, or as it is written in the source.
    pub(super) fn of_usage(text: &str) -> Self {
        if text.contains('(') && text.len() <= MAX_NAME { Self::written(text) } else { Self::of_symbol(text) }
    }

    /// Of a C++ function with its parameters.
    fn written(text: &str) -> Self {
        let (text, bindings) = match text.split_once(" [with ") {
            Some((text, with)) => (text, bindings(with.strip_suffix(']').unwrap_or(with))),
            None => (text, Vec::new()),
        };
        let Some((front, parameters)) = parameters(text) else {
            return Self { whole: text.into(), base: text.into() };
        };
        let base = without_templates(without_result(&front.replace("{anonymous}", "(anonymous namespace)")));
        let parameters: Vec<String> = split(parameters, ',').iter().map(|kind| plain(kind, &bindings)).collect();
        Self { whole: format!("{base}({})", parameters.join(", ")), base }
    }
}

/// The function that a clone was made of.
fn origin(name: &str) -> &str {
    let end = CLONES.iter().filter_map(|clone| name.find(clone)).min();
    end.filter(|end| *end > 0).map_or(name, |end| &name[..end])
}

/// What stands in front of the parameters, and what is between their brackets; `None` when there are none.
fn parameters(text: &str) -> Option<(&str, &str)> {
    let end = text.rfind(')')?;
    let mut depth = 0usize;
    for (at, letter) in text[..=end].char_indices().rev() {
        match letter {
            ')' => depth += 1,
            '(' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return (at > 0).then_some((&text[..at], &text[at + 1..end]));
        }
    }
    None
}

/// The name without the type in front of it.
fn without_result(front: &str) -> &str {
    const OPERATOR: &str = "operator";
    // What follows `operator` may have blanks and brackets of its own.
    let operator = front.match_indices(OPERATOR).map(|(at, _)| at).find(|at| {
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        !front[..*at].ends_with(is_word) && !front[*at + OPERATOR.len()..].starts_with(is_word)
    });
    let mut depth = 0usize;
    let mut start = 0;
    for (at, letter) in front[..operator.unwrap_or(front.len())].char_indices() {
        match letter {
            '<' | '(' | '{' => depth += 1,
            '>' | ')' | '}' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 => start = at + 1,
            _ => {}
        }
    }
    front[start..].trim_start_matches(['*', '&'])
}

/// The name without what its templates were made of.
fn without_templates(name: &str) -> String {
    const OPERATORS: [&str; 5] = ["operator<=>", "operator<<=", "operator<<", "operator<=", "operator<"];
    let mut kept = String::with_capacity(name.len());
    let mut depth = 0usize;
    let mut rest = name;
    while let Some(letter) = rest.chars().next() {
        if depth == 0
            && let Some(operator) = OPERATORS
                .iter()
                .chain(&["operator->*", "operator->", "operator>>", "operator>"])
                .find(|operator| rest.starts_with(**operator))
        {
            kept.push_str(operator);
            rest = &rest[operator.len()..];
            continue;
        }
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => kept.push(letter),
            _ => {}
        }
        rest = &rest[letter.len_utf8()..];
    }
    kept
}

/// What each template parameter stands for: `T = int; U = char`.
fn bindings(with: &str) -> Vec<(&str, &str)> {
    split(with, ';')
        .into_iter()
        .filter_map(|binding| binding.split_once(" = "))
        .map(|(name, kind)| (name.trim(), kind))
        .collect()
}

/// Cuts at a separator that is within no bracket.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0usize, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '<' | '(' | '[' | '{' => depth += 1,
            '>' | ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ if letter == separator && depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + separator.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// A type as a demangler writes it: `const` behind what it holds for, and whole numbers without the words that say nothing.
fn plain(kind: &str, bindings: &[(&str, &str)]) -> String {
    let tail = kind.find(['*', '&', '[', '(']).unwrap_or(kind.len());
    let (held, tail) = kind.split_at(tail);
    let mut words: Vec<&str> = Vec::new();
    for word in held.split_whitespace() {
        match bindings.iter().find(|(name, _)| *name == word) {
            Some((_, kind)) => words.extend(kind.split_whitespace()),
            None => words.push(word),
        }
    }
    let mut behind = String::new();
    for qualifier in ["const", "volatile"] {
        let count = words.len();
        words.retain(|word| *word != qualifier);
        if words.len() < count {
            behind.push(' ');
            behind.push_str(qualifier);
        }
    }
    let is_sized = words.iter().any(|word| matches!(*word, "long" | "short"));
    let is_unsigned = words.contains(&"unsigned");
    if is_sized || is_unsigned {
        words.retain(|word| !(*word == "unsigned" || is_sized && *word == "int"));
        if is_unsigned {
            words.insert(0, "unsigned");
        }
    }
    format!("{}{behind}{}", words.join(" "), tail.replace(" *", "*").replace("{anonymous}", "(anonymous namespace)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines that GCC 12.2 wrote with `-fstack-usage`, each with the symbol of the same function.
    #[test]
    fn what_gcc_writes_is_the_function_that_its_symbol_names() {
        for (written, symbol) in [
            ("int clone_me(int, int)", "_ZL8clone_meii.constprop.0"),
            ("void {anonymous}::hidden(const char*)", "_ZN12_GLOBAL__N_16hiddenEPKc.constprop.0"),
            ("int {anonymous}::Local::m(int) const", "_ZNK12_GLOBAL__N_15Local1mEi.constprop.0.isra.0"),
            ("T app::twice(T, const char*) [with T = long long int]", "_ZN3app5twiceIxEET_S1_PKc.isra.0"),
            ("T app::twice(T, const char*) [with T = int]", "_ZN3app5twiceIiEET_S1_PKc.isra.0"),
            ("app::Widget::Widget(int)", "_ZN3app6WidgetC2Ei"),
            ("app::Widget::~Widget()", "_ZN3app6WidgetD1Ev"),
            ("bool app::Widget::operator<(const app::Widget&) const", "_ZNK3app6WidgetltERKS0_"),
            ("void app::over(int)", "_ZN3app4overEi"),
            ("void app::over(const char*)", "_ZN3app4overEPKc"),
            ("int fixed_alloca()", "_Z12fixed_allocav"),
            ("clone_me.constprop", "clone_me.constprop.0"),
            ("cold", "cold"),
            // clang writes the symbol.
            ("_ZN3app4overEPKc", "_ZN3app4overEPKc"),
        ] {
            assert_eq!(Name::of_usage(written).whole, Name::of_symbol(symbol).whole);
        }
    }

    #[test]
    fn a_typedef_among_the_parameters_leaves_the_name_alone() {
        let written = Name::of_usage("void app::Widget::operator()(const char* const*, uint32_t)");
        let symbol = Name::of_symbol("_ZN3app6WidgetclEPKPKcm");
        assert_eq!((&*written.base, &*symbol.base), ("app::Widget::operator()", "app::Widget::operator()"));
        assert_ne!(written.whole, symbol.whole);
    }

    #[test]
    fn functions_of_one_name_are_told_apart() {
        let one = Name::of_usage("void app::over(int)");
        let other = Name::of_usage("void app::over(const char*)");
        assert_ne!(one.whole, other.whole);
        assert_eq!(one.base, other.base);
    }

    #[test]
    fn whatever_is_written_is_survived() {
        for text in [
            "",
            "(",
            ")",
            ")(",
            "a)b",
            "operator",
            "x operator<(",
            "a [with",
            "a [with T]",
            "f() [with T = ]",
            "((((",
            "é(é)",
        ] {
            let _ = (Name::of_usage(text), Name::of_symbol(text));
        }
    }
}
