//! Why a static worst case is not exact, as values and in words.

/// What the static worst case leaves out. Functions are named as their authors wrote them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A chain of calls comes back to this function: it was counted once.
    Recursion(String),
    /// This function calls through a pointer: what it calls was not counted.
    Indirect(String),
    /// Nothing tells the frame of this function: it was counted as zero.
    UnknownFrame(String),
    /// The frame of this function depends on the running program: its fixed part was counted.
    Dynamic(String),
    /// Interrupts may nest: one was counted.
    Nesting,
}

/// The first function to which a chain of calls comes back.
#[must_use]
pub fn recursion(why: &[Reason]) -> Option<&str> {
    why.iter().find_map(|reason| if let Reason::Recursion(name) = reason { Some(name.as_str()) } else { None })
}

/// The reasons in one sentence: `recursion in demo::threads::growth::descend: at least`. `None` when there are none.
#[must_use]
pub fn note(why: &[Reason]) -> Option<String> {
    const NAMED: usize = 2;
    type Pick = fn(&Reason) -> Option<&str>;
    let kinds: [(&str, Pick); 4] = [
        ("recursion in", |reason| if let Reason::Recursion(name) = reason { Some(name) } else { None }),
        ("calls through pointers in", |reason| if let Reason::Indirect(name) = reason { Some(name) } else { None }),
        ("unknown frame of", |reason| if let Reason::UnknownFrame(name) = reason { Some(name) } else { None }),
        ("changing frame of", |reason| if let Reason::Dynamic(name) = reason { Some(name) } else { None }),
    ];
    let mut parts = Vec::new();
    for (what, pick) in kinds {
        let names: Vec<&str> = why.iter().filter_map(pick).collect();
        if names.is_empty() {
            continue;
        }
        let mut part = format!("{what} {}", names[..names.len().min(NAMED)].join(", "));
        if names.len() > NAMED {
            part.push_str(&format!(" and {} more", names.len() - NAMED));
        }
        parts.push(part);
    }
    if why.contains(&Reason::Nesting) {
        parts.push("interrupts that nest".into());
    }
    (!parts.is_empty()).then(|| format!("{}: at least", parts.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_make_one_sentence() {
        let indirect = |name: &str| Reason::Indirect(name.into());
        for (why, expected) in [
            (vec![], None),
            (vec![Reason::Recursion("demo::descend".into())], Some("recursion in demo::descend: at least")),
            (
                vec![indirect("a"), indirect("b"), indirect("c"), Reason::Dynamic("d".into()), Reason::Nesting],
                Some("calls through pointers in a, b and 1 more; changing frame of d; interrupts that nest: at least"),
            ),
            (vec![Reason::UnknownFrame("memcpy".into())], Some("unknown frame of memcpy: at least")),
        ] {
            assert_eq!(note(&why).as_deref(), expected);
        }
    }
}
